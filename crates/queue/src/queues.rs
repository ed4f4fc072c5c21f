//! Sends dead letters to the DLQ, and spreads the redelivery of deferred messages.

use std::mem;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, MessageAttributeValue, SendMessageBatchRequestEntry,
};
use rand::RngExt as _;

use crate::verdicts::{DeadLetter, Deferred, Verdicts};

/// SQS's limits for one batch: messages, and bytes of their bodies and attributes.
const BATCH: usize = 10;
const BATCH_BYTES: usize = 1_048_576;
/// The bound of the first redelivery pause. It doubles with each delivery.
const REDELIVERY_BASE: Duration = Duration::from_secs(2);
const REDELIVERY_MAX: Duration = Duration::from_mins(15);
/// After this many deliveries, which take half a day, the bound is `REDELIVERY_MAX_LONG`. With the 1,000
/// deliveries that SQS allows before a message becomes a dead letter, and pauses of half their bound on
/// average, this bridges 19 days: longer than the queue keeps a message.
const QUICK_DELIVERIES: u32 = 100;
const REDELIVERY_MAX_LONG: Duration = Duration::from_hours(1);
/// A message is invisible for at most 12 hours after it was received, and an invocation takes some of that.
const PAUSE_MAX: Duration = Duration::from_hours(11);
/// Longer reasons help no one.
const MAX_REASON_CHARS: usize = 500;
/// A reason in characters of 4 bytes, plus names, types and the other values.
const MAX_ATTRIBUTES_BYTES: usize = 4 * MAX_REASON_CHARS + 500;

#[derive(Clone, Debug)]
pub struct Queues {
    pub client: Client,
    pub queue_url: String,
    pub dead_letter_queue_url: String,
}

impl Queues {
    /// Logs what is not done, sends dead letters to the DLQ and spreads the redelivery of the others. Returns how many
    /// dead letters there were.
    pub async fn settle(&self, verdicts: &mut Verdicts<'_>) -> usize {
        verdicts.log();
        let dead_letters = mem::take(&mut verdicts.dead);
        let dead = dead_letters.len();
        let unsent = self.send_to_dlq(dead_letters).await.into_iter();
        verdicts.deferred.extend(unsent.map(|message| Deferred {
            message,
            not_before: Duration::ZERO,
        }));
        self.defer(&verdicts.deferred).await;
        dead
    }

    /// Sends dead letters to the DLQ. The body is unchanged, so that a repaired message can be redriven;
    /// the reason is in attributes. Returns the messages that could not be sent.
    async fn send_to_dlq<'a>(&self, dead_letters: Vec<DeadLetter<'a>>) -> Vec<&'a SqsMessage> {
        let mut unsent = Vec::new();
        let mut failure = None;
        let mut left = dead_letters.as_slice();
        while !left.is_empty() {
            let batch;
            (batch, left) = left.split_at(batch_length(left));
            let entries = batch.iter().enumerate().map(|(at, dead_letter)| {
                let message_id = dead_letter.message.message_id.as_deref();
                SendMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .message_body(body(dead_letter))
                    .message_attributes("reason_code", string(dead_letter.code))
                    .message_attributes("reason", string(&printable(&dead_letter.reason)))
                    .message_attributes("message_id", string(message_id.unwrap_or("unknown")))
                    .build()
                    .expect("id and body are given")
            });
            let sent = self
                .client
                .send_message_batch()
                .queue_url(&self.dead_letter_queue_url)
                .set_entries(Some(entries.collect()))
                .send()
                .await;
            let failed: Vec<String> = match sent {
                Ok(output) => {
                    if let Some(entry) = output.failed.first() {
                        failure = Some(entry.message.as_ref().unwrap_or(&entry.code).clone());
                    }
                    output.failed.into_iter().map(|entry| entry.id).collect()
                }
                Err(error) => {
                    failure = Some(DisplayErrorContext(error).to_string());
                    (0..batch.len()).map(|at| at.to_string()).collect()
                }
            };
            unsent.extend(
                (0..batch.len())
                    .filter(|at| failed.contains(&at.to_string()))
                    .map(|at| batch[at].message),
            );
        }
        if !unsent.is_empty() {
            tracing::error!(
                messages = unsent.len(),
                last_error = failure,
                "Dead letters could not be sent to the DLQ. They will be delivered again."
            );
        }
        unsent
    }

    /// Spreads the redelivery of messages over time, instead of all at once after the visibility timeout.
    /// If this fails, that timeout applies.
    async fn defer(&self, deferred: &[Deferred<'_>]) {
        let mut failure = None;
        for batch in deferred.chunks(BATCH) {
            let entries = batch.iter().enumerate().filter_map(|(at, deferred)| {
                let Deferred { message, not_before } = deferred;
                let pause = redelivery_pause(receive_count(message), rand::rng().random());
                let pause = pause.max((*not_before).min(PAUSE_MAX));
                ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(at.to_string())
                    .receipt_handle(message.receipt_handle.as_deref()?)
                    .visibility_timeout(i32::try_from(pause.as_secs()).ok()?)
                    .build()
                    .ok()
            });
            let changed = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.queue_url)
                .set_entries(Some(entries.collect()))
                .send()
                .await;
            if let Err(error) = changed {
                failure = Some(DisplayErrorContext(error).to_string());
            }
        }
        if failure.is_some() {
            tracing::warn!(
                last_error = failure,
                "The redelivery of messages could not be spread. They return after their visibility timeout."
            );
        }
    }
}

/// SQS refuses an empty body.
fn body<'a>(dead_letter: &DeadLetter<'a>) -> &'a str {
    let body = dead_letter.message.body.as_deref();
    body.filter(|body| !body.is_empty()).unwrap_or("(empty)")
}

/// How many of these dead letters fit into one batch; at least one.
fn batch_length(dead_letters: &[DeadLetter<'_>]) -> usize {
    assert!(!dead_letters.is_empty(), "there is a dead letter to send");
    let mut bytes = 0;
    let fitting = dead_letters.iter().take(BATCH).take_while(|dead_letter| {
        bytes += body(dead_letter).len() + MAX_ATTRIBUTES_BYTES;
        bytes <= BATCH_BYTES
    });
    // SQS refuses a dead letter that is too large on its own. It is then returned as not sent.
    fitting.count().max(1)
}

fn receive_count(message: &SqsMessage) -> u32 {
    let count = message.attributes.get("ApproximateReceiveCount");
    count.and_then(|count| count.parse().ok()).unwrap_or(1)
}

/// Whole seconds from 1 to a bound that doubles with each delivery. `random` is in 0..1.
fn redelivery_pause(receive_count: u32, random: f64) -> Duration {
    let doublings = receive_count.saturating_sub(1).min(16);
    let max = if receive_count > QUICK_DELIVERIES {
        REDELIVERY_MAX_LONG
    } else {
        REDELIVERY_MAX
    };
    let bound = REDELIVERY_BASE.saturating_mul(1 << doublings).min(max);
    Duration::from_secs_f64((bound.as_secs_f64() * random).ceil().max(1.0))
}

fn string(value: &str) -> MessageAttributeValue {
    MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value)
        .build()
        .expect("the data type is given")
}

/// SQS refuses control characters in attributes.
fn printable(reason: &str) -> String {
    let printable = |c: char| if c.is_control() { ' ' } else { c };
    let reason: String = reason.chars().take(MAX_REASON_CHARS).map(printable).collect();
    if reason.is_empty() {
        "unknown".to_owned()
    } else {
        reason
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redeliveries_are_jittered_and_grow_to_a_bound() {
        let pauses = |random| {
            [1, 2, 3, 8, 9, 100, 101, u32::MAX].map(|count| redelivery_pause(count, random).as_secs())
        };
        assert_eq!(pauses(1.0), [2, 4, 8, 256, 512, 900, 3600, 3600]);
        assert_eq!(pauses(0.0), [1; 8]);
        assert_eq!(redelivery_pause(3, 0.5).as_secs(), 4);
    }

    #[test]
    fn a_long_outage_makes_no_dead_letters() {
        /// The most that SQS allows. `tests/on_aws` compares it with what is deployed.
        const MAX_RECEIVES: u32 = 1_000;
        let on_average: Duration = (1..=MAX_RECEIVES).map(|count| redelivery_pause(count, 0.5)).sum();
        assert!(on_average > Duration::from_hours(14 * 24), "{on_average:?}");
    }
}
