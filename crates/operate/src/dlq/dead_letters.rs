//! Dead letters as they are received: their reasons, which of them are chosen, and how many there are.

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt::Write as _,
    time::Duration,
};

use anyhow::ensure;
use aws_sdk_sqs::types::{Message, MessageAttributeValue, MessageSystemAttributeName};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use terminal::duration;
use terminal::text::printable;

/// The reason code of a dead letter without a reason: SQS itself moved it.
pub const NO_REASON: &str = "none";

/// Codes counted separately. All further codes count as [`OTHER_CODES`], so that a faulty sender cannot
/// grow the summary without bound.
const CODES_MAX: usize = 32;
const OTHER_CODES: &str = "other codes";

/// Identifies a message in 16 bytes: the first half of the SHA-256 of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdHash([u8; 16]);

impl IdHash {
    pub fn of(id: &str) -> Self {
        let digest = Sha256::digest(id);
        let mut id_hash = [0; 16];
        id_hash.copy_from_slice(&digest[..16]);
        Self(id_hash)
    }
}

/// A message attribute. Binary values are in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attribute {
    #[serde(rename = "type")]
    pub data_type: String,
    pub value: String,
}

/// One dead letter, in the format of its line in an export.
#[derive(Debug, Clone, Serialize)]
pub struct DeadLetter {
    pub id: String,
    pub sent_at: Timestamp,
    pub receive_count: u64,
    pub reason_code: String,
    pub reason: Option<String>,
    /// The queue that SQS moved it from, if SQS moved it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub moved_from: Option<String>,
    pub attributes: BTreeMap<String, Attribute>,
    pub body: String,
}

impl DeadLetter {
    /// `None` for a message without an id, which SQS never sends.
    pub fn parse(message: Message) -> Option<Self> {
        let id = message.message_id?;
        let body = message.body.unwrap_or_default();
        let system = message.attributes.unwrap_or_default();
        let number = |name| system.get(&name).and_then(|raw| raw.parse::<i64>().ok());
        let sent_at = number(MessageSystemAttributeName::SentTimestamp).unwrap_or_default();
        let receive_count = number(MessageSystemAttributeName::ApproximateReceiveCount).unwrap_or_default();
        let attributes: BTreeMap<_, _> = message
            .message_attributes
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name, attribute(value)))
            .collect();
        let (reason_code, reason) = reason(&attributes, &body);
        Some(Self {
            id,
            sent_at: Timestamp::from_millisecond(sent_at).unwrap_or_default(),
            receive_count: receive_count.try_into().unwrap_or_default(),
            reason_code,
            reason,
            moved_from: system
                .get(&MessageSystemAttributeName::DeadLetterQueueSourceArn)
                .cloned(),
            attributes,
            body,
        })
    }

    pub fn id_hash(&self) -> IdHash {
        IdHash::of(&self.id)
    }

    /// The id of the original message, if the aggregator wrote this dead letter.
    pub fn made_of(&self) -> Option<&str> {
        let id = self.attributes.get("message_id");
        id.map(|id| id.value.as_str())
    }

    pub fn age(&self, now: Timestamp) -> f64 {
        now.duration_since(self.sent_at).as_secs_f64().max(0.0)
    }
}

fn attribute(value: MessageAttributeValue) -> Attribute {
    let bytes = value.binary_value.map(|bytes| hexadecimal(bytes.as_ref()));
    Attribute {
        data_type: value.data_type,
        value: value.string_value.or(bytes).unwrap_or_default(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The reason code and detail of a dead letter. They are in the attributes if the aggregator or the
/// scheduler wrote it, and in the body if a pipe did or a function's run failed.
fn reason(attributes: &BTreeMap<String, Attribute>, body: &str) -> (String, Option<String>) {
    let value = |name: &str| attributes.get(name).map(|attribute| attribute.value.clone());
    for (code, detail) in [("reason_code", "reason"), ("ERROR_CODE", "ERROR_MESSAGE")] {
        if let Some(code) = value(code) {
            return (code, value(detail));
        }
    }
    let document: Value = serde_json::from_str(body).unwrap_or_default();
    for context in ["context", "requestContext"] {
        if let Some(condition) = document[context]["condition"].as_str() {
            let detail = document["responsePayload"]["errorMessage"].as_str();
            return (condition.to_owned(), detail.map(ToOwned::to_owned));
        }
    }
    (NO_REASON.to_owned(), None)
}

/// What a reason means, and what the operator should do.
pub fn meaning(code: &str) -> (&'static str, &'static str) {
    const WRITTEN_BY_ANOTHER: &str = "find what else writes to the queue, or deploy a version that reads this \
                                      format; then redrive the activities and purge the rest";
    match code {
        "rejected" => (
            "the event, or the activity, is not valid; the reason names the field",
            "correct `event_mapping`, or have the sender correct what it sends; then redrive, or purge what stays wrong",
        ),
        "conflict" => (
            "an event with this source and id came before with other data, which count",
            "if the later data are right, void that activity and post the right one; then purge these",
        ),
        "not_scored" => (
            "the scoring policy has no points for this kind at the activity's time",
            "add the kind to the scoring policy and deploy, then redrive",
        ),
        "not_countable" => (
            "DynamoDB refused the write and will refuse it again; the reason has its message",
            "fix the cause that the reason names, then redrive",
        ),
        "not_a_stream_record" => (
            "the message is not a record of the table's stream as the pipe sends it",
            WRITTEN_BY_ANOTHER,
        ),
        "not_an_insert" => (
            "the record is about a changed or deleted activity, which the pipe filters out",
            WRITTEN_BY_ANOTHER,
        ),
        "no_new_image" => (
            "the record does not carry the new item, because the table's stream has another view type",
            "set the stream's view type to NEW_IMAGE (terraform apply), then purge these",
        ),
        "not_an_event" => (
            "the message is not an event (CloudEvents) as the pipes of facts and coins make it",
            WRITTEN_BY_ANOTHER,
        ),
        "unknown_event" => (
            "the event has a version or a type that this version does not know",
            WRITTEN_BY_ANOTHER,
        ),
        "not_an_activity" => (
            "the item in the record is not an activity that this version can read",
            WRITTEN_BY_ANOTHER,
        ),
        "not_a_coin" => (
            "the item in the event is not a coin that this version can read",
            WRITTEN_BY_ANOTHER,
        ),
        "not_received" => (
            "the receiver did not take the event for three days; the reason has its last answer",
            "have the receiver mended, or the webhook's address or secret, then redrive",
        ),
        "ended" => (
            "the receiver answered 410 Gone, so it gets no more events",
            "if it wants events again, run `podium webhooks resume ID`, then redrive; else remove the webhook and purge these",
        ),
        NO_REASON => (
            "SQS moved it here without a reason, usually because it failed 1,000 times",
            "read the log of the queue's function of that time (permissions, tables), fix the cause, then redrive",
        ),
        "RetryAttemptsExhausted" | "RecordAgeExceeded" | "MaximumRecordAgeExceeded" => (
            "the pipe gave up on records of the stream; the body says where they are",
            "recover them within the stream's 24 hours: docs/RUNBOOK.md, \"Bring back what the pipe skipped\"",
        ),
        _ => (
            "it is not one of Podium's own reasons",
            "read its body and attributes with `podium dlq show ID`",
        ),
    }
}

/// Which dead letters to use. Shared by the subcommands.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Choice {
    /// Only dead letters with this reason, such as `not_scored`; `none` for those without one
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// Only dead letters older than this, such as 1h or 2h30m
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    older_than: Option<Duration>,
    /// Only dead letters newer than this
    #[arg(long, value_name = "TIME", value_parser = duration::parse)]
    newer_than: Option<Duration>,
}

impl Choice {
    /// Rejects a choice that no dead letter can meet.
    pub fn check(&self) -> anyhow::Result<()> {
        if let (Some(older), Some(newer)) = (self.older_than, self.newer_than) {
            ensure!(
                older < newer,
                "no dead letter is both older than --older-than and newer than --newer-than; make --older-than shorter"
            );
        }
        Ok(())
    }

    pub fn is_all(&self) -> bool {
        self.reason.is_none() && self.older_than.is_none() && self.newer_than.is_none()
    }

    pub fn includes(&self, dead_letter: &DeadLetter, now: Timestamp) -> bool {
        let age = Duration::try_from_secs_f64(dead_letter.age(now)).unwrap_or(Duration::MAX);
        let has_reason = |code: &String| *code == dead_letter.reason_code;
        self.reason.as_ref().is_none_or(has_reason)
            && self.older_than.is_none_or(|bound| age > bound)
            && self.newer_than.is_none_or(|bound| age < bound)
    }
}

/// The number of dead letters with one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    #[serde(rename = "letters")]
    pub dead_letters: u64,
    pub oldest_sent_at: Timestamp,
    pub newest_sent_at: Timestamp,
}

/// The number of dead letters by reason.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Summary {
    by_code: BTreeMap<String, Count>,
}

impl Summary {
    pub fn add(&mut self, dead_letter: &DeadLetter) {
        let code = printable(&dead_letter.reason_code);
        let is_full = self.by_code.len() >= CODES_MAX && !self.by_code.contains_key(&code);
        match self
            .by_code
            .entry(if is_full { OTHER_CODES.to_owned() } else { code })
        {
            Entry::Vacant(vacant) => {
                vacant.insert(Count {
                    dead_letters: 1,
                    oldest_sent_at: dead_letter.sent_at,
                    newest_sent_at: dead_letter.sent_at,
                });
            }
            Entry::Occupied(mut occupied) => {
                let count = occupied.get_mut();
                count.dead_letters += 1;
                count.oldest_sent_at = count.oldest_sent_at.min(dead_letter.sent_at);
                count.newest_sent_at = count.newest_sent_at.max(dead_letter.sent_at);
            }
        }
    }

    pub fn dead_letters(&self) -> u64 {
        self.by_code.values().map(|count| count.dead_letters).sum()
    }

    /// The most frequent first.
    pub fn counts(&self) -> Vec<(&str, &Count)> {
        let mut counts: Vec<_> = self
            .by_code
            .iter()
            .map(|(code, count)| (code.as_str(), count))
            .collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(count.dead_letters));
        counts
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    fn time(at: &str) -> Timestamp {
        format!("2026-11-21T{at}Z").parse().expect("a time")
    }

    pub fn dead_letter(id: &str, sent_at: &str, code: &str) -> DeadLetter {
        DeadLetter {
            id: id.to_owned(),
            sent_at: time(sent_at),
            receive_count: 1,
            reason_code: code.to_owned(),
            reason: None,
            moved_from: None,
            attributes: BTreeMap::new(),
            body: String::new(),
        }
    }

    fn text(data_type: &str, value: &str) -> MessageAttributeValue {
        let builder = MessageAttributeValue::builder().data_type(data_type);
        builder.string_value(value).build().expect("a type")
    }

    #[test]
    fn letters_are_read_as_they_are_received() {
        let message = Message::builder()
            .message_id("one")
            .body("{}")
            .attributes(MessageSystemAttributeName::SentTimestamp, "1795255200123")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "3")
            .message_attributes("reason_code", text("String", "not_scored"))
            .message_attributes("reason", text("String", "no points for naps"))
            .message_attributes("message_id", text("String", "before"))
            .build();
        let dead_letter = DeadLetter::parse(message).expect("it has an id");
        let line = serde_json::to_value(&dead_letter).expect("JSON");
        assert_eq!(
            line,
            serde_json::json!({
                "id": "one",
                "sent_at": "2026-11-21T10:00:00.123Z",
                "receive_count": 3,
                "reason_code": "not_scored",
                "reason": "no points for naps",
                "attributes": {
                    "message_id": {"type": "String", "value": "before"},
                    "reason": {"type": "String", "value": "no points for naps"},
                    "reason_code": {"type": "String", "value": "not_scored"},
                },
                "body": "{}",
            })
        );
        assert_eq!(dead_letter.made_of(), Some("before"));
        assert!(DeadLetter::parse(Message::builder().body("{}").build()).is_none());
    }

    fn check_reason(attributes: &[(&str, &str)], body: &str, expected: (&str, Option<&str>)) {
        let attributes = attributes
            .iter()
            .map(|(name, value)| ((*name).to_owned(), attribute(text("String", value))))
            .collect();
        let (code, detail) = reason(&attributes, body);
        assert_eq!((code.as_str(), detail.as_deref()), expected, "{body}");
    }

    #[test]
    fn every_kind_of_letter_has_a_reason() {
        check_reason(
            &[("reason_code", "not_scored"), ("reason", "why")],
            "{}",
            ("not_scored", Some("why")),
        );
        check_reason(&[], "{}", ("none", None));
        check_reason(&[], "no JSON", ("none", None));
        check_reason(
            &[],
            r#"{"context":{"condition":"RetryAttemptsExhausted"}}"#,
            ("RetryAttemptsExhausted", None),
        );
        check_reason(
            &[],
            r#"{"requestContext":{"condition":"RetriesExhausted"},"responsePayload":{"errorMessage":"no table"}}"#,
            ("RetriesExhausted", Some("no table")),
        );
        check_reason(
            &[("ERROR_CODE", "AWS.Scheduler.X"), ("ERROR_MESSAGE", "no role")],
            "{}",
            ("AWS.Scheduler.X", Some("no role")),
        );
        let binary = MessageAttributeValue::builder()
            .data_type("Binary")
            .binary_value(aws_sdk_sqs::primitives::Blob::new([0_u8, 171]));
        assert_eq!(attribute(binary.build().expect("a type")).value, "00ab");
    }

    fn check_choice(reason: Option<&str>, older_s: Option<u64>, newer_s: Option<u64>, expected: &str) {
        let choice = Choice {
            reason: reason.map(ToOwned::to_owned),
            older_than: older_s.map(Duration::from_secs),
            newer_than: newer_s.map(Duration::from_secs),
        };
        let dead_letters = [
            dead_letter("a", "10:00:00", "not_scored"),
            dead_letter("b", "10:30:00", "none"),
            dead_letter("c", "10:59:59", "not_scored"),
            dead_letter("d", "11:00:05", "none"),
        ];
        let now = time("11:00:00");
        let chosen = dead_letters
            .iter()
            .filter(|dead_letter| choice.includes(dead_letter, now));
        let chosen: String = chosen.map(|dead_letter| dead_letter.id.as_str()).collect();
        assert_eq!(chosen, expected, "{choice:?}");
    }

    #[test]
    fn chooses_by_reason_and_age() {
        check_choice(None, None, None, "abcd");
        check_choice(Some("not_scored"), None, None, "ac");
        check_choice(Some("none"), None, None, "bd");
        check_choice(Some("other"), None, None, "");
        check_choice(None, Some(1_800), None, "a");
        check_choice(None, Some(1_799), None, "ab");
        check_choice(None, None, Some(3_600), "bcd");
        check_choice(None, Some(60), Some(3_600), "b");
        check_choice(Some("not_scored"), Some(60), None, "a");
    }

    #[test]
    fn a_choice_that_nothing_meets_is_refused() {
        for (older_s, newer_s, expected) in [(60, 61, true), (60, 60, false), (61, 60, false)] {
            let choice = Choice {
                reason: None,
                older_than: Some(Duration::from_secs(older_s)),
                newer_than: Some(Duration::from_secs(newer_s)),
            };
            assert_eq!(choice.check().is_ok(), expected, "{choice:?}");
        }
    }

    #[test]
    fn sums_up_by_reason() {
        let mut summary = Summary::default();
        for (at, code) in [
            ("10:00:02", "b"),
            ("10:00:01", "b"),
            ("10:00:03", "b"),
            ("10:00:09", "a"),
        ] {
            summary.add(&dead_letter("id", at, code));
        }
        let counts: Vec<_> = summary
            .counts()
            .into_iter()
            .map(|(code, count)| {
                (
                    code,
                    count.dead_letters,
                    count.oldest_sent_at,
                    count.newest_sent_at,
                )
            })
            .collect();
        assert_eq!(
            counts,
            [
                ("b", 3, time("10:00:01"), time("10:00:03")),
                ("a", 1, time("10:00:09"), time("10:00:09")),
            ]
        );
        for code in 0..100 {
            summary.add(&dead_letter("id", "10:00:00", &format!("made-up-{code}")));
        }
        assert_eq!(
            (summary.dead_letters(), summary.by_code.len()),
            (104, CODES_MAX + 1)
        );
        assert_eq!(summary.by_code[OTHER_CODES].dead_letters, 70);
    }

    #[test]
    fn every_reason_of_the_aggregator_means_something() {
        for code in [
            "not_scored",
            "not_countable",
            "not_a_stream_record",
            "not_an_insert",
            "no_new_image",
            "not_an_activity",
            NO_REASON,
        ] {
            assert_ne!(meaning(code), meaning("made up"), "{code}");
            assert!(
                crate::dlq::HELP.contains(&format!("\n  {code}")),
                "{code} is not in the help"
            );
        }
    }
}
