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
