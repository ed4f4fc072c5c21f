//! Counts what the queue delivers, each activity exactly once. Every message gets its own verdict:
//! counted, never countable and so a dead letter, or to be delivered again.

mod config;
mod queue;

use std::collections::HashMap;
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use domain::{Activity, ActivityId, ScoringPolicy, UserId};
use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;
use store::apply::{Counted, Counting, GroupReport};
use store::plan::{Countable, groups};
use store::stream::{Streamed, parse};
use telemetry::{Meter, Metric};
use tokio::time::Instant;

pub use config::{Config, MarkerLifetime};
use queue::DeadLetter;
pub use queue::Queues;

/// Transactions of one batch that are under way at once. They meet only at the control totals.
const TRANSACTIONS_AT_ONCE: usize = 4;
/// Kept free at the end of an invocation to say what was not counted.
const REPORT_MARGIN: Duration = Duration::from_secs(3);

pub struct Aggregator {
    counting: Counting,
    policy: ScoringPolicy,
    queues: Queues,
    meter: Meter,
}

type Key = (UserId, ActivityId);

/// A batch, sorted by what is to be done with its messages.
#[derive(Default)]
struct Batch<'a> {
    countable: Vec<Countable>,
    /// The messages that ask for an activity to be counted, several where it was delivered twice,
    /// and when it was received.
    messages: HashMap<Key, (Vec<&'a SqsMessage>, Timestamp)>,
    heartbeats: Vec<(&'a SqsMessage, Timestamp)>,
    dead: Vec<DeadLetter<'a>>,
    deferred: Vec<&'a SqsMessage>,
}

impl Aggregator {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let aws = store::aws::config_from_env()?;
        let counting = Counting::new(aws_sdk_dynamodb::Client::new(&aws), config.counting());
        let queues = Queues {
            client: aws_sdk_sqs::Client::new(&aws),
            queue_url: config.queue_url,
            dead_letter_queue_url: config.dead_letter_queue_url,
        };
        Ok(Self::new(counting, config.scoring_policy, queues))
    }

    pub fn new(counting: Counting, policy: ScoringPolicy, queues: Queues) -> Self {
        Self {
            counting,
            policy,
            queues,
            meter: Meter::from_env("aggregator"),
        }
    }

    /// Counts a batch at `now`. Returns the messages that are to be delivered again, before
    /// `deadline`.
    pub async fn handle(&self, event: SqsEvent, now: Timestamp, deadline: Instant) -> SqsBatchResponse {
        let deadline = deadline.checked_sub(REPORT_MARGIN).unwrap_or(deadline);
        let mut batch = self.sort(&event.records, now);
        let reports = self
            .count(std::mem::take(&mut batch.countable), now, deadline)
            .await;
        self.count_heartbeats(&mut batch, now).await;
        let mut duplicates = 0;
        let mut applied = 0;
        let mut received_first = None;
        for ((user, id), counted) in reports.iter().flat_map(|report| report.results.clone()) {
            let Some((messages, received_at)) = batch.messages.remove(&(user, id)) else {
                continue;
            };
            match counted {
                Counted::Applied => {
                    applied += 1;
                    duplicates += messages.len() - 1;
                    received_first =
                        Some(received_first.map_or(received_at, |first: Timestamp| first.min(received_at)));
                }
                Counted::Duplicate => duplicates += messages.len(),
                Counted::Impossible(reason) => {
                    let letter = |message| DeadLetter {
                        message,
                        code: "not_countable",
                        reason: reason.clone(),
                    };
                    batch.dead.extend(messages.into_iter().map(letter));
                }
                Counted::Later(reason) => {
                    tracing::warn!(
                        reason,
                        "An activity could not be counted now and will be delivered again."
                    );
                    batch.deferred.extend(messages);
                }
            }
        }
        for letter in &batch.dead {
            tracing::error!(
                code = letter.code,
                reason = letter.reason,
                message_id = letter.message.message_id,
                "A message can never be counted and goes to the dead-letter queue."
            );
        }
        let dead = batch.dead.len();
        batch.deferred.extend(self.queues.bury(batch.dead).await);
        self.queues.defer(&batch.deferred).await;

        let mut values = measured(&reports);
        values.extend([
            (Metric::BatchSize, as_float(event.records.len())),
            (Metric::Applied, as_float(applied)),
            (Metric::Duplicates, as_float(duplicates)),
            (Metric::DeadLettered, as_float(dead)),
            (Metric::Deferred, as_float(batch.deferred.len())),
        ]);
        if let Some(received_first) = received_first {
            let waited = Timestamp::now().duration_since(received_first).as_millis_f64();
            values.push((Metric::CountedAfter, waited));
        }
        self.meter.emit(now, &values);
        failures(&batch.deferred)
    }

    fn sort<'a>(&self, records: &'a [SqsMessage], now: Timestamp) -> Batch<'a> {
        let mut batch = Batch::default();
        for message in records {
            match parse(message.body.as_deref().unwrap_or_default()) {
                Ok(Streamed::Heartbeat { sent_at }) => batch.heartbeats.push((message, sent_at)),
                Ok(Streamed::Activity {
                    activity,
                    received_at,
                }) => match self.score(&activity, now) {
                    Ok(countable) => {
                        let key = (activity.user, activity.id);
                        let (messages, _) = batch
                            .messages
                            .entry(key)
                            .or_insert_with(|| (Vec::new(), received_at));
                        if messages.is_empty() {
                            batch.countable.push(countable);
                        }
                        messages.push(message);
                    }
                    Err(reason) => batch.dead.push(DeadLetter {
                        message,
                        code: "not_scored",
                        reason,
                    }),
                },
                Err(error) => batch.dead.push(DeadLetter {
                    message,
                    code: error.code,
                    reason: error.detail,
                }),
            }
        }
        batch
    }

    fn score(&self, activity: &Activity, now: Timestamp) -> Result<Countable, String> {
        let points = self
            .policy
            .points(&activity.kind, activity.occurred_at)
            .map_err(|error| error.to_string())?;
        Ok(Countable {
            user: activity.user.clone(),
            program: activity.program.clone(),
            id: activity.id.clone(),
            points,
            periods: self.counting.calendar().counted_in(activity.occurred_at, now),
        })
    }

    async fn count(&self, countable: Vec<Countable>, now: Timestamp, deadline: Instant) -> Vec<GroupReport> {
        stream::iter(groups(countable))
            .map(|group| self.counting.count(group, now, deadline))
            .buffer_unordered(TRANSACTIONS_AT_ONCE)
            .collect()
            .await
    }

    /// Of several heartbeats only the last says something.
    async fn count_heartbeats(&self, batch: &mut Batch<'_>, now: Timestamp) {
        let Some(last) = batch.heartbeats.iter().map(|(_, sent_at)| *sent_at).max() else {
            return;
        };
        if let Err(error) = self.counting.count_heartbeat(last, now).await {
            tracing::warn!(%error, "A heartbeat could not be counted and will be delivered again.");
            batch
                .deferred
                .extend(batch.heartbeats.iter().map(|(message, _)| *message));
        }
    }
}

fn measured(reports: &[GroupReport]) -> Vec<(Metric, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "counts within one batch")]
    let count = |of: fn(&GroupReport) -> u64| reports.iter().map(of).sum::<u64>() as f64;
    // Of nothing, `sum` makes -0.
    let sum = |of: fn(&GroupReport) -> f64| reports.iter().map(of).fold(0.0, |sum, units| sum + units);
    vec![
        (Metric::Transactions, count(|report| report.transactions)),
        (Metric::Conflicts, count(|report| report.conflicts)),
        (Metric::Retries, count(|report| report.retries)),
        (Metric::DedupWriteUnits, sum(|report| report.dedup_write_units)),
        (
            Metric::StandingsWriteUnits,
            sum(|report| report.standings_write_units),
        ),
    ]
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts within one batch of at most 10,000"
)]
fn as_float(count: usize) -> f64 {
    count as f64
}

fn failures(deferred: &[&SqsMessage]) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    response.batch_item_failures = deferred
        .iter()
        .map(|message| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message.message_id.clone().unwrap_or_default();
            failure
        })
        .collect();
    response
}
