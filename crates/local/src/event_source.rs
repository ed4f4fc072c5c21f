//! The event source mapping from an SQS queue to a function: it fills batches, invokes, and
//! deletes what the function says it is done with.

mod batch;
mod response;

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout};

use crate::faults::{Fault, Faults};
use crate::sqs::{MAX_BATCH, Queue, ReceiptHandle, Received, SqsError};
use batch::Batch;

/// The most messages a batch may be set to have.
const MAX_BATCH_SIZE: usize = 10_000;
/// The longest batching window.
const MAX_BATCHING_WINDOW: Duration = Duration::from_mins(5);
/// The most invocations that may be set to run at once.
const MAX_CONCURRENCY: usize = 1_000;

/// How long one receive waits for a message.
const POLL_WAIT: Duration = Duration::from_secs(20);

/// The pause after one failed invocation; each further failure in a row doubles it.
const BACK_OFF_MIN: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(10);

/// How a queue feeds a function.
#[derive(Clone, Debug)]
pub struct EventSourceMapping {
    pub queue: Queue,
    /// The messages of one invocation at most: 1 to 10,000, and above 10 only with a window.
    pub batch_size: usize,
    /// How long a batch that is not full waits for more, from its first message on; with none it
    /// is what one receive gave. At most 300 s (AWS takes whole seconds only).
    pub batching_window: Duration,
    /// The invocations that run at once: 1 to 1,000 (AWS asks for at least 2).
    pub maximum_concurrency: usize,
    /// What becomes of the deletion of handled messages.
    pub faults: Faults,
}

/// Settings that AWS would refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMapping {
    #[error("the batch size is 1 to {MAX_BATCH_SIZE}")]
    BatchSize,
    #[error("a batch size above {MAX_BATCH} needs a batching window")]
    MissingWindow,
    #[error("the batching window is at most {MAX_BATCHING_WINDOW:?}")]
    Window,
    #[error("the maximum concurrency is 1 to {MAX_CONCURRENCY}")]
    Concurrency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Paused,
    Stopped,
}

/// A running mapping. Dropped without `stop`, it begins no further invocation.
#[derive(Debug)]
pub struct EventSource {
    phase: watch::Sender<Phase>,
    task: JoinHandle<()>,
}

impl EventSource {
    /// Begins no further invocation; those that run finish. Messages wait in the queue.
    pub fn pause(&self) {
        self.phase.send_replace(Phase::Paused);
    }

    pub fn resume(&self) {
        self.phase.send_replace(Phase::Running);
    }

    /// Ends the mapping. Invocations that run have `grace` to finish; what they had received
    /// returns after its visibility timeout if they did not.
    pub async fn stop(mut self, grace: Duration) {
        self.phase.send_replace(Phase::Stopped);
        if timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl EventSourceMapping {
    /// Starts the mapping: `invoke` is given the event as JSON and answers with the function's
    /// response, or with an error if it failed, timed out or was throttled.
    pub fn start<F, Fut, E>(self, invoke: F) -> Result<EventSource, InvalidMapping>
    where
        F: Fn(Bytes) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        self.validate()?;
        let (phase, watched) = watch::channel(Phase::Running);
        let task = tokio::spawn(self.run(invoke, watched));
        Ok(EventSource { phase, task })
    }

    fn validate(&self) -> Result<(), InvalidMapping> {
        if !(1..=MAX_BATCH_SIZE).contains(&self.batch_size) {
            return Err(InvalidMapping::BatchSize);
        }
        if self.batch_size > MAX_BATCH && self.batching_window.is_zero() {
            return Err(InvalidMapping::MissingWindow);
        }
        if self.batching_window > MAX_BATCHING_WINDOW {
            return Err(InvalidMapping::Window);
        }
        if !(1..=MAX_CONCURRENCY).contains(&self.maximum_concurrency) {
            return Err(InvalidMapping::Concurrency);
        }
        Ok(())
    }

    async fn run<F, Fut, E>(self, invoke: F, mut phase: watch::Receiver<Phase>)
    where
        F: Fn(Bytes) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Result<Bytes, E>> + Send + 'static,
        E: Display + Send + 'static,
    {
        let slots = Arc::new(Semaphore::new(self.maximum_concurrency));
        let failures = Arc::new(AtomicU32::new(0));
        let mut invocations = JoinSet::new();
        // Received, but too much for the payload of its batch.
        let mut carried = Vec::new();
        while resumed(&mut phase).await {
            while invocations.try_join_next().is_some() {}
            let Some(slot) = self.free_slot(&slots, &failures, &mut phase).await else {
                continue;
            };
            let batch = self.fill(&mut carried, &mut phase).await;
            if batch.is_empty() {
                continue;
            }
            let (invoke, queue, faults) = (invoke.clone(), self.queue.clone(), self.faults.clone());
            let failures = Arc::clone(&failures);
            invocations.spawn(async move {
                let _slot = slot;
                if deliver(&queue, batch, invoke, &faults).await {
                    failures.store(0, Ordering::Relaxed);
                } else {
                    failures.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        while invocations.join_next().await.is_some() {}
    }

    /// A slot for one invocation, once there is one and the pause after failures is over. Messages
    /// are received only after that, so that none ages in flight. `None` when the phase changed.
    async fn free_slot(
        &self,
        slots: &Arc<Semaphore>,
        failures: &AtomicU32,
        phase: &mut watch::Receiver<Phase>,
    ) -> Option<OwnedSemaphorePermit> {
        let free = async {
            let slot = Arc::clone(slots).acquire_owned().await.ok();
            sleep(back_off(failures.load(Ordering::Relaxed))).await;
            slot
        };
        tokio::select! {
            biased;
            () = interrupted(phase) => None,
            slot = free => slot,
        }
    }

    /// Fills one batch, until it is full, its window has passed, or the phase changes.
    async fn fill(&self, carried: &mut Vec<Received>, phase: &mut watch::Receiver<Phase>) -> Batch {
        let mut batch = Batch::new(self.queue.arn());
        let mut closes = None;
        let mut received = std::mem::take(carried);
        loop {
            for message in received {
                if !carried.is_empty() || !batch.push(&message) {
                    carried.push(message);
                }
            }
            if !batch.is_empty() {
                closes.get_or_insert_with(|| Instant::now() + self.batching_window);
            }
            let missing = self.batch_size - batch.len();
            let wait = closes.map_or(POLL_WAIT, |closes: Instant| {
                closes.saturating_duration_since(Instant::now()).min(POLL_WAIT)
            });
            if missing == 0 || wait.is_zero() || !carried.is_empty() {
                return batch;
            }
            received = tokio::select! {
                biased;
                () = interrupted(phase) => return batch,
                received = self.queue.receive(missing.min(MAX_BATCH), wait, None) => received,
            };
        }
    }
}

/// Waits until the mapping runs; `false` when it is to stop.
async fn resumed(phase: &mut watch::Receiver<Phase>) -> bool {
    let phase = phase.wait_for(|&phase| phase != Phase::Paused).await;
    phase.is_ok_and(|phase| *phase == Phase::Running)
}

async fn interrupted(phase: &mut watch::Receiver<Phase>) {
    // A sender that is gone stops the mapping as well.
    drop(phase.wait_for(|&phase| phase != Phase::Running).await);
}

/// AWS lowers its concurrency while a function fails; one poller pauses to the same effect.
fn back_off(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => BACK_OFF_MIN
            .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(BACK_OFF_MAX),
    }
}

/// Invokes with a batch and deletes what succeeded; the rest returns after its visibility timeout.
/// `false` when the invocation failed as a whole. Messages the function itself reports are none of
/// that: a few bad ones must not slow the others down.
async fn deliver<F, Fut, E>(queue: &Queue, batch: Batch, invoke: F, faults: &Faults) -> bool
where
    F: Fn(Bytes) -> Fut,
    Fut: Future<Output = Result<Bytes, E>>,
    E: Display,
{
    let (payload, messages) = batch.into_event();
    let response = match invoke(payload).await {
        Ok(response) => response,
        Err(error) => {
            tracing::warn!(%error, messages = messages.len(), "an invocation failed");
            return false;
        }
    };
    let failed = match response::failed_messages(&response, &messages) {
        Ok(failed) => failed,
        Err(error) => {
            tracing::warn!(%error, messages = messages.len(), "a response is no batch response");
            return false;
        }
    };
    let done: Vec<ReceiptHandle> = messages
        .iter()
        .filter(|(id, _)| !failed.contains(id))
        .map(|&(_, receipt)| receipt)
        .collect();
    if let Err(error) = acknowledge(queue, &done, faults) {
        tracing::error!(%error, "handled messages are not deleted and will come again");
    }
    true
}

/// Deletes handled messages, all with one write, unless there are faults to befall them: those strike
/// the ten of one call.
fn acknowledge(queue: &Queue, done: &[ReceiptHandle], faults: &Faults) -> Result<(), SqsError> {
    if faults.are_none() {
        return queue.delete_batch(done);
    }
    for receipts in done.chunks(MAX_BATCH) {
        if faults.draw(Fault::LoseAcknowledgement).is_some() {
            faults.count(Fault::LoseAcknowledgement);
        } else if faults.draw(Fault::DeliverTwice).is_some() {
            queue.delete_batch_with_echo(receipts)?;
            faults.count(Fault::DeliverTwice);
        } else {
            queue.delete_batch(receipts)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
