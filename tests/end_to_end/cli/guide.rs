//! docs/MIGRATION.md, followed line by line: each command in it is run, in its order.

use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;
use tokio::time::timeout;

use super::{end, podium_without_aws, without_aws};
use crate::stack::{TestStack, bin_dir, http_client};

const GUIDE: &str = include_str!("../../../docs/MIGRATION.md");
const PREFIX: &str = "edl-dev";
const COMMANDS_MIN: usize = 12;
/// Only so that a failing test ends.
const FOLLOWED_WITHIN: Duration = Duration::from_mins(4);

/// A command that waits for people is tried again, as they would. The last line ends what runs in the background.
const AS_PEOPLE_DO: &str = r#"
set -eu
again() {
  for _ in $(seq 120); do
    if "$@"; then return; fi
    sleep 0.5
  done
  return 1
}
trap 'kill $(jobs -p) 2>/dev/null || true' EXIT
"#;

/// The lines of the blocks of a kind.
fn lines(kind: &str) -> Vec<&'static str> {
    let begin = format!("```{kind}");
    let mut lines = Vec::new();
    let mut is_in = false;
    for line in GUIDE.lines() {
        if line.starts_with("```") {
            is_in = line == begin;
        } else if is_in {
            lines.push(line);
        }
    }
    lines
}

/// What a shell runs, with the addresses of a stack. Comparing takes less time here.
fn commands(stack: &TestStack) -> Vec<String> {
    let commands = lines("sh").into_iter().map(|line| {
        line.replace("http://127.0.0.1:7101", &stack.stack.aws_url)
            .replace("http://127.0.0.1:7001", &stack.stack.aws_url)
            .replace("http://127.0.0.1:7000", &stack.stack.web_url)
            .replace("--for 2m", "--for 3s")
    });
    commands.collect()
}

/// What differs on AWS is read at least.
#[tokio::test]
async fn the_commands_of_the_guide_for_aws_have_options_that_there_are() {
    let commands = lines("text");
    assert!(commands.len() >= 2, "{commands:?}");
    for command in commands {
        let words = command.split(' ').skip(1);
        let mut podium = podium_without_aws();
        podium.args(words).arg("--help");
        end(podium).await.check(0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_follows_the_guide_to_the_end_has_moved_in() {
    let policy =
        json!([{"effective_from": "1970-01-01T00:00:00Z", "points": {"checkin": {"given": {"max": 5}}}}]);
    let stack = TestStack::start(|config| {
        config.scoring_policy = policy.to_string().parse().expect("a policy");
    })
    .await;
    let mut legacy = podium_without_aws()
        .env("AWS_ENDPOINT_URL", &stack.stack.aws_url)
        .args([
            "legacy",
            "run",
            "--prefix",
            PREFIX,
            "--port",
            "0",
            "--rebuild-every",
            "200ms",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdout = BufReader::new(legacy.stdout.take().expect("it is piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).await.expect("text");
    let started: Value = serde_json::from_str(&line).expect("JSON");
    let front = started["front"].as_str().expect("its address").to_owned();
    for employee in ["ann", "bob"] {
        let activity =
            json!({"employee_id": employee, "program_id": "p", "activity_type": "checkin", "points": 5});
        let posted = http_client()
            .post(format!("{front}/activities"))
            .body(activity.to_string())
            .send()
            .await
            .expect("an answer");
        assert_eq!(posted.status(), 201);
    }

    let lines = commands(&stack);
    let stages = lines.iter().filter(|line| line.starts_with("podium migrate "));
    assert!(
        stages.count() >= COMMANDS_MIN,
        "the guide has the commands: {lines:?}"
    );
    let lines: Vec<_> = lines
        .iter()
        .map(|line| match line.strip_prefix("podium ") {
            Some(_) if !line.ends_with('&') => format!("again {line}"),
            _ => line.clone(),
        })
        .collect();
    let directory = TempDir::new().expect("a directory");
    let path = format!(
        "{}:{}",
        bin_dir().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let mut bash = without_aws(Command::new("bash"));
    bash.env("PATH", path)
        .current_dir(directory.path())
        .arg("-c")
        .arg(format!("{AS_PEOPLE_DO}{}", lines.join("\n")))
        .kill_on_drop(true);
    let ended = timeout(FOLLOWED_WITHIN, end(bash))
        .await
        .expect("it ends in time");
    let said = format!("{}\n{}", ended.stdout, ended.stderr);
    assert_eq!(ended.code, Some(0), "{said}");
    let last = "Next: nothing; this migration is finished\n";
    assert!(ended.stdout.contains(last), "{said}");
    legacy.kill().await.expect("it ends");
    stack.stop().await;
}
