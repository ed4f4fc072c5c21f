//! A model of the tables that counting writes, which also knows what each standing includes.

use std::collections::{BTreeMap, BTreeSet};

use domain::UserId;
use jiff::Timestamp;
use rand::RngExt as _;
use rand::rngs::StdRng;
use store::blocks::{BlockName, Seen, Spill};
use store::caps::{CapName, CapSums};
use store::count::{Stored, Write};
use store::keys::{CountGeneration, StandingKey};
use store::ledger::{Ledger, LedgerKey, Version};

/// Fewer than in the real tables, so that a few activities fill a block.
const BLOCK_KEYS_MAX: usize = 6;
/// How many earlier states of a standing a stale read may return.
const STALE_STATES: usize = 4;

#[derive(Debug, Default)]
pub struct Tables {
    /// The newest states of each standing, the last one being the current; `None` where there was none.
    standings: BTreeMap<StandingKey, Vec<Option<Stored>>>,
    blocks: BTreeMap<BlockName, Block>,
    caps: BTreeMap<CapName, CapSums>,
    /// The keys of what each standing includes, as its writes say. The code under test does not know them.
    included: BTreeMap<StandingKey, BTreeSet<LedgerKey>>,
    /// Standings written since the last check.
    pub written: BTreeSet<StandingKey>,
}

#[derive(Debug)]
struct Block {
    keys: BTreeSet<LedgerKey>,
    expires_at: i64,
}

impl Tables {
    pub fn current(&self, standing: &StandingKey) -> Option<&Stored> {
        self.standings.get(standing)?.last()?.as_ref()
    }

    /// A read that may return an earlier state, or miss a new standing, if it is not consistent.
    pub fn read(&self, standing: &StandingKey, is_consistent: bool, random: &mut StdRng) -> Option<Stored> {
        let states = self.standings.get(standing)?;
        let back = if is_consistent || random.random_range(0..5) < 3 {
            1
        } else {
            random.random_range(1..=STALE_STATES + 1)
        };
        let at = states.len().checked_sub(back)?;
        states[at].clone()
    }

    /// The current standings of a generation, in the order of the table.
    pub fn of_generation(
        &self,
        generation: CountGeneration,
    ) -> BTreeMap<(String, String), (&StandingKey, &Ledger)> {
        let standings = self
            .standings
            .iter()
            .filter(|(standing, _)| standing.generation == generation);
        let current = standings.filter_map(|(standing, states)| {
            let key = (standing.partition(), standing.member());
            Some((key, (standing, &states.last()?.as_ref()?.ledger)))
        });
        current.collect()
    }

    pub fn look(&self, names: &[BlockName]) -> BTreeMap<BlockName, Seen> {
        let seen = names.iter().map(|name| {
            let keys = self.blocks.get(name).map(|block| block.keys.clone());
            let keys = keys.unwrap_or_default();
            let is_full = keys.len() >= BLOCK_KEYS_MAX;
            (name.clone(), Seen { keys, is_full })
        });
        seen.collect()
    }

    /// Returns whether the block had room.
    pub fn spill(&mut self, spill: &Spill) -> bool {
        let block = self.blocks.entry(spill.block.clone()).or_insert_with(|| Block {
            keys: BTreeSet::new(),
            expires_at: spill.expires_at,
        });
        if spill.is_conditional() && block.keys.len() >= BLOCK_KEYS_MAX {
            return false;
        }
        block.keys.extend(spill.next());
        true
    }

    /// The sums that are there, of these caps.
    pub fn caps(&self, names: &[CapName]) -> BTreeMap<CapName, CapSums> {
        let there = names
            .iter()
            .filter_map(|name| Some((name.clone(), *self.caps.get(name)?)));
        there.collect()
    }

    pub fn write_cap(&mut self, name: &CapName, sums: CapSums) {
        self.caps.insert(name.clone(), sums);
    }

    /// Counts into a standing, and returns whether the condition held.
    ///
    /// # Panics
    ///
    /// If this counts something twice.
    pub fn count(&mut self, standing: &StandingKey, write: &Write) -> bool {
        let Write {
            replaces,
            version,
            ledger,
            caps,
        } = write;
        if !self.is_version(standing, *replaces) {
            return false;
        }
        let before = self
            .current(standing)
            .map(|stored| stored.ledger.keys().to_vec())
            .unwrap_or_default();
        let included = self.included.entry(standing.clone()).or_default();
        for key in ledger.keys().iter().filter(|key| !before.contains(key)) {
            assert!(
                included.insert(*key),
                "{key:?} is counted twice into {standing:?}"
            );
        }
        self.caps
            .extend(caps.iter().map(|(name, sums)| (name.clone(), *sums)));
        self.put(standing, *version, ledger);
        true
    }

    /// Replaces a standing by what `facts` come to, and returns whether the condition held.
    pub fn replace(
        &mut self,
        standing: &StandingKey,
        replaces: Option<Version>,
        version: Version,
        ledger: &Ledger,
        facts: BTreeSet<LedgerKey>,
    ) -> bool {
        if !self.is_version(standing, replaces) {
            return false;
        }
        self.included.insert(standing.clone(), facts);
        self.put(standing, version, ledger);
        true
    }

    /// Deletes a standing, and returns whether the condition held. A stale read may still see it.
    pub fn remove(&mut self, standing: &StandingKey, replaces: Option<Version>) -> bool {
        if !self.is_version(standing, replaces) {
            return false;
        }
        self.included.remove(standing);
        self.written.remove(standing);
        self.push(standing, None);
        true
    }

    /// The epochs of a user's blocks and caps.
    pub fn epochs(&self, user: &UserId) -> BTreeSet<String> {
        let names = self.blocks.keys().map(BlockName::as_str);
        let names = names.chain(self.caps.keys().map(CapName::as_str));
        names.filter_map(|name| epoch_of(name, user)).collect()
    }

    /// Deletes the standings of a user in other generations than these.
    pub fn delete_strays(&mut self, user: &UserId, counted: &BTreeSet<CountGeneration>) {
        let strays = self.standings.keys();
        let strays =
            strays.filter(|standing| standing.user == *user && !counted.contains(&standing.generation));
        for standing in strays.cloned().collect::<Vec<_>>() {
            self.included.remove(&standing);
            self.written.remove(&standing);
            self.push(&standing, None);
        }
    }

    /// Deletes a user's blocks and caps of these epochs.
    pub fn delete_epochs(&mut self, user: &UserId, epochs: &BTreeSet<String>) {
        let is_left = |name: &str| epoch_of(name, user).is_none_or(|epoch| !epochs.contains(&epoch));
        self.blocks.retain(|name, _| is_left(name.as_str()));
        self.caps.retain(|name, _| is_left(name.as_str()));
    }

    fn is_version(&self, standing: &StandingKey, version: Option<Version>) -> bool {
        self.current(standing).map(|stored| stored.version) == version
    }

    fn put(&mut self, standing: &StandingKey, version: Version, ledger: &Ledger) {
        let ledger = ledger.clone();
        self.push(standing, Some(Stored { version, ledger }));
        self.written.insert(standing.clone());
    }

    fn push(&mut self, standing: &StandingKey, state: Option<Stored>) {
        let states = self.standings.entry(standing.clone()).or_default();
        if states.len() > STALE_STATES {
            states.remove(0);
        }
        states.push(state);
    }

    /// What a standing includes.
    pub fn included(&self, standing: &StandingKey) -> impl Iterator<Item = &LedgerKey> {
        self.included.get(standing).into_iter().flatten()
    }

    pub fn includes(&self, standing: &StandingKey, key: LedgerKey) -> bool {
        self.included
            .get(standing)
            .is_some_and(|included| included.contains(&key))
    }

    /// Deletes some or all standings of a generation that was given up.
    pub fn delete(&mut self, generation: CountGeneration, mut is_deleted: impl FnMut() -> bool) {
        let of = self
            .standings
            .keys()
            .filter(|standing| standing.generation == generation);
        let deleted: Vec<_> = of.filter(|_| is_deleted()).cloned().collect();
        for standing in deleted {
            self.standings.remove(&standing);
            self.included.remove(&standing);
            self.written.remove(&standing);
        }
    }

    /// Deletes expired blocks, or some of them, since the store may delete them late.
    pub fn expire(&mut self, now: Timestamp, mut is_deleted: impl FnMut() -> bool) {
        self.blocks
            .retain(|_, block| block.expires_at > now.as_second() || !is_deleted());
    }
}

/// The epoch in the name of a user's block or cap.
fn epoch_of(name: &str, user: &UserId) -> Option<String> {
    let parts: Vec<_> = name.split(' ').collect();
    (parts[1] == user.as_str()).then(|| parts[3].to_owned())
}
