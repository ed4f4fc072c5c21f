//! The checkpoint of a pass, so that invocations can share it: which facts are looked at, how far they were read, and who
//! was found so far.
//!
//! A checkpoint is replaced on condition of what was read, in one transaction with the items of the finders since the
//! one before. So whoever is cut off or overtaken leaves nothing behind, and of two invocations that read the same
//! portion only one is kept. It ends between two people, since all facts of a person are evaluated together.
//!
//! These items have ids of people until the pass ends. An erasure deletes them all, and passes begin anew.

use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata as _};
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem};
use domain::quest::{self, CoinId, CoinPeriod};
use domain::{ActivityId, Coin, Quest, UserId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Finders, Settling};
use crate::coins::{ids, own_key};
use crate::erasures::Erasures;
use crate::error::StoreError;
use crate::facts::Position;
use crate::item::{Item, number, string};
use crate::keys::attribute;
use crate::progress::RewardRules;
use crate::quests::QuestVersion;
use crate::requests::{get_item, item_of};

/// The partition of all passes. No user's id begins with `~`.
pub(crate) const PASSES: &str = "~passes";
/// Finders in one item: 290 KB of 400, with ids of full length.
const FINDERS_OF_ITEM: usize = 1_000;
const FINDERS: &str = "finders";

/// How much of the table of facts is read for one checkpoint.
#[derive(Clone, Copy, Debug)]
pub struct Portion {
    pub facts_of_page: i32,
    /// More if they have the facts of one person alone.
    pub pages: usize,
}

/// A fact has at most one coin found by it for each period, so the finders of 10,000 facts fit into a transaction's 4 MB.
impl Default for Portion {
    fn default() -> Self {
        Self {
            facts_of_page: 1_000,
            pages: 10,
        }
    }
}

/// A checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Pass {
    /// Random, so that no two passes are taken for one another.
    id: String,
    step: u32,
    /// What was received until then is looked at.
    pub(super) until: Timestamp,
    /// The last fact of the last person who was evaluated.
    after: Option<Position>,
    /// Items of finders.
    items: usize,
    /// Finders by other rules are others.
    rules: String,
}

impl Settling {
    /// The pass under way, or a new one. `None` if another process has begun one just now.
    pub(super) async fn join_pass(
        &self,
        quest: &QuestVersion,
        rules: &RewardRules,
        until: Timestamp,
    ) -> Result<Option<Pass>, StoreError> {
        let known = self.pass(quest).await?;
        if known
            .as_ref()
            .is_some_and(|known| known.rules == rules.fingerprint)
        {
            return Ok(known);
        }
        if known.is_some() {
            self.forget_pass(quest).await?;
        }
        let pass = Pass {
            id: format!("{:016x}", rand::random::<u64>()),
            step: 0,
            until,
            after: None,
            items: 0,
            rules: rules.fingerprint.clone(),
        };
        let put = self.client.put_item().table_name(&self.coins.table);
        let put = put
            .set_item(Some(checkpoint(quest, &pass)?))
            .condition_expression("attribute_not_exists(#coin)")
            .expression_attribute_names("#coin", attribute::COIN_ID);
        match put.send().await {
            Ok(_) => Ok(Some(pass)),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(StoreError::unavailable("beginning a pass", error)),
        }
    }

    /// Reads the portion after a checkpoint: who was found in it, and where the next one begins, if there is more. `None`
    /// if the deadline came first.
    pub(super) async fn read_portion(
        &self,
        pass: &Pass,
        quest: &Quest,
        rules: &RewardRules,
        erasures: &Erasures,
        deadline: Instant,
    ) -> Result<Option<(Finders, Option<Position>)>, StoreError> {
        let mut finders = Finders::default();
        let mut after = pass.after.clone();
        let (mut last, mut end_of_person) = (None, None);
        let mut pages = 0;
        loop {
            if Instant::now() >= deadline {
                return Ok(None);
            }
            let page = self
                .facts
                .page((0, 1), after.as_ref(), self.portion.facts_of_page)
                .await?;
            for stored in page.facts {
                let is_other = |last: &Position| !last.is_of(stored.fact.user());
                if last.as_ref().is_some_and(is_other) {
                    finders.evaluate(quest, rules);
                    end_of_person = last;
                }
                last = Some(stored.position());
                if stored.received_at <= pass.until && !erasures.cover(&stored.fact, stored.received_at) {
                    finders.add(stored, quest, rules);
                }
            }
            pages += 1;
            after = page.next;
            if after.is_none() {
                finders.evaluate(quest, rules);
                return Ok(Some((finders, None)));
            }
            if pages >= self.portion.pages && end_of_person.is_some() {
                // The next portion begins with whoever may have more facts.
                finders.of_user.clear();
                return Ok(Some((finders, end_of_person)));
            }
        }
    }

    /// Replaces a checkpoint by the next one. `None` if another process was first.
    pub(super) async fn keep_pass(
        &self,
        pass: &Pass,
        quest: &Quest,
        found: Vec<Coin>,
        next: Position,
    ) -> Result<Option<Pass>, StoreError> {
        let version = QuestVersion::of(quest);
        let invalid =
            |error: BuildError| StoreError::corrupt("planning a checkpoint", version.to_string(), error);
        // Later ones of this portion are not among the first of all.
        let first = quest::settle(found, quest.supply.unwrap_or_default());
        let finders: Vec<_> = first.iter().map(|first| finder(&first.coin)).collect();
        let mut kept = Pass {
            step: pass.step + 1,
            after: Some(next),
            ..pass.clone()
        };
        let mut writes = Vec::new();
        for finders in finders.chunks(FINDERS_OF_ITEM) {
            let mut item = own_key(PASSES, &format!("{version} {} {:08}", pass.id, kept.items));
            item.insert(FINDERS.to_owned(), AttributeValue::L(finders.to_vec()));
            let put = Put::builder().table_name(&self.coins.table);
            let put = put.set_item(Some(item)).build().map_err(invalid)?;
            writes.push(TransactWriteItem::builder().put(put).build());
            kept.items += 1;
        }
        let put = Put::builder()
            .table_name(&self.coins.table)
            .set_item(Some(checkpoint(&version, &kept)?))
            .condition_expression("#id = :id AND #step = :step")
            .expression_attribute_names("#id", "id")
            .expression_attribute_names("#step", "step")
            .expression_attribute_values(":id", string(pass.id.clone()))
            .expression_attribute_values(":step", number(pass.step));
        let put = put.build().map_err(invalid)?;
        writes.push(TransactWriteItem::builder().put(put).build());
        let transaction = self.client.transact_write_items();
        match transaction.set_transact_items(Some(writes)).send().await {
            Ok(_) => Ok(Some(kept)),
            Err(error) if error.code() == Some("TransactionCanceledException") => Ok(None),
            Err(error) => Err(StoreError::unavailable("writing a checkpoint", error)),
        }
    }

    /// The finders of all portions before a checkpoint. `None` if some are deleted.
    pub(super) async fn found_before(
        &self,
        pass: &Pass,
        quest: &Quest,
    ) -> Result<Option<Vec<Coin>>, StoreError> {
        let version = QuestVersion::of(quest);
        let items = self.items_of(&format!("{version} {} ", pass.id)).await?;
        if items.len() != pass.items {
            return Ok(None);
        }
        let corrupt =
            |cause: String| StoreError::corrupt("decoding the finders of a pass", version.to_string(), cause);
        let mut found = Vec::new();
        for item in &items {
            for finder in ids(item, FINDERS).map_err(corrupt)? {
                let coin = coin(quest, &finder);
                found.push(coin.ok_or_else(|| corrupt(format!("{finder:?} is no finder")))?);
            }
        }
        Ok(Some(found))
    }

    /// Deletes what is kept of a pass.
    pub(crate) async fn forget_pass(&self, quest: &QuestVersion) -> Result<(), StoreError> {
        let (checkpoint, finders) = (quest.to_string(), format!("{quest} "));
        for name in self.coins.names_in(PASSES).await? {
            if name == checkpoint || name.starts_with(&finders) {
                let delete = self.client.delete_item().table_name(&self.coins.table);
                let deleted = delete.set_key(Some(own_key(PASSES, &name))).send().await;
                deleted.map_err(|error| StoreError::unavailable("deleting a pass", error))?;
            }
        }
        Ok(())
    }

    pub(crate) async fn is_under_way(&self, quest: &QuestVersion) -> Result<bool, StoreError> {
        Ok(self.pass(quest).await?.is_some())
    }

    async fn pass(&self, quest: &QuestVersion) -> Result<Option<Pass>, StoreError> {
        let key = own_key(PASSES, &quest.to_string());
        let answer = get_item(&self.client, &self.coins.table, key).send().await;
        let Some(item) = item_of("reading a checkpoint", answer)? else {
            return Ok(None);
        };
        let pass = serde_dynamo::from_item(item);
        pass.map(Some)
            .map_err(|error| StoreError::corrupt("decoding a checkpoint", quest.to_string(), error))
    }

    async fn items_of(&self, prefix: &str) -> Result<Vec<Item>, StoreError> {
        let query = self
            .client
            .query()
            .table_name(&self.coins.table)
            .key_condition_expression("#passes = :passes AND begins_with(#name, :prefix)")
            .expression_attribute_names("#passes", attribute::USER_ID)
            .expression_attribute_names("#name", attribute::COIN_ID)
            .expression_attribute_values(":passes", string(PASSES))
            .expression_attribute_values(":prefix", string(prefix))
            .consistent_read(true);
        let items = query.into_paginator().items().send().try_collect().await;
        items.map_err(|error| StoreError::unavailable("reading a pass", error))
    }
}

fn checkpoint(quest: &QuestVersion, pass: &Pass) -> Result<Item, StoreError> {
    let mut item: Item = serde_dynamo::to_item(pass)
        .map_err(|error| StoreError::corrupt("encoding a checkpoint", quest.to_string(), error))?;
    item.extend(own_key(PASSES, &quest.to_string()));
    Ok(item)
}

/// A coin as text: when it was found, by which activity, by whom, and for what. No id has a blank in it.
fn finder(coin: &Coin) -> AttributeValue {
    let Coin {
        found_at,
        found_by,
        user,
        period,
        ..
    } = coin;
    string(format!("{found_at} {found_by} {user} {period}"))
}

fn coin(quest: &Quest, finder: &str) -> Option<Coin> {
    let mut parts = finder.splitn(4, ' ');
    let found_at = parts.next()?.parse().ok()?;
    let found_by = ActivityId::stored(parts.next()?).ok()?;
    let user = UserId::stored(parts.next()?).ok()?;
    let period = CoinPeriod::stored(parts.next()?, quest.per)?;
    Some(Coin {
        id: CoinId::new(&quest.id, quest.version, &user, &period),
        quest: quest.id.clone(),
        version: quest.version,
        user,
        period,
        found_at,
        found_by,
        evidence: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finder_is_read_as_it_was_written() {
        for (per, period) in [
            ("once", ""),
            ("day", "2026-11-24"),
            ("week", "2026-W47"),
            ("month", "2026-11"),
            ("program", "onboarding"),
        ] {
            let quest = format!(
                r#"[{{"id":"q","version":1,"title":"Q","coin":{{"name":"C","value":1}},"per":"{per}","supply":1,
                    "rule":{{"count":{{"of":{{}},"at_least":1}}}}}}]"#
            );
            let quest = quest::parse(quest.as_bytes()).unwrap().remove(0);
            let text = format!("2026-11-24T09:00:00.25Z a-1 ann {period}");
            let coin = coin(&quest, &text).unwrap();
            assert_eq!(finder(&coin), string(text), "{per}");
        }
    }
}
