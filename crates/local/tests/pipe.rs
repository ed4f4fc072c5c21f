//! The guarantee of a pipe: each matching record reaches the target, or its position reaches the
//! dead-letter target, despite failures.

mod stack;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::bail;
use local::dynamodb::DynamoDb;
use local::pipe::{Condition, DeadLetter, Pipe, PipeConfig, SendFailure, TableStream};
use serde_json::Value;
use stack::{TABLE, connect, create_table, in_a_process, put, start, text};

fn config() -> PipeConfig {
    PipeConfig {
        name: "activities-to-queue".into(),
        batch_size: 10,
        filter: Some(r#"{"eventName":["INSERT"]}"#.parse().expect("a pattern")),
        maximum_retry_attempts: Some(1),
        maximum_record_age: None,
        checkpoint: None,
    }
}

fn source(dynamodb: &DynamoDb) -> TableStream {
    TableStream::new(dynamodb.clone(), TABLE)
}

/// A target that refuses the given messages, and records every call.
#[derive(Clone, Default)]
struct Target {
    calls: Arc<Mutex<Vec<Vec<String>>>>,
    taken: Arc<Mutex<Vec<String>>>,
    dead_letters: Arc<Mutex<Vec<DeadLetter>>>,
}

impl Target {
    /// `refuse` gets the number of earlier calls and the activities of this call.
    fn attach<R>(&self, dynamodb: &DynamoDb, config: PipeConfig, refuse: R) -> Pipe
    where
        R: Fn(usize, &[String]) -> anyhow::Result<Vec<usize>> + Send + Sync + 'static,
    {
        let (target, dead_letters) = (self.clone(), Arc::clone(&self.dead_letters));
        let send = move |bodies: Vec<String>| {
            let activities: Vec<_> = bodies.iter().map(|body| activity(body)).collect();
            let mut calls = target.calls.lock().expect("calls");
            let refused = refuse(calls.len(), &activities);
            calls.push(activities.clone());
            let outcome = refused.map(|refused| {
                let taken = (0..activities.len()).filter(|index| !refused.contains(index));
                let mut all = target.taken.lock().expect("taken");
                all.extend(taken.map(|index| activities[index].clone()));
                let failure = |index| SendFailure {
                    index,
                    reason: "refused".into(),
                };
                refused.into_iter().map(failure).collect()
            });
            std::future::ready(outcome)
        };
        let dead_letter = move |dead_letter| {
            dead_letters.lock().expect("dead letters").push(dead_letter);
            std::future::ready(Ok(()))
        };
        Pipe::start(source(dynamodb), config, send, dead_letter).expect("a pipe")
    }

    fn calls(&self) -> Vec<Vec<String>> {
        self.calls.lock().expect("calls").clone()
    }

    fn taken(&self) -> Vec<String> {
        self.taken.lock().expect("taken").clone()
    }

    fn dead_letters(&self) -> Vec<DeadLetter> {
        self.dead_letters.lock().expect("dead letters").clone()
    }
}

fn activity(body: &str) -> String {
    let record: Value = serde_json::from_str(body).expect("JSON");
    let activity = &record["dynamodb"]["NewImage"]["activity_id"]["S"];
    activity.as_str().expect("an activity").to_owned()
}

#[expect(clippy::unnecessary_wraps, reason = "the shape of a target that refuses")]
fn take_all(_: usize, _: &[String]) -> anyhow::Result<Vec<usize>> {
    Ok(Vec::new())
}

async fn eventually(condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), reached)
        .await
        .expect("the condition within half a minute");
}

#[tokio::test]
async fn only_what_matches_the_filter_is_sent() {
    let (dynamodb, client) = start().await;
    let target = Target::default();
    let pipe = target.attach(&dynamodb, config(), take_all);
    put(&client, "ann", "a1").await;
    client
        .update_item()
        .table_name(TABLE)
        .key("user_id", text("ann"))
        .key("activity_id", text("a1"))
        .update_expression("SET #note = :note")
        .expression_attribute_names("#note", "note")
        .expression_attribute_values(":note", text("x"))
        .send()
        .await
        .expect("an update");
    client
        .delete_item()
        .table_name(TABLE)
        .key("user_id", text("ann"))
        .key("activity_id", text("a1"))
        .send()
        .await
        .expect("a delete");
    put(&client, "ann", "a2").await;

    eventually(|| pipe.counters().sent == 2).await;
    assert_eq!(target.taken(), ["a1", "a2"]);
    let counters = pipe.counters();
    assert_eq!((counters.read, counters.filtered), (4, 2));
    assert_eq!(pipe.lag().await.expect("a lag"), Duration::ZERO);
}

#[tokio::test]
async fn records_are_sent_in_order_in_batches_of_at_most_ten() {
    let (dynamodb, client) = start().await;
    let activities: Vec<_> = (10..35).map(|index| format!("a{index}")).collect();
    for activity in &activities {
        put(&client, "ann", activity).await;
    }
    let target = Target::default();
    let pipe = target.attach(&dynamodb, config(), take_all);
    eventually(|| pipe.counters().sent == 25).await;
    assert_eq!(target.taken(), activities);
    let sizes: Vec<_> = target.calls().iter().map(Vec::len).collect();
    assert_eq!(sizes, [10, 10, 5]);
}

#[test]
fn a_restart_goes_on_after_the_checkpoint() {
    let directory = tempfile::tempdir().expect("a directory");
    let config = PipeConfig {
        checkpoint: Some(directory.path().join("pipe.checkpoint")),
        ..config()
    };
    let target = Target::default();
    in_a_process(async {
        let dynamodb = DynamoDb::open(Some(directory.path())).expect("a database");
        let client = connect(&dynamodb).await;
        create_table(&client).send().await.expect("a table");
        let pipe = target.attach(&dynamodb, config.clone(), take_all);
        put(&client, "ann", "a1").await;
        put(&client, "ann", "a2").await;
        eventually(|| pipe.counters().sent == 2).await;
        pipe.stop().await.expect("a stop");
        put(&client, "ann", "a3").await;
    });
    in_a_process(async {
        let dynamodb = DynamoDb::open(Some(directory.path())).expect("a database");
        let client = connect(&dynamodb).await;
        let pipe = target.attach(&dynamodb, config.clone(), take_all);
        put(&client, "ann", "a4").await;
        eventually(|| pipe.counters().sent == 2).await;
    });
    assert_eq!(target.taken(), ["a1", "a2", "a3", "a4"]);
}

#[tokio::test]
async fn a_restart_from_an_earlier_position_sends_again_what_came_after_it() {
    let (dynamodb, client) = start().await;
    let target = Target::default();
    let pipe = target.attach(&dynamodb, config(), take_all);
    put(&client, "ann", "a1").await;
    eventually(|| pipe.counters().sent == 1).await;
    let earlier = pipe.restarter().position();
    put(&client, "ann", "a2").await;
    put(&client, "ann", "a3").await;
    eventually(|| pipe.counters().sent == 3).await;
    assert!(pipe.restarter().restart(earlier, Duration::ZERO));
    put(&client, "ann", "a4").await;
    eventually(|| pipe.counters().sent == 6).await;
    assert_eq!(target.taken().last().map(String::as_str), Some("a4"));
    let again = |activity: &str| target.taken().iter().filter(|taken| *taken == activity).count();
    assert_eq!(["a1", "a2", "a3"].map(again), [1, 2, 2]);
    pipe.stop().await.expect("a stop");
}

#[tokio::test]
async fn a_bad_record_is_isolated_and_only_its_position_is_given_up() {
    let (dynamodb, client) = start().await;
    for activity in ["a1", "a2", "bad", "a4", "a5"] {
        put(&client, "ann", activity).await;
    }
    let target = Target::default();
    let pipe = target.attach(&dynamodb, config(), |_, activities| {
        if activities.iter().any(|activity| activity == "bad") {
            bail!("the whole call fails");
        }
        Ok(Vec::new())
    });
    eventually(|| pipe.counters().sent == 4).await;

    assert_eq!(target.taken(), ["a1", "a2", "a4", "a5"]);
    let alone = target.calls().iter().filter(|call| *call == &["bad"]).count();
    assert_eq!(alone, 2, "one attempt and one retry");
    let dead_letters = target.dead_letters();
    let [dead_letter] = dead_letters.as_slice() else {
        panic!("{dead_letters:?}");
    };
    assert_eq!(dead_letter.condition, Condition::RetryAttemptsExhausted);
    let records = dynamodb.records(TABLE, None, 10).await.expect("records");
    let bad = &records[2];
    let document = dead_letter.document();
    let position = &document["DDBStreamBatchInfo"];
    assert_eq!(
        position["startSequenceNumber"],
        bad.sequence_number.to_string().as_str()
    );
    assert_eq!(position["streamArn"], bad.stream_arn.as_str());
    assert_eq!(position["shardId"], bad.shard_id.as_str());
    assert_eq!(
        document["context"]["partnerResourceArn"],
        "arn:aws:pipes:dynoxide:000000000000:pipe/activities-to-queue"
    );
    assert!(!document.to_string().contains("ann"), "{document}");
    assert_eq!(pipe.counters().dead_lettered, 1);
}

#[tokio::test]
async fn only_the_refused_messages_of_a_batch_are_sent_again() {
    let (dynamodb, client) = start().await;
    for activity in ["a1", "a2", "a3"] {
        put(&client, "ann", activity).await;
    }
    let target = Target::default();
    let pipe = target.attach(&dynamodb, config(), |calls, _| {
        Ok(if calls == 0 { vec![1] } else { Vec::new() })
    });
    eventually(|| pipe.counters().sent == 3).await;
    let calls = target.calls();
    assert_eq!(calls, [vec!["a1", "a2", "a3"], vec!["a2"]]);
    assert_eq!(pipe.counters().retried, 1);
    assert!(target.dead_letters().is_empty());
}

#[tokio::test]
async fn an_outage_of_the_target_loses_nothing_when_retries_have_no_bound() {
    let (dynamodb, client) = start().await;
    let config = PipeConfig {
        maximum_retry_attempts: None,
        ..config()
    };
    let activities: Vec<_> = (10..30).map(|index| format!("a{index}")).collect();
    for activity in &activities {
        put(&client, "ann", activity).await;
    }
    let target = Target::default();
    let pipe = target.attach(&dynamodb, config, |calls, _| {
        if calls < 8 {
            bail!("out of order");
        }
        Ok(Vec::new())
    });
    eventually(|| pipe.counters().sent == 20).await;
    assert_eq!(target.taken(), activities);
    assert!(target.dead_letters().is_empty());
}

#[tokio::test]
async fn what_is_too_old_is_given_up_unsent() {
    let (dynamodb, client) = start().await;
    put(&client, "ann", "a1").await;
    let target = Target::default();
    let config = PipeConfig {
        maximum_record_age: Some(Duration::ZERO),
        ..config()
    };
    let pipe = target.attach(&dynamodb, config, take_all);
    eventually(|| pipe.counters().dead_lettered == 1).await;
    assert!(target.calls().is_empty());
    assert_eq!(target.dead_letters()[0].condition, Condition::RecordAgeExceeded);
}

#[tokio::test]
async fn a_dead_letter_is_offered_until_it_is_taken() {
    let (dynamodb, client) = start().await;
    put(&client, "ann", "a1").await;
    put(&client, "ann", "a2").await;
    let offers = Arc::new(Mutex::new(Vec::new()));
    let offered = Arc::clone(&offers);
    let pipe = Pipe::start(
        source(&dynamodb),
        PipeConfig {
            maximum_retry_attempts: Some(0),
            ..config()
        },
        async |_| bail!("out of order"),
        move |dead_letter: DeadLetter| {
            let mut offered = offered.lock().expect("offers");
            offered.push(dead_letter.sequence_number.to_string());
            std::future::ready(match offered.len() {
                1 => Err(anyhow::anyhow!("not yet")),
                _ => Ok(()),
            })
        },
    )
    .expect("a pipe");
    eventually(|| pipe.counters().dead_lettered == 2).await;
    let offers = offers.lock().expect("offers");
    assert_eq!(offers.len(), 3);
    assert_eq!(offers[0], offers[1]);
}

#[tokio::test]
async fn a_paused_pipe_waits_and_then_catches_up() {
    let (dynamodb, client) = start().await;
    let target = Target::default();
    let pipe = target.attach(&dynamodb, config(), take_all);
    put(&client, "ann", "a1").await;
    eventually(|| pipe.counters().sent == 1).await;
    pipe.pause();
    put(&client, "ann", "a2").await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(target.taken(), ["a1"]);
    pipe.resume();
    eventually(|| pipe.counters().sent == 2).await;
    assert_eq!(target.taken(), ["a1", "a2"]);
}

#[tokio::test]
async fn a_pipe_that_cannot_know_its_position_does_not_start() {
    let (dynamodb, _client) = start().await;
    let directory = tempfile::tempdir().expect("a directory");
    let checkpoint = directory.path().join("pipe.checkpoint");
    std::fs::write(&checkpoint, "gibberish").expect("a file");
    let check = |config: PipeConfig, expected: &str| {
        let dead_letter = |_| std::future::ready(Ok(()));
        let send = |_| std::future::ready(Ok(Vec::new()));
        let started = Pipe::start(source(&dynamodb), config, send, dead_letter);
        let error = started.err().expect("an error").to_string();
        assert!(error.contains(expected), "{error}");
    };
    let broken = PipeConfig {
        checkpoint: Some(checkpoint),
        ..config()
    };
    check(broken, "is not a checkpoint");
    let greedy = PipeConfig {
        batch_size: 11,
        ..config()
    };
    check(greedy, "1 to 10");
}
