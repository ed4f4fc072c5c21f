//! What the functions' own parsers return for an input.

use aggregator::batch::Batch;
use aws_lambda_events::event::sqs::SqsMessage;
use domain::{ActivityId, Intake};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use local::dynamodb::StreamRecord;
use local::pipe::FilterPattern;
use local::settings;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::erasures::Erasures;

use super::case::{Input, Parser};
use crate::tables::rules;

/// When every input arrives.
pub const NOW: &str = "2026-11-21T10:00:00Z";

/// All field names, except those within metadata and those that a client invents.
const FIELDS: [&str; 17] = [
    "activity_id",
    "body",
    "content-encoding",
    "content-type",
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
            Self::HttpRequest | Self::HttpBody | Self::Id | Self::OccurredAt => {
                let (headers, body) = self.request(input);
                http(&headers, &body, now)
            }
            Self::QueueMessage => queue_message(input.text()),
            Self::StreamRecord => match message_of(input.text()) {
                Ok(message) => queue_message(&message),
                Err(outcome) => outcome,
            },
        }
    }
}

impl Parser {
    /// The request that sends an input to ingestion.
    pub fn request(self, input: &Input) -> (HeaderMap, Vec<u8>) {
        let json = |body| {
            let headers = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
            (headers.into_iter().collect(), body)
        };
        let activity = |field: &str| {
            let mut activity = json!({"user_id": "ann", "program_id": "p", "kind": "task_completed"});
            activity[field] = input.text().into();
            activity
        };
        match self {
            Self::HttpRequest => split_head(input.bytes()),
            Self::HttpBody => json(input.bytes().to_vec()),
            Self::OccurredAt => json(activity("occurred_at").to_string().into()),
            Self::Id => {
                let activities = ["user_id", "program_id", "activity_id"].map(activity);
                json(Value::from(activities.to_vec()).to_string().into())
            }
            Self::QueueMessage | Self::StreamRecord => panic!("{self:?} is not of ingestion"),
        }
    }
}

/// The headers in the first lines, up to an empty one, and the body after it. Lines that are not a header
/// are left out.
pub fn split_head(request: &[u8]) -> (HeaderMap, Vec<u8>) {
    let (head, body) = match request.windows(2).position(|pair| pair == b"\n\n") {
        _ if request.starts_with(b"\n") => request.split_at(1),
        Some(end) => request.split_at(end + 2),
        None => (request, &[] as &[u8]),
    };
    let headers = head.split(|byte| *byte == b'\n').filter_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        Some((
            name,
            HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?,
        ))
    });
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(name, value);
    }
    (map, body.to_vec())
}

fn refused(problem: &impl Serialize) -> Outcome {
    let problem = serde_json::to_value(problem).expect("a problem is JSON");
    let status = problem["status"]
        .as_u64()
        .and_then(|status| u16::try_from(status).ok());
    Outcome::of_answer(status.expect("a status"), &problem)
}

/// The outcome of a request to ingestion that could store everything.
pub fn http(headers: &HeaderMap, body: &[u8], now: Timestamp) -> Outcome {
    let encoding = problem::body::check_headers(headers);
    let decoded = encoding.and_then(|encoding| problem::body::decode(encoding, body));
    let items = match &decoded {
        Ok(decoded) => {
            ingest::body::split(decoded, ingest::Items::Activities).map_err(|problem| refused(&problem))
        }
        Err(problem) => Err(refused(problem)),
    };
    let items = match items {
        Ok(items) => items,
        Err(refused) => return refused,
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
    let results = rejected.iter().map(|error| json!({ "error": error }));
    let rejected = json!({ "results": results.collect::<Vec<_>>() });
    Outcome::of_answer(status, &rejected)
}

fn queue_message(body: &str) -> Outcome {
    let mut message = SqsMessage::default();
    message.body = Some(body.to_owned());
    let messages = [message];
    let batch = Batch::sort(&messages, &rules("Europe/Berlin"), &Erasures::default());
    match batch.verdicts.dead.first() {
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
