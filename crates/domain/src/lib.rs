//! What Podium counts and how: activities, scoring, windows, ranking and the published documents.
//!
//! Nothing here does I/O or reads a clock. Callers pass the time in, so tests can check every rule at
//! any moment of any calendar.

pub mod activity;
pub mod address;
pub mod board;
pub mod calendar;
pub mod closed;
pub mod cloud_event;
pub mod compose;
pub mod correction;
pub mod counters;
pub mod details;
pub mod documents;
pub mod event_mapping;
pub mod fact;
pub mod field;
mod field_names;
mod fields;
pub mod freshness;
pub mod histogram;
pub mod history;
pub mod id;
pub mod intake;
pub mod json;
pub mod person;
pub mod policy;
pub mod quest;
pub mod ranking;
pub mod season;
pub mod standing;
pub mod teams;
pub mod timestamp;
pub mod worth;

pub use activity::{Activity, Amount, Metadata};
pub use board::{Board, BoardEntry};
pub use calendar::{AskedPeriod, Calendar, CalendarDay, PerWindow, Period, Window, WindowSpan};
pub use cloud_event::Event;
pub use correction::{Adjustment, Correction, Void};
pub use details::{Details, Subject, SubjectKind};
pub use documents::{
    BoardDocument, BoardsDocument, HistoryDocument, SearchDocument, TeamsDocument, UserDocument,
};
pub use event_mapping::EventMapping;
pub use fact::{Fact, FactId, FactKey};
pub use field::Field;
pub use freshness::{Freshness, FreshnessBounds, FreshnessDocument};
pub use histogram::Histogram;
pub use history::History;
pub use id::{ActivityId, CorrectionId, Kind, Origin, ProgramId, QuestId, SeasonId, TeamId, UserId};
pub use intake::{Intake, Rejection, RejectionCode};
pub use person::{DisplayName, Person, Visibility};
pub use policy::ScoringPolicy;
pub use quest::{Coin, CoinId, CoinPeriod, Quest};
pub use ranking::{BoardBuilder, RankedBoard, Shown};
pub use season::{Season, Seasons};
pub use standing::{Standing, Tally};
pub use teams::{RankedTeams, TeamEntry, TeamScore, TeamsBuilder};
pub use worth::Worth;
