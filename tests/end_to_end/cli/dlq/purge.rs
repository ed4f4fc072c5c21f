//! A purge deletes only what it has exported.

use std::collections::{BTreeMap, HashSet};
use std::process::Stdio;
use std::time::Duration;

use local::sqs::{MessageAttribute, NewMessage, Queue};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use super::{command, depths, dlq, lines, list, reasons, record, send, signal, wait_for};
use crate::cli::text;
use crate::stack::TestStack;

/// Sends a message to the DLQ with a reason, as the aggregator does.
fn send_to_dlq(queue: &Queue, body: String) {
    let mut dead_letter = NewMessage::new(body);
    for (name, value) in [("reason_code", "not_scored"), ("reason", "there are no points")] {
        let attribute = MessageAttribute::text(value).expect("a value");
        dead_letter.attributes.insert(name.to_owned(), attribute);
    }
    for sent in queue.send_batch(vec![dead_letter]) {
        sent.expect("it is sent");
    }
}

/// The command with a pseudo-terminal as its standard input.
fn at_a_terminal(command: &Command) -> Command {
    const SPAWN: &str = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
    let command = command.as_std();
    let mut wrapped = Command::new("python3");
    wrapped
        .args(["-c", SPAWN])
        .arg(command.get_program())
        .args(command.get_args());
    wrapped
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    wrapped
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_purge_deletes_what_it_has_exported_and_nothing_else() {
    const DEAD_LETTERS: usize = 1_234;
    let stack = TestStack::start(|_| {}).await;
    let dead_letter_queue = &stack.stack.dead_letter_queue;
    send(
        dead_letter_queue,
        (0..DEAD_LETTERS).map(|id| record(&id.to_string(), "nap")),
    );
    for id in 0..3 {
        send_to_dlq(dead_letter_queue, record(&format!("late-{id}"), "nap"));
    }
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let named = |name: &str| path(name).to_str().expect("a plain path").to_owned();

    // A command that is interrupted while it holds dead letters returns them.
    let looking = command(&stack, &["list"]).spawn().expect("podium runs");
    wait_for("dead letters in flight", || {
        dead_letter_queue.depth().in_flight > 0
    })
    .await;
    signal("INT", &looking).await;
    let output = looking.wait_with_output().await.expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(output.stderr));
    assert_eq!(depths(dead_letter_queue), (DEAD_LETTERS + 3, 0));
    let listed = list(&stack, &[]).await;
    assert_eq!(
        reasons(&listed),
        BTreeMap::from([("none", DEAD_LETTERS as u64), ("not_scored", 3)])
    );

    // Nothing is deleted without confirmation, or with the name of another queue.
    for (args, expected) in [
        (vec!["purge"], "--export <FILE>"),
        (
            vec!["purge", "--export", &named("unasked")],
            "nothing was deleted: there is no terminal to confirm at; to purge this queue, give --yes podium-activities-dlq",
        ),
        (
            vec!["purge", "--export", &named("other"), "--yes", "podium-activities"],
            "--yes says \"podium-activities\", but the queue is podium-activities-dlq",
        ),
    ] {
        let ended = dlq(&stack, &args).await;
        assert!(ended.stderr.contains(expected), "{args:?}: {}", ended.stderr);
        assert_ne!(ended.code, Some(0));
    }
    let few = named("few");
    let some = [
        "purge",
        "--reason",
        "not_scored",
        "--yes",
        "podium-activities-dlq",
    ];
    let purged = dlq(&stack, &[&some[..], &["--export", &few]].concat()).await;
    purged.check(0);
    assert_eq!(lines(&path("few")).len(), 3);
    assert_eq!(depths(dead_letter_queue), (DEAD_LETTERS, 0));

    // A wrong name and then the right one are typed, while a dead letter arrives in between.
    for (name, typed, code, exported, left) in [
        ("wrong", "podium-activities\n", 1, DEAD_LETTERS, DEAD_LETTERS + 1),
        ("right", "podium-activities-dlq\n", 0, DEAD_LETTERS + 1, 1),
    ] {
        let file = named(name);
        let mut purging = at_a_terminal(&command(&stack, &["purge", "--export", &file]));
        let mut purging = purging.spawn().expect("python3 runs");
        wait_for("the export", || path(name).exists()).await;
        send(dead_letter_queue, [record(&format!("after-{name}"), "nap")]);
        let mut stdin = purging.stdin.take().expect("it is piped");
        stdin.write_all(typed.as_bytes()).await.expect("it is typed");
        let output = purging.wait_with_output().await.expect("it ends");
        let said = text(output.stdout);
        assert_eq!(output.status.code(), Some(code), "{said}");
        let ids: HashSet<String> = lines(&path(name))
            .iter()
            .map(|line| line["id"].to_string())
            .collect();
        assert_eq!(ids.len(), exported, "{said}");
        assert_eq!(depths(dead_letter_queue), (left, 0), "{said}");
    }
    let left = dead_letter_queue.receive(10, Duration::ZERO, None).await;
    assert!(left[0].body().contains("after-right"), "{}", left[0].body());
    stack.stop().await;
}
