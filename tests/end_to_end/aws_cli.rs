//! Uses the stack through the AWS CLI, as an operator does.

use std::path::PathBuf;

use serde_json::{Value, json};
use tokio::process::Command;

use crate::stack::TestStack;

/// Names the path of the AWS CLI. `scripts/install-tool aws` installs it and prints the path.
const CLI: &str = "PODIUM_TEST_AWS_CLI";

/// The AWS CLI, with the endpoint of a stack.
struct Aws {
    program: PathBuf,
    endpoint: String,
}

impl Aws {
    /// `None`, with a note on standard error, on a machine without the CLI.
    fn of(stack: &TestStack) -> Option<Self> {
        Some(Self {
            program: program()?,
            endpoint: stack.stack.aws_url.clone(),
        })
    }

    /// Runs one command and returns the document that it prints, or `null` if it prints none.
    async fn run(&self, command: &str, args: &[&str]) -> Value {
        let mut cli = Command::new(&self.program);
        cli.args(["--endpoint-url", &self.endpoint, "--output", "json"]);
        cli.args(command.split(' ')).args(args);
        // The settings of the machine must not matter, and no real AWS account may be reached.
        cli.env_clear()
            .env("AWS_ACCESS_KEY_ID", "local")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_PAGER", "");
        let output = cli.output().await.expect("the AWS CLI runs");
        let (stdout, stderr) = (
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        assert!(output.status.success(), "{command} {args:?}: {stderr}");
        if stdout.trim().is_empty() {
            return Value::Null;
        }
        serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{command} {args:?}: {stdout}"))
    }

    async fn queue_url(&self, name: &str) -> String {
        let answer = self.run("sqs get-queue-url", &["--queue-name", name]).await;
        text(&answer["QueueUrl"])
    }

    async fn queue_attributes(&self, url: &str) -> Value {
        let args = ["--queue-url", url, "--attribute-names", "All"];
        self.run("sqs get-queue-attributes", &args).await["Attributes"].take()
    }

    /// Reads the only message of a queue, which stays visible to other consumers.
    async fn message(&self, url: &str) -> Value {
        let args = [
            "--queue-url",
            url,
            "--visibility-timeout",
            "0",
            "--wait-time-seconds",
            "5",
            "--max-number-of-messages",
            "10",
            "--message-attribute-names",
            "All",
            "--attribute-names",
            "All",
        ];
        let mut answer = self.run("sqs receive-message", &args).await;
        assert_eq!(answer["Messages"].as_array().map(Vec::len), Some(1), "{answer}");
        answer["Messages"][0].take()
    }
}

fn program() -> Option<PathBuf> {
    let program = std::env::var_os(CLI).filter(|path| !path.is_empty());
    if program.is_none() {
        eprintln!(
            "skipped: {CLI} is not set; scripts/install-tool aws installs the AWS CLI and prints its path"
        );
    }
    program.map(PathBuf::from)
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("{value} is no text"))
        .to_owned()
}

fn activities(ids: std::ops::Range<usize>) -> Vec<Value> {
    let activity = |id| {
        json!({
            "activity_id": format!("a{id}"),
            "user_id": "ann",
            "program_id": "wellness",
            "kind": "task_completed",
        })
    };
    ids.map(activity).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_and_streams_can_be_looked_at() {
    if program().is_none() {
        return;
    }
    let stack = TestStack::start(|_| {}).await;
    let Some(aws) = Aws::of(&stack) else { return };
    stack.post_all(&activities(0..3)).await;
    stack.wait_until_counted(3).await;
    let tables = &stack.stack.tables;

    let listed = aws.run("dynamodb list-tables", &[]).await;
    for table in [
        &tables.activities,
        &tables.dedup,
        &tables.standings,
        &tables.snapshots,
    ] {
        assert!(
            listed["TableNames"]
                .as_array()
                .is_some_and(|names| names.contains(&json!(table))),
            "{listed}"
        );
    }
    let described = aws
        .run("dynamodb describe-table", &["--table-name", &tables.activities])
        .await;
    let table = &described["Table"];
    assert_eq!(
        table["KeySchema"],
        json!([
            {"AttributeName": "user_id", "KeyType": "HASH"},
            {"AttributeName": "activity_id", "KeyType": "RANGE"},
        ])
    );
    assert_eq!(table["StreamSpecification"]["StreamViewType"], "NEW_IMAGE");

    let of_ann = r#"{":user": {"S": "ann"}}"#;
    let queried = aws
        .run(
            "dynamodb query",
            &[
                "--table-name",
                &tables.activities,
                "--key-condition-expression",
                "user_id = :user",
                "--expression-attribute-values",
                of_ann,
            ],
        )
        .await;
    assert_eq!(queried["Count"], 3, "{queried}");
    let scanned = aws
        .run(
            "dynamodb scan",
            &[
                "--table-name",
                &tables.activities,
                "--filter-expression",
                "user_id = :user",
                "--expression-attribute-values",
                of_ann,
            ],
        )
        .await;
    let mut ids: Vec<String> = scanned["Items"]
        .as_array()
        .expect("items")
        .iter()
        .map(|item| text(&item["activity_id"]["S"]))
        .collect();
    ids.sort();
    assert_eq!(ids, ["a0", "a1", "a2"]);
    let key = r#"{"user_id": {"S": "ann"}, "activity_id": {"S": "a1"}}"#;
    let got = aws
        .run(
            "dynamodb get-item",
            &["--table-name", &tables.activities, "--key", key],
        )
        .await;
    assert_eq!(got["Item"]["kind"]["S"], "task_completed", "{got}");
    check_stream(&aws, &tables.activities, &table["LatestStreamArn"]).await;
    stack.stop().await;
}

/// Checks that the posted activities are in the stream of their table.
async fn check_stream(aws: &Aws, table: &str, latest: &Value) {
    let streams = aws
        .run("dynamodbstreams list-streams", &["--table-name", table])
        .await;
    let arn = text(&streams["Streams"][0]["StreamArn"]);
    assert_eq!(*latest, arn);
    let stream = aws
        .run("dynamodbstreams describe-stream", &["--stream-arn", &arn])
        .await;
    assert_eq!(stream["StreamDescription"]["StreamStatus"], "ENABLED", "{stream}");
    let shard = text(&stream["StreamDescription"]["Shards"][0]["ShardId"]);
    let from_start = [
        "--stream-arn",
        &arn,
        "--shard-id",
        &shard,
        "--shard-iterator-type",
        "TRIM_HORIZON",
    ];
    let iterator = aws.run("dynamodbstreams get-shard-iterator", &from_start).await;
    let iterator = text(&iterator["ShardIterator"]);
    let records = aws
        .run("dynamodbstreams get-records", &["--shard-iterator", &iterator])
        .await;
    let inserted = records["Records"]
        .as_array()
        .expect("records")
        .iter()
        .filter(|record| {
            record["eventName"] == "INSERT" && record["dynamodb"]["NewImage"]["user_id"]["S"] == "ann"
        });
    assert_eq!(inserted.count(), 3, "{records}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_never_be_counted_ends_as_a_dead_letter_with_its_reason_and_can_be_redriven() {
    const GARBAGE: &str = "{\"this is\": \"no activity\"}";
    const GOOD: usize = 200;
    if program().is_none() {
        return;
    }
    let stack = TestStack::start(|_| {}).await;
    let Some(aws) = Aws::of(&stack) else { return };

    let listed = aws.run("sqs list-queues", &[]).await;
    let queue = aws.queue_url("podium-activities").await;
    let dead_letters = aws.queue_url("podium-activities-dlq").await;
    for url in [&queue, &dead_letters] {
        assert!(
            listed["QueueUrls"]
                .as_array()
                .is_some_and(|urls| urls.contains(&json!(url))),
            "{listed}"
        );
    }
    let (attributes, dead) = (
        aws.queue_attributes(&queue).await,
        aws.queue_attributes(&dead_letters).await,
    );
    let redrive: Value = serde_json::from_str(&text(&attributes["RedrivePolicy"])).expect("a redrive policy");
    assert_eq!(redrive["deadLetterTargetArn"], dead["QueueArn"]);
    assert_eq!(redrive["maxReceiveCount"], local::settings::MAX_RECEIVES);
    assert_eq!(dead["ApproximateNumberOfMessages"], "0");

    stack.post_all(&activities(0..GOOD / 2)).await;
    let sent = aws
        .run(
            "sqs send-message",
            &["--queue-url", &queue, "--message-body", GARBAGE],
        )
        .await;
    stack.post_all(&activities(GOOD / 2..GOOD)).await;
    let has_dead_letter = |status: &domain::documents::StatusDocument| status.status.dead_letters == 1;
    stack.wait_for("the dead letter", has_dead_letter).await;
    // One bad message does not stop the others.
    stack.wait_until_counted(GOOD as u64).await;

    let dead_letter = aws.message(&dead_letters).await;
    let attribute =
        |dead_letter: &Value, name: &str| text(&dead_letter["MessageAttributes"][name]["StringValue"]);
    assert_eq!(dead_letter["Body"], GARBAGE, "the body is as it came");
    let code = attribute(&dead_letter, "reason_code");
    assert!(
        !code.is_empty() && !attribute(&dead_letter, "reason").is_empty(),
        "{dead_letter}"
    );
    assert_eq!(attribute(&dead_letter, "message_id"), text(&sent["MessageId"]));

    let (from, to) = (text(&dead["QueueArn"]), text(&attributes["QueueArn"]));
    let task = aws
        .run(
            "sqs start-message-move-task",
            &["--source-arn", &from, "--destination-arn", &to],
        )
        .await;
    assert!(!text(&task["TaskHandle"]).is_empty());
    // Its cause is not fixed, so it comes back as another message and is not counted.
    let redriven = loop {
        stack.wait_for("the dead letter again", has_dead_letter).await;
        let found = aws.message(&dead_letters).await;
        if found["MessageId"] != dead_letter["MessageId"] {
            break found;
        }
    };
    assert_eq!(redriven["Body"], GARBAGE);
    assert_eq!(attribute(&redriven, "reason_code"), code);
    let tasks = aws
        .run("sqs list-message-move-tasks", &["--source-arn", &from])
        .await;
    assert_eq!(tasks["Results"][0]["Status"], "COMPLETED", "{tasks}");
    assert_eq!(
        tasks["Results"][0]["ApproximateNumberOfMessagesMoved"], 1,
        "{tasks}"
    );
    let status = stack.wait_until_counted(GOOD as u64).await.status;
    assert_eq!(status.dead_letters, 1);
    stack.stop().await;
}
