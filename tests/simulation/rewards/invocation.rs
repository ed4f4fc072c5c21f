//! One invocation of the function, step by step: its real decisions.

use std::collections::{BTreeMap, BTreeSet};

use aws_lambda_events::event::sqs::SqsMessage;
use domain::quest::CoinState;
use domain::{FactId, UserId};
use rand::rngs::StdRng;
use rand::{Rng as _, RngExt as _};
use rewards::batch::{Batch, Person};
use store::erasures::Erasures;
use store::ledger::Version;
use store::proving::Change;
use store::reward::{Answer, Call, PersonReward, Proved, Write};
use store::{RewardRules, StoredFact};

use super::coins::Tables;
use crate::tell;
use crate::worker::Fault;

pub type Facts = BTreeMap<(UserId, FactId), StoredFact>;

pub struct Invocation {
    messages: Vec<String>,
    pub process: usize,
    /// It stands still most of the time, while others go on.
    pub is_slow: bool,
    rules: &'static RewardRules,
    pub erasures: &'static Erasures,
    /// With their messages.
    people: Vec<(PersonReward<'static>, Vec<String>)>,
    deferred: BTreeSet<String>,
}

impl Invocation {
    pub fn receive(
        messages: &[SqsMessage],
        (process, is_slow): (usize, bool),
        rules: &'static RewardRules,
        erasures: &'static Erasures,
        proved: &mut Proved,
    ) -> Self {
        let id = |message: &SqsMessage| message.message_id.clone().expect("every message has an id");
        let batch = Batch::sort(messages, rules, erasures);
        let mut people = Vec::new();
        for Person {
            user,
            mut facts,
            messages,
        } in batch.people
        {
            proved.retain_unproved(&mut facts);
            if !facts.is_empty() {
                let reward = PersonReward::tell(user, facts, erasures, rules);
                people.push((reward, messages.into_iter().map(id).collect()));
            }
        }
        Self {
            messages: messages.iter().map(id).collect(),
            process,
            is_slow,
            rules,
            erasures,
            people,
            deferred: BTreeSet::new(),
        }
    }

    pub fn messages(&self) -> Vec<String> {
        self.messages.clone()
    }

    pub fn deferred(&self) -> BTreeSet<String> {
        self.deferred.clone()
    }

    /// Sends the next call for any person. Returns whether there was one.
    pub fn step(
        &mut self,
        tables: &mut Tables,
        facts: &Facts,
        proved: &mut Proved,
        fault: Fault,
        random: &mut StdRng,
    ) -> bool {
        if self.people.is_empty() {
            return false;
        }
        let at = random.random_range(0..self.people.len());
        let (reward, messages) = &mut self.people[at];
        if !advance(reward, self.erasures, tables, facts, fault, random) {
            self.deferred.extend(messages.drain(..));
            self.people.swap_remove(at);
        } else if reward.next().is_none() {
            let (reward, _) = self.people.swap_remove(at);
            proved.remember(reward.finish().1, self.rules);
        }
        true
    }
}

/// Sends the next call. Returns `false` if it failed for good.
pub fn advance(
    reward: &mut PersonReward<'_>,
    erasures: &Erasures,
    tables: &mut Tables,
    facts: &Facts,
    fault: Fault,
    random: &mut StdRng,
) -> bool {
    let call = reward.next().expect("it is not done");
    let user = reward.user.clone();
    if let Call::Write(write) = &call {
        check_evidence(write, erasures, facts);
    }
    let mut answer = || answer(&user, &call, tables, facts, random);
    let answered = match fault {
        Fault::None => Some(answer()),
        // The SDK asks again, and a condition that held no longer does. A transaction has a token that tells.
        Fault::Conflict => {
            let first = answer();
            match &call {
                Call::Write(write) if !write.proof.changes.is_empty() => Some(first),
                _ => Some(answer()),
            }
        }
        Fault::CutAfter => {
            answer();
            None
        }
        Fault::CutBefore | Fault::Refused => None,
    };
    tell(format_args!("{user}: {call:?} -> {fault:?} {answered:?}"));
    let version = Version(random.next_u64().to_be_bytes());
    answered.map(|answer| reward.take(answer, version)).is_some()
}

/// Who knows of an erasure gives no coin for what was erased, though it may not be deleted yet.
fn check_evidence(write: &Write, erasures: &Erasures, facts: &Facts) {
    for Change { coin, .. } in &write.proof.changes {
        let evidence = coin.evidence.iter().map(|id| (coin.user.clone(), id.into()));
        for stored in evidence.filter_map(|key| facts.get(&key)) {
            assert!(
                coin.state == CoinState::Revoked || !erasures.cover(&stored.fact, stored.received_at),
                "{coin:?} is given for {stored:?}, which was erased"
            );
        }
    }
}

fn answer(user: &UserId, call: &Call, tables: &mut Tables, facts: &Facts, random: &mut StdRng) -> Answer {
    match call {
        Call::ReadProgress { is_consistent } => {
            Answer::Progress(tables.progress(user, *is_consistent, random))
        }
        Call::ReadPerson => Answer::Person {
            facts: of_user(facts, user),
            coins: tables.of_user(user),
            read_units: 0.0,
        },
        Call::ReadSettlements(quests) => {
            let settled = quests
                .iter()
                .filter_map(|quest| Some((quest.clone(), tables.settlements.get(quest)?.clone())));
            Answer::Settlements(settled.collect())
        }
        Call::Write(write) if tables.write(user, write) => Answer::Written { write_units: 0.0 },
        Call::Write(_) => Answer::Overtaken,
    }
}

pub fn of_user(facts: &Facts, user: &UserId) -> Vec<StoredFact> {
    let of_user = facts.iter().filter(|((of, _), _)| of == user);
    of_user.map(|(_, stored)| stored.clone()).collect()
}
