//! Delivering one batch: retries, bisection and dead letters.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::config::PipeConfig;
use super::control::{State, may_go_on};
use super::counters::Counters;
use crate::dynamodb::SequenceNumber;

/// The longest pause after the first failure. It doubles with each retry, up to the maximum. The pause
/// itself is random between zero and that ("full jitter").
const RETRY_DELAY_MIN: Duration = Duration::from_millis(50);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

/// A message that the target refused.
#[derive(Clone, Debug)]
pub struct SendFailure {
    /// Its index in the batch.
    pub index: usize,
    pub reason: String,
}

/// Why a pipe gave up a record, in AWS's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    RetryAttemptsExhausted,
    RecordAgeExceeded,
}

impl Condition {
    fn name(self) -> &'static str {
        match self {
            Self::RetryAttemptsExhausted => "RetryAttemptsExhausted",
            Self::RecordAgeExceeded => "RecordAgeExceeded",
        }
    }
}

/// The position in its stream of a record that could not be sent. As on AWS, it holds no data: the
/// record must be read from the stream, or its item from the table.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    pub condition: Condition,
    pub sequence_number: SequenceNumber,
    pub created_at: Timestamp,
    pub given_up_at: Timestamp,
    pub pipe_arn: String,
    pub stream_arn: String,
    pub shard_id: String,
}

impl DeadLetter {
    /// The message that AWS sends to the DLQ of a pipe.
    pub fn document(&self) -> Value {
        json!({
            "context": { "partnerResourceArn": self.pipe_arn, "condition": self.condition.name() },
            "version": "1.0",
            "timestamp": self.given_up_at.to_string(),
            "DDBStreamBatchInfo": {
                "shardId": self.shard_id,
                "startSequenceNumber": self.sequence_number.to_string(),
                "endSequenceNumber": self.sequence_number.to_string(),
                "approximateArrivalOfFirstRecord": self.created_at.to_string(),
                "approximateArrivalOfLastRecord": self.created_at.to_string(),
                "batchSize": 1,
                "streamArn": self.stream_arn,
            },
        })
    }
}

/// A record that passed the filter.
#[derive(Clone, Debug)]
pub(super) struct Outgoing {
    pub(super) sequence_number: SequenceNumber,
    pub(super) created_at: Timestamp,
    pub(super) stream_arn: String,
    pub(super) shard_id: String,
    pub(super) body: String,
}

/// Records of a batch, and how often they were retried.
struct Attempt {
    records: Vec<Outgoing>,
    retries: u32,
}

/// The pipe was stopped before every record was sent or dead-lettered.
pub(super) struct Stopped;

pub(super) struct Delivery<S, D> {
    pub(super) config: PipeConfig,
    pub(super) counters: Arc<Counters>,
    pub(super) state: watch::Receiver<State>,
    pub(super) send: S,
    pub(super) dead_letter: D,
}

impl<S, F, D, G> Delivery<S, D>
where
    S: Fn(Vec<String>) -> F,
    F: Future<Output = anyhow::Result<Vec<SendFailure>>>,
    D: Fn(DeadLetter) -> G,
    G: Future<Output = anyhow::Result<()>>,
{
    /// Returns when every record is sent or dead-lettered.
    pub(super) async fn deliver(&mut self, records: Vec<Outgoing>) -> Result<(), Stopped> {
        // A stack, so that bisected halves keep their order.
        let mut waiting = vec![Attempt { records, retries: 0 }];
        while let Some(Attempt { records, retries }) = waiting.pop() {
            let records = self.give_up_aged(records).await?;
            if records.is_empty() {
                continue;
            }
            if !may_go_on(&mut self.state).await {
                return Err(Stopped);
            }
            let bodies: Vec<_> = records.iter().map(|record| record.body.clone()).collect();
            let (failed, reason) = match (self.send)(bodies).await {
                Ok(failures) => self.failed(records, &failures),
                Err(error) if records.len() > 1 => {
                    tracing::debug!(error = format!("{error:#}"), "a batch failed: bisecting it");
                    waiting.extend(bisect(records, retries));
                    continue;
                }
                Err(error) => (records, format!("{error:#}")),
            };
            if failed.is_empty() {
                continue;
            }
            if self
                .config
                .maximum_retry_attempts
                .is_some_and(|most| retries >= most)
            {
                tracing::error!(%reason, records = failed.len(), retries, "records given up");
                self.give_up(failed, Condition::RetryAttemptsExhausted).await?;
                continue;
            }
            tracing::warn!(%reason, records = failed.len(), retries, "records not sent: will retry");
            self.back_off(retries).await?;
            Counters::add(&self.counters.retried, failed.len());
            waiting.push(Attempt {
                records: failed,
                retries: retries.saturating_add(1),
            });
        }
        Ok(())
    }

    /// The records that the target refused, and its reason for the first.
    fn failed(&self, records: Vec<Outgoing>, failures: &[SendFailure]) -> (Vec<Outgoing>, String) {
        let given = records.len();
        let failed: Vec<_> = records
            .into_iter()
            .enumerate()
            .filter(|(index, _)| failures.iter().any(|failure| failure.index == *index))
            .map(|(_, record)| record)
            .collect();
        Counters::add(&self.counters.sent, given - failed.len());
        let reason = failures.first().map(|failure| failure.reason.clone());
        (failed, reason.unwrap_or_default())
    }

    /// Gives up the records that are too old, and returns the others.
    async fn give_up_aged(&mut self, records: Vec<Outgoing>) -> Result<Vec<Outgoing>, Stopped> {
        let Some(most) = self.config.maximum_record_age else {
            return Ok(records);
        };
        let most = SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX);
        let now = Timestamp::now();
        let (aged, others): (Vec<_>, Vec<_>) = records
            .into_iter()
            .partition(|record| now.duration_since(record.created_at) > most);
        if !aged.is_empty() {
            tracing::error!(records = aged.len(), "records given up: too old");
            self.give_up(aged, Condition::RecordAgeExceeded).await?;
        }
        Ok(others)
    }

    /// Retries until the dead letters are accepted, so that no record is lost.
    async fn give_up(&mut self, records: Vec<Outgoing>, condition: Condition) -> Result<(), Stopped> {
        for record in records {
            let dead_letter = DeadLetter {
                condition,
                sequence_number: record.sequence_number,
                created_at: record.created_at,
                given_up_at: Timestamp::now(),
                pipe_arn: pipe_arn(&self.config.name, &record.stream_arn),
                stream_arn: record.stream_arn,
                shard_id: record.shard_id,
            };
            let mut retries = 0;
            while let Err(error) = (self.dead_letter)(dead_letter.clone()).await {
                tracing::error!(
                    error = format!("{error:#}"),
                    "a dead letter was not accepted: will retry"
                );
                self.back_off(retries).await?;
                retries = retries.saturating_add(1);
            }
            Counters::add(&self.counters.dead_lettered, 1);
        }
        Ok(())
    }

    async fn back_off(&mut self, retries: u32) -> Result<(), Stopped> {
        tokio::select! {
            () = tokio::time::sleep(retry_delay(retries)) => Ok(()),
            // An error means that the pipe was dropped, which also stops it.
            _ = self.state.wait_for(|state| *state == State::Stopped) => Err(Stopped),
        }
    }
}

/// A pipe has the region and the account of its source.
fn pipe_arn(name: &str, stream_arn: &str) -> String {
    let mut parts = stream_arn.split(':').skip(3);
    let (region, account) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    format!("arn:aws:pipes:{region}:{account}:pipe/{name}")
}

/// Two halves, the second one first, for the stack. As on AWS, splitting is not a retry: a batch of ten
/// is split at most four times in a row.
fn bisect(mut records: Vec<Outgoing>, retries: u32) -> [Attempt; 2] {
    let second = records.split_off(records.len() / 2);
    [second, records].map(|records| Attempt { records, retries })
}

fn retry_delay(retries: u32) -> Duration {
    let doubled = RETRY_DELAY_MIN.saturating_mul(2_u32.saturating_pow(retries));
    rand::random_range(Duration::ZERO..=doubled.min(RETRY_DELAY_MAX))
}
