//! Requests that only measurements make: numbers of standings that counting would take hours to reach,
//! and look-ups of markers next to the normal path. They are bodies of `DynamoDB`'s JSON protocol for
//! the embedded tables in the same process.

use std::collections::{BTreeMap, HashMap};

use domain::{ActivityKey, Period, ProgramId, Standing, Tally};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use store::keys::{self, CountGeneration, ShardCount, attribute};
use store::standings::CurrentCounters;

/// `DynamoDB`'s limit for one `BatchWriteItem`.
pub const MAX_PUTS: usize = 25;

/// `DynamoDB`'s limit for one `BatchGetItem`.
pub const MAX_GETS: usize = 100;

/// The key of a marker.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(transparent)]
pub struct MarkerKey(String);

impl MarkerKey {
    pub fn of(activity: &ActivityKey) -> Self {
        Self(keys::marker_key(CountGeneration::FIRST, activity))
    }
}

/// A `BatchWriteItem` that puts at most [`MAX_PUTS`] standings in the form that counting leaves. A
/// window without activities has no counter.
pub fn put_standings(
    table: &str,
    shards: ShardCount,
    counters: &CurrentCounters,
    standings: &[Standing],
) -> Value {
    put(
        table,
        standings.iter().map(|standing| {
            let shard = shards.shard_of(CountGeneration::FIRST, &standing.user);
            let mut item = key(&shard, &keys::member_key(&standing.user, &standing.program));
            for (window, points, activities) in counters.named() {
                add_counters(&mut item, points, activities, standing.tallies.get(window));
            }
            item
        }),
    )
}

/// A `BatchWriteItem` that puts the control totals of at most [`MAX_PUTS`] programs, in one lane.
pub fn put_totals(table: &str, totals: &BTreeMap<ProgramId, Tally>) -> Value {
    let lane = keys::totals_key(CountGeneration::FIRST, 0);
    put(
        table,
        totals.iter().map(|(program, tally)| {
            let mut item = key(&lane, program.as_str());
            add_counters(&mut item, attribute::POINTS, attribute::ACTIVITIES, *tally);
            item
        }),
    )
}

/// Adds counters of earlier days to the standings of a [`put_standings`]: each day to one in `one_in`.
pub fn add_earlier_days(put: &mut Value, table: &str, days: &[Period], one_in: usize) {
    let puts = put["RequestItems"][table].as_array_mut().into_iter().flatten();
    for (number, put) in puts.enumerate() {
        if let Some(item) = put["PutRequest"]["Item"].as_object_mut() {
            let active = days
                .iter()
                .enumerate()
                .filter(|(day, _)| (number + day) % one_in == 0);
            item.extend(active.map(|(_, day)| (day.to_string(), json!({ "N": "25" }))));
        }
    }
}

/// A `BatchGetItem` for at most [`MAX_GETS`] markers.
pub fn find_markers<'a>(table: &str, markers: impl Iterator<Item = &'a MarkerKey>) -> Value {
    let keys: Vec<_> = markers
        .map(|MarkerKey(marker)| json!({ attribute::ACTIVITY: { "S": marker } }))
        .collect();
    json!({ "RequestItems": { table: { "Keys": keys, "ConsistentRead": true } } })
}

/// The markers in the answer to [`find_markers`], without those that do not exist.
pub fn found_markers(answer: &[u8]) -> serde_json::Result<Vec<MarkerKey>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    struct Answer {
        responses: HashMap<String, Vec<HashMap<String, Attribute>>>,
    }
    #[derive(Deserialize)]
    struct Attribute {
        #[serde(rename = "S")]
        text: Option<MarkerKey>,
    }
    let answer: Answer = serde_json::from_slice(answer)?;
    let items = answer.responses.into_values().flatten();
    Ok(items
        .filter_map(|mut item| item.remove(attribute::ACTIVITY)?.text)
        .collect())
}

fn put(table: &str, items: impl Iterator<Item = Map<String, Value>>) -> Value {
    let puts: Vec<_> = items
        .map(|item| json!({ "PutRequest": { "Item": item } }))
        .collect();
    json!({ "RequestItems": { table: puts } })
}

fn key(shard: &str, member: &str) -> Map<String, Value> {
    Map::from_iter([
        (attribute::SHARD.to_owned(), json!({ "S": shard })),
        (attribute::MEMBER.to_owned(), json!({ "S": member })),
    ])
}

fn add_counters(item: &mut Map<String, Value>, points: &str, activities: &str, tally: Tally) {
    if tally.activities > 0 {
        item.insert(points.to_owned(), json!({ "N": tally.points.to_string() }));
        item.insert(
            activities.to_owned(),
            json!({ "N": tally.activities.to_string() }),
        );
    }
}

#[cfg(test)]
mod tests {
    use domain::Calendar;
    use domain::standing::Tallies;
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_put_standing_has_the_form_of_a_counted_one() {
        let calendar: Calendar = "UTC".parse().unwrap();
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
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
        };
        let counters = CurrentCounters::at(&calendar, now);
        let body = put_standings("standings", "1".parse().unwrap(), &counters, &[standing]);
        assert_eq!(
            body["RequestItems"]["standings"][0]["PutRequest"]["Item"],
            json!({
                "shard": {"S": "g1#000"},
                "member": {"S": "ann#p"},
                "points": {"N": "30"},
                "activities": {"N": "3"},
                "month 2026-11": {"N": "10"},
                "month 2026-11 activities": {"N": "1"},
            })
        );
    }

    #[test]
    fn markers_that_are_there_are_found() {
        let marker = MarkerKey::of(&ActivityKey {
            user: "ann".parse().unwrap(),
            id: "a1".parse().unwrap(),
        });
        let body = find_markers("dedup", [&marker].into_iter());
        assert_eq!(
            body["RequestItems"]["dedup"]["Keys"],
            json!([{"activity": {"S": "g1#ann#a1"}}])
        );
        let answer = br#"{"Responses":{"dedup":[{"activity":{"S":"g1#ann#a1"},"expires_at":{"N":"9"}}]},"UnprocessedKeys":{}}"#;
        assert_eq!(found_markers(answer).unwrap(), [marker]);
    }
}
