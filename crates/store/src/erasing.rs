//! Erasing a person: the only thing that deletes facts. [`crate::erasures`] notes it first, and the aggregator and
//! every fold heed the note. The command that erases waits until none that began before can still write, deletes
//! the facts, has the standings folded anew, and then deletes everything else by these operations. Each can be
//! repeated.

mod boards;
mod editions;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::UserId;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::Serialize;

use crate::activities::sortable;
use crate::coins::Coins;
use crate::control::{AUDIT, CONTROL};
use crate::erasures::{PersonHash, is_before};
use crate::error::StoreError;
use crate::facts::Facts;
use crate::item::{self, Item, string, text};
use crate::keys::{
    ACTIVITIES_KEY, COINS_KEY, CountGeneration, STANDINGS_KEY, ShardCount, attribute, of_user,
};
use crate::requests::{query_members, scan_segment};
use crate::schema::TableNames;
use crate::settling::PASSES;
use crate::stream::{Streamed, streamed};

/// Segments of a table that are read at once.
const SEGMENTS: i32 = 8;
/// Items read in one request.
const PAGE: i32 = 1_000;
/// Items that are deleted or changed at once.
const WRITES_AT_ONCE: usize = 16;

/// One person, and the tables to erase the person from.
#[derive(Clone, Debug)]
pub struct Erasing {
    client: Client,
    tables: TableNames,
    user: UserId,
    /// What was received of the person before this is erased.
    before: Timestamp,
    /// Stands for the person where others' items name the person.
    hash: PersonHash,
}

/// The record of an erasure, without personal data.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Erased {
    pub facts: u64,
    pub standings: u64,
    /// Blocks of keys and sums of caps.
    pub blocks: u64,
    pub coins: u64,
    /// Published pages, heads, histories and editions.
    pub pages: u64,
    /// Records of repairs that named the person.
    pub records: u64,
    /// Facts of others that the person sent.
    pub sent_for_others: u64,
}

impl Erased {
    pub fn add(&mut self, more: Self) {
        self.facts += more.facts;
        self.standings += more.standings;
        self.blocks += more.blocks;
        self.coins += more.coins;
        self.pages += more.pages;
        self.records += more.records;
        self.sent_for_others += more.sent_for_others;
    }
}

impl Erasing {
    pub fn new(
        client: Client,
        tables: TableNames,
        user: UserId,
        before: Timestamp,
        hash: PersonHash,
    ) -> Self {
        Self {
            client,
            tables,
            user,
            before,
            hash,
        }
    }

    /// Deletes the person's facts that were received before the erasure, and what cannot be read. Returns their number.
    pub async fn facts(&self) -> Result<u64, StoreError> {
        let facts = Facts::new(self.client.clone(), self.tables.activities.clone());
        let mut items = facts.of(&self.user).into_paginator().items().send();
        let mut keys = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| StoreError::unavailable("reading a user's facts", error))?;
            let is_erased = match streamed(&item) {
                Ok(Streamed::Fact { fact, received_at }) => is_before(&fact, received_at, self.before),
                _ => true,
            };
            if is_erased && let Ok(id) = text(&item, attribute::ACTIVITY_ID) {
                keys.push(item::key(ACTIVITIES_KEY, self.user.as_str(), id));
            }
        }
        self.delete(&self.tables.activities, keys).await
    }

    /// Deletes the person's progress with the quests and then all coins, and returns their number. Those that were found
    /// since the erasure are not spared: an invocation that began before it may have found one with facts of both times.
    /// So the quests must be proved afterwards. Nothing that was evaluated before can be written then, since the progress
    /// has another version or none.
    pub async fn rewards(&self) -> Result<u64, StoreError> {
        let coins = Coins::new(self.client.clone(), self.tables.coins.clone());
        if !coins.are_kept().await? {
            return Ok(0);
        }
        let progress = Item::from([(attribute::USER_ID.to_owned(), string(self.user.as_str()))]);
        self.delete(&self.tables.progress, vec![progress]).await?;
        // Passes under way may name the person. They begin anew.
        let passes = coins.names_in(PASSES).await?.into_iter();
        let keys = passes.map(|name| item::key(COINS_KEY, PASSES, &name));
        self.delete(&self.tables.coins, keys.collect()).await?;
        let found = coins.of_user(&self.user).await?.into_iter();
        let keys = found.map(|coin| item::key(COINS_KEY, self.user.as_str(), &coin.id));
        self.delete(&self.tables.coins, keys.collect()).await
    }

    /// Deletes standings of the person that no generation counts into. Those of a generation that was given up may
    /// remain where its deletion was cut short.
    pub async fn stray_standings(
        &self,
        counted: &[(CountGeneration, ShardCount)],
    ) -> Result<u64, StoreError> {
        let counted = counted.iter();
        let counted: BTreeSet<_> = counted
            .map(|(generation, shards)| of_user(*generation, *shards, &self.user).0)
            .collect();
        let strays = self.scan(&self.tables.standings, |scan| {
            scan.filter_expression(
                "begins_with(#member, :member) AND #shard <> :control AND #shard <> :audit",
            )
            .projection_expression("#shard, #member")
            .expression_attribute_names("#shard", attribute::SHARD)
            .expression_attribute_names("#member", attribute::MEMBER)
            .expression_attribute_values(":member", string(format!("{} ", self.user)))
            .expression_attribute_values(":control", string(CONTROL))
            .expression_attribute_values(":audit", string(AUDIT))
        });
        let mut strays = strays.await?;
        strays.retain(|item| text(item, attribute::SHARD).is_ok_and(|shard| !counted.contains(shard)));
        self.delete(&self.tables.standings, strays).await
    }

    /// The epochs of the person's blocks and sums of caps.
    pub async fn epochs(&self) -> Result<BTreeSet<String>, StoreError> {
        let names = self.names_in_dedup().await?;
        Ok(names
            .iter()
            .filter_map(|name| Some(self.epoch_of(name)?.to_owned()))
            .collect())
    }

    /// Deletes the person's blocks and sums of caps of these epochs. The standings must have others by now, and no
    /// fold that could write a standing with one of them may still run.
    pub async fn blocks(&self, epochs: &BTreeSet<String>) -> Result<u64, StoreError> {
        let mut names = self.names_in_dedup().await?;
        names.retain(|name| self.epoch_of(name).is_some_and(|epoch| epochs.contains(epoch)));
        let keys = names.into_iter();
        let keys = keys.map(|name| Item::from([(attribute::ACTIVITY.to_owned(), string(name))]));
        self.delete(&self.tables.dedup, keys.collect()).await
    }

    /// The names of all items of the dedup table that are of the person.
    async fn names_in_dedup(&self) -> Result<Vec<String>, StoreError> {
        let items = self.scan(&self.tables.dedup, |scan| {
            scan.filter_expression("contains(#activity, :user)")
                .projection_expression("#activity")
                .expression_attribute_names("#activity", attribute::ACTIVITY)
                .expression_attribute_values(":user", string(format!(" {} ", self.user)))
        });
        let items = items.await?;
        let names = items
            .iter()
            .filter_map(|item| text(item, attribute::ACTIVITY).ok());
        Ok(names
            .filter(|name| self.epoch_of(name).is_some())
            .map(str::to_owned)
            .collect())
    }

    /// The epoch in the name of a block or of the sums of a cap; `None` if it is another user's.
    fn epoch_of<'a>(&self, name: &'a str) -> Option<&'a str> {
        let mut parts = name.split(' ');
        let (_, user, _, epoch) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        (user == self.user.as_str()).then_some(epoch)
    }

    /// Replaces the person's id in the records of repairs by the hash.
    pub async fn records(&self) -> Result<u64, StoreError> {
        let prefix = format!("{} ", self.user);
        let mut records = query_members(&self.client, &self.tables.standings, AUDIT, None)
            .filter_expression("begins_with(#standing, :user)")
            .expression_attribute_names("#standing", "standing")
            .expression_attribute_values(":user", string(prefix.as_str()))
            .into_paginator()
            .items()
            .send();
        let mut changed = 0;
        while let Some(record) = records.next().await {
            let record =
                record.map_err(|error| StoreError::unavailable("reading records of repairs", error))?;
            let (Ok(member), Ok(standing)) = (text(&record, attribute::MEMBER), text(&record, "standing"))
            else {
                continue;
            };
            let standing = format!("{} {}", self.hash.as_str(), &standing[prefix.len()..]);
            let update = self
                .client
                .update_item()
                .table_name(&self.tables.standings)
                .set_key(Some(item::key(STANDINGS_KEY, AUDIT, member)))
                .update_expression("SET #standing = :standing")
                .condition_expression("attribute_exists(#standing)")
                .expression_attribute_names("#standing", "standing")
                .expression_attribute_values(":standing", string(standing));
            let sent = update.send().await;
            sent.map_err(|error| StoreError::unavailable("changing a record of a repair", error))?;
            changed += 1;
        }
        Ok(changed)
    }

    /// Whether a checkpoint of a rebuild is at a fact of the person. It moves on with the rebuild.
    pub async fn is_at_checkpoint(&self) -> Result<bool, StoreError> {
        let prefix = Some("rebuild ".to_owned());
        let mut checkpoints = query_members(&self.client, &self.tables.standings, CONTROL, prefix)
            .into_paginator()
            .items()
            .send();
        while let Some(item) = checkpoints.next().await {
            let item = item.map_err(|error| StoreError::unavailable("reading checkpoints", error))?;
            let user = match item.get("after") {
                Some(AttributeValue::M(after)) => text(after, "user").ok(),
                _ => None,
            };
            if user == Some(self.user.as_str()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Replaces the name under which the person sent facts of others by the hash. Reads all facts. `poster` is that
    /// name, as the facts have it.
    pub async fn poster(&self, poster: &str) -> Result<u64, StoreError> {
        let sent = self.scan(&self.tables.activities, |scan| {
            scan.filter_expression("#posted_by = :poster")
                .projection_expression("#user, #id")
                .expression_attribute_names("#user", attribute::USER_ID)
                .expression_attribute_names("#id", attribute::ACTIVITY_ID)
                .expression_attribute_names("#posted_by", attribute::POSTED_BY)
                .expression_attribute_values(":poster", string(poster))
        });
        let keys = sent.await?;
        let count = keys.len() as u64;
        let changes = stream::iter(keys).map(|key| async {
            let update = self
                .client
                .update_item()
                .table_name(&self.tables.activities)
                .set_key(Some(key))
                .update_expression("SET #posted_by = :hash")
                .condition_expression("#posted_by = :poster")
                .expression_attribute_names("#posted_by", attribute::POSTED_BY)
                .expression_attribute_values(":poster", string(poster))
                .expression_attribute_values(":hash", string(format!("erased:{}", self.hash.as_str())));
            match update.send().await {
                Err(error) if !is_condition_failed(&error) => {
                    Err(StoreError::unavailable("changing who sent a fact", error))
                }
                _ => Ok(()),
            }
        });
        let changes = changes.buffer_unordered(WRITES_AT_ONCE);
        changes.try_collect::<()>().await?;
        Ok(count)
    }

    /// Keeps a record of the erasure, by which it can be shown later that it took place.
    pub async fn record(&self, erased: &Erased, now: Timestamp) -> Result<(), StoreError> {
        let name = format!("{} erasure {}", sortable(now), self.hash.as_str());
        let mut item: Item = serde_dynamo::to_item(erased)
            .map_err(|error| StoreError::corrupt("encoding a record", name.as_str(), error))?;
        item.extend(item::key(STANDINGS_KEY, AUDIT, &name));
        let put = self
            .client
            .put_item()
            .table_name(&self.tables.standings)
            .set_item(Some(item));
        let sent = put.send().await;
        sent.map(drop)
            .map_err(|error| StoreError::unavailable("keeping the record of an erasure", error))
    }

    /// All items of a table that a filter selects, read consistently.
    async fn scan(
        &self,
        table: &str,
        filtered: impl Fn(ScanFluentBuilder) -> ScanFluentBuilder,
    ) -> Result<Vec<Item>, StoreError> {
        self.scan_for(table, filtered, |items| items).await
    }

    /// What `select` takes of the items that a filter selects, page by page.
    async fn scan_for<T>(
        &self,
        table: &str,
        filtered: impl Fn(ScanFluentBuilder) -> ScanFluentBuilder,
        select: impl Fn(Vec<Item>) -> Vec<T>,
    ) -> Result<Vec<T>, StoreError> {
        let segments = (0..SEGMENTS).map(|segment| self.scan_segment(table, segment, &filtered, &select));
        let segments: Vec<Vec<T>> = stream::iter(segments.collect::<Vec<_>>())
            .buffer_unordered(SEGMENTS.unsigned_abs() as usize)
            .try_collect()
            .await?;
        Ok(segments.into_iter().flatten().collect())
    }

    async fn scan_segment<T>(
        &self,
        table: &str,
        segment: i32,
        filtered: impl Fn(ScanFluentBuilder) -> ScanFluentBuilder,
        select: impl Fn(Vec<Item>) -> Vec<T>,
    ) -> Result<Vec<T>, StoreError> {
        let (mut selected, mut after) = (Vec::new(), None);
        loop {
            let scan = scan_segment(&self.client, table, (segment, SEGMENTS), after, PAGE);
            let page = filtered(scan).consistent_read(true).send().await;
            let page = page.map_err(|error| StoreError::unavailable("looking for a person", error))?;
            selected.extend(select(page.items.unwrap_or_default()));
            after = page.last_evaluated_key;
            if after.is_none() {
                return Ok(selected);
            }
        }
    }

    /// Deletes the items with these keys, and returns their number.
    async fn delete(&self, table: &str, keys: Vec<Item>) -> Result<u64, StoreError> {
        let count = keys.len() as u64;
        let deletions = stream::iter(keys).map(|key| async {
            let delete = self.client.delete_item().table_name(table).set_key(Some(key));
            let sent = delete.send().await;
            sent.map(drop)
                .map_err(|error| StoreError::unavailable("deleting what is kept of a person", error))
        });
        let deletions = deletions.buffer_unordered(WRITES_AT_ONCE);
        deletions.try_collect::<()>().await?;
        Ok(count)
    }
}

fn is_condition_failed(error: &impl ProvideErrorMetadata) -> bool {
    error.code() == Some("ConditionalCheckFailedException")
}
