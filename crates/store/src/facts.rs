//! Reading stored facts: all of them in segments, those of one user, or those with given keys.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::{Fact, FactKey, UserId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::{self, StoreError};
use crate::item::{self, Item, string, text};
use crate::keys::{ACTIVITIES_KEY, attribute};
use crate::requests::{get_item, item_of, scan_segment};
use crate::stream::{Streamed, streamed};

/// The table of activities, for reading facts.
#[derive(Clone, Debug)]
pub struct Facts {
    client: Client,
    table: String,
}

/// A fact, and when ingestion received it.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredFact {
    pub fact: Fact,
    pub received_at: Timestamp,
}

/// How far a segment is read: the key of the last item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    user: String,
    id: String,
}

/// Some facts of a segment. The facts of one user are adjacent, also across pages.
#[derive(Clone, Debug, Default)]
pub struct FactsPage {
    pub facts: Vec<StoredFact>,
    /// Items that are not facts: the key of each, and the reason.
    pub unreadable: Vec<String>,
    /// Where to continue; `None` at the end of the segment.
    pub next: Option<Position>,
}

/// Facts of a user, in the order of the query.
#[derive(Clone, Debug)]
pub struct FactsOfUser {
    pub facts: Vec<StoredFact>,
    /// Whether the user has no others.
    pub are_all: bool,
    pub read_units: f64,
}

impl StoredFact {
    pub(crate) fn position(&self) -> Position {
        Position {
            user: self.fact.user().to_string(),
            id: self.fact.id().as_str().to_owned(),
        }
    }
}

impl Position {
    pub(crate) fn is_of(&self, user: &UserId) -> bool {
        self.user == user.as_str()
    }
}

impl Facts {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Reads at most `limit` items of one of several segments, consistently, starting after a position.
    pub async fn page(
        &self,
        segment: (i32, i32),
        after: Option<&Position>,
        limit: i32,
    ) -> Result<FactsPage, StoreError> {
        let after = after.map(|after| key(&after.user, &after.id));
        let output = scan_segment(&self.client, &self.table, segment, after, limit)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::unavailable("reading the facts", error))?;
        let mut page = FactsPage {
            next: output.last_evaluated_key.as_ref().and_then(position),
            ..FactsPage::default()
        };
        for item in output.items.unwrap_or_default() {
            page.add(&item);
        }
        Ok(page)
    }

    /// Reads all facts of a user, consistently.
    pub async fn of_user(&self, user: &UserId) -> Result<Vec<StoredFact>, StoreError> {
        Ok(self.of_user_metered(user).await?.0)
    }

    /// Reads all facts of a user, consistently, and says how many read units that took.
    pub(crate) async fn of_user_metered(&self, user: &UserId) -> Result<(Vec<StoredFact>, f64), StoreError> {
        let read = read(self.of(user), usize::MAX).await?;
        Ok((read.facts, read.read_units))
    }

    /// Reads those facts of a user whose ids sort last, with eventual consistency: at most as many as are in `pages_max` pages
    /// of 1 MB. Corrections sort after all activities, so no activity is read without its void.
    pub async fn last_of_user(&self, user: &UserId, pages_max: usize) -> Result<FactsOfUser, StoreError> {
        let query = self.of(user).consistent_read(false).scan_index_forward(false);
        read(query, pages_max).await
    }

    /// All facts of a user as they are stored, with their metadata as JSON.
    pub async fn items_of_user(&self, user: &UserId) -> Result<Vec<Map<String, Value>>, StoreError> {
        let mut pages = self.of(user).into_paginator().items().send();
        let mut facts = Vec::new();
        while let Some(item) = pages.next().await {
            let item = item.map_err(|error| StoreError::unavailable("reading a user's facts", error))?;
            let subject = error::named(&self.table, &item, ACTIVITIES_KEY);
            let fact: Result<Map<String, Value>, _> = serde_dynamo::from_item(item);
            let mut fact = fact.map_err(|error| StoreError::corrupt("decoding a fact", subject, error))?;
            if let Some(Value::String(text)) = fact.get("metadata")
                && let Ok(metadata) = serde_json::from_str(text)
            {
                fact.insert("metadata".to_owned(), metadata);
            }
            facts.push(fact);
        }
        Ok(facts)
    }

    /// Whether a user has any item in the table, consistently.
    pub async fn has_any(&self, user: &UserId) -> Result<bool, StoreError> {
        let found = self.of(user).limit(1).send().await;
        let found = found.map_err(|error| StoreError::unavailable("looking for a user's facts", error))?;
        Ok(found.count > 0)
    }

    /// The fact with this key, consistently; `None` if it is not recorded.
    pub async fn get(&self, fact: &FactKey) -> Result<Option<StoredFact>, StoreError> {
        let key = key(fact.user.as_str(), fact.id.as_str());
        let answer = get_item(&self.client, &self.table, key).send().await;
        let Some(item) = item_of("reading a fact", answer)? else {
            return Ok(None);
        };
        let mut page = FactsPage::default();
        page.add(&item);
        Ok(page.facts.pop())
    }

    /// A consistent query for all items of a user.
    pub(crate) fn of(&self, user: &UserId) -> QueryFluentBuilder {
        self.client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#user = :user")
            .expression_attribute_names("#user", attribute::USER_ID)
            .expression_attribute_values(":user", string(user.as_str()))
            .consistent_read(true)
    }
}

/// Reads at most so many pages of a user's facts.
async fn read(query: QueryFluentBuilder, pages_max: usize) -> Result<FactsOfUser, StoreError> {
    let query = query.return_consumed_capacity(ReturnConsumedCapacity::Total);
    let mut pages = query.into_paginator().send();
    let (mut facts, mut read_units) = (FactsPage::default(), 0.0);
    let mut are_all = true;
    for _ in 0..pages_max {
        let Some(page) = pages.next().await else { break };
        let page = page.map_err(|error| StoreError::unavailable("reading a user's facts", error))?;
        are_all = page.last_evaluated_key.is_none();
        let consumed = page
            .consumed_capacity
            .and_then(|consumed| consumed.capacity_units);
        read_units += consumed.unwrap_or_default();
        for item in page.items.unwrap_or_default() {
            facts.add(&item);
        }
    }
    Ok(FactsOfUser {
        facts: facts.facts,
        are_all,
        read_units,
    })
}

impl FactsPage {
    /// Adds a fact, or the reason why an item is not one. Heartbeats are skipped.
    fn add(&mut self, item: &Item) {
        match streamed(item) {
            Ok(Streamed::Fact { fact, received_at }) => self.facts.push(StoredFact { fact, received_at }),
            Ok(Streamed::Heartbeat { .. }) => {}
            Err(error) => {
                let key =
                    position(item).map_or_else(String::new, |Position { user, id }| format!("{user} {id}: "));
                self.unreadable.push(format!("{key}{error}"));
            }
        }
    }
}

fn key(user: &str, id: &str) -> Item {
    item::key(ACTIVITIES_KEY, user, id)
}

fn position(item: &Item) -> Option<Position> {
    Some(Position {
        user: text(item, attribute::USER_ID).ok()?.to_owned(),
        id: text(item, attribute::ACTIVITY_ID).ok()?.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(attributes: &[(&str, &str)]) -> Item {
        let attributes = attributes.iter();
        attributes
            .map(|(name, text)| ((*name).to_owned(), string(*text)))
            .collect()
    }

    #[test]
    fn heartbeats_are_no_facts_and_what_cannot_be_read_is_told() {
        let mut page = FactsPage::default();
        page.add(&item(&[
            ("user_id", "~heartbeat"),
            ("activity_id", "2026-11-21T09:00:00.000Z"),
        ]));
        page.add(&item(&[("user_id", "ann"), ("activity_id", "a1")]));
        assert!(page.facts.is_empty());
        assert_eq!(page.unreadable, ["ann a1: schema_version is missing"]);
    }
}
