//! How equal points are ranked, with a fixed clock.

use domain::{BoardDocument, UserDocument};
use serde_json::{Value, json};
use store::Rules;
use store::rules::TieBreak;

use crate::tables::{Functions, render, rules, time};

const NOW: &str = "2026-11-21T12:00:00Z";

/// A board of tasks such as `ann 09:00`, of which the last ones are void.
async fn posted(listed: usize, tasks: &[&str], voided: &[usize]) -> Functions {
    let rules = Rules {
        tie_break: TieBreak::Earlier,
        ..rules("UTC")
    };
    let mut functions = Functions::configured(rules, listed, "10").await;
    for (id, task) in tasks.iter().enumerate() {
        let (user, at) = task.split_once(' ').expect("a user and a time");
        let activity = json!({
            "activity_id": id.to_string(),
            "user_id": user,
            "program_id": if id % 2 == 0 { "p" } else { "q" },
            "kind": "task_completed",
            "occurred_at": format!("2026-11-21T{at}Z"),
        });
        functions.post(&activity, time(NOW)).await;
    }
    for &id in voided {
        let (user, _) = tasks[id].split_once(' ').expect("a user and a time");
        let void = json!({"correction_id": format!("c{id}"), "user_id": user, "voids": id.to_string(), "reason": "Wrong"});
        functions.send("corrections", &void, time(NOW)).await;
    }
    functions.count(time(NOW)).await;
    functions.publish(time(NOW)).await;
    functions
}

async fn board(functions: &Functions, query: &str, at: &str) -> String {
    let response = functions
        .get(&format!("/v1/boards/global{query}"), time(at))
        .await;
    let document: BoardDocument = serde_json::from_slice(response.body()).expect("a board");
    render(&document)
}

async fn rank(functions: &Functions, user: &str) -> u64 {
    let response = functions
        .get(&format!("/v1/boards/global/users/{user}"), time(NOW))
        .await;
    let document: UserDocument = serde_json::from_slice(response.body()).expect("a user");
    document.entry.rank
}

#[tokio::test]
async fn whose_last_activity_is_earlier_is_ahead() {
    let tasks = [
        "ann 09:00:00",
        "bob 08:00:00",
        "cy 08:00:00",
        "dee 07:00:00",
        "dee 10:00:00",
        "eve 07:00:00",
        "eve 11:00:00.001",
    ];
    // Dee and Eve have ten points again, and did something later.
    let mut functions = posted(10, &tasks, &[4, 6]).await;
    let expected = "1.bob=10/1 1.cy=10/1 3.ann=10/1 4.dee=10/1 5.eve=10/1";
    for query in ["", "?window=day", "?window=month"] {
        assert_eq!(board(&functions, query, NOW).await, expected, "{query}");
    }
    for (user, expected) in [("cy", 1), ("ann", 3), ("eve", 5)] {
        assert_eq!(rank(&functions, user).await, expected, "{user}");
    }
    // A closed board says the same.
    let closed_at = "2026-11-23T00:03:00Z";
    for at in ["2026-11-23T00:01:00Z", "2026-11-23T00:02:00Z", closed_at] {
        functions.publish(time(at)).await;
        functions.count(time(at)).await;
    }
    assert_eq!(board(&functions, "?period=2026-11-21", closed_at).await, expected);
    let response = functions
        .get("/v1/boards/global/users/ann?period=2026-11-21", time(closed_at))
        .await;
    let document: Value = serde_json::from_slice(response.body()).expect("JSON");
    assert_eq!(document["entry"]["rank"], 3);
}

#[tokio::test]
async fn who_is_not_listed_comes_after_the_rows() {
    let tasks = ["ann 09:00:00", "bob 08:00:00", "cy 10:00:00", "dee 10:30:00"];
    let functions = posted(2, &tasks, &[]).await;
    assert_eq!(board(&functions, "", NOW).await, "1.bob=10/1 2.ann=10/1");
    for (user, expected) in [("bob", 1), ("ann", 2), ("cy", 3), ("dee", 3)] {
        assert_eq!(rank(&functions, user).await, expected, "{user}");
    }
}
