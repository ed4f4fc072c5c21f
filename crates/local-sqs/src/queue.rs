//! One queue: its state behind a mutex, its journal, and those who wait for messages.

use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::Shared;
use super::attributes::{QueueAttributes, QueueName, check_visibility_timeout};
use super::error::SqsError;
use super::journal::{Entry, Journal, Record, Settings};
use super::message::{Content, MessageId, NewMessage, ReceiptHandle, Received};
use super::state::{Depth, Faults, Message, Seq, State, Taken};
use super::timestamp::Timestamp;

/// The entries one receive, or one batch request, may have.
pub const MAX_BATCH: usize = 10;

/// A handle to one queue; clones share it.
#[derive(Clone, Debug)]
pub struct Queue {
    pub(super) shared: Arc<Shared>,
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) name: QueueName,
    guarded: Mutex<Guarded>,
    /// Told when messages may have become visible or may be taken again.
    arrivals: Notify,
}

#[derive(Debug)]
struct Guarded {
    settings: Settings,
    state: State,
    journal: Option<Journal>,
    deleted: bool,
}

impl Inner {
    pub(super) fn new(name: QueueName, settings: Settings, state: State, journal: Option<Journal>) -> Self {
        Self {
            name,
            guarded: Mutex::new(Guarded {
                settings,
                state,
                journal,
                deleted: false,
            }),
            arrivals: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Guarded> {
        self.guarded
            .lock()
            .expect("nothing panics while it holds the lock")
    }

    /// The state as of now. Between two operations state and journal say the same, so this is
    /// where the journal can be rewritten from the state.
    fn current(&self, now: Timestamp) -> MutexGuard<'_, Guarded> {
        let mut guarded = self.lock();
        let retention = guarded.settings.attributes.message_retention;
        guarded.state.advance(now, retention);
        guarded.compact_if_large();
        guarded
    }

    pub(super) fn settings(&self) -> Settings {
        self.lock().settings.clone()
    }

    pub(super) fn set_attributes(&self, attributes: QueueAttributes, now: Timestamp) -> Result<(), SqsError> {
        let mut guarded = self.lock();
        if guarded.settings.attributes == attributes {
            return Ok(());
        }
        let settings = Settings {
            attributes,
            modified: now,
            ..guarded.settings
        };
        guarded.record([Entry::Queue(settings.clone())])?;
        guarded.settings = settings;
        Ok(())
    }

    /// Ends the queue and its file; handles that are left fail from now on.
    pub(super) fn delete(&self) -> Result<(), SqsError> {
        let mut guarded = self.lock();
        guarded.deleted = true;
        guarded.state.purge();
        match guarded.journal.take() {
            Some(journal) => journal
                .remove()
                .map_err(|error| SqsError::Journal(error.to_string())),
            None => Ok(()),
        }
    }

    /// Takes in messages that come from another queue.
    pub(super) fn accept(&self, messages: Vec<Message>, now: Timestamp) -> Result<(), SqsError> {
        self.current(now).take_in(messages, now)?;
        self.arrivals.notify_waiters();
        Ok(())
    }

    /// The number after the last message's, and how many messages are there and visible.
    pub(super) fn movable(&self, now: Timestamp) -> (Seq, usize) {
        let guarded = self.current(now);
        (guarded.state.next_seq(), guarded.state.depth().visible)
    }

    pub(super) fn take_for_move(&self, max: usize, before: Seq) -> Vec<(Seq, Message)> {
        self.current(Timestamp::now()).state.take_for_move(max, before)
    }

    /// Ends what `take_for_move` or a receive began: the messages are in another queue now.
    pub(super) fn let_go(&self, seqs: Vec<Seq>) {
        let mut guarded = self.lock();
        for &seq in &seqs {
            guarded.state.remove(seq);
        }
        guarded.record_or_log(Entry::Deleted(seqs));
    }

    pub(super) fn keep(&self, seqs: &[Seq]) {
        self.lock().state.keep(seqs, Timestamp::now());
    }
}

impl Guarded {
    fn record<'a>(&mut self, entries: impl IntoIterator<Item = Entry<'a>>) -> Result<(), SqsError> {
        let Some(journal) = &mut self.journal else {
            return Ok(());
        };
        journal
            .append(entries)
            .map_err(|error| SqsError::Journal(error.to_string()))
    }

    fn compact_if_large(&mut self) {
        let Some(journal) = &mut self.journal else {
            return;
        };
        // The journal is whole without it, so a failure here costs space and nothing else.
        if journal.wants_compaction()
            && let Err(error) = journal.compact(&self.settings, self.state.messages())
        {
            tracing::warn!(%error, "a queue's journal could not be compacted");
        }
    }

    /// For what may be repeated: after a restart a receive count is too low, or a message is
    /// there twice, which standard queues allow.
    fn record_or_log(&mut self, entry: Entry<'_>) {
        if let Err(error) = self.record([entry]) {
            tracing::error!(%error, "a queue runs on without its journal");
        }
    }

    fn take_in(&mut self, messages: Vec<Message>, now: Timestamp) -> Result<(), SqsError> {
        if self.deleted {
            return Err(SqsError::QueueDoesNotExist);
        }
        let first = self.state.next_seq();
        let numbered: Vec<(Seq, Message)> = (first.0..).map(Seq).zip(messages).collect();
        let entries = numbered.iter().map(|(seq, message)| Record::new(*seq, message));
        self.record(entries.map(Entry::Message))?;
        for (seq, message) in numbered {
            self.state.insert(seq, message, now);
        }
        Ok(())
    }
}

impl Queue {
    pub fn name(&self) -> &QueueName {
        &self.inner.name
    }

    pub fn arn(&self) -> String {
        self.inner.name.arn()
    }

    pub fn url(&self) -> String {
        self.shared.url(&self.inner.name)
    }

    pub fn attributes(&self) -> QueueAttributes {
        self.inner.settings().attributes
    }

    /// Sends messages with one write to the journal; one that is invalid fails alone. The outcomes
    /// are in the order of the messages.
    pub fn send_batch(&self, messages: Vec<NewMessage>) -> Vec<Result<MessageId, SqsError>> {
        let now = Timestamp::now();
        let attributes = self.attributes();
        let mut accepted = Vec::with_capacity(messages.len());
        let mut outcomes = Vec::with_capacity(messages.len());
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
        outcomes
    }

    /// Receives up to `max` messages (1 to 10), and waits up to `wait` for the first of them.
    /// They stay hidden for `visibility`, or for the queue's own visibility timeout.
    ///
    /// Dropped while it waits, it takes nothing.
    pub async fn receive(&self, max: usize, wait: Duration, visibility: Option<Duration>) -> Vec<Received> {
        let deadline = Instant::now() + wait;
        loop {
            // Listening before looking, so that no arrival falls in between.
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

    /// What a receive gets now, and when the next hidden message becomes visible.
    fn take(&self, max: usize, visibility: Option<Duration>) -> (Vec<Received>, Option<Timestamp>) {
        let now = Timestamp::now();
        let redrive = self.attributes().redrive.and_then(|redrive| {
            let queue = self.shared.queue(&redrive.dead_letter_queue)?;
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
            self.bury(&dead_letter_queue, dead, now);
        }
        (delivered, next_due)
    }

    /// Moves dead messages: they are written where they go before they are taken from here, so
    /// that a process killed in between leaves them twice and never loses them.
    fn bury(&self, dead_letter_queue: &Inner, dead: Vec<(Seq, Message)>, now: Timestamp) {
        let (seqs, mut messages): (Vec<Seq>, Vec<Message>) = dead.into_iter().unzip();
        for message in &mut messages {
            message.dead_letter_source = Some(self.inner.name.clone());
            message.delayed_until = None;
        }
        match dead_letter_queue.accept(messages, now) {
            Ok(()) => self.inner.let_go(seqs),
            Err(error) => {
                tracing::error!(%error, queue = %self.inner.name, "dead letters stay where they are");
                self.inner.keep(&seqs);
            }
        }
    }

    /// Deletes received messages with one write to the journal. A stale receipt is no error and
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
        // A message may be there once more, and a queue that was full takes others.
        self.inner.arrivals.notify_waiters();
        Ok(())
    }

    /// Hides received messages for so long from now on; zero shows them at once. The outcomes are
    /// in the order of the changes.
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
        // Those who wait sleep until the next message is due, which may be sooner now.
        self.inner.arrivals.notify_waiters();
        outcomes
    }

    pub fn depth(&self) -> Depth {
        self.inner.current(Timestamp::now()).state.depth()
    }

    /// When the oldest message that is still here was sent.
    pub fn oldest_sent(&self) -> Option<Timestamp> {
        self.inner.current(Timestamp::now()).state.oldest_sent()
    }

    /// Shows now what would become visible within this time, as if the clock jumped ahead and back:
    /// what is in flight may be delivered again while it is still being handled.
    pub fn jump_clock(&self, by: Duration) {
        let now = Timestamp::now();
        let mut guarded = self.inner.current(now);
        let retention = guarded.settings.attributes.message_retention;
        guarded.state.advance(now.after(by), retention);
        drop(guarded);
        self.inner.arrivals.notify_waiters();
    }

    /// Deletes every message, those in flight too.
    pub fn purge(&self) -> Result<(), SqsError> {
        let mut guarded = self.inner.lock();
        guarded.record([Entry::Purged])?;
        guarded.state.purge();
        Ok(())
    }

    /// From now on the queue behaves so; the default is no fault.
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
