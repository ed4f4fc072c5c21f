//! Reading the facts again: all of them in segments, one user's, or those of given keys.

use std::collections::{HashMap, HashSet};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes};
use domain::{Activity, ActivityId, UserId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Unavailable;
use crate::activities::ActivityItem;
use crate::batch_get::{MAX_KEYS, batch_get};
use crate::keys::attribute;
use crate::stream::{Streamed, streamed};

type Item = HashMap<String, AttributeValue>;

/// The table of facts, for reading them again.
#[derive(Clone, Debug)]
pub struct Facts {
    client: Client,
    table: String,
}

/// An accepted activity, and when it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Fact {
    pub activity: Activity,
    pub received_at: Timestamp,
}

/// How far a segment is read: its last item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    user: String,
    id: String,
}

/// Some facts, those of a user adjacent, also across the pages of a segment.
#[derive(Clone, Debug, Default)]
pub struct FactsPage {
    pub facts: Vec<Fact>,
    /// What is in the table and is no activity, by its key.
    pub unreadable: Vec<String>,
    /// Where to go on; `None` at the segment's end.
    pub next: Option<Position>,
}

impl Facts {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// At most `limit` items of one of so many segments, from after a position on, as they are now.
    pub async fn page(
        &self,
        (segment, segments): (i32, i32),
        after: Option<&Position>,
        limit: i32,
    ) -> Result<FactsPage, Unavailable> {
        let output = self
            .client
            .scan()
            .table_name(&self.table)
            .segment(segment)
            .total_segments(segments)
            .limit(limit)
            .consistent_read(true)
            .set_exclusive_start_key(after.map(|after| key(&after.user, &after.id)))
            .send()
            .await
            .map_err(|error| Unavailable::new("reading the facts", error))?;
        let mut page = FactsPage {
            next: output.last_evaluated_key.as_ref().and_then(position),
            ..FactsPage::default()
        };
        for item in output.items.unwrap_or_default() {
            page.take(item);
        }
        Ok(page)
    }

    /// All facts of a user, as they are now.
    pub async fn of_user(&self, user: &UserId) -> Result<Vec<Fact>, Unavailable> {
        let mut pages = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#user = :user")
            .expression_attribute_names("#user", attribute::USER_ID)
            .expression_attribute_values(":user", AttributeValue::S(user.to_string()))
            .consistent_read(true)
            .into_paginator()
            .items()
            .send();
        let mut page = FactsPage::default();
        while let Some(item) = pages.next().await {
            page.take(item.map_err(|error| Unavailable::new("reading a user's facts", error))?);
        }
        Ok(page.facts)
    }

    /// Which of these activities are recorded.
    pub async fn recorded(
        &self,
        activities: &[(UserId, ActivityId)],
    ) -> Result<HashSet<(UserId, ActivityId)>, Unavailable> {
        let mut recorded = HashSet::new();
        for some in activities.chunks(MAX_KEYS) {
            let keys = some.iter().map(|(user, id)| key(user.as_str(), id.as_str()));
            let request = KeysAndAttributes::builder()
                .set_keys(Some(keys.collect()))
                .projection_expression("#user, #id")
                .expression_attribute_names("#user", attribute::USER_ID)
                .expression_attribute_names("#id", attribute::ACTIVITY_ID);
            for item in batch_get(&self.client, &self.table, request).await? {
                recorded.extend(
                    position(&item)
                        .and_then(|Position { user, id }| Some((user.parse().ok()?, id.parse().ok()?))),
                );
            }
        }
        Ok(recorded)
    }
}

impl Fact {
    /// The record by which the stream told of it, for the queue: so that it can be counted once more as if
    /// it had just come.
    pub fn record(&self) -> Result<String, Unavailable> {
        let item = ActivityItem::new(&self.activity, self.received_at);
        let item: Item =
            serde_dynamo::to_item(item).map_err(|error| Unavailable::new("encoding a fact", error))?;
        let image: HashMap<&String, serde_json::Value> = item
            .iter()
            .filter_map(|(name, value)| match value {
                AttributeValue::S(text) => Some((name, json!({ "S": text }))),
                AttributeValue::N(digits) => Some((name, json!({ "N": digits }))),
                // A fact has texts and numbers only.
                _ => None,
            })
            .collect();
        Ok(json!({ "eventName": "INSERT", "dynamodb": { "NewImage": image } }).to_string())
    }

    pub fn key(&self) -> (UserId, ActivityId) {
        (self.activity.user.clone(), self.activity.id.clone())
    }
}

impl FactsPage {
    fn take(&mut self, item: Item) {
        match streamed(&item.clone().into()) {
            Ok(Streamed::Activity {
                activity,
                received_at,
            }) => self.facts.push(Fact {
                activity,
                received_at,
            }),
            Ok(Streamed::Heartbeat { .. }) => {}
            Err(error) => {
                let key = position(&item)
                    .map_or_else(String::new, |Position { user, id }| format!("{user} {id}: "));
                self.unreadable.push(format!("{key}{error}"));
            }
        }
    }
}

fn key(user: &str, id: &str) -> Item {
    Item::from([
        (attribute::USER_ID.to_owned(), AttributeValue::S(user.to_owned())),
        (
            attribute::ACTIVITY_ID.to_owned(),
            AttributeValue::S(id.to_owned()),
        ),
    ])
}

fn position(item: &Item) -> Option<Position> {
    let text = |name: &str| item.get(name)?.as_s().ok().cloned();
    Some(Position {
        user: text(attribute::USER_ID)?,
        id: text(attribute::ACTIVITY_ID)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::parse;

    #[test]
    fn a_fact_told_again_is_read_as_the_stream_s_own_record() {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut page = FactsPage::default();
        page.take(Item::from([
            ("user_id".to_owned(), text("ann")),
            ("activity_id".to_owned(), text("a1")),
            ("program_id".to_owned(), text("p")),
            ("kind".to_owned(), text("task_completed")),
            ("occurred_at".to_owned(), text("2026-11-21T09:00:00Z")),
            ("received_at".to_owned(), text("2026-11-21T09:00:01Z")),
            ("schema_version".to_owned(), AttributeValue::N("1".to_owned())),
            ("metadata".to_owned(), text(r#"{"a":1}"#)),
        ]));
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
        let text = |text: &str| AttributeValue::S(text.to_owned());
        let mut page = FactsPage::default();
        page.take(Item::from([
            ("user_id".to_owned(), text("~heartbeat")),
            ("activity_id".to_owned(), text("2026-11-21T09:00:00.000Z")),
        ]));
        page.take(Item::from([
            ("user_id".to_owned(), text("ann")),
            ("activity_id".to_owned(), text("a1")),
        ]));
        assert!(page.facts.is_empty());
        assert_eq!(page.unreadable, ["ann a1: schema_version is missing"]);
    }
}
