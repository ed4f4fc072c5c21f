//! Move tasks: the redrive of a dead letter queue to where its messages came from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use super::Sqs;
use super::attributes::QueueName;
use super::error::SqsError;
use super::message::MessageId;
use super::queue::Inner;
use super::state::{Message, Seq};
use super::timestamp::Timestamp;

/// The ended tasks that are remembered per queue, as on AWS.
pub(super) const MAX_TASKS_LISTED: usize = 10;
/// The highest rate one may ask for, in messages a second.
pub(super) const MAX_RATE: u32 = 500;

/// Messages moved in one step when no rate is asked for.
const CHUNK: usize = 100;
/// Steps a second when a rate is asked for, so that a timer's granularity does not matter.
const STEPS_PER_SECOND: u32 = 10;

/// The tasks of each dead letter queue, the newest last.
#[derive(Debug, Default)]
pub(super) struct MoveTasks(Mutex<BTreeMap<QueueName, Vec<MoveTask>>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TaskId(pub(super) Uuid);

#[derive(Clone, Debug)]
pub(super) struct MoveTask {
    pub(super) id: TaskId,
    pub(super) destination: Option<QueueName>,
    /// Messages a second.
    pub(super) rate: Option<u32>,
    pub(super) status: Status,
    pub(super) moved: usize,
    pub(super) to_move: usize,
    pub(super) started: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Status {
    Running,
    Completed,
    Cancelled,
    Failed(Failure),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// A message was sent to the dead letter queue directly, so it has no queue to go back to.
    UnknownSource,
    /// The queue to move to is gone.
    NoDestination,
    Journal,
}

impl MoveTasks {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<QueueName, Vec<MoveTask>>> {
        self.0.lock().expect("nothing panics while it holds the lock")
    }

    /// The newest first.
    pub(super) fn list(&self, source: &QueueName, max: usize) -> Vec<MoveTask> {
        let tasks = self.lock();
        let newest_first = tasks.get(source).into_iter().flatten().rev();
        newest_first.take(max).cloned().collect()
    }

    fn begin(&self, source: &QueueName, task: MoveTask) -> Result<(), SqsError> {
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

    fn with<T>(&self, source: &QueueName, id: TaskId, change: impl FnOnce(&mut MoveTask) -> T) -> Option<T> {
        let mut tasks = self.lock();
        tasks
            .get_mut(source)?
            .iter_mut()
            .find(|task| task.id == id)
            .map(change)
    }

    /// Stops a running task, and says how many messages it moved.
    pub(super) fn cancel(&self, source: &QueueName, id: TaskId) -> Result<usize, SqsError> {
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

impl Sqs {
    /// Begins to move what is visible in `source` now, to `destination` or, without one, each
    /// message to the queue whose dead letter it is.
    pub(super) fn start_move(
        &self,
        source: Arc<Inner>,
        destination: Option<QueueName>,
        rate: Option<u32>,
    ) -> Result<TaskId, SqsError> {
        let now = Timestamp::now();
        let id = TaskId(Uuid::new_v4());
        // What fails again while the task runs comes back behind this mark, so the task ends.
        let (before, to_move) = source.movable(now);
        let task = MoveTask {
            id,
            destination: destination.clone(),
            rate,
            status: Status::Running,
            moved: 0,
            to_move,
            started: now,
        };
        self.shared.moves.begin(&source.name, task)?;
        let sqs = self.clone();
        tokio::spawn(async move {
            let status = sqs
                .run_move(id, &source, destination.as_ref(), rate, before)
                .await;
            sqs.shared.moves.with(&source.name, id, |task| {
                if task.status == Status::Running {
                    task.status = status;
                }
            });
        });
        Ok(id)
    }

    async fn run_move(
        &self,
        id: TaskId,
        source: &Inner,
        destination: Option<&QueueName>,
        rate: Option<u32>,
        before: Seq,
    ) -> Status {
        let (chunk, pause) = match rate {
            Some(rate) => {
                let chunk = rate.div_ceil(STEPS_PER_SECOND);
                (chunk as usize, Duration::from_secs(1) * chunk / rate)
            }
            None => (CHUNK, Duration::ZERO),
        };
        loop {
            let running = |task: &mut MoveTask| task.status == Status::Running;
            if self.shared.moves.with(&source.name, id, running) != Some(true) {
                return Status::Cancelled;
            }
            let taken = source.take_for_move(chunk, before);
            if taken.is_empty() {
                return Status::Completed;
            }
            let count = taken.len();
            if let Err(failure) = self.move_chunk(source, destination, taken) {
                return Status::Failed(failure);
            }
            self.shared
                .moves
                .with(&source.name, id, |task| task.moved += count);
            sleep(pause).await;
        }
    }

    /// Moves messages group by group. On a failure those that are not moved stay.
    fn move_chunk(
        &self,
        source: &Inner,
        destination: Option<&QueueName>,
        taken: Vec<(Seq, Message)>,
    ) -> Result<(), Failure> {
        let mut groups: BTreeMap<Option<QueueName>, Vec<(Seq, Message)>> = BTreeMap::new();
        for (seq, message) in taken {
            let target = destination.or(message.dead_letter_source.as_ref()).cloned();
            groups.entry(target).or_default().push((seq, message));
        }
        let mut outcome = Ok(());
        for (target, group) in groups {
            let now = Timestamp::now();
            let (seqs, messages): (Vec<Seq>, Vec<Message>) = group.into_iter().unzip();
            let renewed = messages
                .into_iter()
                .map(|message| renewed(message, now))
                .collect();
            match self.hand_over(target.as_ref(), renewed, now) {
                Ok(()) => source.let_go(seqs),
                Err(failure) => {
                    source.keep(&seqs);
                    outcome = Err(failure);
                }
            }
        }
        outcome
    }

    fn hand_over(
        &self,
        target: Option<&QueueName>,
        messages: Vec<Message>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        let target = target.ok_or(Failure::UnknownSource)?;
        let queue = self.shared.queue(target).ok_or(Failure::NoDestination)?;
        queue.accept(messages, now).map_err(|error| match error {
            SqsError::QueueDoesNotExist => Failure::NoDestination,
            _ => Failure::Journal,
        })
    }
}

/// On AWS a redriven message is a new one: a new id, and a retention that starts again.
fn renewed(message: Message, now: Timestamp) -> Message {
    Message {
        id: MessageId::random(),
        content: message.content,
        sent: now,
        first_received: None,
        receive_count: 0,
        dead_letter_source: None,
        delayed_until: None,
    }
}
