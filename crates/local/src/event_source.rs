//! The event source mapping from an SQS queue to a function: fills batches, invokes the function, and
//! deletes the messages that it has handled.

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

/// The largest batch size that may be configured.
const MAX_BATCH_SIZE: usize = 10_000;
/// The longest batching window.
const MAX_BATCHING_WINDOW: Duration = Duration::from_mins(5);
/// The largest concurrency that may be configured.
const MAX_CONCURRENCY: usize = 1_000;

/// How long a receive waits for a message.
const POLL_WAIT: Duration = Duration::from_secs(20);

/// The pause after a failed invocation. It doubles with each consecutive failure.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub struct EventSourceMapping {
    pub queue: Queue,
    /// The maximum number of messages per invocation: 1 to 10,000, and above 10 only with a window.
    pub batch_size: usize,
    /// How long a batch waits to be filled after its first message. Without a window a batch is the result
    /// of one receive. At most 300 s (AWS allows only whole seconds).
    pub batching_window: Duration,
    /// The maximum number of concurrent invocations: 1 to 1,000 (AWS requires at least 2).
    pub maximum_concurrency: usize,
    /// The faults to inject when handled messages are deleted.
    pub faults: Faults,
}

/// Settings that AWS would reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMapping {
    #[error("the batch size must be from 1 to {MAX_BATCH_SIZE}")]
    BatchSize,
    #[error("a batch size above {MAX_BATCH} requires a batching window")]
    MissingWindow,
    #[error("the batching window must be at most {MAX_BATCHING_WINDOW:?}")]
    Window,
    #[error("the maximum concurrency must be from 1 to {MAX_CONCURRENCY}")]
    Concurrency,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Running,
    Paused,
    Stopped,
}

/// A running mapping. Dropping it also prevents further invocations.
#[derive(Debug)]
pub struct EventSource {
    phase: watch::Sender<Phase>,
    task: JoinHandle<()>,
}

impl EventSource {
    /// Starts no further invocations; running ones finish. Messages wait in the queue.
    pub fn pause(&self) {
        self.phase.send_replace(Phase::Paused);
    }

    pub fn resume(&self) {
        self.phase.send_replace(Phase::Running);
    }

    /// Ends the mapping. Running invocations have `grace` to finish. If one does not, its messages return
    /// after their visibility timeout.
    pub async fn stop(mut self, grace: Duration) {
        self.phase.send_replace(Phase::Stopped);
        if timeout(grace, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

impl EventSourceMapping {
    /// Starts the mapping. `invoke` gets the event as JSON. It returns the function's response, or an
    /// error if the invocation failed, timed out or was throttled.
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
        // Messages that were received but did not fit into the payload of their batch.
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

    /// Waits for a slot and for the pause after failures. Messages are received only afterwards, so that
    /// their visibility timeout does not run while they wait. `None` if the phase changed.
    async fn free_slot(
        &self,
        slots: &Arc<Semaphore>,
        failures: &AtomicU32,
        phase: &mut watch::Receiver<Phase>,
    ) -> Option<OwnedSemaphorePermit> {
        let free = async {
            let slot = Arc::clone(slots).acquire_owned().await.ok();
            sleep(backoff(failures.load(Ordering::Relaxed))).await;
            slot
        };
        tokio::select! {
            biased;
            () = interrupted(phase) => None,
            slot = free => slot,
        }
    }

    /// Fills one batch until it is full, its window has passed, or the phase changes.
    async fn fill(&self, carried: &mut Vec<Received>, phase: &mut watch::Receiver<Phase>) -> Batch {
        let mut batch = Batch::new(self.queue.arn());
        let mut closes = None;
        let mut received = std::mem::take(carried);
        loop {
            let expected = batch.len() + received.len();
            for message in received {
                if !carried.is_empty() || !batch.push(&message) {
                    carried.push(message);
                }
            }
            debug_assert_eq!(
                batch.len() + carried.len(),
                expected,
                "every received message is in the batch or carried to the next one"
            );
            debug_assert!(batch.len() <= self.batch_size, "a batch has a maximum size");
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

/// Waits while the mapping is paused. `false` when it must stop.
async fn resumed(phase: &mut watch::Receiver<Phase>) -> bool {
    let phase = phase.wait_for(|&phase| phase != Phase::Paused).await;
    phase.is_ok_and(|phase| *phase == Phase::Running)
}

async fn interrupted(phase: &mut watch::Receiver<Phase>) {
    // A dropped sender also stops the mapping.
    drop(phase.wait_for(|&phase| phase != Phase::Running).await);
}

/// AWS lowers the concurrency while a function fails. Here a pause of the only poller has the same effect.
fn backoff(failures: u32) -> Duration {
    match failures.checked_sub(1) {
        None => Duration::ZERO,
        Some(doublings) => BACKOFF_MIN
            .saturating_mul(1_u32.checked_shl(doublings).unwrap_or(u32::MAX))
            .min(BACKOFF_MAX),
    }
}

/// Invokes the function with a batch and deletes the messages that succeeded. The others return after their
/// visibility timeout. `false` if the whole invocation failed. Messages that the function reports as failed
/// do not count as such: a few bad messages must not slow down the others.
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
            tracing::warn!(%error, messages = messages.len(), "the invocation of a batch failed");
            return false;
        }
    };
    let failed = match response::failed_messages(&response, &messages) {
        Ok(failed) => failed,
        Err(error) => {
            tracing::warn!(%error, messages = messages.len(), "a function's response is not a batch response");
            return false;
        }
    };
    let (returned, handled): (Vec<_>, Vec<_>) = messages.iter().partition(|(id, _)| failed.contains(id));
    debug_assert_eq!(
        returned.len() + handled.len(),
        messages.len(),
        "every message of a delivered batch is either deleted or returned"
    );
    debug_assert_eq!(
        returned.is_empty(),
        failed.is_empty(),
        "a function reports only messages of its batch as failed"
    );
    let receipts: Vec<ReceiptHandle> = handled.into_iter().map(|&(_, receipt)| receipt).collect();
    if let Err(error) = acknowledge(queue, &receipts, faults) {
        tracing::error!(%error, "handled messages could not be deleted and will be delivered again");
    }
    true
}

/// Deletes handled messages with one write. With faults it deletes up to ten at a time, as one call to SQS
/// would, because a fault affects one call.
fn acknowledge(queue: &Queue, handled: &[ReceiptHandle], faults: &Faults) -> Result<(), SqsError> {
    if faults.are_none() {
        return queue.delete_batch(handled);
    }
    for receipts in handled.chunks(MAX_BATCH) {
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
