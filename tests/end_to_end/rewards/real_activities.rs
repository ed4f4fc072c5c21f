//! The whole stack: real activities, if there is a data set, and stages that stop.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use domain::documents::FindersDocument;
use domain::quest::CoinState;
use local::sqs::Faults;
use rand::seq::SliceRandom as _;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{PATIENCE, QUESTS, activity};
use crate::cli::podium;
use crate::data_set::data_set;
use crate::stack::{TestStack, VISIBILITY_TIMEOUT, tasks};

/// Rewards processes killed in one run.
const KILLS: usize = 8;
/// One in so many people of the data set, unless `PODIUM_TEST_EVERYONE` is set: with everyone it takes three minutes.
const ONE_IN: u64 = 3;

#[derive(Debug, Deserialize)]
struct Expected {
    qualified: BTreeSet<(String, String)>,
    supply: Option<usize>,
}

/// The quests and the expected coins in the files that these variables name; `None` without them.
fn expected() -> Option<(String, BTreeMap<String, Expected>)> {
    let quests = std::env::var_os("PODIUM_TEST_QUESTS")?;
    let quests = std::fs::read_to_string(quests).expect("quests");
    let expected = crate::data_set::open("PODIUM_TEST_QUESTS_EXPECTED")?;
    Some((quests, serde_json::from_reader(expected).expect("expected coins")))
}

async fn finders(stack: &TestStack, quest: &str) -> Vec<domain::documents::FoundCoin> {
    let mut coins = Vec::new();
    let mut path = format!("/v1/quests/{quest}/coins?limit=1000");
    loop {
        let response = stack.get(&path).await;
        if response.status() == 503 {
            return coins;
        }
        let page: FindersDocument = response.json().await.expect("coins");
        coins.extend(page.coins);
        let Some(cursor) = page.next_cursor else {
            return coins;
        };
        path = format!("/v1/quests/{quest}/coins?limit=1000&cursor={cursor}");
    }
}

/// Why the coins are not the expected ones.
async fn difference(stack: &TestStack, expected: &BTreeMap<String, Expected>) -> Option<String> {
    for (quest, expected) in expected {
        let mut coins = finders(stack, quest).await;
        coins.retain(|coin| coin.state != CoinState::Revoked);
        let pairs: Vec<_> = coins
            .iter()
            .map(|coin| {
                let user = coin.user_id.as_ref().expect("nobody is concealed");
                (user.to_string(), coin.period.clone())
            })
            .collect();
        let is_right = match expected.supply {
            None => {
                pairs.len() == expected.qualified.len()
                    && pairs.iter().all(|pair| expected.qualified.contains(pair))
            }
            Some(supply) => {
                let supply = supply.min(expected.qualified.len());
                let serials = coins.iter().map(|coin| coin.serial);
                pairs.iter().all(|pair| expected.qualified.contains(pair))
                    && serials.eq((1..).map(Some).take(supply))
                    && coins.iter().all(|coin| coin.state == CoinState::Issued)
            }
        };
        if !is_right {
            return Some(format!("{quest}: {} coins", coins.len()));
        }
    }
    None
}

async fn wait_for_coins(stack: &TestStack, expected: &BTreeMap<String, Expected>) {
    let until = std::time::Instant::now() + PATIENCE;
    while let Some(difference) = difference(stack, expected).await {
        assert!(std::time::Instant::now() < until, "{difference}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn ids(stack: &TestStack, expected: &BTreeMap<String, Expected>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (quest, expected) in expected {
        if expected.supply.is_none() {
            ids.extend(
                finders(stack, quest)
                    .await
                    .into_iter()
                    .filter_map(|coin| coin.coin_id),
            );
        }
    }
    ids
}

/// The ids of these coins on every system, in whatever order the activities came to it.
fn ids_anywhere(versions: &BTreeMap<String, u32>, expected: &BTreeMap<String, Expected>) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for (quest, expected) in expected.iter().filter(|(_, expected)| expected.supply.is_none()) {
        let text = |user: &str, period: &str| format!("{quest} {} {user} {period}", versions[quest]);
        let qualified = expected.qualified.iter();
        ids.extend(qualified.map(|(user, period)| {
            let hash = format!("{:x}", Sha256::digest(text(user, period)));
            format!("coin-{}", &hash[..32])
        }));
    }
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn real_activities_earn_the_expected_coins_after_repeats_disorder_and_crashes() {
    let (Some((quests, mut expected)), Some((mut activities, _))) = (expected(), data_set()) else {
        return;
    };
    if std::env::var_os("PODIUM_TEST_EVERYONE").is_none() {
        // Of these, more are among the finders than there are coins.
        let takes_part = |user: &str| user.bytes().map(u64::from).sum::<u64>() % ONE_IN == ONE_IN - 1;
        activities.retain(|activity| takes_part(activity["user_id"].as_str().expect("a user")));
        for expected in expected.values_mut() {
            expected.qualified.retain(|(user, _)| takes_part(user));
        }
    }
    let versions: Vec<Value> = serde_json::from_str(&quests).expect("quests");
    let versions = versions.iter().map(|quest| {
        let (id, version) = (quest["id"].as_str(), quest["version"].as_u64());
        let version = version.and_then(|version| u32::try_from(version).ok());
        (id.expect("an id").to_owned(), version.expect("a version"))
    });
    let versions: BTreeMap<String, u32> = versions.collect();
    let count = activities.len() as u64;
    let has_coins = expected
        .values()
        .filter(|expected| !expected.qualified.is_empty());
    assert!(has_coins.count() > 1, "some of these people fulfil quests");
    let stack = TestStack::start(|config| {
        config.quests = Some(quests);
        config.final_after = Duration::from_secs(5);
        config.visibility_timeout = VISIBILITY_TIMEOUT;
    })
    .await;
    let (queue, dead_letters) = stack.stack.rewards_queues();
    queue.set_faults(Faults {
        deliver_twice: true,
        shuffle: Some(7),
    });
    let kills = async {
        let mut kills = 0;
        while kills < KILLS {
            tokio::time::sleep(Duration::from_millis(rand::random_range(100..400))).await;
            kills += usize::from(stack.stack.lambda.kill_one("rewards"));
        }
    };
    activities.shuffle(&mut rand::rng());
    let posts = async {
        stack.post_all(&activities).await;
        stack.post_all(&activities).await;
    };
    tokio::join!(kills, posts);
    wait_for_coins(&stack, &expected).await;
    stack.wait_until_counted(count).await;
    let before = ids(&stack, &expected).await;
    assert_eq!(before, ids_anywhere(&versions, &expected));
    let rebuilt = podium()
        .args(["rebuild", "run", "--aws-url", &stack.stack.aws_url])
        .output();
    let rebuilt = rebuilt.await.expect("podium runs");
    assert!(rebuilt.status.success(), "{rebuilt:?}");
    assert_eq!(difference(&stack, &expected).await, None);
    assert_eq!(ids(&stack, &expected).await, before);
    // Of these, no gate is taken for one that was not told of something, either.
    let compared = podium()
        .args([
            "reconcile",
            "--rewards",
            "--in-flight",
            "1s",
            "--aws-url",
            &stack.stack.aws_url,
        ])
        .output();
    let compared = compared.await.expect("podium runs");
    assert!(compared.status.success(), "{compared:?}");
    assert!(dead_letters.receive(1, Duration::ZERO, None).await.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counting_and_rewards_depend_on_each_other_no_more_than_ingestion_on_them() {
    let stack = TestStack::start(|config| {
        config.quests = Some(QUESTS.to_owned());
        config.visibility_timeout = VISIBILITY_TIMEOUT;
    })
    .await;
    let function = |name: &str| stack.stack.lambda.function(name).expect("there is one");
    let stop = async |name: &str| {
        match name {
            "rewards" => stack.stack.rewards().pause(),
            _ => stack.stack.aggregation().pause(),
        }
        function(name).stop().await;
    };
    let has_coin = async |user: &str| {
        let response = stack.get(&format!("/v1/users/{user}/coins")).await;
        response.status() == 200
    };
    let eventually = async |user: &str| {
        let until = std::time::Instant::now() + PATIENCE;
        while !has_coin(user).await {
            assert!(std::time::Instant::now() < until, "{user} has no coin");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    stop("rewards").await;
    stack.post_all(&tasks(0..30, 3)).await;
    stack.wait_until_counted(30).await;
    assert!(!has_coin("user-0").await);
    function("rewards").start();
    stack.stack.rewards().resume();
    eventually("user-0").await;

    stop("aggregator").await;
    let others: Vec<Value> = (0..3)
        .map(|n| activity("zoe", &format!("z{n}"), "task_completed"))
        .collect();
    stack.post_all(&others).await;
    eventually("zoe").await;
    let counted = stack.status().await.expect("a status").status.counted.activities;
    assert_eq!(counted, 30);
    stack.stop().await;
}
