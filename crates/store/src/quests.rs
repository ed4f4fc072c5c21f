//! The quests of a deployment, in the table of coins.
//!
//! Up to 200 quests do not fit into the environment of a function, which has 4 KB. So whoever deploys writes them as
//! one item, which functions read when they start: JSON, compressed by gzip if it is long, as Terraform's
//! `base64gzip` makes it. What a version of a quest says is recorded when it is first used, since it must never
//! change: coins were given by it.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::quest::{self, Fault};
use domain::{Quest, QuestId};
use serde_json::value::RawValue;

use crate::document;
use crate::error::{self, StoreError};
use crate::item::{self, Item, string, text};
use crate::keys::{COINS_KEY, attribute};
use crate::progress::RewardRules;
use crate::requests::{get_item, item_of};

/// The partition of the quests. No user's id begins with `~`.
const PARTITION: &str = "~quests";
const CONFIGURED: &str = "configured";
const RECORDED: &str = "quest ";
const CAUGHT_UP: &str = "caught up";
const RULES: &str = "rules";
/// The attribute of the list, and that of one recorded quest.
const QUESTS: &str = "quests";
const QUEST: &str = "quest";
/// An item has at most 400 KB.
const ENCODED_BYTES_MAX: usize = 380_000;

/// A version of a quest.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QuestVersion {
    pub quest: QuestId,
    pub version: u32,
}

impl QuestVersion {
    pub fn of(quest: &Quest) -> Self {
        Self {
            quest: quest.id.clone(),
            version: quest.version,
        }
    }

    pub(crate) fn stored(text: &str) -> Option<Self> {
        let (quest, version) = text.split_once(' ')?;
        Some(Self {
            quest: QuestId::stored(quest).ok()?,
            version: version.parse().ok()?,
        })
    }
}

impl fmt::Display for QuestVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.quest, self.version)
    }
}

/// Why quests cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidQuests {
    #[error("the quests are not valid: {}", told(.0))]
    Faults(Vec<Fault>),
    #[error(
        "quest {quest} says something else than when its version {version} was first used, and coins are given by that; \
         raise its version, which gives new coins, or take back the change",
        quest = .0.quest,
        version = .0.version
    )]
    Changed(QuestVersion),
    #[error("the quests have {0} bytes after compression; at most {ENCODED_BYTES_MAX} fit into the table")]
    TooLarge(usize),
    #[error(transparent)]
    Store(#[from] StoreError),
}

fn told(faults: &[Fault]) -> String {
    let faults: Vec<_> = faults.iter().map(ToString::to_string).collect();
    faults.join("; ")
}

/// The table of coins, for the quests in it.
#[derive(Clone, Debug)]
pub struct Quests {
    client: Client,
    table: String,
}

impl Quests {
    pub fn new(client: Client, coins_table: String) -> Self {
        Self {
            client,
            table: coins_table,
        }
    }

    /// The configured quests, as they were written; none if there are none.
    pub async fn configured(&self) -> Result<Vec<Quest>, InvalidQuests> {
        let list = self.list().await?;
        quest::parse(list.as_bytes()).map_err(InvalidQuests::Faults)
    }

    async fn list(&self) -> Result<String, StoreError> {
        let key = item::key(COINS_KEY, PARTITION, CONFIGURED);
        let answer = get_item(&self.client, &self.table, key).send().await;
        let Some(item) = item_of("reading the quests", answer)? else {
            return Ok("[]".to_owned());
        };
        let list = document::json(&item, QUESTS).map_err(|error| self.corrupt(&item, error))?;
        Ok(list.into_owned())
    }

    /// The configured quests, once it is certain that none says something else than it did. Records those that are
    /// new.
    pub async fn settled(&self) -> Result<Vec<Quest>, InvalidQuests> {
        self.record(&self.list().await?).await
    }

    /// Configures quests, as Terraform does on AWS. Fails if one of them says something else than it did.
    pub async fn configure(&self, list: &str) -> Result<Vec<Quest>, InvalidQuests> {
        let quests = self.record(list).await?;
        let encoded = document::encoded(CONFIGURED, list.to_owned())?;
        if let AttributeValue::B(bytes) = &encoded
            && bytes.as_ref().len() > ENCODED_BYTES_MAX
        {
            return Err(InvalidQuests::TooLarge(bytes.as_ref().len()));
        }
        let mut item = item::key(COINS_KEY, PARTITION, CONFIGURED);
        item.insert(QUESTS.to_owned(), encoded);
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let put = put.send().await;
        put.map_err(|error| StoreError::unavailable("writing the quests", error))?;
        Ok(quests)
    }

    /// Whether all facts were looked at by these rules since they were configured.
    pub async fn has_caught_up(&self, rules: &RewardRules) -> Result<bool, StoreError> {
        let key = item::key(COINS_KEY, PARTITION, CAUGHT_UP);
        let answer = get_item(&self.client, &self.table, key).send().await;
        let item = item_of("reading which quests have caught up", answer)?;
        let name = item.as_ref().and_then(|item| text(item, RULES).ok());
        Ok(name == Some(&rules.name()))
    }

    /// Notes that all facts were looked at by these rules.
    pub async fn note_caught_up(&self, rules: &RewardRules) -> Result<(), StoreError> {
        let mut item = item::key(COINS_KEY, PARTITION, CAUGHT_UP);
        item.insert(RULES.to_owned(), string(rules.name()));
        let put = self.client.put_item().table_name(&self.table);
        let put = put.set_item(Some(item)).send().await;
        put.map(drop)
            .map_err(|error| StoreError::unavailable("noting which quests have caught up", error))
    }

    async fn record(&self, list: &str) -> Result<Vec<Quest>, InvalidQuests> {
        let quests = quest::parse(list.as_bytes()).map_err(InvalidQuests::Faults)?;
        if quests.is_empty() {
            return Ok(quests);
        }
        let texts: Vec<&RawValue> = serde_json::from_str(list)
            .map_err(|error| StoreError::corrupt("reading the quests", "the list", error))?;
        let recorded = self.recorded().await?;
        for (quest, text) in quests.iter().zip(texts) {
            let version = QuestVersion::of(quest);
            if !recorded.contains_key(&version) && self.insert(&version, text.get()).await? {
                continue;
            }
            let kept = match recorded.get(&version) {
                Some(kept) => kept.clone(),
                // Another process was first.
                None => self.recorded().await?.remove(&version).unwrap_or_default(),
            };
            let kept = serde_json::from_str::<&RawValue>(&kept).ok();
            if kept.and_then(|kept| Quest::parse(kept).ok()).as_ref() != Some(quest) {
                return Err(InvalidQuests::Changed(version));
            }
        }
        Ok(quests)
    }

    /// What each version of a quest said when it was first used.
    async fn recorded(&self) -> Result<BTreeMap<QuestVersion, String>, StoreError> {
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("#user = :quests AND begins_with(#coin, :recorded)")
            .expression_attribute_names("#user", attribute::USER_ID)
            .expression_attribute_names("#coin", attribute::COIN_ID)
            .expression_attribute_values(":quests", string(PARTITION))
            .expression_attribute_values(":recorded", string(RECORDED))
            .into_paginator()
            .items()
            .send();
        let mut recorded = BTreeMap::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| StoreError::unavailable("reading recorded quests", error))?;
            let quest = text(&item, QUEST).map_err(|error| self.corrupt(&item, error))?;
            let name = text(&item, attribute::COIN_ID).ok();
            let version = name.and_then(|name| QuestVersion::stored(name.strip_prefix(RECORDED)?));
            recorded.extend(version.map(|version| (version, quest.to_owned())));
        }
        Ok(recorded)
    }

    /// Records a version. `false` if it was recorded meanwhile.
    async fn insert(&self, version: &QuestVersion, quest: &str) -> Result<bool, StoreError> {
        let mut item = item::key(COINS_KEY, PARTITION, &format!("{RECORDED}{version}"));
        item.insert(QUEST.to_owned(), string(quest));
        let put = self.client.put_item().table_name(&self.table);
        let put = put
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#coin)")
            .expression_attribute_names("#coin", attribute::COIN_ID);
        match put.send().await {
            Ok(_) => Ok(true),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(StoreError::unavailable("recording a quest", error)),
        }
    }

    fn corrupt(&self, item: &Item, cause: String) -> StoreError {
        StoreError::corrupt(
            "decoding the quests",
            error::named(&self.table, item, COINS_KEY),
            cause,
        )
    }
}
