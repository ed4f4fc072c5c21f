//! Counts what the queue delivers, each activity exactly once. Every message gets its own verdict:
//! counted, never countable and so a dead letter, or to be delivered again.

pub mod batch;
mod config;
mod queue;

use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use domain::ScoringPolicy;
use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;
use store::Generations;
use store::apply::{Counting, GroupReport};
use store::plan::{Countable, groups};
use telemetry::{Meter, Metric};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use batch::{Batch, in_all_generations};
pub use config::{Config, MarkerLifetime};
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
    rules_noted: OnceCell<()>,
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
            rules_noted: OnceCell::new(),
        }
    }

    /// Counts a batch at `now`. Returns the messages that are to be delivered again, before
    /// `deadline`.
    pub async fn handle(&self, event: SqsEvent, now: Timestamp, deadline: Instant) -> SqsBatchResponse {
        let deadline = deadline.checked_sub(REPORT_MARGIN).unwrap_or(deadline);
        let mut batch = Batch::sort(&event.records, &self.policy, self.counting.calendar(), now);
        // Read anew by every invocation: what it counts may be newer than anything remembered.
        let reports = match self.counting.generations().await {
            Ok(generations) => {
                self.note_rules().await;
                self.count_heartbeats(&mut batch, &generations, now).await;
                self.count(std::mem::take(&mut batch.countable), &generations, now, deadline)
                    .await
            }
            Err(error) => {
                batch.defer_all(&error.to_string());
                Vec::new()
            }
        };
        let results = reports.iter().map(|report| report.results.as_slice());
        for (key, counted) in in_all_generations(results) {
            batch.conclude(&key, &counted);
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
            (Metric::Applied, as_float(batch.applied)),
            (Metric::Duplicates, as_float(batch.duplicates)),
            (Metric::DeadLettered, as_float(dead)),
            (Metric::Deferred, as_float(batch.deferred.len())),
        ]);
        if let Some(received_first) = batch.received_first {
            let waited = Timestamp::now().duration_since(received_first).as_millis_f64();
            values.push((Metric::CountedAfter, waited));
        }
        self.meter.emit(now, &values);
        failures(&batch.deferred)
    }

    /// Counts into each generation by transactions of its own, since an activity may be counted in one of
    /// them already. The reports of the live one come first.
    async fn count(
        &self,
        countable: Vec<Countable>,
        generations: &Generations,
        now: Timestamp,
        deadline: Instant,
    ) -> Vec<GroupReport> {
        let groups = groups(countable);
        let mut reports: Vec<(bool, GroupReport)> = stream::iter(generations.counted())
            .flat_map(|generation| stream::iter(groups.clone()).map(move |group| (generation, group)))
            .map(async |(generation, group)| {
                let report = self.counting.count(group, generation, now, deadline).await;
                (generation != generations.live, report)
            })
            // Unordered, so that a group which meets conflicts holds up no other.
            .buffer_unordered(TRANSACTIONS_AT_ONCE)
            .collect()
            .await;
        reports.sort_by_key(|(is_beside, _)| *is_beside);
        reports.into_iter().map(|(_, report)| report).collect()
    }

    /// Of several heartbeats only the last says something.
    async fn count_heartbeats(&self, batch: &mut Batch<'_>, generations: &Generations, now: Timestamp) {
        let Some(last) = batch.heartbeats.iter().map(|(_, sent_at)| *sent_at).max() else {
            return;
        };
        for generation in generations.counted() {
            if let Err(error) = self.counting.count_heartbeat(last, generation, now).await {
                tracing::warn!(%error, "A heartbeat could not be counted and will be delivered again.");
                batch
                    .deferred
                    .extend(batch.heartbeats.iter().map(|(message, _)| *message));
                return;
            }
        }
    }

    /// Once in the life of a process, since its configuration is fixed.
    async fn note_rules(&self) {
        let noted = self
            .rules_noted
            .get_or_try_init(|| self.counting.note_rules(&self.policy))
            .await;
        if let Err(error) = noted {
            tracing::warn!(%error, "The rules could not be noted; the next invocation tries again.");
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
