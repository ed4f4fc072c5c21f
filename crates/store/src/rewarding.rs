//! Keeps the coins of people up to date with their facts: sends the calls that [`crate::reward`] decides on, and settles
//! supplies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata as _};
use aws_sdk_dynamodb::types::{ConditionCheck, Put, TransactWriteItem};
use domain::{Fact, UserId};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use crate::coins::Coins;
use crate::count::backoff;
use crate::erasures::Erasures;
use crate::error::StoreError;
use crate::facts::Facts;
use crate::item::{Item, string};
use crate::keys::attribute;
use crate::ledger::Version;
use crate::progress::{Progress, RewardRules};
use crate::proving::Change;
use crate::quests::QuestVersion;
use crate::requests::{get_item, item_of};
use crate::reward::{Answer, Call, PersonReward, Proved, Rewarded, Write};
use crate::settling::{self, Settlement, Settling};

/// The names of the tables that rewards use.
#[derive(Clone, Debug)]
pub struct RewardTables {
    pub activities: String,
    pub coins: String,
    pub progress: String,
}

/// The tables, and what a process remembers of them.
#[derive(Debug)]
pub struct Rewarding {
    client: Client,
    tables: RewardTables,
    coins: Coins,
    facts: Facts,
    settling: Settling,
    /// Settlements never change.
    settled: Mutex<BTreeMap<QuestVersion, Arc<Settlement>>>,
    /// Quests without provisional coins, which can get none any more.
    applied: Mutex<BTreeSet<QuestVersion>>,
    proved: Mutex<Proved>,
}

impl Rewarding {
    /// `final_after` is when coins and facts are final.
    pub fn new(client: Client, tables: RewardTables, final_after: SignedDuration) -> Self {
        let coins = Coins::new(client.clone(), tables.coins.clone());
        let facts = Facts::new(client.clone(), tables.activities.clone());
        Self {
            settling: Settling::new(client.clone(), coins.clone(), facts.clone(), final_after),
            client,
            tables,
            coins,
            facts,
            settled: Mutex::default(),
            applied: Mutex::default(),
            proved: Mutex::default(),
        }
    }

    /// Tells a person's facts, and proves the quests if a coin may change by them. `Ok(None)` if the deadline came
    /// first.
    pub async fn tell(
        &self,
        user: &UserId,
        mut facts: Vec<(Fact, Timestamp)>,
        erasures: &Erasures,
        rules: &RewardRules,
        deadline: Instant,
    ) -> Result<Option<Rewarded>, StoreError> {
        lock(&self.proved).retain_unproved(&mut facts);
        if facts.is_empty() {
            return Ok(Some(Rewarded {
                gate_hits: 1,
                ..Rewarded::default()
            }));
        }
        let reward = PersonReward::tell(user.clone(), facts, erasures, rules);
        self.run(reward, rules, deadline).await
    }

    /// Proves all quests of a person, whatever the gates say. `Ok(None)` if the deadline came first.
    pub async fn prove(
        &self,
        user: &UserId,
        erasures: &Erasures,
        rules: &RewardRules,
        deadline: Instant,
    ) -> Result<Option<Rewarded>, StoreError> {
        let reward = PersonReward::prove(user.clone(), erasures, rules);
        self.run(reward, rules, deadline).await
    }

    /// Records who was first to find a quest's coins if enough have, and issues or revokes those that are provisional.
    /// What it does not reach by the deadline is done when it is called again.
    pub async fn settle_supplies(
        &self,
        erasures: &Erasures,
        rules: &RewardRules,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<Rewarded, StoreError> {
        let mut rewarded = Rewarded::default();
        for quest in &rules.quests {
            let (version, Some(supply)) = (QuestVersion::of(quest), quest.supply) else {
                continue;
            };
            if lock(&self.applied).contains(&version) {
                continue;
            }
            if self.settlement(&version).await?.is_none() {
                // A pass that has begun ends, though a void came since.
                if !self.settling.is_under_way(&version).await?
                    && !self.settling.is_due(&version, supply, now).await?
                {
                    continue;
                }
                let outcome = self
                    .settling
                    .settle(quest, rules, erasures, now, deadline)
                    .await?;
                tracing::info!(quest = %version, ?outcome, "A supply was due to be settled.");
            }
            let Some(settlement) = self.settlement(&version).await? else {
                continue;
            };
            let holders = self.coins.provisional_holders(&version).await?;
            if holders.is_empty() && self.settling.is_final(&settlement, now) {
                // Of a process that was cut off, or has begun it too late.
                self.settling.forget_pass(&version).await?;
                lock(&self.applied).insert(version);
                continue;
            }
            for user in holders {
                match self.prove(&user, erasures, rules, deadline).await? {
                    Some(more) => rewarded.add(more),
                    None => return Ok(rewarded),
                }
            }
        }
        Ok(rewarded)
    }

    async fn run(
        &self,
        mut reward: PersonReward<'_>,
        rules: &RewardRules,
        deadline: Instant,
    ) -> Result<Option<Rewarded>, StoreError> {
        while let Some(call) = reward.next() {
            if Instant::now() >= deadline {
                return Ok(None);
            }
            let answer = self.send(&reward.user, call).await?;
            let is_overtaken = matches!(answer, Answer::Overtaken);
            let attempt = u32::try_from(reward.retries()).unwrap_or(u32::MAX);
            reward.take(answer, Version(rand::random()));
            if is_overtaken {
                let pause = backoff(attempt, rand::rng().random());
                if Instant::now() + pause >= deadline {
                    return Ok(None);
                }
                sleep(pause).await;
            }
        }
        let (rewarded, facts) = reward.finish();
        lock(&self.proved).remember(facts, rules);
        Ok(Some(rewarded))
    }

    async fn send(&self, user: &UserId, call: Call) -> Result<Answer, StoreError> {
        match call {
            Call::ReadProgress { is_consistent } => {
                self.progress(user, is_consistent).await.map(Answer::Progress)
            }
            Call::ReadPerson => {
                let (coins, facts) =
                    tokio::try_join!(self.coins.of_user_metered(user), self.facts.of_user_metered(user))?;
                Ok(Answer::Person {
                    facts: facts.0,
                    coins: coins.0,
                    read_units: coins.1 + facts.1,
                })
            }
            Call::ReadSettlements(quests) => {
                let mut settled = BTreeMap::new();
                for quest in quests {
                    let settlement = self.settlement(&quest).await?;
                    settled.extend(settlement.map(|settlement| (quest, settlement)));
                }
                Ok(Answer::Settlements(settled))
            }
            Call::Write(write) => {
                let item = write.progress.item(user);
                if write.proof.changes.is_empty() {
                    self.write(item, write.replaces).await
                } else {
                    self.transact(item, &write).await
                }
            }
        }
    }

    async fn progress(&self, user: &UserId, is_consistent: bool) -> Result<Option<Progress>, StoreError> {
        let key = Item::from([(attribute::USER_ID.to_owned(), string(user.as_str()))]);
        let read = get_item(&self.client, &self.tables.progress, key).consistent_read(is_consistent);
        let item = item_of("reading a person's progress", read.send().await)?;
        let Some(item) = item else { return Ok(None) };
        let progress = Progress::of_item(&item);
        progress.map(Some).ok_or_else(|| {
            let subject = format!(
                "the item {:?} of the table {}",
                user.as_str(),
                self.tables.progress
            );
            StoreError::corrupt(
                "decoding a person's progress",
                subject,
                "it lacks its version or gates",
            )
        })
    }

    /// Writes a person's progress alone.
    async fn write(&self, item: Item, replaces: Option<Version>) -> Result<Answer, StoreError> {
        let put = self.client.put_item().table_name(&self.tables.progress);
        let put = put
            .set_item(Some(item))
            .condition_expression(condition(replaces))
            .set_expression_attribute_names(Some(condition_names()))
            .set_expression_attribute_values(condition_values(replaces));
        match put.send().await {
            Ok(_) => Ok(Answer::Written),
            Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(Answer::Overtaken),
            Err(error) => Err(StoreError::unavailable("writing a person's progress", error)),
        }
    }

    /// Writes a person's progress and coins in one transaction.
    async fn transact(&self, item: Item, write: &Write) -> Result<Answer, StoreError> {
        let Write { replaces, proof, .. } = write;
        let invalid = |error: BuildError| StoreError::corrupt("planning a write", "a person's coins", error);
        let progress = Put::builder()
            .table_name(&self.tables.progress)
            .set_item(Some(item))
            .condition_expression(condition(*replaces))
            .set_expression_attribute_names(Some(condition_names()))
            .set_expression_attribute_values(condition_values(*replaces));
        let progress = progress.build().map_err(invalid)?;
        let mut writes = vec![TransactWriteItem::builder().put(progress).build()];
        for quest in &proof.unsettled {
            let check = ConditionCheck::builder()
                .table_name(&self.tables.coins)
                .set_key(Some(settling::key(quest)))
                .condition_expression("attribute_not_exists(#coin)")
                .expression_attribute_names("#coin", attribute::COIN_ID);
            let check = check.build().map_err(invalid)?;
            writes.push(TransactWriteItem::builder().condition_check(check).build());
        }
        for Change { coin, .. } in &proof.changes {
            let put = Put::builder()
                .table_name(&self.tables.coins)
                .set_item(Some(coin.clone().into_item()?));
            let put = put.build().map_err(invalid)?;
            writes.push(TransactWriteItem::builder().put(put).build());
        }
        let transaction = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes));
        match transaction.send().await {
            Ok(_) => Ok(Answer::Written),
            // A condition, or another transaction on one of the items: all is read again in either case.
            Err(error) if error.code() == Some("TransactionCanceledException") => Ok(Answer::Overtaken),
            Err(error) => Err(StoreError::unavailable("writing a person's coins", error)),
        }
    }

    async fn settlement(&self, quest: &QuestVersion) -> Result<Option<Arc<Settlement>>, StoreError> {
        let kept = lock(&self.settled).get(quest).cloned();
        if kept.is_some() {
            return Ok(kept);
        }
        let Some(settlement) = self.settling.settlement(quest).await? else {
            return Ok(None);
        };
        let settlement = Arc::new(settlement);
        lock(&self.settled).insert(quest.clone(), Arc::clone(&settlement));
        Ok(Some(settlement))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The condition that a person's progress is as it was read.
fn condition(replaces: Option<Version>) -> &'static str {
    match replaces {
        Some(_) => "#version = :replaces",
        None => "attribute_not_exists(#version)",
    }
}

fn condition_names() -> HashMap<String, String> {
    [("#version".to_owned(), attribute::VERSION.to_owned())].into()
}

fn condition_values(replaces: Option<Version>) -> Option<Item> {
    let replaces = replaces?;
    Some(Item::from([(":replaces".to_owned(), replaces.attribute())]))
}
