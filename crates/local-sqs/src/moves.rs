//! Move tasks: which redrives of a dead-letter queue run or have ended.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use uuid::Uuid;

use crate::attributes::QueueName;
use crate::error::SqsError;
use crate::timestamp::Timestamp;

/// How many tasks are remembered for each queue, as on AWS.
pub(crate) const MAX_TASKS_LISTED: usize = 10;
/// The highest rate that a task may ask for, in messages per second.
pub(crate) const MAX_RATE: u32 = 500;

/// The tasks of each dead-letter queue, the newest last.
#[derive(Debug, Default)]
pub(crate) struct MoveTasks(Mutex<BTreeMap<QueueName, Vec<MoveTask>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TaskId(pub(crate) Uuid);

#[derive(Clone, Debug)]
pub(crate) struct MoveTask {
    pub(crate) id: TaskId,
    pub(crate) destination: Option<QueueName>,
    /// Messages per second.
    pub(crate) rate: Option<u32>,
    pub(crate) status: Status,
    pub(crate) moved: usize,
    pub(crate) to_move: usize,
    pub(crate) started: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Running,
    Completed,
    Cancelled,
    Failed(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// A message was sent to the dead-letter queue directly, so there is no queue to return it to.
    UnknownSource,
    /// The destination no longer exists.
    NoDestination,
    Journal,
}

impl MoveTasks {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<QueueName, Vec<MoveTask>>> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }

    /// Up to `max` tasks, the newest first.
    pub(crate) fn list(&self, source: &QueueName, max: usize) -> Vec<MoveTask> {
        let tasks = self.lock();
        let newest_first = tasks.get(source).into_iter().flatten().rev();
        newest_first.take(max).cloned().collect()
    }

    pub(crate) fn begin(&self, source: &QueueName, task: MoveTask) -> Result<(), SqsError> {
        let mut tasks = self.lock();
        let tasks = tasks.entry(source.clone()).or_default();
        if tasks.iter().any(|task| task.status == Status::Running) {
            return Err(SqsError::InvalidParameterValue(
                "There is already a task running on this queue.".to_owned(),
            ));
        }
        if tasks.len() >= MAX_TASKS_LISTED {
            tasks.remove(0);
        }
        tasks.push(task);
        Ok(())
    }

    pub(crate) fn with<T>(
        &self,
        source: &QueueName,
        id: TaskId,
        change: impl FnOnce(&mut MoveTask) -> T,
    ) -> Option<T> {
        let mut tasks = self.lock();
        tasks
            .get_mut(source)?
            .iter_mut()
            .find(|task| task.id == id)
            .map(change)
    }

    /// Cancels a running task, and returns how many messages it has moved.
    pub(crate) fn cancel(&self, source: &QueueName, id: TaskId) -> Result<usize, SqsError> {
        let moved = self.with(source, id, |task| {
            let running = task.status == Status::Running;
            running.then(|| {
                task.status = Status::Cancelled;
                task.moved
            })
        });
        match moved {
            Some(Some(moved)) => Ok(moved),
            Some(None) => Err(SqsError::InvalidParameterValue(
                "Only running tasks can be cancelled.".to_owned(),
            )),
            None => Err(SqsError::ResourceNotFound("There is no such task.".to_owned())),
        }
    }
}
