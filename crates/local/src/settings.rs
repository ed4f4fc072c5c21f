//! The numbers of a deployment. Terraform's defaults are the same.

use std::str::FromStr;
use std::time::Duration;

/// What one function may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionSettings {
    pub timeout: Duration,
    pub memory_mb: u32,
    /// Environments at once at most.
    pub concurrency: usize,
}

pub const INGEST: FunctionSettings = FunctionSettings {
    timeout: Duration::from_secs(10),
    memory_mb: 256,
    concurrency: 20,
};
pub const AGGREGATOR: FunctionSettings = FunctionSettings {
    timeout: Duration::from_secs(30),
    memory_mb: 256,
    concurrency: 4,
};
pub const SNAPSHOT: FunctionSettings = FunctionSettings {
    timeout: Duration::from_secs(60),
    memory_mb: 512,
    concurrency: 1,
};
pub const SERVE: FunctionSettings = FunctionSettings {
    timeout: Duration::from_secs(10),
    memory_mb: 256,
    concurrency: 20,
};

/// How the aggregator takes messages: promptly, or many at once, which costs less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Batching {
    Prompt,
    /// Boards are published every minute, so a second more is not seen.
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
#[error("the batching is prompt or thrifty")]
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

/// Six times the function's timeout, as AWS advises, so that no message is delivered again while a
/// slow invocation still works on it.
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(6 * 30);
/// The longest that SQS keeps a message.
pub const MESSAGE_RETENTION: Duration = Duration::from_hours(14 * 24);
/// Deliveries before a message ends as a dead letter. What can never be counted does so at once; this
/// is for what fails again and again; with the pauses between it lasts 80 minutes on average.
pub const MAX_RECEIVES: u32 = 20;

/// SQS takes ten messages at once.
pub const PIPE_BATCH_SIZE: usize = 10;
pub const PIPE_MAX_RETRIES: u32 = 100;
/// Less than the 24 hours that a stream keeps its records, so that what is given up is still there.
pub const PIPE_MAX_RECORD_AGE: Duration = Duration::from_hours(20);
pub const PIPE_FILTER: &str = r#"{"eventName":["INSERT"]}"#;

pub const STANDING_SHARDS: u16 = 32;
pub const MARKER_LIFETIME_DAYS: u32 = 90;
pub const LISTED_USERS: u32 = 10_000;
pub const SNAPSHOT_EVERY: Duration = Duration::from_mins(1);
/// A board is stale when this many snapshots in a row are missing.
pub const STALE_AFTER_SNAPSHOTS: u32 = 3;
pub const STALE_LAG: Duration = Duration::from_mins(2);
pub const STALE_BACKLOG: u32 = 10_000;

pub const SCORING_POLICY: &str = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25}}]"#;
