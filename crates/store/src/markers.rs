//! Looking for markers. Only transactions write them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ActivityId, UserId};

use crate::Unavailable;
use crate::keys::{self, CountGeneration, attribute};

/// The table of markers, for reading.
#[derive(Clone, Debug)]
pub struct Markers {
    client: Client,
    table: String,
}

impl Markers {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Whether an activity is counted, as far back as markers are kept.
    pub async fn is_counted(&self, user: &UserId, id: &ActivityId) -> Result<bool, Unavailable> {
        let marker = keys::marker_key(CountGeneration::FIRST, user, id);
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(attribute::ACTIVITY, AttributeValue::S(marker))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Unavailable::new("looking for a marker", error))?;
        Ok(output.item.is_some())
    }
}
