//! One invocation of the aggregator, step by step: its real decisions, and a clock of its own.

use std::time::Duration;

use aggregator::batch::Batch;
use aws_lambda_events::event::sqs::SqsMessage;
use domain::{Calendar, ScoringPolicy};
use jiff::Timestamp;
use rand::RngExt as _;
use rand::rngs::StdRng;
use store::apply::{Answer, Attempts, Reason};
use store::keys::TOTALS_LANES;
use store::plan::{PlanContext, groups};

use crate::tables::Tables;

/// What an invocation may take, less what is kept free to report.
pub const TIME: Duration = Duration::from_secs(27);
/// What is kept free. No call takes longer.
const MARGIN: Duration = Duration::from_secs(3);
const SLOW_CALL: Duration = Duration::from_millis(2_900);
const CALL: Duration = Duration::from_millis(10);

/// The rules that all invocations share.
pub struct Rules {
    pub policy: ScoringPolicy,
    pub calendar: Calendar,
    pub context: PlanContext,
}

/// An invocation that has received its messages.
pub struct Worker {
    pub messages: Vec<SqsMessage>,
    now: Timestamp,
    groups: Vec<(Attempts, Duration)>,
}

/// What became of the messages of an invocation.
pub struct Verdicts {
    /// Ids of those to be deleted.
    pub done: Vec<String>,
    pub deferred: Vec<String>,
    pub dead: Vec<SqsMessage>,
}

/// How the tables answer a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Another transaction is at one of the items.
    Conflict,
    /// The connection is cut before the write took effect.
    CutBefore,
    /// The connection is cut after it did.
    CutAfter,
    /// A permission is missing.
    Refused,
}

impl Fault {
    /// None, or with the chance of `percent` one of the others.
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
    /// `spent` is the time that starting took.
    pub fn receive(messages: Vec<SqsMessage>, rules: &Rules, now: Timestamp, spent: Duration) -> Self {
        let batch = Batch::sort(&messages, &rules.policy, &rules.calendar, now);
        let groups = groups(batch.countable).into_iter();
        let groups = groups.map(|group| (Attempts::new(group, rules.context.clone()), spent));
        Self {
            groups: groups.collect(),
            messages,
            now,
        }
    }

    /// Sends the next transaction of any group. Returns whether there was one.
    pub fn step(&mut self, tables: &mut Tables, fault: Fault, random: &mut StdRng) -> bool {
        let lane = random.random_range(0..TOTALS_LANES);
        let mut open: Vec<_> = self
            .groups
            .iter_mut()
            .filter_map(|(attempts, spent)| Some((attempts.next(lane)?, attempts, spent)))
            .collect();
        if open.is_empty() {
            return false;
        }
        let at = random.random_range(0..open.len());
        let (actions, attempts, spent) = &mut open[at];
        let answer = match fault {
            Fault::None => tables.transact(actions),
            Fault::Conflict => {
                let mut reasons = vec![Reason::None; actions.len()];
                reasons[random.random_range(0..actions.len())] = Reason::Busy;
                Answer::Cancelled(reasons)
            }
            Fault::CutBefore => Answer::Unsure("cut off".to_owned()),
            Fault::CutAfter => {
                tables.transact(actions);
                Answer::Unsure("cut off".to_owned())
            }
            Fault::Refused => Answer::Refused("no permission".to_owned()),
        };
        let is_slow = fault != Fault::None && random.random_range(0..4) == 0;
        **spent += if is_slow { SLOW_CALL } else { CALL };
        let pause = attempts.take(actions, answer, random.random(), TIME.saturating_sub(**spent));
        **spent += pause;
        assert!(
            **spent < TIME + MARGIN,
            "the invocation was killed while it retried, {spent:?} after its start"
        );
        true
    }

    /// What is told to the queues once every group has its results.
    pub fn conclude(&self, rules: &Rules) -> Verdicts {
        let mut batch = Batch::sort(&self.messages, &rules.policy, &rules.calendar, self.now);
        for (attempts, _) in &self.groups {
            for (key, counted) in &attempts.results {
                batch.conclude(key, counted);
            }
        }
        let id = |message: &SqsMessage| message.message_id.clone().expect("every message has an id");
        let deferred: Vec<_> = batch.deferred.iter().map(|message| id(message)).collect();
        let done = self.messages.iter().map(id).filter(|id| !deferred.contains(id));
        Verdicts {
            done: done.collect(),
            dead: batch.dead.iter().map(|letter| letter.message.clone()).collect(),
            deferred,
        }
    }
}
