//! Folds of persons: repairs of the live generation, and rebuilds, whose processes fold one person after the
//! other, with checkpoints.

use std::collections::{BTreeMap, BTreeSet};

use domain::UserId;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use rand::{Rng as _, RngExt as _};
use store::count::Countable;
use store::erasures::Erasures;
use store::fold::{Answer, Call, Facts, Held, PersonFold};
use store::keys::{CountGeneration, StandingKey};
use store::ledger::LedgerKey;
use store::{Rules, StoredFact};

use crate::tables::Tables;
use crate::tell;
use crate::worker::Fault;

/// Persons between two checkpoints.
const PAGE: usize = 2;
const PROCESSES: usize = 2;

/// A person that is being folded.
pub struct Fold {
    fold: PersonFold,
    /// The keys of the facts that it has read, by standing.
    read: BTreeMap<StandingKey, BTreeSet<LedgerKey>>,
}

impl Fold {
    pub fn begin(generation: CountGeneration, rules: &Rules, user: UserId) -> Self {
        Self {
            fold: PersonFold::new(generation, rules.standing_shards, user),
            read: BTreeMap::new(),
        }
    }

    pub fn generation(&self) -> CountGeneration {
        self.fold.generation()
    }

    /// Makes the next call; `rules` are those of the generation by now. Returns whether there
    /// was one.
    pub fn step(
        &mut self,
        tables: &mut Tables,
        (facts, erasures): (&[StoredFact], &Erasures),
        rules: &Rules,
        now: Timestamp,
        fault: Fault,
        random: &mut StdRng,
    ) -> bool {
        let Some(call) = self.fold.next(now) else {
            return false;
        };
        let done = |is_done| {
            if is_done {
                Answer::Done
            } else {
                Answer::ConditionFailed
            }
        };
        let answer = match &call {
            _ if !fault.takes_effect() => Answer::Failed,
            Call::ReadStandings => {
                let standings = tables.of_generation(self.fold.generation()).into_values();
                let of_user = standings.filter(|(standing, _)| standing.user == *self.fold.user());
                let held = of_user.map(|(standing, ledger)| {
                    let held = Held {
                        version: tables.current(standing).map(|stored| stored.version),
                        spilled_through: ledger.spilled_through,
                    };
                    (standing.program.clone(), held)
                });
                Answer::Standings(held.collect())
            }
            Call::ReadFacts => {
                let of_user = facts
                    .iter()
                    .filter(|stored| stored.fact.user() == self.fold.user());
                let facts = Facts::counted(of_user, rules, erasures.before(self.fold.user()));
                self.read.clear();
                for Countable {
                    fact, program, key, ..
                } in &facts.countable
                {
                    let (generation, shards) = (self.fold.generation(), rules.standing_shards);
                    let standing = StandingKey::new(generation, shards, fact.user.clone(), program.clone());
                    self.read.entry(standing).or_default().insert(*key);
                }
                Answer::Facts(facts)
            }
            Call::ReadErasure => Answer::Erasure(erasures.before(self.fold.user())),
            Call::Spill(spill) => done(tables.spill(spill)),
            Call::WriteCap { name, sums } => {
                tables.write_cap(name, *sums);
                Answer::Done
            }
            Call::Write {
                standing,
                replaces,
                version,
                ledger,
            } => {
                let read = self.read[standing].clone();
                done(tables.replace(standing, *replaces, *version, ledger, read))
            }
            Call::Delete { standing, replaces } => done(tables.remove(standing, *replaces)),
        };
        let answer = if fault == Fault::None {
            answer
        } else {
            Answer::Failed
        };
        tell(format_args!("{call:?} -> {fault:?} {answer:?}"));
        self.fold.take(answer, now, || random.next_u64().to_be_bytes());
        true
    }
}

/// The building of a generation, possibly by two processes at once.
pub struct Rebuild {
    pub generation: CountGeneration,
    /// The users of the facts that were stored before it began, in the order of the pass.
    users: Vec<UserId>,
    /// How many users are before the checkpoint.
    checkpoint: usize,
    processes: Vec<Process>,
    pub is_done: bool,
}

struct Process {
    /// How many users are done.
    done: usize,
    fold: Option<Fold>,
}

impl Rebuild {
    pub fn begin(generation: CountGeneration, users: BTreeSet<UserId>, random: &mut StdRng) -> Self {
        let mut users: Vec<_> = users.into_iter().collect();
        users.shuffle(random);
        Self {
            generation,
            users,
            checkpoint: 0,
            processes: Vec::new(),
            is_done: false,
        }
    }

    /// A process dies. Others continue, or a new one from the checkpoint.
    pub fn kill(&mut self, random: &mut StdRng) {
        if !self.processes.is_empty() {
            self.processes
                .swap_remove(random.random_range(0..self.processes.len()));
        }
    }

    /// A process starts, makes a call, or writes the checkpoint after a page.
    pub fn step(
        &mut self,
        tables: &mut Tables,
        facts: (&[StoredFact], &Erasures),
        rules: &Rules,
        now: Timestamp,
        fault: Fault,
        random: &mut StdRng,
    ) {
        if self.processes.is_empty() || (self.processes.len() < PROCESSES && random.random_range(0..20) == 0)
        {
            self.processes.push(Process {
                done: self.checkpoint,
                fold: None,
            });
            return tell(format_args!("a process starts at user {}", self.checkpoint));
        }
        let at = random.random_range(0..self.processes.len());
        let process = &mut self.processes[at];
        let Some(user) = self.users.get(process.done) else {
            self.is_done = true;
            return tell("a process is done");
        };
        let begin = || Fold::begin(self.generation, rules, user.clone());
        let fold = process.fold.get_or_insert_with(begin);
        if fold.step(tables, facts, rules, now, fault, random) {
            return;
        }
        process.fold = None;
        process.done += 1;
        if process.done.is_multiple_of(PAGE) {
            self.checkpoint = process.done;
        }
        tell(format_args!("process {at} has folded {user}"));
    }
}
