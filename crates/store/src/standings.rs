//! Reading the standings.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use domain::standing::Tallies;
use domain::{Calendar, Period, ProgramId, Standing, Tally, UserId, Window};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use crate::batch_get::{MAX_KEYS, batch_get};
use crate::error::StoreError;
use crate::generations::{self, Generations};
use crate::item::{self, Item, text};
use crate::keys::{self, CountGeneration, STANDINGS_KEY, ShardCount, TOTALS_LANES, attribute};
use crate::quality::{self, Quality};
use crate::requests::{get_item, item_of, query_members};

/// The table of standings and totals, for reading. Every read is consistent: it includes everything counted
/// before, so no published points are lower than those published before them.
#[derive(Clone, Debug)]
pub struct Standings {
    pub(crate) client: Client,
    pub(crate) table: String,
    shards: ShardCount,
}

/// The counters of the current periods at one moment, by name.
#[derive(Clone, Debug)]
pub struct CurrentCounters {
    names: Vec<(Window, String, String)>,
    /// The counter of the activities of the previous week.
    previous_week: String,
}

impl CurrentCounters {
    pub fn at(calendar: &Calendar, now: Timestamp) -> Self {
        let counters = Window::EVERY.into_iter().map(|window| {
            let [points, activities] = keys::counter_names(calendar.current(window, now));
            (window, points, activities)
        });
        let [_, (previous_week, _), _] = calendar.kept_pairs(now);
        let [_, previous_week] = keys::counter_names(Some(previous_week));
        Self {
            names: counters.collect(),
            previous_week,
        }
    }

    /// Each window with the names of its counters of points and of activities.
    pub fn named(&self) -> impl Iterator<Item = (Window, &str, &str)> {
        self.names
            .iter()
            .map(|(window, points, activities)| (*window, points.as_str(), activities.as_str()))
    }

    fn attribute_names(&self) -> impl Iterator<Item = &String> {
        self.names
            .iter()
            .flat_map(|(_, points, activities)| [points, activities])
            .chain([&self.previous_week])
    }

    fn tallies(&self, item: &Item) -> Tallies {
        let mut tallies = Tallies::default();
        for (window, points, activities) in &self.names {
            *tallies.get_mut(*window) = Tally {
                points: number(item, points),
                activities: number(item, activities),
            };
        }
        tallies
    }
}

/// All counters of one standing.
#[derive(Clone, Debug, PartialEq)]
pub struct Counters(Item);

impl Counters {
    pub(crate) fn raw(&self, name: &str) -> Option<&AttributeValue> {
        self.0.get(name)
    }

    /// The counters of a period, or of all time.
    pub fn tally(&self, period: Option<Period>) -> Tally {
        let [points, activities] = keys::counter_names(period);
        Tally {
            points: number(&self.0, &points),
            activities: number(&self.0, &activities),
        }
    }
}

impl Standings {
    pub fn new(client: Client, table: String, shards: ShardCount) -> Self {
        Self {
            client,
            table,
            shards,
        }
    }

    /// Which generations exist. Readers see the live one.
    pub async fn generations(&self) -> Result<Generations, StoreError> {
        generations::read(&self.client, &self.table).await
    }

    /// The same table, read in as many shards as a generation has.
    #[must_use]
    pub fn in_shards(self, shards: ShardCount) -> Self {
        Self { shards, ..self }
    }

    /// The result of the last reconciliation; `None` before the first.
    pub async fn quality(&self) -> Result<Option<Quality>, StoreError> {
        quality::read(&self.client, &self.table).await
    }

    /// The keys of a generation's shards. Each can be read on its own.
    pub fn shards(&self, generation: CountGeneration) -> Vec<String> {
        self.shards.shards(generation).collect()
    }

    /// Whether a user's standings belong in a shard.
    pub fn is_in(&self, shard: &str, generation: CountGeneration, user: &UserId) -> bool {
        self.shards.shard_of(generation, user) == shard
    }

    /// Reads one shard in pages of at most 1 MB and passes each to `take`, in order of users: one user's
    /// standings are adjacent, also across pages. Returns the read units it consumed.
    pub async fn read_shard(
        &self,
        shard: String,
        counters: &CurrentCounters,
        mut take: impl FnMut(Vec<Standing>),
    ) -> Result<f64, StoreError> {
        let mut request = query_members(&self.client, &self.table, &shard, None)
            .expression_attribute_names("#member", attribute::MEMBER)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut projection = vec!["#member".to_owned()];
        for (at, name) in counters.attribute_names().enumerate() {
            let placeholder = format!("#c{at}");
            request = request.expression_attribute_names(&placeholder, name);
            projection.push(placeholder);
        }
        let mut pages = request
            .projection_expression(projection.join(", "))
            .into_paginator()
            .send();
        let mut read_units = 0.0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StoreError::unavailable("reading standings", error))?;
            read_units += page
                .consumed_capacity
                .and_then(|c| c.capacity_units)
                .unwrap_or_default();
            take(
                page.items
                    .unwrap_or_default()
                    .iter()
                    .filter_map(|item| standing(item, counters))
                    .collect(),
            );
        }
        Ok(read_units)
    }

    /// One user's counters in each of their programs.
    pub async fn of_user(
        &self,
        generation: CountGeneration,
        user: &UserId,
    ) -> Result<Vec<(ProgramId, Counters)>, StoreError> {
        let shard = self.shards.shard_of(generation, user);
        let prefix = Some(keys::user_prefix(user));
        let mut pages = query_members(&self.client, &self.table, &shard, prefix)
            .into_paginator()
            .items()
            .send();
        let mut standings = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| StoreError::unavailable("reading a user's standings", error))?;
            let program = member(&item).and_then(|(_, program)| ProgramId::stored(program).ok());
            standings.extend(program.map(|program| (program, Counters(item))));
        }
        Ok(standings)
    }

    /// One user's counters in one program; `None` if the user has none.
    pub async fn counters(
        &self,
        generation: CountGeneration,
        user: &UserId,
        program: &ProgramId,
    ) -> Result<Option<Counters>, StoreError> {
        let shard = self.shards.shard_of(generation, user);
        let key = item::key(STANDINGS_KEY, &shard, &keys::member_key(user, program));
        let answer = get_item(&self.client, &self.table, key).send().await;
        Ok(item_of("reading a standing", answer)?.map(Counters))
    }

    /// The control totals of every program.
    pub async fn totals(&self, generation: CountGeneration) -> Result<HashMap<ProgramId, Tally>, StoreError> {
        Ok(self.totals_up_to(generation, usize::MAX).await?.programs)
    }

    /// The control totals of at most `programs_max` programs, always the same ones, and the sum of all.
    pub async fn totals_up_to(
        &self,
        generation: CountGeneration,
        programs_max: usize,
    ) -> Result<Totals, StoreError> {
        let lanes = (0..TOTALS_LANES)
            .map(|lane| self.totals_of_lane(keys::totals_key(generation, lane), programs_max));
        let mut lanes = stream::iter(lanes).buffered(LANES_AT_ONCE);
        let mut sums: HashMap<ProgramId, SignedTally> = HashMap::new();
        let mut sum = SignedTally::default();
        while let Some(lane) = lanes.try_next().await? {
            sum.add(lane.sum);
            for (program, tally) in lane.programs {
                if let Some(sum) = sums.get_mut(&program) {
                    sum.add(tally);
                } else if sums.len() < programs_max {
                    sums.insert(program, tally);
                }
            }
        }
        let programs = sums.into_iter().map(|(program, tally)| (program, tally.tally()));
        Ok(Totals {
            programs: programs.collect(),
            sum: sum.tally(),
        })
    }

    /// Whether any activity of a program was counted.
    pub async fn has_program(
        &self,
        generation: CountGeneration,
        program: &ProgramId,
    ) -> Result<bool, StoreError> {
        const { assert!(TOTALS_LANES as usize <= MAX_KEYS) };
        let lanes = (0..TOTALS_LANES).map(|lane| keys::totals_key(generation, lane));
        let keys = lanes.map(|lane| item::key(STANDINGS_KEY, &lane, program.as_str()));
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys.collect()))
            .projection_expression("#member")
            .expression_attribute_names("#member", attribute::MEMBER);
        let found = batch_get(&self.client, &self.table, request).await?;
        Ok(!found.is_empty())
    }

    async fn totals_of_lane(&self, lane: String, programs_max: usize) -> Result<Lane, StoreError> {
        let mut pages = query_members(&self.client, &self.table, &lane, None)
            .into_paginator()
            .send();
        let mut lane = Lane::default();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StoreError::unavailable("reading totals", error))?;
            let totals = page.items.unwrap_or_default();
            for (program, tally) in totals.iter().filter_map(total) {
                lane.sum.add(tally);
                if lane.programs.len() < programs_max {
                    lane.programs.push((program, tally));
                }
            }
        }
        Ok(lane)
    }
}

/// The control totals of some programs, and the sum of those of all programs.
#[derive(Clone, Debug, Default)]
pub struct Totals {
    pub programs: HashMap<ProgramId, Tally>,
    pub sum: Tally,
}

/// A correction may leave a single lane below zero, but never the sum of all lanes.
#[derive(Clone, Copy, Debug, Default)]
struct SignedTally {
    points: i64,
    activities: i64,
}

impl SignedTally {
    fn add(&mut self, other: Self) {
        self.points += other.points;
        self.activities += other.activities;
    }

    fn tally(self) -> Tally {
        Tally {
            points: u64::try_from(self.points).unwrap_or_default(),
            activities: u64::try_from(self.activities).unwrap_or_default(),
        }
    }
}

/// The totals of one lane, and the sum of those of all its programs.
#[derive(Debug, Default)]
struct Lane {
    programs: Vec<(ProgramId, SignedTally)>,
    sum: SignedTally,
}

fn total(item: &Item) -> Option<(ProgramId, SignedTally)> {
    let program = ProgramId::stored(text(item, attribute::MEMBER).ok()?).ok()?;
    let number = |name| item.get(name)?.as_n().ok()?.parse().ok();
    let tally = SignedTally {
        points: number(attribute::POINTS).unwrap_or_default(),
        activities: number(attribute::ACTIVITIES).unwrap_or_default(),
    };
    Some((program, tally))
}

/// More requests at once would not be faster, but hold more connections.
const LANES_AT_ONCE: usize = 8;

/// An item's user, program and current counters. Only [`crate::Counting`] writes standings, so an item of
/// another form is not a standing.
fn standing(item: &Item, counters: &CurrentCounters) -> Option<Standing> {
    let (user, program) = member(item)?;
    let tallies = counters.tallies(item);
    Some(Standing {
        user: UserId::stored(user).ok()?,
        program: ProgramId::stored(program).ok()?,
        recent_activities: tallies.week.activities + number(item, &counters.previous_week),
        tallies,
    })
}

fn member(item: &Item) -> Option<(&str, &str)> {
    text(item, attribute::MEMBER).ok()?.split_once('#')
}

fn number(item: &Item, name: &str) -> u64 {
    item.get(name)
        .and_then(|value| value.as_n().ok())
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_default()
}
