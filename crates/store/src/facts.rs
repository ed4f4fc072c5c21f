//! Reading stored facts: all of them in segments, those of one user, or those with given keys.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use domain::{Activity, ActivityId, ActivityKey, UserId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::activities::ActivityItem;
use crate::batch_get::{MAX_KEYS, batch_get};
use crate::error::StoreError;
use crate::item::{self, Item, string, text};
use crate::keys::{ACTIVITIES_KEY, attribute};
use crate::requests::scan_segment;
use crate::stream::{Streamed, streamed};

/// The table of activities, for reading facts.
#[derive(Clone, Debug)]
pub struct Facts {
    client: Client,
    table: String,
}

/// An accepted activity, and when ingestion received it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub activity: Activity,
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
    pub facts: Vec<Fact>,
    /// Items that are not activities: the key of each, and the reason.
    pub unreadable: Vec<String>,
    /// Where to continue; `None` at the end of the segment.
    pub next: Option<Position>,
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
    pub async fn of_user(&self, user: &UserId) -> Result<Vec<Fact>, StoreError> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#user = :user")
            .expression_attribute_names("#user", attribute::USER_ID)
            .expression_attribute_values(":user", string(user.as_str()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut page = FactsPage::default();
        while let Some(item) = pages.next().await {
            page.add(&item.map_err(|error| StoreError::unavailable("reading a user's facts", error))?);
        }
        Ok(page.facts)
    }

    /// Which of these activities are recorded.
    pub async fn recorded(&self, activities: &[ActivityKey]) -> Result<HashSet<ActivityKey>, StoreError> {
        let mut recorded = HashSet::new();
        for some in activities.chunks(MAX_KEYS) {
            let keys = some
                .iter()
                .map(|activity| key(activity.user.as_str(), activity.id.as_str()));
            let request = KeysAndAttributes::builder()
                .set_keys(Some(keys.collect()))
                .projection_expression("#user, #id")
                .expression_attribute_names("#user", attribute::USER_ID)
                .expression_attribute_names("#id", attribute::ACTIVITY_ID);
            for item in batch_get(&self.client, &self.table, request).await? {
                recorded.extend(position(&item).and_then(|Position { user, id }| {
                    Some(ActivityKey {
                        user: UserId::stored(&user).ok()?,
                        id: ActivityId::stored(&id).ok()?,
                    })
                }));
            }
        }
        Ok(recorded)
    }
}

impl Fact {
    /// The stream record of this fact. Sent to the queue again, it is counted like a new activity.
    pub fn record(&self) -> Result<String, StoreError> {
        let item = ActivityItem::new(&self.activity, self.received_at).into_item()?;
        let image: HashMap<&String, serde_json::Value> = item
            .iter()
            .filter_map(|(name, value)| match value {
                AttributeValue::S(text) => Some((name, json!({ "S": text }))),
                AttributeValue::N(digits) => Some((name, json!({ "N": digits }))),
                // A fact has only strings and numbers.
                _ => None,
            })
            .collect();
        Ok(json!({ "eventName": "INSERT", "dynamodb": { "NewImage": image } }).to_string())
    }

    pub fn key(&self) -> ActivityKey {
        self.activity.key()
    }
}

impl FactsPage {
    /// Adds a fact, or the reason why an item is not one. Heartbeats are skipped.
    fn add(&mut self, item: &Item) {
        match streamed(item) {
            Ok(Streamed::Activity {
                activity,
                received_at,
            }) => self.facts.push(Fact {
                activity,
                received_at,
            }),
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
    use crate::stream::parse;

    fn item(attributes: &[(&str, &str)]) -> Item {
        let attributes = attributes.iter();
        attributes
            .map(|(name, text)| ((*name).to_owned(), string(*text)))
            .collect()
    }

    #[test]
    fn a_fact_told_again_is_read_as_the_stream_s_own_record() {
        let mut page = FactsPage::default();
        let mut fact = item(&[
            ("user_id", "ann"),
            ("activity_id", "a1"),
            ("program_id", "p"),
            ("kind", "task_completed"),
            ("occurred_at", "2026-11-21T09:00:00Z"),
            ("received_at", "2026-11-21T09:00:01Z"),
            ("metadata", r#"{"a":1}"#),
        ]);
        fact.insert("schema_version".to_owned(), AttributeValue::N("1".to_owned()));
        page.add(&fact);
        let fact = &page.facts[0];
        let record = fact.record().unwrap();
        let Ok(Streamed::Activity {
            activity,
            received_at,
        }) = parse(&record)
        else {
            panic!("{record}");
        };
        assert_eq!((&activity, received_at), (&fact.activity, fact.received_at));
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
