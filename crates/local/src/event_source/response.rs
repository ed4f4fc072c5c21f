//! The partial batch response of a function.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::sqs::{MessageId, ReceiptHandle};

/// An invalid response. The whole batch counts as failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidResponse {
    #[error("it is not the expected JSON: {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("it names a message that is not in the batch")]
    UnknownMessage,
}

#[derive(Deserialize)]
struct Response {
    #[serde(rename = "batchItemFailures")]
    failures: Option<Vec<Failure>>,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(rename = "itemIdentifier")]
    message: String,
}

/// The messages that a function reports as failed. As on AWS, all messages succeeded if the response is
/// empty or `null`, or if its list is missing or empty.
pub(super) fn failed_messages(
    response: &[u8],
    batch: &[(MessageId, ReceiptHandle)],
) -> Result<BTreeSet<MessageId>, InvalidResponse> {
    let response: Option<Response> = if response.is_empty() {
        None
    } else {
        serde_json::from_slice(response)?
    };
    let failures = response
        .and_then(|response| response.failures)
        .unwrap_or_default();
    if failures.is_empty() {
        return Ok(BTreeSet::new());
    }
    let known: BTreeMap<String, MessageId> = batch.iter().map(|&(id, _)| (id.to_string(), id)).collect();
    failures
        .iter()
        .map(|failure| known.get(&failure.message).copied())
        .collect::<Option<_>>()
        .ok_or(InvalidResponse::UnknownMessage)
}
