//! Blocks: items of the dedup table that hold the keys which left a ledger.
//!
//! A block's name follows from the standing, its epoch and the key. Keys are added to a set, which is
//! idempotent and commutes, so repeats, races and crashes change nothing. Nobody counts them: an addition to
//! the first two levels is conditional on the set being small, and where that fails, the next level takes the
//! keys. A key is therefore looked for under its name of each level.

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

/// A block of the first two levels takes no more keys once it has this many. With those of one call added
/// it stays below 4 KB, one read unit.
pub const KEYS_MAX: usize = 150;
/// The keys that one call adds.
pub const KEYS_A_CALL: usize = 100;
/// How long a block is kept after its week: longer than any redelivery can take, which is 14 days in the
/// queue, 14 in the DLQ and 14 more after a redrive.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(90 * 24);
const _: () = assert!(LIFETIME.as_hours() > (14 + 14 + 14) * 24);

/// How finely the keys of a week are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Whole,
    Sixteenths,
    Parts256,
}

impl Level {
    pub const EVERY: [Self; 3] = [Self::Whole, Self::Sixteenths, Self::Parts256];

    /// The next finer level; `None` for the finest, which takes any number of keys.
    pub fn finer(self) -> Option<Self> {
        match self {
            Self::Whole => Some(Self::Sixteenths),
            Self::Sixteenths => Some(Self::Parts256),
            Self::Parts256 => None,
        }
    }

    fn part(self, key: LedgerKey) -> String {
        match self {
            Self::Whole => "*".to_owned(),
            Self::Sixteenths => format!("{:x}", key.spread() >> 4),
            Self::Parts256 => format!("{:02x}", key.spread()),
        }
    }
}

/// The key of a block in the dedup table, such as `g2 ann chess 0f3a5b7c9d1e2f40 2026-W47 a`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockName(String);

impl BlockName {
    pub fn new(standing: &StandingKey, epoch: Epoch, key: LedgerKey, level: Level) -> Self {
        let StandingKey {
            generation,
            user,
            program,
            ..
        } = standing;
        let week = key.received_at().to_zoned(TimeZone::UTC).date().iso_week_date();
        let (year, week, part) = (week.year(), week.week(), level.part(key));
        Self(format!(
            "{generation} {user} {program} {epoch} {year:04}-W{week:02} {part}"
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

/// One call that adds keys to a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spill {
    pub block: BlockName,
    pub level: Level,
    pub keys: Vec<LedgerKey>,
    /// In seconds since the epoch.
    pub expires_at: i64,
}

impl Spill {
    /// Whether it must fail when the block has [`KEYS_MAX`] keys.
    pub fn is_conditional(&self) -> bool {
        self.level.finer().is_some()
    }

    /// The calls that add these keys, at the coarsest level that has room for those of a new block.
    pub fn plan(standing: &StandingKey, epoch: Epoch, keys: &[LedgerKey]) -> Vec<Self> {
        Self::at_level(standing, epoch, Level::Whole, keys)
    }

    fn at_level(standing: &StandingKey, epoch: Epoch, level: Level, keys: &[LedgerKey]) -> Vec<Self> {
        let mut blocks: BTreeMap<BlockName, Vec<LedgerKey>> = BTreeMap::new();
        for key in keys {
            let block = BlockName::new(standing, epoch, *key, level);
            blocks.entry(block).or_default().push(*key);
        }
        let mut calls = Vec::new();
        for (block, keys) in blocks {
            if let Some(finer) = level.finer().filter(|_| keys.len() > KEYS_MAX) {
                calls.extend(Self::at_level(standing, epoch, finer, &keys));
                continue;
            }
            let expires_at = (week_end(keys[0].received_at()) + LIFETIME).as_second();
            calls.extend(keys.chunks(KEYS_A_CALL).map(|keys| Self {
                block: block.clone(),
                level,
                keys: keys.to_vec(),
                expires_at,
            }));
        }
        calls
    }

    /// The calls that take its place when its block is full.
    pub fn finer(&self, standing: &StandingKey, epoch: Epoch) -> Vec<Self> {
        let level = self.level.finer().expect("only the finest level is never full");
        Self::at_level(standing, epoch, level, &self.keys)
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
        let name = |key: &LedgerKey| Level::EVERY.map(|level| BlockName::new(standing, epoch, *key, level));
        let names: BTreeSet<BlockName> = keys.iter().flat_map(name).collect();
        let names: Vec<_> = names.into_iter().collect();
        let mut held = BTreeSet::new();
        for some in names.chunks(MAX_KEYS) {
            let keys = some.iter().map(|name| key(name.as_str()));
            let request = KeysAndAttributes::builder().set_keys(Some(keys.collect()));
            for item in batch_get(&self.client, &self.table, request).await? {
                held.extend(keys_of(&item));
            }
        }
        held.retain(|key| keys.contains(key));
        Ok(held)
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
    let [generation, user, program, epoch, _week, _part] = parts[..] else {
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
        LedgerKey::new(at.parse().unwrap(), &id.parse().unwrap())
    }

    #[test]
    fn a_block_is_named_by_standing_epoch_week_and_part() {
        let epoch = Epoch([0, 1, 2, 3, 4, 5, 0xfe, 0xff]);
        let key = key("2026-11-21T10:00:00Z", "a1");
        let names = Level::EVERY.map(|level| BlockName::new(&standing(), epoch, key, level).0);
        assert_eq!(
            names,
            [
                "g2 ann chess 000102030405feff 2026-W47 *",
                "g2 ann chess 000102030405feff 2026-W47 f",
                "g2 ann chess 000102030405feff 2026-W47 f5",
            ]
        );
        let block = block_named(&names[2], vec![key]).unwrap();
        assert_eq!((block.generation, block.epoch), (CountGeneration(2), epoch));
        assert_eq!((block.user.as_str(), block.program.as_str()), ("ann", "chess"));
        assert_eq!(block_named("g1#ann#a1", Vec::new()), None);
    }

    /// The levels and sizes of the calls that spill so many keys of one week, and one of the next.
    fn check(keys: usize, expected: &str) {
        let keys: Vec<_> = (0..keys)
            .map(|n| key("2026-11-21T10:00:00Z", &format!("a{n}")))
            .collect();
        let next_week = key("2026-11-23T00:00:00Z", "b");
        let calls = Spill::plan(
            &standing(),
            Epoch([0; 8]),
            &[keys.clone(), vec![next_week]].concat(),
        );
        let mut planned: Vec<_> = calls.iter().flat_map(|call| &call.keys).copied().collect();
        planned.sort_unstable();
        let mut all = keys;
        all.push(next_week);
        all.sort_unstable();
        assert_eq!(planned, all, "every key is in one call");
        let of = |level| calls.iter().filter(|call| call.level == level).count();
        let counts = Level::EVERY.map(|level| of(level).to_string());
        assert_eq!(counts.join(" "), expected);
        for call in &calls {
            assert!((1..=KEYS_A_CALL).contains(&call.keys.len()));
            assert_eq!(call.is_conditional(), call.level != Level::Parts256);
        }
    }

    #[test]
    fn many_keys_go_to_finer_blocks_at_once() {
        // Whole weeks, sixteenths, parts of 256.
        check(1, "2 0 0");
        check(150, "3 0 0");
        check(151, "1 16 0");
        check(10_000, "1 0 256");
    }

    #[test]
    fn a_full_block_is_replaced_by_finer_ones_and_all_expire_with_their_week() {
        let keys: Vec<_> = (0..100)
            .map(|n| key("2026-11-21T10:00:00Z", &format!("a{n}")))
            .collect();
        let calls = Spill::plan(&standing(), Epoch([0; 8]), &keys);
        let finer = calls[0].finer(&standing(), Epoch([0; 8]));
        assert_eq!(finer.len(), 16);
        assert_eq!(finer.iter().map(|call| call.keys.len()).sum::<usize>(), 100);
        let expires = finer
            .iter()
            .map(|call| Timestamp::from_second(call.expires_at).unwrap().to_string());
        assert!(expires.into_iter().all(|at| at == "2027-02-21T00:00:00Z"));
    }
}
