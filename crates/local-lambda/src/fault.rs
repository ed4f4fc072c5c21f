//! Faults of invocations. The service injects them; whoever configures a function decides which.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;

/// A fault of the process that has an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessFault {
    Kill,
    /// The process is killed as if it had used too much memory.
    OverMemory,
    /// The process hangs until the function's timeout.
    Freeze,
    /// Every process of the function is killed.
    KillAll,
}

/// Decides which faults a function's invocations have.
pub trait ProcessFaults: fmt::Debug + Send + Sync {
    /// The error to add to the deadline that the function is told.
    fn deadline_error(&self) -> SignedDuration;

    /// The faults of an invocation that begins now, each with the time until it is injected.
    fn draw(&self) -> Vec<(ProcessFault, Duration)>;

    /// Called when a fault has had an effect. It has none when the invocation ended before it.
    fn count(&self, fault: ProcessFault);
}
