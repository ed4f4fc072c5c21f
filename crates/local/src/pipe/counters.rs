//! Counts of a pipe's records by outcome.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many records had which outcome since the pipe was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipeCounters {
    pub read: u64,
    pub filtered: u64,
    pub sent: u64,
    pub retried: u64,
    pub dead_lettered: u64,
}

#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) read: AtomicU64,
    pub(super) filtered: AtomicU64,
    pub(super) sent: AtomicU64,
    pub(super) retried: AtomicU64,
    pub(super) dead_lettered: AtomicU64,
}

impl Counters {
    pub(super) fn add(counter: &AtomicU64, records: usize) {
        counter.fetch_add(records as u64, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> PipeCounters {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PipeCounters {
            read: load(&self.read),
            filtered: load(&self.filtered),
            sent: load(&self.sent),
            retried: load(&self.retried),
            dead_lettered: load(&self.dead_lettered),
        }
    }
}
