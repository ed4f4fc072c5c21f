//! What a function says of its batch: the partial batch response.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::sqs::{MessageId, ReceiptHandle};

/// The response is not one, so the whole batch counts as failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum InvalidResponse {
    #[error("it cannot be read: {0}")]
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

/// The messages a function reports as failed. An empty response, `null`, and one without a list
/// or with an empty one say that all succeeded, as on AWS.
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
