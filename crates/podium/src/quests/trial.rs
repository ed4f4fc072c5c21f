//! Which coins the activities of a file earn.

use std::collections::BTreeMap;

use domain::quest::{Activities, Issued, coins, settle};
use domain::{Calendar, Coin, Quest, QuestId, ScoringPolicy, UserId};
use import::offline::People;

/// What one quest comes to.
pub struct Outcome<'q> {
    pub quest: &'q Quest,
    pub found: Vec<Coin>,
    /// Of a quest with a supply, the coins that those get who are first.
    pub issued: Option<Vec<Issued>>,
}

/// What each quest comes to, in the order of the quests. The coins are in order of the users and their periods.
pub fn outcomes<'q>(
    quests: &'q [Quest],
    people: &People,
    calendar: &Calendar,
    policy: &ScoringPolicy,
) -> Vec<Outcome<'q>> {
    let mut found: Vec<Vec<Coin>> = vec![Vec::new(); quests.len()];
    for (_, facts) in people.facts() {
        let activities = Activities::new(facts, calendar, policy);
        for (found, quest) in found.iter_mut().zip(quests) {
            found.extend(coins(quest, &activities));
        }
    }
    let outcomes = quests.iter().zip(found).map(|(quest, found)| Outcome {
        quest,
        issued: quest.supply.map(|supply| settle(found.clone(), supply)),
        found,
    });
    outcomes.collect()
}

impl Outcome<'_> {
    /// The coins that people get.
    pub fn given(&self) -> Vec<&Coin> {
        match &self.issued {
            Some(issued) => issued.iter().map(|issued| &issued.coin).collect(),
            None => self.found.iter().collect(),
        }
    }
}

/// Who gets a coin of which quest and for which period, sorted.
pub fn given<'o>(
    outcomes: &'o [Outcome<'_>],
    user: Option<&UserId>,
) -> BTreeMap<&'o QuestId, Vec<(&'o UserId, String)>> {
    let outcomes = outcomes.iter().map(|outcome| {
        let given = outcome.given().into_iter();
        let given = given.filter(|coin| user.is_none_or(|user| coin.user == *user));
        let mut given: Vec<_> = given.map(|coin| (&coin.user, coin.period.to_string())).collect();
        given.sort_unstable();
        (&outcome.quest.id, given)
    });
    outcomes.collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs::File;
    use std::io::Write as _;
    use std::path::PathBuf;

    use domain::intake::Intake;
    use domain::quest;
    use flate2::read::GzDecoder;
    use import::{Source, offline};
    use jiff::Timestamp;
    use local::settings;
    use serde::Deserialize;

    use super::*;

    fn people(activities: PathBuf) -> (People, ScoringPolicy) {
        let policy: ScoringPolicy = settings::SCORING_POLICY.parse().expect("the default policy");
        let intake = Intake {
            policy: policy.clone(),
            max_age: None,
        };
        let source = Source::File(activities);
        let people =
            offline::read(&source, "podium quests try", &intake, Timestamp::now()).expect("activities");
        (people, policy)
    }

    fn json(quests: &str, activities: &str, user: Option<&str>) -> String {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(activities.as_bytes()).expect("it is written");
        let (people, policy) = people(file.path().to_owned());
        let quests = quest::parse(quests.as_bytes()).expect("quests");
        let outcomes = outcomes(&quests, &people, &"UTC".parse().expect("a zone"), &policy);
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
        let mut expected: BTreeMap<String, Expected> =
            serde_json::from_reader(expected).expect("expected coins");
        let outcomes = outcomes(&quests, &people, &"UTC".parse().expect("a zone"), &policy);
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
}
