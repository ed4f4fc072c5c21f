//! Ingest does not depend on the stages after it.

use crate::stack::{TestStack, VISIBILITY_TIMEOUT, tasks};

const ACTIVITIES: usize = 3_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_the_aggregator_stopped_ingestion_answers_and_all_is_counted_later() {
    // Messages that the aggregator held when it was stopped are delivered again soon.
    let stack = TestStack::start(|config| config.visibility_timeout = VISIBILITY_TIMEOUT).await;
    let aggregator = stack
        .stack
        .lambda
        .function("aggregator")
        .expect("there is an aggregator");
    stack.stack.aggregation().pause();
    aggregator.stop().await;

    stack.post_all(&tasks(0..ACTIVITIES, 70)).await;
    let behind = stack
        .wait_for("the backlog", |status| {
            status.freshness.backlog >= ACTIVITIES as u64
        })
        .await;
    assert_eq!(behind.status.counted.activities, 0);

    aggregator.start();
    stack.stack.aggregation().resume();
    let status = stack.wait_until_counted(ACTIVITIES as u64).await.status;
    assert_eq!(
        status.counted.points,
        10 * i64::try_from(ACTIVITIES).expect("a small number")
    );
    stack.stop().await;
}
