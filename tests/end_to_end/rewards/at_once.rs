//! Facts of one person that are recorded, delivered and proved at once.

use std::collections::BTreeMap;
use std::time::Duration;

use domain::{UserId, quest};
use futures::future::join_all;
use jiff::SignedDuration;
use rand::seq::SliceRandom as _;
use store::erasures::Erasures;
use store::{Coins, Facts, Quests, RewardRules, Rewarding, StoredFact};
use tokio::time::Instant;

use super::{PATIENCE, activity, deliver, events, policy, process, rewards_of, tables};
use crate::tables::{Functions, time};

/// Each fact is told as soon as it is recorded, while others of the person are recorded, told and proved. The quest takes
/// all of them, so whoever lost one would never get the coin.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_recorded_during_a_proof_is_not_missed() {
    const FACTS: usize = 5;
    const PEOPLE: usize = 80;
    let quests = format!(
        r#"[{{"id":"all","version":1,"title":"All","coin":{{"name":"C","value":1}},"per":"once",
            "rule":{{"count":{{"of":{{}},"at_least":{FACTS}}}}}}}]"#
    );
    let functions = Functions::start("UTC").await;
    let table = Quests::new(functions.client.clone(), functions.tables.coins.clone());
    let quests = table.configure(&quests).await.expect("quests");
    let rules = RewardRules::new(quests, "UTC".parse().expect("a zone"), policy());
    let final_after = SignedDuration::from_mins(1);
    let process = || Rewarding::new(functions.client.clone(), tables(&functions), final_after);
    let processes: Vec<_> = (0..FACTS).map(|_| process()).collect();
    let facts = Facts::new(functions.client.clone(), functions.tables.activities.clone());
    let coins = Coins::new(functions.client.clone(), functions.tables.coins.clone());
    let now = time("2026-11-21T09:00:00Z");
    let tell = async |user: &UserId, number: usize| {
        let posted = activity(user.as_str(), &number.to_string(), "task_completed");
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..20))).await;
        functions.post(&posted, now).await;
        let recorded = facts.of_user(user).await.expect("facts");
        let is_it = |stored: &&StoredFact| stored.fact.id().as_str() == number.to_string();
        let stored = recorded.iter().find(is_it).expect("it is recorded");
        let told = vec![(stored.fact.clone(), stored.received_at)];
        let (erasures, deadline) = (Erasures::default(), Instant::now() + PATIENCE);
        let rewarded = processes[number]
            .tell(user, told, &erasures, &rules, deadline)
            .await;
        rewarded.expect("it is told").expect("there is time");
    };
    for person in 0..PEOPLE {
        let user: UserId = format!("user-{person}").parse().expect("an id");
        join_all((0..FACTS).map(|number| tell(&user, number))).await;
        assert_eq!(coins.of_user(&user).await.expect("coins").len(), 1, "{user}");
    }
}

/// Deliveries of one person's facts to three processes at once, each of them several times and in any order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_that_work_on_one_person_at_once_lose_no_coin() {
    let quests = r#"[
        {"id":"five","version":1,"title":"Five","coin":{"name":"C","value":1},"per":"once",
         "rule":{"count":{"of":{},"at_least":5}}},
        {"id":"daily","version":1,"title":"Daily","coin":{"name":"D","value":1},"per":"day",
         "rule":{"count":{"of":{},"at_least":2}}},
        {"id":"row","version":1,"title":"Row","coin":{"name":"E","value":1},"per":"once",
         "rule":{"streak":{"of":{},"unit":"day","at_least":4}}}]"#;
    let mut functions = Functions::start("UTC").await;
    let first = rewards_of(&functions, quests).await;
    let processes = [first, process(&functions), process(&functions)];
    let now = time("2026-11-21T09:00:00Z");
    let mut rng = rand::rng();
    for round in 0..6 {
        for number in 0..6 {
            let mut posted = activity("ann", &format!("{round}-{number}"), "task_completed");
            let day = now - SignedDuration::from_hours(24 * ((round * 5 + number * 7) % 13));
            posted["occurred_at"] = day.to_string().into();
            functions
                .post(
                    &posted,
                    now + SignedDuration::from_secs(i64::from(rand::random::<u8>())),
                )
                .await;
        }
        let events = events(&mut functions).await;
        let deliveries = processes.iter().map(|process| {
            let mut events = [events.clone(), events.clone()].concat();
            events.shuffle(&mut rng);
            async move {
                for event in events {
                    assert_eq!(deliver(process, &[event], now).await, 0);
                }
            }
        });
        join_all(deliveries).await;
        let ann: UserId = "ann".parse().expect("an id");
        let facts = Facts::new(functions.client.clone(), functions.tables.activities.clone());
        let facts = facts.of_user(&ann).await.expect("facts");
        let facts = facts.iter().map(|stored| (&stored.fact, stored.received_at));
        let activities = quest::Activities::new(facts, &"UTC".parse().expect("a zone"), &policy());
        let quests = quest::parse(quests.as_bytes()).expect("quests");
        let earned = quests.iter().flat_map(|quest| quest::coins(quest, &activities));
        let earned: BTreeMap<_, _> = earned
            .map(|coin| (coin.id.to_string(), (coin.found_at, coin.evidence)))
            .collect();
        let coins = Coins::new(functions.client.clone(), functions.tables.coins.clone());
        let kept = coins.of_user(&ann).await.expect("coins").into_iter();
        let kept: BTreeMap<_, _> = kept
            .map(|coin| (coin.id, (coin.found_at, coin.evidence)))
            .collect();
        assert_eq!(kept, earned, "round {round}");
    }
}
