//! Reads the activities of a file as `podium import` does, and keeps them instead of sending them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::ops::ControlFlow;

use anyhow::ensure;
use client::wire::ITEMS_MAX;
use domain::compose::object;
use domain::intake::{self, Intake, RejectionCode};
use domain::{ActivityId, Fact, UserId, json, timestamp};
use jiff::{SignedDuration, Timestamp};
use serde_json::value::RawValue;
use terminal::text::grouped;

use crate::Source;
use crate::batch::{Batch, Batcher};
use crate::records::{self, Start};
use crate::shape::Shape;
use crate::tally::{Rejection, Tally};

/// Each takes about half a kilobyte of memory.
const ACTIVITIES_MAX: usize = 4_000_000;

const RECEIVED_AT: &str = "received_at";

/// Between records that do not say when they were received.
const STEP: SignedDuration = SignedDuration::from_millis(1);

/// The activities of a file, by person.
#[derive(Default)]
pub struct People {
    facts: BTreeMap<UserId, BTreeMap<ActivityId, (Fact, Timestamp)>>,
    tally: Tally,
    /// When the last record was received.
    received_at: Timestamp,
}

/// Reads a file that is given to a `command`. Records that are no activity are left out and told by
/// [`People::summary`]. Of several activities of a person with one id, the first is kept.
///
/// An activity was received at its `received_at`, which JSON records may have, or else a millisecond after the record
/// before. So without any, the order of receipt is that of the file. One without `occurred_at` occurred when it was
/// received, or else `now`.
pub fn read(source: &Source, command: &str, intake: &Intake, now: Timestamp) -> anyhow::Result<People> {
    let mut people = People::default();
    let batcher = Batcher::new(ITEMS_MAX, |batch| {
        people.add(batch, intake, now);
        if people.is_full() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    records::read(source, command, &Shape::default(), Start::default(), batcher)?;
    ensure!(
        !people.is_full(),
        "{source} has more than {} activities; try the quests on the activities of fewer people",
        grouped(ACTIVITIES_MAX as u64)
    );
    Ok(people)
}

impl People {
    /// Each person with the facts and when they were received.
    pub fn facts(&self) -> impl Iterator<Item = (&UserId, impl Iterator<Item = (&Fact, Timestamp)>)> {
        let people = self.facts.iter();
        people.map(|(user, facts)| {
            (
                user,
                facts.values().map(|(fact, received_at)| (fact, *received_at)),
            )
        })
    }

    /// How many records were taken, repeated or left out, and why.
    pub fn summary(&self) -> &impl fmt::Display {
        &self.tally
    }

    pub fn rejected(&self) -> u64 {
        self.tally.rejected()
    }

    fn is_full(&self) -> bool {
        self.tally.accepted > ACTIVITIES_MAX as u64
    }

    fn add(&mut self, batch: Batch, intake: &Intake, now: Timestamp) {
        for rejection in batch.rejected {
            self.tally.reject(rejection);
        }
        for item in batch.items {
            match self.add_activity(&item.json, intake, now) {
                Ok(true) => self.tally.accepted += 1,
                Ok(false) => self.tally.duplicate += 1,
                Err(rejection) => self.tally.reject(Rejection::refused(item.place, rejection)),
            }
        }
    }

    /// Adds an activity unless the person has one with its id. Returns whether it was added.
    fn add_activity(
        &mut self,
        json: &str,
        intake: &Intake,
        now: Timestamp,
    ) -> Result<bool, intake::Rejection> {
        let (json, received_at) = without_receipt(json)?;
        let raw: &RawValue = serde_json::from_str(&json).expect("it was read before");
        let made_id = || unreachable!("what had no id was given one");
        let activity = intake.parse(raw, received_at.unwrap_or(now), made_id)?;
        self.received_at = received_at.unwrap_or(self.received_at + STEP);
        let facts = self.facts.entry(activity.user.clone()).or_default();
        match facts.entry(activity.id.clone()) {
            Entry::Vacant(vacant) => {
                vacant.insert((Fact::Activity(activity), self.received_at));
                Ok(true)
            }
            Entry::Occupied(_) => Ok(false),
        }
    }
}

/// A record as clients send it, and when it was received if it says so.
fn without_receipt(json: &str) -> Result<(String, Option<Timestamp>), intake::Rejection> {
    let members = json::object(json.as_bytes())?;
    let (mut sent, mut received_at) = (Vec::new(), None);
    for (name, value) in members {
        if name == RECEIVED_AT {
            received_at = Some(time(value)?);
        } else {
            sent.push((name, value.get().to_owned()));
        }
    }
    Ok((object(&sent), received_at))
}

fn time(value: &RawValue) -> Result<Timestamp, intake::Rejection> {
    let rejection = |code, detail: &dyn fmt::Display| intake::Rejection::new(code, RECEIVED_AT, detail);
    let text: String = serde_json::from_str(value.get()).map_err(|_| {
        let detail = format!("must be a string, not {}", json::type_of(value));
        rejection(RejectionCode::WrongType, &detail)
    })?;
    timestamp::parse(&text).map_err(|error| rejection(RejectionCode::InvalidTime, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The facts as `USER ID OCCURRED_AT RECEIVED_AT`, then the rejections.
    #[track_caller]
    fn check(written: &str, expected: &[&str]) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("activities");
        std::fs::write(&file, written).expect("a file");
        let policy = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"k":1}}]"#;
        let intake = Intake {
            policy: policy.parse().expect("a policy"),
            max_age: None,
        };
        let now = "2026-11-21T12:00:00Z".parse().expect("a time");
        let people = read(&Source::File(file), "podium quests try", &intake, now).expect("it is read");
        let mut found = Vec::new();
        for (user, facts) in people.facts() {
            for (fact, received_at) in facts {
                found.push(format!(
                    "{user} {} {} {received_at}",
                    fact.id(),
                    fact.occurred_at()
                ));
            }
        }
        let summary = people.summary().to_string();
        found.extend(
            summary
                .lines()
                .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")),
        );
        assert_eq!(found, expected, "{written}");
    }

    #[test]
    fn activities_are_received_in_the_order_of_the_file() {
        check(
            r#"{"activity_id":"b","user_id":"zoe","program_id":"p","kind":"k","occurred_at":"2026-03-01T00:00:00Z"}
{"activity_id":"a","user_id":"ann","program_id":"p","kind":"k"}
{"activity_id":"b","user_id":"zoe","program_id":"p","kind":"k","occurred_at":"2026-03-09T00:00:00Z"}
{"activity_id":"b","user_id":"ann","program_id":"p","kind":"k","occurred_at":"2026-03-01T00:00:00Z"}
{"activity_id":"c","user_id":"ann","program_id":"p","kind":"unknown"}"#,
            &[
                "ann a 2026-11-21T12:00:00Z 1970-01-01T00:00:00.002Z",
                "ann b 2026-03-01T00:00:00Z 1970-01-01T00:00:00.004Z",
                "zoe b 2026-03-01T00:00:00Z 1970-01-01T00:00:00.001Z",
                "accepted 3",
                "duplicate 1",
                "rejected 1",
                r#"line 5: unknown_kind (kind): kind is "unknown", which is not in the scoring policy; use one of: k"#,
            ],
        );
    }

    #[test]
    fn a_record_may_say_when_it_was_received() {
        check(
            r#"[{"activity_id":"a","user_id":"ann","program_id":"p","kind":"k","received_at":"2026-03-01T00:00:00+01:00"},
{"activity_id":"b","user_id":"ann","program_id":"p","kind":"k","occurred_at":"2026-03-01T00:00:00Z"},
{"activity_id":"c","user_id":"ann","program_id":"p","kind":"k","received_at":5},
{"activity_id":"d","user_id":"ann","program_id":"p","kind":"k","received_at":"now"}]"#,
            &[
                "ann a 2026-02-28T23:00:00Z 2026-02-28T23:00:00Z",
                "ann b 2026-03-01T00:00:00Z 2026-02-28T23:00:00.001Z",
                "accepted 2",
                "duplicate 0",
                "rejected 2",
                "record 3: wrong_type (received_at): received_at must be a string, not a number",
                "record 4: invalid_time (received_at): received_at must be an RFC 3339 time with an offset, such as \
                 2026-11-21T09:30:00Z; the year must have 4 digits",
            ],
        );
    }

    #[test]
    fn a_table_gives_the_ids_that_an_import_gives() {
        check(
            "user_id,program_id,kind,occurred_at\nu,p,k,2026-03-01T00:00:00Z\nu,p,k,2026-03-01T00:00:00Z\n",
            &[
                "u content-f40b6eb419c589e749569f0a5ced7ea9-1 2026-03-01T00:00:00Z 1970-01-01T00:00:00.001Z",
                "u content-f40b6eb419c589e749569f0a5ced7ea9-2 2026-03-01T00:00:00Z 1970-01-01T00:00:00.002Z",
                "accepted 2",
                "duplicate 0",
                "rejected 0",
            ],
        );
    }
}
