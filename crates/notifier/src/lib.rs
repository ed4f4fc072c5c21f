//! Tells others of coins: each change of a coin goes as a `CloudEvent` to webhooks, and as text to a topic for mail. Each
//! destination has a queue of its own, so that one that is down delays no other.

pub mod address;
mod config;
pub mod event;
mod secrets;
pub mod webhook;

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_dynamodb::error::DisplayErrorContext;
use futures::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use queue::Verdicts;
use store::erasures::Erasures;
use store::notices::Subscription;
use store::stream::parse_coin;
use store::{Notices, StoreError, generations};
use telemetry::{Meter, Metric};
use tokio::time::{Instant, timeout_at};

use address::Reach;
pub use config::{Config, Destination, Destinations, MAIL, Receiver, WEBHOOKS_MAX, is_webhook_id};
use event::CoinEvent;
use secrets::SecretStore;
use webhook::{Answer, Webhooks};

/// Messages of a batch that are sent at once: all, of a batch of ten.
const SENT_AT_ONCE: usize = 10;

pub struct Notifier {
    config: Config,
    dynamodb: aws_sdk_dynamodb::Client,
    sqs: aws_sdk_sqs::Client,
    sns: aws_sdk_sns::Client,
    notices: Notices,
    secrets: SecretStore,
    webhooks: Webhooks,
    meter: Meter,
}

/// What became of a message.
enum Told {
    Sent,
    /// The destination got the event before.
    Before,
    /// It is about someone who was erased.
    Erased,
    Later {
        not_before: Duration,
        reason: String,
    },
    Never {
        code: &'static str,
        reason: String,
    },
}

impl Notifier {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let aws = store::aws::config_from_env()?;
        let dynamodb = aws_sdk_dynamodb::Client::new(&aws);
        Ok(Self {
            notices: Notices::new(dynamodb.clone(), config.notices_table.clone()),
            secrets: SecretStore::new(aws_sdk_secretsmanager::Client::new(&aws)),
            webhooks: Webhooks::new(Reach {
                loopback: config.allow_loopback,
            })?,
            sqs: aws_sdk_sqs::Client::new(&aws),
            sns: aws_sdk_sns::Client::new(&aws),
            meter: Meter::from_env("notifier"),
            dynamodb,
            config,
        })
    }

    /// Sends the events of a batch at `now`, and returns before `deadline` which messages must be delivered again.
    pub async fn handle(&self, event: SqsEvent, now: Timestamp, deadline: Instant) -> SqsBatchResponse {
        let deadline = queue::report_at(deadline);
        let records = &event.records;
        let mut verdicts = Verdicts::default();
        let Some(destination) = self.destination(records) else {
            tracing::error!(
                "The queue of these messages is not that of a destination. They will be delivered again."
            );
            verdicts.defer(records.iter().collect(), "the queue is not that of a destination");
            return verdicts.response();
        };
        let mut values = match self.begin(destination).await {
            Ok((erasures, is_ended)) => {
                let erasures = &erasures;
                let claimed = &Mutex::default();
                let told = stream::iter(records).map(|message| async move {
                    let told = self.tell(destination, message, (erasures, claimed), is_ended, now);
                    let told = timeout_at(deadline, told).await;
                    let told = told.unwrap_or_else(|_| later("the invocation had no time left".to_owned()));
                    (message, told)
                });
                let told: Vec<_> = told.buffer_unordered(SENT_AT_ONCE).collect().await;
                note(told, &mut verdicts)
            }
            Err(error) => {
                verdicts.defer(records.iter().collect(), &error.with_causes());
                Vec::new()
            }
        };
        let queues = destination.queues(&self.sqs);
        let dead = queues.settle(&mut verdicts).await;
        values.extend([
            (Metric::BatchSize, as_float(records.len())),
            (Metric::DeadLettered, as_float(dead)),
            (Metric::Deferred, as_float(verdicts.deferred.len())),
        ]);
        self.meter.emit(now, &values);
        verdicts.response()
    }

    /// All messages of a batch are of one queue.
    fn destination(&self, records: &[SqsMessage]) -> Option<&Destination> {
        let arn = records.first()?.event_source_arn.as_deref()?;
        self.config
            .destinations
            .0
            .iter()
            .find(|known| known.has_queue(arn))
    }

    /// Who was erased, and whether the receiver wants no more.
    async fn begin(&self, destination: &Destination) -> Result<(Erasures, bool), StoreError> {
        let generations = generations::read(&self.dynamodb, &self.config.standings_table).await?;
        let is_ended = match destination.subscription() {
            Some(subscription) => self.notices.is_ended(&subscription).await?,
            None => false,
        };
        Ok((generations.erasures, is_ended))
    }

    async fn tell(
        &self,
        destination: &Destination,
        message: &SqsMessage,
        (erasures, claimed): (&Erasures, &Mutex<HashSet<String>>),
        is_ended: bool,
        now: Timestamp,
    ) -> Told {
        let coin = match parse_coin(message.body.as_deref().unwrap_or_default()) {
            Ok(coin) => coin,
            Err(error) => {
                return Told::Never {
                    code: error.code,
                    reason: error.detail,
                };
            }
        };
        let erased_before = erasures.before(&coin.user);
        if erased_before.is_some_and(|before| coin.found_at < before) {
            return Told::Erased;
        }
        let Some(event) = CoinEvent::new(coin) else {
            return Told::Before;
        };
        // A coin that is amended at once is twice in one batch. The other message finds what became of this one.
        let is_first = claimed
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(event.id.clone());
        if !is_first {
            return later("another message of the batch has the same event".to_owned());
        }
        match self.notices.is_sent(&destination.id, &event.id).await {
            Ok(true) => return Told::Before,
            Ok(false) => {}
            Err(error) => return later(error.with_causes()),
        }
        if is_ended {
            return ended();
        }
        match self.send(destination, &event, now).await {
            Answer::Received => {
                // Without this note, a redelivery sends the event again, under the same id.
                if let Err(error) = self.notices.put_sent(&destination.id, &event.id, now).await {
                    tracing::warn!(
                        error = error.with_causes(),
                        "It could not be noted that an event was sent."
                    );
                }
                Told::Sent
            }
            Answer::Gone => {
                if let Some(subscription) = destination.subscription()
                    && let Err(error) = self.notices.end(&subscription).await
                {
                    return later(error.with_causes());
                }
                ended()
            }
            Answer::NotReceived { reason, .. } if self.is_over(message, now) => Told::Never {
                code: "not_received",
                reason: format!(
                    "{reason}; it was tried for {} s",
                    self.config.give_up_after.as_secs()
                ),
            },
            Answer::NotReceived { not_before, reason } => Told::Later { not_before, reason },
        }
    }

    async fn send(&self, destination: &Destination, event: &CoinEvent, now: Timestamp) -> Answer {
        let not_received = |reason| Answer::NotReceived {
            not_before: Duration::ZERO,
            reason,
        };
        match &destination.to {
            Receiver::Webhook { url, secret_id } => match self.secrets.get(secret_id).await {
                Ok(secrets) => {
                    self.webhooks
                        .call(url, &secrets, &event.id, event.json(), now)
                        .await
                }
                Err(error) => not_received(format!("{error:#}")),
            },
            Receiver::Mail { topic_arn } => {
                let mail = event.mail();
                let publish = self.sns.publish().topic_arn(topic_arn);
                match publish.subject(mail.subject).message(mail.text).send().await {
                    Ok(_) => Answer::Received,
                    Err(error) => not_received(DisplayErrorContext(error).to_string()),
                }
            }
        }
    }

    /// Whether a message has been tried for long enough.
    fn is_over(&self, message: &SqsMessage, now: Timestamp) -> bool {
        let sent_at = message
            .attributes
            .get("SentTimestamp")
            .and_then(|sent_at| sent_at.parse().ok());
        let sent_at = sent_at.and_then(|sent_at| Timestamp::from_millisecond(sent_at).ok());
        let give_up_after =
            SignedDuration::try_from(self.config.give_up_after).unwrap_or(SignedDuration::MAX);
        sent_at.is_some_and(|sent_at| now.duration_since(sent_at) >= give_up_after)
    }
}

impl Destination {
    /// `None` of mail, whose topic never wants no more.
    pub fn subscription(&self) -> Option<Subscription> {
        match &self.to {
            Receiver::Webhook { url, .. } => Some(Subscription::new(&self.id, url.as_str())),
            Receiver::Mail { .. } => None,
        }
    }
}

fn later(reason: String) -> Told {
    Told::Later {
        not_before: Duration::ZERO,
        reason,
    }
}

fn ended() -> Told {
    Told::Never {
        code: "ended",
        reason: "the receiver answered 410 Gone: it wants no more events".to_owned(),
    }
}

/// Notes what became of each message, and returns it as metrics.
fn note<'a>(told: Vec<(&'a SqsMessage, Told)>, verdicts: &mut Verdicts<'a>) -> Vec<(Metric, f64)> {
    let (mut sent, mut before, mut erased, mut ended) = (0, 0, 0, 0);
    for (message, told) in told {
        match told {
            Told::Sent => sent += 1,
            Told::Before => before += 1,
            Told::Erased => erased += 1,
            Told::Later { not_before, reason } => verdicts.defer_for(vec![message], not_before, &reason),
            Told::Never { code, reason } => {
                ended += usize::from(code == "ended");
                verdicts.give_up([message], code, &reason);
            }
        }
    }
    let values = [
        (Metric::Notified, sent),
        (Metric::Duplicates, before),
        (Metric::Erased, erased),
        (Metric::Ended, ended),
    ];
    values.map(|(metric, count)| (metric, as_float(count))).into()
}

#[expect(clippy::cast_precision_loss, reason = "counts within one invocation")]
fn as_float(count: usize) -> f64 {
    count as f64
}
