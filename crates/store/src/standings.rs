//! Reading the standings.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::counters::Counters;
use domain::{CalendarDay, Period, ProgramId, Standing, UserId};

use crate::error::{self, StoreError};
use crate::generations::{self, Generations};
use crate::item::{self, Item, text};
use crate::keys::{self, CountGeneration, STANDINGS_KEY, ShardCount, StandingKey, attribute};
use crate::ledger::{InvalidLedger, Ledger, Version};
use crate::people;
use crate::quality::{self, Quality};
use crate::requests::{get_item, item_of, query_members};

/// The table of standings, for reading. Every read is consistent: it includes everything counted before, so
/// no published points are lower than those published before them.
#[derive(Clone, Debug)]
pub struct Standings {
    pub(crate) client: Client,
    pub(crate) table: String,
    shards: ShardCount,
}

/// A standing as it is stored, even if its ledger is corrupt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    pub version: Option<Version>,
    pub ledger: Result<Ledger, InvalidLedger>,
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

    /// The groups of these shards and of the partitions of their people, each readable on its own: see
    /// [`people::groups`].
    pub fn groups(&self) -> Vec<(Vec<usize>, Vec<u16>)> {
        people::groups(self.shards)
    }

    /// Whether a user's standings belong in a shard.
    pub fn is_in(&self, shard: &str, generation: CountGeneration, user: &UserId) -> bool {
        keys::of_user(generation, self.shards, user).0 == shard
    }

    /// Reads one shard in pages of at most 1 MB and passes each to `take`, in order of users: one user's
    /// standings are adjacent, also across pages. The tallies are those of `day` and its week, month and season, and
    /// those of the periods in `past`. Returns the read units it consumed.
    pub async fn read_shard(
        &self,
        shard: String,
        day: CalendarDay,
        past: &[Period],
        mut take: impl FnMut(Vec<Standing>),
    ) -> Result<f64, StoreError> {
        let standing = |item: &Item, shard: &str| {
            let (user, program, counters) = self.decoded(item, shard, Ledger::counters_of_item)?;
            Ok(Standing {
                user,
                program,
                tallies: counters.tallies(day),
                recent_activities: counters.recent_activities(day.date),
                past: past.iter().map(|period| counters.in_period(*period)).collect(),
                lasts: counters.lasts_on(day),
                late: counters.into_late(),
            })
        };
        self.read_items(&shard, |items| {
            let standings = items.iter().map(|item| standing(item, &shard));
            let standings: Result<Vec<_>, StoreError> = standings.collect();
            standings.map(&mut take)
        })
        .await
    }

    /// Reads the ledgers of one shard, as [`Self::read_shard`] does.
    pub async fn read_ledgers(
        &self,
        shard: String,
        mut take: impl FnMut(UserId, ProgramId, Ledger),
    ) -> Result<(), StoreError> {
        let read = self.read_items(&shard, |items| {
            for item in items {
                let (user, program, ledger) = self.decoded(&item, &shard, Ledger::of_item)?;
                take(user, program, ledger);
            }
            Ok(())
        });
        read.await.map(drop)
    }

    /// Reads whose standings are in one shard.
    pub async fn read_members(
        &self,
        shard: String,
        mut take: impl FnMut(Vec<(UserId, ProgramId)>),
    ) -> Result<(), StoreError> {
        let read = self.read_items(&shard, |items| {
            take(items.iter().filter_map(member).collect());
            Ok(())
        });
        read.await.map(drop)
    }

    /// Reads the members and the ledgers of a shard. The rest is a third of the time that decoding takes.
    async fn read_items(
        &self,
        shard: &str,
        mut take: impl FnMut(Vec<Item>) -> Result<(), StoreError>,
    ) -> Result<f64, StoreError> {
        let mut pages = query_members(&self.client, &self.table, shard, None)
            .projection_expression("#member, #ledger")
            .expression_attribute_names("#member", attribute::MEMBER)
            .expression_attribute_names("#ledger", attribute::LEDGER)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .into_paginator()
            .send();
        let mut read_units = 0.0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StoreError::unavailable("reading standings", error))?;
            let consumed = page
                .consumed_capacity
                .and_then(|consumed| consumed.capacity_units);
            read_units += consumed.unwrap_or_default();
            take(page.items.unwrap_or_default())?;
        }
        Ok(read_units)
    }

    /// One user's counters in each of their programs.
    pub async fn of_user(
        &self,
        generation: CountGeneration,
        user: &UserId,
    ) -> Result<BTreeMap<ProgramId, Counters>, StoreError> {
        let items = self.items_of_user(generation, user).await?;
        let (shard, _) = keys::of_user(generation, self.shards, user);
        let counters = items.iter().map(|item| {
            let (_, program, counters) = self.decoded(item, &shard, Ledger::counters_of_item)?;
            Ok((program, counters))
        });
        counters.collect()
    }

    /// One user's standings as they are stored.
    pub async fn kept_of_user(
        &self,
        generation: CountGeneration,
        user: &UserId,
    ) -> Result<BTreeMap<ProgramId, Kept>, StoreError> {
        let items = self.items_of_user(generation, user).await?;
        let kept = |item: &Item| {
            let kept = Kept {
                version: Version::of_item(item),
                ledger: Ledger::of_item(item),
            };
            Some((member(item)?.1, kept))
        };
        Ok(items.iter().filter_map(kept).collect())
    }

    /// The items of one user's standings.
    pub(crate) async fn items_of_user(
        &self,
        generation: CountGeneration,
        user: &UserId,
    ) -> Result<Vec<Item>, StoreError> {
        let (shard, prefix) = keys::of_user(generation, self.shards, user);
        let mut pages = query_members(&self.client, &self.table, &shard, Some(prefix))
            .into_paginator()
            .items()
            .send();
        let mut items = Vec::new();
        while let Some(item) = pages.next().await {
            items.push(item.map_err(|error| StoreError::unavailable("reading a user's standings", error))?);
        }
        Ok(items)
    }

    /// One user's counters in one program; `None` if the user has none.
    pub async fn counters(
        &self,
        generation: CountGeneration,
        user: &UserId,
        program: &ProgramId,
    ) -> Result<Option<Counters>, StoreError> {
        let standing = StandingKey::new(generation, self.shards, user.clone(), program.clone());
        let ledger = self.ledger(&standing).await?;
        Ok(ledger.map(|ledger| ledger.counters))
    }

    /// The ledger of a standing; `None` if there is none.
    pub async fn ledger(&self, standing: &StandingKey) -> Result<Option<Ledger>, StoreError> {
        let shard = standing.partition();
        let key = item::key(STANDINGS_KEY, &shard, &standing.member());
        let answer = get_item(&self.client, &self.table, key).send().await;
        let item = item_of("reading a standing", answer)?;
        item.map(|item| Ok(self.decoded(&item, &shard, Ledger::of_item)?.2))
            .transpose()
    }

    /// The user and the program of an item, and what `decode` makes of it.
    fn decoded<Decoded>(
        &self,
        item: &Item,
        shard: &str,
        decode: impl Fn(&Item) -> Result<Decoded, InvalidLedger>,
    ) -> Result<(UserId, ProgramId, Decoded), StoreError> {
        let corrupt = |cause: anyhow::Error| {
            let key = item::key(STANDINGS_KEY, shard, text(item, attribute::MEMBER).unwrap_or("?"));
            let subject = error::named(&self.table, &key, STANDINGS_KEY);
            StoreError::corrupt("decoding a standing", subject, cause)
        };
        let decoded = decode(item).map_err(|error| corrupt(error.into()))?;
        let member =
            member(item).ok_or_else(|| corrupt(anyhow::anyhow!("its key names no user and program")))?;
        Ok((member.0, member.1, decoded))
    }
}

/// The user and the program of an item.
pub(crate) fn member(item: &Item) -> Option<(UserId, ProgramId)> {
    keys::of_member(text(item, attribute::MEMBER).ok()?)
}
