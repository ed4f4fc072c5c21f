//! Settling the supply of a quest: who is among the first to find its coins.
//!
//! Coins are provisional until as many as there are were found a minute ago. Then one pass over all facts that were
//! received until that minute finds every finder, in whatever order their messages arrive. The first of them are
//! recorded for good, by one conditional write. After that, a proof of a person with a provisional coin issues or revokes
//! it, so settling can stop and continue at any point.
//!
//! The pass keeps a checkpoint, so the table may take longer than one invocation: see [`pass`].
//!
//! The record is in the table of coins, since rewards own that, and no pipe reads it. It has the ids of coins, in order
//! of their serials, and no names, so an erasure need not change it.

mod pass;

use std::collections::{BTreeMap, HashMap};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::quest::{self, Activities};
use domain::{Coin, Quest};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::coins::{Coins, ids, own_key};
use crate::erasures::Erasures;
use crate::error::StoreError;
use crate::facts::{Facts, StoredFact};
use crate::item::Item;
use crate::keys::attribute;
use crate::progress::RewardRules;
use crate::quests::QuestVersion;
use crate::requests::{get_item, item_of};
pub(crate) use pass::PASSES;
pub use pass::Portion;

/// The ids of coins in one item: 230 KB of 400.
const IDS_OF_PAGE: usize = 5_000;
const SETTLEMENT: &str = "settlement";
const COINS: &str = "coins";

/// Who got the coins of a quest: their ids, with their serials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    serials: HashMap<String, u32>,
    settled_at: Timestamp,
}

impl Settlement {
    /// By the ids in order of the serials, which begin with 1.
    pub fn of(ids: impl IntoIterator<Item = String>, settled_at: Timestamp) -> Self {
        Self {
            serials: ids.into_iter().zip(1..).collect(),
            settled_at,
        }
    }

    pub fn serial(&self, coin: &str) -> Option<u32> {
        self.serials.get(coin).copied()
    }

    pub fn settled_at(&self) -> Timestamp {
        self.settled_at
    }
}

/// The record of a settlement. Its coins are in items of their own, which were written before.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Record {
    /// What was received until then was looked at.
    until: Timestamp,
    settled_at: Timestamp,
    supply: u32,
    /// Names the items with the coins.
    pass: String,
    pages: u32,
}

/// What a pass over the facts came to.
#[derive(Debug, PartialEq, Eq)]
pub enum Settled {
    Now,
    /// Fewer have found it than there are coins, since a void took some out.
    TooFew,
    /// Another process was first.
    Before,
    /// The pass did not end in time, or another process goes on with it.
    Unfinished,
}

/// The key of the record of a quest's settlement. No user's id begins with `~`.
pub(crate) fn key(quest: &QuestVersion) -> Item {
    own_key(&partition(quest), SETTLEMENT)
}

fn partition(quest: &QuestVersion) -> String {
    format!("~supply {quest}")
}

fn page_name(pass: &str, page: u32) -> String {
    format!("coins {pass} {page:04}")
}

/// The finders of a quest among facts that come user by user.
#[derive(Debug, Default)]
pub struct Finders {
    of_user: Vec<StoredFact>,
    found: Vec<Coin>,
}

impl Finders {
    /// `stored` is the next fact; those of one user are adjacent.
    pub fn add(&mut self, stored: StoredFact, quest: &Quest, rules: &RewardRules) {
        let is_next_user = |last: &StoredFact| last.fact.user() != stored.fact.user();
        if self.of_user.last().is_some_and(is_next_user) {
            self.evaluate(quest, rules);
        }
        self.of_user.push(stored);
    }

    /// The coins of the first, in order of their serials. `None` if there are fewer than the supply.
    pub fn first(mut self, quest: &Quest, rules: &RewardRules) -> Option<Vec<String>> {
        self.evaluate(quest, rules);
        let supply = quest.supply?;
        if self.found.len() < usize::try_from(supply).unwrap_or(usize::MAX) {
            return None;
        }
        let issued = quest::settle(self.found, supply).into_iter();
        Some(issued.map(|issued| issued.coin.id.to_string()).collect())
    }

    fn evaluate(&mut self, quest: &Quest, rules: &RewardRules) {
        let facts = self
            .of_user
            .iter()
            .map(|stored| (&stored.fact, stored.received_at));
        let activities = Activities::new(facts, &rules.calendar, &rules.policy);
        let coins = quest::coins(quest, &activities).into_iter();
        // A coin may have a lot of evidence, which does not matter here.
        self.found.extend(coins.map(|coin| Coin {
            evidence: Vec::new(),
            ..coin
        }));
        self.of_user.clear();
    }
}

/// The tables that settling reads and writes.
#[derive(Clone, Debug)]
pub struct Settling {
    client: Client,
    coins: Coins,
    facts: Facts,
    /// Coins and facts are final after this: what was received longer ago is recorded.
    final_after: SignedDuration,
    portion: Portion,
}

impl Settling {
    pub fn new(client: Client, coins: Coins, facts: Facts, final_after: SignedDuration) -> Self {
        Self {
            client,
            coins,
            facts,
            final_after,
            portion: Portion::default(),
        }
    }

    /// With a checkpoint after portions of this size.
    #[must_use]
    pub fn in_portions(self, portion: Portion) -> Self {
        Self { portion, ..self }
    }

    /// Whether the index has every coin that was provisional when this was settled.
    pub fn is_final(&self, settlement: &Settlement, now: Timestamp) -> bool {
        settlement.settled_at < now - self.final_after
    }

    /// The settlement of a quest, consistently; `None` if there is none yet. It never changes.
    pub async fn settlement(&self, quest: &QuestVersion) -> Result<Option<Settlement>, StoreError> {
        let table = &self.coins.table;
        let corrupt = |cause: String| {
            StoreError::corrupt(
                "decoding a settlement",
                format!("the settlement of {quest}"),
                cause,
            )
        };
        let answer = get_item(&self.client, table, key(quest)).send().await;
        let Some(item) = item_of("reading a settlement", answer)? else {
            return Ok(None);
        };
        let record: Record = serde_dynamo::from_item(item).map_err(|error| corrupt(error.to_string()))?;
        let mut coins = Vec::new();
        for page in 0..record.pages {
            let key = own_key(&partition(quest), &page_name(&record.pass, page));
            let answer = get_item(&self.client, table, key).send().await;
            let page = item_of("reading a settlement", answer)?;
            let page = page.ok_or_else(|| corrupt("a page of coins is missing".to_owned()))?;
            coins.extend(ids(&page, COINS).map_err(corrupt)?);
        }
        Ok(Some(Settlement::of(coins, record.settled_at)))
    }

    /// Whether so many coins of a quest were found long enough ago that it is due to be settled.
    pub async fn is_due(
        &self,
        quest: &QuestVersion,
        supply: u32,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let until = now - self.final_after;
        self.coins
            .has_provisional_before(quest, until, supply.into())
            .await
    }

    /// Passes over all facts and records who was first, if nobody has. Ends by the deadline, and goes on with the pass that
    /// was begun before.
    pub async fn settle(
        &self,
        quest: &Quest,
        rules: &RewardRules,
        erasures: &Erasures,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Settled, StoreError> {
        let version = QuestVersion::of(quest);
        let until = now - self.final_after;
        let Some(mut pass) = self.join_pass(&version, rules, until).await? else {
            return Ok(Settled::Unfinished);
        };
        loop {
            let read = self.read_portion(&pass, quest, rules, erasures, deadline);
            let Some((mut finders, next)) = read.await? else {
                return Ok(Settled::Unfinished);
            };
            if let Some(next) = next {
                let Some(kept) = self.keep_pass(&pass, quest, finders.found, next).await? else {
                    return Ok(Settled::Unfinished);
                };
                pass = kept;
                continue;
            }
            let Some(found) = self.found_before(&pass, quest).await? else {
                self.forget_pass(&version).await?;
                return Ok(Settled::Unfinished);
            };
            finders.found.extend(found);
            let settled = match finders.first(quest, rules) {
                Some(coins) => self.record(quest, &coins, pass.until, now).await?,
                None => Settled::TooFew,
            };
            self.forget_pass(&version).await?;
            return Ok(settled);
        }
    }

    /// Writes the coins, and then the record that makes them final.
    async fn record(
        &self,
        quest: &Quest,
        coins: &[String],
        until: Timestamp,
        now: Timestamp,
    ) -> Result<Settled, StoreError> {
        let version = QuestVersion::of(quest);
        let pass = format!("{:016x}", rand::random::<u64>());
        let mut pages = 0;
        for page in coins.chunks(IDS_OF_PAGE) {
            let ids = page.iter().cloned().map(AttributeValue::S).collect();
            let mut item = own_key(&partition(&version), &page_name(&pass, pages));
            item.insert(COINS.to_owned(), AttributeValue::L(ids));
            let put = self.client.put_item().table_name(&self.coins.table);
            let put = put.set_item(Some(item)).send().await;
            put.map_err(|error| StoreError::unavailable("writing the coins of a settlement", error))?;
            pages += 1;
        }
        let record = Record {
            until,
            settled_at: now,
            supply: quest.supply.unwrap_or_default(),
            pass: pass.clone(),
            pages,
        };
        let mut item: Item = serde_dynamo::to_item(record)
            .map_err(|error| StoreError::corrupt("encoding a settlement", version.to_string(), error))?;
        item.extend(key(&version));
        let put = self.client.put_item().table_name(&self.coins.table);
        let put = put
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#coin)")
            .expression_attribute_names("#coin", attribute::COIN_ID);
        match put.send().await {
            Ok(_) => Ok(Settled::Now),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(Settled::Before),
            Err(error) => Err(StoreError::unavailable("recording a settlement", error)),
        }
    }
}

/// The settlements among these, which borrow from those that were read.
pub(crate) fn borrowed(
    settled: &BTreeMap<QuestVersion, std::sync::Arc<Settlement>>,
) -> BTreeMap<QuestVersion, &Settlement> {
    let settled = settled.iter();
    settled
        .map(|(quest, settlement)| (quest.clone(), settlement.as_ref()))
        .collect()
}
