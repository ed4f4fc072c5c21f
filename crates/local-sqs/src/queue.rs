//! A handle to one queue: sending, receiving, deleting, and waiting for messages.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::attributes::{QueueAttributes, QueueName, check_visibility_timeout};
use crate::error::SqsError;
use crate::inner::Inner;
use crate::journal::Entry;
use crate::message::{Content, MessageId, NewMessage, ReceiptHandle, Received, Seq};
use crate::queues::Queues;
use crate::state::{Depth, Faults, Message, State, Taken};
use crate::timestamp::Timestamp;

/// How many messages one receive or one batch request may have.
pub const MAX_BATCH: usize = 10;

/// A handle to one queue; clones share it.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(crate) queues: Arc<Queues>,
    pub(crate) inner: Arc<Inner>,
}

impl Queue {
    pub fn name(&self) -> &QueueName {
        &self.inner.name
    }

    pub fn arn(&self) -> String {
        self.inner.name.arn()
    }

    pub fn url(&self) -> String {
        self.queues.url(&self.inner.name)
    }

    pub fn attributes(&self) -> QueueAttributes {
        self.inner.settings().attributes
    }

    /// Sends messages with one write to the journal. An invalid message fails alone. The outcomes
    /// are in the order of the messages.
    pub fn send_batch(&self, messages: Vec<NewMessage>) -> Vec<Result<MessageId, SqsError>> {
        let now = Timestamp::now();
        let attributes = self.attributes();
        let given = messages.len();
        let mut accepted = Vec::with_capacity(given);
        let mut outcomes = Vec::with_capacity(given);
        for message in messages {
            let checked = message.validate(attributes.maximum_message_size);
            outcomes.push(checked.map(|()| {
                let message = new_message(message, attributes.delay, now);
                let id = message.id;
                accepted.push(message);
                id
            }));
        }
        if !accepted.is_empty()
            && let Err(error) = self.inner.accept(accepted, now)
        {
            return outcomes
                .into_iter()
                .map(|outcome| outcome.and(Err(error.clone())))
                .collect();
        }
        debug_assert_eq!(outcomes.len(), given, "each message has an outcome");
        outcomes
    }

    /// Receives up to `max` messages (1 to 10), and waits up to `wait` for the first of them.
    /// They stay hidden for `visibility`, or for the queue's own visibility timeout.
    ///
    /// A receive that is dropped while it waits takes no message.
    pub async fn receive(&self, max: usize, wait: Duration, visibility: Option<Duration>) -> Vec<Received> {
        let deadline = Instant::now() + wait;
        loop {
            // Listens before it looks, so that it misses no arrival.
            let mut arrival = pin!(self.inner.arrivals.notified());
            arrival.as_mut().enable();
            let (received, next_due) = self.take(max.clamp(1, MAX_BATCH), visibility);
            if !received.is_empty() || Instant::now() >= deadline {
                return received;
            }
            let due = next_due.map(|due| Instant::now() + Timestamp::now().until(due));
            tokio::select! {
                () = arrival => {}
                () = sleep_until(due.map_or(deadline, |due| due.min(deadline))) => {}
            }
        }
    }

    /// Takes the messages available now, and says when the next hidden one becomes visible.
    fn take(&self, max: usize, visibility: Option<Duration>) -> (Vec<Received>, Option<Timestamp>) {
        let now = Timestamp::now();
        let redrive = self.attributes().redrive.and_then(|redrive| {
            let queue = self.queues.queue(&redrive.dead_letter_queue)?;
            Some((queue, redrive.max_receive_count))
        });
        let max_receive_count = redrive.as_ref().map(|&(_, count)| count);

        let mut guarded = self.inner.current(now);
        let visibility = visibility.unwrap_or(guarded.settings.attributes.visibility_timeout);
        let Taken { delivered, dead } = guarded.state.receive(max, visibility, max_receive_count, now);
        if !delivered.is_empty() {
            let seqs = delivered.iter().map(|received| received.receipt.seq).collect();
            guarded.record_or_log(Entry::Received { seqs, at: now });
        }
        let next_due = guarded.state.next_due();
        drop(guarded);

        if let Some((dead_letter_queue, _)) = redrive
            && !dead.is_empty()
        {
            self.send_to_dlq(&dead_letter_queue, dead, now);
        }
        (delivered, next_due)
    }

    /// Moves dead letters. They are written to the DLQ before they are removed here, so a process that
    /// is killed in between leaves them twice and never loses them.
    fn send_to_dlq(&self, dead_letter_queue: &Inner, dead: Vec<(Seq, Message)>, now: Timestamp) {
        let (seqs, mut messages): (Vec<Seq>, Vec<Message>) = dead.into_iter().unzip();
        for message in &mut messages {
            message.dead_letter_source = Some(self.inner.name.clone());
            message.delayed_until = None;
        }
        match dead_letter_queue.accept(messages, now) {
            Ok(()) => self.inner.let_go(seqs),
            Err(error) => {
                tracing::error!(%error, queue = %self.inner.name, "dead letters could not be moved to the DLQ and stay in their queue");
                self.inner.keep(&seqs);
            }
        }
    }

    /// Deletes received messages with one write to the journal. A stale receipt is not an error and
    /// deletes nothing.
    pub fn delete_batch(&self, receipts: &[ReceiptHandle]) -> Result<(), SqsError> {
        self.delete_by(receipts, State::delete)
    }

    /// As [`delete_batch`](Self::delete_batch), but the messages are delivered once more, as standard
    /// queues may do.
    pub fn delete_batch_with_echo(&self, receipts: &[ReceiptHandle]) -> Result<(), SqsError> {
        self.delete_by(receipts, State::delete_with_echo)
    }

    fn delete_by(
        &self,
        receipts: &[ReceiptHandle],
        delete: fn(&mut State, Seq, Timestamp),
    ) -> Result<(), SqsError> {
        let now = Timestamp::now();
        let mut guarded = self.inner.current(now);
        if guarded.deleted {
            return Err(SqsError::QueueDoesNotExist);
        }
        let seqs: Vec<Seq> = receipts
            .iter()
            .filter_map(|&receipt| guarded.state.deletable(receipt))
            .collect();
        if seqs.is_empty() {
            return Ok(());
        }
        guarded.record([Entry::Deleted(seqs.clone())])?;
        for seq in seqs {
            delete(&mut guarded.state, seq, now);
        }
        drop(guarded);
        // An echo may be visible, and a queue whose limit in flight was reached delivers again.
        self.inner.arrivals.notify_waiters();
        Ok(())
    }

    /// Hides received messages for the given time from now; zero makes them visible at once. The
    /// outcomes are in the order of the changes.
    pub fn change_visibility_batch(
        &self,
        changes: &[(ReceiptHandle, Duration)],
    ) -> Vec<Result<(), SqsError>> {
        let now = Timestamp::now();
        let mut guarded = self.inner.current(now);
        let outcomes = changes
            .iter()
            .map(|&(receipt, visibility)| {
                check_visibility_timeout(visibility)?;
                guarded.state.change_visibility(receipt, visibility, now)
            })
            .collect();
        drop(guarded);
        // Waiting receives sleep until the next message is due, which may now be sooner.
        self.inner.arrivals.notify_waiters();
        outcomes
    }

    pub fn depth(&self) -> Depth {
        self.inner.current(Timestamp::now()).state.depth()
    }

    /// When the oldest remaining message was sent.
    pub fn oldest_sent(&self) -> Option<Timestamp> {
        self.inner.current(Timestamp::now()).state.oldest_sent()
    }

    /// Makes visible now what is due within this time, as if the clock had jumped ahead and back. A
    /// message in flight may then be delivered again while its consumer still works on it.
    pub fn jump_clock(&self, by: Duration) {
        let now = Timestamp::now();
        let mut guarded = self.inner.current(now);
        let retention = guarded.settings.attributes.message_retention;
        guarded.state.advance(now.after(by), retention);
        drop(guarded);
        self.inner.arrivals.notify_waiters();
    }

    /// Deletes every message, including those in flight.
    pub fn purge(&self) -> Result<(), SqsError> {
        let mut guarded = self.inner.lock();
        guarded.record([Entry::Purged])?;
        guarded.state.purge();
        Ok(())
    }

    /// Injects these faults from now on; the default is none.
    pub fn set_faults(&self, faults: Faults) {
        self.inner.current(Timestamp::now()).state.set_faults(faults);
    }
}

fn new_message(message: NewMessage, delay: Duration, now: Timestamp) -> Message {
    let delay = message.delay.unwrap_or(delay);
    Message {
        id: MessageId::random(),
        content: Arc::new(Content {
            body: message.body,
            attributes: message.attributes,
        }),
        sent: now,
        first_received: None,
        receive_count: 0,
        dead_letter_source: None,
        delayed_until: (!delay.is_zero()).then(|| now.after(delay)),
    }
}
