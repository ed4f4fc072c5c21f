//! The tables and every operation on them. No other crate names a table's key or attribute.
//!
//! Requests are planned by pure functions that return data ([`plan`], [`publication`]), and what to do
//! after an answer is decided by a pure function too ([`apply::judge`]); the rest sends and receives.

pub mod activities;
pub mod apply;
pub mod aws;
mod batch_get;
mod control;
mod document;
pub mod facts;
pub mod generations;
pub mod head;
pub mod keys;
pub mod markers;
pub mod measure;
pub mod overview;
pub mod plan;
pub mod publication;
pub mod quality;
pub mod rebuild;
pub mod repair;
pub mod rules;
pub mod schema;
pub mod snapshots;
pub mod standings;
pub mod stream;

pub use activities::{Activities, Recorded};
pub use apply::{Counted, Counting, CountingConfig};
pub use facts::{Fact, Facts};
pub use generations::Generations;
pub use head::Head;
pub use markers::Markers;
pub use quality::Quality;
pub use rebuild::Rebuilds;
pub use repair::Repairs;
pub use rules::Rules;
pub use snapshots::{Published, Snapshots};
pub use standings::Standings;

/// Any failure of the store that no caller branches on. The cause is for the log; nothing of it is
/// shown to a client.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed: {cause}")]
pub struct Unavailable {
    operation: &'static str,
    cause: String,
}

impl Unavailable {
    pub(crate) fn new(operation: &'static str, cause: impl std::error::Error) -> Self {
        Self {
            operation,
            cause: aws_sdk_dynamodb::error::DisplayErrorContext(cause).to_string(),
        }
    }
}
