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

    /// Reads which activities have markers, page by page. For an audit: it reads the whole table.
    pub async fn read_all(&self, mut take: impl FnMut(UserId, ActivityId)) -> Result<(), Unavailable> {
        let mut items = self
            .client
            .scan()
            .table_name(&self.table)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| Unavailable::new("reading all markers", error))?;
            let key = item.get(attribute::ACTIVITY).and_then(|key| key.as_s().ok());
            if let Some((user, id)) = key.and_then(|key| keys::marked(CountGeneration::FIRST, key)) {
                take(user, id);
            }
        }
        Ok(())
    }
}
