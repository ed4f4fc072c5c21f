//! The checkpoints of a rebuild, stored in the table of standings so that a killed rebuild can continue.

use aws_sdk_dynamodb::Client;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::control::{self, CONTROL};
use crate::error::{self, StoreError};
use crate::facts::Position;
use crate::keys::{self, CountGeneration, STANDINGS_KEY, ShardCount, attribute};
use crate::requests::query_members;

/// How far a segment of the facts is counted into a new generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub segment: i32,
    /// The number of segments. Fixed when a rebuild begins.
    pub segments: i32,
    /// All facts up to this position are counted; `None` at the beginning.
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
    shards: ShardCount,
}

/// Concurrent requests when a generation is deleted.
const DELETES_AT_ONCE: usize = 4;

impl Rebuilds {
    pub fn new(client: Client, standings_table: String, shards: ShardCount) -> Self {
        Self {
            client,
            table: standings_table,
            shards,
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

    /// Deletes the standings, totals and checkpoints of a generation. Returns the number of standings and
    /// totals. Its markers expire on their own.
    pub async fn delete(&self, generation: CountGeneration) -> Result<u64, StoreError> {
        let partitions = self
            .shards
            .shards(generation)
            .chain((0..keys::TOTALS_LANES).map(|lane| keys::totals_key(generation, lane)))
            .chain([keys::heartbeats_key(generation)]);
        let deleted: Vec<u64> = stream::iter(partitions)
            .map(|partition| self.delete_members(partition, None))
            .buffer_unordered(DELETES_AT_ONCE)
            .try_collect()
            .await?;
        self.delete_members(CONTROL.to_owned(), Some(prefix(generation)))
            .await?;
        Ok(deleted.into_iter().sum())
    }

    async fn delete_members(&self, partition: String, prefix: Option<String>) -> Result<u64, StoreError> {
        let query = query_members(&self.client, &self.table, &partition, prefix)
            .expression_attribute_names("#member", attribute::MEMBER)
            .projection_expression("#shard, #member");
        let mut pages = query.into_paginator().items().send();
        let mut deleted = 0;
        while let Some(key) = pages.next().await {
            let key = key.map_err(|error| StoreError::unavailable("listing a generation's items", error))?;
            let delete = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key))
                .send()
                .await;
            delete.map_err(|error| StoreError::unavailable("deleting a generation", error))?;
            deleted += 1;
        }
        Ok(deleted)
    }
}

fn prefix(generation: CountGeneration) -> String {
    format!("rebuild {generation} ")
}
