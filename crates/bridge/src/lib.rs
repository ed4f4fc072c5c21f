//! Carries activities over from another system's table, and back into it. [`mapping`] makes activities of its items, and
//! [`mirrored`] items of Podium's activities. As a function, [`Bridge`] does both: [`over`] with the stream of that table,
//! into the queue that ingest reads, and back with the topic of facts.

mod config;
pub mod mapping;
pub mod mirrored;
mod over;

use std::collections::HashMap;

use anyhow::Context as _;
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use domain::{Fact, ScoringPolicy};
use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use queue::{Queues, Verdicts};
use serde::Deserialize;
use serde_json::Value;
use store::erasures::Erasures;
use store::generations;
use store::stream::{Streamed, parse_event};
use telemetry::{Meter, Metric};
use tokio::time::{Instant, timeout_at};

pub use self::config::Config;
pub use self::mapping::{Event, InvalidMapping, Mapping, Unfit};
use self::mirrored::NotPut;
use self::over::Outcome;

/// An item as `DynamoDB` returns it.
pub type Item = HashMap<String, AttributeValue>;

/// The origin of what is carried over.
pub const LEGACY: &str = "legacy";

/// What SQS takes in one call.
const MESSAGES_A_CALL: usize = 10;
const PUTS_AT_ONCE: usize = 10;
const NO_TIME: &str = "the invocation had no time left";

pub struct Bridge {
    config: Config,
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    meter: Meter,
}

/// What invokes the function.
#[derive(Deserialize)]
struct Records {
    #[serde(rename = "Records")]
    records: Vec<Value>,
}

/// A message to send, and where.
struct Outgoing {
    sequence_number: String,
    is_dead: bool,
    entry: SendMessageBatchRequestEntry,
}

impl Bridge {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let aws = store::aws::config_from_env()?;
        Ok(Self {
            dynamodb: aws_sdk_dynamodb::Client::new(&aws),
            sqs: aws_sdk_sqs::Client::new(&aws),
            meter: Meter::from_env("bridge"),
            config,
        })
    }

    /// Handles a batch of the other system's stream, or of the queue of facts. Returns before `deadline` what is to be
    /// delivered again.
    pub async fn handle(&self, payload: Value, now: Timestamp, deadline: Instant) -> anyhow::Result<Value> {
        let deadline = queue::report_at(deadline);
        let records = Records::deserialize(&payload)
            .context("the payload has no Records")?
            .records;
        match records.first().and_then(|first| first["eventSource"].as_str()) {
            Some("aws:dynamodb") => self.over(&records, now, deadline).await,
            Some("aws:sqs") => {
                let event: SqsEvent = serde_json::from_value(payload)?;
                Ok(serde_json::to_value(self.back(&event, now, deadline).await)?)
            }
            other => anyhow::bail!("records of {other:?} are neither of a stream nor of a queue"),
        }
    }

    /// Sends what the records hold to ingest, in their order, and what is no activity to the DLQ.
    async fn over(&self, records: &[Value], now: Timestamp, deadline: Instant) -> anyhow::Result<Value> {
        let mut outgoing = Vec::with_capacity(records.len());
        for record in records {
            let (sequence_number, outcome) = over::outcome(&self.config.mapping, record)?;
            let id = outgoing.len().to_string();
            let entry = SendMessageBatchRequestEntry::builder().id(id);
            let (is_dead, entry) = match outcome {
                Outcome::LeftOut => continue,
                Outcome::Activity(body) => (false, entry.message_body(body)),
                Outcome::Unfit { reason, image } => {
                    tracing::error!(
                        reason,
                        "An item of the other system is no activity. It is sent to the DLQ."
                    );
                    let entry = entry.message_body(image);
                    let entry = entry.message_attributes("reason_code", string("not_an_activity"));
                    (true, entry.message_attributes("reason", string(&reason)))
                }
            };
            outgoing.push(Outgoing {
                sequence_number,
                is_dead,
                entry: entry.build()?,
            });
        }
        let first_failed = self.send_all(&outgoing, deadline).await;
        let dead = outgoing.iter().filter(|outgoing| outgoing.is_dead).count();
        self.tell(now, records.len(), dead, usize::from(first_failed.is_some()));
        Ok(over::response(first_failed.as_deref()))
    }

    /// Returns the sequence number from which on the records are to be delivered again.
    async fn send_all(&self, outgoing: &[Outgoing], deadline: Instant) -> Option<String> {
        for call in outgoing.chunk_by(|one, other| one.is_dead == other.is_dead) {
            for call in call.chunks(MESSAGES_A_CALL) {
                let sent = timeout_at(deadline, self.send(call)).await;
                let failed = sent.unwrap_or_else(|_| Err((0, NO_TIME.to_owned())));
                if let Err((at, reason)) = failed {
                    tracing::warn!(
                        reason,
                        "Activities could not be sent to ingest. They will be delivered again."
                    );
                    return Some(call[at].sequence_number.clone());
                }
            }
        }
        None
    }

    /// Sends messages of one queue. Fails with the place of the first that was not sent, and the reason.
    async fn send(&self, call: &[Outgoing]) -> Result<(), (usize, String)> {
        let queue_url = if call[0].is_dead {
            &self.config.dead_letter_queue_url
        } else {
            &self.config.event_queue_url
        };
        let entries = call.iter().map(|outgoing| outgoing.entry.clone()).collect();
        let sent = self.sqs.send_message_batch().queue_url(queue_url);
        let sent = sent.set_entries(Some(entries)).send().await;
        let sent = sent.map_err(|error| (0, DisplayErrorContext(error).to_string()))?;
        let first = sent.failed.iter().filter_map(|failed| {
            let at = call.iter().position(|outgoing| outgoing.entry.id == failed.id)?;
            Some((at, failed.message.clone().unwrap_or_default()))
        });
        first.min().map_or(Ok(()), Err)
    }

    /// Puts the facts of a batch into the other system's table, but for those that come from it.
    async fn back(
        &self,
        event: &SqsEvent,
        now: Timestamp,
        deadline: Instant,
    ) -> aws_lambda_events::event::sqs::SqsBatchResponse {
        let mut verdicts = Verdicts::default();
        match generations::read(&self.dynamodb, &self.config.standings_table).await {
            Ok(generations) => match generations.rules(generations.live) {
                Some(rules) => {
                    let (policy, erasures) = (&rules.scoring_policy, &generations.erasures);
                    let put = stream::iter(&event.records).map(async |message| {
                        let put = timeout_at(deadline, self.put(message, policy, erasures)).await;
                        let put = put.unwrap_or_else(|_| Err(Kept::Later(NO_TIME.to_owned())));
                        (message, put)
                    });
                    let put: Vec<_> = put.buffer_unordered(PUTS_AT_ONCE).collect().await;
                    for (message, put) in put {
                        match put {
                            Ok(()) => {}
                            Err(Kept::Later(reason)) => verdicts.defer(vec![message], &reason),
                            Err(Kept::Dead(code, reason)) => verdicts.give_up([message], code, &reason),
                        }
                    }
                }
                None => verdicts.defer(event.records.iter().collect(), "nothing was counted yet"),
            },
            Err(error) => verdicts.defer(event.records.iter().collect(), &error.with_causes()),
        }
        let queues = Queues {
            client: self.sqs.clone(),
            queue_url: self.config.queue_url.clone(),
            dead_letter_queue_url: self.config.dead_letter_queue_url.clone(),
        };
        let dead = queues.settle(&mut verdicts).await;
        self.tell(now, event.records.len(), dead, verdicts.deferred.len());
        verdicts.response()
    }

    async fn put(
        &self,
        message: &SqsMessage,
        policy: &ScoringPolicy,
        erasures: &Erasures,
    ) -> Result<(), Kept> {
        let streamed = parse_event(message.body.as_deref().unwrap_or_default());
        let streamed = streamed.map_err(|error| Kept::Dead(error.code, error.detail))?;
        let Streamed::Fact { fact, received_at } = streamed else {
            return Ok(());
        };
        if erasures.cover(&fact, received_at) {
            return Ok(());
        }
        // Corrections are listed by `podium migrate verify`, since the other system has none.
        let Fact::Activity(activity) = &fact else {
            return Ok(());
        };
        if !mirrored::is_own(activity) {
            return Ok(());
        }
        let put = mirrored::put(&self.dynamodb, &self.config.mapping, policy, activity).await;
        put.map_err(|error| match error {
            NotPut::NotScored(reason) => Kept::Dead("not_scored", reason),
            NotPut::Unavailable(reason) => Kept::Later(reason),
        })
    }

    fn tell(&self, now: Timestamp, size: usize, dead: usize, deferred: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a batch is small")]
        let values = [
            (Metric::BatchSize, size as f64),
            (Metric::DeadLettered, dead as f64),
            (Metric::Deferred, deferred as f64),
        ];
        self.meter.emit(now, &values);
    }
}

/// Why a fact is not in the other system's table.
enum Kept {
    Later(String),
    Dead(&'static str, String),
}

fn string(text: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(text)
        .build()
        .expect("the type is given")
}
