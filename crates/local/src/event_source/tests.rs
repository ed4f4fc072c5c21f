use std::sync::Mutex;

use serde_json::{Value, json};

use super::*;
use crate::sqs::{MessageAttribute, NewMessage, QueueAttributes, Sqs};

/// Long enough for a busy machine. Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(20);
/// A visibility timeout for tests in which a message returns.
const SOON: Duration = Duration::from_millis(200);

fn queue() -> Queue {
    queue_with(QueueAttributes::default().visibility_timeout)
}

fn queue_with(visibility_timeout: Duration) -> Queue {
    let sqs = Sqs::new("http://127.0.0.1:1".to_owned(), None).expect("nothing is read");
    let attributes = QueueAttributes {
        visibility_timeout,
        ..QueueAttributes::default()
    };
    sqs.create_queue("activities", attributes)
        .expect("valid attributes")
}

fn send(queue: &Queue, bodies: impl IntoIterator<Item = String>) {
    for outcome in queue.send_batch(bodies.into_iter().map(NewMessage::new).collect()) {
        outcome.expect("a valid message");
    }
}

fn mapping(queue: &Queue, batch_size: usize, window: Duration) -> EventSourceMapping {
    EventSourceMapping {
        queue: queue.clone(),
        batch_size,
        batching_window: window,
        maximum_concurrency: 2,
        faults: Faults::none(),
    }
}

fn bodies(event: &Value) -> Vec<String> {
    let records = event["Records"].as_array().expect("records");
    records
        .iter()
        .map(|record| record["body"].as_str().expect("a body").to_owned())
        .collect()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let waiting = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, waiting)
        .await
        .unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain until {what}"));
}

/// The events of all invocations.
#[derive(Clone, Default)]
struct Invocations(Arc<Mutex<Vec<Value>>>);

impl Invocations {
    fn note(&self, payload: &Bytes) -> Value {
        let event: Value = serde_json::from_slice(payload).expect("an event in JSON");
        self.0.lock().unwrap().push(event.clone());
        event
    }

    fn all(&self) -> Vec<Value> {
        self.0.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn the_event_is_shaped_as_on_aws() {
    let queue = queue();
    let mut message = NewMessage::new("hello");
    let attribute = MessageAttribute::text("x").unwrap();
    message.attributes.insert("reason".to_owned(), attribute);
    let id = queue.send_batch(vec![message]).remove(0).unwrap();

    let invocations = Invocations::default();
    let noted = invocations.clone();
    let source = mapping(&queue, 10, Duration::ZERO)
        .start(move |payload| {
            noted.note(&payload);
            async { Ok::<_, String>(Bytes::from_static(b"null")) }
        })
        .unwrap();
    until("the message is deleted", || queue.depth().total() == 0).await;
    source.stop(PATIENCE).await;

    let mut event = invocations.all().remove(0);
    let record = &mut event["Records"][0];
    for (name, kind) in [("SentTimestamp", 13), ("ApproximateFirstReceiveTimestamp", 13)] {
        let value = record["attributes"][name].take();
        assert_eq!(
            value.as_str().map(str::len),
            Some(kind),
            "{name} is in milliseconds"
        );
    }
    assert!(record["receiptHandle"].take().is_string());
    let expected = json!({
        "messageId": id.to_string(),
        "receiptHandle": null,
        "body": "hello",
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": null,
            "SenderId": "000000000000",
            "ApproximateFirstReceiveTimestamp": null,
        },
        "messageAttributes": {
            "reason": {
                "stringValue": "x",
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": "String",
            },
        },
        "md5OfBody": "5d41402abc4b2a76b9719d911017c592",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:activities",
        "awsRegion": "us-east-1",
    });
    assert_eq!(*record, expected);
}

/// Checks which of two messages succeed with this response. `$0` stands for the id of the first.
async fn check_response(response: &str, succeeded: Option<[bool; 2]>) {
    let queue = queue();
    send(&queue, ["a", "b"].map(str::to_owned));
    let received = queue.receive(2, Duration::ZERO, None).await;
    let messages: Vec<_> = received.iter().map(|one| (one.id, one.receipt)).collect();
    let response = response.replace("$0", &messages[0].0.to_string());
    let seen = response::failed_messages(response.as_bytes(), &messages)
        .ok()
        .map(|failed| [!failed.contains(&messages[0].0), !failed.contains(&messages[1].0)]);
    assert_eq!(seen, succeeded, "{response}");
}

#[tokio::test]
async fn a_response_is_read_as_aws_reads_it() {
    let all = Some([true, true]);
    check_response("", all).await;
    check_response("null", all).await;
    check_response("{}", all).await;
    check_response(r#"{"batchItemFailures":null}"#, all).await;
    check_response(r#"{"batchItemFailures":[]}"#, all).await;
    check_response(
        r#"{"batchItemFailures":[{"itemIdentifier":"$0"}]}"#,
        Some([false, true]),
    )
    .await;
    check_response(r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, None).await;
    check_response(r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, None).await;
    check_response(r#"{"batchItemFailures":[{"itemId":"$0"}]}"#, None).await;
    check_response(
        r#"{"batchItemFailures":[{"itemIdentifier":"$0"},{"itemIdentifier":"?"}]}"#,
        None,
    )
    .await;
    check_response(r#"{"batchItemFailures":"#, None).await;
    check_response(r#""done""#, None).await;
}

/// Checks how often a message is delivered if this fault affects its deletion after the first two deliveries.
async fn check_deliveries(fault: Fault, expected: usize) {
    let faults = Faults::from_seed(1, [fault]);
    faults.raise(fault, [], 1.0);
    let queue = queue_with(SOON);
    send(&queue, ["a".to_owned()]);
    let invocations = Invocations::default();
    let (noted, injected) = (invocations.clone(), faults.clone());
    let source = EventSourceMapping {
        faults: faults.clone(),
        ..mapping(&queue, 10, Duration::ZERO)
    };
    let source = source
        .start(move |payload| {
            noted.note(&payload);
            if noted.all().len() == 3 {
                injected.switch_off();
            }
            async { Ok::<_, String>(Bytes::new()) }
        })
        .unwrap();
    until("it is deleted", || queue.depth().total() == 0).await;
    source.stop(PATIENCE).await;
    assert_eq!(invocations.all().len(), expected, "{fault}");
    assert_eq!(faults.counts(), [(fault, 2)]);
}

#[tokio::test]
async fn faults_bring_back_what_is_done() {
    check_deliveries(Fault::LoseAcknowledgement, 3).await;
    // The second delivery of a deleted message is not affected again.
    check_deliveries(Fault::DeliverTwice, 2).await;
}

#[tokio::test]
async fn only_what_failed_comes_again() {
    let queue = queue_with(SOON);
    send(&queue, ["good", "bad"].map(str::to_owned));
    let invocations = Invocations::default();
    let noted = invocations.clone();
    let source = mapping(&queue, 10, Duration::ZERO)
        .start(move |payload| {
            let event = noted.note(&payload);
            async move {
                let records = event["Records"].as_array().expect("records");
                let bad = records.iter().filter(|record| {
                    record["body"] == "bad" && record["attributes"]["ApproximateReceiveCount"] == "1"
                });
                let failures: Vec<Value> = bad
                    .map(|record| json!({ "itemIdentifier": record["messageId"] }))
                    .collect();
                let response = json!({ "batchItemFailures": failures });
                Ok::<_, String>(Bytes::from(response.to_string()))
            }
        })
        .unwrap();
    until("both are done", || queue.depth().total() == 0).await;
    source.stop(PATIENCE).await;
    let seen: Vec<_> = invocations.all().iter().map(bodies).collect();
    assert_eq!(seen, [vec!["good", "bad"], vec!["bad"]]);
}

#[tokio::test]
async fn a_failed_invocation_deletes_nothing() {
    let queue = queue_with(SOON);
    send(&queue, ["a", "b"].map(str::to_owned));
    let invocations = Invocations::default();
    let noted = invocations.clone();
    let source = mapping(&queue, 10, Duration::ZERO)
        .start(move |payload| {
            noted.note(&payload);
            let first = noted.all().len() == 1;
            async move { if first { Err("throttled") } else { Ok(Bytes::new()) } }
        })
        .unwrap();
    until("both are done", || queue.depth().total() == 0).await;
    source.stop(PATIENCE).await;
    let seen: Vec<_> = invocations.all().iter().map(bodies).collect();
    assert_eq!(seen, [["a", "b"], ["a", "b"]]);
}

#[tokio::test]
async fn a_window_gathers_more_than_one_receive() {
    let queue = queue();
    send(&queue, (0..60).map(|index| index.to_string()));
    let invocations = Invocations::default();
    let noted = invocations.clone();
    let source = mapping(&queue, 25, Duration::from_millis(50))
        .start(move |payload| {
            noted.note(&payload);
            async { Ok::<_, String>(Bytes::new()) }
        })
        .unwrap();
    until("all are done", || queue.depth().total() == 0).await;
    source.stop(PATIENCE).await;
    let sizes: Vec<_> = invocations
        .all()
        .iter()
        .map(|event| bodies(event).len())
        .collect();
    assert_eq!(sizes, [25, 25, 10]);
}

#[tokio::test]
async fn a_payload_stays_below_what_lambda_takes_and_nothing_is_left_out() {
    let queue = queue();
    for letter in 'a'..='j' {
        send(&queue, [letter.to_string().repeat(1_000_000)]);
    }
    let lengths = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&lengths);
    let source = mapping(&queue, 10, Duration::ZERO)
        .start(move |payload| {
            noted.lock().unwrap().push(payload.len());
            async { Ok::<_, String>(Bytes::new()) }
        })
        .unwrap();
    until("all are done", || queue.depth().total() == 0).await;
    source.stop(PATIENCE).await;
    let lengths = lengths.lock().unwrap();
    assert!(
        lengths.iter().all(|&length| length <= 6 * 1024 * 1024),
        "{lengths:?}"
    );
    assert!(lengths.iter().sum::<usize>() > 10_000_000, "{lengths:?}");
}

#[tokio::test]
async fn no_more_is_received_than_may_run() {
    let queue = queue();
    send(&queue, (0..50).map(|index| index.to_string()));
    let gate = Arc::new(Semaphore::new(0));
    let waiting = Arc::clone(&gate);
    let source = mapping(&queue, 10, Duration::ZERO)
        .start(move |_payload| {
            let waiting = Arc::clone(&waiting);
            async move {
                waiting
                    .acquire()
                    .await
                    .map_err(|error| error.to_string())?
                    .forget();
                Ok::<_, String>(Bytes::new())
            }
        })
        .unwrap();
    until("two batches are in flight", || queue.depth().in_flight == 20).await;
    assert_eq!(queue.depth().visible, 30);
    gate.add_permits(100);
    until("all are done", || queue.depth().total() == 0).await;
    source.stop(PATIENCE).await;
}

#[tokio::test]
async fn a_paused_mapping_leaves_messages_in_the_queue() {
    let queue = queue();
    let source = mapping(&queue, 10, Duration::ZERO)
        .start(|_payload| async { Ok::<_, String>(Bytes::new()) })
        .unwrap();
    source.pause();
    send(&queue, ["a".to_owned()]);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(queue.depth().visible, 1);
    source.resume();
    until("it is done", || queue.depth().total() == 0).await;
    source.stop(PATIENCE).await;
}

#[tokio::test]
async fn stopping_lets_an_invocation_finish() {
    let queue = queue();
    send(&queue, ["a".to_owned()]);
    let source = mapping(&queue, 10, Duration::ZERO)
        .start(|_payload| async {
            sleep(Duration::from_millis(50)).await;
            Ok::<_, String>(Bytes::new())
        })
        .unwrap();
    until("it is in flight", || queue.depth().in_flight == 1).await;
    source.stop(PATIENCE).await;
    assert_eq!(queue.depth().total(), 0);
}

#[test]
fn failures_in_a_row_back_off_up_to_a_bound() {
    let seen = [0, 1, 2, 3, 7, 8, 40, u32::MAX].map(|failures| backoff(failures).as_millis());
    assert_eq!(seen, [0, 100, 200, 400, 6_400, 10_000, 10_000, 10_000]);
}

#[tokio::test]
async fn settings_that_aws_would_refuse_are_refused() {
    let queue = queue();
    let second = Duration::from_secs(1);
    let check = |batch_size, window, concurrency, expected| {
        let mapping = EventSourceMapping {
            maximum_concurrency: concurrency,
            faults: Faults::none(),
            ..mapping(&queue, batch_size, window)
        };
        assert_eq!(
            mapping.validate(),
            expected,
            "{batch_size} {window:?} {concurrency}"
        );
    };
    check(10, Duration::ZERO, 1, Ok(()));
    check(10_000, second, 1_000, Ok(()));
    check(0, second, 2, Err(InvalidMapping::BatchSize));
    check(10_001, second, 2, Err(InvalidMapping::BatchSize));
    check(11, Duration::ZERO, 2, Err(InvalidMapping::MissingWindow));
    check(10, 301 * second, 2, Err(InvalidMapping::Window));
    check(10, second, 0, Err(InvalidMapping::Concurrency));
    check(10, second, 1_001, Err(InvalidMapping::Concurrency));
}
