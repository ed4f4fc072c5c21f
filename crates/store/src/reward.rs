//! Decides, call by call, how one person's coins follow from the person's facts. It performs no I/O.
//!
//! A fact first raises the version of the person's progress. Only then are coins and facts read, and what follows from
//! them is written on condition of that version. So of two invocations that read at once, the one that may have missed a
//! fact of the other cannot write.

use std::collections::BTreeMap;
use std::mem;
use std::num::NonZeroUsize;
use std::sync::Arc;

use domain::{Fact, UserId};
use jiff::Timestamp;
use lru::LruCache;
use sha2::{Digest as _, Sha256};

use crate::coins::KeptCoin;
use crate::erasures::Erasures;
use crate::facts::StoredFact;
use crate::ledger::Version;
use crate::progress::{Gates, Progress, RewardRules, raise};
use crate::proving::{Effect, Evaluation, Proof, evaluate};
use crate::quests::QuestVersion;
use crate::settling::{self, Settlement};

/// Facts of committed proofs that a process remembers, at 60 bytes each. They spare reading all facts of a person again
/// for each of the many that a burst delivers one by one.
const PROVED_MAX: NonZeroUsize = NonZeroUsize::new(200_000).unwrap();
/// Of one proof, the facts received last.
const PROVED_OF_PERSON: usize = 10_000;

/// What is to be sent next.
#[derive(Clone, Debug)]
pub enum Call {
    ReadProgress {
        is_consistent: bool,
    },
    /// All facts and coins of the person, consistently.
    ReadPerson,
    /// Those that there are of these quests.
    ReadSettlements(Vec<QuestVersion>),
    Write(Write),
}

/// Replaces a person's progress, and writes coins in the same transaction.
#[derive(Clone, Debug)]
pub struct Write {
    /// The version of the progress that this depends on, or that there is none.
    pub replaces: Option<Version>,
    pub progress: Progress,
    pub proof: Proof,
}

/// What became of a call.
#[derive(Debug)]
pub enum Answer {
    Progress(Option<Progress>),
    Person {
        facts: Vec<StoredFact>,
        coins: Vec<KeptCoin>,
        read_units: f64,
    },
    Settlements(BTreeMap<QuestVersion, Arc<Settlement>>),
    Written {
        write_units: f64,
    },
    /// The person's progress moved on, or a supply was settled meanwhile.
    Overtaken,
}

/// What was done for people.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rewarded {
    /// The gates said that no coin can change.
    pub gate_hits: usize,
    /// Proofs that changed no coin.
    pub gate_misses: usize,
    pub issued: usize,
    pub revoked: usize,
    pub retries: usize,
    /// Of proofs: of the tables of activities and of coins.
    pub read_units: f64,
    /// Of the tables of progress and of coins.
    pub write_units: f64,
}

impl Rewarded {
    pub fn add(&mut self, more: Self) {
        self.gate_hits += more.gate_hits;
        self.gate_misses += more.gate_misses;
        self.issued += more.issued;
        self.revoked += more.revoked;
        self.retries += more.retries;
        self.read_units += more.read_units;
        self.write_units += more.write_units;
    }
}

/// The rewarding of one person by one invocation.
#[derive(Debug)]
pub struct PersonReward<'r> {
    pub user: UserId,
    erasures: &'r Erasures,
    rules: &'r RewardRules,
    /// The facts to be told.
    told: Vec<(Fact, Timestamp)>,
    stage: Stage<'r>,
    /// All facts of the person, as they were read last.
    facts: Vec<StoredFact>,
    has_changed: bool,
    rewarded: Rewarded,
}

#[derive(Debug)]
enum Stage<'r> {
    ReadToTell {
        is_consistent: bool,
    },
    Tell {
        write: Write,
        must_prove: bool,
    },
    ReadToProve,
    /// With the progress that the proof depends on.
    ReadPerson(Option<Progress>),
    ReadSettlements {
        known: Option<Progress>,
        coins: Vec<KeptCoin>,
        evaluation: Evaluation<'r>,
        quests: Vec<QuestVersion>,
    },
    Prove {
        write: Write,
        /// Whether nothing is left that did not fit into the transaction.
        is_last: bool,
    },
    Done,
}

impl<'r> PersonReward<'r> {
    /// Tells facts of a person, and proves the quests if a coin may change by them.
    pub fn tell(
        user: UserId,
        told: Vec<(Fact, Timestamp)>,
        erasures: &'r Erasures,
        rules: &'r RewardRules,
    ) -> Self {
        let stage = Stage::ReadToTell { is_consistent: false };
        Self::new(user, told, erasures, rules, stage)
    }

    /// Proves all quests of a person, whatever the gates say.
    pub fn prove(user: UserId, erasures: &'r Erasures, rules: &'r RewardRules) -> Self {
        Self::new(user, Vec::new(), erasures, rules, Stage::ReadToProve)
    }

    fn new(
        user: UserId,
        told: Vec<(Fact, Timestamp)>,
        erasures: &'r Erasures,
        rules: &'r RewardRules,
        stage: Stage<'r>,
    ) -> Self {
        Self {
            user,
            erasures,
            rules,
            told,
            stage,
            facts: Vec::new(),
            has_changed: false,
            rewarded: Rewarded::default(),
        }
    }

    /// `None` once everything is written.
    pub fn next(&self) -> Option<Call> {
        Some(match &self.stage {
            // What is stale is noticed by the condition of the write.
            Stage::ReadToTell { is_consistent } => Call::ReadProgress {
                is_consistent: *is_consistent,
            },
            Stage::ReadToProve => Call::ReadProgress { is_consistent: true },
            Stage::ReadPerson(_) => Call::ReadPerson,
            Stage::ReadSettlements { quests, .. } => Call::ReadSettlements(quests.clone()),
            Stage::Tell { write, .. } | Stage::Prove { write, .. } => Call::Write(write.clone()),
            Stage::Done => return None,
        })
    }

    /// Takes the answer to the next call. `version` is random.
    ///
    /// # Panics
    ///
    /// If it is an answer to another call.
    pub fn take(&mut self, answer: Answer, version: Version) {
        if let Answer::Written { write_units } = answer {
            self.rewarded.write_units += write_units;
        }
        let stage = mem::replace(&mut self.stage, Stage::Done);
        self.stage = match (stage, answer) {
            (Stage::ReadToTell { .. }, Answer::Progress(progress)) => {
                let (gates, must_prove) = raise(progress.as_ref(), &self.told, self.rules);
                let write = Write {
                    replaces: progress.map(|progress| progress.version),
                    progress: Progress::new(version, gates, self.rules),
                    proof: Proof::default(),
                };
                Stage::Tell { write, must_prove }
            }
            (Stage::Tell { .. }, Answer::Overtaken) => {
                self.rewarded.retries += 1;
                Stage::ReadToTell { is_consistent: true }
            }
            (Stage::Tell { write, must_prove }, Answer::Written { .. }) => {
                if must_prove {
                    Stage::ReadPerson(Some(write.progress))
                } else {
                    self.rewarded.gate_hits += 1;
                    Stage::Done
                }
            }
            (Stage::ReadToProve, Answer::Progress(progress)) => Stage::ReadPerson(progress),
            (
                Stage::ReadPerson(known),
                Answer::Person {
                    facts,
                    coins,
                    read_units,
                },
            ) => {
                self.rewarded.read_units += read_units;
                self.facts = facts;
                let coins = since_erasure(coins, &self.user, self.erasures);
                let evaluation = evaluate(&self.facts, self.erasures, self.rules);
                let quests = evaluation.supplies(&coins);
                if quests.is_empty() {
                    planned(known, &coins, evaluation, &BTreeMap::new(), version, self.rules)
                } else {
                    Stage::ReadSettlements {
                        known,
                        coins,
                        evaluation,
                        quests,
                    }
                }
            }
            (
                Stage::ReadSettlements {
                    known,
                    coins,
                    evaluation,
                    ..
                },
                Answer::Settlements(settled),
            ) => planned(known, &coins, evaluation, &settled, version, self.rules),
            (Stage::Prove { .. }, Answer::Overtaken) => {
                self.rewarded.retries += 1;
                Stage::ReadToProve
            }
            (Stage::Prove { write, is_last }, Answer::Written { .. }) => {
                self.has_changed |= !write.proof.changes.is_empty();
                self.rewarded.issued += write.proof.count(Effect::Issued);
                self.rewarded.revoked += write.proof.count(Effect::Revoked);
                if is_last {
                    self.rewarded.gate_misses += usize::from(!self.has_changed);
                    Stage::Done
                } else {
                    Stage::ReadPerson(Some(write.progress))
                }
            }
            (stage, answer) => unreachable!("{answer:?} is no answer to {stage:?}"),
        };
    }

    pub fn retries(&self) -> usize {
        self.rewarded.retries
    }

    /// What was done, and the facts that were proved.
    pub fn finish(self) -> (Rewarded, Vec<StoredFact>) {
        (self.rewarded, self.facts)
    }
}

/// The next write of a proof.
fn planned<'r>(
    known: Option<Progress>,
    coins: &[KeptCoin],
    evaluation: Evaluation<'r>,
    settled: &BTreeMap<QuestVersion, Arc<Settlement>>,
    version: Version,
    rules: &RewardRules,
) -> Stage<'r> {
    let mut proof = evaluation.prove(coins, &settling::borrowed(settled));
    let part = proof.split();
    let is_last = part.is_none();
    let replaces = known.as_ref().map(|known| known.version);
    // Those of the evaluation hold once everything is written.
    let gates = match known {
        _ if is_last => evaluation.gates,
        Some(known) => known.into_gates(rules),
        None => Gates::default(),
    };
    let write = Write {
        replaces,
        progress: Progress::new(version, gates, rules),
        proof: part.unwrap_or(proof),
    };
    Stage::Prove { write, is_last }
}

/// An erasure deletes the coins of before. Found again by what was posted since, they are another person's.
pub(crate) fn since_erasure(mut coins: Vec<KeptCoin>, user: &UserId, erasures: &Erasures) -> Vec<KeptCoin> {
    if let Some(before) = erasures.before(user) {
        coins.retain(|coin| coin.found_at >= before);
    }
    coins
}

/// Facts that committed proofs have included. Every later proof includes them, too, so they need not be told again.
#[derive(Debug)]
pub struct Proved(LruCache<[u8; 16], ()>);

impl Default for Proved {
    fn default() -> Self {
        Self(LruCache::new(PROVED_MAX))
    }
}

impl Proved {
    /// Leaves out the facts that need not be told.
    pub fn retain_unproved(&mut self, facts: &mut Vec<(Fact, Timestamp)>) {
        facts.retain(|(fact, received_at)| self.0.get(&hash(fact, *received_at)).is_none());
    }

    pub fn remember(&mut self, mut facts: Vec<StoredFact>, rules: &RewardRules) {
        facts.retain(|stored| rules.concern(&stored.fact));
        facts.sort_unstable_by_key(|stored| stored.received_at);
        let first = facts.len().saturating_sub(PROVED_OF_PERSON);
        for stored in &facts[first..] {
            self.0.put(hash(&stored.fact, stored.received_at), ());
        }
    }
}

/// With the time of receipt: after an erasure, another fact may have the id.
fn hash(fact: &Fact, received_at: Timestamp) -> [u8; 16] {
    let hash = Sha256::digest(format!("{} {} {received_at}", fact.user(), fact.id()));
    let mut first = [0; 16];
    first.copy_from_slice(&hash[..16]);
    first
}
