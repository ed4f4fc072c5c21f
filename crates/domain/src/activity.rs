//! Activities: what an employee did.

use jiff::Timestamp;

use crate::id::{ActivityId, Kind, Origin, ProgramId, UserId};

/// One activity. Once accepted it is a fact and never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Activity {
    pub id: ActivityId,
    pub user: UserId,
    pub program: ProgramId,
    pub kind: Kind,
    pub occurred_at: Timestamp,
    /// For a kind that is worth points by it.
    pub amount: Option<Amount>,
    pub metadata: Option<Metadata>,
    /// `None` if it was posted for Podium in the first place.
    pub origin: Option<Origin>,
}

/// What the client says of how much was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amount {
    /// Of whatever the kind's points are per, such as steps.
    Quantity(u64),
    /// Points that another system has given.
    Points(u32),
}

impl Amount {
    pub const QUANTITY_MAX: u64 = 1_000_000_000_000;
}

/// A JSON object that the client attached. It is stored unchanged and never interpreted.
/// At most [`Metadata::MAX_BYTES`] bytes of JSON text, nested at most [`Metadata::MAX_DEPTH`] deep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metadata(pub(crate) String);

impl Metadata {
    /// Keeps an activity's item within two write units of 1 KB.
    pub const MAX_BYTES: usize = 1024;
    pub const MAX_DEPTH: usize = 8;

    /// Wraps metadata read back from the store. It was checked when it was accepted.
    pub fn stored(text: String) -> Self {
        Self(text)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether both are the same JSON, apart from white space and the order of members.
    pub fn is_equal(&self, other: &Self) -> bool {
        let value = |metadata: &Self| serde_json::from_str::<serde_json::Value>(&metadata.0).ok();
        self == other || value(self).is_some_and(|own| value(other).is_some_and(|other| own == other))
    }
}
