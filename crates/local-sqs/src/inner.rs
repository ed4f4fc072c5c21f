//! One queue's state behind a mutex, with its journal.

use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use crate::attributes::{QueueAttributes, QueueName};
use crate::error::SqsError;
use crate::journal::{Entry, Journal, Record, Settings};
use crate::message::Seq;
use crate::state::{Message, State};
use crate::timestamp::Timestamp;

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) name: QueueName,
    guarded: Mutex<Guarded>,
    /// Notified when a receive may find more than before.
    pub(crate) arrivals: Notify,
}

#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) settings: Settings,
    pub(crate) state: State,
    journal: Option<Journal>,
    pub(crate) deleted: bool,
}

impl Inner {
    pub(crate) fn new(name: QueueName, settings: Settings, state: State, journal: Option<Journal>) -> Self {
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

    pub(crate) fn lock(&self) -> MutexGuard<'_, Guarded> {
        self.guarded
            .lock()
            .expect("nothing panics while it holds the lock")
    }

    /// The state as of now. State and journal agree between two operations, so the journal can be
    /// rewritten from the state here.
    pub(crate) fn current(&self, now: Timestamp) -> MutexGuard<'_, Guarded> {
        let mut guarded = self.lock();
        let retention = guarded.settings.attributes.message_retention;
        guarded.state.advance(now, retention);
        guarded.compact_if_large();
        guarded
    }

    pub(crate) fn settings(&self) -> Settings {
        self.lock().settings.clone()
    }

    pub(crate) fn set_attributes(&self, attributes: QueueAttributes, now: Timestamp) -> Result<(), SqsError> {
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

    /// Deletes the queue and its file. Handles that still exist fail from now on.
    pub(crate) fn delete(&self) -> Result<(), SqsError> {
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

    /// Adds messages that were sent, or that come from another queue.
    pub(crate) fn accept(&self, messages: Vec<Message>, now: Timestamp) -> Result<(), SqsError> {
        self.current(now).take_in(messages, now)?;
        self.arrivals.notify_waiters();
        Ok(())
    }

    /// The number that the next message gets, and how many messages are visible.
    pub(crate) fn movable(&self, now: Timestamp) -> (Seq, usize) {
        let guarded = self.current(now);
        (guarded.state.next_seq(), guarded.state.depth().visible)
    }

    pub(crate) fn take_for_move(&self, max: usize, before: Seq) -> Vec<(Seq, Message)> {
        self.current(Timestamp::now()).state.take_for_move(max, before)
    }

    /// Removes messages that `take_for_move` or a receive took out: another queue holds them now.
    pub(crate) fn let_go(&self, seqs: Vec<Seq>) {
        let mut guarded = self.lock();
        for &seq in &seqs {
            guarded.state.remove(seq);
        }
        guarded.record_or_log(Entry::Deleted(seqs));
    }

    /// Makes messages visible again that could not be moved.
    pub(crate) fn keep(&self, seqs: &[Seq]) {
        self.lock().state.keep(seqs, Timestamp::now());
    }
}

impl Guarded {
    pub(crate) fn record<'a>(
        &mut self,
        entries: impl IntoIterator<Item = Entry<'a>>,
    ) -> Result<(), SqsError> {
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
        // The journal is complete without it, so a failure here costs only space.
        if journal.wants_compaction()
            && let Err(error) = journal.compact(&self.settings, self.state.messages())
        {
            tracing::warn!(%error, "a queue's journal could not be compacted");
        }
    }

    /// For entries that may be lost: after a restart a receive count is then too low, or a message
    /// is in two queues, which standard queues allow.
    pub(crate) fn record_or_log(&mut self, entry: Entry<'_>) {
        if let Err(error) = self.record([entry]) {
            tracing::error!(%error, "a queue could not write to its journal, and continues without this entry");
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
