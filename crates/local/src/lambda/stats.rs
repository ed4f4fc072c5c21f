use std::{collections::VecDeque, sync::Arc, time::Duration};

use bytes::Bytes;
use serde::Serialize;

use super::{
    InvokeError,
    environment::{Ending, Environment},
    usage::Usage,
};

/// How many starts [`FunctionStats::init_micros`] covers; the oldest are dropped.
pub const INIT_SAMPLES_MAX: usize = 1_000;

/// What happened to a function since the service started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct FunctionStats {
    /// Processes that came to ask for an invocation.
    pub cold_starts: u64,
    /// Invocations that reached a process.
    pub invocations: u64,
    /// Invocations without an answer of their own, throttled ones aside: errors of the function,
    /// timeouts, processes that ended, failed starts.
    pub errors: u64,
    /// Invocations that found no environment in time.
    pub throttles: u64,
    pub timeouts: u64,
    /// Processes that ended by themselves after their start.
    pub crashes: u64,
    /// Processes killed by [`Function::kill_one`](super::Function::kill_one).
    pub kills: u64,
    /// Processes ended because they used more memory than the function may.
    pub over_memory: u64,
    /// Processes there are now, and how many of them have an invocation.
    pub environments: usize,
    pub busy: usize,
    /// From the start of a process to its first request for an invocation, oldest first; at most
    /// [`INIT_SAMPLES_MAX`].
    pub init_micros: Vec<u64>,
    /// The largest of any process so far; `None` where the system does not tell.
    pub max_rss_bytes: Option<u64>,
    /// Of all processes, ended ones included; short by what one used between its last reading and an
    /// end of its own. `None` where the system does not tell.
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
        // Any process has memory, so none at all means that none was ever read.
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
