//! A queue's name, and its attributes with the defaults and bounds of SQS.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::SqsError;

/// The account of every queue here.
pub const ACCOUNT: &str = "000000000000";

/// The region of every queue here.
pub const REGION: &str = "us-east-1";

const MAX_NAME_BYTES: usize = 80;

const VISIBILITY_SECS: RangeInclusive<u64> = 0..=12 * 60 * 60;
const RETENTION_SECS: RangeInclusive<u64> = 60..=14 * 24 * 60 * 60;
const WAIT_SECS: RangeInclusive<u64> = 0..=20;
const DELAY_SECS: RangeInclusive<u64> = 0..=15 * 60;
const MESSAGE_BYTES: RangeInclusive<u64> = 1_024..=MAX_MESSAGE_BYTES as u64;
const MAX_RECEIVES: RangeInclusive<u32> = 1..=1_000;

/// The limit for one message and for a batch: 1 MiB of bodies and attributes.
pub const MAX_MESSAGE_BYTES: usize = 1_048_576;

/// 1 to 80 letters, digits, hyphens and underscores, so it is also safe as a file name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QueueName(String);

impl QueueName {
    pub fn arn(&self) -> String {
        format!("arn:aws:sqs:{REGION}:{ACCOUNT}:{self}")
    }

    /// The queue that an ARN of this account and region names.
    pub fn from_arn(arn: &str) -> Result<Self, SqsError> {
        let name = arn.strip_prefix(&format!("arn:aws:sqs:{REGION}:{ACCOUNT}:"));
        name.ok_or_else(|| SqsError::InvalidParameterValue(format!("{arn} is not the ARN of a queue.")))?
            .parse()
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QueueName {
    type Err = SqsError;

    fn from_str(raw: &str) -> Result<Self, SqsError> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        if raw.is_empty() || raw.len() > MAX_NAME_BYTES || !raw.bytes().all(allowed) {
            return Err(SqsError::InvalidParameterValue(
                "A standard queue's name has 1 to 80 letters, digits, hyphens and underscores.".to_owned(),
            ));
        }
        Ok(Self(raw.to_owned()))
    }
}

impl TryFrom<String> for QueueName {
    type Error = SqsError;

    fn try_from(raw: String) -> Result<Self, SqsError> {
        raw.parse()
    }
}

impl From<QueueName> for String {
    fn from(name: QueueName) -> Self {
        name.0
    }
}

impl fmt::Display for QueueName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Where a message goes after `max_receive_count` receives without a deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Redrive {
    pub dead_letter_queue: QueueName,
    /// 1 to 1,000.
    pub max_receive_count: u32,
}

/// A queue's settings. The defaults are those of SQS.
///
/// Durations may be finer than the whole seconds of the API, because tests need short ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueAttributes {
    /// How long a received message stays hidden: up to 12 hours.
    pub visibility_timeout: Duration,
    /// How long a message is kept after it is sent: 1 minute to 14 days.
    pub message_retention: Duration,
    /// How long a receive waits for a message if it does not say so itself: up to 20 seconds.
    pub receive_wait: Duration,
    /// How long a new message is held back if it does not say so itself: up to 15 minutes.
    pub delay: Duration,
    /// Bytes of body and attributes: 1 KiB to 1 MiB.
    pub maximum_message_size: usize,
    pub redrive: Option<Redrive>,
}

impl Default for QueueAttributes {
    fn default() -> Self {
        Self {
            visibility_timeout: Duration::from_secs(30),
            message_retention: Duration::from_hours(4 * 24),
            receive_wait: Duration::ZERO,
            delay: Duration::ZERO,
            maximum_message_size: MAX_MESSAGE_BYTES,
            redrive: None,
        }
    }
}

impl QueueAttributes {
    /// Fails with the name of the first attribute that is out of bounds.
    pub fn validate(&self) -> Result<(), SqsError> {
        check_visibility_timeout(self.visibility_timeout)?;
        check("MessageRetentionPeriod", self.message_retention, &RETENTION_SECS)?;
        check_receive_wait(self.receive_wait)?;
        check_delay(self.delay)?;
        if !MESSAGE_BYTES.contains(&(self.maximum_message_size as u64)) {
            return Err(SqsError::InvalidAttributeValue("MaximumMessageSize".to_owned()));
        }
        match &self.redrive {
            Some(redrive) if !MAX_RECEIVES.contains(&redrive.max_receive_count) => {
                Err(SqsError::InvalidAttributeValue("RedrivePolicy".to_owned()))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// These attributes, overridden by those of a request and validated.
    pub(crate) fn overlaid(mut self, raw: &BTreeMap<String, String>) -> Result<Self, SqsError> {
        for (name, value) in raw {
            match name.as_str() {
                "VisibilityTimeout" => self.visibility_timeout = parse_secs(name, value)?,
                "MessageRetentionPeriod" => self.message_retention = parse_secs(name, value)?,
                "ReceiveMessageWaitTimeSeconds" => self.receive_wait = parse_secs(name, value)?,
                "DelaySeconds" => self.delay = parse_secs(name, value)?,
                "MaximumMessageSize" => self.maximum_message_size = parse_number(name, value)?,
                "RedrivePolicy" => self.redrive = parse_redrive(value)?,
                _ => return Err(SqsError::InvalidAttributeName(name.clone())),
            }
        }
        self.validate()?;
        Ok(self)
    }

    /// The attributes as `GetQueueAttributes` returns them.
    pub(crate) fn rendered(&self) -> Vec<(&'static str, String)> {
        let secs = |duration: Duration| duration.as_secs().to_string();
        let mut rendered = vec![
            ("VisibilityTimeout", secs(self.visibility_timeout)),
            ("MessageRetentionPeriod", secs(self.message_retention)),
            ("ReceiveMessageWaitTimeSeconds", secs(self.receive_wait)),
            ("DelaySeconds", secs(self.delay)),
            ("MaximumMessageSize", self.maximum_message_size.to_string()),
            // Nothing is encrypted on one machine.
            ("SqsManagedSseEnabled", "false".to_owned()),
        ];
        if let Some(redrive) = &self.redrive {
            let policy = serde_json::json!({
                "deadLetterTargetArn": redrive.dead_letter_queue.arn(),
                "maxReceiveCount": redrive.max_receive_count,
            });
            rendered.push(("RedrivePolicy", policy.to_string()));
        }
        rendered
    }
}

pub(crate) fn check_visibility_timeout(value: Duration) -> Result<(), SqsError> {
    check("VisibilityTimeout", value, &VISIBILITY_SECS)
}

pub(crate) fn check_receive_wait(value: Duration) -> Result<(), SqsError> {
    check("ReceiveMessageWaitTimeSeconds", value, &WAIT_SECS)
}

pub(crate) fn check_delay(value: Duration) -> Result<(), SqsError> {
    check("DelaySeconds", value, &DELAY_SECS)
}

fn check(name: &str, value: Duration, secs: &RangeInclusive<u64>) -> Result<(), SqsError> {
    let bounds = Duration::from_secs(*secs.start())..=Duration::from_secs(*secs.end());
    if bounds.contains(&value) {
        Ok(())
    } else {
        Err(SqsError::InvalidAttributeValue(name.to_owned()))
    }
}

fn parse_secs(name: &str, value: &str) -> Result<Duration, SqsError> {
    parse_number(name, value).map(Duration::from_secs)
}

fn parse_number<T: FromStr>(name: &str, value: &str) -> Result<T, SqsError> {
    value
        .parse()
        .map_err(|_| SqsError::InvalidAttributeValue(name.to_owned()))
}

/// An empty policy removes the redrive. Clients send the count as a number or as a string.
fn parse_redrive(policy: &str) -> Result<Option<Redrive>, SqsError> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Policy {
        dead_letter_target_arn: String,
        max_receive_count: Count,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Count {
        Number(u32),
        Text(String),
    }

    if policy.is_empty() {
        return Ok(None);
    }
    let invalid = || SqsError::InvalidAttributeValue("RedrivePolicy".to_owned());
    let policy: Policy = serde_json::from_str(policy).map_err(|_| invalid())?;
    let max_receive_count = match policy.max_receive_count {
        Count::Number(count) => count,
        Count::Text(count) => count.parse().map_err(|_| invalid())?,
    };
    Ok(Some(Redrive {
        dead_letter_queue: QueueName::from_arn(&policy.dead_letter_target_arn)?,
        max_receive_count,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Visibility timeout, and dead-letter queue with its receive count.
    type Seen<'a> = (u64, Option<(&'a str, u32)>);

    /// Compares the parsed attributes, or the query code of the error.
    fn check(name: &str, value: &str, expected: Result<Seen<'_>, &str>) {
        let raw = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        let parsed = QueueAttributes::default().overlaid(&raw);
        let seen = parsed.as_ref().map_err(SqsError::query_code).map(|parsed| {
            let redrive = parsed.redrive.as_ref();
            let redrive = redrive.map(|r| (r.dead_letter_queue.as_str(), r.max_receive_count));
            (parsed.visibility_timeout.as_secs(), redrive)
        });
        assert_eq!(seen, expected, "{name} = {value}");
    }

    #[test]
    fn attributes_have_the_bounds_of_sqs() {
        let arn = r#""deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead""#;
        check("VisibilityTimeout", "0", Ok((0, None)));
        check("VisibilityTimeout", "43200", Ok((43_200, None)));
        check("VisibilityTimeout", "43201", Err("InvalidAttributeValue"));
        check("VisibilityTimeout", "-1", Err("InvalidAttributeValue"));
        check("MessageRetentionPeriod", "59", Err("InvalidAttributeValue"));
        check("MessageRetentionPeriod", "1209601", Err("InvalidAttributeValue"));
        check(
            "ReceiveMessageWaitTimeSeconds",
            "21",
            Err("InvalidAttributeValue"),
        );
        check("DelaySeconds", "901", Err("InvalidAttributeValue"));
        check("MaximumMessageSize", "1048577", Err("InvalidAttributeValue"));
        check("FifoQueue", "true", Err("InvalidAttributeName"));
        check("RedrivePolicy", "", Ok((30, None)));
        for count in ["3", "\"3\""] {
            let policy = format!(r#"{{{arn},"maxReceiveCount":{count}}}"#);
            check("RedrivePolicy", &policy, Ok((30, Some(("dead", 3)))));
        }
        let policy = format!(r#"{{{arn},"maxReceiveCount":0}}"#);
        check("RedrivePolicy", &policy, Err("InvalidAttributeValue"));
        check("RedrivePolicy", "{", Err("InvalidAttributeValue"));
    }
}
