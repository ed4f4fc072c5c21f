//! The default settings of a deployment. A test holds them equal to the defaults in Terraform.

use std::str::FromStr;
use std::time::Duration;

/// The limits of one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionSettings {
    pub timeout: Duration,
    pub memory_mb: u32,
    /// The maximum number of environments.
    pub concurrency: usize,
}

pub const INGEST: FunctionSettings = FunctionSettings::new(10, 256, 20);
pub const AGGREGATOR: FunctionSettings = FunctionSettings::new(30, 256, 4);
pub const SNAPSHOT: FunctionSettings = FunctionSettings::new(60, 512, 1);
pub const SERVE: FunctionSettings = FunctionSettings::new(10, 256, 4);
pub const DIRECTORY: FunctionSettings = FunctionSettings::new(10, 256, 4);
pub const REWARDS: FunctionSettings = FunctionSettings::new(30, 256, 4);
/// The invocations for each destination.
pub const NOTIFIER: FunctionSettings = FunctionSettings::new(30, 256, 2);

impl FunctionSettings {
    const fn new(timeout_seconds: u64, memory_mb: u32, concurrency: usize) -> Self {
        Self {
            timeout: Duration::from_secs(timeout_seconds),
            memory_mb,
            concurrency,
        }
    }
}

/// How the aggregator takes messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batching {
    /// Up to 10 messages, immediately.
    Prompt,
    /// Up to 500 messages within a second, which costs less. Boards are published every minute, so the extra
    /// second is not noticeable.
    #[default]
    Thrifty,
}

impl Batching {
    pub fn batch_size(self) -> usize {
        match self {
            Self::Prompt => 10,
            Self::Thrifty => 500,
        }
    }

    pub fn window(self) -> Duration {
        match self {
            Self::Prompt => Duration::ZERO,
            Self::Thrifty => Duration::from_secs(1),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected \"prompt\" or \"thrifty\"")]
pub struct InvalidBatching;

impl FromStr for Batching {
    type Err = InvalidBatching;
    fn from_str(raw: &str) -> Result<Self, InvalidBatching> {
        match raw {
            "prompt" => Ok(Self::Prompt),
            "thrifty" => Ok(Self::Thrifty),
            _ => Err(InvalidBatching),
        }
    }
}

/// Six times the function's timeout, as AWS advises, so that no message is delivered again while a slow
/// invocation is still working on it.
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(6 * 30);
/// The longest that SQS keeps a message.
pub const MESSAGE_RETENTION: Duration = Duration::from_hours(14 * 24);
/// Deliveries before a message goes to the DLQ, the most that SQS allows. The aggregator sends a message
/// that can never be counted there at once. What keeps failing waits for an outage to end: with the pauses,
/// this takes longer than the queue keeps a message.
pub const MAX_RECEIVES: u32 = 1_000;

/// The maximum of SQS per call.
pub const PIPE_BATCH_SIZE: usize = 10;
/// The maximum of a pipe, so that the age of a record decides.
pub const PIPE_MAX_RETRIES: u32 = 10_000;
/// Less than the 24 hours that a stream keeps its records, so that a record can still be read after the pipe
/// has given up on it.
pub const PIPE_MAX_RECORD_AGE: Duration = Duration::from_hours(20);
/// Of the queue of events: as many activities as ingest takes over HTTP at once.
pub const EVENTS_BATCH_SIZE: usize = 100;
pub const EVENTS_WINDOW: Duration = Duration::from_secs(1);
/// Few, so that a burst of events leaves most of ingest's concurrency to those who post.
pub const EVENTS_CONCURRENCY: usize = 2;

pub const PIPE_FILTER: &str = r#"{"eventName":["INSERT"]}"#;

/// Of the stream of coins: those that someone has now, or has no longer.
pub const COINS_PIPE_FILTER: &str =
    r#"{"eventName":["INSERT","MODIFY"],"dynamodb":{"NewImage":{"state":{"S":["issued","revoked"]}}}}"#;
/// Standard Webhooks asks for some days.
pub const GIVE_UP_AFTER: Duration = Duration::from_hours(3 * 24);

/// When what ingestion received is certainly recorded, so that coins found then are final.
pub const FINAL_AFTER: Duration = Duration::from_mins(1);

pub const STANDING_SHARDS: u16 = 32;
pub const LISTED_USERS: u32 = 10_000;
pub const PROGRAM_BOARDS: u32 = 500;
pub const TEAM_BOARDS: u32 = 500;
pub const MIN_TEAM_SIZE: u32 = 1;
pub const SNAPSHOT_EVERY: Duration = Duration::from_mins(1);
/// A board is stale after this many missing snapshots in a row.
pub const STALE_AFTER_SNAPSHOTS: u32 = 3;
pub const STALE_LAG: Duration = Duration::from_mins(2);
pub const STALE_BACKLOG: u32 = 10_000;

/// After the end of a day, week or month, for a fact to count in it still.
pub const PERIOD_GRACE_HOURS: u16 = 24;

pub const SCORING_POLICY: &str = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25}}]"#;

/// No type of event is mapped: the data of each are an activity.
pub const EVENT_MAPPING: &str = "{}";
