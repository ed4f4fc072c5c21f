//! The checkpoints of a rebuild, stored in the table of standings so that a killed rebuild can continue.

use aws_sdk_dynamodb::Client;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::control::{self, CONTROL};
use crate::error::{self, StoreError};
use crate::facts::Position;
use crate::item::string;
use crate::keys::{CountGeneration, STANDINGS_KEY, attribute};
use crate::requests::{query_members, scan_segment};

/// How far a segment of the facts is counted into a new generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub segment: i32,
    /// The number of segments. Fixed when a rebuild begins.
    pub segments: i32,
    /// The users of all facts up to this position are counted; `None` at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Position>,
    pub is_done: bool,
    /// Facts read so far, including those that cannot be counted.
    pub facts: u64,
    /// Facts that have no points under the scoring policy, or that cannot be read.
    pub not_countable: u64,
}

impl Checkpoint {
    pub fn beginning(segment: i32, segments: i32) -> Self {
        Self {
            segment,
            segments,
            after: None,
            is_done: false,
            facts: 0,
            not_countable: 0,
        }
    }
}

/// The table of standings, for what a rebuild does besides counting.
#[derive(Clone, Debug)]
pub struct Rebuilds {
    client: Client,
    table: String,
}

/// Segments of the table that are read at once when a generation is deleted.
const DELETE_SEGMENTS: u8 = 8;
/// Items read in one request then.
const DELETE_PAGE: i32 = 1_000;

impl Rebuilds {
    pub fn new(client: Client, standings_table: String) -> Self {
        Self {
            client,
            table: standings_table,
        }
    }

    /// The checkpoints of a generation, by segment; none before its rebuild has begun.
    pub async fn checkpoints(&self, generation: CountGeneration) -> Result<Vec<Checkpoint>, StoreError> {
        let prefix = Some(prefix(generation));
        let mut pages = query_members(&self.client, &self.table, CONTROL, prefix)
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut checkpoints = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| StoreError::unavailable("reading checkpoints", error))?;
            let subject = error::named(&self.table, &item, STANDINGS_KEY);
            let checkpoint = serde_dynamo::from_item(item);
            checkpoints.push(
                checkpoint.map_err(|error| StoreError::corrupt("decoding a checkpoint", subject, error))?,
            );
        }
        Ok(checkpoints)
    }

    pub async fn keep(&self, generation: CountGeneration, checkpoint: &Checkpoint) -> Result<(), StoreError> {
        let name = format!("{}{:04}", prefix(generation), checkpoint.segment);
        control::put(&self.client, &self.table, &name, checkpoint)?
            .send()
            .await
            .map(drop)
            .map_err(|error| StoreError::unavailable("keeping a checkpoint", error))
    }

    /// Deletes all items and checkpoints of a generation, and returns their number. Its blocks expire on their
    /// own. Reads the whole table, so that nothing is left however the generation was stored.
    pub async fn delete(&self, generation: CountGeneration) -> Result<u64, StoreError> {
        let deleted: Vec<u64> = stream::iter(0..DELETE_SEGMENTS)
            .map(|segment| self.delete_segment(segment, generation))
            .buffer_unordered(usize::from(DELETE_SEGMENTS))
            .try_collect()
            .await?;
        Ok(deleted.into_iter().sum())
    }

    async fn delete_segment(&self, segment: u8, generation: CountGeneration) -> Result<u64, StoreError> {
        let mut after = None;
        let mut deleted = 0;
        loop {
            let part = (segment.into(), DELETE_SEGMENTS.into());
            let page = scan_segment(&self.client, &self.table, part, after, DELETE_PAGE)
                .consistent_read(true)
                .filter_expression(
                    "begins_with(#shard, :items) OR (#shard = :control AND begins_with(#member, :checkpoints))",
                )
                .projection_expression("#shard, #member")
                .expression_attribute_names("#shard", attribute::SHARD)
                .expression_attribute_names("#member", attribute::MEMBER)
                .expression_attribute_values(":items", string(format!("{generation}#")))
                .expression_attribute_values(":control", string(CONTROL))
                .expression_attribute_values(":checkpoints", string(prefix(generation)))
                .send()
                .await
                .map_err(|error| StoreError::unavailable("listing a generation's items", error))?;
            for key in page.items.unwrap_or_default() {
                let delete = self
                    .client
                    .delete_item()
                    .table_name(&self.table)
                    .set_key(Some(key));
                let sent = delete.send().await;
                sent.map_err(|error| StoreError::unavailable("deleting a generation", error))?;
                deleted += 1;
            }
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(deleted);
            }
        }
    }
}

fn prefix(generation: CountGeneration) -> String {
    format!("rebuild {generation} ")
}
