//! The queues of a stack.

use std::time::Duration;

use crate::settings;
use crate::sqs::{Queue, QueueAttributes, Redrive, Sqs};

pub(super) struct Queues {
    pub(super) main: Queue,
    pub(super) dead_letters: Queue,
    pub(super) pipe_dead_letters: Queue,
    /// Where there are quests.
    pub(super) rewards: Option<RewardsQueues>,
}

pub(super) struct RewardsQueues {
    pub(super) main: Queue,
    pub(super) dead_letters: Queue,
    pub(super) pipe_dead_letters: Queue,
}

pub(super) fn create_queues(
    sqs: &Sqs,
    visibility_timeout: Duration,
    has_quests: bool,
) -> anyhow::Result<Queues> {
    let kept = QueueAttributes {
        message_retention: settings::MESSAGE_RETENTION,
        ..QueueAttributes::default()
    };
    let with_dead_letters = |name: &str| -> anyhow::Result<(Queue, Queue)> {
        let dead_letters = sqs.create_queue(&format!("{name}-dlq"), kept.clone())?;
        let attributes = QueueAttributes {
            visibility_timeout,
            redrive: Some(Redrive {
                dead_letter_queue: dead_letters.name().clone(),
                max_receive_count: settings::MAX_RECEIVES,
            }),
            ..kept.clone()
        };
        Ok((sqs.create_queue(name, attributes)?, dead_letters))
    };
    let (main, dead_letters) = with_dead_letters("podium-activities")?;
    let rewards = has_quests.then(|| -> anyhow::Result<RewardsQueues> {
        let (main, dead_letters) = with_dead_letters("podium-rewards")?;
        Ok(RewardsQueues {
            main,
            dead_letters,
            pipe_dead_letters: sqs.create_queue("podium-facts-pipe-dlq", kept.clone())?,
        })
    });
    Ok(Queues {
        main,
        dead_letters,
        pipe_dead_letters: sqs.create_queue("podium-pipe-dlq", kept.clone())?,
        rewards: rewards.transpose()?,
    })
}
