//! The parameters of a pipe.

use std::path::PathBuf;
use std::time::Duration;

use super::filter::FilterPattern;

/// The most messages that SQS accepts in one batch.
pub const BATCH_SIZE_MAX: usize = 10;

/// The parameters that can be set. The others are fixed: a pipe starts at the oldest record kept
/// (`TRIM_HORIZON`), bisects failing batches (`AUTOMATIC_BISECT`), and sends one batch at a time, in
/// order.
#[derive(Clone, Debug)]
pub struct PipeConfig {
    pub name: String,
    /// At most [`BATCH_SIZE_MAX`].
    pub batch_size: usize,
    /// Records that do not match are skipped. Without a pattern, all records are sent.
    pub filter: Option<FilterPattern>,
    /// How often a record is sent again before it becomes a dead letter; unlimited if `None`.
    pub maximum_retry_attempts: Option<u32>,
    /// The age, in whole seconds, above which a record becomes a dead letter unsent; unlimited if `None`.
    pub maximum_record_age: Option<Duration>,
    /// The file that keeps the position over restarts.
    pub checkpoint: Option<PathBuf>,
}
