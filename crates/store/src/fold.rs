//! Computes a person's standings anew from the facts: for a rebuild and for a repair. Pure, like
//! [`crate::count`].
//!
//! The standings are read first and the facts afterwards, so everything that a standing includes is among
//! the facts. Blocks are written under a new epoch before the standing that names it. Each standing is
//! written on the condition that it is as it was read; otherwise the person is begun again.
//!
//! Facts that an erasure covers are left out. An erasure deletes facts once every fold that does not know of it has
//! ended, so a fold that takes long looks again whether there is one.

use std::collections::{BTreeMap, VecDeque};

use domain::{ProgramId, UserId};
use jiff::{SignedDuration, Timestamp};

use crate::blocks::{self, Spill};
use crate::caps::{CapName, CapSums, Caps};
use crate::count::Countable;
use crate::erasures::is_before;
use crate::facts::StoredFact;
use crate::keys::{CountGeneration, ShardCount, StandingKey};
use crate::ledger::{Epoch, KEYS_KEPT, Ledger, LedgerKey, Version};
use crate::rules::Rules;

/// A fold writes nothing that it decided on longer ago without looking again whether the person is being erased.
pub const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(10);

/// The next call for a person.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "there is one at a time")]
pub enum Call {
    /// All standings of the person, consistently.
    ReadStandings,
    /// The erasure of the person, and then all facts, consistently.
    ReadFacts,
    /// The erasure of the person, consistently.
    ReadErasure,
    Spill(Spill),
    /// Write the sums of a cap under a new epoch.
    WriteCap {
        name: CapName,
        sums: CapSums,
    },
    /// Write a standing on the condition that it has the version `replaces`, or has none.
    Write {
        standing: StandingKey,
        replaces: Option<Version>,
        version: Version,
        ledger: Ledger,
    },
    /// Delete a standing without facts, on the same condition.
    Delete {
        standing: StandingKey,
        replaces: Option<Version>,
    },
}

/// What a fold needs to know of a standing, even if its ledger is corrupt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    pub version: Option<Version>,
    pub spilled_through: Option<LedgerKey>,
}

/// What a call came to. An uncertain answer is a failure: the person is begun again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Standings(BTreeMap<ProgramId, Held>),
    Facts(Facts),
    Erasure(Option<Timestamp>),
    Done,
    /// The condition does not hold: the block is full, or the standing has another version.
    ConditionFailed,
    Failed,
}

/// The facts of a person that count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    pub countable: Vec<Countable>,
    /// The time before which what was received is erased, read before the facts.
    pub erased_before: Option<Timestamp>,
}

impl Facts {
    /// Those that have points by the rules and are not erased.
    pub fn counted<'a>(
        stored: impl IntoIterator<Item = &'a StoredFact>,
        rules: &Rules,
        erased_before: Option<Timestamp>,
    ) -> Self {
        let left = stored.into_iter().filter(|StoredFact { fact, received_at }| {
            erased_before.is_none_or(|before| !is_before(fact, *received_at, before))
        });
        let countable =
            left.filter_map(|stored| Countable::scored(&stored.fact, stored.received_at, rules).ok());
        Self {
            countable: countable.collect(),
            erased_before,
        }
    }
}

/// One person of a generation.
#[derive(Clone, Debug)]
pub struct PersonFold {
    generation: CountGeneration,
    shards: ShardCount,
    user: UserId,
    stage: Stage,
    /// When the last answer that tells of an erasure was asked for.
    asked_at: Timestamp,
}

#[derive(Clone, Debug)]
enum Stage {
    ReadStandings,
    ReadFacts(BTreeMap<ProgramId, Held>),
    Write(Writes),
    Done,
}

#[derive(Clone, Debug)]
struct Writes {
    /// Blocks and sums of caps first, and each standing after its own.
    calls: VecDeque<Call>,
    erased_before: Option<Timestamp>,
    /// When it was last looked whether the person is being erased, at the earliest.
    looked_at: Timestamp,
}

impl PersonFold {
    pub fn new(generation: CountGeneration, shards: ShardCount, user: UserId) -> Self {
        Self {
            generation,
            shards,
            user,
            stage: Stage::ReadStandings,
            asked_at: Timestamp::UNIX_EPOCH,
        }
    }

    pub fn user(&self) -> &UserId {
        &self.user
    }

    pub fn generation(&self) -> CountGeneration {
        self.generation
    }

    /// The next call at `now`; `None` when the person's standings are what the facts come to.
    pub fn next(&mut self, now: Timestamp) -> Option<Call> {
        match &self.stage {
            Stage::ReadStandings => Some(Call::ReadStandings),
            Stage::ReadFacts(_) => {
                self.asked_at = now;
                Some(Call::ReadFacts)
            }
            Stage::Write(writes) if now.duration_since(writes.looked_at).abs() > LOOK_AGAIN_AFTER => {
                self.asked_at = now;
                Some(Call::ReadErasure)
            }
            Stage::Write(writes) => writes.calls.front().cloned(),
            Stage::Done => None,
        }
    }

    /// Handles the answer to the last call at `now`. `random` returns 8 random bytes.
    pub fn take(&mut self, answer: Answer, now: Timestamp, random: impl FnMut() -> [u8; 8]) {
        let stage = std::mem::replace(&mut self.stage, Stage::Done);
        self.stage = match (stage, answer) {
            (Stage::ReadStandings, Answer::Standings(standings)) => Stage::ReadFacts(standings),
            (Stage::ReadFacts(standings), Answer::Facts(facts)) => self.plan(standings, facts, now, random),
            (Stage::Write(writes), Answer::Erasure(before)) if before == writes.erased_before => {
                let looked_at = self.asked_at;
                Stage::Write(Writes { looked_at, ..writes })
            }
            (Stage::Write(mut writes), Answer::Done) => {
                if let Some(Call::Spill(spill)) = writes.calls.pop_front()
                    && let Some(rest) = spill.rest()
                {
                    writes.calls.push_front(Call::Spill(rest));
                }
                writes.left()
            }
            (Stage::Write(mut writes), Answer::ConditionFailed) => match writes.calls.pop_front() {
                Some(Call::Spill(spill)) => {
                    let (standing, epoch) = standing_after(&writes.calls);
                    for finer in spill.finer(&standing, epoch).into_iter().rev() {
                        writes.calls.push_front(Call::Spill(finer));
                    }
                    Stage::Write(writes)
                }
                _ => Stage::ReadStandings,
            },
            (_, _) => Stage::ReadStandings,
        };
    }

    fn plan(
        &self,
        mut standings: BTreeMap<ProgramId, Held>,
        facts: Facts,
        now: Timestamp,
        mut random: impl FnMut() -> [u8; 8],
    ) -> Stage {
        let mut programs: BTreeMap<ProgramId, Vec<Countable>> = BTreeMap::new();
        for fact in facts.countable {
            programs.entry(fact.program.clone()).or_default().push(fact);
        }
        let standing = |program| StandingKey::new(self.generation, self.shards, self.user.clone(), program);
        let mut calls = VecDeque::new();
        for (program, facts) in programs {
            let held = standings.remove(&program).unwrap_or_default();
            let standing = standing(program);
            let (ledger, caps) = folded(held, facts.iter(), Epoch(random()));
            // Blocks of earlier weeks have expired, and what they held is told by its age.
            let oldest = now - blocks::LIFETIME;
            let mut outside: Vec<_> = facts.iter().map(|fact| fact.key).collect();
            outside.retain(|key| !ledger.holds(*key) && key.received_at() >= oldest);
            outside.sort_unstable();
            let spills = Spill::plan(&standing, ledger.epoch, &outside);
            calls.extend(spills.into_iter().map(Call::Spill));
            calls.extend(caps.into_sums().map(|(cap, sums)| Call::WriteCap {
                name: CapName::new(&standing, ledger.epoch, &cap),
                sums,
            }));
            calls.push_back(Call::Write {
                standing,
                replaces: held.version,
                version: Version(random()),
                ledger,
            });
        }
        let without_facts = standings.into_iter().map(|(program, held)| Call::Delete {
            standing: standing(program),
            replaces: held.version,
        });
        calls.extend(without_facts);
        let writes = Writes {
            calls,
            erased_before: facts.erased_before,
            looked_at: self.asked_at,
        };
        writes.left()
    }
}

impl Writes {
    /// The stage in which these calls are left to be made.
    fn left(self) -> Stage {
        if self.calls.is_empty() {
            Stage::Done
        } else {
            Stage::Write(self)
        }
    }
}

/// The standing whose blocks are being written, and its new epoch.
fn standing_after(calls: &VecDeque<Call>) -> (StandingKey, Epoch) {
    let standing = calls.iter().find_map(|call| match call {
        Call::Write { standing, ledger, .. } => Some((standing.clone(), ledger.epoch)),
        _ => None,
    });
    standing.expect("blocks are written before their standing")
}

/// What the facts of a standing come to, with the newest keys inside. Every other key is at or below
/// `spilled_through`.
fn folded<'a>(held: Held, facts: impl Iterator<Item = &'a Countable>, epoch: Epoch) -> (Ledger, Caps) {
    let mut facts: Vec<_> = facts.collect();
    facts.sort_unstable_by_key(|fact| fact.key);
    let first = facts.first().expect("a standing has facts");
    let mut ledger = Ledger::new(first.day.date, epoch);
    let (outside, inside) = facts.split_at(facts.len().saturating_sub(KEYS_KEPT));
    let mut caps = Caps::default();
    for fact in outside {
        let counted = caps.counted(fact.cap.as_ref(), fact.sums);
        ledger.counters.add(fact.day, counted, fact.activity_at);
    }
    for fact in inside {
        let counted = caps.counted(fact.cap.as_ref(), fact.sums);
        ledger.count(fact.key, fact.day, counted, fact.activity_at);
    }
    ledger.spilled_through = held.spilled_through.max(outside.last().map(|fact| fact.key));
    (ledger, caps)
}
