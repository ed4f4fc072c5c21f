//! One invocation of the aggregator, step by step: its real decisions, on a simulated clock.

use std::collections::BTreeMap;
use std::time::Duration;

use aggregator::batch::Batch;
use aws_lambda_events::event::sqs::SqsMessage;
use jiff::Timestamp;
use rand::RngExt as _;
use rand::rngs::StdRng;
use store::apply::{Answer, Attempts, Reason};
use store::keys::{CountGeneration, TOTALS_LANES};
use store::plan::{Action, PlanContext};
use store::{Generations, Rules};

use crate::tables::Tables;

/// The time of an invocation, without the margin that is reserved for reporting.
pub const TIME: Duration = Duration::from_secs(27);
/// The reserved margin. No call takes longer.
const MARGIN: Duration = Duration::from_secs(3);
const SLOW_CALL: Duration = Duration::from_millis(2_900);
const CALL: Duration = Duration::from_millis(10);

/// An invocation that has received its messages.
pub struct Worker {
    pub messages: Vec<SqsMessage>,
    /// The rules of the live generation when it started.
    live: Rules,
    /// The live generation comes first.
    groups: Vec<(CountGeneration, Attempts, Duration)>,
}

/// The verdicts on the messages of an invocation.
pub struct Verdicts {
    /// The ids of messages to be deleted.
    pub done: Vec<String>,
    pub deferred: Vec<String>,
    pub dead: Vec<SqsMessage>,
}

/// How the tables answer a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Another transaction holds one of the items.
    Conflict,
    /// The connection is cut before the write took effect.
    CutBefore,
    /// The connection is cut after the write took effect.
    CutAfter,
    /// A permission is missing.
    Refused,
}

impl Fault {
    /// How the tables answer a transaction under this fault.
    pub fn answer(self, tables: &mut Tables, actions: &[Action], random: &mut StdRng) -> Answer {
        match self {
            Self::None => tables.transact(actions),
            Self::Conflict => {
                let mut reasons = vec![Reason::None; actions.len()];
                reasons[random.random_range(0..actions.len())] = Reason::Busy;
                Answer::Cancelled(reasons)
            }
            Self::CutBefore => Answer::Unsure("cut off".to_owned()),
            Self::CutAfter => {
                tables.transact(actions);
                Answer::Unsure("cut off".to_owned())
            }
            Self::Refused => Answer::Refused("no permission".to_owned()),
        }
    }

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
}

impl Worker {
    /// Receives messages and reads the generations. `spent` is the time that starting took.
    pub fn receive(
        messages: Vec<SqsMessage>,
        generations: &Generations,
        now: Timestamp,
        spent: Duration,
    ) -> Self {
        let live = generations
            .rules(generations.live)
            .expect("rules are settled")
            .clone();
        let batch = Batch::sort(&messages, &live);
        let in_each = generations.counted().flat_map(|generation| {
            let rules = generations.rules(generation).expect("rules are settled");
            let context = PlanContext::new(rules, generation, now);
            let groups = batch.groups(rules, now).into_iter();
            groups.map(move |group| (generation, Attempts::new(group, context.clone()), spent))
        });
        Self {
            groups: in_each.collect(),
            messages,
            live,
        }
    }

    /// Sends the next transaction of any group. Returns whether there was one.
    pub fn step(
        &mut self,
        tables: &mut BTreeMap<CountGeneration, Tables>,
        fault: Fault,
        random: &mut StdRng,
    ) -> bool {
        let lane = random.random_range(0..TOTALS_LANES);
        let mut open: Vec<_> = self
            .groups
            .iter_mut()
            .filter_map(|(generation, attempts, spent)| {
                Some((attempts.next(lane)?, *generation, attempts, spent))
            })
            .collect();
        if open.is_empty() {
            return false;
        }
        let at = random.random_range(0..open.len());
        let (actions, generation, attempts, spent) = &mut open[at];
        let answer = fault.answer(tables.entry(*generation).or_default(), actions, random);
        let is_slow = fault != Fault::None && random.random_range(0..4) == 0;
        **spent += if is_slow { SLOW_CALL } else { CALL };
        let pause = attempts.take(actions, answer, random.random(), TIME.saturating_sub(**spent));
        **spent += pause;
        assert!(
            **spent < TIME + MARGIN,
            "the invocation was killed during a retry, {spent:?} after its start"
        );
        true
    }

    /// What the invocation reports to the queues once every group has its results.
    pub fn conclude(&self) -> Verdicts {
        let mut batch = Batch::sort(&self.messages, &self.live);
        let results = self.groups.iter();
        batch.conclude_all(results.map(|(_, attempts, _)| attempts.results.as_slice()));
        let id = |message: &SqsMessage| message.message_id.clone().expect("every message has an id");
        let deferred: Vec<_> = batch.deferred.iter().map(|message| id(message)).collect();
        let done = self.messages.iter().map(id).filter(|id| !deferred.contains(id));
        Verdicts {
            done: done.collect(),
            dead: batch.dead.iter().map(|dead| dead.message.clone()).collect(),
            deferred,
        }
    }
}
