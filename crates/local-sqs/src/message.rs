//! Messages as they are sent and received, and the digests by which clients check them.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use md5::{Digest, Md5};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::attributes::{ACCOUNT, QueueName, check_delay};
use crate::error::SqsError;
use crate::timestamp::Timestamp;

const MAX_ATTRIBUTES: usize = 10;
const MAX_ATTRIBUTE_NAME_BYTES: usize = 256;

/// Identifies a message. A move to a dead-letter queue keeps it; a redrive assigns a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageId(Uuid);

impl MessageId {
    pub(crate) fn random() -> Self {
        Self(Uuid::new_v4())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The position of a message in the order in which its queue accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Seq(pub(crate) u64);

/// Identifies one delivery of a message. The next delivery makes it stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReceiptHandle {
    pub(crate) seq: Seq,
    pub(crate) delivery: u64,
}

impl fmt::Display for ReceiptHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.seq.0.to_be_bytes());
        bytes[8..].copy_from_slice(&self.delivery.to_be_bytes());
        formatter.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for ReceiptHandle {
    type Err = SqsError;

    fn from_str(raw: &str) -> Result<Self, SqsError> {
        let bytes = URL_SAFE_NO_PAD
            .decode(raw)
            .ok()
            .and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
            .map(u128::from_be_bytes)
            .ok_or(SqsError::ReceiptHandleIsInvalid)?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "each half is taken by its own cast"
        )]
        let (seq, delivery) = (Seq((bytes >> 64) as u64), bytes as u64);
        Ok(Self { seq, delivery })
    }
}

/// The value of a message attribute. `data_type` is `String`, `Number` or `Binary`, with an
/// optional label after a dot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "WireAttribute", into = "WireAttribute")]
pub struct MessageAttribute {
    data_type: String,
    value: AttributeValue,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeValue {
    Text(String),
    Binary(Vec<u8>),
}

impl MessageAttribute {
    /// An attribute of the type `String`. Fails when `value` is empty.
    pub fn text(value: impl Into<String>) -> Result<Self, SqsError> {
        Self::parse("String".to_owned(), AttributeValue::Text(value.into()))
    }

    fn parse(data_type: String, value: AttributeValue) -> Result<Self, SqsError> {
        let fits = match (data_type.split('.').next(), &value) {
            (Some("String" | "Number"), AttributeValue::Text(text)) => !text.is_empty(),
            (Some("Binary"), AttributeValue::Binary(bytes)) => !bytes.is_empty(),
            _ => false,
        };
        if !fits {
            return Err(SqsError::InvalidParameterValue(
                "A message attribute has a type (String, Number or Binary) and a value of it.".to_owned(),
            ));
        }
        Ok(Self { data_type, value })
    }

    pub fn data_type(&self) -> &str {
        &self.data_type
    }

    pub fn value(&self) -> &AttributeValue {
        &self.value
    }

    fn value_bytes(&self) -> &[u8] {
        match &self.value {
            AttributeValue::Text(text) => text.as_bytes(),
            AttributeValue::Binary(bytes) => bytes,
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WireAttribute {
    data_type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    string_value: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binary_value: Option<String>,
}

impl TryFrom<WireAttribute> for MessageAttribute {
    type Error = SqsError;

    fn try_from(wire: WireAttribute) -> Result<Self, SqsError> {
        let value = match (wire.string_value, wire.binary_value) {
            (Some(text), None) => AttributeValue::Text(text),
            (None, Some(encoded)) => AttributeValue::Binary(
                STANDARD
                    .decode(encoded)
                    .map_err(|_| SqsError::InvalidParameterValue("A binary value is base64.".to_owned()))?,
            ),
            _ => return Err(SqsError::MissingParameter("MessageAttributeValue")),
        };
        Self::parse(wire.data_type, value)
    }
}

impl From<MessageAttribute> for WireAttribute {
    fn from(attribute: MessageAttribute) -> Self {
        let (string_value, binary_value) = match attribute.value {
            AttributeValue::Text(text) => (Some(text), None),
            AttributeValue::Binary(bytes) => (None, Some(STANDARD.encode(bytes))),
        };
        Self {
            data_type: attribute.data_type,
            string_value,
            binary_value,
        }
    }
}

/// By name. At most 10.
pub type MessageAttributes = BTreeMap<String, MessageAttribute>;

/// The content of a message. It never changes, so deliveries share it.
#[derive(Debug, PartialEq, Eq)]
pub struct Content {
    pub body: String,
    pub attributes: MessageAttributes,
}

/// A message to send.
#[derive(Clone, Debug, Default)]
pub struct NewMessage {
    pub body: String,
    pub attributes: MessageAttributes,
    /// How long it is held back; the queue's own delay if `None`.
    pub delay: Option<Duration>,
}

impl NewMessage {
    /// A message without attributes and with the queue's own delay.
    pub fn new(body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            ..Self::default()
        }
    }

    /// Bytes as SQS counts them: the body, and each attribute's name, type and value.
    pub fn size(&self) -> usize {
        let attribute = |(name, attribute): (&String, &MessageAttribute)| {
            name.len() + attribute.data_type.len() + attribute.value_bytes().len()
        };
        self.body.len() + self.attributes.iter().map(attribute).sum::<usize>()
    }

    pub(crate) fn validate(&self, maximum_size: usize) -> Result<(), SqsError> {
        if self.body.is_empty() {
            return Err(SqsError::MissingParameter("MessageBody"));
        }
        if self.size() > maximum_size {
            return Err(SqsError::InvalidParameterValue(format!(
                "One or more parameters are invalid. Reason: Message must be shorter than \
                 {maximum_size} bytes."
            )));
        }
        if !self.body.chars().all(is_allowed) {
            return Err(SqsError::InvalidMessageContents);
        }
        if self.attributes.len() > MAX_ATTRIBUTES {
            return Err(SqsError::InvalidParameterValue(format!(
                "A message has at most {MAX_ATTRIBUTES} attributes."
            )));
        }
        let bad_name = |name: &String| name.is_empty() || name.len() > MAX_ATTRIBUTE_NAME_BYTES;
        if self.attributes.keys().any(bad_name) {
            return Err(SqsError::InvalidParameterValue(
                "A message attribute's name has 1 to 256 bytes.".to_owned(),
            ));
        }
        match self.delay {
            Some(delay) => check_delay(delay),
            None => Ok(()),
        }
    }
}

/// SQS accepts the characters that XML 1.0 allows.
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// One delivery of a message.
#[derive(Clone, Debug)]
pub struct Received {
    pub id: MessageId,
    pub receipt: ReceiptHandle,
    pub content: Arc<Content>,
    pub sent: Timestamp,
    pub first_received: Timestamp,
    /// Includes this delivery, so it starts at 1.
    pub receive_count: u32,
    /// The queue that this dead letter came from.
    pub dead_letter_source: Option<QueueName>,
}

impl Received {
    pub fn body(&self) -> &str {
        &self.content.body
    }

    pub fn attributes(&self) -> &MessageAttributes {
        &self.content.attributes
    }

    /// The attributes that SQS itself adds, by their names on the wire.
    pub fn system_attributes(&self) -> BTreeMap<&'static str, String> {
        let millis = |at: Timestamp| at.as_millis().to_string();
        let mut attributes = BTreeMap::from([
            ("SenderId", ACCOUNT.to_owned()),
            ("SentTimestamp", millis(self.sent)),
            ("ApproximateReceiveCount", self.receive_count.to_string()),
            ("ApproximateFirstReceiveTimestamp", millis(self.first_received)),
        ]);
        let source = self.dead_letter_source.as_ref().map(QueueName::arn);
        attributes.extend(source.map(|arn| ("DeadLetterQueueSourceArn", arn)));
        attributes
    }
}

/// The digest of a body, in hexadecimal.
pub fn md5_of_body(body: &str) -> String {
    hex(Md5::digest(body))
}

/// The digest of attributes as SQS defines it: sorted by name, with the length before each part and
/// a byte that distinguishes text (1) from bytes (2). `None` if there are none.
pub fn md5_of_attributes<'a>(
    attributes: impl IntoIterator<Item = (&'a String, &'a MessageAttribute)>,
) -> Option<String> {
    let sorted: BTreeMap<_, _> = attributes.into_iter().collect();
    if sorted.is_empty() {
        return None;
    }
    let mut digest = Md5::new();
    let mut part = |bytes: &[u8], prefix: &[u8]| {
        let length = u32::try_from(bytes.len()).expect("a message is at most 1 MiB");
        digest.update(prefix);
        digest.update(length.to_be_bytes());
        digest.update(bytes);
    };
    for (name, attribute) in sorted {
        let transport = match attribute.value {
            AttributeValue::Text(_) => 1,
            AttributeValue::Binary(_) => 2,
        };
        part(name.as_bytes(), &[]);
        part(attribute.data_type.as_bytes(), &[]);
        part(attribute.value_bytes(), &[transport]);
    }
    Some(hex(digest.finalize()))
}

fn hex(digest: impl AsRef<[u8]>) -> String {
    use fmt::Write;

    let digest = digest.as_ref();
    let mut text = String::with_capacity(digest.len() * 2);
    for byte in digest {
        write!(text, "{byte:02x}").expect("writing to a string does not fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    fn check_md5(attributes: &[(&str, &str, AttributeValue)], expected: &str) {
        let attributes: MessageAttributes = attributes
            .iter()
            .map(|(name, data_type, value)| {
                let attribute = MessageAttribute::parse((*data_type).to_owned(), value.clone());
                ((*name).to_owned(), attribute.expect("a valid attribute"))
            })
            .collect();
        assert_eq!(md5_of_attributes(&attributes).as_deref(), Some(expected));
    }

    #[test]
    fn digests_are_those_clients_compute() {
        let text = (
            "attribName1",
            "String",
            AttributeValue::Text("attribValue 1".to_owned()),
        );
        let number = (
            "customNumberTypeAttrib",
            "Number.float",
            AttributeValue::Text("4563442423554324324264524243.32543234".to_owned()),
        );
        let binary = (
            "binaryAttribute",
            "Binary",
            AttributeValue::Binary(b"Hello binary world!".to_vec()),
        );
        check_md5(from_ref(&text), "19e27d4e946b072f3f58da80d94fd778");
        check_md5(from_ref(&binary), "31a92b15d92f8db860eda32aceb656c3");
        check_md5(&[number, text, binary], "c932db14a896c663f83c260297d594ff");
        assert_eq!(md5_of_attributes(&MessageAttributes::new()), None);
        assert_eq!(md5_of_body("hello"), "5d41402abc4b2a76b9719d911017c592");
    }

    #[test]
    fn a_receipt_handle_survives_the_wire_and_nothing_else_is_one() {
        let handle = ReceiptHandle {
            seq: Seq(7),
            delivery: u64::MAX - 3,
        };
        assert_eq!(handle.to_string().parse(), Ok(handle));
        for raw in ["", "x", "not a handle", &"A".repeat(400)] {
            assert_eq!(
                raw.parse::<ReceiptHandle>(),
                Err(SqsError::ReceiptHandleIsInvalid)
            );
        }
    }

    fn check_send(message: &NewMessage, expected: Result<(), &str>) {
        let seen = message.validate(100).map_err(|error| error.query_code());
        assert_eq!(seen, expected, "{message:?}");
    }

    #[test]
    fn only_what_sqs_can_hold_is_sent() {
        check_send(&NewMessage::new("a\tb\n😀"), Ok(()));
        check_send(&NewMessage::new("x".repeat(100)), Ok(()));
        check_send(&NewMessage::new("x".repeat(101)), Err("InvalidParameterValue"));
        check_send(&NewMessage::new(""), Err("MissingParameter"));
        check_send(&NewMessage::new("\u{0}"), Err("InvalidMessageContents"));
        check_send(&NewMessage::new("\u{FFFF}"), Err("InvalidMessageContents"));
        let late = NewMessage {
            delay: Some(Duration::from_secs(901)),
            ..NewMessage::new("x")
        };
        check_send(&late, Err("InvalidAttributeValue"));
        let attribute = MessageAttribute::text("y".repeat(90)).expect("a value");
        let mut heavy = NewMessage::new("x");
        heavy.attributes.insert("name".to_owned(), attribute);
        check_send(&heavy, Err("InvalidParameterValue"));
    }
}
