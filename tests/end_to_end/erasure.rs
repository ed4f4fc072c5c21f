//! Erasing people with a running stack, and exporting what is kept of one.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{BoardDocument, UserId};
use flate2::read::GzDecoder;
use futures::future::join;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use local::settings;
use operate::erase;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::cli::podium;
use crate::stack::TestStack;

type Item = std::collections::HashMap<String, AttributeValue>;

/// Never posts again.
const GONE: &str = "gone-7f3";
/// Posts again after the erasure.
const AGAIN: &str = "again-7f3";
/// What only they have: ids of activities, metadata, names and reasons.
const OLD: [&str; 4] = ["zqold-", "Zyxomma", "Petiolatum", "zqreason"];
const SCORING: &str = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":{"points":10,"max_per_day":500}}}]"#;

struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    #[track_caller]
    fn check(self, code: i32, expected: &str) -> String {
        let all = format!("{}{}", self.stdout, self.stderr);
        assert!(
            self.code == Some(code) && all.contains(expected),
            "{:?}\n{all}",
            self.code
        );
        self.stdout
    }
}

fn command(stack: &TestStack, args: &[&str]) -> tokio::process::Command {
    let mut command = podium();
    command.args(args).args(["--aws-url", &stack.stack.aws_url]);
    command
}

async fn run(stack: &TestStack, args: &[&str]) -> Ran {
    let output = command(stack, args).output().await.expect("podium runs");
    Ran {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).expect("text"),
        stderr: String::from_utf8(output.stderr).expect("text"),
    }
}

/// Runs a command that uses the API.
async fn use_api(stack: &TestStack, args: &[&str]) {
    let mut command = podium();
    command.args(args).args(["--url", &stack.stack.web_url]);
    let output = command.output().await.expect("podium runs");
    assert!(output.status.success(), "{output:?}");
}

/// When the first task of each user occurred, on a day whose board is closed.
fn some_days_ago() -> Timestamp {
    Timestamp::now() - SignedDuration::from_hours(5 * 24)
}

fn tasks(user: &str, prefix: &str, count: usize) -> Vec<Value> {
    let task = |number| {
        let mut task = json!({
            "activity_id": format!("{prefix}{number}"),
            "user_id": user,
            "program_id": "p",
            "kind": "task_completed",
            "metadata": {"note": format!("{prefix}secret")},
        });
        if number == 0 {
            task["occurred_at"] = json!(some_days_ago());
        }
        task
    };
    (0..count).map(task).collect()
}

async fn items(client: &Client, table: &str) -> Vec<Item> {
    let items = client.scan().table_name(table).into_paginator().items().send();
    let items: Result<Vec<_>, _> = items.collect().await;
    items.expect("the table is read")
}

/// Everything that an item says, with its documents decompressed.
fn text(item: &Item) -> String {
    let mut text = format!("{item:?}");
    for value in item.values() {
        if let AttributeValue::B(bytes) = value {
            let mut document = String::new();
            if GzDecoder::new(bytes.as_ref())
                .read_to_string(&mut document)
                .is_ok()
            {
                text += &document;
            }
        }
    }
    text
}

/// What is found of these words in all tables and logs, once each.
async fn found(stack: &TestStack, words: &[&str]) -> BTreeSet<String> {
    let client = local::dynamodb_client(&stack.stack.aws_url);
    let names = &stack.stack.tables;
    let mut found = BTreeSet::new();
    let mut look = |place: &str, text: &str| {
        let words = words.iter().filter(|word| text.contains(**word));
        found.extend(words.map(|word| format!("{word} in {place}")));
    };
    for table in [
        &names.activities,
        &names.dedup,
        &names.standings,
        &names.snapshots,
        &names.people,
    ] {
        for item in items(&client, table).await {
            look(table, &text(&item));
        }
    }
    for file in std::fs::read_dir(stack.stack.log_dir()).expect("the logs are there") {
        let path = file.expect("a file").path();
        look("logs", &std::fs::read_to_string(path).expect("text"));
    }
    found
}

/// Sends the facts of a user to the queue again, as a pipe does that goes back.
async fn redeliver(stack: &TestStack, facts: &[Item]) {
    let client = aws_sdk_sqs::Client::new(&local::sdk_config(&stack.stack.aws_url));
    for fact in facts {
        let image: Map<String, Value> = fact
            .iter()
            .map(|(name, value)| {
                let value = match value {
                    AttributeValue::S(text) => json!({"S": text}),
                    AttributeValue::N(number) => json!({"N": number}),
                    other => panic!("{other:?} is in no fact"),
                };
                (name.clone(), value)
            })
            .collect();
        let record = json!({"eventName": "INSERT", "dynamodb": {"NewImage": image}});
        let message = client.send_message().queue_url(stack.stack.queue.url());
        let sent = message.message_body(record.to_string()).send().await;
        sent.expect("the queue takes it");
    }
}

async fn is_erasing(stack: &TestStack, client: &Client, user: &UserId) -> bool {
    let generations = store::generations::read(client, &stack.stack.tables.standings).await;
    generations.expect("they are read").erasures.is_erasing(user)
}

/// Each row, as its rank, id and points.
async fn board(stack: &TestStack) -> String {
    rows(stack, "/v1/boards/global").await
}

async fn rows(stack: &TestStack, path: &str) -> String {
    let board: BoardDocument = stack.get(path).await.json().await.expect("a board");
    let rows = board.entries.iter().map(|row| {
        let user = row.user_id.as_ref().map_or("?", |user| user.as_str());
        format!("{}.{user} {}", row.rank, row.points)
    });
    rows.collect::<Vec<_>>().join(", ")
}

#[test]
fn an_erasure_waits_longer_than_whatever_writes_facts_or_counts_can_take() {
    for writer in [settings::INGEST, settings::AGGREGATOR] {
        assert!(erase::ENDED_AFTER >= writer.timeout + Duration::from_secs(10));
    }
}

/// Makes that the tables have whatever they can have of a person.
async fn fill(stack: &TestStack, client: &Client) {
    let tables = &stack.stack.tables;
    // Several writes of one standing, so that keys leave it.
    for batch in tasks(GONE, "zqold-", 40).chunks(20) {
        stack.post_all(batch).await;
        stack
            .wait_for("the batch is counted", |status| {
                status.status.counted.activities.is_multiple_of(20)
            })
            .await;
    }
    stack.post_all(&tasks(AGAIN, "zqold-", 5)).await;
    stack.post_all(&tasks("other", "other-", 3)).await;
    stack.wait_until_counted(48).await;
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("people.csv");
    let people = format!("user_id,display_name\n{GONE},Zyxomma One\n{AGAIN},Petiolatum Two\n");
    std::fs::write(&file, people).expect("it is written");
    use_api(stack, &["people", "import", file.to_str().expect("a plain path")]).await;
    let void = ["correct", "void", GONE, "zqold-1", "--reason", "zqreason"];
    use_api(stack, &void).await;
    stack.wait_until_sums(47, 470).await;

    // A repair has a record that names the user, and someone else's fact was sent by the user.
    let standings = items(client, &tables.standings).await;
    let standing = standings
        .iter()
        .find(
            |item| matches!(item.get("member"), Some(AttributeValue::S(member)) if member.starts_with(GONE)),
        )
        .expect("the standing of the user");
    let delete = client.delete_item().table_name(&tables.standings);
    let delete = delete.key("shard", standing["shard"].clone());
    let deleted = delete.key("member", standing["member"].clone()).send().await;
    deleted.expect("deleted");
    run(stack, &["reconcile", "--repair", "--in-flight", "1s"])
        .await
        .check(0, "");
    let sent = client
        .update_item()
        .table_name(&tables.activities)
        .key("user_id", AttributeValue::S("other".to_owned()))
        .key("activity_id", AttributeValue::S("other-0".to_owned()))
        .update_expression("SET posted_by = :poster")
        .expression_attribute_values(":poster", AttributeValue::S(format!("token:{GONE}")))
        .send()
        .await;
    sent.expect("changed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_erased_is_in_no_table_answer_or_log_and_nothing_brings_the_person_back() {
    let stack = TestStack::start(|config| {
        config.scoring_policy = SCORING.parse().expect("a policy");
    })
    .await;
    let client = local::dynamodb_client(&stack.stack.aws_url);
    let tables = stack.stack.tables.clone();
    let gone: UserId = GONE.parse().expect("an id");

    fill(&stack, &client).await;

    let day = some_days_ago().to_zoned(TimeZone::UTC).date().to_string();
    let archive = ["archive", "--period", &day, "--include-late"];
    run(&stack, &archive).await.check(0, "global: edition 1 of");
    let archived = format!("/v1/boards/global?period={day}");
    let expected = format!("1.{AGAIN} 10, 1.{GONE} 10, 1.other 10");
    assert_eq!(rows(&stack, &archived).await, expected);

    let exported = run(&stack, &["people", "export", GONE]).await.check(0, "");
    let exported: Value = serde_json::from_str(&exported).expect("JSON");
    assert_eq!(exported["profile"]["display_name"], "Zyxomma One");
    assert_eq!(exported["activities"].as_array().map(Vec::len), Some(40));
    assert_eq!(exported["activities"][0]["metadata"]["note"], "zqold-secret");
    assert_eq!(exported["corrections"][0]["reason"], "zqreason");
    assert_eq!(exported["standings"][0]["all"]["points"], 390);

    let refused = run(&stack, &["people", "erase", "nobody", "--yes", "nobody"]).await;
    refused.check(1, "nothing is kept of nobody");
    let refused = run(&stack, &["people", "erase", GONE, "--yes", "Gone"]).await;
    refused.check(1, "nothing was deleted");
    let refused = run(&stack, &["people", "erase", GONE]).await;
    refused.check(1, "there is no terminal to confirm at");
    assert!(!is_erasing(&stack, &client, &gone).await);
    stack
        .wait_for("the repaired board", |status| status.status.counted.points == 470)
        .await;
    assert_eq!(
        board(&stack).await,
        format!("1.{GONE} 390, 2.{AGAIN} 50, 3.other 30")
    );

    let mut facts = items(&client, &tables.activities).await;
    facts.retain(
        |fact| matches!(&fact["user_id"], AttributeValue::S(user) if [GONE, AGAIN].contains(&user.as_str())),
    );
    assert_eq!(facts.len(), 46);
    let page = stack.get("/v1/boards/global?limit=1").await;
    let page: BoardDocument = page.json().await.expect("a board");
    let cursor = page.next_cursor.expect("more rows");

    // The first attempt is killed once it is noted.
    let erase_gone = ["people", "erase", GONE, "--yes", GONE];
    let mut killed = command(&stack, &erase_gone).spawn().expect("podium runs");
    while !is_erasing(&stack, &client, &gone).await {
        sleep(Duration::from_millis(100)).await;
    }
    killed.kill().await.expect("it is killed");
    redeliver(&stack, &facts).await;
    let meanwhile = async {
        let again: UserId = AGAIN.parse().expect("an id");
        while !is_erasing(&stack, &client, &again).await {
            sleep(Duration::from_millis(100)).await;
        }
        stack.post_all(&tasks(AGAIN, "new-", 2)).await;
    };
    let erase_again = ["people", "erase", AGAIN, "--yes", AGAIN];
    let erasures = join(run(&stack, &erase_gone), run(&stack, &erase_again));
    let ((first, second), ()) = join(erasures, meanwhile).await;
    first.check(0, "an erasure that was begun is resumed");
    let said = second.check(0, &format!("{AGAIN} is erased: 5 activities and corrections"));
    assert!(!said.contains("Zyxomma"), "{said}");

    redeliver(&stack, &facts).await;
    stack.wait_until_sums(5, 50).await;
    assert_eq!(board(&stack).await, format!("1.other 30, 2.{AGAIN} 20"));
    assert_eq!(rows(&stack, &archived).await, "1.other 10");
    for path in ["/v1/boards/global/users", "/v1/private/boards/global/users"] {
        assert_eq!(stack.get(&format!("{path}/{GONE}")).await.status(), 404);
    }
    let mut words = OLD.to_vec();
    words.push(GONE);
    assert_eq!(found(&stack, &words).await, BTreeSet::new());
    let old = stack
        .get(&format!("/v1/boards/global?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(old.status(), 410);
    run(&stack, &["people", "export", GONE])
        .await
        .check(1, "nothing is kept of");

    let records = items(&client, &tables.standings).await;
    let erasure = |item: &&Item| format!("{:?}", item.get("member")).contains(" erasure ");
    assert_eq!(records.iter().filter(erasure).count(), 2);
    run(&stack, &["rebuild", "run"]).await.check(0, "g2 is live");
    stack.wait_until_sums(5, 50).await;
    assert_eq!(found(&stack, &words).await, BTreeSet::new());
    stack.stop().await;
}
