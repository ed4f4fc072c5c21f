//! What invokes this function: an HTTP request, or a batch of messages of the queue of events.

use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use lambda_http::request::LambdaRequest;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

pub enum Invocation {
    Http(Box<LambdaRequest>),
    Queue(SqsEvent),
}

/// The answer to an invocation, `R` to a request.
#[derive(Serialize)]
#[serde(untagged)]
pub enum Answer<R> {
    Http(R),
    Queue(SqsBatchResponse),
}

impl<'de> Deserialize<'de> for Invocation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let parsed = if is_batch(raw.get()) {
            serde_json::from_str(raw.get()).map(Self::Queue)
        } else {
            serde_json::from_str(raw.get()).map(Self::Http)
        };
        parsed.map_err(D::Error::custom)
    }
}

/// Whether an event begins with the only member that a batch has. Lambda makes both kinds of events, so no client can
/// write this one; looking further would parse each request twice.
fn is_batch(event: &str) -> bool {
    let is_insignificant = |c: char| c == '{' || c.is_ascii_whitespace();
    event
        .trim_start_matches(is_insignificant)
        .starts_with("\"Records\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(event: &str) -> String {
        match serde_json::from_str(event) {
            Ok(Invocation::Http(_)) => "HTTP".to_owned(),
            Ok(Invocation::Queue(batch)) => {
                let bodies = batch.records.iter();
                let bodies = bodies.map(|message| message.body.as_deref().unwrap_or_default());
                bodies.collect::<Vec<_>>().join(" ")
            }
            Err(_) => "neither".to_owned(),
        }
    }

    #[test]
    fn requests_and_batches_are_told_apart() {
        let message = |body: &str| {
            format!(r#"{{"messageId":"1","eventSource":"aws:sqs","body":"{body}","attributes":{{}}}}"#)
        };
        let batch = format!(r#" {{ "Records": [{},{}] }}"#, message("a"), message("b"));
        assert_eq!(parsed(&batch), "a b");
        // A body that looks like a batch is still that of a request.
        let request = r#"{"version":"2.0","routeKey":"$default","rawPath":"/v1/activities","rawQueryString":"","headers":{},
            "requestContext":{"accountId":"1","apiId":"a","domainName":"d","domainPrefix":"p","http":{"method":"POST",
            "path":"/v1/activities","protocol":"HTTP/1.1","sourceIp":"::1","userAgent":"x"},"requestId":"r",
            "routeKey":"$default","stage":"$default","time":"21/Nov/2026:10:00:00 +0000","timeEpoch":1},
            "body":"{\"Records\":[]}","isBase64Encoded":false}"#;
        assert_eq!(parsed(request), "HTTP");
        assert_eq!(parsed("{}"), "neither");
        assert_eq!(parsed("7"), "neither");
    }
}
