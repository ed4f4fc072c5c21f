//! What Podium counts and how: activities, scoring, windows, ranking and the documents it publishes.
//!
//! Nothing here does I/O or reads a clock: the time is passed in, so that every rule can be tested
//! at any moment of any calendar.

pub mod activity;
pub mod board;
pub mod calendar;
pub mod freshness;
pub mod histogram;
pub mod history;
pub mod id;
pub mod intake;
pub mod policy;
pub mod ranking;
pub mod standing;

pub use activity::{Activity, Metadata};
pub use board::{
    Board, BoardDocument, BoardEntry, BoardsDocument, HistoryDocument, SearchDocument, UserDocument,
};
pub use calendar::{Calendar, Period, Window, WindowSpan};
pub use freshness::{Freshness, FreshnessBounds, FreshnessDocument};
pub use histogram::Histogram;
pub use history::History;
pub use id::{ActivityId, Kind, ProgramId, UserId};
pub use intake::{Intake, Rejection, RejectionCode};
pub use policy::ScoringPolicy;
pub use ranking::{BoardBuilder, RankedBoard};
pub use standing::{Standing, Tally};
