//! `podium smoke`: its reports on a system that works, and on one that does not.

use std::time::Duration;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::sleep;

use super::{Ended, end, podium_without_aws};
use crate::stack::TestStack;

/// A command with only the credentials that the test sets.
fn smoke(stack: &TestStack, args: &[&str]) -> Command {
    let mut command = podium_without_aws();
    command.args(["smoke", "--url", &stack.stack.web_url]).args(args);
    command
}

/// A command with credentials and the tables of the stack.
fn smoke_with_tables(stack: &TestStack, args: &[&str]) -> Command {
    let tables = &stack.stack.tables;
    let mut command = smoke(stack, &["--activities-table", &tables.activities]);
    command
        .args([
            "--dedup-table",
            &tables.dedup,
            "--standings-table",
            &tables.standings,
        ])
        .args(args)
        .env("AWS_ENDPOINT_URL", &stack.stack.aws_url)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any");
    command
}

#[track_caller]
fn check_lines(ended: &Ended, expected: [(&str, &str); 4]) {
    assert_eq!(ended.code, Some(0), "{}{}", ended.stdout, ended.stderr);
    let lines: Vec<&str> = ended.stdout.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{}", ended.stdout);
    for (line, (beginning, part)) in lines.into_iter().zip(expected) {
        assert!(line.starts_with(beginning) && line.contains(part), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activity_is_followed_through_all_stages() {
    let stack = TestStack::start(|_| {}).await;
    stack.wait_for("the first snapshot", |_| true).await;

    let first = end(smoke_with_tables(&stack, &[])).await;
    check_lines(
        &first,
        [
            (
                "ingest     accepted in ",
                "ms and stored; the repeat is a duplicate",
            ),
            ("counted    ", " s after it was accepted"),
            ("published  ", " s later, as generation "),
            (
                "served     rank 1 of 1 on program:podium-smoke, 10 points, ",
                ", ",
            ),
        ],
    );
    let second = end(smoke(&stack, &["--kind", "learning_milestone"])).await;
    check_lines(
        &second,
        [
            ("ingest     accepted in ", "ms; the repeat is a duplicate"),
            (
                "counted    ",
                "unknown without --dedup-table; the next snapshot will show it",
            ),
            ("published  ", " s later, as generation "),
            (
                "served     rank 1 of 1 on program:podium-smoke, 35 points, ",
                ", ",
            ),
        ],
    );

    let third = end(smoke_with_tables(
        &stack,
        &["--json", "--kind", "program_check_in"],
    ))
    .await;
    assert_eq!(third.code, Some(0), "{}", third.stderr);
    assert_eq!(third.stdout.lines().count(), 1);
    let figures: Value = serde_json::from_str(&third.stdout).expect("JSON");
    assert_eq!(figures["board"], "program:podium-smoke");
    assert_eq!(figures["points"], 40);
    assert_eq!(figures["activities_before"], 2);
    assert_eq!(figures["activities"], 3);
    assert_eq!(figures["stored"], true);
    assert_eq!(figures["is_duplicate"], true);
    assert_eq!(figures["failure"], Value::Null);
    let seconds = |name: &str| {
        figures[name]
            .as_f64()
            .unwrap_or_else(|| panic!("{name} in {figures}"))
    };
    assert!(seconds("accepted_seconds") > 0.0);
    assert!(seconds("counted_seconds") < seconds("published_seconds"));
    // Each was sent twice, and counted once.
    stack.wait_until_counted(3).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_stage_at_which_it_is_stuck_is_said() {
    let stack = TestStack::start(|_| {}).await;
    stack.wait_for("the first snapshot", |_| true).await;
    let aggregator = stack.stack.lambda.function("aggregator");
    stack.stack.aggregation().pause();
    aggregator.expect("there is an aggregator").stop().await;

    let uncounted = end(smoke_with_tables(&stack, &["--timeout", "4s"])).await;
    assert_eq!(uncounted.code, Some(1), "{}", uncounted.stdout);
    assert_eq!(uncounted.stdout.lines().count(), 1, "{}", uncounted.stdout);
    assert!(uncounted.stdout.starts_with("ingest     accepted in "));
    assert!(
        uncounted.stderr.starts_with(
            "podium: accepted and stored but not counted within 4 s: check the pipe, the depth of the queue, the \
             dead letters and the aggregator's log. The last snapshot is "
        ),
        "{}",
        uncounted.stderr
    );
    // The heartbeats are behind the activity in the queue.
    assert!(!uncounted.stderr.contains("backlog 0"), "{}", uncounted.stderr);

    let unlooked = end(smoke(&stack, &["--timeout", "2s", "--json"])).await;
    assert_eq!(unlooked.code, Some(1), "{}", unlooked.stdout);
    let expected = "accepted but not on the board within 2 s: check the pipe, ";
    assert!(
        unlooked.stderr.contains(expected) && unlooked.stderr.contains("the snapshot's schedule"),
        "{}",
        unlooked.stderr
    );
    let figures: Value = serde_json::from_str(&unlooked.stdout).expect("JSON");
    assert_eq!(figures["published_seconds"], Value::Null);
    assert!(
        figures["failure"]
            .as_str()
            .is_some_and(|failure| failure.starts_with(expected)),
        "{figures}"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_snapshot_a_wrong_kind_and_wrong_tables_are_said() {
    let stack = TestStack::start(|config| config.snapshot_every = Duration::from_hours(1)).await;
    while stack.status().await.is_none() {
        sleep(Duration::from_millis(50)).await;
    }
    let other_table = stack.stack.tables.dedup.clone();
    for (args, expected) in [
        (
            vec!["--timeout", "8s"],
            "podium: counted but not published within 8 s: check the snapshot's schedule and log. The last \
             snapshot is ",
        ),
        (
            vec!["--kind", "nap"],
            "podium: not accepted: the activity is rejected (unknown_kind): ",
        ),
        (
            vec!["--program", "x", "--activities-table", &other_table],
            "podium: looking for an activity failed: ",
        ),
    ] {
        let ended = end(smoke_with_tables(&stack, &args)).await;
        assert_eq!(ended.code, Some(1), "{args:?} {}", ended.stdout);
        assert!(ended.stderr.starts_with(expected), "{args:?} {}", ended.stderr);
    }

    let other = TestStack::start(|_| {}).await;
    let mut elsewhere = smoke_with_tables(&stack, &["--timeout", "8s"]);
    elsewhere.env("AWS_ENDPOINT_URL", &other.stack.aws_url);
    let ended = end(elsewhere).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    assert_eq!(
        ended.stderr,
        "podium: accepted, but not in the table of activities; is --activities-table the table of this deployment?\n"
    );
    other.stop().await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_credentials_or_region_nothing_is_sent() {
    let stack = TestStack::start(|_| {}).await;
    stack.wait_for("the first snapshot", |_| true).await;
    let mut without_credentials = smoke(&stack, &["--sign"]);
    without_credentials.env("AWS_REGION", "eu-central-1");
    let mut without_region = smoke(
        &stack,
        &[
            "--activities-table",
            "any",
            "--dedup-table",
            "any",
            "--standings-table",
            "any",
        ],
    );
    without_region
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any");
    for (command, expected) in [
        (
            without_credentials,
            "podium: could not sign requests: there are no AWS credentials; set AWS_PROFILE, ",
        ),
        (
            without_region,
            "podium: could not read the tables: no AWS region is set; give --region, ",
        ),
    ] {
        let ended = end(command).await;
        assert_eq!(ended.code, Some(1), "{}", ended.stdout);
        assert_eq!(ended.stdout, "");
        assert!(ended.stderr.starts_with(expected), "{}", ended.stderr);
    }
    let status = stack.wait_for("another snapshot", |_| true).await.status;
    assert_eq!(status.counted.activities, 0);
    stack.stop().await;
}
