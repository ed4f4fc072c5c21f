//! Quests and facts as tests write them.

use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;

use super::{Activities, Coin, Quest, coins};
use crate::activity::{Activity, Metadata};
use crate::calendar::Calendar;
use crate::fact::Fact;
use crate::policy::ScoringPolicy;

/// The quest q with a coin, and with these fields.
pub fn quest(fields: &str) -> Quest {
    let json = format!(r#"{{"id":"q","version":1,"title":"Q","coin":{{"name":"C","value":1}},{fields}}}"#);
    let raw: &RawValue = serde_json::from_str(&json).unwrap();
    Quest::parse(raw).unwrap_or_else(|rejection| panic!("{}: {json}", rejection.detail))
}

/// Each kind is worth points; `rare` has a cap for the day, `free` is worth nothing.
pub fn policy() -> ScoringPolicy {
    let points = r#"{"k":10,"other":5,"rare":{"points":50,"max_per_day":50},"free":0,"steps":{"per":1000,"points":2}}"#;
    let policy = format!(r#"[{{"effective_from":"1970-01-01T00:00:00Z","points":{points}}}]"#);
    policy.parse().unwrap()
}

/// Activities as `ID TIME [KIND [PROGRAM [METADATA]]]`, separated by semicolons.
pub fn activities(text: &str) -> Vec<Activity> {
    let written = text.split(';').map(str::trim).filter(|text| !text.is_empty());
    let activities = written.map(|text| {
        let mut words = text.split_whitespace();
        let mut word = |missing| words.next().unwrap_or(missing).to_owned();
        Activity {
            user: "ann".parse().unwrap(),
            id: word("").parse().unwrap(),
            occurred_at: word("").parse().unwrap(),
            kind: word("k").parse().unwrap(),
            program: word("p").parse().unwrap(),
            amount: None,
            metadata: words.next().map(|json| Metadata::stored(json.to_owned())),
            origin: None,
        }
    });
    activities.collect()
}

/// Facts, each received a minute after the one before.
pub fn received(facts: impl IntoIterator<Item = Fact>) -> Vec<(Fact, Timestamp)> {
    let minutes = (0..).map(|minute| Timestamp::UNIX_EPOCH + SignedDuration::from_mins(minute));
    facts.into_iter().zip(minutes).collect()
}

pub fn calendar(zone: &str) -> Calendar {
    zone.parse().unwrap()
}

pub fn evaluated(quest: &Quest, zone: &str, facts: &[(Fact, Timestamp)]) -> Vec<Coin> {
    let facts = facts.iter().map(|(fact, received_at)| (fact, *received_at));
    coins(quest, &Activities::new(facts, &calendar(zone), &policy()))
}

/// Coins as `PERIOD by FOUND_BY: EVIDENCE`.
pub fn shown(coins: &[Coin]) -> String {
    let coins = coins.iter().map(|coin| {
        let evidence: Vec<_> = coin.evidence.iter().map(ToString::to_string).collect();
        let period = coin.period.to_string();
        let separator = if period.is_empty() { "" } else { " " };
        format!("{period}{separator}by {}: {}", coin.found_by, evidence.join(" "))
    });
    coins.collect::<Vec<_>>().join("; ")
}
