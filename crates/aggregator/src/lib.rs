//! Counts the activities that the queue delivers, each exactly once. Every message gets its own verdict:
//! counted, deferred to a later delivery, or sent to the DLQ because it can never be counted.

pub mod batch;
mod config;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use queue::Queues;
use store::count::StandingCount;
use store::counting::Used;
use store::erasures::Erasures;
use store::{Counting, Generations, StoreError};
use telemetry::{Meter, Metric};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use batch::Batch;
pub use config::Config;

/// Concurrent updates for the heartbeats of one batch.
const HEARTBEATS_AT_ONCE: usize = 4;

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
        let counting = Counting::new(&client, config.tables, config.rules);
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
        let deadline = queue::report_at(deadline);
        // Every invocation reads the generations. Cached ones might lack a generation that was begun before
        // these activities were recorded.
        // Boxed, like the counting: the compiler refuses futures that are nested too deeply.
        let generations = Box::pin(self.generations(now)).await;
        let known = generations.as_ref().ok();
        let first = known.and_then(|known| known.rules(known.counted().next()?));
        let mut batch = Batch::sort(
            &event.records,
            first.unwrap_or(self.counting.rules()),
            known.map_or(&Erasures::default(), |known| &known.erasures),
        );
        let (counts, used) = match generations {
            Ok(generations) => {
                self.count_heartbeats(&mut batch, &generations, now).await;
                let mut counts = self.counts(&batch, &generations);
                let used = Box::pin(self.counting.count(&mut counts, now, deadline)).await;
                (counts, used)
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
                (Vec::new(), Used::default())
            }
        };
        batch.conclude_all(counts.iter().map(|count| count.results.as_slice()));
        let dead = self.queues.settle(&mut batch.verdicts).await;

        let retries = counts.iter().map(|count| count.retries).sum::<usize>();
        let mut values = vec![
            (Metric::StandingsReadUnits, used.standings_read_units),
            (Metric::StandingsWriteUnits, used.standings_write_units),
            (Metric::DedupReadUnits, used.dedup_read_units),
            (Metric::DedupWriteUnits, used.dedup_write_units),
            (Metric::Retries, as_float(retries)),
            (Metric::BatchSize, as_float(event.records.len())),
            (Metric::Applied, as_float(batch.applied)),
            (Metric::Duplicates, as_float(batch.duplicates)),
            (Metric::DeadLettered, as_float(dead)),
            (Metric::Deferred, as_float(batch.verdicts.deferred.len())),
        ];
        if batch.erased > 0 {
            values.push((Metric::Erased, as_float(batch.erased)));
        }
        if let Some(received_first) = batch.received_first {
            let waited = Timestamp::now().duration_since(received_first).as_millis_f64();
            values.push((Metric::CountedAfter, waited));
        }
        self.meter.emit(now, &values);
        batch.verdicts.response()
    }

    /// What to count into the standings of each generation. Those of the live one come first.
    fn counts(&self, batch: &Batch<'_>, generations: &Generations) -> Vec<StandingCount> {
        let counted = generations.counted();
        let counts = counted.flat_map(|generation| {
            let rules = generations.rules(generation).unwrap_or(self.counting.rules());
            batch.counts(generation, rules)
        });
        counts.collect()
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

#[expect(clippy::cast_precision_loss, reason = "counts within one invocation")]
fn as_float(count: usize) -> f64 {
    count as f64
}
