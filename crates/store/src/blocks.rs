//! Blocks: items of the dedup table that hold the keys which left a ledger.
//!
//! A block's name follows from the standing, its epoch and the key. Keys are added to a set, which is
//! idempotent and commutes, so repeats, races and crashes change nothing. Nobody counts them: an addition to
//! any but the finest level is conditional on the set being small, and where that fails, the next level takes
//! the keys. A full block stays full, so a key is looked for from the coarsest level on, and in the next one
//! only where that block is full.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use domain::{ProgramId, UserId};
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};

use crate::batch_get::{MAX_KEYS, batch_get};
use crate::error::StoreError;
use crate::item::{Item, string, text};
use crate::keys::{CountGeneration, StandingKey, attribute};
use crate::ledger::{Epoch, LedgerKey};
use crate::requests::scan_segment;

/// A block of any but the finest level takes no more keys once it has this many. With those of one call added
/// it stays below 4 KB, one read unit.
pub const KEYS_MAX: usize = 150;
/// The keys that one call adds.
pub const KEYS_A_CALL: usize = 100;
/// How long a block is kept after its week: longer than any redelivery can take, which is 14 days in the
/// queue, 14 in the DLQ and 14 more after a redrive.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);
const _: () = assert!(LIFETIME.as_hours() > (14 + 14 + 14) * 24);

/// The time in which the keys of a block were received, from the coarsest to the finest. A user rarely fills a
/// week; the others keep the keys of one burst in few blocks, of whatever rate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Level {
    Week,
    Hour,
    Minute,
    Second,
    TenthOfSecond,
    /// One of 256 parts of a tenth of a second, by the keys' hashes.
    Part,
}

impl Level {
    const COARSEST: Self = Self::Week;

    /// The next finer level; `None` for the finest, which takes any number of keys.
    fn finer(self) -> Option<Self> {
        match self {
            Self::Week => Some(Self::Hour),
            Self::Hour => Some(Self::Minute),
            Self::Minute => Some(Self::Second),
            Self::Second => Some(Self::TenthOfSecond),
            Self::TenthOfSecond => Some(Self::Part),
            Self::Part => None,
        }
    }

    /// The last part of a block's name, in UTC.
    fn name(self, key: LedgerKey) -> String {
        let at = key.received_at();
        match self {
            Self::Week => at.strftime("%G-W%V").to_string(),
            Self::Hour => at.strftime("%Y-%m-%dT%H").to_string(),
            Self::Minute => at.strftime("%Y-%m-%dT%H:%M").to_string(),
            Self::Second => at.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
            Self::TenthOfSecond => at.strftime("%Y-%m-%dT%H:%M:%S%.1f").to_string(),
            Self::Part => format!("{}/{:02x}", Self::TenthOfSecond.name(key), key.spread()),
        }
    }
}

/// The key of a block in the dedup table, such as `g2 ann chess 0f3a5b7c9d1e2f40 2026-W47`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockName(String);

impl BlockName {
    fn new(standing: &StandingKey, epoch: Epoch, key: LedgerKey, level: Level) -> Self {
        let StandingKey {
            generation,
            user,
            program,
            ..
        } = standing;
        Self(format!(
            "{generation} {user} {program} {epoch} {}",
            level.name(key)
        ))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Keys to add to one block, in one or several calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spill {
    pub block: BlockName,
    level: Level,
    keys: Vec<LedgerKey>,
    /// In seconds since the epoch.
    pub expires_at: i64,
}

impl Spill {
    /// Adds all keys to blocks of the coarsest level.
    pub fn plan(standing: &StandingKey, epoch: Epoch, keys: &[LedgerKey]) -> Vec<Self> {
        Self::at_level(standing, epoch, Level::COARSEST, keys)
    }

    fn at_level(standing: &StandingKey, epoch: Epoch, level: Level, keys: &[LedgerKey]) -> Vec<Self> {
        let blocks = by_block(standing, epoch, level, keys.iter().copied()).into_iter();
        let spills = blocks.map(|(block, keys)| Self {
            block,
            level,
            expires_at: (week_end(keys[0].received_at()) + LIFETIME).as_second(),
            keys,
        });
        spills.collect()
    }

    /// The keys that its next call adds.
    pub fn next(&self) -> &[LedgerKey] {
        &self.keys[..self.keys.len().min(KEYS_A_CALL)]
    }

    /// Whether its next call must fail when the block has [`KEYS_MAX`] keys.
    pub fn is_conditional(&self) -> bool {
        self.level.finer().is_some()
    }

    /// What is left after a call that succeeded.
    pub fn rest(mut self) -> Option<Self> {
        self.keys.drain(..self.next().len());
        (!self.keys.is_empty()).then_some(self)
    }

    /// What takes its place when its block is full.
    pub fn finer(&self, standing: &StandingKey, epoch: Epoch) -> Vec<Self> {
        let level = self.level.finer().expect("only the finest level is never full");
        Self::at_level(standing, epoch, level, &self.keys)
    }
}

/// Keys by the block that each belongs to at a level.
fn by_block(
    standing: &StandingKey,
    epoch: Epoch,
    level: Level,
    keys: impl IntoIterator<Item = LedgerKey>,
) -> BTreeMap<BlockName, Vec<LedgerKey>> {
    let mut blocks: BTreeMap<BlockName, Vec<LedgerKey>> = BTreeMap::new();
    for key in keys {
        let block = BlockName::new(standing, epoch, key, level);
        blocks.entry(block).or_default().push(key);
    }
    blocks
}

/// A block that was looked into; empty if it does not exist.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    pub keys: BTreeSet<LedgerKey>,
    /// It has [`KEYS_MAX`] keys, so that finer blocks may have others.
    pub is_full: bool,
}

impl Seen {
    pub(crate) fn of_item(item: &Item) -> Self {
        let keys: BTreeSet<_> = keys_of(item).into_iter().collect();
        Self {
            is_full: keys.len() >= KEYS_MAX,
            keys,
        }
    }
}

/// Looks for keys in the blocks of a standing.
#[derive(Clone, Debug)]
pub struct Search {
    /// The blocks to look into, with their level and the keys that they may have.
    left: BTreeMap<BlockName, (Level, Vec<LedgerKey>)>,
    found: BTreeSet<LedgerKey>,
}

impl Search {
    pub fn new(standing: &StandingKey, epoch: Epoch, keys: impl IntoIterator<Item = LedgerKey>) -> Self {
        let mut search = Self {
            left: BTreeMap::new(),
            found: BTreeSet::new(),
        };
        search.look_at(standing, epoch, Level::COARSEST, keys);
        search
    }

    fn look_at(
        &mut self,
        standing: &StandingKey,
        epoch: Epoch,
        level: Level,
        keys: impl IntoIterator<Item = LedgerKey>,
    ) {
        let blocks = by_block(standing, epoch, level, keys).into_iter();
        self.left
            .extend(blocks.map(|(block, keys)| (block, (level, keys))));
    }

    /// At most so many blocks to look into next; none at the end.
    pub fn next(&self, limit: usize) -> Vec<BlockName> {
        self.left.keys().take(limit).cloned().collect()
    }

    /// Handles what was seen in the blocks that [`Self::next`] named.
    pub fn take(&mut self, standing: &StandingKey, epoch: Epoch, seen: &BTreeMap<BlockName, Seen>) {
        for (block, Seen { keys, is_full }) in seen {
            let Some((level, sought)) = self.left.remove(block) else {
                continue;
            };
            let (found, missing): (Vec<_>, Vec<_>) = sought.into_iter().partition(|key| keys.contains(key));
            self.found.extend(found);
            if let Some(finer) = level.finer().filter(|_| *is_full) {
                self.look_at(standing, epoch, finer, missing);
            }
        }
    }

    /// The keys that were found.
    pub fn found(&self) -> &BTreeSet<LedgerKey> {
        &self.found
    }
}

/// The keys in a block's item.
pub(crate) fn keys_of(item: &Item) -> Vec<LedgerKey> {
    match item.get(attribute::KEYS) {
        Some(AttributeValue::Bs(keys)) => {
            let keys = keys.iter();
            keys.filter_map(|key| LedgerKey::stored(key.as_ref())).collect()
        }
        _ => Vec::new(),
    }
}

/// The table of blocks, for reading.
#[derive(Clone, Debug)]
pub struct Blocks {
    client: Client,
    table: String,
}

/// A block as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub generation: CountGeneration,
    pub user: UserId,
    pub program: ProgramId,
    pub epoch: Epoch,
    pub keys: Vec<LedgerKey>,
}

/// Some blocks.
#[derive(Clone, Debug, Default)]
pub struct BlocksPage {
    pub blocks: Vec<Block>,
    /// The block to continue after; `None` at the end.
    pub next: Option<String>,
}

impl Blocks {
    pub fn new(client: Client, dedup_table: String) -> Self {
        Self {
            client,
            table: dedup_table,
        }
    }

    /// Which of these keys are in blocks of a standing, consistently.
    pub async fn holding(
        &self,
        standing: &StandingKey,
        epoch: Epoch,
        keys: &[LedgerKey],
    ) -> Result<BTreeSet<LedgerKey>, StoreError> {
        let mut search = Search::new(standing, epoch, keys.iter().copied());
        loop {
            let names = search.next(MAX_KEYS);
            if names.is_empty() {
                return Ok(search.found);
            }
            let request = KeysAndAttributes::builder()
                .set_keys(Some(names.iter().map(|name| key(name.as_str())).collect()))
                .consistent_read(true);
            let mut seen: BTreeMap<_, _> = names.into_iter().map(|name| (name, Seen::default())).collect();
            for item in batch_get(&self.client, &self.table, request).await? {
                let name = text(&item, attribute::ACTIVITY).unwrap_or_default();
                seen.insert(BlockName(name.to_owned()), Seen::of_item(&item));
            }
            search.take(standing, epoch, &seen);
        }
    }

    /// Reads at most `limit` blocks of all generations, starting after one.
    pub async fn page(&self, after: Option<String>, limit: i32) -> Result<BlocksPage, StoreError> {
        let name = |item: &Item| text(item, attribute::ACTIVITY).ok().map(str::to_owned);
        let after = after.map(|after| key(&after));
        let output = scan_segment(&self.client, &self.table, (0, 1), after, limit)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::unavailable("reading the blocks", error))?;
        let block = |item: &Item| block_named(&name(item)?, keys_of(item));
        Ok(BlocksPage {
            blocks: output.items().iter().filter_map(block).collect(),
            next: output.last_evaluated_key.as_ref().and_then(name),
        })
    }
}

/// The block with this name; `None` if it is none, such as a marker of an earlier version of Podium.
fn block_named(name: &str, keys: Vec<LedgerKey>) -> Option<Block> {
    let parts: Vec<_> = name.split(' ').collect();
    let [generation, user, program, epoch, _received] = parts[..] else {
        return None;
    };
    Some(Block {
        generation: CountGeneration(generation.strip_prefix('g')?.parse().ok()?),
        user: UserId::stored(user).ok()?,
        program: ProgramId::stored(program).ok()?,
        epoch: Epoch(u64::from_str_radix(epoch, 16).ok()?.to_be_bytes()),
        keys,
    })
}

fn key(name: &str) -> Item {
    Item::from([(attribute::ACTIVITY.to_owned(), string(name))])
}

/// The end of the ISO week, in UTC, that contains a time.
fn week_end(at: Timestamp) -> Timestamp {
    let week = at.to_zoned(TimeZone::UTC).date().iso_week_date();
    let sunday = jiff::civil::ISOWeekDate::new(week.year(), week.week(), Weekday::Sunday);
    let sunday = sunday.expect("the Sunday of an existing ISO week exists").date();
    let monday = sunday.saturating_add(Span::new().days(1));
    let monday = monday.at(0, 0, 0, 0).to_zoned(TimeZone::UTC);
    monday.expect("UTC has every day").timestamp()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> StandingKey {
        let (user, program) = ("ann".parse().unwrap(), "chess".parse().unwrap());
        StandingKey::new(CountGeneration(2), "4".parse().unwrap(), user, program)
    }

    fn key(at: &str, id: &str) -> LedgerKey {
        LedgerKey::new(
            at.parse().unwrap(),
            &(&id.parse::<domain::ActivityId>().unwrap()).into(),
        )
    }

    const EPOCH: Epoch = Epoch([0, 1, 2, 3, 4, 5, 0xfe, 0xff]);

    fn keys(count: usize, at: &str) -> Vec<LedgerKey> {
        (0..count).map(|n| key(at, &format!("{at}/{n}"))).collect()
    }

    #[test]
    fn a_block_is_named_by_standing_epoch_and_time_of_receipt() {
        let key = key("2027-01-01T10:05:07.89Z", "a1");
        let mut level = Some(Level::COARSEST);
        let levels = std::iter::from_fn(|| {
            let this = level?;
            level = this.finer();
            Some(BlockName::new(&standing(), EPOCH, key, this).0)
        });
        let names: Vec<_> = levels.collect();
        assert_eq!(
            names,
            [
                "g2 ann chess 000102030405feff 2026-W53",
                "g2 ann chess 000102030405feff 2027-01-01T10",
                "g2 ann chess 000102030405feff 2027-01-01T10:05",
                "g2 ann chess 000102030405feff 2027-01-01T10:05:07",
                "g2 ann chess 000102030405feff 2027-01-01T10:05:07.8",
                "g2 ann chess 000102030405feff 2027-01-01T10:05:07.8/f5",
            ]
        );
        let block = block_named(&names[5], vec![key]).unwrap();
        assert_eq!((block.generation, block.epoch), (CountGeneration(2), EPOCH));
        assert_eq!((block.user.as_str(), block.program.as_str()), ("ann", "chess"));
        assert_eq!(block_named("g1#ann#a1", Vec::new()), None);
    }

    /// Spills keys into blocks, and returns them with the number of calls that it took.
    fn spilled(keys: &[LedgerKey]) -> (BTreeMap<BlockName, Seen>, usize) {
        let mut blocks: BTreeMap<BlockName, Seen> = BTreeMap::new();
        let mut spills = Spill::plan(&standing(), EPOCH, keys);
        let mut calls = 0;
        while let Some(spill) = spills.pop() {
            calls += 1;
            let block = blocks.entry(spill.block.clone()).or_default();
            if block.is_full && spill.is_conditional() {
                spills.extend(spill.finer(&standing(), EPOCH));
                continue;
            }
            assert!((1..=KEYS_A_CALL).contains(&spill.next().len()));
            block.keys.extend(spill.next());
            block.is_full = block.keys.len() >= KEYS_MAX;
            spills.extend(spill.rest());
        }
        (blocks, calls)
    }

    /// The keys that are found in blocks, and how many blocks were looked into.
    fn found(blocks: &BTreeMap<BlockName, Seen>, sought: &[LedgerKey]) -> (BTreeSet<LedgerKey>, usize) {
        let mut search = Search::new(&standing(), EPOCH, sought.iter().copied());
        let mut looks = 0;
        while let names @ [_, ..] = &search.next(MAX_KEYS)[..] {
            looks += names.len();
            let seen = names.iter().map(|name| {
                let seen = blocks.get(name).cloned().unwrap_or_default();
                (name.clone(), seen)
            });
            search.take(&standing(), EPOCH, &seen.collect());
        }
        (search.found, looks)
    }

    /// What is spilled is found and nothing else. Expects so many blocks, calls that filled them, and blocks to
    /// look into for a key of this second that was not spilled.
    fn check(spill: &[LedgerKey], expected: (usize, usize, usize)) {
        let (blocks, calls) = spilled(spill);
        assert_eq!(found(&blocks, spill).0, spill.iter().copied().collect());
        let (unknown, looks) = found(&blocks, &[key("2026-11-21T10:00:00Z", "unknown")]);
        assert_eq!(unknown, BTreeSet::new());
        assert_eq!((blocks.len(), calls, looks), expected);
    }

    #[test]
    fn what_is_spilled_is_found_in_the_blocks_that_it_fills_from_the_coarsest_on() {
        check(&[], (0, 0, 1));
        check(&keys(1, "2026-11-21T10:00:00Z"), (1, 1, 1));
        check(&keys(149, "2026-11-21T10:00:00Z"), (1, 2, 1));
        check(&keys(150, "2026-11-21T10:00:00Z"), (1, 2, 2));
        check(&keys(201, "2026-11-21T10:00:00Z"), (2, 4, 2));
        check(&keys(2_000, "2026-11-21T10:00:00Z"), (258, 268, 6));
        // One a second for ten minutes, of which the last four have blocks of their own.
        let seconds = (0..600).map(|n| format!("2026-11-21T10:{:02}:{:02}Z", n / 60, n % 60));
        let keys: Vec<_> = seconds.flat_map(|at| keys(1, &at)).collect();
        check(&keys, (6, 10, 3));
    }

    #[test]
    fn blocks_of_every_level_expire_with_their_week() {
        let spills = Spill::plan(&standing(), EPOCH, &keys(100, "2026-11-21T10:00:00Z"));
        let finer = spills[0].finer(&standing(), EPOCH);
        for spill in [&spills[0], &finer[0]] {
            let at = Timestamp::from_second(spill.expires_at).unwrap();
            assert_eq!(at.to_string(), "2027-02-21T00:00:00Z");
        }
    }
}
