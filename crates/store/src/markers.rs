//! Reading markers. Only transactions write them.

use std::collections::HashSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use domain::ActivityKey;

use crate::batch_get::{MAX_KEYS, batch_get};
use crate::error::StoreError;
use crate::item::{Item, string, text};
use crate::keys::{self, CountGeneration, attribute};
use crate::requests::scan_segment;

/// The table of markers, for reading.
#[derive(Clone, Debug)]
pub struct Markers {
    client: Client,
    table: String,
}

/// Some of the markers of a generation.
#[derive(Clone, Debug, Default)]
pub struct MarkersPage {
    pub marked: Vec<ActivityKey>,
    /// The marker to continue after; `None` at the end of the segment.
    pub next: Option<String>,
}

impl Markers {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Which of these activities have a marker in a generation. Markers that have expired are gone.
    pub async fn counted(
        &self,
        generation: CountGeneration,
        activities: &[ActivityKey],
    ) -> Result<HashSet<ActivityKey>, StoreError> {
        let mut counted = HashSet::new();
        for some in activities.chunks(MAX_KEYS) {
            let keys = some
                .iter()
                .map(|activity| key(keys::marker_key(generation, activity)));
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

    /// Reads at most `limit` markers of all generations in one of several segments, starting after a
    /// marker. Returns those of one generation.
    pub async fn page(
        &self,
        generation: CountGeneration,
        segment: (i32, i32),
        after: Option<String>,
        limit: i32,
    ) -> Result<MarkersPage, StoreError> {
        let output = scan_segment(&self.client, &self.table, segment, after.map(key), limit)
            .send()
            .await
            .map_err(|error| StoreError::unavailable("reading the markers", error))?;
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
    Item::from([(attribute::ACTIVITY.to_owned(), string(marker))])
}

fn marker(item: &Item) -> Option<&str> {
    text(item, attribute::ACTIVITY).ok()
}
