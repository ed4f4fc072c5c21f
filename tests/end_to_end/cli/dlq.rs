//! `podium dlq`: reading loses nothing, and redriving counts nothing twice.

mod deployments;
mod listing;
mod purge;
mod redrive;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use local::sqs::{NewMessage, Queue};
use serde_json::{Value, json};
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::{Ended, end, podium_without_aws};
use crate::stack::TestStack;

/// Far longer than any step takes, so that a test that waits for nothing still ends.
const PATIENCE: Duration = Duration::from_mins(4);
const POLL: Duration = Duration::from_millis(20);

/// The command, without the address of a stack.
fn bare(args: &[&str]) -> Command {
    let mut command = podium_without_aws();
    command.arg("dlq").args(args);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn command(stack: &TestStack, args: &[&str]) -> Command {
    let mut command = bare(args);
    command.args(["--aws-url", &stack.stack.aws_url]);
    command
}

async fn dlq(stack: &TestStack, args: &[&str]) -> Ended {
    end(command(stack, args)).await
}

async fn list(stack: &TestStack, args: &[&str]) -> Value {
    let listed = dlq(stack, &[&["list", "--json"], args].concat()).await.check(0);
    serde_json::from_str(&listed).expect("JSON")
}

/// The number of dead letters by reason.
fn reasons(listed: &Value) -> BTreeMap<&str, u64> {
    let reasons = listed["reasons"].as_array().expect("reasons");
    let reason = |reason: &'_ Value| reason["letters"].as_u64().expect("a number");
    reasons
        .iter()
        .map(|each| (each["code"].as_str().expect("a code"), reason(each)))
        .collect()
}

fn lines(path: &Path) -> Vec<Value> {
    let file = std::fs::read_to_string(path).expect("the file is there");
    let line = |line: &str| serde_json::from_str(line).expect("a line is JSON");
    file.lines().map(line).collect()
}

/// How many messages of a queue are visible, and how many are in flight.
fn depths(queue: &Queue) -> (usize, usize) {
    let depth = queue.depth();
    (depth.visible, depth.in_flight)
}

async fn wait_for(what: &str, mut is_met: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_met() {
        assert!(Instant::now() < until, "{what}: not seen within {PATIENCE:?}");
        sleep(POLL).await;
    }
}

async fn signal(signal: &str, to: &Child) {
    let pid = to.id().expect("it runs").to_string();
    let sent = Command::new("kill")
        .args(["-s", signal, "--", &pid])
        .status()
        .await;
    assert!(sent.expect("kill runs").success());
}

/// A record as the pipe sends it, for an activity that is in no table.
fn record(id: &str, kind: &str) -> String {
    let text = |value: &str| json!({ "S": value });
    let image = json!({
        "user_id": text("ann"),
        "activity_id": text(id),
        "program_id": text("wellness"),
        "kind": text(kind),
        "occurred_at": text("2026-11-21T08:00:00Z"),
        "received_at": text("2026-11-21T08:00:01Z"),
        "schema_version": {"N": "1"},
    });
    json!({"eventName": "INSERT", "dynamodb": {"NewImage": image}}).to_string()
}

fn send(queue: &Queue, bodies: impl IntoIterator<Item = String>) {
    let bodies: Vec<String> = bodies.into_iter().collect();
    for bodies in bodies.chunks(10) {
        for sent in queue.send_batch(bodies.iter().cloned().map(NewMessage::new).collect()) {
            sent.expect("it is sent");
        }
    }
}
