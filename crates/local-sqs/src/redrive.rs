//! Running a move task: the redrive of a dead-letter queue to where its messages came from.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use uuid::Uuid;

use crate::attributes::QueueName;
use crate::error::SqsError;
use crate::inner::Inner;
use crate::message::{MessageId, Seq};
use crate::moves::{Failure, MoveTask, Status, TaskId};
use crate::sqs::Sqs;
use crate::state::Message;
use crate::timestamp::Timestamp;

/// Messages moved in one step if the task has no rate.
const CHUNK: usize = 100;
/// Steps per second if the task has a rate, so that the granularity of timers does not matter.
const STEPS_PER_SECOND: u32 = 10;

impl Sqs {
    /// Starts to move the messages now visible in `source` to `destination`. Without a destination,
    /// each message returns to the queue that it came from.
    pub(crate) fn start_move(
        &self,
        source: Arc<Inner>,
        destination: Option<QueueName>,
        rate: Option<u32>,
    ) -> Result<TaskId, SqsError> {
        let now = Timestamp::now();
        let id = TaskId(Uuid::new_v4());
        // Messages that fail again meanwhile come back after this mark, so the task ends.
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
        self.queues.moves.begin(&source.name, task)?;
        let sqs = self.clone();
        tokio::spawn(async move {
            let status = sqs
                .run_move(id, &source, destination.as_ref(), rate, before)
                .await;
            sqs.queues.moves.with(&source.name, id, |task| {
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
            if self.queues.moves.with(&source.name, id, running) != Some(true) {
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
            self.queues
                .moves
                .with(&source.name, id, |task| task.moved += count);
            sleep(pause).await;
        }
    }

    /// Moves messages, grouped by destination. Messages that could not be moved stay.
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
        let queue = self.queues.queue(target).ok_or(Failure::NoDestination)?;
        queue.accept(messages, now).map_err(|error| match error {
            SqsError::QueueDoesNotExist => Failure::NoDestination,
            _ => Failure::Journal,
        })
    }
}

/// As on AWS, a redriven message gets a new id and a new retention period.
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
