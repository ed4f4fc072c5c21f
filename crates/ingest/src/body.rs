//! Splits the body of a request into the JSON of its activities.

use std::fmt;

use lambda_http::http::StatusCode;
use lambda_http::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use problem::Problem;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

pub const MAX_BODY_BYTES: usize = 256 * 1024;
/// As many as one request can store within a few milliseconds.
pub const MAX_ACTIVITIES: usize = 100;

/// Accepts only JSON without a content encoding.
pub fn check_headers(headers: &HeaderMap) -> Result<(), Problem> {
    let unsupported = |field, detail: String| {
        Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            detail,
        )
        .field(field))
    };
    if let Some(encoding) = headers.get(CONTENT_ENCODING) {
        let detail = format!("The content-encoding is {encoding:?}; send the body without one.");
        return unsupported("content-encoding", detail);
    }
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let (media_type, parameters) = content_type.split_once(';').unwrap_or((content_type, ""));
    let is_json = media_type.trim().eq_ignore_ascii_case("application/json");
    let parameters = parameters.replace(['"', ' '], "").to_ascii_lowercase();
    if is_json && matches!(parameters.as_str(), "" | "charset=utf-8") {
        return Ok(());
    }
    let found = if content_type.is_empty() {
        "is missing".to_owned()
    } else {
        format!("is {content_type:?}")
    };
    unsupported(
        "content-type",
        format!("The content-type {found}; it must be application/json, in UTF-8."),
    )
}

/// Splits a body into its activities without parsing them, so that an invalid one does not affect the
/// others.
pub fn split(body: &[u8]) -> Result<Vec<&RawValue>, Problem> {
    if body.len() > MAX_BODY_BYTES {
        let detail = format!(
            "The body is {} bytes; at most {MAX_BODY_BYTES} (256 KiB) are allowed.",
            body.len()
        );
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).field("body"));
    }
    let malformed =
        |detail: String| Problem::new(StatusCode::BAD_REQUEST, "malformed_json", detail).field("body");
    let text = std::str::from_utf8(body)
        .map_err(|error| malformed(format!("The body is not valid UTF-8: {error}.")))?;
    let raw: &RawValue = serde_json::from_str(text)
        .map_err(|error| malformed(format!("The body is not valid JSON: {error}.")))?;
    let invalid =
        |code, detail: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail).field("body");
    match raw.get().as_bytes().first() {
        Some(b'{') => Ok(vec![raw]),
        Some(b'[') => {
            let AtMost(items) = serde_json::from_str(raw.get())
                .map_err(|error| malformed(format!("The body is not valid JSON: {error}.")))?;
            match items.len() {
                0 => Err(invalid(
                    "empty_batch",
                    format!("The array is empty; send 1 to {MAX_ACTIVITIES} activities."),
                )),
                1..=MAX_ACTIVITIES => Ok(items),
                _ => {
                    let detail = format!(
                        "The array has more than {MAX_ACTIVITIES} activities; send them in several requests."
                    );
                    Err(
                        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_activities", detail)
                            .field("body"),
                    )
                }
            }
        }
        _ => {
            let detail = format!(
                "The body is {}; it must be an activity (a JSON object) or an array of activities.",
                domain::intake::type_of(raw)
            );
            Err(invalid("not_an_activity", detail))
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
                f.write_str("an array of activities")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<AtMost<'de>, A::Error> {
                let mut kept = Vec::new();
                while let Some(item) = items.next_element()? {
                    if kept.len() <= MAX_ACTIVITIES {
                        kept.push(item);
                    }
                }
                Ok(AtMost(kept))
            }
        }

        deserializer.deserialize_seq(Items)
    }
}
