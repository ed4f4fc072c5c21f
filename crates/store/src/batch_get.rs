//! Reading many items by their keys.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;

use crate::Unavailable;

/// `DynamoDB`'s limit for one request.
pub(crate) const MAX_KEYS: usize = 100;

/// A throttled table gives a part of the items and the keys of the others.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// The items of at most [`MAX_KEYS`] keys that are there, as they are now.
pub(crate) async fn batch_get(
    client: &Client,
    table: &str,
    request: KeysAndAttributesBuilder,
) -> Result<Vec<HashMap<String, AttributeValue>>, Unavailable> {
    let request = request
        .consistent_read(true)
        .build()
        .map_err(|error| Unavailable::new("naming the keys to read", error))?;
    let mut left = Some(HashMap::from([(table.to_owned(), request)]));
    let mut items = Vec::new();
    for attempt in 0..ATTEMPTS {
        let output = client
            .batch_get_item()
            .set_request_items(left.take())
            .send()
            .await
            .map_err(|error| Unavailable::new("reading items", error))?;
        items.extend(output.responses.unwrap_or_default().into_values().flatten());
        match output.unprocessed_keys.filter(|keys| !keys.is_empty()) {
            None => return Ok(items),
            unprocessed => left = unprocessed,
        }
        tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
    }
    Err(Unavailable::new("reading items", StillThrottled))
}

#[derive(Debug, thiserror::Error)]
#[error("the table gave only a part of them, {ATTEMPTS} times in a row")]
struct StillThrottled;
