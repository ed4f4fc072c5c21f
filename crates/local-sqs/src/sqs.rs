//! Creating, opening and deleting queues.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use anyhow::Context;

use crate::attributes::{QueueAttributes, QueueName};
use crate::error::SqsError;
use crate::inner::Inner;
use crate::journal::{self, Journal, Settings};
use crate::message::Seq;
use crate::moves::MoveTasks;
use crate::queue::Queue;
use crate::queues::Queues;
use crate::state::State;
use crate::timestamp::Timestamp;

/// All queues; clones share them.
#[derive(Clone, Debug)]
pub struct Sqs {
    pub(crate) queues: Arc<Queues>,
}

impl Sqs {
    /// Queues whose URLs begin with `endpoint_base`, such as `http://127.0.0.1:7001`.
    ///
    /// With a directory, which is created if missing, the queues whose journals are there are opened
    /// again. All their messages are visible at once, because their receivers ended with the old
    /// process. Fails if a journal cannot be read or rewritten.
    pub fn new(endpoint_base: String, directory: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut queues = BTreeMap::new();
        if let Some(directory) = &directory {
            let place = || format!("cannot open the directory of queues {}", directory.display());
            fs::create_dir_all(directory).with_context(place)?;
            for entry in fs::read_dir(directory).with_context(place)? {
                let path = entry.with_context(place)?.path();
                if path
                    .extension()
                    .is_some_and(|extension| extension == journal::EXTENSION)
                    && let Some(queue) = open(&path)?
                {
                    queues.insert(queue.name.clone(), Arc::new(queue));
                }
            }
        }
        let by_name = Mutex::new(queues);
        let moves = MoveTasks::default();
        Ok(Self {
            queues: Arc::new(Queues {
                endpoint_base,
                directory,
                by_name,
                moves,
            }),
        })
    }

    /// Creates a queue, or sets the attributes of the existing one. A dead-letter queue must exist
    /// before the queue that names it.
    pub fn create_queue(&self, name: &str, attributes: QueueAttributes) -> Result<Queue, SqsError> {
        let name: QueueName = name.parse()?;
        attributes.validate()?;
        let queue = self.open_or_create(&name, attributes.clone())?;
        self.check_redrive(&name, &attributes)?;
        queue.inner.set_attributes(attributes, Timestamp::now())?;
        Ok(queue)
    }

    /// The queue of this name, if there is one.
    pub fn queue(&self, name: &str) -> Option<Queue> {
        let inner = self.queues.queue(&name.parse().ok()?)?;
        Some(self.handle(inner))
    }

    /// All queues, by name.
    pub fn queues(&self) -> Vec<Queue> {
        let queues: Vec<Arc<Inner>> = self.queues.lock().values().cloned().collect();
        queues.into_iter().map(|inner| self.handle(inner)).collect()
    }

    /// The existing queue of this name unchanged, or a new one with these attributes.
    pub(crate) fn open_or_create(
        &self,
        name: &QueueName,
        attributes: QueueAttributes,
    ) -> Result<Queue, SqsError> {
        if let Some(inner) = self.queues.queue(name) {
            return Ok(self.handle(inner));
        }
        self.check_redrive(name, &attributes)?;
        let now = Timestamp::now();
        let settings = Settings {
            attributes,
            created: now,
            modified: now,
        };
        let mut queues = self.queues.lock();
        if let Some(inner) = queues.get(name) {
            return Ok(self.handle(Arc::clone(inner)));
        }
        let journal = match &self.queues.directory {
            Some(directory) => Some(
                Journal::rewrite(Journal::path(directory, name), &settings, std::iter::empty())
                    .map_err(|error| SqsError::Journal(error.to_string()))?,
            ),
            None => None,
        };
        let state = State::new(Seq(0), rand::random());
        let inner = Arc::new(Inner::new(name.clone(), settings, state, journal));
        queues.insert(name.clone(), Arc::clone(&inner));
        Ok(self.handle(inner))
    }

    pub(crate) fn check_redrive(
        &self,
        name: &QueueName,
        attributes: &QueueAttributes,
    ) -> Result<(), SqsError> {
        let Some(redrive) = &attributes.redrive else {
            return Ok(());
        };
        let target = &redrive.dead_letter_queue;
        if target == name || self.queues.queue(target).is_none() {
            return Err(SqsError::InvalidParameterValue(format!(
                "The dead letter queue {target} must be another queue that exists."
            )));
        }
        Ok(())
    }

    pub(crate) fn delete_queue(&self, name: &QueueName) -> Result<(), SqsError> {
        // Under the lock, so that this cannot remove the journal of a new queue of the same name.
        let mut queues = self.queues.lock();
        queues.remove(name).ok_or(SqsError::QueueDoesNotExist)?.delete()
    }

    fn handle(&self, inner: Arc<Inner>) -> Queue {
        Queue {
            queues: Arc::clone(&self.queues),
            inner,
        }
    }
}

/// Opens the queue of a journal, and rewrites the journal without its history.
fn open(path: &Path) -> anyhow::Result<Option<Inner>> {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let name: QueueName = stem
        .parse()
        .with_context(|| format!("{} is not named after a valid queue", path.display()))?;
    let Some(replayed) = journal::replay(path)? else {
        return Ok(None);
    };
    let now = Timestamp::now();
    let mut state = State::new(replayed.next_seq, rand::random());
    for (seq, message) in replayed.messages {
        state.insert(seq, message, now);
    }
    state.advance(now, replayed.settings.attributes.message_retention);
    let journal = Journal::rewrite(path.to_owned(), &replayed.settings, state.messages())?;
    Ok(Some(Inner::new(name, replayed.settings, state, Some(journal))))
}
