//! The tables and every operation on them. No other crate names a table's key or attribute.
//!
//! Decision logic is pure: [`count`] and [`fold`] decide on the next call and on what follows from its answer,
//! and [`publication`] returns requests as data. The rest sends and receives.

pub mod activities;
pub mod aws;
mod batch_get;
pub mod blocks;
pub mod caps;
mod control;
pub mod corrections;
pub mod count;
pub mod counting;
pub mod details;
mod document;
pub mod editions;
pub mod erasing;
pub mod erasures;
mod error;
pub mod facts;
pub mod fold;
pub mod folding;
pub mod generations;
pub mod head;
pub mod heartbeats;
pub mod inserts;
mod item;
pub mod keys;
pub mod ledger;
pub mod overview;
pub mod pasts;
pub mod people;
pub mod periods;
pub mod publication;
pub mod quality;
pub mod rebuild;
mod requests;
pub mod rules;
pub mod schema;
pub mod snapshots;
pub mod standings;
pub mod stream;
pub mod teams;

pub use activities::{Activities, Received, Recorded};
pub use blocks::Blocks;
pub use count::Counted;
pub use counting::{CountTables, Counting};
pub use error::StoreError;
pub use facts::{Facts, StoredFact};
pub use folding::Folding;
pub use generations::Generations;
pub use head::Head;
pub use pasts::Pasts;
pub use people::People;
pub use quality::Quality;
pub use rebuild::Rebuilds;
pub use rules::Rules;
pub use snapshots::{Published, Snapshots};
pub use standings::Standings;
pub use teams::TeamsHead;
