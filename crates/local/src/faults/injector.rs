//! Faults that strike the stack as a whole, and no single call: they come with time.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use store::schema::TableNames;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Draw, Fault, Faults};
use crate::pipe::{Position, Restarter};
use crate::sqs::{self, Queue};

/// How often it is asked whether one strikes.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// A pipe that is read again goes back by so many questions, which are 2 s.
const POSITIONS_KEPT: usize = 8;

const PIPE_DOWN: Range<Duration> = Duration::from_millis(50)..Duration::from_millis(1_000);
/// Mostly more than the time that a function of a stack under trial has for its retries.
const OUTAGE: Range<Duration> = Duration::from_secs(2)..Duration::from_secs(10);
const REORDERED: Range<Duration> = Duration::from_millis(500)..Duration::from_millis(2_000);
/// More than the visibility timeout of a stack that is tried, so that all in flight come again.
const QUEUE_JUMP: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(20);

/// What these faults strike.
pub(crate) struct Striker {
    pub(crate) faults: Faults,
    pub(crate) queue: Queue,
    pub(crate) pipe: Restarter,
    pub(crate) tables: TableNames,
}

impl Striker {
    pub(crate) async fn run(self) {
        let mut questions = interval(ASK_EVERY);
        questions.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut positions: VecDeque<Position> = VecDeque::new();
        let mut reordered_until: Option<Instant> = None;
        let mut outage: Option<(Fault, Instant)> = None;
        loop {
            questions.tick().await;
            if positions.len() == POSITIONS_KEPT {
                positions.pop_front();
            }
            positions.push_back(self.pipe.position());
            self.ask(Fault::PipeRestart, |draw| {
                self.pipe.restart(self.pipe.position(), draw.within(PIPE_DOWN))
            });
            self.ask(Fault::PipeReread, |draw| {
                let oldest = positions.front().cloned().unwrap_or_default();
                self.pipe.restart(oldest, draw.within(PIPE_DOWN))
            });
            self.ask(Fault::ClockJump, |draw| {
                self.queue.jump_clock(draw.within(QUEUE_JUMP));
                true
            });
            self.ask(Fault::Outage, |draw| {
                let is_first = outage.is_none();
                if is_first {
                    let refusal = self.refuse_writes(draw);
                    outage = Some((refusal, Instant::now() + draw.within(OUTAGE)));
                }
                is_first
            });
            if let Some((refusal, _)) = outage.take_if(|(_, until)| *until <= Instant::now()) {
                self.faults.lower(refusal);
            }
            self.ask(Fault::Reorder, |draw| {
                self.reorder(Some(draw.below(u64::MAX)));
                reordered_until = Some(Instant::now() + draw.within(REORDERED));
                true
            });
            if reordered_until
                .take_if(|until| *until <= Instant::now())
                .is_some()
            {
                self.reorder(None);
            }
        }
    }

    /// Strikes if it is drawn, and counts it if there was anything to strike.
    fn ask(&self, fault: Fault, strike: impl FnOnce(&mut Draw) -> bool) {
        if let Some(mut draw) = self.faults.draw(fault)
            && strike(&mut draw)
        {
            self.faults.count(fault);
        }
    }

    /// Refuses all writes of one stage, and says by which fault.
    fn refuse_writes(&self, draw: &mut Draw) -> Fault {
        let refusal = if draw.below(2) == 0 {
            Fault::Throttle
        } else {
            Fault::ServerError
        };
        let TableNames {
            activities,
            dedup,
            standings,
            snapshots,
        } = &self.tables;
        let tables: &[&str] = match draw.below(4) {
            0 => &[activities],
            // Most, since what follows it has most forms.
            1 | 2 => &[dedup, standings],
            _ => &[snapshots],
        };
        self.faults.raise(refusal, tables.iter().copied(), 1.0);
        refusal
    }

    fn reorder(&self, shuffle: Option<u64>) {
        self.queue.set_faults(sqs::Faults {
            shuffle,
            ..sqs::Faults::default()
        });
    }
}
