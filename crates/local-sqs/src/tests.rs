use std::fs;
use std::path::Path;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::*;

/// Long enough for a busy machine. Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(20);
const NO_WAIT: Duration = Duration::ZERO;

fn in_memory() -> Sqs {
    Sqs::new("http://127.0.0.1:1".to_owned(), None).expect("nothing is read")
}

fn in_directory(directory: &Path) -> Sqs {
    let base = "http://127.0.0.1:1".to_owned();
    Sqs::new(base, Some(directory.to_owned())).expect("journals that can be read")
}

fn with_dead_letters(max_receive_count: u32) -> QueueAttributes {
    let dead_letter_queue = "dead".parse().expect("a valid name");
    QueueAttributes {
        redrive: Some(Redrive {
            dead_letter_queue,
            max_receive_count,
        }),
        ..QueueAttributes::default()
    }
}

fn create(sqs: &Sqs, name: &str) -> Queue {
    sqs.create_queue(name, QueueAttributes::default())
        .expect("valid attributes")
}

fn send(queue: &Queue, bodies: &[&str]) -> Vec<MessageId> {
    let messages = bodies.iter().map(|&body| NewMessage::new(body)).collect();
    let outcomes = queue.send_batch(messages).into_iter();
    outcomes
        .map(|outcome| outcome.expect("a valid message"))
        .collect()
}

/// The messages available at once, as `body#receive_count`.
async fn receive(queue: &Queue, visibility: Duration) -> Vec<String> {
    let received = queue.receive(MAX_BATCH, NO_WAIT, Some(visibility)).await;
    received
        .iter()
        .map(|one| format!("{}#{}", one.body(), one.receive_count))
        .collect()
}

fn ids_and_counts(received: &[Received]) -> Vec<(MessageId, u32)> {
    received.iter().map(|one| (one.id, one.receive_count)).collect()
}

fn journal(directory: &Path, queue: &str) -> String {
    fs::read_to_string(directory.join(format!("{queue}.jsonl"))).expect("a journal")
}

#[tokio::test]
async fn a_waiting_receive_wakes_when_a_message_is_sent() {
    let queue = create(&in_memory(), "q");
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { queue.receive(1, Duration::from_hours(1), None).await }
    });
    sleep(Duration::from_millis(20)).await;
    send(&queue, &["a"]);
    let received = timeout(PATIENCE, waiting).await.expect("it wakes").unwrap();
    assert_eq!(received.len(), 1);
}

#[tokio::test]
async fn a_waiting_receive_wakes_when_a_message_becomes_visible() {
    let queue = create(&in_memory(), "q");
    send(&queue, &["a"]);
    let hour = Duration::from_hours(1);
    for show in [Duration::from_millis(20), Duration::ZERO] {
        let received = queue.receive(1, hour, Some(hour)).await;
        let waiting = tokio::spawn({
            let queue = queue.clone();
            async move { queue.receive(1, hour, Some(Duration::ZERO)).await }
        });
        sleep(Duration::from_millis(20)).await;
        let changes = queue.change_visibility_batch(&[(received[0].receipt, show)]);
        assert_eq!(changes, [Ok(())]);
        let received = timeout(PATIENCE, waiting).await.expect("it wakes").unwrap();
        assert_eq!(received.len(), 1, "{show:?}");
    }
}

#[tokio::test]
async fn a_jump_of_the_clock_shows_what_is_in_flight() {
    let queue = create(&in_memory(), "q");
    send(&queue, &["a", "b"]);
    let minute = Duration::from_mins(1);
    let first = queue.receive(1, NO_WAIT, Some(minute)).await;
    assert_eq!(receive(&queue, 2 * minute).await, ["b#1"]);
    queue.jump_clock(minute + Duration::from_secs(1));
    assert_eq!(receive(&queue, minute).await, ["a#2"]);
    // The first receipt is stale, so it deletes nothing.
    queue.delete_batch(&[first[0].receipt]).expect("no error");
    assert_eq!(queue.depth().total(), 2);
}

#[tokio::test]
async fn a_receive_without_messages_ends_after_its_wait() {
    let queue = create(&in_memory(), "q");
    let waiting = queue.receive(1, Duration::from_millis(30), None);
    assert!(timeout(PATIENCE, waiting).await.expect("it ends").is_empty());
}

#[tokio::test]
async fn each_message_has_one_receiver_at_a_time() {
    let queue = create(&in_memory(), "q");
    let receivers: Vec<_> = (0..8)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut ids = Vec::new();
                loop {
                    let received = queue.receive(3, Duration::from_millis(500), None).await;
                    if received.is_empty() {
                        return ids;
                    }
                    ids.extend(received.iter().map(|one| one.id));
                }
            })
        })
        .collect();
    let mut sent = Vec::new();
    for _ in 0..100 {
        sent.extend(send(&queue, &["x"; 10]));
        tokio::task::yield_now().await;
    }
    let mut seen = Vec::new();
    for receiver in receivers {
        seen.extend(timeout(PATIENCE, receiver).await.expect("they end").unwrap());
    }
    sent.sort_unstable();
    seen.sort_unstable();
    assert_eq!(seen, sent);
}

#[tokio::test]
async fn a_dead_letter_is_the_same_message_in_the_other_queue() {
    let sqs = in_memory();
    let dead = create(&sqs, "dead");
    let queue = sqs.create_queue("q", with_dead_letters(2)).unwrap();
    let mut message = NewMessage::new("a");
    message
        .attributes
        .insert("k".to_owned(), MessageAttribute::text("v").unwrap());
    let attributes = message.attributes.clone();
    let id = queue.send_batch(vec![message]).remove(0).unwrap();
    let first = queue.receive(1, NO_WAIT, Some(NO_WAIT)).await.remove(0);
    assert_eq!(queue.receive(1, NO_WAIT, Some(NO_WAIT)).await.len(), 1);
    assert_eq!(dead.depth().visible, 0);
    assert!(queue.receive(1, NO_WAIT, Some(NO_WAIT)).await.is_empty());
    assert_eq!(queue.depth().total(), 0);

    let dead_letter = dead.receive(1, NO_WAIT, None).await.remove(0);
    assert_eq!(dead_letter.id, id);
    assert_eq!(dead_letter.sent, first.sent);
    assert_eq!(*dead_letter.attributes(), attributes);
    assert_eq!(dead_letter.dead_letter_source.as_ref(), Some(queue.name()));
}

#[test]
fn a_dead_letter_queue_is_another_queue_that_exists() {
    let sqs = in_memory();
    for name in ["q", "dead"] {
        let refused = sqs.create_queue(name, with_dead_letters(2)).map(|_| ());
        assert_eq!(
            refused.map_err(|error| error.query_code()),
            Err("InvalidParameterValue")
        );
        assert!(sqs.queue(name).is_none());
    }
}

#[tokio::test]
async fn everything_acknowledged_survives_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let sqs = in_directory(directory.path());
    create(&sqs, "dead");
    let queue = sqs.create_queue("q", with_dead_letters(2)).unwrap();
    let mut ids = send(&queue, &["bad"]);
    assert_eq!(receive(&queue, NO_WAIT).await, ["bad#1"]);
    assert_eq!(receive(&queue, NO_WAIT).await, ["bad#2"]);
    ids.extend(send(&queue, &["done", "seen", "new"]));
    let received = queue.receive(2, NO_WAIT, Some(Duration::from_hours(1))).await;
    queue.delete_batch(&[received[0].receipt]).unwrap();

    // Nothing is shut down, as in a killed process.
    let sqs = in_directory(directory.path());
    let (queue, dead) = (sqs.queue("q").unwrap(), sqs.queue("dead").unwrap());
    assert_eq!(queue.attributes(), with_dead_letters(2));
    queue.delete_batch(&[received[1].receipt]).unwrap();
    assert_eq!(
        queue.depth().visible,
        2,
        "a receipt from before the restart deletes nothing"
    );
    let again = queue.receive(MAX_BATCH, NO_WAIT, None).await;
    assert_eq!(ids_and_counts(&again), [(ids[2], 2), (ids[3], 1)]);
    assert_eq!(again[0].sent, received[1].sent);
    assert_eq!(again[0].first_received, received[1].first_received);
    let dead_letters = dead.receive(MAX_BATCH, NO_WAIT, None).await;
    assert_eq!(ids_and_counts(&dead_letters), [(ids[0], 3)]);
}

#[tokio::test]
async fn receive_counts_survive_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let queue = create(&in_directory(directory.path()), "q");
    send(&queue, &["a"]);
    assert_eq!(receive(&queue, NO_WAIT).await, ["a#1"]);
    assert_eq!(receive(&queue, NO_WAIT).await, ["a#2"]);
    for expected in ["a#3", "a#4"] {
        let queue = in_directory(directory.path()).queue("q").unwrap();
        assert_eq!(receive(&queue, NO_WAIT).await, [expected]);
    }
}

#[tokio::test]
async fn a_torn_last_line_costs_only_itself() {
    let directory = tempfile::tempdir().unwrap();
    let queue = create(&in_directory(directory.path()), "q");
    send(&queue, &["a"]);
    send(&queue, &["b"]);
    let whole = journal(directory.path(), "q");
    let torn = &whole[..whole.len() - 10];
    fs::write(directory.path().join("q.jsonl"), torn).unwrap();

    let queue = in_directory(directory.path()).queue("q").unwrap();
    send(&queue, &["c"]);
    let queue = in_directory(directory.path()).queue("q").unwrap();
    assert_eq!(receive(&queue, NO_WAIT).await, ["a#1", "c#1"]);
}

#[test]
fn a_broken_line_in_the_middle_is_told_and_not_skipped() {
    let directory = tempfile::tempdir().unwrap();
    let queue = create(&in_directory(directory.path()), "q");
    send(&queue, &["a"]);
    let broken = journal(directory.path(), "q").replace("\"body\"", "\"bo");
    fs::write(directory.path().join("q.jsonl"), broken).unwrap();
    let base = "http://127.0.0.1:1".to_owned();
    let error = Sqs::new(base, Some(directory.path().to_owned())).unwrap_err();
    assert!(error.to_string().ends_with("q.jsonl, line 2"), "{error}");
}

#[tokio::test]
async fn a_journal_loses_its_history_at_a_restart_and_goes_with_its_queue() {
    let directory = tempfile::tempdir().unwrap();
    let queue = create(&in_directory(directory.path()), "q");
    for _ in 0..10 {
        send(&queue, &["a"]);
        let received = queue.receive(1, NO_WAIT, None).await;
        queue.delete_batch(&[received[0].receipt]).unwrap();
    }
    assert_eq!(journal(directory.path(), "q").lines().count(), 31);
    let sqs = in_directory(directory.path());
    assert_eq!(journal(directory.path(), "q").lines().count(), 1);

    let queue = sqs.queue("q").unwrap();
    sqs.delete_queue(queue.name()).unwrap();
    assert!(in_directory(directory.path()).queue("q").is_none());
    assert_eq!(
        queue.send_batch(vec![NewMessage::new("a")]),
        [Err(SqsError::QueueDoesNotExist)]
    );
}

#[tokio::test]
async fn a_large_journal_is_rewritten_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let queue = create(&in_directory(directory.path()), "q");
    send(&queue, &["kept"]);
    let kept = queue.receive(1, NO_WAIT, Some(Duration::from_hours(1))).await;
    let large = "x".repeat(1_000_000);
    for _ in 0..40 {
        send(&queue, &[&large]);
        let received = queue.receive(1, NO_WAIT, None).await;
        queue.delete_batch(&[received[0].receipt]).unwrap();
    }
    let length = journal(directory.path(), "q").len();
    assert!(length < 20_000_000, "{length}");
    let queue = in_directory(directory.path()).queue("q").unwrap();
    let again = queue.receive(MAX_BATCH, NO_WAIT, None).await;
    assert_eq!(ids_and_counts(&again), [(kept[0].id, 2)]);
}
