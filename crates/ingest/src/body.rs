//! From the body of a request to the JSON of each of its items.

use std::fmt;

use lambda_http::http::{HeaderMap, StatusCode};
use problem::Problem;
use problem::body::{content_type, json, not_json};
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::answer::Items;

/// As many as one request can store within a few milliseconds.
pub const MAX_ITEMS: usize = 100;

/// The media types of `CloudEvents` in the JSON format.
pub const CLOUD_EVENT: &str = "application/cloudevents+json";
pub const CLOUD_EVENT_BATCH: &str = "application/cloudevents-batch+json";

/// What a request that posts activities has, by its headers.
pub fn posted(headers: &HeaderMap) -> Result<Items, Problem> {
    /// Without it, no request is an event in binary mode.
    const BINARY_MODE: &str = "ce-specversion";
    match content_type(headers).as_str() {
        CLOUD_EVENT => Ok(Items::Event),
        CLOUD_EVENT_BATCH => Ok(Items::EventBatch),
        // Its data alone would be an activity without an id, and count again when it is sent again.
        _ if headers.contains_key(BINARY_MODE) => {
            let detail = format!(
                "The request is a CloudEvent in binary mode; send it in structured mode, as {CLOUD_EVENT}."
            );
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            Err(Problem::new(status, "unsupported_media_type", detail).field(BINARY_MODE))
        }
        _ => Ok(Items::Activities),
    }
}

/// Splits a body into its items without parsing them, so that an invalid one does not affect the others.
pub fn split(body: &[u8], of: Items) -> Result<Vec<&RawValue>, Problem> {
    let raw = json(body)?;
    let invalid =
        |code, detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).field("body");
    match raw.get().as_bytes().first() {
        Some(b'{') if of != Items::EventBatch => Ok(vec![raw]),
        Some(b'[') if of != Items::Event => {
            let AtMost(items) = serde_json::from_str(raw.get()).map_err(|error| not_json(&error))?;
            match items.len() {
                // CloudEvents has it that a batch may be empty.
                0 if of == Items::EventBatch => Ok(items),
                0 => Err(invalid(
                    "empty_batch",
                    format!("The array is empty; send 1 to {MAX_ITEMS} {}.", of.many()),
                )),
                1..=MAX_ITEMS => Ok(items),
                _ => {
                    let detail = format!(
                        "The array has more than {MAX_ITEMS} {}; send them in several requests.",
                        of.many()
                    );
                    Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, of.too_many(), detail).field("body"))
                }
            }
        }
        _ => {
            let found = domain::intake::type_of(raw);
            let detail = format!("The body is {found}; it must be {}.", of.expected());
            Err(invalid(of.not_one(), detail))
        }
    }
}

/// The first items of an array: at most one more than the limit, which shows that there are too many.
struct AtMost<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for AtMost<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items;

        impl<'de> Visitor<'de> for Items {
            type Value = AtMost<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AtMost<'de>, A::Error> {
                let mut kept = Vec::new();
                while let Some(item) = items.next_element()? {
                    if kept.len() <= MAX_ITEMS {
                        kept.push(item);
                    }
                }
                Ok(AtMost(kept))
            }
        }

        deserializer.deserialize_seq(Items)
    }
}
