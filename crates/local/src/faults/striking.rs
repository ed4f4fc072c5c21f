//! Faults that strike the stack as a whole, and no single call: they come with time.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

use super::{Draw, Fault, Faults};
use crate::pipe::{Position, Restarter};
use crate::sqs::{self, Queue};

/// How often it is asked whether one strikes.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// A pipe that is read again goes back by so many questions, which are 2 s.
const POSITIONS_KEPT: usize = 8;

const PIPE_DOWN: Range<Duration> = Duration::from_millis(50)..Duration::from_millis(1_000);
const REORDERED: Range<Duration> = Duration::from_millis(500)..Duration::from_millis(2_000);
/// More than the visibility timeout of a stack that is tried, so that all in flight come again.
const QUEUE_JUMP: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(20);

/// What these faults strike.
pub(crate) struct Striker {
    pub(crate) faults: Faults,
    pub(crate) queue: Queue,
    pub(crate) pipe: Restarter,
}

impl Striker {
    pub(crate) async fn run(self) {
        let mut questions = interval(ASK_EVERY);
        questions.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut positions: VecDeque<Position> = VecDeque::new();
        let mut reordered_until: Option<Instant> = None;
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
            self.ask(Fault::Reorder, |draw| {
                self.reorder(Some(draw.below(u64::MAX)));
                reordered_until = Some(Instant::now() + draw.within(REORDERED));
                true
            });
            if reordered_until.is_some_and(|until| until <= Instant::now()) {
                self.reorder(None);
                reordered_until = None;
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

    fn reorder(&self, shuffle: Option<u64>) {
        self.queue.set_faults(sqs::Faults {
            shuffle,
            ..sqs::Faults::default()
        });
    }
}
