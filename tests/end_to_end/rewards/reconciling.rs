//! `podium reconcile --rewards`.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::{QUESTS, activity, coins_of, events, note_rules, process, rewards_of, tick, told};
use crate::cli::podium;
use crate::tables::Functions;

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
    note_rules(&functions).await;
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
