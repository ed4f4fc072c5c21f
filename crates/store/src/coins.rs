//! The coins of people. Those of a person are one query, and an index has those of a quest in order of finding.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity, Select};
use domain::documents::{CoinSummary, UserCoin};
use domain::quest::{CoinState, Revoked};
use domain::{ActivityId, Coin, Quest, UserId};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::error::{self, StoreError};
use crate::item::{self, Item, string};
use crate::keys::{COINS_KEY, HOLDER_SHARDS, attribute, holders_shard};
use crate::quests::QuestVersion;
use crate::requests::{get_item, item_of};
use crate::schema::HOLDERS_INDEX;
use crate::settling;

/// The most activities of the evidence that are kept with a coin: 130 KB of an item's 400, with ids of full length.
/// How many there are is kept in any case.
pub const EVIDENCE_MAX: usize = 1_000;
/// Of a quest, the coins among which those in a state are counted: 1,200 read units.
pub const COUNTED_MAX: u64 = 40_000;
/// Coins of one partition of the index that are counted in one request.
const COUNTED_AT_ONCE: i32 = 1_000;

/// A coin as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptCoin {
    #[serde(rename = "coin_id")]
    pub id: String,
    #[serde(rename = "user_id")]
    pub user: UserId,
    pub quest: String,
    pub version: u32,
    /// What the coin is called, and its value.
    pub coin: String,
    pub value: u32,
    pub period: String,
    pub found_at: Timestamp,
    pub found_by: ActivityId,
    /// At most [`EVIDENCE_MAX`] of them.
    pub evidence: Vec<ActivityId>,
    pub evidence_count: u64,
    pub state: CoinState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Revoked>,
    /// Where there is a supply.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<u32>,
    /// How often it was issued, revoked or regained.
    pub change: u32,
}

impl KeptCoin {
    /// A coin that is found for the first time.
    pub(crate) fn found(quest: &Quest, coin: Coin, state: CoinState, serial: Option<u32>) -> Self {
        let evidence_count = coin.evidence.len() as u64;
        let mut evidence = coin.evidence;
        evidence.truncate(EVIDENCE_MAX);
        Self {
            id: coin.id.to_string(),
            user: coin.user,
            quest: quest.id.to_string(),
            version: quest.version,
            coin: quest.coin.name.as_str().to_owned(),
            value: quest.coin.value,
            period: coin.period.to_string(),
            found_at: coin.found_at,
            found_by: coin.found_by,
            evidence,
            evidence_count,
            state,
            reason: None,
            serial,
            change: 1,
        }
    }

    pub fn is_of(&self, quest: &Quest) -> bool {
        self.is_version(&QuestVersion::of(quest))
    }

    pub(crate) fn is_version(&self, quest: &QuestVersion) -> bool {
        self.quest == quest.quest.as_str() && self.version == quest.version
    }

    pub(crate) fn into_item(self) -> Result<Item, StoreError> {
        let keys = [
            (
                attribute::HOLDERS,
                format!("{} {} {}", self.quest, self.version, holders_shard(&self.user)),
            ),
            (
                attribute::PLACE,
                format!("{} {} {}", sortable(self.found_at), self.user, self.period),
            ),
        ];
        let subject = self.id.clone();
        let mut item: Item = serde_dynamo::to_item(self)
            .map_err(|error| StoreError::corrupt("encoding a coin", subject, error))?;
        item.extend(keys.map(|(name, value)| (name.to_owned(), string(value))));
        Ok(item)
    }
}

impl From<KeptCoin> for UserCoin {
    fn from(coin: KeptCoin) -> Self {
        Self {
            coin_id: coin.id,
            quest_id: coin.quest,
            version: coin.version,
            coin: CoinSummary {
                name: coin.coin,
                value: coin.value,
            },
            period: coin.period,
            found_at: coin.found_at,
            state: coin.state,
            reason: coin.reason,
            serial: coin.serial,
            evidence: coin.evidence,
            evidence_count: coin.evidence_count,
        }
    }
}

/// A time that sorts as text, with all its digits.
fn sortable(at: Timestamp) -> String {
    format!("{at:.9}")
}

/// Sorts after all places of coins that were found at that time, in which a blank follows it.
fn after_all(at: Timestamp) -> String {
    sortable(at) + "!"
}

/// A coin in the index.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Holder {
    pub coin_id: String,
    #[serde(rename = "user_id")]
    pub user: UserId,
    pub period: String,
    pub found_at: Timestamp,
    pub state: CoinState,
    #[serde(default)]
    pub serial: Option<u32>,
    /// Its place in the order of finding.
    place: String,
}

/// How a list of holders is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// As they were found.
    #[default]
    Found,
    /// The other way round.
    Latest,
}

/// Where a list of holders continues: after so many coins that were found at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct After {
    pub found_at: Timestamp,
    pub coins: u16,
}

/// The table of coins, for reading them.
#[derive(Clone, Debug)]
pub struct Coins {
    pub(crate) client: Client,
    pub(crate) table: String,
}

impl Coins {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// All coins of a person, consistently.
    pub async fn of_user(&self, user: &UserId) -> Result<Vec<KeptCoin>, StoreError> {
        Ok(self.of_user_metered(user).await?.0)
    }

    /// Whether there is such a table: a deployment without quests has none.
    pub async fn are_kept(&self) -> Result<bool, StoreError> {
        let table = self.client.describe_table().table_name(&self.table).send().await;
        match table {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ResourceNotFoundException") => Ok(false),
            Err(error) => Err(StoreError::unavailable("looking for the table of coins", error)),
        }
    }

    /// All coins of a person, and the read units that they took.
    pub(crate) async fn of_user_metered(&self, user: &UserId) -> Result<(Vec<KeptCoin>, f64), StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#user = :user")
            .expression_attribute_names("#user", attribute::USER_ID)
            .expression_attribute_values(":user", string(user.as_str()))
            .consistent_read(true)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut pages = query.into_paginator().send();
        let (mut coins, mut read_units) = (Vec::new(), 0.0);
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StoreError::unavailable("reading a person's coins", error))?;
            let consumed = page
                .consumed_capacity
                .and_then(|consumed| consumed.capacity_units);
            read_units += consumed.unwrap_or_default();
            for item in page.items.unwrap_or_default() {
                coins.push(self.decoded(item)?);
            }
        }
        Ok((coins, read_units))
    }

    /// The coins of a quest, at most `limit`, and where to continue in the same order.
    pub async fn holders(
        &self,
        quest: &QuestVersion,
        order: Order,
        after: Option<After>,
        limit: u16,
    ) -> Result<(Vec<Holder>, Option<After>), StoreError> {
        let skipped = after.map_or(0, |after| after.coins);
        // One more, to know whether there is another page.
        let wanted = usize::from(limit) + usize::from(skipped) + 1;
        let shards = (0..HOLDER_SHARDS).map(|shard| self.holders_in(quest, order, shard, after, wanted));
        let shards = stream::iter(shards.collect::<Vec<_>>()).buffered(usize::from(HOLDER_SHARDS));
        let shards: Vec<Vec<Holder>> = shards.try_collect().await?;
        let mut holders: Vec<Holder> = shards.into_iter().flatten().collect();
        holders.sort_unstable_by(|a, b| match order {
            Order::Found => a.place.cmp(&b.place),
            Order::Latest => b.place.cmp(&a.place),
        });
        holders.drain(..usize::from(skipped).min(holders.len()));
        let has_more = holders.len() > usize::from(limit);
        holders.truncate(limit.into());
        let next = holders.last().filter(|_| has_more).map(|last| {
            let at_that_time = holders
                .iter()
                .rev()
                .take_while(|holder| holder.found_at == last.found_at);
            let coins = u16::try_from(at_that_time.count()).unwrap_or(u16::MAX);
            let before = after.filter(|after| after.found_at == last.found_at);
            After {
                found_at: last.found_at,
                coins: coins.saturating_add(before.map_or(0, |before| before.coins)),
            }
        });
        Ok((holders, next))
    }

    async fn holders_in(
        &self,
        quest: &QuestVersion,
        order: Order,
        shard: u16,
        after: Option<After>,
        wanted: usize,
    ) -> Result<Vec<Holder>, StoreError> {
        let query = self.index(quest, shard).scan_index_forward(order == Order::Found);
        let query = match after {
            None => query.key_condition_expression("#holders = :holders"),
            Some(After { found_at, .. }) => {
                let (condition, place) = match order {
                    Order::Found => ("#holders = :holders AND #place >= :place", sortable(found_at)),
                    Order::Latest => ("#holders = :holders AND #place < :place", after_all(found_at)),
                };
                query
                    .key_condition_expression(condition)
                    .expression_attribute_names("#place", attribute::PLACE)
                    .expression_attribute_values(":place", string(place))
            }
        };
        let limit = i32::try_from(wanted).unwrap_or(i32::MAX);
        let mut pages = query.limit(limit).into_paginator().send();
        let mut holders = Vec::new();
        while holders.len() < wanted
            && let Some(page) = pages.next().await
        {
            let page =
                page.map_err(|error| StoreError::unavailable("reading the holders of a quest", error))?;
            for item in page.items.unwrap_or_default() {
                holders.push(self.decoded(item)?);
            }
        }
        Ok(holders)
    }

    /// How many coins of a quest are in a state, among about `max` of them, in order of finding. The partitions of the index
    /// share `max`.
    pub async fn count(&self, quest: &QuestVersion, state: CoinState, max: u64) -> Result<u64, StoreError> {
        let max_of_shard = max.div_ceil(HOLDER_SHARDS.into());
        let counts = (0..HOLDER_SHARDS).map(|shard| {
            let query = self
                .index(quest, shard)
                .key_condition_expression("#holders = :holders")
                .filter_expression("#state = :state")
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":state", string(state.as_str()));
            count(query, max_of_shard, u64::MAX)
        });
        sum(counts).await
    }

    /// Whether it is settled who gets the coins of a quest.
    pub async fn is_settled(&self, quest: &QuestVersion) -> Result<bool, StoreError> {
        let answer = get_item(&self.client, &self.table, settling::key(quest))
            .send()
            .await;
        Ok(item_of("reading a settlement", answer)?.is_some())
    }

    /// Whether at least `wanted` coins of a quest are provisional that were found before a time. The first that suffice are
    /// read, and those that were revoked before them.
    pub(crate) async fn has_provisional_before(
        &self,
        quest: &QuestVersion,
        until: Timestamp,
        wanted: u64,
    ) -> Result<bool, StoreError> {
        let counts = (0..HOLDER_SHARDS).map(|shard| {
            let query = self
                .index(quest, shard)
                .key_condition_expression("#holders = :holders AND #place < :place")
                .filter_expression("#state = :provisional")
                .expression_attribute_names("#state", "state")
                .expression_attribute_names("#place", attribute::PLACE)
                .expression_attribute_values(":place", string(sortable(until)))
                .expression_attribute_values(":provisional", string(CoinState::Provisional.as_str()));
            count(query, u64::MAX, wanted)
        });
        Ok(sum(counts).await? >= wanted)
    }

    /// Who has provisional coins of a quest. Someone whose coin was found just now may be missing.
    pub(crate) async fn provisional_holders(&self, quest: &QuestVersion) -> Result<Vec<UserId>, StoreError> {
        let mut users = BTreeMap::new();
        for shard in 0..HOLDER_SHARDS {
            let mut items = self
                .index(quest, shard)
                .key_condition_expression("#holders = :holders")
                .filter_expression("#state = :provisional")
                .expression_attribute_names("#state", "state")
                .expression_attribute_values(":provisional", string(CoinState::Provisional.as_str()))
                .into_paginator()
                .items()
                .send();
            while let Some(item) = items.next().await {
                let item =
                    item.map_err(|error| StoreError::unavailable("reading the holders of a quest", error))?;
                let holder: Holder = self.decoded(item)?;
                users.insert(holder.user.to_string(), holder.user);
            }
        }
        Ok(users.into_values().collect())
    }

    /// The names of Podium's own items in a partition, consistently.
    pub(crate) async fn names_in(&self, partition: &str) -> Result<Vec<String>, StoreError> {
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#user = :partition")
            .projection_expression("#coin")
            .expression_attribute_names("#user", attribute::USER_ID)
            .expression_attribute_names("#coin", attribute::COIN_ID)
            .expression_attribute_values(":partition", string(partition))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut names = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| StoreError::unavailable("listing items", error))?;
            names.extend(item::text(&item, attribute::COIN_ID).ok().map(str::to_owned));
        }
        Ok(names)
    }

    fn index(&self, quest: &QuestVersion, shard: u16) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .index_name(HOLDERS_INDEX)
            .expression_attribute_names("#holders", attribute::HOLDERS)
            .expression_attribute_values(":holders", string(format!("{quest} {shard}")))
    }

    fn decoded<T: for<'de> Deserialize<'de>>(&self, item: Item) -> Result<T, StoreError> {
        let subject = error::named(&self.table, &item, COINS_KEY);
        serde_dynamo::from_item(item).map_err(|error| StoreError::corrupt("decoding a coin", subject, error))
    }
}

async fn sum(
    counts: impl Iterator<Item = impl Future<Output = Result<u64, StoreError>>>,
) -> Result<u64, StoreError> {
    let counts = stream::iter(counts.collect::<Vec<_>>()).buffered(usize::from(HOLDER_SHARDS));
    let counts: Vec<u64> = counts.try_collect().await?;
    Ok(counts.into_iter().sum())
}

/// Counts what a query finds, until `read_max` items were read or `wanted` found.
async fn count(query: QueryFluentBuilder, read_max: u64, wanted: u64) -> Result<u64, StoreError> {
    let at_once = i32::try_from(read_max).map_or(COUNTED_AT_ONCE, |max| max.min(COUNTED_AT_ONCE));
    let query = query.select(Select::Count).limit(at_once);
    let mut pages = query.into_paginator().send();
    let (mut read, mut found) = (0, 0);
    while read < read_max
        && found < wanted
        && let Some(page) = pages.next().await
    {
        let page = page.map_err(|error| StoreError::unavailable("counting the holders of a quest", error))?;
        read += u64::from(page.scanned_count.unsigned_abs());
        found += u64::from(page.count.unsigned_abs());
    }
    Ok(found)
}

/// The key of an item of Podium's own in this table.
pub(crate) fn own_key(partition: &str, name: &str) -> Item {
    item::key(COINS_KEY, partition, name)
}

/// The ids of coins in an attribute.
pub(crate) fn ids(item: &Item, name: &str) -> Result<Vec<String>, String> {
    let Some(AttributeValue::L(ids)) = item.get(name) else {
        return Err(format!("{name} must be a list (L)"));
    };
    let ids = ids.iter().map(|id| id.as_s().cloned());
    ids.collect::<Result<_, _>>()
        .map_err(|_| format!("{name} must have strings (S)"))
}
