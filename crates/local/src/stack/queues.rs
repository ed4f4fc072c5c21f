//! The queues of a stack.

use super::config::{StackConfig, Webhook};
use crate::settings;
use crate::sqs::{Queue, QueueAttributes, Redrive, Sqs};

pub(super) struct Queues {
    pub(super) main: Queue,
    pub(super) dead_letters: Queue,
    pub(super) pipe_dead_letters: Queue,
    /// From which ingest takes activities.
    pub(super) events: Queue,
    pub(super) events_dead_letters: Queue,
    /// Where there are quests.
    pub(super) rewards: Option<RewardsQueues>,
    /// Where there are webhooks.
    pub(super) notices: Option<NoticesQueues>,
}

pub(super) struct NoticesQueues {
    pub(super) webhooks: Vec<WebhookQueues>,
    pub(super) pipe_dead_letters: Queue,
}

/// The queue of a webhook, and its DLQ.
pub(super) struct WebhookQueues {
    pub(super) webhook: Webhook,
    pub(super) main: Queue,
    pub(super) dead_letters: Queue,
}

pub(super) struct RewardsQueues {
    pub(super) main: Queue,
    pub(super) dead_letters: Queue,
    pub(super) pipe_dead_letters: Queue,
}

pub(super) fn create_queues(sqs: &Sqs, config: &StackConfig) -> anyhow::Result<Queues> {
    let kept = QueueAttributes {
        message_retention: settings::MESSAGE_RETENTION,
        ..QueueAttributes::default()
    };
    let with_dead_letters = |name: &str| -> anyhow::Result<(Queue, Queue)> {
        let dead_letters = sqs.create_queue(&format!("{name}-dlq"), kept.clone())?;
        let attributes = QueueAttributes {
            visibility_timeout: config.visibility_timeout,
            redrive: Some(Redrive {
                dead_letter_queue: dead_letters.name().clone(),
                max_receive_count: settings::MAX_RECEIVES,
            }),
            ..kept.clone()
        };
        Ok((sqs.create_queue(name, attributes)?, dead_letters))
    };
    let (main, dead_letters) = with_dead_letters("podium-activities")?;
    let (events, events_dead_letters) = with_dead_letters("podium-events")?;
    let rewards = config.quests.is_some().then(|| -> anyhow::Result<RewardsQueues> {
        let (main, dead_letters) = with_dead_letters("podium-rewards")?;
        Ok(RewardsQueues {
            main,
            dead_letters,
            pipe_dead_letters: sqs.create_queue("podium-facts-pipe-dlq", kept.clone())?,
        })
    });
    let webhooks = config.webhooks.iter().map(|webhook| {
        let (main, dead_letters) = with_dead_letters(&format!("podium-webhook-{}", webhook.id))?;
        anyhow::Ok(WebhookQueues {
            webhook: webhook.clone(),
            main,
            dead_letters,
        })
    });
    let webhooks: Vec<_> = webhooks.collect::<Result<_, _>>()?;
    let notices = (!webhooks.is_empty()).then(|| -> anyhow::Result<NoticesQueues> {
        Ok(NoticesQueues {
            webhooks,
            pipe_dead_letters: sqs.create_queue("podium-coins-pipe-dlq", kept.clone())?,
        })
    });
    Ok(Queues {
        main,
        dead_letters,
        pipe_dead_letters: sqs.create_queue("podium-pipe-dlq", kept.clone())?,
        events,
        events_dead_letters,
        rewards: rewards.transpose()?,
        notices: notices.transpose()?,
    })
}
