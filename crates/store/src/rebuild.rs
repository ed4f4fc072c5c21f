//! How far a rebuild is, kept in the table of standings, so that it goes on where it was after a kill.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::control::CONTROL;
use crate::facts::Position;
use crate::keys::{self, CountGeneration, ShardCount, attribute};
use crate::{Unavailable, control};

/// How far a segment of the facts is counted into a new generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub segment: i32,
    /// Of how many, which is fixed when a rebuild begins.
    pub segments: i32,
    /// All facts up to here are counted; `None` at the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Position>,
    pub is_done: bool,
    /// Facts behind it, with those that cannot be counted.
    pub facts: u64,
    /// Facts that the scoring policy has no points for, or that cannot be read.
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

/// The table of standings, for what rebuilding does besides counting.
#[derive(Clone, Debug)]
pub struct Rebuilds {
    client: Client,
    table: String,
    shards: ShardCount,
}

/// Requests at once when a generation is deleted.
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
    pub async fn checkpoints(&self, generation: CountGeneration) -> Result<Vec<Checkpoint>, Unavailable> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#shard = :control AND begins_with(#member, :prefix)")
            .expression_attribute_names("#shard", attribute::SHARD)
            .expression_attribute_names("#member", attribute::MEMBER)
            .expression_attribute_values(":control", AttributeValue::S(CONTROL.to_owned()))
            .expression_attribute_values(":prefix", AttributeValue::S(prefix(generation)))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut checkpoints = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| Unavailable::new("reading checkpoints", error))?;
            let checkpoint = serde_dynamo::from_item(item);
            checkpoints.push(checkpoint.map_err(|error| Unavailable::new("decoding a checkpoint", error))?);
        }
        Ok(checkpoints)
    }

    pub async fn keep(
        &self,
        generation: CountGeneration,
        checkpoint: &Checkpoint,
    ) -> Result<(), Unavailable> {
        let name = format!("{}{:04}", prefix(generation), checkpoint.segment);
        control::put(&self.client, &self.table, &name, checkpoint)?
            .send()
            .await
            .map(drop)
            .map_err(|error| Unavailable::new("keeping a checkpoint", error))
    }

    /// Deletes the standings, totals and checkpoints of a generation; returns how many items there were.
    /// Its markers expire by themselves.
    pub async fn delete(&self, generation: CountGeneration) -> Result<u64, Unavailable> {
        let partitions = self
            .shards
            .shards(generation)
            .chain((0..keys::TOTALS_LANES).map(|lane| keys::totals_key(generation, lane)))
            .chain([keys::heartbeat_key(generation).0]);
        let deleted: Vec<u64> = stream::iter(partitions)
            .map(|partition| self.delete_members(partition, None))
            .buffer_unordered(DELETES_AT_ONCE)
            .try_collect()
            .await?;
        self.delete_members(CONTROL.to_owned(), Some(prefix(generation)))
            .await?;
        Ok(deleted.into_iter().sum())
    }

    async fn delete_members(&self, partition: String, prefix: Option<String>) -> Result<u64, Unavailable> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .expression_attribute_names("#shard", attribute::SHARD)
            .expression_attribute_names("#member", attribute::MEMBER)
            .expression_attribute_values(":shard", AttributeValue::S(partition))
            .projection_expression("#shard, #member");
        let query = match prefix {
            None => query.key_condition_expression("#shard = :shard"),
            Some(prefix) => query
                .key_condition_expression("#shard = :shard AND begins_with(#member, :prefix)")
                .expression_attribute_values(":prefix", AttributeValue::S(prefix)),
        };
        let mut pages = query.into_paginator().items().send();
        let mut deleted = 0;
        while let Some(key) = pages.next().await {
            let key = key.map_err(|error| Unavailable::new("looking for what to delete", error))?;
            let delete = self
                .client
                .delete_item()
                .table_name(&self.table)
                .set_key(Some(key))
                .send()
                .await;
            delete.map_err(|error| Unavailable::new("deleting a generation", error))?;
            deleted += 1;
        }
        Ok(deleted)
    }
}

fn prefix(generation: CountGeneration) -> String {
    format!("rebuild {generation} ")
}
