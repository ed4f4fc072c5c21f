//! An `EventBridge` pipe from a `DynamoDB` stream to a queue.
//!
//! As on AWS, every record reaches the target at least once, or its position reaches the
//! dead-letter target; the parameters have AWS's names.

mod checkpoint;
mod delivery;
mod filter;
mod source;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use self::delivery::{Condition, DeadLetter, SendFailure};
use self::delivery::{Delivery, Outgoing, Stopped};
pub use self::filter::{FilterPattern, InvalidPattern};
pub use self::source::{Position, SHARDS_MAX, Source, TableStream};
use crate::dynamodb::StreamRecord;

/// The most messages that SQS takes at once.
pub const BATCH_SIZE_MAX: usize = 10;

/// Records read at once. Reading holds the database for about 10 us a record, and the writers wait.
const READ_MAX: usize = 100;

/// A stream is read when it moves, and at this interval in case that was missed.
const IDLE_READ_EVERY: Duration = Duration::from_secs(1);

/// The wait before a stream is read again that could not be read.
const READ_RETRY_DELAY: Duration = Duration::from_millis(200);

/// What a pipe does; reading begins at the oldest record kept (`TRIM_HORIZON`), failing batches are
/// bisected (`AUTOMATIC_BISECT`), and one batch is sent at a time, in order.
#[derive(Clone, Debug)]
pub struct PipeConfig {
    pub name: String,
    /// At most [`BATCH_SIZE_MAX`].
    pub batch_size: usize,
    /// Records that do not match are passed over; without a pattern all are sent.
    pub filter: Option<FilterPattern>,
    /// How often a record is sent again before it is given up; without a bound, for ever.
    pub maximum_retry_attempts: Option<u32>,
    /// The age past which a record is given up unsent, of whole seconds; without one, never.
    pub maximum_record_age: Option<Duration>,
    /// Where the position is kept over restarts, if it is to be.
    pub checkpoint: Option<PathBuf>,
}

/// Records counted since the pipe was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PipeCounters {
    pub read: u64,
    pub filtered: u64,
    pub sent: u64,
    pub retried: u64,
    pub dead_lettered: u64,
}

#[derive(Debug, Default)]
struct Counters {
    read: AtomicU64,
    filtered: AtomicU64,
    sent: AtomicU64,
    retried: AtomicU64,
    dead_lettered: AtomicU64,
}

impl Counters {
    fn add(counter: &AtomicU64, records: usize) {
        counter.fetch_add(records as u64, Ordering::Relaxed);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Paused,
    Stopped,
}

/// A pipe at work, until it is stopped or dropped.
pub struct Pipe {
    source: Arc<dyn Source>,
    counters: Arc<Counters>,
    state: watch::Sender<State>,
    restarter: Restarter,
    reader: JoinHandle<()>,
    keeper: Option<JoinHandle<()>>,
}

/// Stops a pipe and starts it again, as a deployment or a failure of it would.
#[derive(Clone)]
pub struct Restarter {
    restarts: mpsc::Sender<Restart>,
    position: watch::Receiver<Position>,
}

struct Restart {
    from: Position,
    down: Duration,
}

impl Restarter {
    /// How far the pipe has come.
    pub fn position(&self) -> Position {
        self.position.borrow().clone()
    }

    /// Has the pipe stop after the call under way, and go on from a position it was at, after having
    /// been down for so long. `false` if it is to be restarted already, or is gone.
    pub fn restart(&self, from: Position, down: Duration) -> bool {
        self.restarts.try_send(Restart { from, down }).is_ok()
    }
}

impl Pipe {
    /// Starts a pipe where its checkpoint says.
    ///
    /// `send` is given at most `batch_size` messages, each a record's JSON, and returns those that
    /// were not taken; if it fails, none were. `dead_letter` is given the positions of records that
    /// were given up, until it takes them.
    ///
    /// Fails if the batch size is out of bounds or the checkpoint cannot be read.
    pub fn start<S, F, D, G>(
        source: impl Source,
        config: PipeConfig,
        send: S,
        dead_letter: D,
    ) -> anyhow::Result<Self>
    where
        S: Fn(Vec<String>) -> F + Send + Sync + 'static,
        F: Future<Output = anyhow::Result<Vec<SendFailure>>> + Send + 'static,
        D: Fn(DeadLetter) -> G + Send + Sync + 'static,
        G: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        ensure!(
            (1..=BATCH_SIZE_MAX).contains(&config.batch_size),
            "a pipe's batch size is 1 to {BATCH_SIZE_MAX}, not {}",
            config.batch_size
        );
        let position = match &config.checkpoint {
            Some(path) => checkpoint::load(path)?,
            None => Position::default(),
        };
        let source: Arc<dyn Source> = Arc::new(source);
        let counters = Arc::new(Counters::default());
        let (state, observed) = watch::channel(State::Running);
        let (reached, position) = watch::channel(position);
        // One at a time: a second one would only undo the first.
        let (restarts, asked) = mpsc::channel(1);
        let keeper = config
            .checkpoint
            .clone()
            .map(|path| tokio::spawn(checkpoint::keep(path, position.clone())));
        let reader = Reader {
            source: Arc::clone(&source),
            reached,
            restarts: asked,
            delivery: Delivery {
                config,
                counters: Arc::clone(&counters),
                state: observed,
                send,
                dead_letter,
            },
        };
        Ok(Self {
            source,
            counters,
            state,
            restarter: Restarter { restarts, position },
            reader: tokio::spawn(reader.run()),
            keeper,
        })
    }

    /// Sends nothing more, after the call under way, until it is resumed.
    pub fn pause(&self) {
        self.state.send_replace(State::Paused);
    }

    pub fn resume(&self) {
        self.state.send_replace(State::Running);
    }

    /// Returns once the call under way is over and the checkpoint is written. A batch that is being
    /// retried is left to the next start.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.state.send_replace(State::Stopped);
        self.reader.await.context("the pipe failed")?;
        if let Some(keeper) = self.keeper {
            keeper.await.context("the pipe's checkpoint failed")?;
        }
        Ok(())
    }

    pub fn restarter(&self) -> Restarter {
        self.restarter.clone()
    }

    pub fn counters(&self) -> PipeCounters {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        PipeCounters {
            read: load(&self.counters.read),
            filtered: load(&self.counters.filtered),
            sent: load(&self.counters.sent),
            retried: load(&self.counters.retried),
            dead_lettered: load(&self.counters.dead_lettered),
        }
    }

    /// The age of the oldest record that is not dealt with, to about a second; zero if all are. Of a
    /// stream with several shards it is that of the shard which is next.
    pub async fn lag(&self) -> anyhow::Result<Duration> {
        let after = self.restarter.position();
        let waiting = self.source.records(&after, 1).await?;
        let age = waiting
            .first()
            .map(|record| Timestamp::now().duration_since(record.created_at));
        Ok(age
            .and_then(|age| Duration::try_from(age).ok())
            .unwrap_or_default())
    }
}

/// Whether to go on, once a pause is over.
async fn may_go_on(state: &mut watch::Receiver<State>) -> bool {
    // An error means that the pipe was dropped. It is told only while waiting, hence the check.
    state.has_changed().is_ok()
        && state
            .wait_for(|state| *state != State::Paused)
            .await
            .is_ok_and(|state| *state == State::Running)
}

/// Some records to send, and how far the stream is dealt with once they are.
struct Batch {
    records: Vec<Outgoing>,
    through: Position,
}

struct Reader<S, D> {
    source: Arc<dyn Source>,
    reached: watch::Sender<Position>,
    restarts: mpsc::Receiver<Restart>,
    delivery: Delivery<S, D>,
}

impl<S, F, D, G> Reader<S, D>
where
    S: Fn(Vec<String>) -> F,
    F: Future<Output = anyhow::Result<Vec<SendFailure>>>,
    D: Fn(DeadLetter) -> G,
    G: Future<Output = anyhow::Result<()>>,
{
    async fn run(mut self) {
        while may_go_on(&mut self.delivery.state).await {
            if let Ok(restart) = self.restarts.try_recv() {
                self.restart(restart).await;
                continue;
            }
            // Asked for before the read, so that a write during it is read at once.
            let change = self.source.change();
            match self.read().await {
                Ok(records) if records.is_empty() => self.wait(change).await,
                Ok(records) => {
                    if self.forward(records).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = format!("{error:#}"), "a pipe could not read");
                    tokio::time::sleep(READ_RETRY_DELAY).await;
                }
            }
        }
    }

    async fn restart(&mut self, Restart { from, down }: Restart) {
        tokio::select! {
            () = tokio::time::sleep(down) => {}
            // An error means that the pipe was dropped, which the caller sees next.
            _ = self.delivery.state.wait_for(|state| *state == State::Stopped) => {}
        }
        self.reached.send_replace(from);
    }

    async fn read(&self) -> anyhow::Result<Vec<StreamRecord>> {
        let after = self.reached.borrow().clone();
        self.source.records(&after, READ_MAX).await
    }

    /// Until the stream may have moved or the pipe's state has changed. An error of the latter
    /// means that the pipe was dropped, which the caller sees next.
    async fn wait(&mut self, change: BoxFuture<'static, ()>) {
        tokio::select! {
            () = change => {}
            _ = self.delivery.state.changed() => {}
            () = tokio::time::sleep(IDLE_READ_EVERY) => {}
        }
    }

    async fn forward(&mut self, records: Vec<StreamRecord>) -> Result<(), Stopped> {
        let Delivery { config, counters, .. } = &self.delivery;
        let read = records.len();
        Counters::add(&counters.read, read);
        let batches = split(records, config.filter.as_ref(), config.batch_size);
        let matching: usize = batches.iter().map(|batch| batch.records.len()).sum();
        Counters::add(&counters.filtered, read - matching);
        for batch in batches {
            if !batch.records.is_empty() {
                self.delivery.deliver(batch.records).await?;
            }
            self.reached.send_modify(|reached| reached.merge(batch.through));
            if !self.restarts.is_empty() {
                break;
            }
        }
        Ok(())
    }
}

/// Batches of at most `size` matching records. What is filtered out is dealt with by the batch
/// before it, or by an empty one.
fn split(records: Vec<StreamRecord>, filter: Option<&FilterPattern>, size: usize) -> Vec<Batch> {
    let mut batches: Vec<Batch> = Vec::new();
    for record in records {
        let matches = filter.is_none_or(|filter| filter.matches(&record.document));
        let open = batches
            .last_mut()
            .filter(|batch| !matches || batch.records.len() < size);
        let batch = match open {
            Some(batch) => batch,
            None => batches.push_mut(Batch {
                records: Vec::new(),
                through: Position::default(),
            }),
        };
        batch
            .through
            .advance(&record.shard_id, record.sequence_number.clone());
        if matches {
            batch.records.push(Outgoing {
                sequence_number: record.sequence_number,
                created_at: record.created_at,
                stream_arn: record.stream_arn,
                shard_id: record.shard_id,
                body: record.document.to_string(),
            });
        }
    }
    batches
}
