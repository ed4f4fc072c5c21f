//! What readers see of coins.

use domain::UserId;
use domain::documents::FindersDocument;
use jiff::SignedDuration;
use serde_json::json;

use super::{QUESTS, activity, rewards_of, tick, told};
use crate::tables::{Functions, time};

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

/// The users in a page of the coins of the quest `first`, and where it continues.
async fn page(functions: &Functions, query: &str) -> (Vec<String>, Option<String>) {
    let path = format!("/v1/quests/first/coins?{query}");
    let response = functions.get(&path, time("2026-11-21T09:00:10Z")).await;
    assert_eq!(response.status(), 200);
    let page: FindersDocument = serde_json::from_slice(response.body()).expect("finders");
    let users = page.coins.into_iter();
    let users = users.map(|coin| coin.user_id.expect("an id").to_string());
    (users.collect(), page.next_cursor)
}

/// Twelve of them found their coins in pairs, and another one while the pages are read.
#[tokio::test]
async fn the_latest_finders_come_first_on_request_and_each_of_them_once() {
    let mut functions = Functions::start("UTC").await;
    let rewards = rewards_of(&functions, QUESTS).await;
    let at = |second: i64| time("2026-11-21T09:00:00Z") + SignedDuration::from_secs(second);
    for number in 0..12 {
        let milestone = activity(&format!("user-{number}"), "m", "learning_milestone");
        functions.post(&milestone, at(number / 2)).await;
    }
    told(&mut functions, &rewards, at(10)).await;
    tick(&mut functions, &rewards, at(10)).await;
    let (mut expected, _) = page(&functions, "order=found").await;
    assert_eq!(expected[0], "user-0");
    assert_eq!(page(&functions, "limit=100").await.0, expected);
    expected.reverse();
    assert_eq!(page(&functions, "order=latest").await, (expected.clone(), None));

    for limit in [1, 5, 12] {
        let (mut users, mut cursor) = page(&functions, &format!("order=latest&limit={limit}")).await;
        while let Some(next) = cursor {
            let (more, after) = page(&functions, &format!("order=latest&limit={limit}&cursor={next}")).await;
            assert!(!more.is_empty() && more.len() <= limit, "{more:?}");
            users.extend(more);
            cursor = after;
        }
        assert_eq!(users, expected, "pages of {limit}");
    }

    let (first, cursor) = page(&functions, "order=latest&limit=5").await;
    functions
        .post(&activity("zoe", "m", "learning_milestone"), at(11))
        .await;
    told(&mut functions, &rewards, at(11)).await;
    let cursor = cursor.expect("there are more");
    let (rest, _) = page(&functions, &format!("order=latest&cursor={cursor}")).await;
    assert_eq!([first, rest].concat(), expected);
    assert_eq!(page(&functions, "order=latest&limit=1").await.0, ["zoe"]);
}
