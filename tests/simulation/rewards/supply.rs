//! Settling supplies, as heartbeats start it: the pass over the facts, and then the people whose coins are provisional.

use std::collections::VecDeque;
use std::sync::Arc;

use domain::quest::CoinState;
use domain::{FactId, Quest, UserId};
use jiff::Timestamp;
use rand::RngExt as _;
use store::quests::QuestVersion;
use store::reward::PersonReward;
use store::settling::{Finders, Settlement};

use super::invocation::advance;
use super::{FINAL_AFTER, World};
use crate::tell;
use crate::worker::Fault;

const PASSES: usize = 2;
/// Facts that are read at once.
const PAGE: usize = 4;

/// What one process does for one quest.
pub struct Pass {
    quest: &'static Quest,
    stage: Stage,
}

enum Stage {
    Reading {
        /// What was received until then is looked at.
        until: Timestamp,
        after: Option<(UserId, FactId)>,
        finders: Finders,
    },
    Proving {
        reward: Option<Box<PersonReward<'static>>>,
        left: VecDeque<UserId>,
    },
}

impl World {
    /// A pass begins or goes on. It ends without a result when a call of it fails.
    pub(super) fn step_pass(&mut self, may_fail: bool) {
        if self.passes.is_empty() || (self.passes.len() < PASSES && self.random.random_range(0..4) == 0) {
            return self.begin_pass();
        }
        let at = self.random.random_range(0..self.passes.len());
        let pass = self.passes.swap_remove(at);
        let fault = self.fault(may_fail);
        if fault != Fault::None && fault != Fault::CutAfter {
            return tell(format_args!("a pass for {} fails", pass.quest.id));
        }
        let quest = pass.quest;
        let next = match pass.stage {
            Stage::Reading {
                until,
                after,
                finders,
            } => self.read_on(quest, until, after.as_ref(), finders),
            Stage::Proving { reward, left } => self.prove_on(reward, left, fault),
        };
        self.passes.extend(next.map(|stage| Pass { quest, stage }));
    }

    fn begin_pass(&mut self) {
        let quests = self.rules.quests.iter().filter(|quest| quest.supply.is_some());
        let quests: Vec<&'static Quest> = quests.collect();
        if quests.is_empty() {
            return;
        }
        let quest = quests[self.random.random_range(0..quests.len())];
        let version = QuestVersion::of(quest);
        if self.applied.contains(&version) {
            return;
        }
        let stage = if let Some((_, settled_at)) = self.settled.get(&version) {
            let left = self.provisional_holders(quest);
            if left.is_empty() && *settled_at < self.now - FINAL_AFTER {
                tell(format_args!("the settlement of {version} is applied"));
                self.applied.insert(version);
                return;
            }
            Stage::Proving { reward: None, left }
        } else if self.is_due(quest, self.now - FINAL_AFTER) {
            tell(format_args!("a pass for {version} begins"));
            Stage::Reading {
                until: self.now - FINAL_AFTER,
                after: None,
                finders: Finders::default(),
            }
        } else {
            return;
        };
        self.passes.push(Pass { quest, stage });
    }

    fn is_due(&self, quest: &Quest, until: Timestamp) -> bool {
        let provisional = self.tables.coins.values().filter(|coin| {
            coin.quest == quest.id.as_str() && coin.state == CoinState::Provisional && coin.found_at < until
        });
        quest
            .supply
            .is_some_and(|supply| provisional.count() >= supply as usize)
    }

    /// People with provisional coins.
    fn provisional_holders(&self, quest: &Quest) -> VecDeque<UserId> {
        let provisional = self.tables.coins.values();
        let provisional = provisional
            .filter(|coin| coin.quest == quest.id.as_str() && coin.state == CoinState::Provisional);
        let mut holders: Vec<UserId> = provisional.map(|coin| coin.user.clone()).collect();
        holders.dedup();
        holders.into()
    }

    fn read_on(
        &mut self,
        quest: &'static Quest,
        until: Timestamp,
        after: Option<&(UserId, FactId)>,
        mut finders: Finders,
    ) -> Option<Stage> {
        let next = self.facts.iter();
        let next = next.filter(|(key, _)| after.is_none_or(|after| *key > after));
        let page: Vec<_> = next
            .take(PAGE)
            .map(|(key, stored)| (key.clone(), stored.clone()))
            .collect();
        if let Some((last, _)) = page.last().cloned() {
            for (_, stored) in page {
                if stored.received_at <= until {
                    finders.add(stored, quest, self.rules);
                }
            }
            return Some(Stage::Reading {
                until,
                after: Some(last),
                finders,
            });
        }
        let version = QuestVersion::of(quest);
        let coins = finders.first(quest, self.rules);
        tell(format_args!("a pass for {version} gives {coins:?}"));
        let coins = coins?;
        if self.tables.settlements.contains_key(&version) {
            return None;
        }
        let settlement = Settlement::of(coins, self.now);
        self.tables
            .settlements
            .insert(version.clone(), Arc::new(settlement));
        self.settled.insert(version, (until, self.now));
        let left = self.provisional_holders(quest);
        Some(Stage::Proving { reward: None, left })
    }

    fn prove_on(
        &mut self,
        reward: Option<Box<PersonReward<'static>>>,
        mut left: VecDeque<UserId>,
        fault: Fault,
    ) -> Option<Stage> {
        let mut reward = if let Some(reward) = reward {
            reward
        } else {
            let user = left.pop_front()?;
            Box::new(PersonReward::prove(user, self.erasures, self.rules))
        };
        if !advance(
            &mut reward,
            self.erasures,
            &mut self.tables,
            &self.facts,
            fault,
            &mut self.random,
        ) {
            return None;
        }
        let reward = Some(reward).filter(|reward| reward.next().is_some());
        Some(Stage::Proving { reward, left })
    }

    /// Whether every supply that can be settled is, and applied.
    pub(super) fn is_settled(&self) -> bool {
        let supplies = self.rules.quests.iter().filter(|quest| quest.supply.is_some());
        let mut supplies = supplies.map(|quest| (quest, QuestVersion::of(quest)));
        supplies.all(|(quest, version)| {
            self.applied.contains(&version)
                || !self.is_due(quest, Timestamp::MAX) && !self.settled.contains_key(&version)
        })
    }
}
