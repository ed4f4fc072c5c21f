//! The documents of the HTTP API, with the fields that this client uses.

use domain::{ActivityId, CorrectionId, Person, ProgramId, ScoringPolicy, TeamEntry, UserId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The server's limits for one POST.
pub const ITEMS_MAX: usize = 100;
pub const BODY_BYTES_MAX: usize = 256 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    TaskCompleted,
    ProgramCheckIn,
    LearningMilestone,
}

/// An activity as sent to the API. `occurred_at` defaults to the time when the server receives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Activity {
    pub activity_id: ActivityId,
    pub user_id: UserId,
    pub program_id: ProgramId,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
}

/// A correction as sent to the API: of an activity that it voids, or of points that it adds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Correction {
    pub correction_id: CorrectionId,
    pub user_id: UserId,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub voids: Option<ActivityId>,
    #[serde(flatten)]
    pub adjusts: Option<Adjustment>,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adjustment {
    pub program_id: ProgramId,
    pub points: i32,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PostAnswer {
    pub results: Vec<Verdict>,
}

/// The server's verdict on one item.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Verdict {
    Accepted,
    Duplicate,
    /// The user already has another activity with this id. It stays.
    Conflict {
        error: ItemError,
        /// The fields in which they differ.
        fields: Vec<String>,
    },
    Rejected {
        error: ItemError,
    },
    /// The caller may not post for this user.
    Forbidden {
        error: ItemError,
    },
    Unavailable,
}

impl Verdict {
    /// Whether the item is stored, by this request or an earlier one.
    pub fn is_taken(&self) -> bool {
        matches!(self, Self::Accepted | Self::Duplicate)
    }

    /// Why the item will never be stored.
    pub fn refusal(&self) -> Option<&ItemError> {
        match self {
            Self::Rejected { error } | Self::Forbidden { error } | Self::Conflict { error, .. } => {
                Some(error)
            }
            Self::Accepted | Self::Duplicate | Self::Unavailable => None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ItemError {
    pub code: String,
    pub field: Option<String>,
    pub detail: String,
}

/// What a request for a profile did to it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PersonAnswer {
    pub outcome: Outcome,
    /// People whose ids differ only in case, a few of them.
    #[serde(default)]
    pub other_case: Vec<UserId>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    Created,
    Changed,
    Unchanged,
}

/// One page of the directory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PeopleDocument {
    pub people: Vec<PersonEntry>,
    /// Where the next page begins.
    pub next_cursor: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PersonEntry {
    pub user_id: UserId,
    #[serde(flatten)]
    pub person: Person,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PolicyDocument {
    pub versions: ScoringPolicy,
}

/// A problem document (RFC 9457).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Problem {
    pub code: Option<String>,
    pub title: Option<String>,
    pub detail: Option<String>,
    /// What is wrong, and why, if the problem is a field of what was sent.
    pub field: Option<String>,
    pub reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct WindowDocument {
    pub name: String,
    /// `first_day` and `last_day` are absent if the window is `all`.
    pub first_day: Option<String>,
    pub last_day: Option<String>,
    pub time_zone: String,
    /// Only of a season.
    pub season: Option<SeasonName>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct SeasonName {
    pub title: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct PeriodDocument {
    /// `provisional` or `closed`.
    pub state: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Freshness {
    pub age_seconds: f64,
    /// Absent until a heartbeat has been counted.
    pub lag_seconds: Option<f64>,
    pub backlog: Option<u64>,
    pub stale: bool,
    #[serde(default)]
    pub stale_reasons: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub rank: u64,
    /// Absent if the person is anonymous.
    pub user_id: Option<String>,
    /// Absent without a profile.
    pub name: Option<String>,
    pub points: i64,
    pub activities: u64,
    /// Places gained, or lost if negative. `None` for a newcomer.
    pub change: Option<i64>,
}

/// The fields that a board has in common with the view of one user on it.
#[derive(Debug, Clone, Deserialize)]
pub struct Heading {
    pub board: String,
    /// Absent if an admin has given none.
    pub title: Option<String>,
    pub window: WindowDocument,
    /// Of a period that is over.
    pub period: Option<PeriodDocument>,
    pub participants: u64,
    pub points: i64,
    pub activities: u64,
    pub freshness: Freshness,
}

#[derive(Debug, Clone, Deserialize)]
pub struct BoardDocument {
    #[serde(flatten)]
    pub heading: Heading,
    pub entries: Vec<Entry>,
    pub next_cursor: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct TeamsDocument {
    pub window: WindowDocument,
    /// Of a period that is over.
    pub period: Option<PeriodDocument>,
    pub team_score: String,
    pub participants: u64,
    pub points: i64,
    pub entries: Vec<TeamEntry>,
    pub next_cursor: Option<String>,
    pub freshness: Freshness,
}

/// One user's place, and the neighbours listed around it.
#[derive(Debug, Clone, Deserialize)]
pub struct UserDocument {
    #[serde(flatten)]
    pub heading: Heading,
    pub generation: u64,
    pub entry: Entry,
    #[serde(default)]
    pub above: Vec<Entry>,
    #[serde(default)]
    pub below: Vec<Entry>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    pub freshness: Freshness,
    pub counted: Counted,
    #[serde(default)]
    pub dead_letters: u64,
}

/// The sums as of the last snapshot.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Counted {
    pub activities: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activity_is_written_as_the_api_reads_it() {
        let activity = Activity {
            activity_id: "a:1".parse().expect("an id"),
            user_id: "ann".parse().expect("an id"),
            program_id: "onboarding".parse().expect("an id"),
            kind: Kind::ProgramCheckIn,
            occurred_at: Some(Timestamp::UNIX_EPOCH),
        };
        assert_eq!(
            serde_json::to_string(&activity).expect("JSON"),
            r#"{"activity_id":"a:1","user_id":"ann","program_id":"onboarding","kind":"program_check_in","occurred_at":"1970-01-01T00:00:00Z"}"#
        );
    }
}
