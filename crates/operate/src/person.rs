//! All that is kept of one person, as JSON: what `podium people export USER` writes.

use anyhow::ensure;
use domain::{Tally, UserId, Window};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use store::{Coins, People};

use crate::counts::Counts;
use crate::deployment::Deployment;

/// The profile, the activities and corrections as they are stored, the points of the live generation, and coins. What
/// is published follows from these.
pub async fn export(deployment: &Deployment, user: &UserId) -> anyhow::Result<Value> {
    let counts = Counts::connect(deployment).await?;
    let people = People::new(counts.client.clone(), counts.tables.people.clone());
    let profile = people.get(user).await?;
    let (mut activities, mut corrections) = (Vec::new(), Vec::new());
    for fact in counts.facts.items_of_user(user).await? {
        if fact.contains_key("correction_id") {
            corrections.push(fact);
        } else {
            activities.push(fact);
        }
    }
    let now = Timestamp::now();
    let generations = counts.generations().await?;
    let counters = counts.standings.of_user(generations.live, user).await?;
    ensure!(
        profile.is_some() || !activities.is_empty() || !corrections.is_empty() || !counters.is_empty(),
        "nothing is kept of {user}; check the id, in which capitals matter"
    );
    let coins = Coins::new(counts.client.clone(), counts.tables.coins.clone());
    let coins = if coins.are_kept().await? {
        coins.of_user(user).await?
    } else {
        Vec::new()
    };
    let day = counts.rules.calendar.day(now);
    let standings = counters.iter().map(|(program, counters)| {
        let tallies = counters.tallies(day);
        let mut standing = Map::from_iter([("program_id".to_owned(), json!(program))]);
        for window in Window::EVERY {
            let Tally { points, activities } = tallies.get(window);
            standing.insert(
                window.as_str().to_owned(),
                json!({"points": points, "activities": activities}),
            );
        }
        Value::Object(standing)
    });
    Ok(json!({
        "user_id": user,
        "exported_at": now,
        "profile": profile,
        "activities": activities,
        "corrections": corrections,
        "standings": standings.collect::<Vec<_>>(),
        "coins": coins,
    }))
}
