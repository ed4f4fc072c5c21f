//! Quests with so many coins in all: who is first, and passes that are cut off.

use std::sync::atomic::{AtomicUsize, Ordering};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::{
    BeforeDeserializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
};
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::documents::QuestsDocument;
use domain::quest;
use domain::quest::{CoinId, CoinPeriod, CoinState};
use jiff::SignedDuration;
use serde_json::json;
use store::coins::COUNTED_MAX;
use store::erasures::Erasures;
use store::quests::QuestVersion;
use store::settling::{Portion, Settling};
use store::{Coins, Facts, RewardRules, RewardTables, Rewarding};
use tokio::time::Instant;

use super::erasure::{erasing, note_erasure};
use super::{
    PATIENCE, QUESTS, activity, coins_of, deliver, events, policy, process, rewards_of, tables, tick, told,
};
use crate::tables::{Functions, time};

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
