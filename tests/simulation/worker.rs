//! One invocation of the aggregator, step by step: its real decisions, with one clock and one deadline.

use std::time::Duration;

use aggregator::batch::Batch;
use aws_lambda_events::event::sqs::SqsMessage;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use store::count::{Answer, CALL_TIME_MIN, Call, Now, StandingCount, Write};
use store::erasures::Erasures;
use store::{Generations, Rules};

use crate::tables::Tables;
use crate::tell;

/// The time of an invocation, without the margin that is reserved for reporting.
pub const TIME: Duration = Duration::from_secs(27);
/// No call outlasts the time of the invocation, since it is cut off then.
const SLOW_CALL: Duration = Duration::from_millis(2_900);
const CALL: Duration = Duration::from_millis(10);

/// An invocation that has received its messages.
pub struct Worker {
    pub messages: Vec<SqsMessage>,
    /// The rules of the live generation when it started, and who was erased then.
    rules: Rules,
    pub erasures: Erasures,
    /// Those of the live generation come first.
    counts: Vec<StandingCount>,
    /// When the next call of each may be sent.
    ready_at: Vec<Duration>,
    spent: Duration,
}

/// The verdicts on the messages of an invocation.
pub struct Verdicts {
    /// The ids of messages to be deleted.
    pub done: Vec<String>,
    pub deferred: Vec<String>,
    pub dead: Vec<SqsMessage>,
}

/// How the tables answer a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The table is throttled, or another transaction holds the item.
    Conflict,
    /// The connection is cut before the call took effect.
    CutBefore,
    /// The connection is cut after the call took effect.
    CutAfter,
    /// A permission is missing.
    Refused,
}

impl Fault {
    /// Draws a fault with a probability of `percent`, otherwise none.
    pub fn draw(random: &mut StdRng, percent: u32) -> Self {
        if random.random_range(0..100) >= percent {
            return Self::None;
        }
        match random.random_range(0..10) {
            0..4 => Self::Conflict,
            4..7 => Self::CutBefore,
            7..9 => Self::CutAfter,
            _ => Self::Refused,
        }
    }

    pub fn takes_effect(self) -> bool {
        matches!(self, Self::None | Self::CutAfter)
    }

    fn answer(self, tables: &mut Tables, count: &StandingCount, call: &Call, random: &mut StdRng) -> Answer {
        let answer = match call {
            _ if !self.takes_effect() => Answer::Unsure("cut off".to_owned()),
            Call::Read { is_consistent } => {
                Answer::Read(tables.read(count.standing(), *is_consistent, random))
            }
            Call::Look(names) => Answer::Seen(tables.look(names)),
            Call::ReadCaps(names) => Answer::Caps(tables.caps(names)),
            Call::Spill(spill) if tables.spill(spill) => Answer::Done,
            Call::Spill(_) => Answer::Full,
            Call::Write(write) if tables.count(count.standing(), write) => Answer::Done,
            // The answer to an insert does not tell what was in its way.
            Call::Write(Write { replaces: None, .. }) => Answer::Overtaken(None),
            Call::Write(_) => Answer::Overtaken(tables.current(count.standing()).cloned()),
        };
        match self {
            Self::None => answer,
            Self::Refused => Answer::Refused("no permission".to_owned()),
            Self::Conflict | Self::CutBefore | Self::CutAfter => Answer::Unsure("cut off".to_owned()),
        }
    }
}

impl Worker {
    /// Receives messages and reads the generations. `spent` is the time that starting took.
    pub fn receive(messages: Vec<SqsMessage>, generations: &Generations, spent: Duration) -> Self {
        let rules = |generation| generations.rules(generation).expect("rules are settled");
        let live = rules(generations.live).clone();
        let batch = Batch::sort(&messages, &live, &generations.erasures);
        let counts = generations
            .counted()
            .flat_map(|generation| batch.counts(generation, rules(generation)));
        let counts: Vec<_> = counts.collect();
        Self {
            ready_at: vec![spent; counts.len()],
            counts,
            messages,
            rules: live,
            erasures: generations.erasures.clone(),
            spent,
        }
    }

    /// Sends the next call for any standing. Returns whether there was one: there is none
    /// once everything has a result.
    pub fn step(&mut self, tables: &mut Tables, fault: Fault, now: Timestamp, random: &mut StdRng) -> bool {
        let mut open = Vec::new();
        for (at, count) in self.counts.iter_mut().enumerate() {
            let begins = self.ready_at[at].max(self.spent);
            open.extend(count.next(TIME.saturating_sub(begins)).map(|call| (at, call)));
        }
        if open.is_empty() {
            return false;
        }
        let (at, call) = open.swap_remove(random.random_range(0..open.len()));
        let begun = self.spent.max(self.ready_at[at]);
        assert!(
            TIME.saturating_sub(begun) >= CALL_TIME_MIN,
            "a call began {begun:?} after the start"
        );
        let count = &mut self.counts[at];
        let answer = fault.answer(tables, count, &call, random);
        let is_slow = fault != Fault::None && random.random_range(0..4) == 0;
        let took = if is_slow {
            SLOW_CALL.min(TIME.saturating_sub(begun))
        } else {
            CALL
        };
        self.spent = begun + took;
        let now = Now {
            time: now,
            time_left: TIME.saturating_sub(self.spent),
            jitter: random.random(),
            random: [random.next_u64(), random.next_u64()],
        };
        tell(format_args!("{call:?} -> {fault:?} {answer:?}"));
        self.ready_at[at] = self.spent + count.take(answer, &now);
        true
    }

    /// What the invocation reports to the queues once every activity has its results.
    pub fn conclude(&self) -> Verdicts {
        let mut batch = Batch::sort(&self.messages, &self.rules, &self.erasures);
        batch.conclude_all(self.counts.iter().map(|count| count.results.as_slice()));
        let id = |message: &SqsMessage| message.message_id.clone().expect("every message has an id");
        let deferred: Vec<_> = batch
            .verdicts
            .deferred
            .iter()
            .map(|deferred| id(deferred.message))
            .collect();
        let done = self.messages.iter().map(id).filter(|id| !deferred.contains(id));
        Verdicts {
            done: done.collect(),
            dead: batch
                .verdicts
                .dead
                .iter()
                .map(|dead| dead.message.clone())
                .collect(),
            deferred,
        }
    }
}
