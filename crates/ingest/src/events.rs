//! Takes activities from the queue of events. There is no caller: whoever may send to the queue may post for anyone. Each
//! message gets its own verdict: stored, deferred to a later delivery, or sent to the DLQ because it can never be stored.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use domain::cloud_event::activity_of_message;
use jiff::Timestamp;
use queue::Verdicts;
use telemetry::Metric;
use tokio::time::Instant;

use crate::answer::{ItemStatus, Items};
use crate::{Ingest, Kept, Posted, STORE_WITHIN, as_float, received, write_units};

impl Ingest {
    /// Takes a batch at `now`, and returns before `deadline` which messages must be delivered again.
    pub async fn take(&self, event: SqsEvent, now: Timestamp, deadline: Instant) -> SqsBatchResponse {
        let records = &event.records;
        let Some(queues) = &self.queues else {
            tracing::error!(
                "QUEUE_URL is not set, so no message can be taken. They will be delivered again."
            );
            let mut verdicts = Verdicts::default();
            verdicts.defer(records.iter().collect(), "QUEUE_URL is not set");
            return verdicts.response();
        };
        let parsed = records.iter().enumerate().map(|(place, message)| {
            let body = message.body.as_deref().unwrap_or_default();
            activity_of_message(body, &self.event_mapping, &self.intake, received(now, place))
        });
        let posted = Posted {
            of: Items::EventBatch,
            items: parsed.collect(),
            by: None,
        };
        let deadline = queue::report_at(deadline).min(Instant::now() + STORE_WITHIN);
        let kept = self.store(posted, now, deadline).await;
        let mut verdicts = verdicts(records, &kept);
        let dead = queues.settle(&mut verdicts).await;

        let count = |status| kept.iter().filter(|kept| kept.result.status == status).count();
        self.emit(
            now,
            vec![
                (Metric::BatchSize, as_float(records.len())),
                (Metric::Accepted, as_float(count(ItemStatus::Accepted))),
                (Metric::Duplicates, as_float(count(ItemStatus::Duplicate))),
                (Metric::DeadLettered, as_float(dead)),
                (Metric::Deferred, as_float(verdicts.deferred.len())),
                (Metric::ActivitiesWriteUnits, write_units(&kept)),
            ],
        );
        verdicts.response()
    }
}

/// What is to be done with the messages that are not done.
fn verdicts<'a>(records: &'a [SqsMessage], kept: &[Kept]) -> Verdicts<'a> {
    assert_eq!(records.len(), kept.len(), "every message has one result");
    let mut verdicts = Verdicts::default();
    for (message, kept) in records.iter().zip(kept) {
        let detail = kept.result.error.as_ref().map(|error| error.detail.as_str());
        match kept.result.status {
            ItemStatus::Accepted | ItemStatus::Duplicate => {}
            ItemStatus::Conflict => verdicts.give_up([message], "conflict", detail.unwrap_or_default()),
            ItemStatus::Rejected | ItemStatus::Forbidden => {
                verdicts.give_up([message], "rejected", detail.unwrap_or_default());
            }
            ItemStatus::Unavailable => {
                verdicts.defer(vec![message], kept.failure.as_deref().unwrap_or_default());
            }
        }
    }
    verdicts
}
