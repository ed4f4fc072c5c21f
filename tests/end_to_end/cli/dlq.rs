//! `podium dlq`: nothing is lost by looking, and nothing counts twice by sending again.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aggregator::{Aggregator, MarkerLifetime, Queues};
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use jiff::Timestamp;
use local::settings::{self, Batching};
use local::sqs::{Faults, MessageAttribute, NewMessage, Queue};
use serde_json::{Value, json};
use store::{Counting, CountingConfig};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::{podium, text};
use crate::stack::TestStack;

/// Far longer than anything here takes, so that a test which waits in vain ends.
const PATIENCE: Duration = Duration::from_mins(4);
const POLL: Duration = Duration::from_millis(20);

struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    #[track_caller]
    fn check(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }
}

/// The command, which finds nothing of AWS in its environment.
fn bare(args: &[&str]) -> Command {
    let mut command = podium();
    command.arg("dlq").args(args);
    for name in [
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
    ] {
        command.env_remove(name);
    }
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn command(stack: &TestStack, args: &[&str]) -> Command {
    let mut command = bare(args);
    command.args(["--aws-url", &stack.stack.aws_url]);
    command
}

async fn end(mut command: Command) -> Ended {
    let output = command.output().await.expect("podium runs");
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

async fn dlq(stack: &TestStack, args: &[&str]) -> Ended {
    end(command(stack, args)).await
}

async fn list(stack: &TestStack, args: &[&str]) -> Value {
    let listed = dlq(stack, &[&["list", "--json"], args].concat()).await.check(0);
    serde_json::from_str(&listed).expect("JSON")
}

/// How many letters have which reason.
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

async fn wait_for(what: &str, mut is_met: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_met() {
        assert!(Instant::now() < until, "waited {PATIENCE:?} in vain for {what}");
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

/// A record as the pipe sends it, of an activity that is in no table.
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

/// How many messages of a queue that nobody reads are activities and no heartbeats.
async fn waiting_activities(queue: &Queue) -> usize {
    let mut activities = 0;
    loop {
        // They come back soon, and stay away until all were seen.
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

/// As the aggregator does with what it cannot score.
fn bury(queue: &Queue, body: String) {
    let mut letter = NewMessage::new(body);
    for (name, value) in [("reason_code", "not_scored"), ("reason", "there are no points")] {
        let attribute = MessageAttribute::text(value).expect("a value");
        letter.attributes.insert(name.to_owned(), attribute);
    }
    for sent in queue.send_batch(vec![letter]) {
        sent.expect("it is sent");
    }
}

/// An aggregator that nobody told how many points a task is worth.
fn forgetful_aggregator(stack: &TestStack) -> Aggregator {
    let stack = &stack.stack;
    let aws = local::sdk_config(&stack.aws_url);
    let shards = settings::STANDING_SHARDS.to_string();
    let counting = CountingConfig {
        dedup_table: stack.tables.dedup.clone(),
        standings_table: stack.tables.standings.clone(),
        shards: shards.parse().expect("a number of shards"),
        marker_lifetime: "90".parse::<MarkerLifetime>().expect("a lifetime").0,
        calendar: "UTC".parse().expect("a time zone"),
    };
    let policy = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"nap":1}}]"#;
    Aggregator::new(
        Counting::new(aws_sdk_dynamodb::Client::new(&aws), counting),
        policy.parse().expect("a policy"),
        Queues {
            client: aws_sdk_sqs::Client::new(&aws),
            queue_url: stack.queue.url(),
            dead_letter_queue_url: stack.dead_letter_queue.url(),
        },
    )
}

/// Posts activities while the aggregator does not know their kind, so that all become dead letters.
/// The one that knows it is paused when this returns.
async fn become_letters(stack: &TestStack, activities: usize) {
    stack.stack.aggregation().pause();
    let posted: Vec<Value> = (0..activities)
        .map(|id| {
            json!({
                "activity_id": format!("a{id}"),
                "user_id": format!("user-{}", id % 7),
                "program_id": "wellness",
                "kind": "task_completed",
            })
        })
        .collect();
    stack.post_all(&posted).await;
    let aggregator = forgetful_aggregator(stack);
    let queue = &stack.stack.queue;
    let until = Instant::now() + PATIENCE;
    while stack.stack.dead_letter_queue.depth().total() < activities {
        assert!(
            Instant::now() < until,
            "waited {PATIENCE:?} in vain for the letters"
        );
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

/// What cannot be done is said in a sentence.
async fn check_refusals(stack: &TestStack, file: &str) {
    for (args, expected) in [
        (vec!["export", file], "is there already"),
        (
            vec!["show", "nobody"],
            "there is no letter nobody in podium-activities-dlq",
        ),
        (
            vec!["list", "--older-than", "2h", "--newer-than", "1h"],
            "no letter is both",
        ),
        (
            vec!["redrive", "--of", "pipe"],
            "Bring back what the pipe skipped",
        ),
        (
            vec!["list", "--of", "snapshot"],
            "there is no queue podium-snapshot-dlq at",
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
    let letters = &stack.stack.dead_letter_queue;
    let bad = [
        "no JSON at all".to_owned(),
        record("changed", "task_completed").replace("INSERT", "MODIFY"),
        record("nap-1", "nap"),
        record("nap-2", "nap"),
    ];
    send(&stack.stack.queue, bad.clone());
    wait_for("the letters", || letters.depth().total() == bad.len()).await;
    // SQS gives no reason when it moves a message itself.
    send(letters, [record("failed-20-times", "task_completed")]);

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
        "podium-activities-dlq  5 letters\n",
        "\nnot_scored: the scoring policy lacks its kind, or a version for its time. To do: ",
        "\nand 3 others\n",
    ] {
        assert!(table.contains(part), "no {part:?} in:\n{table}");
    }

    let nap = listed["oldest"].as_array().expect("letters").iter();
    let nap = nap
        .into_iter()
        .find(|letter| letter["reason_code"] == "not_scored");
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
    let path = directory.path().join("letters.jsonl");
    let file = path.to_str().expect("a plain path");
    let exported = dlq(&stack, &["export", file]).await.check(0);
    assert!(
        exported.starts_with("5 letters of podium-activities-dlq written to "),
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
    let depth = letters.depth();
    assert_eq!(
        (depth.visible, depth.in_flight),
        (5, 0),
        "all are there, and visible"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_nothing_answers_it_is_said() {
    // Nobody listens at the port of discard.
    let ended = end(bare(&["list", "--aws-url", "http://127.0.0.1:9"])).await;
    assert!(
        ended.stderr.starts_with(
            "podium: nothing answers at http://127.0.0.1:9; start `podium local`, say where it is with --aws-url, \
             or name a deployment on AWS with --environment: "
        ),
        "{}",
        ended.stderr
    );
    ended.check(1);
    let ended = end(bare(&[
        "list",
        "--environment",
        "prod",
        "--region",
        "eu-central-1",
    ]))
    .await;
    assert!(
        ended
            .stderr
            .contains("there are no AWS credentials; set AWS_PROFILE"),
        "{}",
        ended.stderr
    );
    ended.check(1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_is_found_by_its_name_and_queues_by_their_urls() {
    let stack = TestStack::start(|_| {}).await;
    let client = aws_sdk_sqs::Client::new(&local::sdk_config(&stack.stack.aws_url));
    let mut urls = Vec::new();
    for name in [
        "podium-test-activities",
        "podium-test-activities-dlq",
        "podium-test-snapshot-dlq",
    ] {
        let made = client
            .create_queue()
            .queue_name(name)
            .send()
            .await
            .expect("it is made");
        urls.push(made.queue_url.expect("it has a URL"));
    }
    let in_environment = |args: &[&str]| {
        let mut command = bare(args);
        command
            .args(["--environment", "test", "--region", "us-east-1"])
            .env("AWS_ENDPOINT_URL", &stack.stack.aws_url)
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any");
        end(command)
    };
    let put = async |url: &str| {
        let sent = client
            .send_message()
            .queue_url(url)
            .message_body("letter")
            .send()
            .await;
        sent.expect("it is sent");
    };
    let depth = async |url: &str| {
        let name = aws_sdk_sqs::types::QueueAttributeName::ApproximateNumberOfMessages;
        let asked = client
            .get_queue_attributes()
            .queue_url(url)
            .attribute_names(name.clone());
        let attributes = asked
            .send()
            .await
            .expect("it answers")
            .attributes
            .expect("attributes");
        attributes[&name].clone()
    };

    put(&urls[1]).await;
    put(&urls[2]).await;
    let listed = in_environment(&["list"]).await.check(0);
    assert!(
        listed.starts_with("podium-test-activities-dlq  1 letter\npodium-test-snapshot-dlq    1 letter\n\n"),
        "{listed}"
    );
    let redriven = in_environment(&["redrive"]).await.check(0);
    assert_eq!(
        redriven,
        "1 letter of podium-test-activities-dlq sent to podium-test-activities\n"
    );
    assert_eq!(
        (depth(&urls[0]).await, depth(&urls[1]).await),
        ("1".to_owned(), "0".to_owned())
    );
    let refused = in_environment(&["redrive", "--of", "snapshot"]).await;
    assert!(
        refused.stderr.contains("an old run is worth nothing"),
        "{}",
        refused.stderr
    );
    refused.check(1);

    put(&urls[1]).await;
    let lacking = end(bare(&["redrive", "--dead-letter-queue", &urls[1]])).await;
    assert!(
        lacking.stderr.contains("--queue is missing"),
        "{}",
        lacking.stderr
    );
    lacking.check(1);
    let redriven = end(bare(&[
        "redrive",
        "--dead-letter-queue",
        &urls[1],
        "--queue",
        &urls[0],
    ]))
    .await;
    redriven.check(0);
    assert_eq!(
        (depth(&urls[0]).await, depth(&urls[1]).await),
        ("2".to_owned(), "0".to_owned())
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_mended_is_redriven_and_counts_once() {
    const ACTIVITIES: usize = 120;
    let stack = TestStack::start(|_| {}).await;
    let letters = &stack.stack.dead_letter_queue;
    become_letters(&stack, ACTIVITIES).await;
    assert_eq!(
        reasons(&list(&stack, &[]).await),
        BTreeMap::from([("not_scored", ACTIVITIES as u64)])
    );

    let rehearsed = dlq(&stack, &["redrive", "--dry-run", "--reason", "not_scored"])
        .await
        .check(0);
    assert!(
        rehearsed.starts_with("would send 120 letters of podium-activities-dlq to podium-activities\n"),
        "{rehearsed}"
    );
    let limited = dlq(&stack, &["redrive", "--limit", "7"]).await.check(0);
    assert!(limited.starts_with("7 letters of "), "{limited}");
    assert_eq!(
        (letters.depth().visible, letters.depth().in_flight),
        (ACTIVITIES - 7, 0)
    );
    let others = dlq(&stack, &["redrive", "--reason", "none"]).await.check(0);
    assert!(others.starts_with("0 letters of "), "{others}");
    assert_eq!(
        (letters.depth().visible, letters.depth().in_flight),
        (ACTIVITIES - 7, 0)
    );

    // As after a redrive that died between sending and deleting: ten are in the queue already.
    let sent = letters.receive(10, Duration::ZERO, Some(Duration::ZERO)).await;
    send(
        &stack.stack.queue,
        sent.iter().map(|letter| letter.body().to_owned()),
    );
    // And SQS hands out every letter once more after it was deleted.
    letters.set_faults(Faults {
        deliver_twice: true,
        shuffle: Some(7),
    });
    let redriven = dlq(&stack, &["redrive", "--rate", "1000"]).await.check(0);
    assert!(redriven.starts_with("113 letters of "), "{redriven}");
    assert_eq!(letters.depth().total(), 0);
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
    let letters = &stack.stack.dead_letter_queue;
    become_letters(&stack, ACTIVITIES).await;
    stack.stack.aggregation().resume();

    let mut killed = command(&stack, &["redrive", "--rate", "100"])
        .spawn()
        .expect("podium runs");
    wait_for("a part", || letters.depth().total() < ACTIVITIES - 100).await;
    killed.kill().await.expect("it is killed");
    let left = letters.depth();
    assert!(
        left.total() > 0 && left.in_flight > 0,
        "it was killed amid its work: {left:?}"
    );

    let interrupted = command(&stack, &["redrive", "--rate", "100"])
        .spawn()
        .expect("podium runs");
    wait_for("another part", || letters.depth().total() < left.total() - 50).await;
    signal("INT", &interrupted).await;
    let output = interrupted.wait_with_output().await.expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(output.stderr));
    assert!(letters.depth().total() > 0, "it was interrupted amid its work");
    assert!(
        letters.depth().in_flight <= left.in_flight,
        "what it had is given back"
    );

    // What the one that was killed had in hand is hidden for a while.
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
        assert!(
            Instant::now() < until,
            "waited {PATIENCE:?} in vain for the last letters"
        );
        sleep(Duration::from_secs(2)).await;
    }
    assert_eq!(letters.depth().total(), 0, "none is left");
    stack.wait_until_counted(ACTIVITIES as u64).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_mended_comes_back_and_the_redrive_ends() {
    const LETTERS: usize = 40;
    let stack = TestStack::start(|config| config.batching = Batching::Prompt).await;
    let letters = &stack.stack.dead_letter_queue;
    send(
        &stack.stack.queue,
        (0..LETTERS).map(|id| record(&format!("nap-{id}"), "nap")),
    );
    wait_for("the letters", || letters.depth().total() == LETTERS).await;
    let ids = |listed: &Value| {
        let lines = listed["oldest"].as_array().expect("letters").iter();
        lines
            .map(|line| line["id"].as_str().expect("an id").to_owned())
            .collect::<HashSet<_>>()
    };
    let before = ids(&list(&stack, &["--limit", "100"]).await);

    // Slowly enough for the first ones to come back meanwhile.
    let redriven = dlq(&stack, &["redrive", "--rate", "10"]).await.check(1);
    assert!(redriven.starts_with("40 letters of "), "{redriven}");
    assert!(redriven.contains(" came back already, "), "{redriven}");
    wait_for("the letters again", || letters.depth().visible == LETTERS).await;
    let after = ids(&list(&stack, &["--limit", "100"]).await);
    assert_eq!((before.len(), after.len()), (LETTERS, LETTERS));
    assert!(before.is_disjoint(&after), "each was sent once");
    stack.stop().await;
}

/// The command with a terminal as its standard input, as far as it can tell.
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
    const LETTERS: usize = 1_234;
    let stack = TestStack::start(|_| {}).await;
    let letters = &stack.stack.dead_letter_queue;
    send(letters, (0..LETTERS).map(|id| record(&id.to_string(), "nap")));
    for id in 0..3 {
        bury(letters, record(&format!("late-{id}"), "nap"));
    }
    let directory = TempDir::new().expect("a directory");
    let path = |name: &str| directory.path().join(name);
    let named = |name: &str| path(name).to_str().expect("a plain path").to_owned();

    // One that is interrupted while it has letters gives them back.
    let looking = command(&stack, &["list"]).spawn().expect("podium runs");
    wait_for("letters in its hand", || letters.depth().in_flight > 0).await;
    signal("INT", &looking).await;
    let output = looking.wait_with_output().await.expect("it ends");
    assert_eq!(output.status.code(), Some(130), "{}", text(output.stderr));
    assert_eq!(
        (letters.depth().visible, letters.depth().in_flight),
        (LETTERS + 3, 0)
    );
    let listed = list(&stack, &[]).await;
    assert_eq!(
        reasons(&listed),
        BTreeMap::from([("none", LETTERS as u64), ("not_scored", 3)])
    );

    // Nothing is deleted unasked, or of another queue than is meant.
    for (args, expected) in [
        (vec!["purge"], "--export <FILE>"),
        (
            vec!["purge", "--export", &named("unasked")],
            "nothing was deleted, since nobody can be asked; give --yes podium-activities-dlq",
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
    assert_eq!((letters.depth().visible, letters.depth().in_flight), (LETTERS, 0));

    // Typed wrongly, and then rightly, while a letter arrives in between.
    for (name, typed, code, exported, left) in [
        ("wrong", "podium-activities\n", 1, LETTERS, LETTERS + 1),
        ("right", "podium-activities-dlq\n", 0, LETTERS + 1, 1),
    ] {
        let file = named(name);
        let mut purging = at_a_terminal(&command(&stack, &["purge", "--export", &file]));
        let mut purging = purging.spawn().expect("python3 runs");
        wait_for("the export", || path(name).exists()).await;
        send(letters, [record(&format!("after-{name}"), "nap")]);
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
        assert_eq!(
            (letters.depth().visible, letters.depth().in_flight),
            (left, 0),
            "{said}"
        );
    }
    let left = letters.receive(10, Duration::ZERO, None).await;
    assert!(left[0].body().contains("after-right"), "{}", left[0].body());
    stack.stop().await;
}
