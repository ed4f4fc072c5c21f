//! All queues of one process, by name.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::attributes::{ACCOUNT, QueueName};
use crate::inner::Inner;
use crate::moves::MoveTasks;

#[derive(Debug)]
pub(crate) struct Queues {
    pub(crate) endpoint_base: String,
    pub(crate) directory: Option<PathBuf>,
    pub(crate) by_name: Mutex<BTreeMap<QueueName, Arc<Inner>>>,
    pub(crate) moves: MoveTasks,
}

impl Queues {
    pub(crate) fn lock(&self) -> MutexGuard<'_, BTreeMap<QueueName, Arc<Inner>>> {
        self.by_name
            .lock()
            .expect("nothing panics while it holds the lock")
    }

    pub(crate) fn queue(&self, name: &QueueName) -> Option<Arc<Inner>> {
        self.lock().get(name).cloned()
    }

    pub(crate) fn url(&self, name: &QueueName) -> String {
        format!("{}/{ACCOUNT}/{name}", self.endpoint_base)
    }
}
