//! A redrive loses nothing and counts nothing twice.

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use aggregator::Aggregator;
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use jiff::Timestamp;
use local::settings::{self, Batching};
use local::sqs::{Faults, Queue};
use queue::Queues;
use serde_json::Value;
use store::rules::TieBreak;
use store::{CountTables, Counting, Rules};
use tokio::time::sleep;

use super::{PATIENCE, command, depths, dlq, list, reasons, record, send, signal, wait_for};
use crate::cli::text;
use crate::stack::{TestStack, tasks};

/// An aggregator whose scoring policy has no points for tasks.
fn aggregator_without_tasks(stack: &TestStack) -> Aggregator {
    let stack = &stack.stack;
    let aws = local::sdk_config(&stack.aws_url);
    let shards = settings::STANDING_SHARDS.to_string();
    let tables = CountTables {
        dedup: stack.tables.dedup.clone(),
        standings: stack.tables.standings.clone(),
    };
    let policy = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"nap":1}}]"#;
    let rules = Rules {
        standing_shards: shards.parse().expect("a number of shards"),
        calendar: "UTC".parse().expect("a time zone"),
        scoring_policy: policy.parse().expect("a policy"),
        period_grace: None,
        tie_break: TieBreak::Shared,
    };
    Aggregator::new(
        Counting::new(&aws_sdk_dynamodb::Client::new(&aws), tables, rules),
        Queues {
            client: aws_sdk_sqs::Client::new(&aws),
            queue_url: stack.queue.url(),
            dead_letter_queue_url: stack.dead_letter_queue.url(),
        },
    )
}

/// Posts activities while the scoring policy lacks their kind, so that all become dead letters. The stack's
/// own aggregator is paused when this returns.
async fn post_as_dead_letters(stack: &TestStack, activities: usize) {
    stack.stack.aggregation().pause();
    stack.post_all(&tasks(0..activities, 7)).await;
    let aggregator = aggregator_without_tasks(stack);
    let queue = &stack.stack.queue;
    let until = Instant::now() + PATIENCE;
    while stack.stack.dead_letter_queue.depth().total() < activities {
        assert!(Instant::now() < until, "no dead letters within {PATIENCE:?}");
        let received = queue.receive(10, Duration::from_millis(100), None).await;
        let mut event = SqsEvent::default();
        for received in &received {
            let mut message = SqsMessage::default();
            message.message_id = Some(received.id.to_string());
            message.receipt_handle = Some(received.receipt.to_string());
            message.body = Some(received.body().to_owned());
            event.records.push(message);
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
        let response = aggregator.handle(event, Timestamp::now(), deadline).await;
        assert!(response.batch_item_failures.is_empty(), "{response:?}");
        let receipts: Vec<_> = received.iter().map(|received| received.receipt).collect();
        queue.delete_batch(&receipts).expect("they are deleted");
    }
}

/// The number of activities, without heartbeats, in a queue that has no consumer.
async fn waiting_activities(queue: &Queue) -> usize {
    let mut activities = 0;
    loop {
        // The messages stay hidden until all were seen, and become visible soon afterwards.
        let received = queue
            .receive(10, Duration::ZERO, Some(Duration::from_secs(2)))
            .await;
        if received.is_empty() {
            return activities;
        }
        let is_activity = received
            .iter()
            .filter(|message| !message.body().contains("~heartbeat"));
        activities += is_activity.count();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_mended_is_redriven_and_counts_once() {
    const ACTIVITIES: usize = 120;
    let stack = TestStack::start(|_| {}).await;
    let dead_letter_queue = &stack.stack.dead_letter_queue;
    post_as_dead_letters(&stack, ACTIVITIES).await;
    assert_eq!(
        reasons(&list(&stack, &[]).await),
        BTreeMap::from([("not_scored", ACTIVITIES as u64)])
    );

    let rehearsed = dlq(&stack, &["redrive", "--dry-run", "--reason", "not_scored"])
        .await
        .check(0);
    assert!(
        rehearsed
            .starts_with("would send 120 dead letters from podium-activities-dlq to podium-activities\n"),
        "{rehearsed}"
    );
    let limited = dlq(&stack, &["redrive", "--limit", "7"]).await.check(0);
    assert!(limited.starts_with("7 dead letters sent from "), "{limited}");
    assert_eq!(depths(dead_letter_queue), (ACTIVITIES - 7, 0));
    let others = dlq(&stack, &["redrive", "--reason", "none"]).await.check(0);
    assert!(others.starts_with("0 dead letters sent from "), "{others}");
    assert_eq!(depths(dead_letter_queue), (ACTIVITIES - 7, 0));

    // As after a redrive that was killed between sending and deleting: ten are in the queue already.
    let sent = dead_letter_queue
        .receive(10, Duration::ZERO, Some(Duration::ZERO))
        .await;
    send(
        &stack.stack.queue,
        sent.iter().map(|dead_letter| dead_letter.body().to_owned()),
    );
    // And SQS delivers every dead letter once more after it was deleted.
    dead_letter_queue.set_faults(Faults {
        deliver_twice: true,
        shuffle: Some(7),
    });
    let redriven = dlq(&stack, &["redrive", "--rate", "1000"]).await.check(0);
    assert!(redriven.starts_with("113 dead letters sent from "), "{redriven}");
    assert_eq!(dead_letter_queue.depth().total(), 0);
    assert_eq!(
        waiting_activities(&stack.stack.queue).await,
        ACTIVITIES + 10,
        "each was sent once"
    );
    stack.stack.aggregation().resume();
    stack.wait_until_counted(ACTIVITIES as u64).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redrive_that_is_killed_or_interrupted_is_run_again() {
    const ACTIVITIES: usize = 400;
    let stack = TestStack::start(|_| {}).await;
    let dead_letter_queue = &stack.stack.dead_letter_queue;
    post_as_dead_letters(&stack, ACTIVITIES).await;
    stack.stack.aggregation().resume();

    let mut killed = command(&stack, &["redrive", "--rate", "100"])
        .spawn()
        .expect("podium runs");
    wait_for("a part", || dead_letter_queue.depth().total() < ACTIVITIES - 100).await;
    killed.kill().await.expect("it is killed");
    let left = dead_letter_queue.depth();
    assert!(
        left.total() > 0 && left.in_flight > 0,
        "it was killed before it ended: {left:?}"
    );

    let interrupted = command(&stack, &["redrive", "--rate", "100"])
        .spawn()
        .expect("podium runs");
    wait_for("another part", || {
        dead_letter_queue.depth().total() < left.total() - 50
    })
    .await;
    signal("INT", &interrupted).await;
    let output = interrupted.wait_with_output().await.expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(output.stderr));
    assert!(
        dead_letter_queue.depth().total() > 0,
        "it was interrupted before it ended"
    );
    assert!(
        dead_letter_queue.depth().in_flight <= left.in_flight,
        "what it held is returned"
    );

    // The dead letters that the killed command held are hidden for a while.
    let until = Instant::now() + PATIENCE;
    loop {
        let again = dlq(&stack, &["redrive", "--rate", "1000"]).await;
        if again.code == Some(0) {
            break;
        }
        assert!(
            again.stderr.contains("hidden: another command"),
            "{}{}",
            again.stdout,
            again.stderr
        );
        assert!(Instant::now() < until, "dead letters are left after {PATIENCE:?}");
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(dead_letter_queue.depth().total(), 0, "none is left");
    stack.wait_until_counted(ACTIVITIES as u64).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_mended_comes_back_and_the_redrive_ends() {
    const DEAD_LETTERS: usize = 40;
    let stack = TestStack::start(|config| config.batching = Batching::Prompt).await;
    let dead_letter_queue = &stack.stack.dead_letter_queue;
    send(
        &stack.stack.queue,
        (0..DEAD_LETTERS).map(|id| record(&format!("nap-{id}"), "nap")),
    );
    wait_for("the dead letters", || {
        dead_letter_queue.depth().total() == DEAD_LETTERS
    })
    .await;
    let ids = |listed: &Value| {
        let lines = listed["oldest"].as_array().expect("dead letters").iter();
        lines
            .map(|line| line["id"].as_str().expect("an id").to_owned())
            .collect::<HashSet<_>>()
    };
    let before = ids(&list(&stack, &["--limit", "100"]).await);

    // Slow enough for the first ones to come back meanwhile.
    let redriven = dlq(&stack, &["redrive", "--rate", "10"]).await.check(1);
    assert!(redriven.starts_with("40 dead letters sent from "), "{redriven}");
    assert!(
        redriven.contains(" came back, since their cause is not fixed; "),
        "{redriven}"
    );
    wait_for("the dead letters again", || {
        dead_letter_queue.depth().visible == DEAD_LETTERS
    })
    .await;
    let after = ids(&list(&stack, &["--limit", "100"]).await);
    assert_eq!((before.len(), after.len()), (DEAD_LETTERS, DEAD_LETTERS));
    assert!(before.is_disjoint(&after), "each was sent once");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_rewards_could_not_read_goes_to_their_own_queue_again() {
    let quests = r#"[{"id":"one","version":1,"title":"One","coin":{"name":"C","value":1},"per":"once",
        "rule":{"count":{"of":{},"at_least":1}}}]"#;
    let stack = TestStack::start(|config| config.quests = Some(quests.to_owned())).await;
    let (queue, dead_letters) = stack.stack.rewards_queues();
    let unreadable = record("a", "task_completed");
    send(queue, [unreadable.clone()]);
    wait_for("a dead letter", || depths(dead_letters) == (1, 0)).await;
    stack.stack.rewards().pause();
    assert_eq!(
        reasons(&list(&stack, &["--of", "rewards"]).await)["not_an_event"],
        1
    );
    assert_eq!(reasons(&list(&stack, &[]).await), BTreeMap::new());
    dlq(&stack, &["redrive", "--of", "rewards"]).await.check(0);
    assert_eq!(depths(dead_letters), (0, 0));
    let until = Instant::now() + PATIENCE;
    loop {
        assert!(
            Instant::now() < until,
            "it is not in the queue within {PATIENCE:?}"
        );
        // Heartbeats are there, too.
        let received = queue.receive(10, Duration::from_millis(100), None).await;
        if received.iter().any(|received| received.body() == unreadable) {
            break;
        }
    }
    stack.stop().await;
}
