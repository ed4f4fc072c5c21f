//! Reading many items by their keys.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;

use crate::error::StoreError;
use crate::item::Item;

/// `DynamoDB`'s limit for one request.
pub(crate) const MAX_KEYS: usize = 100;

/// A throttled table returns some of the items and the keys of the rest.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(50);

/// Reads the items of at most [`MAX_KEYS`] keys. Keys without an item are left out.
pub(crate) async fn batch_get(
    client: &Client,
    table: &str,
    request: KeysAndAttributesBuilder,
) -> Result<Vec<Item>, StoreError> {
    let request = request.build();
    let request =
        request.map_err(|error| StoreError::corrupt("building a request", "a list of keys", error))?;
    debug_assert!(request.keys().len() <= MAX_KEYS, "{} keys", request.keys().len());
    let mut left = Some(HashMap::from([(table.to_owned(), request)]));
    let mut items = Vec::new();
    for attempt in 0..ATTEMPTS {
        let output = client
            .batch_get_item()
            .set_request_items(left.take())
            .send()
            .await
            .map_err(|error| StoreError::unavailable("reading items", error))?;
        items.extend(output.responses.unwrap_or_default().into_values().flatten());
        match output.unprocessed_keys.filter(|keys| !keys.is_empty()) {
            None => return Ok(items),
            unprocessed => left = unprocessed,
        }
        tokio::time::sleep(PAUSE * 2_u32.pow(attempt)).await;
    }
    Err(StoreError::unavailable("reading items", StillThrottled))
}

#[derive(Debug, thiserror::Error)]
#[error("the table returned only some of the items in each of {ATTEMPTS} attempts")]
struct StillThrottled;
