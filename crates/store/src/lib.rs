//! The tables and every operation on them. No other crate names a table's key or attribute.
//!
//! Decision logic is pure: [`plan`] and [`publication`] return requests as data, and [`apply::judge`]
//! decides what follows from an answer. The rest sends and receives.

pub mod activities;
pub mod apply;
pub mod aws;
mod batch_get;
mod control;
mod document;
mod error;
pub mod facts;
pub mod generations;
pub mod head;
pub mod heartbeats;
mod item;
pub mod keys;
pub mod markers;
pub mod overview;
pub mod pasts;
pub mod plan;
pub mod publication;
pub mod quality;
pub mod rebuild;
pub mod repair;
mod requests;
pub mod rules;
pub mod schema;
pub mod snapshots;
pub mod standings;
pub mod stream;

pub use activities::{Activities, Recorded};
pub use apply::{CountTables, Counted, Counting};
pub use error::StoreError;
pub use facts::{Fact, Facts};
pub use generations::Generations;
pub use head::Head;
pub use markers::Markers;
pub use pasts::Pasts;
pub use quality::Quality;
pub use rebuild::Rebuilds;
pub use repair::Repairs;
pub use rules::{MarkerLifetime, Rules};
pub use snapshots::{Published, Snapshots};
pub use standings::Standings;
