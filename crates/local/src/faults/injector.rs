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
    faults: Faults,
    lines: Vec<Line>,
    tables: TableNames,
}

/// A pipe and the queue that it fills.
pub(crate) struct Line {
    queue: Queue,
    pipe: Restarter,
    positions: VecDeque<Position>,
    reordered_until: Option<Instant>,
}

impl Line {
    pub(crate) fn new(queue: Queue, pipe: Restarter) -> Self {
        Self {
            queue,
            pipe,
            positions: VecDeque::new(),
            reordered_until: None,
        }
    }

    fn tick(&mut self, faults: &Faults) {
        if self.positions.len() == POSITIONS_KEPT {
            self.positions.pop_front();
        }
        self.positions.push_back(self.pipe.position());
        inject(faults, Fault::PipeRestart, |draw| {
            self.pipe.restart(self.pipe.position(), draw.within(PIPE_DOWN))
        });
        inject(faults, Fault::PipeReread, |draw| {
            let oldest = self.positions.front().cloned().unwrap_or_default();
            self.pipe.restart(oldest, draw.within(PIPE_DOWN))
        });
        inject(faults, Fault::ClockJump, |draw| {
            self.queue.jump_clock(draw.within(QUEUE_JUMP));
            true
        });
        inject(faults, Fault::Reorder, |draw| {
            self.reorder(Some(draw.below(u64::MAX)));
            self.reordered_until = Some(Instant::now() + draw.within(REORDERED));
            true
        });
        let is_over = |until: &mut Instant| *until <= Instant::now();
        if self.reordered_until.take_if(is_over).is_some() {
            self.reorder(None);
        }
    }

    fn reorder(&self, shuffle: Option<u64>) {
        self.queue.set_faults(sqs::Faults {
            shuffle,
            ..sqs::Faults::default()
        });
    }
}

impl Injector {
    pub(crate) fn new(faults: Faults, lines: Vec<Line>, tables: TableNames) -> Self {
        Self {
            faults,
            lines,
            tables,
        }
    }

    pub(crate) async fn run(mut self) {
        let mut ticks = interval(DRAW_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut outage: Option<(Fault, Instant)> = None;
        loop {
            ticks.tick().await;
            for line in &mut self.lines {
                line.tick(&self.faults);
            }
            inject(&self.faults, Fault::Outage, |draw| {
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
            notices,
        } = &self.tables;
        let tables: &[&str] = match draw.below(6) {
            0 => &[activities],
            // The most frequent, because failed counting has the most different consequences.
            1 | 2 => &[dedup, standings],
            3 => &[people],
            4 => &[coins, progress, notices],
            _ => &[snapshots],
        };
        self.faults.raise(refusal, tables.iter().copied(), 1.0);
        refusal
    }
}

/// Injects the fault if it is drawn, and counts it if it had an effect.
fn inject(faults: &Faults, fault: Fault, affect: impl FnOnce(&mut Draw) -> bool) {
    if let Some(mut draw) = faults.draw(fault)
        && affect(&mut draw)
    {
        faults.count(fault);
    }
}
