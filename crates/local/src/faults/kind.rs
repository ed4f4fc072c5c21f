//! The kinds of faults, with their names and rates.

use std::fmt;
use std::str::FromStr;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A table or a queue throttles a call.
    Throttle,
    /// A table or a queue answers 500.
    ServerError,
    /// A transaction or a statement conflicts with another write of an item.
    Conflict,
    /// An answer is late, sometimes after its caller has given up. The write happens anyway.
    Slow,
    /// Every write to some tables is refused for some seconds, longer than most retries last.
    Outage,
    /// The connection is closed without an answer, and the call has no effect.
    CutBefore,
    /// The connection is closed without an answer, but the call takes effect.
    CutAfter,
    /// Deleted messages are delivered once more.
    DeliverTwice,
    /// Messages stay hidden for some seconds before their first delivery.
    DeliverLate,
    /// Messages are delivered in a random order for a while.
    Reorder,
    /// Handled messages are not deleted, and return after their visibility timeout.
    LoseAcknowledgement,
    /// The pipe stops, and restarts at the same position.
    PipeRestart,
    /// The pipe stops, and restarts at its position of some seconds ago.
    PipeReread,
    /// A process is killed.
    Kill,
    /// A process hangs until its timeout.
    TimeOut,
    /// A process is killed as if it had used too much memory.
    OutOfMemory,
    /// All processes of a function are killed at once, so that the next invocations all start cold.
    ColdHerd,
    /// A function is told a deadline that is wrong by seconds, or the queue's clock jumps ahead, so that
    /// messages in flight are delivered again. The clock of a process cannot be changed from outside.
    ClockJump,
}

/// Rates are given per this many draws.
pub(super) const RATE_BASE: u64 = 10_000;

/// Each kind with its name and its rate: the number of injections per 10,000 draws. There is one draw per
/// call of a function (faults of calls), per up to ten messages (deliveries), per quarter of a second
/// (outages, the pipe and the order), and per invocation (all others).
///
/// With these rates a run of 100,000 activities meets each kind many times and still ends within minutes.
pub(super) const TABLE: [(Fault, &str, u64); 18] = [
    (Fault::Throttle, "throttle", 60),
    (Fault::ServerError, "server-error", 40),
    (Fault::Conflict, "conflict", 500),
    (Fault::Slow, "slow", 15),
    (Fault::Outage, "outage", 200),
    (Fault::CutBefore, "cut-before", 30),
    (Fault::CutAfter, "cut-after", 30),
    (Fault::DeliverTwice, "deliver-twice", 300),
    (Fault::DeliverLate, "deliver-late", 200),
    (Fault::Reorder, "reorder", 500),
    (Fault::LoseAcknowledgement, "lose-acknowledgement", 200),
    (Fault::PipeRestart, "pipe-restart", 300),
    (Fault::PipeReread, "pipe-reread", 200),
    (Fault::Kill, "kill", 400),
    (Fault::TimeOut, "time-out", 30),
    (Fault::OutOfMemory, "out-of-memory", 100),
    (Fault::ColdHerd, "cold-herd", 30),
    (Fault::ClockJump, "clock-jump", 200),
];

pub(super) const KINDS: usize = TABLE.len();

impl Fault {
    pub const EVERY: [Self; KINDS] = {
        let mut every = [Self::Throttle; KINDS];
        let mut at = 0;
        while at < KINDS {
            every[at] = TABLE[at].0;
            at += 1;
        }
        every
    };

    pub(super) fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(TABLE[self.index()].1)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unknown fault {0:?}; expected one of {names}", names = TABLE.map(|(_, name, _)| name).join(", "))]
pub struct UnknownFault(String);

impl FromStr for Fault {
    type Err = UnknownFault;
    fn from_str(raw: &str) -> Result<Self, UnknownFault> {
        let named = TABLE.iter().find(|(_, name, _)| *name == raw);
        named
            .map(|(fault, ..)| *fault)
            .ok_or_else(|| UnknownFault(raw.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_in_the_order_of_the_kinds_and_names_each_once() {
        for (at, (fault, name, rate)) in TABLE.into_iter().enumerate() {
            assert_eq!(fault.index(), at, "{name}");
            assert_eq!(name.parse(), Ok(fault));
            assert_eq!(fault.to_string(), name);
            assert!((1..=RATE_BASE).contains(&rate), "{name}");
        }
        let unknown = "thunder".parse::<Fault>().expect_err("there is none").to_string();
        assert!(
            unknown.contains("thunder") && unknown.contains("cold-herd"),
            "{unknown}"
        );
    }
}
