//! Keeps the coins of people up to date with their facts: sends the calls that [`crate::reward`] decides on, and settles
//! supplies.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata as _};
use aws_sdk_dynamodb::types::builders::PutBuilder;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, ConsumedCapacity, Put, ReturnConsumedCapacity, TransactWriteItem,
};
use domain::{Fact, UserId};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use tokio::time::{Instant, sleep};

use crate::activities::sortable;
use crate::coins::Coins;
use crate::control::AUDIT;
use crate::count::backoff;
use crate::erasures::Erasures;
use crate::error::StoreError;
use crate::facts::{Facts, StoredFact};
use crate::item::{Item, string};
use crate::keys::attribute;
use crate::ledger::Version;
use crate::progress::{Progress, RewardRules};
use crate::proving::{Change, Proof, evaluate, overdue};
use crate::quests::QuestVersion;
use crate::requests::{get_item, item_of};
use crate::reward::{Answer, Call, PersonReward, Proved, Rewarded, Write, since_erasure};
use crate::settling::{self, Settlement, Settling};

/// How often a person is compared whose coins keep changing, before that is left to the next run.
const LOOKS: u32 = 10;

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
    audit: Option<Audit>,
}

/// How a person's coins differ from what the facts of the person come to.
#[derive(Debug, Default)]
pub struct Compared {
    /// What a proof would write, and no fact in flight explains.
    pub changes: Vec<Change>,
    /// Coins that facts, or a settlement, of the last minutes change.
    pub in_flight: usize,
    /// The gates leave out facts, so what is told next may be taken not to matter.
    pub is_untold: bool,
}

impl Compared {
    pub fn is_clean(&self) -> bool {
        self.changes.is_empty() && !self.is_untold
    }
}

/// Where to keep the records of corrections, and what they say.
#[derive(Clone, Debug)]
struct Audit {
    standings_table: String,
    reason: &'static str,
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
            audit: None,
        }
    }

    /// Keeps an audit record with each change of coins, in one transaction.
    #[must_use]
    pub fn recorded(self, standings_table: String, reason: &'static str) -> Self {
        let audit = Some(Audit {
            standings_table,
            reason,
        });
        Self { audit, ..self }
    }

    /// Compares a person's coins and gates with facts of the person that were read just now. What was received since
    /// `until` may be in flight.
    pub async fn compare(
        &self,
        user: &UserId,
        facts: &[StoredFact],
        erasures: &Erasures,
        rules: &RewardRules,
        until: Timestamp,
    ) -> Result<Compared, StoreError> {
        let known = self.progress(user, true).await?;
        let compared = self
            .differences(user, facts, known, erasures, rules, until)
            .await?;
        if compared.is_clean() {
            return Ok(compared);
        }
        // These were not read at the same moment.
        for look in 0..LOOKS {
            let before = self.progress(user, true).await?;
            let version = before.as_ref().map(|known| known.version);
            let facts = self.facts.of_user(user).await?;
            let compared = self
                .differences(user, &facts, before, erasures, rules, until)
                .await?;
            let after = self.progress(user, true).await?;
            if after.map(|known| known.version) == version {
                return Ok(compared);
            }
            sleep(backoff(look, rand::rng().random())).await;
        }
        Ok(Compared {
            in_flight: 1,
            ..Compared::default()
        })
    }

    async fn differences(
        &self,
        user: &UserId,
        facts: &[StoredFact],
        known: Option<Progress>,
        erasures: &Erasures,
        rules: &RewardRules,
        until: Timestamp,
    ) -> Result<Compared, StoreError> {
        let coins = since_erasure(self.coins.of_user(user).await?, user, erasures);
        let gates = known.map(|known| known.into_gates(rules)).unwrap_or_default();
        let evaluation = evaluate(facts, erasures, rules);
        let settled = self.settlements(evaluation.supplies(&coins)).await?;
        let settled = settling::borrowed(&settled);
        let proof = evaluation.prove(&coins, &settled);
        let earlier = facts.iter().filter(|stored| stored.received_at < until);
        let before = evaluate(&earlier.cloned().collect::<Vec<_>>(), erasures, rules);
        let (mut changes, mut in_flight) = overdue(proof, &before.prove(&coins, &settled), until);
        // Those whose coins a settlement has just made final are being issued or revoked.
        changes.retain(|Change { coin, .. }| {
            let mut settled = settled.iter().filter(|(quest, _)| coin.is_version(quest));
            let is_overdue = settled.all(|(_, settlement)| settlement.settled_at() < until);
            in_flight += usize::from(!is_overdue);
            is_overdue
        });
        Ok(Compared {
            changes,
            in_flight,
            is_untold: gates.hide(&evaluation.gates) && gates.hide(&before.gates),
        })
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
            Call::ReadSettlements(quests) => self.settlements(quests).await.map(Answer::Settlements),
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
            .set_expression_attribute_values(condition_values(replaces))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match put.send().await {
            Ok(output) => Ok(written(output.consumed_capacity)),
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
        if let Some(audit) = &self.audit {
            let record = audit.record(proof).build().map_err(invalid)?;
            writes.push(TransactWriteItem::builder().put(record).build());
        }
        let transaction = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match transaction.send().await {
            Ok(output) => Ok(written(output.consumed_capacity.unwrap_or_default())),
            // A condition, or another transaction on one of the items: all is read again in either case.
            Err(error) if error.code() == Some("TransactionCanceledException") => Ok(Answer::Overtaken),
            Err(error) => Err(StoreError::unavailable("writing a person's coins", error)),
        }
    }

    /// The settlements of those of these quests that are settled.
    async fn settlements(
        &self,
        quests: Vec<QuestVersion>,
    ) -> Result<BTreeMap<QuestVersion, Arc<Settlement>>, StoreError> {
        let mut settled = BTreeMap::new();
        for quest in quests {
            let settlement = self.settlement(&quest).await?;
            settled.extend(settlement.map(|settlement| (quest, settlement)));
        }
        Ok(settled)
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

impl Audit {
    /// The record of a write. It has the ids of coins and no names, so an erasure need not change it.
    fn record(&self, proof: &Proof) -> PutBuilder {
        let coins = proof.changes.iter().map(|Change { coin, effect }| {
            let effect = effect.as_str();
            string(format!(
                "{} of {} {}: {effect}",
                coin.id, coin.quest, coin.version
            ))
        });
        // The random part keeps two records of the same millisecond apart.
        let name = format!(
            "{} rewards {:08x}",
            sortable(Timestamp::now()),
            rand::random::<u32>()
        );
        Put::builder()
            .table_name(&self.standings_table)
            .item(attribute::SHARD, string(AUDIT))
            .item(attribute::MEMBER, string(name))
            .item("coins", AttributeValue::L(coins.collect()))
            .item("correction", string(self.reason))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn written(consumed: impl IntoIterator<Item = ConsumedCapacity>) -> Answer {
    let units = consumed
        .into_iter()
        .filter_map(|consumed| consumed.capacity_units);
    Answer::Written {
        write_units: units.sum(),
    }
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
