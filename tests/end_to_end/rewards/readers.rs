//! What readers see of coins.

use domain::UserId;
use domain::documents::FindersDocument;
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
