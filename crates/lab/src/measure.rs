//! Requests that only measurements make: numbers of standings that counting would take hours to reach,
//! and look-ups of standings next to the normal path. They are bodies of `DynamoDB`'s JSON protocol for
//! the embedded tables in the same process.

use std::collections::HashMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use domain::counters::{BySeason, Counters, Lasts, Late, Sum};
use domain::intake::SCHEMA_VERSION;
use domain::{Activity, ActivityId, Standing, Tally, Window};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use store::keys::{CountGeneration, ShardCount, StandingKey, attribute};
use store::ledger::{Epoch, KEYS_KEPT, KEYS_MAX, Ledger, LedgerKey};

/// `DynamoDB`'s limit for one `BatchWriteItem`.
pub const MAX_PUTS: usize = 25;

/// `DynamoDB`'s limit for one `BatchGetItem`.
pub const MAX_GETS: usize = 100;

/// A `BatchWriteItem` that puts at most [`MAX_PUTS`] standings in the form that counting leaves on a day.
/// Their ledgers hold as many keys as between two spills.
pub fn put_standings(table: &str, shards: ShardCount, day: Date, standings: &[Standing]) -> Value {
    let puts = standings.iter().map(|standing| {
        let (user, program) = (standing.user.clone(), standing.program.clone());
        let mut item = key(&StandingKey::new(CountGeneration::FIRST, shards, user, program));
        let ledger = ledger(standing, day);
        item.insert(attribute::LEDGER.to_owned(), binary(&ledger.encode()));
        item.insert(attribute::VERSION.to_owned(), binary(&ledger.epoch.0));
        json!({ "PutRequest": { "Item": item } })
    });
    json!({ "RequestItems": { table: puts.collect::<Vec<_>>() } })
}

/// Adds counters of so many earlier days to the standings of a [`put_standings`], as large as those that a
/// ledger has.
pub fn add_earlier_days(put: &mut Value, table: &str, days: usize) {
    const COUNTERS_OF_A_DAY: usize = 12;
    let puts = put["RequestItems"][table].as_array_mut().into_iter().flatten();
    for put in puts {
        if let Some(item) = put["PutRequest"]["Item"].as_object_mut() {
            item.insert("days".to_owned(), binary(&vec![0; days * COUNTERS_OF_A_DAY]));
        }
    }
}

/// The stream record of an activity, as the pipe sends it to the queue.
pub fn stream_record(activity: &Activity, received_at: Timestamp) -> String {
    let image = json!({
        "user_id": { "S": activity.user },
        "activity_id": { "S": activity.id },
        "program_id": { "S": activity.program },
        "kind": { "S": activity.kind },
        "occurred_at": { "S": activity.occurred_at },
        "received_at": { "S": received_at },
        "schema_version": { "N": SCHEMA_VERSION.to_string() },
    });
    json!({ "eventName": "INSERT", "dynamodb": { "NewImage": image } }).to_string()
}

/// A `BatchGetItem` for at most [`MAX_GETS`] standings.
pub fn find_standings<'a>(table: &str, standings: impl Iterator<Item = &'a StandingKey>) -> Value {
    let keys: Vec<_> = standings.map(key).collect();
    json!({ "RequestItems": { table: { "Keys": keys, "ConsistentRead": true } } })
}

/// The places of the standings in the answer to [`find_standings`], without those that do not exist.
pub fn found_members(answer: &[u8]) -> serde_json::Result<Vec<String>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        responses: HashMap<String, Vec<HashMap<String, Attribute>>>,
    }
    #[derive(Deserialize)]
    struct Attribute {
        #[serde(rename = "S")]
        text: Option<String>,
    }
    let answer: Answer = serde_json::from_slice(answer)?;
    let items = answer.responses.into_values().flatten();
    Ok(items
        .filter_map(|mut item| item.remove(attribute::MEMBER)?.text)
        .collect())
}

fn ledger(standing: &Standing, day: Date) -> Ledger {
    let mut counters = Counters::new(day);
    let mut sums = *counters.sums();
    // All time, three days, two weeks, two months.
    for (slot, window) in [
        (0, Window::All),
        (1, Window::Day),
        (4, Window::Week),
        (6, Window::Month),
    ] {
        sums[slot] = sum(standing.tallies.get(window));
    }
    counters = Counters::stored(day, sums, BySeason::new(), Late::new(), Lasts::default());
    let mut ledger = Ledger::new(day, Epoch([7; 8]));
    let activities = standing.tallies.all.activities;
    let between_spills = KEYS_KEPT as u64 + 1 + activities % (KEYS_MAX - KEYS_KEPT) as u64;
    for number in 0..activities.min(between_spills) {
        let received_at = Timestamp::from_second(1_700_000_000 + number.cast_signed()).expect("in range");
        let id: ActivityId = format!("activity-{number}").parse().expect("an id");
        let key = LedgerKey::new(received_at, &(&id).into());
        ledger.count(key, day.into(), Sum::default().in_every_window(), None);
    }
    ledger.counters = counters;
    ledger
}

fn sum(Tally { points, activities }: Tally) -> Sum {
    Sum {
        points,
        activities: activities.cast_signed(),
    }
}

fn binary(bytes: &[u8]) -> Value {
    json!({ "B": STANDARD.encode(bytes) })
}

fn key(standing: &StandingKey) -> Map<String, Value> {
    Map::from_iter([
        (attribute::SHARD.to_owned(), json!({ "S": standing.partition() })),
        (attribute::MEMBER.to_owned(), json!({ "S": standing.member() })),
    ])
}

#[cfg(test)]
mod tests {
    use domain::PerWindow;
    use domain::standing::Tallies;

    use super::*;

    #[test]
    fn a_put_standing_is_read_as_what_was_put() {
        let tally = |points, activities| Tally { points, activities };
        let standing = Standing {
            user: "ann".parse().unwrap(),
            program: "p".parse().unwrap(),
            tallies: Tallies {
                all: tally(30, 3),
                month: tally(10, 1),
                ..Tallies::default()
            },
            recent_activities: 0,
            past: Vec::new(),
            late: Late::new(),
            lasts: PerWindow::default(),
        };
        let day: Date = "2026-11-21".parse().unwrap();
        let body = put_standings(
            "standings",
            "1".parse().unwrap(),
            day,
            std::slice::from_ref(&standing),
        );
        let item = &body["RequestItems"]["standings"][0]["PutRequest"]["Item"];
        assert_eq!(
            (&item["shard"]["S"], &item["member"]["S"]),
            (&json!("g1#000"), &json!("ann p"))
        );
        let encoded = STANDARD.decode(item["ledger"]["B"].as_str().unwrap()).unwrap();
        let ledger = Ledger::decode(&encoded).unwrap();
        assert_eq!(ledger.counters.tallies(day.into()), standing.tallies);
        assert_eq!(ledger.keys().len(), 3);
    }

    #[test]
    fn standings_that_are_there_are_found() {
        let (user, program) = ("ann".parse().unwrap(), "p".parse().unwrap());
        let standing = StandingKey::new(CountGeneration::FIRST, "1".parse().unwrap(), user, program);
        let body = find_standings("standings", [&standing].into_iter());
        assert_eq!(
            body["RequestItems"]["standings"]["Keys"],
            json!([{"shard": {"S": "g1#000"}, "member": {"S": "ann p"}}])
        );
        let answer = br#"{"Responses":{"standings":[{"shard":{"S":"g1#000"},"member":{"S":"ann p"}}]},"UnprocessedKeys":{}}"#;
        assert_eq!(found_members(answer).unwrap(), [standing.member()]);
    }
}
