//! Gives people the coins of quests for the facts that the queue delivers. Every message gets its own verdict: done,
//! deferred to a later delivery, or sent to the DLQ because it can never be read.

pub mod batch;
mod config;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use aws_sdk_dynamodb::Client;
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use queue::{Queues, Verdicts};
use store::erasures::Erasures;
use store::quests::InvalidQuests;
use store::reward::Rewarded;
use store::{Coins, Quests, RewardRules, Rewarding, StoreError, generations};
use telemetry::{Meter, Metric};
use tokio::sync::OnceCell;
use tokio::time::Instant;

use batch::{Batch, Person};
pub use config::Config;

/// People of a batch whose progress is read and written at once.
const PEOPLE_AT_ONCE: usize = 8;

pub struct Rewards {
    config: Config,
    client: Client,
    rewarding: Rewarding,
    coins: Coins,
    queues: Queues,
    meter: Meter,
    rules: OnceCell<RewardRules>,
}

/// Why a batch cannot be processed now.
#[derive(Debug, thiserror::Error)]
enum NotNow {
    #[error(transparent)]
    Quests(#[from] InvalidQuests),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl NotNow {
    /// Whether nothing is wrong but that the store did not answer.
    fn is_unavailable(&self) -> bool {
        let (Self::Quests(InvalidQuests::Store(error)) | Self::Store(error)) = self else {
            return false;
        };
        matches!(error, StoreError::Unavailable { .. })
    }
}

impl Rewards {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let aws = store::aws::config_from_env()?;
        let queues = aws_sdk_sqs::Client::new(&aws);
        Ok(Self::new(Client::new(&aws), queues, config))
    }

    pub fn new(client: Client, queues: aws_sdk_sqs::Client, config: Config) -> Self {
        let tables = config.tables.clone();
        Self {
            coins: Coins::new(client.clone(), tables.coins.clone()),
            rewarding: Rewarding::new(client.clone(), tables, config.final_after),
            queues: Queues {
                client: queues,
                queue_url: config.queue_url.clone(),
                dead_letter_queue_url: config.dead_letter_queue_url.clone(),
            },
            meter: Meter::from_env("rewards"),
            rules: OnceCell::new(),
            client,
            config,
        }
    }

    /// Processes a batch at `now`, and returns before `deadline` which messages must be delivered again.
    pub async fn handle(&self, event: SqsEvent, now: Timestamp, deadline: Instant) -> SqsBatchResponse {
        let deadline = queue::report_at(deadline);
        let records = &event.records;
        let (mut verdicts, mut values) = match Box::pin(self.begin()).await {
            Ok((rules, erasures)) => {
                let batch = Batch::sort(records, rules, &erasures);
                // Boxed: the compiler refuses futures that are nested too deeply.
                Box::pin(self.process(batch, rules, &erasures, now, deadline)).await
            }
            Err(error) => {
                if error.is_unavailable() {
                    tracing::warn!(
                        error = error.to_string(),
                        "The quests or the notes of erasures could not be read. The whole batch will be delivered again."
                    );
                } else {
                    tracing::error!(
                        error = error.to_string(),
                        "The quests or the notes of erasures cannot be used."
                    );
                }
                let mut verdicts = Verdicts::default();
                verdicts.defer(records.iter().collect(), &error.to_string());
                (verdicts, Vec::new())
            }
        };
        let dead = self.queues.settle(&mut verdicts).await;
        values.extend([
            (Metric::BatchSize, as_float(records.len())),
            (Metric::DeadLettered, as_float(dead)),
            (Metric::Deferred, as_float(verdicts.deferred.len())),
        ]);
        self.meter.emit(now, &values);
        verdicts.response()
    }

    /// The rules, which a process reads once, and who was erased, which every invocation reads: what was received
    /// before a note must bring nobody back.
    async fn begin(&self) -> Result<(&RewardRules, Erasures), NotNow> {
        let rules = self.rules.get_or_try_init(|| self.read_rules()).await?;
        let generations = generations::read(&self.client, &self.config.standings_table).await?;
        Ok((rules, generations.erasures))
    }

    async fn read_rules(&self) -> Result<RewardRules, InvalidQuests> {
        let quests = Quests::new(self.client.clone(), self.config.tables.coins.clone());
        let quests = quests.settled().await?;
        let Config {
            calendar,
            scoring_policy,
            ..
        } = self.config.clone();
        Ok(RewardRules::new(quests, calendar, scoring_policy))
    }

    async fn process<'a>(
        &self,
        mut batch: Batch<'a>,
        rules: &RewardRules,
        erasures: &Erasures,
        now: Timestamp,
        deadline: Instant,
    ) -> (Verdicts<'a>, Vec<(Metric, f64)>) {
        let told = stream::iter(std::mem::take(&mut batch.people))
            .map(
                |Person {
                     user,
                     facts,
                     messages,
                 }| async move {
                    let told = self.rewarding.tell(&user, facts, erasures, rules, deadline);
                    (messages, Box::pin(told).await)
                },
            )
            .buffer_unordered(PEOPLE_AT_ONCE);
        let told: Vec<_> = told.collect().await;
        let mut rewarded = Rewarded::default();
        for (messages, told) in told {
            match told {
                Ok(Some(more)) => rewarded.add(more),
                Ok(None) => batch.verdicts.defer(messages, "the invocation had no time left"),
                Err(error) => batch.verdicts.defer(messages, &error.with_causes()),
            }
        }
        let mut values = Vec::new();
        if !batch.heartbeats.is_empty() {
            match self.tick(&batch, rules, erasures, now, deadline).await {
                Ok((lag_seconds, more)) => {
                    rewarded.add(more);
                    values.push((Metric::Lag, lag_seconds));
                }
                // The next heartbeat does it.
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "The status of rewards could not be written, or a supply could not be settled."
                ),
            }
        }
        values.extend([
            (Metric::Issued, as_float(rewarded.issued)),
            (Metric::Revoked, as_float(rewarded.revoked)),
            (Metric::GateHits, as_float(rewarded.gate_hits)),
            (Metric::GateMisses, as_float(rewarded.gate_misses)),
            (Metric::Retries, as_float(rewarded.retries)),
            (Metric::ProofReadUnits, rewarded.read_units),
            (Metric::CoinsWriteUnits, rewarded.write_units),
        ]);
        if batch.erased > 0 {
            values.push((Metric::Erased, as_float(batch.erased)));
        }
        (batch.verdicts, values)
    }

    /// What is done with each heartbeat: it says how up to date the coins are, and settles supplies.
    async fn tick(
        &self,
        batch: &Batch<'_>,
        rules: &RewardRules,
        erasures: &Erasures,
        now: Timestamp,
        deadline: Instant,
    ) -> anyhow::Result<(f64, Rewarded)> {
        let backlog = queue::depth(&self.queues.client, &self.queues.queue_url).await?;
        let waiting = backlog.saturating_sub(batch.messages as u64);
        let status = self.coins.status().await?;
        let status = status.after(&batch.heartbeats, waiting, now);
        self.coins.put_status(&status).await?;
        let settled = self
            .rewarding
            .settle_supplies(erasures, rules, now, deadline)
            .await?;
        Ok((status.lag_seconds(), settled))
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts within one invocation")]
fn as_float(count: usize) -> f64 {
    count as f64
}
