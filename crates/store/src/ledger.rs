//! The ledger of a standing: its counters, and the keys of the activities that they include.
//!
//! Keys are kept in the item until there are many. Then all but the newest are spilled into blocks in the
//! dedup table (see [`crate::blocks`]), and `spilled_through` is raised to the largest that ever left. So a
//! key above it is in the item or was not counted; a key at or below it may be in a block.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::counters::{BySeason, Counters, Lasts, Late, Sum, day_number, day_of_number};
use domain::{CalendarDay, FactId, PerWindow, Period, Window};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};

use crate::item::Item;
use crate::keys::attribute;

/// More keys than this in the item are spilled by the next write. Every snapshot reads them.
pub const KEYS_MAX: usize = 10;
/// More keys may stay while all are of one hour, so that a burst takes fewer calls. The item stays below 1 KB,
/// one write unit.
pub const KEYS_MAX_IN_BURST: usize = 48;
const BURST: SignedDuration = SignedDuration::from_hours(1);
/// The newest keys stay, since most redeliveries are of recent activities.
pub const KEYS_KEPT: usize = 2;

/// Names a fact within its standing: when ingestion received it, in milliseconds, and a part of the hash of
/// its id. Both are properties of the fact, so every delivery has the same key. In order of receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerKey([u8; LedgerKey::BYTES]);

impl LedgerKey {
    pub const BYTES: usize = RECEIVED_BYTES + HASH_BYTES;

    pub fn new(received_at: Timestamp, id: &FactId) -> Self {
        let hash = Sha256::digest(id.as_str());
        let (hash, _) = hash.split_first_chunk().expect("a hash has 32 bytes");
        Self::of(received_at.as_millisecond().max(0), *hash).expect("a time has 48 bits")
    }

    fn of(milliseconds: i64, hash: [u8; HASH_BYTES]) -> Option<Self> {
        let [0, 0, time @ ..] = milliseconds.to_be_bytes() else {
            return None;
        };
        let mut bytes = [0; Self::BYTES];
        bytes[..RECEIVED_BYTES].copy_from_slice(&time);
        bytes[RECEIVED_BYTES..].copy_from_slice(&hash);
        Some(Self(bytes))
    }

    pub(crate) fn stored(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Since the epoch.
    fn milliseconds(&self) -> i64 {
        let mut milliseconds = [0; 8];
        milliseconds[8 - RECEIVED_BYTES..].copy_from_slice(&self.0[..RECEIVED_BYTES]);
        i64::from_be_bytes(milliseconds)
    }

    fn hash(&self) -> &[u8] {
        &self.0[RECEIVED_BYTES..]
    }

    pub fn received_at(&self) -> Timestamp {
        Timestamp::from_millisecond(self.milliseconds()).unwrap_or(Timestamp::MAX)
    }

    /// The first byte of the hash, which spreads keys over the parts of a block.
    pub fn spread(&self) -> u8 {
        self.0[RECEIVED_BYTES]
    }
}

/// Until the year 10889.
const RECEIVED_BYTES: usize = 6;
const HASH_BYTES: usize = 8;
const MILLISECONDS_A_DAY: i64 = 24 * 3_600 * 1_000;

/// 8 random bytes. New with every write, so that no two states are taken for one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub [u8; 8]);

/// 8 random bytes, drawn when a standing is created, rebuilt or repaired. The names of its blocks contain it,
/// so that blocks of a rebuild that was never written are read by nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub [u8; 8]);

/// A standing as it was read or is to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ledger {
    pub counters: Counters,
    pub epoch: Epoch,
    /// The largest key that is in no ledger of this epoch any more, but in a block.
    pub spilled_through: Option<LedgerKey>,
    /// Sorted.
    keys: Vec<LedgerKey>,
}

/// Why a stored ledger cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLedger {
    #[error("the attribute ledger is missing")]
    Missing,
    #[error("the ledger has the format {0}; this version reads 1 to 8")]
    Format(u8),
    #[error("the ledger has {0} bytes")]
    Length(usize),
    #[error("a day of the ledger is out of range")]
    Day,
    #[error("the ledger has sums of the unknown window {0}")]
    Window(i64),
}

impl Ledger {
    /// The first byte, more by those of the following that it has. Another layout gets another number.
    const FORMAT: u8 = 1;
    /// Where something was late, which most standings never have.
    const WITH_LATE: u8 = 1;
    const WITH_SEASONS: u8 = 2;
    const WITH_LASTS: u8 = 4;

    pub fn new(as_of: Date, epoch: Epoch) -> Self {
        Self {
            counters: Counters::new(as_of),
            epoch,
            spilled_through: None,
            keys: Vec::new(),
        }
    }

    pub fn keys(&self) -> &[LedgerKey] {
        &self.keys
    }

    /// Whether a key is in the item.
    pub fn holds(&self, key: LedgerKey) -> bool {
        self.keys.binary_search(&key).is_ok()
    }

    /// Whether a key that is not in the item may be in a block.
    pub fn may_have_spilled(&self, key: LedgerKey) -> bool {
        self.spilled_through.is_some_and(|through| key <= through)
    }

    /// The keys that must be in blocks before the next write: all but the newest, once there are many.
    pub fn to_spill(&self) -> &[LedgerKey] {
        let max = if self.is_in_burst() {
            KEYS_MAX_IN_BURST
        } else {
            KEYS_MAX
        };
        let spilled = if self.keys.len() > max {
            self.keys.len() - KEYS_KEPT
        } else {
            0
        };
        &self.keys[..spilled]
    }

    fn is_in_burst(&self) -> bool {
        let (Some(first), Some(last)) = (self.keys.first(), self.keys.last()) else {
            return false;
        };
        last.received_at().duration_since(first.received_at()) < BURST
    }

    /// Without the keys [`Self::to_spill`], which are in blocks by now.
    #[must_use]
    pub fn spilled(mut self) -> Self {
        let spilled = self.to_spill().len();
        if let Some(largest) = self.keys[..spilled].last() {
            self.spilled_through = self.spilled_through.max(Some(*largest));
        }
        self.keys.drain(..spilled);
        self
    }

    /// Counts what occurred on a day under a key that the ledger does not hold.
    pub fn count(
        &mut self,
        key: LedgerKey,
        day: CalendarDay,
        sums: PerWindow<Sum>,
        activity_at: Option<Timestamp>,
    ) {
        let place = self.keys.binary_search(&key);
        let place = place.expect_err("a key is counted once");
        self.keys.insert(place, key);
        self.counters.add(day, sums, activity_at);
    }

    /// The format, the day, the sums, if there are any what was late, those of seasons, and when the last activities occurred,
    /// then the epoch, and `spilled_through` after a byte that says whether there is one, and the keys. Of each key, the milliseconds since the one
    /// before and the hash. Days, sums and milliseconds are variable-length integers, since every snapshot reads every ledger and
    /// most are small.
    pub fn encode(&self) -> Vec<u8> {
        let day = day_number(self.counters.as_of());
        let more = [
            (Self::WITH_LATE, self.counters.late()),
            (Self::WITH_SEASONS, self.counters.seasons()),
        ];
        let more = more.into_iter().filter(|(_, sums)| !sums.is_empty());
        let lasts = self.counters.lasts();
        let lasts = lasts.all.map(|all| (all, &lasts.periods));
        let with_lasts = if lasts.is_some() { Self::WITH_LASTS } else { 0 };
        let format = more.clone().map(|(format, _)| format).sum::<u8>() + with_lasts + Self::FORMAT;
        let mut bytes = vec![format];
        push_integer(&mut bytes, day);
        for sum in self.counters.sums() {
            push_sum(&mut bytes, *sum);
        }
        for (_, sums) in more {
            push_by_period(&mut bytes, sums, day, |bytes, sum| push_sum(bytes, *sum));
        }
        if let Some((all, periods)) = lasts {
            let all = all.as_millisecond();
            push_integer(&mut bytes, day * MILLISECONDS_A_DAY - all);
            push_by_period(&mut bytes, periods, day, |bytes, last| {
                push_integer(bytes, all - last.as_millisecond());
            });
        }
        bytes.extend(self.epoch.0);
        bytes.push(self.spilled_through.is_some().into());
        let mut before = 0;
        for key in self.spilled_through.iter().chain(&self.keys) {
            let milliseconds = key.milliseconds();
            push_integer(&mut bytes, milliseconds - before);
            bytes.extend(key.hash());
            before = milliseconds;
        }
        bytes
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, InvalidLedger> {
        let length = InvalidLedger::Length(bytes.len());
        let mut rest = bytes;
        let counters = take_counters(&mut rest)?;
        let (epoch, rest) = rest.split_first_chunk::<8>().ok_or(length)?;
        let (has_spilled, mut rest) = rest.split_first().ok_or(length)?;
        let mut keys = Vec::new();
        let mut before: i64 = 0;
        while !rest.is_empty() {
            let since = take_integer(&mut rest).ok_or(length)?;
            let (hash, after) = rest.split_first_chunk().ok_or(length)?;
            rest = after;
            before = before.checked_add(since).ok_or(length)?;
            keys.push(LedgerKey::of(before, *hash).ok_or(length)?);
        }
        let spilled_through = match has_spilled {
            0 => None,
            _ if keys.is_empty() => return Err(length),
            _ => Some(keys.remove(0)),
        };
        debug_assert!(keys.is_sorted_by(|a, b| a < b), "keys are sorted and different");
        Ok(Self {
            counters,
            epoch: Epoch(*epoch),
            spilled_through,
            keys,
        })
    }

    /// The ledger in an item of the table of standings.
    pub(crate) fn of_item(item: &Item) -> Result<Self, InvalidLedger> {
        Self::decode(encoded(item)?)
    }

    /// Only its counters.
    pub(crate) fn counters_of_item(item: &Item) -> Result<Counters, InvalidLedger> {
        take_counters(&mut encoded(item)?)
    }
}

fn encoded(item: &Item) -> Result<&[u8], InvalidLedger> {
    match item.get(attribute::LEDGER) {
        Some(AttributeValue::B(bytes)) => Ok(bytes.as_ref()),
        _ => Err(InvalidLedger::Missing),
    }
}

/// Takes the format, the day, all sums from the beginning.
fn take_counters(bytes: &mut &[u8]) -> Result<Counters, InvalidLedger> {
    let length = InvalidLedger::Length(bytes.len());
    let (format, rest) = bytes.split_first().ok_or(length)?;
    let more = format.checked_sub(Ledger::FORMAT);
    let more = more.filter(|more| *more <= Ledger::WITH_LATE + Ledger::WITH_SEASONS + Ledger::WITH_LASTS);
    let more = more.ok_or(InvalidLedger::Format(*format))?;
    *bytes = rest;
    let day = take_integer(bytes).ok_or(length)?;
    let as_of = day_of_number(day).ok_or(InvalidLedger::Day)?;
    let mut sums = [Sum::default(); Counters::COUNT];
    for sum in &mut sums {
        *sum = take_sum(bytes).ok_or(length)?;
    }
    let (mut late, mut seasons) = (Late::new(), BySeason::new());
    if more & Ledger::WITH_LATE != 0 {
        late = take_by_period(bytes, day, take_sum)?;
    }
    if more & Ledger::WITH_SEASONS != 0 {
        seasons = take_by_period(bytes, day, take_sum)?;
    }
    let mut lasts = Lasts::default();
    if more & Ledger::WITH_LASTS != 0 {
        let before = take_integer(bytes).ok_or(length)?;
        let all = (day * MILLISECONDS_A_DAY).checked_sub(before).ok_or(length)?;
        let last = |since: i64| Timestamp::from_millisecond(all.checked_sub(since)?).ok();
        lasts = Lasts {
            all: last(0),
            periods: take_by_period(bytes, day, |bytes| last(take_integer(bytes)?))?,
        };
    }
    Ok(Counters::stored(as_of, sums, seasons, late, lasts))
}

/// What is kept of periods, in order: how many, then of each the place of its window in [`Window::EVERY`], how many days it
/// began before the day, of a season how many it takes, and the value.
fn push_by_period<T>(
    bytes: &mut Vec<u8>,
    periods: &BTreeMap<Period, T>,
    day: i64,
    push: impl Fn(&mut Vec<u8>, &T),
) {
    push_integer(bytes, periods.len().try_into().expect("few periods are kept"));
    for (period, value) in periods {
        let window = Window::EVERY.iter().position(|window| *window == period.window());
        let window = window.expect("every window is one of them");
        push_integer(bytes, window.try_into().expect("there are few windows"));
        let first_day = day_number(period.first_day());
        push_integer(bytes, day - first_day);
        if period.window() == Window::Season {
            push_integer(bytes, day_number(period.last_day()) - first_day);
        }
        push(bytes, value);
    }
}

fn take_by_period<T>(
    bytes: &mut &[u8],
    day: i64,
    take: impl Fn(&mut &[u8]) -> Option<T>,
) -> Result<BTreeMap<Period, T>, InvalidLedger> {
    let length = InvalidLedger::Length(bytes.len());
    let count = take_integer(bytes).ok_or(length)?;
    let mut periods = BTreeMap::new();
    for _ in 0..count {
        let window = take_integer(bytes).ok_or(length)?;
        let before = take_integer(bytes).ok_or(length)?;
        let day_of = |number: Option<i64>| number.and_then(day_of_number).ok_or(InvalidLedger::Day);
        let first_day = day_of(day.checked_sub(before))?;
        let of = usize::try_from(window).ok().and_then(|at| Window::EVERY.get(at));
        let period = match of {
            Some(Window::Season) => {
                let days = take_integer(bytes).ok_or(length)?;
                Some(Period::Season {
                    first_day,
                    last_day: day_of(day_number(first_day).checked_add(days))?,
                })
            }
            Some(window) => Period::containing(*window, first_day),
            None => None,
        };
        let value = take(bytes).ok_or(length)?;
        periods.insert(period.ok_or(InvalidLedger::Window(window))?, value);
    }
    Ok(periods)
}

fn push_sum(bytes: &mut Vec<u8>, sum: Sum) {
    push_integer(bytes, sum.points);
    push_integer(bytes, sum.activities);
}

fn take_sum(bytes: &mut &[u8]) -> Option<Sum> {
    Some(Sum {
        points: take_integer(bytes)?,
        activities: take_integer(bytes)?,
    })
}

/// Appends an integer with seven bits in each byte, the lowest first; numbers near zero, of either sign, are
/// short (LEB128 with `ZigZag`, as in Protocol Buffers).
fn push_integer(bytes: &mut Vec<u8>, integer: i64) {
    let mut left = ((integer << 1) ^ (integer >> 63)).cast_unsigned();
    loop {
        let low = (left & 0x7f) as u8;
        left >>= 7;
        if left == 0 {
            return bytes.push(low);
        }
        bytes.push(low | 0x80);
    }
}

/// Takes an integer from the beginning; `None` if there is none.
fn take_integer(bytes: &mut &[u8]) -> Option<i64> {
    let mut integer: u64 = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        integer |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((integer >> 1).cast_signed() ^ -(integer & 1).cast_signed());
        }
    }
    None
}

impl Version {
    pub(crate) fn of_item(item: &Item) -> Option<Self> {
        let bytes = item.get(attribute::VERSION)?.as_b().ok()?;
        Some(Self(bytes.as_ref().try_into().ok()?))
    }

    pub(crate) fn attribute(self) -> AttributeValue {
        AttributeValue::B(Blob::new(self.0))
    }
}

#[cfg(test)]
mod tests {
    use domain::ActivityId;
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;

    fn fact_id(id: &str) -> FactId {
        (&id.parse::<ActivityId>().unwrap()).into()
    }

    fn key(second: i64, id: &str) -> LedgerKey {
        LedgerKey::new(Timestamp::from_second(second).unwrap(), &fact_id(id))
    }

    #[test]
    fn keys_are_in_order_of_receipt_and_the_same_for_every_delivery() {
        let first = key(1_800_000_000, "a1");
        assert_eq!(first, key(1_800_000_000, "a1"));
        assert_ne!(first, key(1_800_000_000, "a2"));
        assert!(key(1_799_999_999, "zz") < first);
        assert_eq!(
            first.received_at(),
            Timestamp::from_second(1_800_000_000).unwrap()
        );
        // printf a1 | sha256sum
        let hex: Vec<_> = first.bytes().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex.concat(), "01a3185c5000f55ff16f66f43360");
    }

    #[test]
    fn many_keys_are_spilled_but_the_newest() {
        for (seconds, max) in [(3_600, KEYS_MAX), (1, KEYS_MAX_IN_BURST)] {
            let mut ledger = Ledger::new("2026-11-21".parse().unwrap(), Epoch([7; 8]));
            for n in 0..=max {
                assert!(ledger.to_spill().is_empty(), "{n}");
                let n = i64::try_from(n).unwrap();
                ledger.count(
                    key(n * seconds, "a"),
                    "2026-11-21".parse::<Date>().unwrap().into(),
                    Sum {
                        points: 1,
                        activities: 1,
                    }
                    .in_every_window(),
                    None,
                );
            }
            assert_eq!(ledger.to_spill().len(), max + 1 - KEYS_KEPT);
            let spilled = ledger.spilled();
            assert_eq!(spilled.keys().len(), KEYS_KEPT);
            let through = i64::try_from(max + 1 - KEYS_KEPT).unwrap() - 1;
            assert_eq!(spilled.spilled_through, Some(key(through * seconds, "a")));
            let late = key(seconds, "late");
            let new = key((through + 1) * seconds, "new");
            assert!(spilled.may_have_spilled(late) && !spilled.may_have_spilled(new));
            // A late key raises nothing.
            assert_eq!(spilled.clone().spilled(), spilled);
        }
    }

    proptest! {
        #[test]
        fn a_ledger_is_read_as_it_was_written(
            sums in vec((any::<i64>(), any::<i64>()), Counters::COUNT),
            days in 0..40_000_i64,
            epoch: [u8; 8],
            through in proptest::option::of(1..5_000_000_000_i64),
            milliseconds in btree_set(1..5_000_000_000_000_i64, 0..40),
            late in vec((1..5_usize, 0..400_i64, any::<i64>(), any::<i64>()), 0..20),
            seasons in vec((-100..400_i64, any::<i64>(), any::<i64>()), 0..3),
            lasts in proptest::option::of((0..5_000_000_000_000_i64, vec((1..5_usize, 0..400_i64, 0..5_000_000_000_000_i64), 0..9))),
        ) {
            let season = |before: i64| Period::Season {
                first_day: day_of_number(days - before).unwrap(),
                last_day: day_of_number(days - before + 90).unwrap(),
            };
            let late = late.into_iter().map(|(window, before, points, activities)| {
                let day = day_of_number(days - before).unwrap();
                let period = Period::containing(Window::EVERY[window], day);
                (period.unwrap_or_else(|| season(before)), Sum { points, activities })
            });
            let at = |milliseconds| Timestamp::from_millisecond(milliseconds).unwrap();
            let lasts = lasts.map_or_else(Lasts::default, |(all, periods)| Lasts {
                all: Some(at(all)),
                periods: periods
                    .into_iter()
                    .map(|(window, before, last)| {
                        let day = day_of_number(days - before).unwrap();
                        let period = Period::containing(Window::EVERY[window], day);
                        (period.unwrap_or_else(|| season(before)), at(last))
                    })
                    .collect(),
            });
            let seasons = seasons.into_iter().map(|(before, points, activities)| {
                (season(before), Sum { points, activities })
            });
            let sums: Vec<_> = sums
                .into_iter()
                .map(|(points, activities)| Sum { points, activities })
                .collect();
            let ledger = Ledger {
                counters: Counters::stored(
                    day_of_number(days).unwrap(),
                    sums.try_into().unwrap(),
                    seasons.collect(),
                    late.collect(),
                    lasts,
                ),
                epoch: Epoch(epoch),
                spilled_through: through.map(|second| key(second, "b")),
                keys: milliseconds
                    .into_iter()
                    .map(|at| LedgerKey::new(Timestamp::from_millisecond(at).unwrap(), &fact_id("a")))
                    .collect(),
            };
            let bytes = ledger.encode();
            prop_assert_eq!(Ledger::decode(&bytes), Ok(ledger));
            prop_assert!(Ledger::decode(&bytes[..bytes.len() - 1]).is_err());
        }
    }
}
