//! What the functions' own parsers return for an input.

use aggregator::batch::Batch;
use aws_lambda_events::event::sqs::SqsMessage;
use domain::{ActivityId, Intake};
use jiff::{SignedDuration, Timestamp};
use local::dynamodb::StreamRecord;
use local::pipe::FilterPattern;
use local::settings;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::case::{Input, Parser};
use crate::tables::rules;

/// When every input arrives.
const NOW: &str = "2026-11-21T10:00:00Z";

/// All field names, except those within metadata and those that a client invents.
const FIELDS: [&str; 15] = [
    "activity_id",
    "body",
    "dynamodb",
    "dynamodb.ApproximateCreationDateTime",
    "dynamodb.NewImage",
    "dynamodb.SequenceNumber",
    "eventName",
    "kind",
    "metadata",
    "occurred_at",
    "points",
    "program_id",
    "received_at",
    "schema_version",
    "user_id",
];

/// The code of an error, and the field that is wrong. Empty if the whole input is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NamedError {
    pub code: String,
    pub field: String,
}

impl NamedError {
    fn new(code: &str, field: &str) -> Self {
        Self {
            code: code.to_owned(),
            field: field.to_owned(),
        }
    }

    /// The error of a reason that begins with the name of the field.
    pub fn of(code: &str, reason: &str) -> Self {
        let first = reason.split(' ').next().unwrap_or_default();
        Self::new(code, if FIELDS.contains(&first) { first } else { "" })
    }

    /// This error, with every name that a client invents replaced by `…`.
    pub fn kind(&self) -> String {
        let field = match self.field.split(['.', '[']).next() {
            Some("metadata") if self.field != "metadata" => "metadata.…",
            _ if !FIELDS.contains(&self.field.as_str()) && !self.field.is_empty() => "…",
            _ => &self.field,
        };
        format!("{} {field}", self.code)
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    pub status: Option<u16>,
    /// None if the input is accepted.
    pub errors: Vec<NamedError>,
    pub details: Vec<String>,
}

impl Outcome {
    fn bad(code: &str, reason: &str) -> Self {
        Self {
            status: None,
            errors: vec![NamedError::of(code, reason)],
            details: vec![reason.to_owned()],
        }
    }

    pub fn named(&self) -> (Option<u16>, &[NamedError]) {
        (self.status, &self.errors)
    }

    /// The outcome of an answer of ingestion.
    pub fn of_answer(status: u16, answer: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let results = answer["results"].as_array();
        let errors: Vec<&Value> = match results {
            Some(results) => results
                .iter()
                .map(|result| &result["error"])
                .filter(|e| !e.is_null())
                .collect(),
            None => vec![answer],
        };
        Self {
            status: Some(status),
            errors: errors
                .iter()
                .map(|error| NamedError::new(&text(&error["code"]), &text(&error["field"])))
                .collect(),
            details: errors.iter().map(|error| text(&error["detail"])).collect(),
        }
    }
}

impl Parser {
    pub fn judge(self, input: &Input) -> Outcome {
        let now: Timestamp = NOW.parse().expect("a time");
        self.judge_at(input, now)
    }

    pub fn judge_at(self, input: &Input, now: Timestamp) -> Outcome {
        match self {
            Self::HttpBody => http_body(input.bytes(), now),
            Self::QueueMessage => queue_message(input.text(), now),
            Self::StreamRecord => match message_of(input.text()) {
                Ok(message) => queue_message(&message, now),
                Err(outcome) => outcome,
            },
        }
    }
}

fn http_body(body: &[u8], now: Timestamp) -> Outcome {
    let items = match ingest::body::split(body) {
        Ok(items) => items,
        Err(problem) => {
            let status = problem.status().as_u16();
            let problem = serde_json::to_value(problem).expect("a problem is JSON");
            return Outcome::of_answer(status, &problem);
        }
    };
    let intake = Intake {
        policy: settings::SCORING_POLICY.parse().expect("a policy"),
        max_age: Some(SignedDuration::from_hours(31 * 24)),
    };
    let new_id = || "made".parse::<ActivityId>().expect("an id");
    let rejected: Vec<_> = items
        .iter()
        .filter_map(|item| intake.parse(item, now, new_id).err())
        .collect();
    let status = match rejected.len() {
        0 => 202,
        all if all == items.len() => 422,
        _ => 207,
    };
    let rejected = serde_json::json!({ "results": rejected.iter().map(|error| serde_json::json!({ "error": error })).collect::<Vec<_>>() });
    Outcome::of_answer(status, &rejected)
}

fn queue_message(body: &str, now: Timestamp) -> Outcome {
    let mut message = SqsMessage::default();
    message.body = Some(body.to_owned());
    let messages = [message];
    let batch = Batch::sort(&messages, &rules("Europe/Berlin"));
    match batch.dead.first() {
        Some(dead_letter) => Outcome::bad(dead_letter.code, &dead_letter.reason),
        None => Outcome::default(),
    }
}

/// The message that the pipe creates from a record, or why it creates none.
pub fn message_of(record: &str) -> Result<String, Outcome> {
    let document: Value =
        serde_json::from_str(record).map_err(|error| Outcome::bad("not_json", &error.to_string()))?;
    let record = StreamRecord::from_api(document, "arn", "shardId-00000000000000000001-00000001")
        .map_err(|error| Outcome::bad("not_a_record", &error.to_string()))?;
    let filter: FilterPattern = settings::PIPE_FILTER.parse().expect("a pattern");
    if filter.matches(&record.document) {
        Ok(record.document.to_string())
    } else {
        Err(Outcome::bad(
            "filtered_out",
            "eventName is not what the pipe sends on",
        ))
    }
}

/// Whether SQS accepts a text as a message, or as an attribute.
pub fn is_message(text: &str) -> bool {
    text.chars()
        .all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..))
}
