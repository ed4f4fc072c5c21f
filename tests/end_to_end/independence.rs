//! Ingestion does not depend on what comes after it.

use serde_json::{Value, json};

use crate::stack::{TestStack, VISIBILITY_TIMEOUT};

const ACTIVITIES: usize = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_aggregator_stopped_ingestion_answers_and_all_is_counted_later() {
    // What the aggregator had taken when it was stopped is soon delivered again.
    let stack = TestStack::start(|config| config.visibility_timeout = VISIBILITY_TIMEOUT).await;
    let aggregator = stack
        .stack
        .lambda
        .function("aggregator")
        .expect("there is an aggregator");
    stack.stack.aggregation().pause();
    aggregator.stop().await;

    let activities: Vec<Value> = (0..ACTIVITIES)
        .map(|n| {
            json!({
                "activity_id": format!("a{n}"),
                "user_id": format!("u{}", n % 70),
                "program_id": "wellness",
                "kind": "task_completed",
            })
        })
        .collect();
    stack.post_all(&activities).await;
    let behind = stack
        .wait_for("the backlog", |status| {
            status.freshness.backlog >= ACTIVITIES as u64
        })
        .await;
    assert_eq!(behind.status.counted.activities, 0);

    aggregator.start();
    stack.stack.aggregation().resume();
    let status = stack.wait_until_counted(ACTIVITIES as u64).await.status;
    assert_eq!(status.counted.points, 10 * ACTIVITIES as u64);
    stack.stop().await;
}
