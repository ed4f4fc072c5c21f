//! What the functions share that take batches of messages from a queue: which messages are given up or delivered again,
//! by when to report that, and how many wait.

mod depth;
mod queues;
mod verdicts;

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

pub use depth::depth;
pub use queues::Queues;
pub use verdicts::{DeadLetter, Deferred, Verdicts};

/// Reserved at the end of an invocation to report what was not done.
const REPORT_MARGIN: Duration = Duration::from_secs(3);

/// When the invocation with this deadline must end.
pub fn deadline(of_invocation: SystemTime) -> Instant {
    let left = of_invocation.duration_since(SystemTime::now());
    Instant::now() + left.unwrap_or(Duration::ZERO)
}

/// When an invocation must begin to report.
pub fn report_at(deadline: Instant) -> Instant {
    deadline.checked_sub(REPORT_MARGIN).unwrap_or(deadline)
}
