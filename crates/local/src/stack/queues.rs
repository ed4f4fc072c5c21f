//! The queues of a stack.

use std::time::Duration;

use crate::settings;
use crate::sqs::{Queue, QueueAttributes, Redrive, Sqs};

pub(super) struct Queues {
    pub(super) main: Queue,
    pub(super) dead_letters: Queue,
    pub(super) pipe_dead_letters: Queue,
}

pub(super) fn create_queues(sqs: &Sqs, visibility_timeout: Duration) -> anyhow::Result<Queues> {
    let kept = QueueAttributes {
        message_retention: settings::MESSAGE_RETENTION,
        ..QueueAttributes::default()
    };
    let dead_letters = sqs.create_queue("podium-activities-dlq", kept.clone())?;
    let pipe_dead_letters = sqs.create_queue("podium-pipe-dlq", kept.clone())?;
    let main = sqs.create_queue(
        "podium-activities",
        QueueAttributes {
            visibility_timeout,
            redrive: Some(Redrive {
                dead_letter_queue: dead_letters.name().clone(),
                max_receive_count: settings::MAX_RECEIVES,
            }),
            ..kept
        },
    )?;
    Ok(Queues {
        main,
        dead_letters,
        pipe_dead_letters,
    })
}
