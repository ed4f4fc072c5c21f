//! Quests: whoever fulfils one gets its coin, whatever is delivered when, and whatever stops meanwhile.

mod at_once;
mod erasure;
mod progress;
mod readers;
mod real_activities;
mod reconciling;
mod supply;

use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ScoringPolicy;
use domain::documents::CoinsDocument;
use jiff::{SignedDuration, Timestamp};
use local::settings;
use rewards::Rewards;
use serde_json::{Value, json};
use store::erasures::Erasures;
use store::heartbeats::Lane;
use store::reward_status::RewardStatus;
use store::stream::FACT_RECORDED;
use store::{Activities, Coins, Quests, RewardRules, RewardTables, Rewarding};
use tokio::time::Instant;

use crate::tables::{Functions, reason_of, time};

const PATIENCE: Duration = Duration::from_secs(120);

/// A coin for three tasks, and one for each of the first two who have done one in a program.
const QUESTS: &str = r#"[
    {"id":"three","version":1,"title":"Three tasks","coin":{"name":"Amber","value":50},"per":"once",
     "rule":{"count":{"of":{"kind":"task_completed"},"at_least":3}}},
    {"id":"first","version":1,"title":"The first","coin":{"name":"Crown","value":100},"per":"once","supply":2,
     "rule":{"count":{"of":{"kind":"learning_milestone"},"at_least":1}}}]"#;

/// The function's library over the tables of [`Functions`], called by the test.
async fn rewards_of(functions: &Functions, quests: &str) -> Rewards {
    let table = Quests::new(functions.client.clone(), functions.tables.coins.clone());
    table.configure(quests).await.expect("quests");
    process(functions)
}

/// Another process of the function.
fn process(functions: &Functions) -> Rewards {
    let queues = aws_sdk_sqs::Client::new(&local::sdk_config(&functions.aws_url));
    let config = rewards::Config {
        tables: tables(functions),
        standings_table: functions.tables.standings.clone(),
        calendar: "UTC".parse().expect("a time zone"),
        scoring_policy: policy(),
        final_after: SignedDuration::from_mins(1),
        queue_url: functions.dead_letters.url(),
        dead_letter_queue_url: functions.dead_letters.url(),
    };
    Rewards::new(functions.client.clone(), queues, config)
}

fn policy() -> ScoringPolicy {
    settings::SCORING_POLICY.parse().expect("a policy")
}

/// The events of what was recorded since the last call.
async fn events(functions: &mut Functions) -> Vec<String> {
    let records = functions.take_messages().await.into_iter();
    let events = records.map(|record| {
        let record: Value = serde_json::from_str(&record).expect("JSON");
        FACT_RECORDED
            .event(&record["eventID"], &record["dynamodb"]["NewImage"])
            .to_string()
    });
    events.collect()
}

/// Delivers messages in one batch. Returns how many are deferred.
async fn deliver(rewards: &Rewards, bodies: &[String], now: Timestamp) -> usize {
    let mut batch = SqsEvent::default();
    for (at, body) in bodies.iter().enumerate() {
        let mut message = SqsMessage::default();
        message.message_id = Some(at.to_string());
        message.receipt_handle = Some(format!("receipt-{at}"));
        message.body = Some(body.clone());
        batch.records.push(message);
    }
    let deadline = Instant::now() + Duration::from_secs(30);
    let response = rewards.handle(batch, now, deadline).await;
    response.batch_item_failures.len()
}

async fn told(functions: &mut Functions, rewards: &Rewards, now: Timestamp) {
    let events = events(functions).await;
    assert_eq!(deliver(rewards, &events, now).await, 0);
}

/// Sends heartbeats, as a snapshot does, and delivers them.
async fn tick(functions: &mut Functions, rewards: &Rewards, now: Timestamp) {
    let activities = Activities::new(functions.client.clone(), functions.tables.activities.clone());
    activities.send_heartbeats(now).await.expect("heartbeats");
    told(functions, rewards, now).await;
}

/// Notes the rules, as an aggregator does when it starts.
async fn note_rules(functions: &Functions) {
    let table = &functions.tables.standings;
    let known = store::generations::read(&functions.client, table)
        .await
        .expect("generations");
    let settled = known.settled(&crate::tables::rules("UTC"), Timestamp::now());
    let replaced = store::generations::replace(&functions.client, table, &known, settled).await;
    replaced.expect("they are written").expect("nobody was first");
}

fn activity(user: &str, id: &str, kind: &str) -> Value {
    json!({"user_id": user, "activity_id": id, "program_id": "p", "kind": kind})
}

/// A user's coins as `QUEST STATE[ SERIAL][ REASON] EVIDENCE`.
async fn coins_of(functions: &Functions, user: &str, now: Timestamp) -> String {
    let response = functions.get(&format!("/v1/users/{user}/coins"), now).await;
    if response.status() == 404 {
        return "none".to_owned();
    }
    let document: CoinsDocument = serde_json::from_slice(response.body()).expect("coins");
    let coins = document.coins.iter().map(|coin| {
        let serial = coin
            .serial
            .map_or_else(String::new, |serial| format!(" {serial}"));
        let reason = coin
            .reason
            .map_or_else(String::new, |reason| format!(" {reason:?}"));
        let evidence: Vec<_> = coin.evidence.iter().map(ToString::to_string).collect();
        let state = coin.state.as_str();
        format!("{} {state}{serial}{reason} {}", coin.quest_id, evidence.join("+"))
    });
    coins.collect::<Vec<_>>().join("; ")
}

/// Configures two quests, gives a user the coin of the first, and says that the coins are as of `now`.
pub async fn give_first_task(functions: &Functions, user: &str, now: Timestamp) {
    let quests = r#"[
        {"id":"first-task","version":1,"title":"The first task","coin":{"name":"Amber","value":50},"per":"once",
         "rule":{"count":{"of":{"kind":"task_completed"},"at_least":1}}},
        {"id":"all-round","version":1,"title":"All-round","coin":{"name":"Jade","value":20},"per":"month",
         "rule":{"all":[{"kind":"task_completed"},{"kind":"learning_milestone"}]}}]"#;
    let table = Quests::new(functions.client.clone(), functions.tables.coins.clone());
    let quests = table.configure(quests).await.expect("quests");
    let rules = RewardRules::new(quests, "Europe/Berlin".parse().expect("a zone"), policy());
    let rewarding = Rewarding::new(
        functions.client.clone(),
        tables(functions),
        SignedDuration::from_mins(1),
    );
    let user = user.parse().expect("an id");
    let deadline = Instant::now() + Duration::from_secs(30);
    let proved = rewarding
        .prove(&user, &Erasures::default(), &rules, deadline)
        .await;
    assert_eq!(proved.expect("a proof").expect("there was time").issued, 1);
    let coins = Coins::new(functions.client.clone(), functions.tables.coins.clone());
    let heartbeats = Lane::every().map(|lane| (lane, now)).collect();
    let lag = SignedDuration::from_millis(2_500);
    let status = RewardStatus::default().after(&heartbeats, 0, now + lag);
    coins.put_status(&status).await.expect("it is written");
}

/// Makes undecodable how up to date the coins are.
pub async fn corrupt_status(functions: &Functions) {
    let put = functions.client.put_item().table_name(&functions.tables.coins);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    put.item("user_id", text("~rewards"))
        .item("coin_id", text("heartbeats"))
        .item("lanes", text("all"))
        .send()
        .await
        .expect("it is written");
}

fn tables(functions: &Functions) -> RewardTables {
    RewardTables {
        activities: functions.tables.activities.clone(),
        coins: functions.tables.coins.clone(),
        progress: functions.tables.progress.clone(),
    }
}

#[tokio::test]
async fn a_coin_is_found_taken_back_by_a_void_and_found_again() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let at = |second: i64| time("2026-11-21T09:00:00Z") + SignedDuration::from_secs(second);
    for (second, id) in [(0, "a"), (1, "b")] {
        functions
            .post(&activity("ann", id, "task_completed"), at(second))
            .await;
    }
    told(&mut functions, &rewards, at(2)).await;
    tick(&mut functions, &rewards, at(2)).await;
    assert_eq!(coins_of(&functions, "ann", at(2)).await, "none");
    functions
        .post(&activity("ann", "c", "task_completed"), at(3))
        .await;
    told(&mut functions, &rewards, at(3)).await;
    assert_eq!(coins_of(&functions, "ann", at(3)).await, "three issued a+b+c");
    let void = json!({"correction_id": "v", "user_id": "ann", "voids": "b", "reason": "twice"});
    functions.send("corrections", &void, at(4)).await;
    told(&mut functions, &rewards, at(4)).await;
    assert_eq!(
        coins_of(&functions, "ann", at(4)).await,
        "three revoked Voided a+b+c"
    );
    functions
        .post(&activity("ann", "d", "task_completed"), at(5))
        .await;
    told(&mut functions, &rewards, at(5)).await;
    assert_eq!(coins_of(&functions, "ann", at(5)).await, "three issued a+c+d");
    let coins = Coins::new(functions.client.clone(), functions.tables.coins.clone());
    let ann = "ann".parse().expect("an id");
    assert_eq!(coins.of_user(&ann).await.expect("coins")[0].change, 3);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_dead_letter_and_delays_nothing() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let now = time("2026-11-21T09:00:00Z");
    functions
        .post(&activity("ann", "m", "learning_milestone"), now)
        .await;
    let mut bodies = events(&mut functions).await;
    bodies.push("{}".to_owned());
    assert_eq!(deliver(&rewards, &bodies, now).await, 0);
    let coins = Coins::new(functions.client.clone(), functions.tables.coins.clone());
    assert_eq!(
        coins
            .of_user(&"ann".parse().expect("an id"))
            .await
            .expect("coins")
            .len(),
        1
    );
    let dead = functions.all_dead_letters().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(reason_of(&dead[0])[0], "not_an_event");
}

#[tokio::test]
async fn a_quest_that_says_something_else_under_its_version_is_refused() {
    let mut functions = Functions::start("UTC").await;
    rewards_of(&functions, QUESTS).await;
    let table = Quests::new(functions.client.clone(), functions.tables.coins.clone());
    let changed = QUESTS.replace(r#""at_least":3"#, r#""at_least":4"#);
    let error = table
        .configure(&changed)
        .await
        .expect_err("it is refused")
        .to_string();
    assert!(
        error.starts_with("quest three says something else than when its version 1 was first used"),
        "{error}"
    );
    // Written otherwise, it is the same; and another version is another quest.
    let spaced = QUESTS.replace(':', ": ");
    table.configure(&spaced).await.expect("the same quests");
    let raised = changed.replacen(r#""version":1"#, r#""version":2"#, 1);
    table.configure(&raised).await.expect("another version");

    // Who deploys on AWS writes the item without asking. The function refuses it, and loses nothing.
    let now = time("2026-11-21T09:00:00Z");
    let put = functions.client.put_item().table_name(&functions.tables.coins);
    let text = |text: &str| AttributeValue::S(text.to_owned());
    put.item("user_id", text("~quests"))
        .item("coin_id", text("configured"))
        .item("quests", text(&changed))
        .send()
        .await
        .expect("it is written");
    functions
        .post(&activity("ann", "m", "learning_milestone"), now)
        .await;
    let events = events(&mut functions).await;
    assert_eq!(deliver(&process(&functions), &events, now).await, events.len());
}
