//! SQS standard queues in one process: visibility timeouts, receive counts, dead letter queues and
//! their redrive, long polling, batches.
//!
//! They are used in process through [`Queue`], and by the AWS SDK and CLI through [`Sqs::call`],
//! which speaks the AWS JSON 1.0 protocol. With a directory each queue keeps a journal there and
//! outlives the process. As on AWS, only retention bounds how many messages a queue holds.

mod attributes;
mod error;
mod journal;
mod message;
mod moves;
mod protocol;
mod queue;
mod state;
mod timestamp;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use anyhow::Context;

pub use attributes::{MAX_MESSAGE_BYTES, QueueAttributes, QueueName, Redrive};
pub use error::SqsError;
pub use message::{
    AttributeValue, Content, MessageAttribute, MessageAttributes, MessageId, NewMessage, ReceiptHandle,
    Received, md5_of_attributes, md5_of_body,
};
pub use protocol::Answer;
pub use queue::{MAX_BATCH, Queue};
pub use state::{Depth, Faults, MAX_IN_FLIGHT};
pub use timestamp::Timestamp;

use journal::{Journal, Settings};
use moves::MoveTasks;
use queue::Inner;
use state::{Seq, State};

/// The account of every queue here.
pub const ACCOUNT: &str = "000000000000";

/// The region of every queue here.
pub const REGION: &str = "us-east-1";

/// All queues; clones share them.
#[derive(Clone, Debug)]
pub struct Sqs {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    endpoint_base: String,
    directory: Option<PathBuf>,
    queues: Mutex<BTreeMap<QueueName, Arc<Inner>>>,
    moves: MoveTasks,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<QueueName, Arc<Inner>>> {
        self.queues
            .lock()
            .expect("nothing panics while it holds the lock")
    }

    fn queue(&self, name: &QueueName) -> Option<Arc<Inner>> {
        self.lock().get(name).cloned()
    }

    fn url(&self, name: &QueueName) -> String {
        format!("{}/{ACCOUNT}/{name}", self.endpoint_base)
    }
}

impl Sqs {
    /// Queues whose URLs begin with `endpoint_base`, such as `http://127.0.0.1:7001`.
    ///
    /// With a directory, which is made if need be, the queues that left their journals there are
    /// open again, and every message in them is visible at once: those who had received any are
    /// gone with the old process. Fails when a journal cannot be read or rewritten.
    pub fn new(endpoint_base: String, directory: Option<PathBuf>) -> anyhow::Result<Self> {
        let mut queues = BTreeMap::new();
        if let Some(directory) = &directory {
            let place = || format!("the queues' directory {}", directory.display());
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
        let queues = Mutex::new(queues);
        let moves = MoveTasks::default();
        Ok(Self {
            shared: Arc::new(Shared {
                endpoint_base,
                directory,
                queues,
                moves,
            }),
        })
    }

    /// Makes a queue, or gives the one of this name these attributes. A dead letter queue must
    /// be there before the queue that names it.
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
        let inner = self.shared.queue(&name.parse().ok()?)?;
        Some(self.handle(inner))
    }

    /// All queues, by name.
    pub fn queues(&self) -> Vec<Queue> {
        let queues: Vec<Arc<Inner>> = self.shared.lock().values().cloned().collect();
        queues.into_iter().map(|inner| self.handle(inner)).collect()
    }

    /// The queue of this name as it is, or a new one with these attributes.
    fn open_or_create(&self, name: &QueueName, attributes: QueueAttributes) -> Result<Queue, SqsError> {
        if let Some(inner) = self.shared.queue(name) {
            return Ok(self.handle(inner));
        }
        self.check_redrive(name, &attributes)?;
        let now = Timestamp::now();
        let settings = Settings {
            attributes,
            created: now,
            modified: now,
        };
        let mut queues = self.shared.lock();
        if let Some(inner) = queues.get(name) {
            return Ok(self.handle(Arc::clone(inner)));
        }
        let journal = match &self.shared.directory {
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

    fn check_redrive(&self, name: &QueueName, attributes: &QueueAttributes) -> Result<(), SqsError> {
        let Some(redrive) = &attributes.redrive else {
            return Ok(());
        };
        let target = &redrive.dead_letter_queue;
        if target == name || self.shared.queue(target).is_none() {
            return Err(SqsError::InvalidParameterValue(format!(
                "The dead letter queue {target} must be another queue that exists."
            )));
        }
        Ok(())
    }

    fn delete_queue(&self, name: &QueueName) -> Result<(), SqsError> {
        // Under the lock, so that a new queue of this name cannot lose its journal to this one.
        let mut queues = self.shared.lock();
        queues.remove(name).ok_or(SqsError::QueueDoesNotExist)?.delete()
    }

    fn handle(&self, inner: Arc<Inner>) -> Queue {
        Queue {
            shared: Arc::clone(&self.shared),
            inner,
        }
    }
}

/// Opens the queue of a journal, which is rewritten without its history.
fn open(path: &Path) -> anyhow::Result<Option<Inner>> {
    let stem = path
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    let name: QueueName = stem
        .parse()
        .with_context(|| format!("{} names no queue", path.display()))?;
    let Some(replayed) = journal::replay(path)? else {
        return Ok(None);
    };
    let now = Timestamp::now();
    let mut state = State::new(replayed.next_seq, rand::random());
    for (seq, message) in replayed.messages {
        state.insert(seq, message, now);
    }
    state.advance(now, replayed.settings.attributes.message_retention);
    let journal = Journal::rewrite(path.to_owned(), &replayed.settings, state.messages())
        .with_context(|| format!("rewrite {}", path.display()))?;
    Ok(Some(Inner::new(name, replayed.settings, state, Some(journal))))
}

#[cfg(test)]
mod tests;
