//! Looking for markers. Only transactions write them.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use domain::{ActivityId, UserId};

use crate::Unavailable;
use crate::batch_get::{MAX_KEYS, batch_get};
use crate::keys::{self, CountGeneration, attribute};

type Item = HashMap<String, AttributeValue>;

/// The table of markers, for reading.
#[derive(Clone, Debug)]
pub struct Markers {
    client: Client,
    table: String,
}

/// Some of the markers of a generation.
#[derive(Clone, Debug, Default)]
pub struct MarkersPage {
    pub marked: Vec<(UserId, ActivityId)>,
    /// The marker to go on after; `None` at the segment's end.
    pub next: Option<String>,
}

impl Markers {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Which of these activities are counted in a generation, as far back as markers are kept.
    pub async fn counted(
        &self,
        generation: CountGeneration,
        activities: &[(UserId, ActivityId)],
    ) -> Result<HashSet<(UserId, ActivityId)>, Unavailable> {
        let mut counted = HashSet::new();
        for some in activities.chunks(MAX_KEYS) {
            let keys = some
                .iter()
                .map(|(user, id)| key(keys::marker_key(generation, user, id)));
            let request = KeysAndAttributes::builder()
                .set_keys(Some(keys.collect()))
                .projection_expression("#activity")
                .expression_attribute_names("#activity", attribute::ACTIVITY);
            for item in batch_get(&self.client, &self.table, request).await? {
                counted.extend(marker(&item).and_then(|marker| keys::of_marker(generation, marker)));
            }
        }
        Ok(counted)
    }

    /// The markers of a generation in one of so many segments, from after a marker on, among at most
    /// `limit` of all generations.
    pub async fn page(
        &self,
        generation: CountGeneration,
        (segment, segments): (i32, i32),
        after: Option<String>,
        limit: i32,
    ) -> Result<MarkersPage, Unavailable> {
        let output = self
            .client
            .scan()
            .table_name(&self.table)
            .segment(segment)
            .total_segments(segments)
            .limit(limit)
            .set_exclusive_start_key(after.map(key))
            .send()
            .await
            .map_err(|error| Unavailable::new("reading the markers", error))?;
        let of_generation = |item: &Item| keys::of_marker(generation, marker(item)?);
        Ok(MarkersPage {
            marked: output.items().iter().filter_map(of_generation).collect(),
            next: output
                .last_evaluated_key()
                .and_then(|key| marker(key).map(ToOwned::to_owned)),
        })
    }
}

fn key(marker: String) -> Item {
    Item::from([(attribute::ACTIVITY.to_owned(), AttributeValue::S(marker))])
}

fn marker(item: &Item) -> Option<&str> {
    item.get(attribute::ACTIVITY)?.as_s().ok().map(String::as_str)
}
