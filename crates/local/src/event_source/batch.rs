//! The event of an invocation, in the shape that AWS uses.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;

use crate::lambda::PAYLOAD_BYTES_MAX;
use crate::sqs::{AttributeValue, MessageAttribute, MessageId, REGION, ReceiptHandle, Received, md5_of_body};

const HEAD: &[u8] = br#"{"Records":["#;
const TAIL: &[u8] = b"]}";

/// A batch that is being filled. Messages are serialised as they are added, so the size is exact.
#[derive(Debug)]
pub(super) struct Batch {
    queue_arn: String,
    payload: Vec<u8>,
    messages: Vec<(MessageId, ReceiptHandle)>,
}

impl Batch {
    pub(super) fn new(queue_arn: String) -> Self {
        Self {
            queue_arn,
            payload: HEAD.to_vec(),
            messages: Vec::new(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Adds a message. `false` if the payload has no room for it. The first message always fits: a message
    /// is at most 1 MiB, and JSON at most doubles it.
    pub(super) fn push(&mut self, message: &Received) -> bool {
        let length = self.payload.len();
        if !self.is_empty() {
            self.payload.push(b',');
        }
        serde_json::to_writer(&mut self.payload, &record(message, &self.queue_arn))
            .expect("a record has string keys only");
        if !self.is_empty() && self.payload.len() + TAIL.len() > PAYLOAD_BYTES_MAX {
            self.payload.truncate(length);
            return false;
        }
        self.messages.push((message.id, message.receipt));
        true
    }

    /// The event and its messages.
    pub(super) fn into_event(mut self) -> (Bytes, Vec<(MessageId, ReceiptHandle)>) {
        self.payload.extend_from_slice(TAIL);
        debug_assert!(
            self.payload.len() <= PAYLOAD_BYTES_MAX,
            "the first message fits, and no other is added beyond the limit"
        );
        (Bytes::from(self.payload), self.messages)
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Record<'a> {
    message_id: String,
    receipt_handle: String,
    body: &'a str,
    attributes: BTreeMap<&'static str, String>,
    message_attributes: BTreeMap<&'a str, Attribute<'a>>,
    md5_of_body: String,
    event_source: &'static str,
    #[serde(rename = "eventSourceARN")]
    event_source_arn: &'a str,
    aws_region: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Attribute<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    string_value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
    /// The SQS API defines lists but accepts none, so they are always empty in events.
    string_list_values: [(); 0],
    binary_list_values: [(); 0],
    data_type: &'a str,
}

fn record<'a>(message: &'a Received, queue_arn: &'a str) -> Record<'a> {
    let attributes = message.attributes().iter();
    Record {
        message_id: message.id.to_string(),
        receipt_handle: message.receipt.to_string(),
        body: message.body(),
        attributes: message.system_attributes(),
        message_attributes: attributes
            .map(|(name, value)| (&**name, attribute(value)))
            .collect(),
        md5_of_body: md5_of_body(message.body()),
        event_source: "aws:sqs",
        event_source_arn: queue_arn,
        aws_region: REGION,
    }
}

fn attribute(attribute: &MessageAttribute) -> Attribute<'_> {
    let (string_value, binary_value) = match attribute.value() {
        AttributeValue::Text(text) => (Some(text.as_str()), None),
        AttributeValue::Binary(bytes) => (None, Some(STANDARD.encode(bytes))),
    };
    Attribute {
        string_value,
        binary_value,
        string_list_values: [],
        binary_list_values: [],
        data_type: attribute.data_type(),
    }
}
