//! Those who post activities, and those who correct them.

use domain::{Fact, FactId, Kind};
use jiff::SignedDuration;
use rand::RngExt as _;
use serde_json::json;
use store::StoredFact;
use store::stream::{Streamed, parse};

use super::{USERS, World};
use crate::tell;

/// Enough activities of one standing at once that the ledger spills.
const BURST: usize = 20;
/// An ingestion whose clock is behind by up to so many seconds.
const SLOW_CLOCK: i64 = 100_000;
const PROGRAMS: [&str; 2] = ["p", "q"];
const KINDS: [&str; 6] = [
    "task_completed",
    "program_check_in",
    "learning_milestone",
    "quiz",
    "walk",
    "award",
];

impl World {
    /// A client posts, sometimes many activities at once. The condition of the put prevents a repeat from
    /// becoming a fact and a stream record.
    pub(super) fn post(&mut self) {
        let user = USERS[self.random.random_range(0..USERS.len())];
        let program = PROGRAMS[self.random.random_range(0..PROGRAMS.len())];
        let count = [1, 1, 3, BURST][self.random.random_range(0..4)];
        let behind = [0, 0, 0, self.random.random_range(0..SLOW_CLOCK)][self.random.random_range(0..4)];
        let received_at = self.received_at(user, self.now - SignedDuration::from_secs(behind));
        for _ in 0..count {
            let kind: Kind = KINDS[self.random.random_range(0..KINDS.len())]
                .parse()
                .expect("a kind");
            // Half of the activities are from the last 24 hours.
            let hours_max = [24, 1_500][self.random.random_range(0..2)];
            let occurred_at =
                received_at - SignedDuration::from_hours(self.random.random_range(0..hours_max));
            if self.configured.scoring_policy.worth(&kind, occurred_at).is_err() {
                tell(format_args!("{kind} is refused"));
                continue;
            }
            let id = format!("a{}", self.accepted.len());
            let mut image = json!({
                "user_id": {"S": user},
                "activity_id": {"S": id},
                "program_id": {"S": program},
                "kind": {"S": kind.as_str()},
                "occurred_at": {"S": occurred_at.to_string()},
                "received_at": {"S": received_at.to_string()},
                "schema_version": {"N": "1"},
            });
            match kind.as_str() {
                "walk" => {
                    let steps = self.random.random_range(0..6_000);
                    image["quantity"] = json!({"N": steps.to_string()});
                }
                "award" => {
                    let points = self.random.random_range(0..=25);
                    image["points"] = json!({"N": points.to_string()});
                }
                _ => {}
            }
            self.accept(&image);
        }
        tell(format_args!(
            "{user} posts {count} for {program}, received at {received_at}"
        ));
    }

    /// A fact is stored, and the stream has its record.
    fn accept(&mut self, image: &serde_json::Value) {
        let record = json!({"eventName": "INSERT", "dynamodb": {"NewImage": image}}).to_string();
        let Ok(Streamed::Fact { fact, received_at }) = parse(&record) else {
            panic!("what is stored is no fact: {record}");
        };
        self.facts.push(StoredFact { fact, received_at });
        self.accepted.extend(self.facts.last().cloned());
        self.records.push(record);
    }

    /// An admin takes an activity out, of which there is one void, or adds points. Its record may overtake that of
    /// the activity.
    pub(super) fn correct(&mut self) {
        if !self.has_corrections || self.facts.is_empty() {
            return;
        }
        self.publishing.expect_fewer();
        let behind = [0, 0, 0, self.random.random_range(0..SLOW_CLOCK)][self.random.random_range(0..4)];
        let mut received_at = self.now - SignedDuration::from_secs(behind);
        let at = self.random.random_range(0..self.facts.len());
        let number = self.accepted.len();
        let voided = match &self.facts[at].fact {
            Fact::Activity(activity) if self.random.random_range(0..4) > 0 => Some(activity.id.clone()),
            _ => None,
        };
        let mut image = if let Some(activity) = voided {
            let id = FactId::of_void(&activity);
            let (user, fact) = (self.facts[at].fact.user(), &self.facts[at]);
            let at = self.accepted.iter().position(|accepted| accepted == fact);
            let record = &self.records[at.expect("what is stored was accepted")];
            if self
                .facts
                .iter()
                .any(|stored| stored.fact.id() == id && stored.fact.user() == user)
            {
                return tell(format_args!("{activity} of {user} is void already"));
            }
            let record: serde_json::Value = serde_json::from_str(record).expect("a record");
            let mut image = record["dynamodb"]["NewImage"].clone();
            image["activity_received_at"] = image["received_at"].clone();
            image["activity_id"] = json!({"S": id.as_str()});
            let user = user.as_str().to_owned();
            received_at = self.received_at(&user, received_at);
            tell(format_args!(
                "{activity} of {user} is void, received at {received_at}"
            ));
            image
        } else {
            let user = USERS[self.random.random_range(0..USERS.len())];
            let program = PROGRAMS[self.random.random_range(0..PROGRAMS.len())];
            let points = self.random.random_range(-50..50);
            let hours = self.random.random_range(0..200);
            received_at = self.received_at(user, received_at);
            let occurred_at = received_at - SignedDuration::from_hours(hours);
            tell(format_args!("{user} gets {points} in {program} at {occurred_at}"));
            json!({
                "user_id": {"S": user},
                "activity_id": {"S": format!("~adjust c{number}")},
                "program_id": {"S": program},
                "points": {"N": points.to_string()},
                "occurred_at": {"S": occurred_at.to_string()},
                "schema_version": {"N": "1"},
            })
        };
        let common = json!({
            "correction_id": {"S": format!("c{number}")},
            "reason": {"S": "agreed"},
            "received_at": {"S": received_at.to_string()},
        });
        for (name, value) in common.as_object().expect("an object") {
            image[name] = value.clone();
        }
        self.accept(&image);
    }
}
