//! Counts the activities that the queue delivers, each exactly once. Every message gets its own verdict:
//! counted, deferred to a later delivery, or sent to the DLQ because it can never be counted.

pub mod batch;
mod config;
mod queue;

use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent, SqsMessage};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use store::apply::{Counting, GroupReport};
use store::plan::PlanContext;
use store::{Generations, StoreError};
use telemetry::{Meter, Metric};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use batch::Batch;
pub use config::Config;
pub use queue::Queues;

/// Concurrent transactions of one batch. They conflict only at the control totals.
const TRANSACTIONS_AT_ONCE: usize = 4;
/// Concurrent updates for the heartbeats of one batch.
const HEARTBEATS_AT_ONCE: usize = 4;
/// Reserved at the end of an invocation to report what was not counted.
const REPORT_MARGIN: Duration = Duration::from_secs(3);

pub struct Aggregator {
    counting: Counting,
    queues: Queues,
    meter: Meter,
    rules_settled: OnceCell<()>,
}

impl Aggregator {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let aws = store::aws::config_from_env()?;
        let client = aws_sdk_dynamodb::Client::new(&aws);
        let counting = Counting::new(client, config.tables, config.rules);
        let queues = Queues {
            client: aws_sdk_sqs::Client::new(&aws),
            queue_url: config.queue_url,
            dead_letter_queue_url: config.dead_letter_queue_url,
        };
        Ok(Self::new(counting, queues))
    }

    pub fn new(counting: Counting, queues: Queues) -> Self {
        Self {
            counting,
            queues,
            meter: Meter::from_env("aggregator"),
            rules_settled: OnceCell::new(),
        }
    }

    /// Counts a batch at `now`, and returns before `deadline` which messages must be delivered again.
    pub async fn handle(&self, event: SqsEvent, now: Timestamp, deadline: Instant) -> SqsBatchResponse {
        let deadline = deadline.checked_sub(REPORT_MARGIN).unwrap_or(deadline);
        // Every invocation reads the generations. Cached ones might lack a generation that was begun before
        // these activities were recorded.
        // Boxed, like the counting: the compiler refuses futures that are nested too deeply.
        let generations = Box::pin(self.generations(now)).await;
        let live = generations
            .as_ref()
            .ok()
            .and_then(|known| known.rules(known.live));
        let mut batch = Batch::sort(&event.records, live.unwrap_or(self.counting.rules()));
        let reports = match generations {
            Ok(generations) => {
                self.count_heartbeats(&mut batch, &generations, now).await;
                Box::pin(self.count(&batch, &generations, now, deadline)).await
            }
            Err(error) => {
                let causes = error.with_causes();
                match error {
                    StoreError::Corrupt { .. } => tracing::error!(
                        error = causes,
                        "The generations cannot be decoded. No batch is counted until an operator repairs them."
                    ),
                    StoreError::Unavailable { .. } => tracing::warn!(
                        error = causes,
                        "The generations could not be read. The whole batch will be delivered again."
                    ),
                }
                batch.defer_all(&error.to_string());
                Vec::new()
            }
        };
        batch.conclude_all(reports.iter().map(|report| report.results.as_slice()));
        batch.log();
        let dead = batch.dead.len();
        let dead_letters = std::mem::take(&mut batch.dead);
        batch.deferred.extend(self.queues.send_to_dlq(dead_letters).await);
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

    /// Counts into each generation by separate transactions, since an activity may already be counted in
    /// one of them. The reports of the live one come first.
    async fn count(
        &self,
        batch: &Batch<'_>,
        generations: &Generations,
        now: Timestamp,
        deadline: Instant,
    ) -> Vec<GroupReport> {
        let planned = generations.counted().flat_map(|generation| {
            let rules = generations.rules(generation).unwrap_or(self.counting.rules());
            let context = PlanContext::new(rules, generation, now);
            let groups = batch.groups(rules, now).into_iter();
            groups.map(move |group| (generation != generations.live, group, context.clone()))
        });
        let mut reports: Vec<(bool, GroupReport)> = stream::iter(planned)
            .map(async |(is_building, group, context)| {
                (is_building, self.counting.count(group, context, deadline).await)
            })
            // Unordered, so that a group with conflicts does not delay the others.
            .buffer_unordered(TRANSACTIONS_AT_ONCE)
            .collect()
            .await;
        reports.sort_by_key(|(is_building, _)| *is_building);
        reports.into_iter().map(|(_, report)| report).collect()
    }

    async fn count_heartbeats(&self, batch: &mut Batch<'_>, generations: &Generations, now: Timestamp) {
        let latest = batch.latest_heartbeats();
        let updates = generations.counted().flat_map(|generation| {
            latest
                .iter()
                .map(move |(lane, sent_at)| (generation, *lane, *sent_at))
        });
        let counted: Result<(), StoreError> = stream::iter(updates)
            .map(|(generation, lane, sent_at)| self.counting.count_heartbeat(lane, sent_at, generation, now))
            .buffer_unordered(HEARTBEATS_AT_ONCE)
            .try_collect()
            .await;
        if let Err(error) = counted {
            tracing::warn!(
                kind = error.kind(),
                error = error.with_causes(),
                "The heartbeats of a batch could not be counted."
            );
            batch.defer_heartbeats("a heartbeat could not be counted");
        }
    }

    /// Reads the generations. The first call of a process also settles their rules, since its
    /// configuration may be new.
    async fn generations(&self, now: Timestamp) -> Result<Generations, StoreError> {
        let settle = async || {
            let settled = self.counting.settle_rules(now).await?;
            let pending = settled.pending();
            if !pending.is_empty() {
                tracing::warn!(
                    generation = %settled.live,
                    settings = pending.join(", "),
                    "The configured rules differ from those of the counts, which stay in force. Recount \
                     everything by the configured ones with `podium rebuild run`, or configure the former ones."
                );
            }
            Ok(())
        };
        self.rules_settled.get_or_try_init(settle).await?;
        self.counting.generations().await
    }
}

fn measured(reports: &[GroupReport]) -> Vec<(Metric, f64)> {
    #[expect(clippy::cast_precision_loss, reason = "counts within one batch")]
    let count = |of: fn(&GroupReport) -> u64| reports.iter().map(of).sum::<u64>() as f64;
    // `sum` of nothing would be -0.
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
