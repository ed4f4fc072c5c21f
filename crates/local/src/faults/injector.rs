//! Faults that affect the whole stack instead of a single call. They are drawn at fixed intervals.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use store::schema::TableNames;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::kind::Fault;
use super::plan::{Draw, Faults};
use crate::pipe::{Position, Restarter};
use crate::sqs::{self, Queue};

const DRAW_EVERY: Duration = Duration::from_millis(250);
/// A rereading pipe goes back by this many intervals, which is 2 s.
const POSITIONS_KEPT: usize = 8;

const PIPE_DOWN: Range<Duration> = Duration::from_millis(50)..Duration::from_millis(1_000);
/// Usually longer than the functions of `podium chaos` can retry.
const OUTAGE: Range<Duration> = Duration::from_secs(2)..Duration::from_secs(10);
const REORDERED: Range<Duration> = Duration::from_millis(500)..Duration::from_millis(2_000);
/// The upper end exceeds the visibility timeout of `podium chaos`, so that all messages in flight return.
const QUEUE_JUMP: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(20);

pub(crate) struct Injector {
    pub(crate) faults: Faults,
    pub(crate) queue: Queue,
    pub(crate) pipe: Restarter,
    pub(crate) tables: TableNames,
}

impl Injector {
    pub(crate) async fn run(self) {
        let mut ticks = interval(DRAW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut positions: VecDeque<Position> = VecDeque::new();
        let mut reordered_until: Option<Instant> = None;
        let mut outage: Option<(Fault, Instant)> = None;
        loop {
            ticks.tick().await;
            if positions.len() == POSITIONS_KEPT {
                positions.pop_front();
            }
            positions.push_back(self.pipe.position());
            self.inject(Fault::PipeRestart, |draw| {
                self.pipe.restart(self.pipe.position(), draw.within(PIPE_DOWN))
            });
            self.inject(Fault::PipeReread, |draw| {
                let oldest = positions.front().cloned().unwrap_or_default();
                self.pipe.restart(oldest, draw.within(PIPE_DOWN))
            });
            self.inject(Fault::ClockJump, |draw| {
                self.queue.jump_clock(draw.within(QUEUE_JUMP));
                true
            });
            self.inject(Fault::Outage, |draw| {
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
            self.inject(Fault::Reorder, |draw| {
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

    /// Injects the fault if it is drawn, and counts it if it had an effect.
    fn inject(&self, fault: Fault, affect: impl FnOnce(&mut Draw) -> bool) {
        if let Some(mut draw) = self.faults.draw(fault)
            && affect(&mut draw)
        {
            self.faults.count(fault);
        }
    }

    /// Refuses all writes of one stage. Returns the fault to lower afterwards.
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
            people,
            coins,
            progress,
        } = &self.tables;
        let tables: &[&str] = match draw.below(6) {
            0 => &[activities],
            // The most frequent, because failed counting has the most different consequences.
            1 | 2 => &[dedup, standings],
            3 => &[people],
            4 => &[coins, progress],
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
