//! Quests: whoever fulfils one gets its coin, whatever is delivered when, and whatever stops meanwhile.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::documents::{CoinsDocument, FindersDocument, QuestsDocument};
use domain::quest::{CoinId, CoinPeriod, CoinState};
use domain::{ScoringPolicy, UserId, quest};
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use local::settings;
use local::sqs::Faults;
use rand::seq::SliceRandom as _;
use rewards::Rewards;
use serde::Deserialize;
use serde_json::{Value, json};
use store::coins::COUNTED_MAX;
use store::erasing::Erasing;
use store::erasures::{Erasures, PersonHash};
use store::heartbeats::Lane;
use store::quests::QuestVersion;
use store::reward_status::RewardStatus;
use store::settling::{Portion, Settling};
use store::stream::FACT_RECORDED;
use store::{Activities, Coins, Facts, Quests, RewardRules, RewardTables, Rewarding, StoredFact};
use tokio::time::Instant;

use crate::cli::podium;
use crate::data_set::data_set;
use crate::stack::{TestStack, VISIBILITY_TIMEOUT, tasks};
use crate::tables::{Functions, reason_of, time};

const PATIENCE: Duration = Duration::from_secs(120);
/// Rewards processes killed in one run.
const KILLS: usize = 8;
/// One in so many people of the data set, unless `PODIUM_TEST_EVERYONE` is set: with everyone it takes three minutes.
const ONE_IN: u64 = 3;

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

/// Configures a quest, gives a user its coin, and says that the coins are as of `now`.
pub async fn give_first_task(functions: &Functions, user: &str, now: Timestamp) {
    let quests = r#"[{"id":"first-task","version":1,"title":"The first task","coin":{"name":"Amber","value":50},"per":"once",
        "rule":{"count":{"of":{"kind":"task_completed"},"at_least":1}}}]"#;
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

#[tokio::test]
async fn the_first_finders_get_the_coins_that_there_are() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let at = |second: i64| time("2026-11-21T09:00:00Z") + SignedDuration::from_secs(second);
    let milestone = |user: &str| activity(user, "m", "learning_milestone");
    // Bob's message comes last, but ingestion received it before the others.
    functions.post(&milestone("bob"), at(0)).await;
    let late = events(&mut functions).await;
    for (second, user) in [(1, "cy"), (2, "ann"), (3, "dee")] {
        functions.post(&milestone(user), at(second)).await;
    }
    told(&mut functions, &rewards, at(4)).await;
    tick(&mut functions, &rewards, at(30)).await;
    assert_eq!(coins_of(&functions, "cy", at(30)).await, "first provisional m");
    // Two coins were found more than a minute ago. The pass over the facts finds Bob, too.
    tick(&mut functions, &rewards, at(63)).await;
    assert_eq!(coins_of(&functions, "cy", at(63)).await, "first issued 2 m");
    for user in ["ann", "dee"] {
        assert_eq!(coins_of(&functions, user, at(63)).await, "first revoked Supply m");
    }
    assert_eq!(deliver(&process(&functions), &late, at(64)).await, 0);
    assert_eq!(coins_of(&functions, "bob", at(64)).await, "first issued 1 m");
    // Whoever comes later gets none, and nobody moves up.
    functions.post(&milestone("eve"), at(65)).await;
    let void = json!({"correction_id": "v", "user_id": "cy", "voids": "m", "reason": "wrong"});
    functions.send("corrections", &void, at(66)).await;
    told(&mut functions, &rewards, at(67)).await;
    tick(&mut functions, &rewards, at(200)).await;
    assert_eq!(coins_of(&functions, "eve", at(200)).await, "none");
    assert_eq!(
        coins_of(&functions, "cy", at(200)).await,
        "first revoked 2 Voided m"
    );
    assert_eq!(
        coins_of(&functions, "ann", at(200)).await,
        "first revoked Supply m"
    );
    let quests = functions.get("/v1/quests", at(200)).await;
    let quests: QuestsDocument = serde_json::from_slice(quests.body()).expect("quests");
    let first = &quests.quests[1];
    assert_eq!(
        (first.issued, first.provisional, format!("{:?}", first.state)),
        (1, 0, "Over".to_owned())
    );
}

/// Lets so many requests through, and then cuts off: before it sends one, or before it sees the answer.
#[derive(Debug)]
struct Cut {
    requests: AtomicUsize,
    is_answer_lost: bool,
}

impl Cut {
    fn next(&self) -> Result<(), BoxError> {
        let requests = self.requests.load(Ordering::Relaxed);
        let left = requests.checked_sub(1).ok_or("it is cut off")?;
        self.requests.store(left, Ordering::Relaxed);
        Ok(())
    }
}

impl Intercept for Cut {
    fn name(&self) -> &'static str {
        "Cut"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.is_answer_lost { Ok(()) } else { self.next() }
    }

    fn read_after_transmit(
        &self,
        _: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if self.is_answer_lost { self.next() } else { Ok(()) }
    }
}

/// An invocation that settles in small portions and is cut off after so many requests.
fn cut_after(functions: &Functions, requests: usize, is_answer_lost: bool) -> Settling {
    let cut = Cut {
        requests: AtomicUsize::new(requests),
        is_answer_lost,
    };
    let config = aws_sdk_dynamodb::config::Builder::from(&local::sdk_config(&functions.aws_url))
        .retry_config(RetryConfig::disabled())
        .interceptor(cut);
    settling(functions, Client::from_conf(config.build())).in_portions(Portion {
        facts_of_page: 3,
        pages: 1,
    })
}

fn settling(functions: &Functions, client: Client) -> Settling {
    let RewardTables {
        coins, activities, ..
    } = tables(functions);
    let coins = Coins::new(client.clone(), coins);
    let facts = Facts::new(client.clone(), activities);
    Settling::new(client, coins, facts, SignedDuration::from_mins(1))
}

/// The names of the items that passes keep.
async fn kept_of_passes(functions: &Functions) -> Vec<String> {
    let query = functions.client.query().table_name(&functions.tables.coins);
    let items = query
        .key_condition_expression("user_id = :passes")
        .expression_attribute_values(":passes", AttributeValue::S("~passes".to_owned()))
        .send()
        .await
        .expect("items");
    let items = items.items().iter();
    let names = items.map(|item| item["coin_id"].as_s().expect("a name").clone());
    names.collect()
}

/// Two invocations at once, each of which is cut off after a few requests, until the supply is settled.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pass_that_is_cut_off_again_and_again_finds_who_was_first() {
    const PEOPLE: i64 = 24;
    let functions = Functions::start("UTC").await;
    let quests = r#"[{"id":"first","version":1,"title":"The first","coin":{"name":"Crown","value":1},"per":"program",
        "supply":7,"rule":{"count":{"of":{"kind":"learning_milestone"},"at_least":2}}}]"#;
    let quests = quest::parse(quests.as_bytes()).expect("quests");
    let rules = RewardRules::new(quests, "UTC".parse().expect("a zone"), policy());
    let at = |second: i64| time("2026-11-21T09:00:00Z") + SignedDuration::from_secs(second);
    for number in 0..PEOPLE {
        let user = format!("user-{number}");
        // Pages have three facts, and people two or three. So some have facts on two pages.
        for (id, second) in [("a", number), ("b", (number * 7) % PEOPLE + 100)] {
            functions
                .post(&activity(&user, id, "learning_milestone"), at(second))
                .await;
        }
        if number % 2 == 0 {
            // Too late for the pass, and the first in the table of its person.
            let late = activity(&user, "0", "learning_milestone");
            functions.post(&late, at(500)).await;
        }
    }
    // These are too late, too.
    for user in ["user-0", "user-7", "user-14"] {
        let void = json!({"correction_id": "v", "user_id": user, "voids": "b", "reason": "wrong"});
        functions.send("corrections", &void, at(500)).await;
    }
    let expected = (0..7).map(|place| {
        let number = (0..PEOPLE).find(|number| (number * 7) % PEOPLE == place);
        let user = format!("user-{}", number.expect("someone"))
            .parse()
            .expect("an id");
        let period = CoinPeriod::Program("p".parse().expect("an id"));
        CoinId::new(&rules.quests[0].id, 1, &user, &period).to_string()
    });
    let expected: Vec<_> = expected.collect();
    let (quest, version) = (&rules.quests[0], QuestVersion::of(&rules.quests[0]));
    let uncut = settling(&functions, functions.client.clone());
    let erasures = Erasures::default();
    let mut invocations = 0;
    let settlement = loop {
        let settle = async |requests: usize, is_answer_lost: bool, second: i64| {
            let cut = cut_after(&functions, requests, is_answer_lost);
            let deadline = Instant::now() + PATIENCE;
            let settled = Box::pin(cut.settle(quest, &rules, &erasures, at(second), deadline)).await;
            settled.is_ok()
        };
        // Those that come later go on with the pass of the first.
        let second = 300 + 100 * i64::from(invocations);
        let lost = invocations % 4 < 2;
        let requests = usize::try_from(invocations).expect("few") % 7;
        tokio::join!(
            settle(requests + 1, lost, second),
            settle(6 - requests, !lost, second + 1)
        );
        invocations += 1;
        assert!(invocations < 500, "it does not end");
        if let Some(settlement) = uncut.settlement(&version).await.expect("it can be read") {
            break settlement;
        }
    };
    assert!(invocations > 5, "{invocations} are no pass that was cut off");
    let serials = expected.iter().map(|id| settlement.serial(id));
    assert_eq!(serials.collect::<Vec<_>>(), (1..=7).map(Some).collect::<Vec<_>>());
    // Whoever settles what is settled removes what a pass left.
    let rewarding = Rewarding::new(
        functions.client.clone(),
        tables(&functions),
        SignedDuration::from_mins(1),
    );
    let deadline = Instant::now() + PATIENCE;
    let settled = rewarding.settle_supplies(&erasures, &rules, at(100_000), deadline);
    settled.await.expect("it is applied");
    assert_eq!(kept_of_passes(&functions).await, Vec::<String>::new());
}

/// The pass has found the person, and so must begin anew.
#[tokio::test]
async fn an_erasure_deletes_what_a_pass_has_found() {
    let functions = Functions::start("UTC").await;
    let quests = quest::parse(QUESTS.as_bytes()).expect("quests");
    let rules = RewardRules::new(quests, "UTC".parse().expect("a zone"), policy());
    let [before, after] = ["2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z"].map(time);
    for number in 0..12 {
        let milestone = activity(&format!("user-{number}"), "m", "learning_milestone");
        functions.post(&milestone, before).await;
    }
    let deadline = Instant::now() + PATIENCE;
    let (begun, erasures) = (cut_after(&functions, 9, false), Erasures::default());
    let begun = begun.settle(&rules.quests[1], &rules, &erasures, after, deadline);
    begun.await.expect_err("it is cut off");
    assert!(kept_of_passes(&functions).await.len() > 2, "it has found some");
    let hash = note_erasure(&functions, "user-0", after).await;
    let erasing = erasing(&functions, "user-0", after, hash);
    erasing.rewards().await.expect("it is deleted");
    assert_eq!(kept_of_passes(&functions).await, Vec::<String>::new());
}

/// Every partition of the index has several of these coins.
#[tokio::test]
async fn no_more_coins_are_counted_than_the_bound_allows() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let now = time("2026-11-21T09:00:00Z");
    for number in 0..40 {
        let milestone = activity(&format!("user-{number}"), "m", "learning_milestone");
        functions.post(&milestone, now).await;
    }
    told(&mut functions, &rewards, now).await;
    let coins = Coins::new(functions.client.clone(), functions.tables.coins.clone());
    let first = quest::parse(QUESTS.as_bytes()).expect("quests").remove(1);
    let count = async |state, max| {
        let counted = coins.count(&QuestVersion::of(&first), state, max).await;
        counted.expect("a count")
    };
    for (max, counted) in [(4, 4), (8, 8), (COUNTED_MAX, 40)] {
        assert_eq!(count(CoinState::Provisional, max).await, counted, "of {max}");
        assert_eq!(count(CoinState::Issued, max).await, 0, "of {max}");
    }
}

#[tokio::test]
async fn who_is_concealed_is_shown_to_nobody_else() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let now = time("2026-11-21T09:00:00Z");
    for user in ["ann", "bob", "cy"] {
        functions
            .post(&activity(user, "m", "learning_milestone"), now)
            .await;
    }
    told(&mut functions, &rewards, now).await;
    tick(&mut functions, &rewards, now).await;
    functions
        .put_person("ann", &json!({"display_name": "Ann", "visibility": "hidden"}))
        .await;
    functions
        .put_person("bob", &json!({"display_name": "Bob", "visibility": "anonymous"}))
        .await;
    functions.put_person("cy", &json!({"display_name": "Cy"})).await;
    let finders = async |path: &str| {
        let response = functions.get(path, now).await;
        assert_eq!(response.status(), 200);
        serde_json::from_slice::<FindersDocument>(response.body()).expect("finders")
    };
    let list = finders("/v1/quests/first/coins").await;
    let rows = list.coins.iter().map(|coin| {
        let user = coin.user_id.as_ref().map(UserId::as_str);
        (user, coin.name.is_some(), coin.coin_id.is_some())
    });
    assert_eq!(
        rows.collect::<Vec<_>>(),
        [(None, false, false), (Some("cy"), true, true)]
    );
    for user in ["ann", "bob", "nobody"] {
        let answer = functions.get(&format!("/v1/users/{user}/coins"), now).await;
        let text = String::from_utf8_lossy(answer.body()).replace(user, "");
        assert!(
            answer.status() == 404 && text.contains(r#""detail":" has no coins."#),
            "{text}"
        );
    }
    // Page by page, each of them once, although all were found at the same moment.
    let mut page = finders("/v1/quests/first/coins?limit=1").await;
    let mut users = Vec::new();
    loop {
        users.extend(page.coins.iter().map(|coin| coin.user_id.clone()));
        let Some(cursor) = page.next_cursor else { break };
        assert!(!cursor.contains("ann") && !cursor.contains("bob"), "{cursor}");
        page = finders(&format!("/v1/quests/first/coins?limit=1&cursor={cursor}")).await;
    }
    assert_eq!(users, [None, Some("cy".parse().expect("an id"))]);
}

#[tokio::test]
async fn what_is_erased_earns_nothing_and_who_posts_again_begins_anew() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let (before, after) = (time("2026-11-21T09:00:00Z"), time("2026-11-21T10:00:00Z"));
    for id in ["a", "b", "c"] {
        functions
            .post(&activity("ann", id, "task_completed"), before)
            .await;
    }
    let old = events(&mut functions).await;
    assert_eq!(deliver(&rewards, &old, before).await, 0);
    tick(&mut functions, &rewards, before).await;
    assert_eq!(coins_of(&functions, "ann", before).await, "three issued a+b+c");

    let hash = note_erasure(&functions, "ann", after).await;
    for id in ["d", "e"] {
        functions
            .post(&activity("ann", id, "task_completed"), after)
            .await;
    }
    told(&mut functions, &rewards, after).await;
    let erasing = erasing(&functions, "ann", after, hash);
    assert_eq!(erasing.rewards().await.expect("it is deleted"), 1);
    // What is delivered again brings nothing back.
    assert_eq!(deliver(&process(&functions), &old, after).await, 0);
    assert_eq!(coins_of(&functions, "ann", after).await, "none");
    functions
        .post(&activity("ann", "f", "task_completed"), after)
        .await;
    told(&mut functions, &rewards, after).await;
    assert_eq!(coins_of(&functions, "ann", after).await, "three issued d+e+f");
}

/// It reads the facts after the note, and so finds a coin by a new one.
#[tokio::test]
async fn an_invocation_that_began_before_an_erasure_leaves_no_coin_of_what_was_erased() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let [before, after] = ["2026-11-21T09:00:00Z", "2026-11-21T10:00:00Z"].map(time);
    for (id, at) in [("a", before), ("b", before), ("c", after)] {
        functions.post(&activity("ann", id, "task_completed"), at).await;
    }
    // It knows of no erasure yet.
    told(&mut functions, &rewards, after).await;
    tick(&mut functions, &rewards, after).await;
    assert_eq!(coins_of(&functions, "ann", after).await, "three issued a+b+c");
    let hash = note_erasure(&functions, "ann", after).await;
    let erasing = erasing(&functions, "ann", after, hash);
    assert_eq!(erasing.rewards().await.expect("it is deleted"), 1);
    assert_eq!(coins_of(&functions, "ann", after).await, "none");
}

/// Notes that what was received of a person before this time is erased, and returns the hash of the person.
async fn note_erasure(functions: &Functions, user: &str, before: Timestamp) -> PersonHash {
    let user: UserId = user.parse().expect("an id");
    let erasures = Erasures::default().begun(&user, before, [7; 32]).expect("a note");
    let hash = erasures.hash(&user).expect("a key");
    let table = &functions.tables.standings;
    let known = store::generations::read(&functions.client, table)
        .await
        .expect("generations");
    let mut noted = known.clone();
    noted.erasures = erasures;
    let replaced = store::generations::replace(&functions.client, table, &known, noted).await;
    replaced.expect("a note").expect("nobody was first");
    hash
}

fn erasing(functions: &Functions, user: &str, before: Timestamp, hash: PersonHash) -> Erasing {
    let user = user.parse().expect("an id");
    Erasing::new(
        functions.client.clone(),
        functions.tables.clone(),
        user,
        before,
        hash,
    )
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

/// Runs `podium reconcile --rewards` on the tables of [`Functions`]. Returns what it prints.
async fn reconcile(functions: &Functions, args: &[&str], code: i32) -> String {
    let output = podium()
        .args([
            "reconcile",
            "--rewards",
            "--project",
            "test",
            "--aws-url",
            &functions.aws_url,
        ])
        .args(args)
        .output()
        .await
        .expect("podium runs");
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// How many audit records there are.
async fn audit_records(functions: &Functions) -> usize {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let query = functions.client.query().table_name(&functions.tables.standings);
    let records = query
        .key_condition_expression("#shard = :audit")
        .expression_attribute_names("#shard", "shard")
        .expression_attribute_values(":audit", text("audit"))
        .send()
        .await
        .expect("they are read");
    records
        .items()
        .iter()
        .filter(|record| record.contains_key("coins"))
        .count()
}

/// Coins that lost messages owe, take back and amend, and a gate that was not told of an activity.
#[tokio::test]
async fn reconcile_finds_and_repairs_what_lost_messages_left() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let known = store::generations::read(&functions.client, &functions.tables.standings)
        .await
        .expect("generations");
    let settled = known.settled(&crate::tables::rules("UTC"), Timestamp::now());
    store::generations::replace(&functions.client, &functions.tables.standings, &known, settled)
        .await
        .expect("they are written")
        .expect("nobody was first");
    let now = Timestamp::now();
    let at = |second: i64| now - SignedDuration::from_hours(1) + SignedDuration::from_secs(second);
    let task = |user: &str, id: &str| activity(user, id, "task_completed");

    for (user, id, second) in [
        ("ann", "a", 0),
        ("ann", "b", 1),
        ("bob", "a", 0),
        ("bob", "b", 1),
        ("bob", "c", 2),
        ("cy", "b", 11),
        ("cy", "c", 12),
        ("cy", "d", 13),
        ("dee", "a", 0),
    ] {
        functions.post(&task(user, id), at(second)).await;
    }
    told(&mut functions, &rewards, at(20)).await;
    functions.post(&task("ann", "c"), at(21)).await;
    functions.post(&task("cy", "a"), at(10)).await;
    functions.post(&task("dee", "b"), at(21)).await;
    let void = json!({"correction_id": "v", "user_id": "bob", "voids": "b", "reason": "twice"});
    functions.send("corrections", &void, at(22)).await;
    // In flight, so neither the coin is missing nor the gate wrong.
    for id in ["a", "b", "c"] {
        functions.post(&task("eve", id), now).await;
    }
    let lost = events(&mut functions).await;
    assert_eq!(lost.len(), 7);
    tick(&mut functions, &rewards, now).await;

    let found = reconcile(&functions, &["--json"], 1).await;
    let found: Value = serde_json::from_str(&found).expect("JSON");
    let differing = |coins: u64, users: &[&str]| json!({"coins": coins, "people": 1, "users": users});
    assert_eq!(
        found["quests"],
        json!({"three 1": {
            "missing": differing(1, &["ann"]),
            "to_be_revoked": differing(1, &["bob"]),
            "to_be_amended": differing(1, &["cy"]),
        }})
    );
    assert_eq!(
        found["untold"]["users"].as_array().map(Vec::len),
        Some(3),
        "{found}"
    );
    assert_eq!((&found["in_flight"], &found["left"]), (&json!(1), &json!(4)));
    assert_eq!(coins_of(&functions, "ann", now).await, "none");
    assert_eq!(audit_records(&functions).await, 0);

    let repaired = reconcile(&functions, &["--repair"], 0).await;
    assert!(repaired.contains("4 people were proved anew."), "{repaired}");
    for (user, coin) in [
        ("ann", "three issued a+b+c"),
        ("bob", "three revoked Voided a+b+c"),
        ("cy", "three issued a+b+c"),
        ("dee", "none"),
        ("eve", "none"),
    ] {
        assert_eq!(coins_of(&functions, user, now).await, coin, "{user}");
    }
    assert_eq!(audit_records(&functions).await, 3);
    let clean = reconcile(&functions, &[], 0).await;
    assert!(clean.ends_with("All coins are as the facts say.\n"), "{clean}");
    // Dee's gate knows again that one is enough, also in a process that has seen none of this.
    functions.post(&task("dee", "c"), now).await;
    let another = process(&functions);
    told(&mut functions, &another, now).await;
    assert_eq!(coins_of(&functions, "dee", now).await, "three issued a+b+c");

    let more = r#"[{"id":"one","version":1,"title":"One","coin":{"name":"Opal","value":1},"per":"once",
        "rule":{"count":{"of":{},"at_least":1}}}]"#;
    rewards_of(&functions, more).await;
    let found = reconcile(&functions, &[], 1).await;
    assert!(found.contains("quest one 1\n          4 missing: "), "{found}");
    reconcile(&functions, &["--repair"], 0).await;
    assert!(coins_of(&functions, "bob", now).await.contains("one issued a"));
}

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
