//! The profile of each person in the directory. This table alone holds personal data.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnConsumedCapacity};
use domain::{DisplayName, Person, TeamId, UserId, Visibility};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};

use crate::batch_get::{MAX_KEYS, batch_get};
use crate::error::{self, StoreError};
use crate::item::{self, Item, string, text};
use crate::keys::{PEOPLE_KEY, PEOPLE_PARTITIONS, ShardCount, attribute, people_key, people_partition};
use crate::requests::{get_item, item_of};

const READS_AT_ONCE: usize = 4;

/// The partition, under a user's id in lower case, of those ids that have capitals.
fn capitals_key(user: &UserId) -> String {
    format!("capitals#{}", user.as_str().to_ascii_lowercase())
}

/// The table of people.
#[derive(Clone, Debug)]
pub struct People {
    pub(crate) client: Client,
    pub(crate) table: String,
}

/// What a write did to a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Changed,
    Unchanged,
}

/// One page of the list of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeoplePage {
    pub people: Vec<(UserId, Person)>,
    /// The person after whom the list goes on; `None` at its end.
    pub next: Option<UserId>,
}

impl People {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// The profile of a person; `None` if there is none.
    pub async fn get(&self, user: &UserId) -> Result<Option<Person>, StoreError> {
        let key = item::key(PEOPLE_KEY, &people_key(people_partition(user)), user.as_str());
        let read = get_item(&self.client, &self.table, key).send().await;
        let item = item_of("reading a person", read)?;
        item.map(|item| Ok(self.decoded(&item)?.1)).transpose()
    }

    /// The names of those who have one. A changed name may appear a moment later.
    pub async fn names(
        &self,
        users: impl IntoIterator<Item = &UserId>,
    ) -> Result<HashMap<UserId, DisplayName>, StoreError> {
        let profiles = self.profiles(users).await?.into_iter();
        Ok(profiles
            .filter_map(|(user, person)| Some((user, person.display_name?)))
            .collect())
    }

    /// The profiles of those who have one. A changed one may appear a moment later.
    pub async fn profiles(
        &self,
        users: impl IntoIterator<Item = &UserId>,
    ) -> Result<HashMap<UserId, Person>, StoreError> {
        let keys = users
            .into_iter()
            .map(|user| item::key(PEOPLE_KEY, &people_key(people_partition(user)), user.as_str()));
        let items = self.batch(keys.collect()).await?;
        items.iter().map(|item| self.decoded(item)).collect()
    }

    /// The items with these keys that exist, read with eventual consistency.
    pub(crate) async fn batch(&self, keys: Vec<Item>) -> Result<Vec<Item>, StoreError> {
        let reads = keys.chunks(MAX_KEYS).map(|keys| {
            let request = KeysAndAttributes::builder().set_keys(Some(keys.to_vec()));
            batch_get(&self.client, &self.table, request)
        });
        let items: Vec<Vec<Item>> = stream::iter(reads.collect::<Vec<_>>())
            .buffered(READS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(items.into_iter().flatten().collect())
    }

    /// Creates or replaces a profile.
    pub async fn put(&self, user: &UserId, person: &Person) -> Result<Outcome, StoreError> {
        let outcome = match self.get(user).await? {
            Some(kept) if kept == *person => return Ok(Outcome::Unchanged),
            Some(_) => Outcome::Changed,
            None => Outcome::Created,
        };
        // First, so that whoever is in the directory is found under other capitals.
        if has_capitals(user) {
            let key = item::key(PEOPLE_KEY, &capitals_key(user), user.as_str());
            self.put_item(key).await?;
        }
        let partition = people_key(people_partition(user));
        let mut item = item::key(PEOPLE_KEY, &partition, user.as_str());
        let Person {
            display_name,
            team,
            visibility,
        } = person;
        let mut set = |name: &str, value: &str| item.insert(name.to_owned(), string(value));
        if let Some(name) = display_name {
            set(attribute::DISPLAY_NAME, name.as_str());
        }
        if let Some(team) = team {
            set(attribute::TEAM, team.as_str());
        }
        if *visibility != Visibility::default() {
            set(attribute::VISIBILITY, visibility.as_str());
        }
        self.put_item(item).await?;
        Ok(outcome)
    }

    pub(crate) async fn put_item(&self, item: Item) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let put = put.send().await;
        put.map(drop)
            .map_err(|error| StoreError::unavailable("writing to the directory", error))
    }

    /// Deletes a profile. Doing so again changes nothing.
    pub async fn delete(&self, user: &UserId) -> Result<(), StoreError> {
        let mut partitions = vec![people_key(people_partition(user))];
        if has_capitals(user) {
            partitions.push(capitals_key(user));
        }
        for partition in partitions {
            self.delete_item(item::key(PEOPLE_KEY, &partition, user.as_str()))
                .await?;
        }
        Ok(())
    }

    pub(crate) async fn delete_item(&self, key: Item) -> Result<(), StoreError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(key));
        let delete = delete.send().await;
        delete
            .map(drop)
            .map_err(|error| StoreError::unavailable("deleting from the directory", error))
    }

    /// At most `limit` people whose ids differ from this one only in case. They are other people.
    pub async fn other_case(&self, user: &UserId, limit: i32) -> Result<Vec<UserId>, StoreError> {
        let mut others = Vec::new();
        let lower: Result<UserId, _> = user.as_str().to_ascii_lowercase().parse();
        if let Some(lower) = lower.ok().filter(|lower| lower != user)
            && self.get(&lower).await?.is_some()
        {
            others.push(lower);
        }
        // One more than asked for, since the id itself may be among them.
        let page = self.query(&capitals_key(user)).limit(limit.saturating_add(1));
        let page = page.send().await;
        let page = page.map_err(|error| StoreError::unavailable("reading ids in another case", error))?;
        let ids = page
            .items()
            .iter()
            .filter_map(|item| UserId::stored(text(item, attribute::ID).ok()?).ok());
        others.extend(ids.filter(|id| id != user));
        others.truncate(usize::try_from(limit).unwrap_or_default());
        Ok(others)
    }

    /// The people after one of them, at most `limit`, in an order that does not change.
    pub async fn list(&self, after: Option<&UserId>, limit: u16) -> Result<PeoplePage, StoreError> {
        let mut people: Vec<(UserId, Person)> = Vec::new();
        let first = after.map_or(0, people_partition);
        for partition in first..PEOPLE_PARTITIONS {
            let mut start = after
                .filter(|_| partition == first)
                .map(|after| item::key(PEOPLE_KEY, &people_key(partition), after.as_str()));
            loop {
                let missing = i32::from(limit) - i32::try_from(people.len()).unwrap_or(i32::MAX);
                if missing <= 0 {
                    let next = people.last().map(|(user, _)| user.clone());
                    return Ok(PeoplePage { people, next });
                }
                let query = self.query(&people_key(partition)).consistent_read(true);
                let page = query.limit(missing).set_exclusive_start_key(start).send().await;
                let page = page.map_err(|error| StoreError::unavailable("listing people", error))?;
                for item in page.items() {
                    people.push(self.decoded(item)?);
                }
                start = page.last_evaluated_key;
                if start.is_none() {
                    break;
                }
            }
        }
        Ok(PeoplePage { people, next: None })
    }

    /// Whether neither people nor teams nor programs are in it.
    pub async fn is_empty(&self) -> Result<bool, StoreError> {
        let scan = self.client.scan().table_name(&self.table).limit(1).send().await;
        let scan = scan.map_err(|error| StoreError::unavailable("looking into the directory", error))?;
        Ok(scan.items().is_empty())
    }

    /// Whether someone has a profile. Where many have, one query tells.
    pub async fn has_people(&self) -> Result<bool, StoreError> {
        for partition in 0..PEOPLE_PARTITIONS {
            let first = self.query(&people_key(partition)).limit(1).send().await;
            let first = first.map_err(|error| StoreError::unavailable("looking for people", error))?;
            if !first.items().is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reads one partition in pages of at most 1 MB. Returns the read units it consumed. The read is eventually
    /// consistent, which costs half: a change appears with the next snapshot at the latest.
    pub async fn read_partition(
        &self,
        partition: u16,
        mut take: impl FnMut(UserId, Person),
    ) -> Result<f64, StoreError> {
        let mut pages = self
            .query(&people_key(partition))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .into_paginator()
            .send();
        let mut read_units = 0.0;
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| StoreError::unavailable("reading people", error))?;
            for item in page.items() {
                let (user, person) = self.decoded(item)?;
                take(user, person);
            }
            let consumed = page
                .consumed_capacity
                .and_then(|consumed| consumed.capacity_units);
            read_units += consumed.unwrap_or_default();
        }
        Ok(read_units)
    }

    /// An eventually consistent query for a partition.
    pub(crate) fn query(&self, partition: &str) -> QueryFluentBuilder {
        let query = self.client.query().table_name(&self.table);
        query
            .key_condition_expression("#directory = :partition")
            .expression_attribute_names("#directory", attribute::DIRECTORY)
            .expression_attribute_values(":partition", string(partition))
    }

    fn decoded(&self, item: &Item) -> Result<(UserId, Person), StoreError> {
        decoded(item).map_err(|error| {
            let subject = error::named(&self.table, item, PEOPLE_KEY);
            StoreError::corrupt("decoding a person", subject, error)
        })
    }
}

/// The groups of shards and of partitions that have no user in common with the shards and partitions of another
/// group: in order, the shards of each and its partitions.
pub fn groups(shards: ShardCount) -> Vec<(Vec<usize>, Vec<u16>)> {
    let count = shards.count();
    let groups = greatest_common_divisor(count, PEOPLE_PARTITIONS);
    let group = |group: u16| {
        let of = |count: u16| (group..count).step_by(usize::from(groups));
        (
            of(count).map(usize::from).collect(),
            of(PEOPLE_PARTITIONS).collect(),
        )
    };
    (0..groups).map(group).collect()
}

fn greatest_common_divisor(a: u16, b: u16) -> u16 {
    if b == 0 {
        a
    } else {
        greatest_common_divisor(b, a % b)
    }
}

fn has_capitals(user: &UserId) -> bool {
    user.as_str().bytes().any(|byte| byte.is_ascii_uppercase())
}

fn decoded(item: &Item) -> anyhow::Result<(UserId, Person)> {
    let optional = |name: &str| item.contains_key(name).then(|| text(item, name)).transpose();
    let optional = |name: &str| optional(name).map_err(anyhow::Error::msg);
    let user = UserId::stored(text(item, attribute::ID).map_err(anyhow::Error::msg)?)?;
    let person = Person {
        display_name: optional(attribute::DISPLAY_NAME)?.map(DisplayName::stored),
        team: optional(attribute::TEAM)?.map(TeamId::stored).transpose()?,
        visibility: match optional(attribute::VISIBILITY)? {
            Some(visibility) => visibility.parse()?,
            None => Visibility::default(),
        },
    };
    Ok((user, person))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_and_the_profiles_of_its_users_are_in_one_group() {
        for count in [1, 7, 10, 32, 48, 1_000] {
            let shards = ShardCount::try_from(count).unwrap();
            let groups = groups(shards);
            let all: usize = groups.iter().map(|(shards, _)| shards.len()).sum();
            let partitions: usize = groups.iter().map(|(_, partitions)| partitions.len()).sum();
            assert_eq!(
                (all, partitions),
                (usize::from(count), usize::from(PEOPLE_PARTITIONS))
            );
            for user in (0..500).map(|n| format!("u{n}").parse::<UserId>().unwrap()) {
                let shard = usize::from(shards.shard_of(&user));
                let partition = people_partition(&user);
                let of_both = |(shards, partitions): &&(Vec<usize>, Vec<u16>)| {
                    shards.contains(&shard) && partitions.contains(&partition)
                };
                assert_eq!(
                    groups.iter().filter(of_both).count(),
                    1,
                    "{user} of {count} shards"
                );
            }
        }
        // As many shards as partitions, which is the default, are read side by side.
        assert_eq!(groups(ShardCount::try_from(32).unwrap()).len(), 32);
    }
}
