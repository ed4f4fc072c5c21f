//! An `EventBridge` pipe from a `DynamoDB` stream to a queue.
//!
//! As on AWS, every record reaches the target at least once, or its position reaches the dead-letter
//! target. The parameters have the names that AWS gives them.

mod checkpoint;
mod config;
mod control;
mod counters;
mod delivery;
mod filter;
mod source;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use self::config::{BATCH_SIZE_MAX, PipeConfig};
use self::control::{State, may_go_on};
use self::counters::Counters;
pub use self::counters::PipeCounters;
pub use self::delivery::{Condition, DeadLetter, SendFailure};
use self::delivery::{Delivery, Outgoing, Stopped};
pub use self::filter::{FilterPattern, InvalidPattern};
pub use self::source::{Position, SHARDS_MAX, Source, TableStream};
use crate::dynamodb::StreamRecord;

/// Records per read. Reading holds the database for about 10 us per record, and writers wait.
const READ_MAX: usize = 100;

/// A stream is read when it changes, and at this interval in case a change was missed.
const IDLE_READ_EVERY: Duration = Duration::from_secs(1);

/// The pause before a failed read is repeated.
const READ_RETRY_DELAY: Duration = Duration::from_millis(200);

/// A running pipe. It ends when it is stopped or dropped.
pub struct Pipe {
    source: Arc<dyn Source>,
    counters: Arc<Counters>,
    state: watch::Sender<State>,
    restarter: Restarter,
    reader: JoinHandle<()>,
    keeper: Option<JoinHandle<()>>,
}

/// Restarts a pipe, as a deployment or a failure would.
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
    /// How far the pipe has read and delivered.
    pub fn position(&self) -> Position {
        self.position.borrow().clone()
    }

    /// Makes the pipe stop after the current call, stay down for the given time, and continue from
    /// `from`, an earlier position. `false` if a restart is already pending or the pipe has ended.
    pub fn restart(&self, from: Position, down: Duration) -> bool {
        self.restarts.try_send(Restart { from, down }).is_ok()
    }
}

impl Pipe {
    /// Starts a pipe at its checkpoint.
    ///
    /// `send` gets up to `batch_size` messages, each the JSON of a record, and returns those that the
    /// target refused; an error means that it refused all. `dead_letter` gets the position of each
    /// record that is given up, again and again until it succeeds.
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
            "the batch size of a pipe must be 1 to {BATCH_SIZE_MAX}, not {}",
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
        // One at a time: a second restart would only undo the first.
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

    /// Sends nothing after the current call until the pipe is resumed.
    pub fn pause(&self) {
        self.state.send_replace(State::Paused);
    }

    pub fn resume(&self) {
        self.state.send_replace(State::Running);
    }

    /// Waits until the current call has ended and the checkpoint is written. The next start repeats a
    /// batch that is being retried.
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
        self.counters.snapshot()
    }

    /// The age of the oldest pending record, to about a second; zero if there is none. With several
    /// shards, it is the age in the shard that is read next.
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

/// Records to send, and the position that is reached once they are sent.
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
            // Subscribed before the read, so that a write during the read is noticed.
            let change = self.source.change();
            match self.read().await {
                Ok(records) if records.is_empty() => self.wait(change).await,
                Ok(records) => {
                    if self.forward(records).await.is_err() {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(
                        error = format!("{error:#}"),
                        "a pipe could not read its stream: will retry"
                    );
                    tokio::time::sleep(READ_RETRY_DELAY).await;
                }
            }
        }
    }

    async fn restart(&mut self, Restart { from, down }: Restart) {
        tokio::select! {
            () = tokio::time::sleep(down) => {}
            // An error means that the pipe was dropped, which the caller notices next.
            _ = self.delivery.state.wait_for(|state| *state == State::Stopped) => {}
        }
        self.reached.send_replace(from);
    }

    async fn read(&self) -> anyhow::Result<Vec<StreamRecord>> {
        let after = self.reached.borrow().clone();
        self.source.records(&after, READ_MAX).await
    }

    /// Waits until the stream may have changed or the pipe's state has changed. An error of the latter
    /// means that the pipe was dropped, which the caller notices next.
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

/// Batches of up to `size` matching records. A record that is filtered out advances the position of
/// the batch before it, or of an empty one.
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
