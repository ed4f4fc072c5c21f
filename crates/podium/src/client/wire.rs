//! The documents of the HTTP API, as far as this client reads and writes them.

use std::{fmt, str::FromStr};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The server's limits for one POST.
pub const ITEMS_MAX: usize = 100;
pub const BODY_BYTES_MAX: usize = 256 * 1024;

const NAME_BYTES_MAX: usize = 64;

fn is_name(raw: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&raw.len()) && raw.bytes().all(is_name_byte)
}

/// The bytes that names of users and programs are made of.
pub fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._@-".contains(&byte)
}

const NAME_RULE: &str = "a name has 1 to 64 of the characters A-Z a-z 0-9 . _ @ -";

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $is_valid:expr, $rule:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize)]
        pub struct $name(String);

        impl FromStr for $name {
            type Err = String;

            fn from_str(raw: &str) -> Result<Self, String> {
                let is_valid: fn(&str) -> bool = $is_valid;
                if is_valid(raw) { Ok(Self(raw.to_owned())) } else { Err($rule.to_owned()) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// 1 to 64 bytes of `[A-Za-z0-9._@-]`.
    UserId, is_name, NAME_RULE
);
name!(
    /// 1 to 64 bytes of `[A-Za-z0-9._@-]`.
    ProgramId, is_name, NAME_RULE
);
name!(
    /// `global` or `program:<id>`.
    BoardName,
    |raw| raw == "global" || raw.strip_prefix("program:").is_some_and(is_name),
    "a board is \"global\" or \"program:<id>\""
);

impl UserId {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl BoardName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

name!(
    /// 1 to 128 bytes of `[A-Za-z0-9._:@-]`.
    ActivityId,
    |raw| (1..=128).contains(&raw.len()) && raw.bytes().all(|b| is_name_byte(b) || b == b':'),
    "an activity id has 1 to 128 of the characters A-Z a-z 0-9 . _ : @ -"
);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    TaskCompleted,
    ProgramCheckIn,
    LearningMilestone,
}

/// An activity as it is sent. Without `occurred_at` it occurs when the server receives it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_field_names, reason = "the API calls it so")]
pub struct Activity {
    pub activity_id: ActivityId,
    pub user_id: UserId,
    pub program_id: ProgramId,
    pub kind: Kind,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub occurred_at: Option<Timestamp>,
}

#[derive(Debug, Deserialize)]
pub(super) struct PostAnswer {
    pub results: Vec<Verdict>,
}

/// What became of one item.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum Verdict {
    Accepted,
    Duplicate,
    Rejected { error: ItemError },
    Unavailable,
}

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ItemError {
    pub code: String,
    pub field: Option<String>,
    pub detail: String,
}

/// A problem document (RFC 9457).
#[derive(Debug, Default, Deserialize)]
pub(super) struct Problem {
    pub title: Option<String>,
    pub detail: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Window {
    All,
    Month,
    Week,
    Day,
}

impl Window {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct WindowDocument {
    pub name: String,
    /// Neither day is given for all time.
    pub first_day: Option<String>,
    pub last_day: Option<String>,
    pub time_zone: String,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Freshness {
    pub age_seconds: f64,
    /// Not given until a heartbeat has been counted.
    pub lag_seconds: Option<f64>,
    pub backlog: Option<u64>,
    pub stale: bool,
    #[serde(default)]
    pub stale_reasons: Vec<String>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Entry {
    pub rank: u64,
    pub user_id: String,
    pub points: u64,
    pub activities: u64,
    /// Places gained, or lost if negative; none for a newcomer.
    pub change: Option<i64>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct BoardDocument {
    pub board: String,
    pub window: WindowDocument,
    pub participants: u64,
    pub points: u64,
    pub activities: u64,
    pub entries: Vec<Entry>,
    pub next_cursor: Option<String>,
    pub freshness: Freshness,
}

/// One user's place, and the neighbours listed around it.
#[derive(Debug, Clone, Deserialize)]
pub struct UserDocument {
    pub board: String,
    pub window: WindowDocument,
    pub participants: u64,
    pub points: u64,
    pub activities: u64,
    pub entry: Entry,
    #[serde(default)]
    pub above: Vec<Entry>,
    #[serde(default)]
    pub below: Vec<Entry>,
    pub freshness: Freshness,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Status {
    pub freshness: Freshness,
    pub counted: Counted,
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
    fn boards_are_global_or_of_a_program() {
        for (raw, expected) in [
            ("global", true),
            ("program:onboarding", true),
            ("program:", false),
            ("onboarding", false),
            ("program:a b", false),
        ] {
            assert_eq!(raw.parse::<BoardName>().is_ok(), expected, "{raw}");
        }
    }

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
