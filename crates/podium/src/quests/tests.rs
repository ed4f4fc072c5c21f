use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use domain::intake::Intake;
use domain::quest::Activities;
use domain::{Calendar, Quest, ScoringPolicy, quest};
use flate2::read::GzDecoder;
use import::Source;
use import::offline::{self, People};
use jiff::Timestamp;
use local::settings;
use serde::Deserialize;

use super::report;
use super::trial::{given, outcomes};

fn people(activities: PathBuf) -> (People, ScoringPolicy) {
    let policy: ScoringPolicy = settings::SCORING_POLICY.parse().expect("the default policy");
    let intake = Intake {
        policy: policy.clone(),
        max_age: None,
    };
    let source = Source::File(activities);
    let people = offline::read(&source, "podium quests try", &intake, Timestamp::now()).expect("activities");
    (people, policy)
}

fn utc() -> Calendar {
    "UTC".parse().expect("a zone")
}

fn read(quests: &str, activities: &str) -> (Vec<Quest>, People, ScoringPolicy) {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(activities.as_bytes()).expect("it is written");
    let (people, policy) = people(file.path().to_owned());
    let quests = quest::parse(quests.as_bytes()).expect("quests");
    (quests, people, policy)
}

fn json(quests: &str, activities: &str, user: Option<&str>) -> String {
    let (quests, people, policy) = read(quests, activities);
    let outcomes = outcomes(&quests, &people, &utc(), &policy);
    let user = user.map(|user| user.parse().expect("an id"));
    serde_json::to_string(&given(&outcomes, user.as_ref())).expect("JSON")
}

const ACTIVITIES: &str = "user_id,activity_id,program_id,kind,occurred_at
zoe,1,p,task_completed,2026-03-02T00:00:00Z
ann,1,q,task_completed,2026-03-03T00:00:00Z
ann,1,q,task_completed,2026-03-09T00:00:00Z
bob,1,p,task_completed,2026-03-01T00:00:00Z
ann,2,p,task_completed,2026-03-04T00:00:00Z
";

#[test]
fn coins_are_sorted_and_a_supply_goes_to_those_who_are_first() {
    let count = r#""rule":{"count":{"of":{},"at_least":1}}"#;
    let coin = r#""version":1,"title":"T","coin":{"name":"C","value":1}"#;
    let quests = format!(
        r#"[{{"id":"z","per":"program",{coin},{count}}},{{"id":"a","per":"once","supply":2,{coin},{count}}},
                {{"id":"m","per":"once",{coin},"rule":{{"count":{{"of":{{}},"at_least":3}}}}}}]"#
    );
    assert_eq!(
        json(&quests, ACTIVITIES, None),
        r#"{"a":[["ann",""],["zoe",""]],"m":[],"z":[["ann","p"],["ann","q"],["bob","p"],["zoe","p"]]}"#
    );
    assert_eq!(
        json(&quests, ACTIVITIES, Some("bob")),
        r#"{"a":[],"m":[],"z":[["bob","p"]]}"#
    );
}

const QUESTS: &str = r#"[
    {"id":"run","version":2,"title":"Run","coin":{"name":"Chain","value":5},"per":"once",
     "rule":{"streak":{"of":{"kind":"task_completed"},"unit":"day","at_least":2}}},
    {"id":"first","version":1,"title":"First","coin":{"name":"Crown","value":1},"per":"program","supply":2,
     "rule":{"count":{"of":{},"at_least":1}}},
    {"id":"release","version":1,"title":"Release","coin":{"name":"Amber","value":9},"per":"once",
     "rule":{"count":{"of":{"kind":"learning_milestone"},"at_least":1}}}]"#;

#[test]
fn coins_are_told_with_what_earned_them() {
    let (quests, people, policy) = read(QUESTS, ACTIVITIES);
    let outcomes = outcomes(&quests, &people, &utc(), &policy);
    assert_eq!(
        report::of_all(&outcomes),
        "run, version 2: Run
  Once: activities of the kind task_completed on 2 days in a row.
  1 coin is found.
    ann, found by 2; evidence: 1 2
first, version 1: First
  In each program: an activity; for the first 2 finders.
  4 coins are found, 2 issued.
    zoe for p, found by 1; evidence: 1
    ann for q, found by 1; evidence: 1
release, version 1: Release
  Once: an activity of the kind learning_milestone.
  0 coins are found.
"
    );
}

#[test]
fn one_person_is_told_why_there_is_a_coin_or_what_is_lacking() {
    let (quests, people, policy) = read(QUESTS, ACTIVITIES);
    let outcomes = outcomes(&quests, &people, &utc(), &policy);
    let (user, facts) = people
        .facts()
        .find(|(user, _)| user.as_str() == "bob")
        .expect("bob");
    assert_eq!(
        report::of_user(&outcomes, user, &Activities::new(facts, &utc(), &policy)),
        "run, version 2: Run
  Once: activities of the kind task_completed on 2 days in a row.
    no coin: 1 of 2 days in a row: 2026-03-01; evidence: 1
first, version 1: First
  In each program: an activity; for the first 2 finders.
    no coin for p, since others were first: found by 1; evidence: 1
release, version 1: Release
  Once: an activity of the kind learning_milestone.
    no coin: no activity matches
"
    );
}

#[derive(Deserialize)]
struct Expected {
    qualified: BTreeSet<(String, String)>,
    supply: Option<usize>,
}

/// The files are named by variables of the environment; without them, the test is skipped.
#[test]
fn quests_over_real_activities_give_the_coins_that_were_computed_independently() {
    let file = |variable: &str| {
        let path = std::env::var_os(variable).map(PathBuf::from);
        if path.is_none() {
            eprintln!("skipped: {variable} names no file");
        }
        path
    };
    let (Some(activities), Some(quests), Some(expected)) = (
        file("PODIUM_TEST_ACTIVITIES"),
        file("PODIUM_TEST_QUESTS"),
        file("PODIUM_TEST_QUESTS_EXPECTED"),
    ) else {
        return;
    };
    let (people, policy) = people(activities);
    assert_eq!(people.rejected(), 0);
    let quests = quest::parse(&std::fs::read(quests).expect("a file")).expect("quests");
    let expected = GzDecoder::new(File::open(expected).expect("a file"));
    let mut expected: BTreeMap<String, Expected> = serde_json::from_reader(expected).expect("expected coins");
    let outcomes = outcomes(&quests, &people, &utc(), &policy);
    for (quest, coins) in given(&outcomes, None) {
        let Expected { qualified, supply } = expected.remove(quest.as_str()).expect("an expected quest");
        let given: BTreeSet<_> = coins
            .iter()
            .map(|(user, period)| (user.to_string(), period.clone()))
            .collect();
        assert_eq!(given.len(), coins.len(), "{quest} gives each coin once");
        match supply {
            None => assert_eq!(given, qualified, "{quest}"),
            Some(supply) => {
                assert_eq!(given.len(), supply.min(qualified.len()), "{quest}");
                assert!(given.is_subset(&qualified), "{quest}");
            }
        }
    }
    assert!(expected.is_empty(), "every quest was compared");
}
