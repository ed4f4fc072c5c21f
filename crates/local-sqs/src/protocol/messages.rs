//! The operations on messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Nothing;
use crate::attributes::{MAX_MESSAGE_BYTES, check_receive_wait, check_visibility_timeout};
use crate::error::SqsError;
use crate::message::{
    MessageAttribute, MessageAttributes, MessageId, NewMessage, ReceiptHandle, Received, md5_of_attributes,
    md5_of_body,
};
use crate::queue::{MAX_BATCH, Queue};
use crate::sqs::Sqs;
use crate::state::MAX_IN_FLIGHT;

const MAX_ENTRY_ID_BYTES: usize = 80;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct SendMessage {
    queue_url: String,
    #[serde(flatten)]
    message: Outgoing,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Outgoing {
    message_body: String,
    delay_seconds: Option<u64>,
    #[serde(default)]
    message_attributes: MessageAttributes,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Sent {
    message_id: String,
    #[serde(rename = "MD5OfMessageBody")]
    md5_of_message_body: String,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Batch<T> {
    queue_url: String,
    entries: Vec<Entry<T>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry<T> {
    id: String,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct BatchOutcome<T> {
    successful: Vec<Success<T>>,
    failed: Vec<Failure>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Success<T> {
    id: String,
    #[serde(flatten)]
    content: T,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Failure {
    id: String,
    sender_fault: bool,
    code: &'static str,
    message: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ReceiveMessage {
    queue_url: String,
    max_number_of_messages: Option<usize>,
    wait_time_seconds: Option<u64>,
    visibility_timeout: Option<u64>,
    /// The older name of `message_system_attribute_names`.
    #[serde(default)]
    attribute_names: Vec<String>,
    #[serde(default)]
    message_system_attribute_names: Vec<String>,
    #[serde(default)]
    message_attribute_names: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Messages {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    messages: Vec<Incoming>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Incoming {
    message_id: String,
    receipt_handle: String,
    #[serde(rename = "MD5OfBody")]
    md5_of_body: String,
    body: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    attributes: BTreeMap<&'static str, String>,
    #[serde(rename = "MD5OfMessageAttributes", skip_serializing_if = "Option::is_none")]
    md5_of_message_attributes: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    message_attributes: MessageAttributes,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Single<T> {
    queue_url: String,
    #[serde(flatten)]
    content: T,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Deletion {
    receipt_handle: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct VisibilityChange {
    receipt_handle: String,
    visibility_timeout: u64,
}

impl Sqs {
    pub(super) fn call_send_message(&self, request: SendMessage) -> Result<Sent, SqsError> {
        let queue = self.queue_at(&request.queue_url)?;
        send(&queue, vec![request.message.into()])
            .pop()
            .expect("each message has an outcome")
    }

    pub(super) fn call_send_message_batch(
        &self,
        request: Batch<Outgoing>,
    ) -> Result<BatchOutcome<Sent>, SqsError> {
        let (queue, ids, messages) = self.batch(request)?;
        let messages: Vec<NewMessage> = messages.into_iter().map(NewMessage::from).collect();
        let sent: usize = messages.iter().map(NewMessage::size).sum();
        if sent > MAX_MESSAGE_BYTES {
            return Err(SqsError::BatchRequestTooLong {
                sent,
                bound: MAX_MESSAGE_BYTES,
            });
        }
        Ok(outcome(ids, send(&queue, messages)))
    }

    pub(super) async fn call_receive_message(&self, request: ReceiveMessage) -> Result<Messages, SqsError> {
        let queue = self.queue_at(&request.queue_url)?;
        let max = request.max_number_of_messages.unwrap_or(1);
        if !(1..=MAX_BATCH).contains(&max) {
            return Err(SqsError::InvalidParameterValue(format!(
                "MaxNumberOfMessages is 1 to {MAX_BATCH}."
            )));
        }
        let wait = request
            .wait_time_seconds
            .map_or_else(|| queue.attributes().receive_wait, Duration::from_secs);
        check_receive_wait(wait)?;
        let visibility = request.visibility_timeout.map(Duration::from_secs);
        if let Some(visibility) = visibility {
            check_visibility_timeout(visibility)?;
        }
        let received = queue.receive(max, wait, visibility).await;
        // Only a receive that does not wait learns that the limit in flight is reached.
        if received.is_empty() && wait.is_zero() && queue.depth().in_flight >= MAX_IN_FLIGHT {
            return Err(SqsError::OverLimit);
        }
        let messages = received
            .iter()
            .map(|received| incoming(received, &request))
            .collect();
        Ok(Messages { messages })
    }

    pub(super) fn call_delete_message(&self, request: &Single<Deletion>) -> Result<Nothing, SqsError> {
        let queue = self.queue_at(&request.queue_url)?;
        queue.delete_batch(&[request.content.receipt_handle.parse()?])?;
        Ok(Nothing {})
    }

    pub(super) fn call_delete_message_batch(
        &self,
        request: Batch<Deletion>,
    ) -> Result<BatchOutcome<Nothing>, SqsError> {
        let (queue, ids, deletions) = self.batch(request)?;
        let receipts: Vec<Result<ReceiptHandle, SqsError>> = deletions
            .iter()
            .map(|deletion| deletion.receipt_handle.parse())
            .collect();
        let valid: Vec<ReceiptHandle> = receipts.iter().flatten().copied().collect();
        queue.delete_batch(&valid)?;
        let outcomes = receipts.into_iter().map(|receipt| receipt.map(|_| Nothing {}));
        Ok(outcome(ids, outcomes))
    }

    pub(super) fn call_change_message_visibility(
        &self,
        request: &Single<VisibilityChange>,
    ) -> Result<Nothing, SqsError> {
        let queue = self.queue_at(&request.queue_url)?;
        change_visibility(&queue, &request.content)?;
        Ok(Nothing {})
    }

    pub(super) fn call_change_message_visibility_batch(
        &self,
        request: Batch<VisibilityChange>,
    ) -> Result<BatchOutcome<Nothing>, SqsError> {
        let (queue, ids, changes) = self.batch(request)?;
        let outcomes = changes
            .iter()
            .map(|change| change_visibility(&queue, change).map(|()| Nothing {}));
        Ok(outcome(ids, outcomes))
    }

    /// The queue, and the ids and contents of a batch that keeps the rules for all batches.
    fn batch<T>(&self, request: Batch<T>) -> Result<(Queue, Vec<String>, Vec<T>), SqsError> {
        let queue = self.queue_at(&request.queue_url)?;
        check_entries(&request.entries)?;
        let entries = request.entries.into_iter();
        let (ids, contents) = entries.map(|entry| (entry.id, entry.content)).unzip();
        Ok((queue, ids, contents))
    }
}

impl From<Outgoing> for NewMessage {
    fn from(outgoing: Outgoing) -> Self {
        Self {
            body: outgoing.message_body,
            attributes: outgoing.message_attributes,
            delay: outgoing.delay_seconds.map(Duration::from_secs),
        }
    }
}

fn send(queue: &Queue, messages: Vec<NewMessage>) -> Vec<Result<Sent, SqsError>> {
    let digests: Vec<(String, Option<String>)> = messages
        .iter()
        .map(|message| (md5_of_body(&message.body), md5_of_attributes(&message.attributes)))
        .collect();
    let sent = |(id, (body, attributes)): (MessageId, _)| Sent {
        message_id: id.to_string(),
        md5_of_message_body: body,
        md5_of_message_attributes: attributes,
    };
    let outcomes = queue.send_batch(messages).into_iter().zip(digests);
    outcomes
        .map(|(outcome, digests)| outcome.map(|id| sent((id, digests))))
        .collect()
}

fn change_visibility(queue: &Queue, change: &VisibilityChange) -> Result<(), SqsError> {
    let receipt = change.receipt_handle.parse()?;
    let visibility = Duration::from_secs(change.visibility_timeout);
    queue
        .change_visibility_batch(&[(receipt, visibility)])
        .pop()
        .expect("each change has an outcome")
}

fn check_entries<T>(entries: &[Entry<T>]) -> Result<(), SqsError> {
    if entries.is_empty() {
        return Err(SqsError::EmptyBatchRequest);
    }
    if entries.len() > MAX_BATCH {
        let sent = entries.len();
        return Err(SqsError::TooManyEntriesInBatchRequest {
            sent,
            bound: MAX_BATCH,
        });
    }
    let mut seen = BTreeSet::new();
    for Entry { id, .. } in entries {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if id.is_empty() || id.len() > MAX_ENTRY_ID_BYTES || !id.bytes().all(allowed) {
            return Err(SqsError::InvalidBatchEntryId);
        }
        if !seen.insert(id) {
            return Err(SqsError::BatchEntryIdsNotDistinct(id.clone()));
        }
    }
    Ok(())
}

fn outcome<T>(ids: Vec<String>, outcomes: impl IntoIterator<Item = Result<T, SqsError>>) -> BatchOutcome<T> {
    let mut batch = BatchOutcome {
        successful: Vec::new(),
        failed: Vec::new(),
    };
    for (id, outcome) in ids.into_iter().zip(outcomes) {
        match outcome {
            Ok(content) => batch.successful.push(Success { id, content }),
            Err(error) => batch.failed.push(Failure {
                id,
                sender_fault: error.is_senders_fault(),
                code: error.query_code(),
                message: error.to_string(),
            }),
        }
    }
    batch
}

fn incoming(received: &Received, request: &ReceiveMessage) -> Incoming {
    let mut attributes = received.system_attributes();
    let wanted = |name: &str| {
        let names = request
            .attribute_names
            .iter()
            .chain(&request.message_system_attribute_names);
        names.into_iter().any(|wanted| wanted == "All" || wanted == name)
    };
    attributes.retain(|&name, _| wanted(name));

    let message_attributes: MessageAttributes = received
        .attributes()
        .iter()
        .filter(|(name, _)| matches_any(&request.message_attribute_names, name))
        .map(|(name, attribute): (&String, &MessageAttribute)| (name.clone(), attribute.clone()))
        .collect();
    Incoming {
        message_id: received.id.to_string(),
        receipt_handle: received.receipt.to_string(),
        md5_of_body: md5_of_body(received.body()),
        body: received.body().to_owned(),
        attributes,
        // Clients check it against the attributes that they get, which are only the requested ones.
        md5_of_message_attributes: md5_of_attributes(&message_attributes),
        message_attributes,
    }
}

/// A request may name an attribute, a prefix such as `user.*`, or `All`.
fn matches_any(wanted: &[String], name: &str) -> bool {
    wanted.iter().any(|wanted| match wanted.strip_suffix(".*") {
        Some(prefix) => name.starts_with(prefix),
        None => wanted == "All" || wanted == name,
    })
}
