use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;

use crate::{
    environment::{Ending, Environment},
    error::InvokeError,
    usage::Usage,
};

/// The maximum length of [`FunctionStats::init_micros`]. The oldest entries are dropped.
pub const INIT_SAMPLES_MAX: usize = 1_000;

/// The figures of a function since the service started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FunctionStats {
    /// Processes that started and asked for an invocation.
    pub cold_starts: u64,
    /// Invocations that reached a process.
    pub invocations: u64,
    /// Invocations that failed: errors of the function, timeouts, processes that ended, failed starts.
    /// Throttled invocations are not included.
    pub errors: u64,
    /// Invocations that got no environment in time.
    pub throttles: u64,
    pub timeouts: u64,
    /// Processes that ended on their own after their start.
    pub crashes: u64,
    /// Processes killed by [`Function::kill_one`](crate::Function::kill_one).
    pub kills: u64,
    /// Processes ended because they exceeded the function's memory.
    pub over_memory: u64,
    /// Processes that exist now.
    pub environments: usize,
    /// Processes that have an invocation now.
    pub busy: usize,
    /// Times from the start of a process to its first request for an invocation, oldest first. At most
    /// [`INIT_SAMPLES_MAX`].
    pub init_micros: Vec<u64>,
    /// The largest of any process so far. `None` on systems without `/proc`.
    pub max_rss_bytes: Option<u64>,
    /// The sum over all processes, including ended ones. The time between the last sample of a process
    /// and its end is missing if it ended on its own. `None` on systems without `/proc`.
    pub cpu: Option<Duration>,
}

#[derive(Default)]
pub struct Counters {
    pub errors: u64,
    pub throttles: u64,
    cold_starts: u64,
    invocations: u64,
    timeouts: u64,
    crashes: u64,
    kills: u64,
    over_memory: u64,
    init_micros: VecDeque<u64>,
    ended: Usage,
}

impl Counters {
    pub fn started(&mut self, after: Duration) {
        self.cold_starts += 1;
        if self.init_micros.len() == INIT_SAMPLES_MAX {
            self.init_micros.pop_front();
        }
        self.init_micros
            .push_back(u64::try_from(after.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn answered(&mut self, answer: &Result<Bytes, InvokeError>) {
        self.invocations += 1;
        self.errors += u64::from(answer.is_err());
        self.timeouts += u64::from(answer == &Err(InvokeError::TimedOut));
    }

    pub fn ended(&mut self, ending: Option<Ending>, has_crashed: bool, usage: Usage) {
        debug_assert!(
            !(has_crashed && ending.is_some()),
            "a process has crashed or was ended, not both"
        );
        self.crashes += u64::from(has_crashed);
        match ending {
            Some(Ending::Killed) => self.kills += 1,
            Some(Ending::OverMemory) => self.over_memory += 1,
            None | Some(Ending::TimedOut | Ending::FailedInit | Ending::Idle | Ending::Stopped) => {}
        }
        self.ended = add(self.ended, usage);
    }

    pub fn stats(&self, live: &[Arc<Environment>]) -> FunctionStats {
        let used = live
            .iter()
            .map(|environment| environment.sample())
            .fold(self.ended, add);
        // Every process uses memory, so zero means that no process was ever sampled.
        let is_known = used.rss_bytes_max > 0;
        FunctionStats {
            cold_starts: self.cold_starts,
            invocations: self.invocations,
            errors: self.errors,
            throttles: self.throttles,
            timeouts: self.timeouts,
            crashes: self.crashes,
            kills: self.kills,
            over_memory: self.over_memory,
            environments: live.len(),
            busy: live.iter().filter(|environment| environment.is_running()).count(),
            init_micros: self.init_micros.iter().copied().collect(),
            max_rss_bytes: is_known.then_some(used.rss_bytes_max),
            cpu: is_known.then_some(used.cpu),
        }
    }
}

fn add(one: Usage, other: Usage) -> Usage {
    Usage {
        cpu: one.cpu + other.cpu,
        rss_bytes: one.rss_bytes + other.rss_bytes,
        rss_bytes_max: one.rss_bytes_max.max(other.rss_bytes_max),
    }
}
