//! Reading dead letters changes nothing.

use std::collections::{BTreeMap, BTreeSet};

use local::settings::Batching;
use serde_json::json;
use tempfile::TempDir;

use super::{depths, dlq, lines, list, reasons, record, send, wait_for};
use crate::stack::TestStack;

/// Checks that each impossible request fails with a sentence.
async fn check_refusals(stack: &TestStack, file: &str) {
    for (args, expected) in [
        (vec!["export", file], "exists already"),
        (
            vec!["show", "nobody"],
            "there is no dead letter nobody in podium-activities-dlq",
        ),
        (
            vec!["list", "--older-than", "2h", "--newer-than", "1h"],
            "no dead letter is both",
        ),
        (
            vec!["redrive", "--of", "pipe"],
            "Bring back what the pipe skipped",
        ),
        (
            vec!["list", "--of", "snapshot"],
            "the queue podium-snapshot-dlq exists on AWS only",
        ),
    ] {
        let ended = dlq(stack, &args).await;
        assert!(ended.stderr.contains(expected), "{args:?}: {}", ended.stderr);
        ended.check(1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_are_listed_shown_and_exported_and_stay() {
    let stack = TestStack::start(|config| config.batching = Batching::Prompt).await;
    let dead_letter_queue = &stack.stack.dead_letter_queue;
    let bad = [
        "no JSON at all".to_owned(),
        record("changed", "task_completed").replace("INSERT", "MODIFY"),
        record("nap-1", "nap"),
        record("nap-2", "nap"),
    ];
    send(&stack.stack.queue, bad.clone());
    wait_for("the dead letters", || {
        dead_letter_queue.depth().total() == bad.len()
    })
    .await;
    // SQS gives no reason when it moves a message itself.
    send(dead_letter_queue, [record("failed-20-times", "task_completed")]);

    let listed = list(&stack, &[]).await;
    assert_eq!(
        (&listed["letters"], &listed["is_whole"]),
        (&json!(5), &json!(true))
    );
    assert_eq!(
        reasons(&listed),
        BTreeMap::from([
            ("none", 1),
            ("not_a_stream_record", 1),
            ("not_an_insert", 1),
            ("not_scored", 2)
        ])
    );
    assert_eq!(
        listed["queues"],
        json!([
            {"name": "podium-activities-dlq", "letters": 5},
            {"name": "podium-events-dlq", "letters": 0},
            {"name": "podium-pipe-dlq", "letters": 0},
        ])
    );
    for (args, expected) in [
        (vec!["--reason", "not_scored"], 2),
        (vec!["--reason", "none"], 1),
        (vec!["--reason", "made_up"], 0),
        (vec!["--older-than", "1h"], 0),
        (vec!["--newer-than", "1h"], 5),
        (vec!["--of", "pipe"], 0),
    ] {
        assert_eq!(list(&stack, &args).await["letters"], expected, "{args:?}");
    }
    let table = dlq(&stack, &["list", "--limit", "2"]).await.check(0);
    for part in [
        "podium-activities-dlq  5 dead letters\n",
        "\nnot_scored: the scoring policy has no points for this kind at the activity's time. To do: ",
        "\nand 3 others\n",
    ] {
        assert!(table.contains(part), "no {part:?} in:\n{table}");
    }

    let nap = listed["oldest"].as_array().expect("dead letters").iter();
    let nap = nap
        .into_iter()
        .find(|dead_letter| dead_letter["reason_code"] == "not_scored");
    let nap = nap.expect("it is listed")["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let shown = dlq(&stack, &["show", &nap]).await.check(0);
    for part in [
        format!("id          {nap}\n"),
        "reason      not_scored: ".to_owned(),
        "activity    nap-".to_owned(),
        "\"eventName\": \"INSERT\"".to_owned(),
    ] {
        assert!(shown.contains(&part), "no {part:?} in:\n{shown}");
    }

    let directory = TempDir::new().expect("a directory");
    let path = directory.path().join("dead-letters.jsonl");
    let file = path.to_str().expect("a plain path");
    let exported = dlq(&stack, &["export", file]).await.check(0);
    assert!(
        exported.starts_with("5 dead letters of podium-activities-dlq written to "),
        "{exported}"
    );
    let written = lines(&path);
    let bodies: BTreeSet<&str> = written
        .iter()
        .map(|line| line["body"].as_str().expect("a body"))
        .collect();
    assert!(
        bad.iter().all(|body| bodies.contains(body.as_str())),
        "{bodies:?}"
    );
    let line = written
        .iter()
        .find(|line| line["id"] == *nap)
        .expect("it is there");
    assert_eq!(line["attributes"]["reason_code"]["value"], "not_scored", "{line}");

    check_refusals(&stack, file).await;
    assert_eq!(depths(dead_letter_queue), (5, 0), "all are there, and visible");
    stack.stop().await;
}
