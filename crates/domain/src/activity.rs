//! What an employee did.

use jiff::Timestamp;

use crate::id::{ActivityId, Kind, ProgramId, UserId};

/// One activity. Once accepted it is a fact and never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    pub id: ActivityId,
    pub user: UserId,
    pub program: ProgramId,
    pub kind: Kind,
    pub occurred_at: Timestamp,
    pub metadata: Option<Metadata>,
}

/// A JSON object that the client attached, kept to the letter and never interpreted.
/// At most [`Metadata::MAX_BYTES`] bytes of JSON text, nested at most [`Metadata::MAX_DEPTH`] deep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata(pub(crate) String);

impl Metadata {
    /// With this an activity's item stays within two write units of 1 KB.
    pub const MAX_BYTES: usize = 1024;
    pub const MAX_DEPTH: usize = 8;

    /// Metadata that was checked when it was accepted, read back from the store.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}
