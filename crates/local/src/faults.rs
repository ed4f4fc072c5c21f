//! Faults that the stack does to itself, drawn from a seed, to see what the functions make of them.
//!
//! Wherever something may go wrong, it is asked whether it does this time. The answer to the n-th
//! question of a kind is a hash of the seed, the kind and n, so that the same seed gives the same
//! decisions. Which call of which process meets which of them is another matter: processes run side
//! by side, and a run is repeated in its kind and not step by step. For that there is the simulation.

mod calls;
mod striking;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

pub(crate) use self::calls::{CallFault, FUNCTION_KEY_ID, calls_from_function};
pub(crate) use self::striking::Striker;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// A table or a queue refuses a call because of its rate.
    Throttle,
    /// A table or a queue answers 500.
    ServerError,
    /// A transaction meets another at an item.
    Conflict,
    /// An answer comes late, at times after its caller has given up; the write happens all the same.
    Slow,
    /// For some seconds every write to some tables is refused: longer than most retries last.
    Outage,
    /// The connection is closed without an answer, and nothing was done.
    CutBefore,
    /// The connection is closed without an answer, and what was asked for is done.
    CutAfter,
    /// Messages that were deleted are delivered once more.
    DeliverTwice,
    /// Messages stay hidden for some seconds before their first delivery.
    DeliverLate,
    /// For a while messages are delivered in an order drawn from the seed.
    Reorder,
    /// Handled messages are not deleted, and come again after their visibility timeout.
    LoseAcknowledgement,
    /// The pipe stops where it is, and starts again there.
    PipeRestart,
    /// The pipe stops, and starts again where it was some seconds ago.
    PipeReread,
    /// A process is killed.
    Kill,
    /// A process stands still until its time is up.
    TimeOut,
    /// A process is killed for the memory that it takes.
    OutOfMemory,
    /// All processes of a function end at once, and the next invocations start new ones.
    ColdHerd,
    /// A function is told a deadline that is seconds off, or the queue's clock jumps ahead, so that
    /// messages under way are delivered again. A process's own clock cannot be moved from outside.
    ClockJump,
}

/// Rates are shares of this.
const EVERYTHING: u64 = 10_000;

/// Each kind with its name, and how many of 10,000 questions are answered with yes. A question is, for
/// faults of calls, one that a function makes; for deliveries, up to ten messages; for outages, the pipe
/// and the order, a quarter of a second; and for the others an invocation.
///
/// So many that 100,000 activities meet each kind many times and are through within some minutes.
const TABLE: [(Fault, &str, u64); 18] = [
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

const KINDS: usize = TABLE.len();

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

    fn index(self) -> usize {
        self as usize
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(TABLE[self.index()].1)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no fault {0:?}; there are {names}", names = TABLE.map(|(_, name, _)| name).join(", "))]
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

/// What goes wrong in a stack; clones share it. By default nothing does.
#[derive(Clone, Debug, Default)]
pub struct Faults(Option<Arc<Plan>>);

#[derive(Debug)]
struct Plan {
    seed: u64,
    chosen: BTreeSet<Fault>,
    is_off: AtomicBool,
    asked: [AtomicU64; KINDS],
    injected: [AtomicU64; KINDS],
    raised: RwLock<Vec<Raised>>,
}

/// A fault that strikes more often for a while: calls that write to some tables or, without any,
/// everything.
#[derive(Clone, Debug)]
struct Raised {
    fault: Fault,
    tables: BTreeSet<String>,
    rate: u64,
}

impl Faults {
    pub fn none() -> Self {
        Self(None)
    }

    /// The kinds that are chosen, at the rates of the table above. Without any, nothing happens until
    /// a rate is raised.
    pub fn from_seed(seed: u64, chosen: impl IntoIterator<Item = Fault>) -> Self {
        let zeros = || std::array::from_fn(|_| AtomicU64::new(0));
        Self(Some(Arc::new(Plan {
            seed,
            chosen: chosen.into_iter().collect(),
            is_off: AtomicBool::new(false),
            asked: zeros(),
            injected: zeros(),
            raised: RwLock::default(),
        })))
    }

    /// From now on nothing goes wrong any more. What has begun goes on.
    pub fn switch_off(&self) {
        if let Some(plan) = &self.0 {
            plan.is_off.store(true, Ordering::Relaxed);
        }
    }

    /// Strikes `share` of the functions' calls that write to one of these tables, until it is lowered
    /// again: 1.0 is each of them. With no tables it is that share of whatever the fault may strike.
    /// Without a plan, as in [`none`](Self::none), nothing is raised.
    pub fn raise<'a>(&self, fault: Fault, tables: impl IntoIterator<Item = &'a str>, share: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "between 0 and 10,000"
        )]
        let rate = (share.clamp(0.0, 1.0) * EVERYTHING as f64) as u64;
        let tables = tables.into_iter().map(str::to_owned).collect();
        if let Some(plan) = &self.0 {
            plan.raised().push(Raised { fault, tables, rate });
        }
    }

    /// Takes back all that was raised of this fault.
    pub fn lower(&self, fault: Fault) {
        if let Some(plan) = &self.0 {
            plan.raised().retain(|raised| raised.fault != fault);
        }
    }

    /// How often each of the chosen kinds has struck.
    pub fn counts(&self) -> Vec<(Fault, u64)> {
        let Some(plan) = &self.0 else {
            return Vec::new();
        };
        let count = |&fault: &Fault| (fault, plan.injected[fault.index()].load(Ordering::Relaxed));
        plan.chosen.iter().map(count).collect()
    }

    pub(crate) fn are_none(&self) -> bool {
        self.0.is_none()
    }

    /// Asks whether a fault strikes now. Whoever makes it happen counts it then.
    pub(crate) fn draw(&self, fault: Fault) -> Option<Draw> {
        self.draw_for_write(fault, Vec::new)
    }

    /// As [`draw`](Self::draw), for a call that writes to these tables. They are asked for only if a
    /// rate is raised.
    fn draw_for_write(&self, fault: Fault, tables: impl FnOnce() -> Vec<String>) -> Option<Draw> {
        let plan = self.0.as_ref()?;
        let rate = if plan.chosen.contains(&fault) {
            TABLE[fault.index()].2
        } else {
            0
        };
        plan.draw(fault, plan.raised_rate(fault, tables).unwrap_or(rate))
    }

    pub(crate) fn count(&self, fault: Fault) {
        if let Some(plan) = &self.0 {
            plan.injected[fault.index()].fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Plan {
    fn raised(&self) -> std::sync::RwLockWriteGuard<'_, Vec<Raised>> {
        self.raised.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn raised_rate(&self, fault: Fault, tables: impl FnOnce() -> Vec<String>) -> Option<u64> {
        let raised = self.raised.read().unwrap_or_else(PoisonError::into_inner);
        let mut of_fault = raised.iter().filter(|raised| raised.fault == fault).peekable();
        of_fault.peek()?;
        let tables = tables();
        let strikes = |raised: &&Raised| {
            raised.tables.is_empty() || tables.iter().any(|table| raised.tables.contains(table))
        };
        of_fault.filter(strikes).map(|raised| raised.rate).max()
    }

    fn draw(&self, fault: Fault, rate: u64) -> Option<Draw> {
        if rate == 0 || self.is_off.load(Ordering::Relaxed) {
            return None;
        }
        let question = self.asked[fault.index()].fetch_add(1, Ordering::Relaxed);
        let mut draw = Draw(mix(mix(self.seed) ^ mix(fault.index() as u64) ^ question));
        (draw.below(EVERYTHING) < rate).then_some(draw)
    }
}

/// What is drawn for one fault: in which of its forms it comes, and how long it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Draw(u64);

impl Draw {
    /// A number from 0 to one below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.0 = mix(self.0);
        self.0 % bound
    }

    /// A time within a range, in whole milliseconds.
    pub(crate) fn within(&mut self, range: Range<Duration>) -> Duration {
        let millis = u64::try_from(range.end.saturating_sub(range.start).as_millis()).unwrap_or(u64::MAX);
        range.start + Duration::from_millis(self.below(millis.max(1)))
    }
}

/// The finalizer of `SplitMix64`: a bijection whose output looks random.
pub(crate) fn mix(value: u64) -> u64 {
    let value = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(faults: &Faults, fault: Fault, questions: usize) -> Vec<Option<Draw>> {
        (0..questions).map(|_| faults.draw(fault)).collect()
    }

    #[test]
    fn the_table_is_in_the_order_of_the_kinds_and_names_each_once() {
        for (at, (fault, name, rate)) in TABLE.into_iter().enumerate() {
            assert_eq!(fault.index(), at, "{name}");
            assert_eq!(name.parse(), Ok(fault));
            assert_eq!(fault.to_string(), name);
            assert!((1..=EVERYTHING).contains(&rate), "{name}");
        }
        let unknown = "thunder".parse::<Fault>().expect_err("there is none").to_string();
        assert!(
            unknown.contains("thunder") && unknown.contains("cold-herd"),
            "{unknown}"
        );
    }

    #[test]
    fn the_same_seed_decides_the_same_whatever_else_is_asked() {
        let alone = Faults::from_seed(7, [Fault::Throttle]);
        let among_others = Faults::from_seed(7, Fault::EVERY);
        let mut seen = Vec::new();
        for _ in 0..5_000 {
            seen.push(among_others.draw(Fault::Throttle));
            among_others.draw(Fault::Kill);
            among_others.draw(Fault::Slow);
        }
        assert_eq!(seen, answers(&alone, Fault::Throttle, 5_000));
        assert!(seen.iter().any(Option::is_some));
        let other_seed = Faults::from_seed(8, [Fault::Throttle]);
        assert_ne!(seen, answers(&other_seed, Fault::Throttle, 5_000));
    }

    #[test]
    fn kinds_are_as_frequent_as_the_table_says_and_do_not_go_together() {
        const QUESTIONS: usize = 100_000;
        let faults = Faults::from_seed(1, Fault::EVERY);
        let struck = Fault::EVERY.map(|fault| answers(&faults, fault, QUESTIONS));
        for (answers, (_, name, rate)) in struck.iter().zip(TABLE) {
            let seen = answers.iter().flatten().count() as u64;
            let expected = rate * QUESTIONS as u64 / EVERYTHING;
            assert!(
                (expected * 7 / 10..=expected * 13 / 10).contains(&seen),
                "{name}: {seen}"
            );
        }
        let [throttles, errors] = [Fault::Throttle, Fault::ServerError].map(|fault| &struck[fault.index()]);
        let both = throttles
            .iter()
            .zip(errors)
            .filter(|(one, other)| one.is_some() && other.is_some());
        assert!(both.count() < 30);
    }

    #[test]
    fn only_what_is_chosen_strikes_and_nothing_once_it_is_switched_off() {
        let faults = Faults::from_seed(3, [Fault::Reorder]);
        assert!(answers(&faults, Fault::Kill, 10_000).iter().all(Option::is_none));
        assert!(
            answers(&faults, Fault::Reorder, 10_000)
                .iter()
                .any(Option::is_some)
        );
        faults.count(Fault::Reorder);
        assert_eq!(faults.counts(), [(Fault::Reorder, 1)]);
        faults.switch_off();
        assert!(
            answers(&faults, Fault::Reorder, 10_000)
                .iter()
                .all(Option::is_none)
        );
        assert!(
            answers(&Faults::none(), Fault::Reorder, 10_000)
                .iter()
                .all(Option::is_none)
        );
    }

    #[test]
    fn what_is_drawn_for_a_fault_stays_within_its_bounds() {
        let range = Duration::from_millis(50)..Duration::from_millis(800);
        let mut draw = Draw(5);
        let drawn: BTreeSet<Duration> = (0..1_000).map(|_| draw.within(range.clone())).collect();
        assert!(drawn.iter().all(|time| range.contains(time)));
        assert!(drawn.len() > 500, "{}", drawn.len());
    }
}
