//! `podium migrate` on the tables of another system: a real set of them, whose boards and differences were computed
//! independently. Its files lie beside that which `PODIUM_TEST_LEGACY` names, and `PODIUM_TEST_LEGACY_EXPECTED` names what
//! must come out; without them the test is skipped.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, PutRequest, WriteRequest};
use flate2::read::GzDecoder;
use local::dynamodb_client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use super::{end, podium_without_aws};
use crate::data_set::{Expected, check_boards};
use crate::stack::TestStack;

const PREFIX: &str = "edl-test";
const TABLES: [&str; 4] = [
    "Activities",
    "ProcessedEvents",
    "ProgramProgress",
    "EmployeeTotals",
];
/// `DynamoDB`'s limit for one call.
const WRITES: usize = 25;
/// Slow enough to be killed in the middle.
const RATE: &str = "2000";

/// A migration with its own current directory.
struct Migration<'a> {
    stack: &'a TestStack,
    directory: TempDir,
}

impl Migration<'_> {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = podium_without_aws();
        command
            .env("AWS_ENDPOINT_URL", &self.stack.stack.aws_url)
            .current_dir(self.directory.path())
            .args(args);
        command
    }

    fn stage(&self, stage: &[&str]) -> Command {
        let mut command = self.command(&["migrate"]);
        command.args(stage).args(["--from", PREFIX]);
        command
    }

    /// A stage that posts activities.
    fn posting(&self, stage: &[&str]) -> Command {
        let mut command = self.stage(stage);
        command.args(["--url", &self.stack.stack.web_url]);
        command
    }

    fn tail(&self) -> Child {
        self.posting(&["tail"]).spawn().expect("it starts")
    }

    /// Waits until a stage has written this of its state.
    async fn wait_until(&self, file: &str, is_met: impl Fn(&Value) -> bool) {
        let path = self.directory.path().join(format!("{PREFIX}.podium-{file}.json"));
        loop {
            let state = std::fs::read(&path).ok();
            let state = state.and_then(|state| serde_json::from_slice(&state).ok());
            if state.is_some_and(|state: Value| is_met(&state)) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Puts the lines of a file into the table of its name.
async fn load(client: &aws_sdk_dynamodb::Client, directory: &Path, name: &str) {
    let file = File::open(directory.join(format!("{name}.jsonl.gz"))).expect("the file");
    let lines = std::io::read_to_string(GzDecoder::new(file)).expect("text");
    let items: Vec<HashMap<String, AttributeValue>> = lines
        .lines()
        .map(|line| {
            let item: HashMap<String, Value> = serde_json::from_str(line).expect("an item");
            let values = item.into_iter().map(|(name, value)| match value {
                Value::String(text) => (name, AttributeValue::S(text)),
                number => (name, AttributeValue::N(number.to_string())),
            });
            values.collect()
        })
        .collect();
    for items in items.chunks(WRITES) {
        let puts = items.iter().map(|item| {
            let put = PutRequest::builder().set_item(Some(item.clone())).build();
            WriteRequest::builder().put_request(put.expect("an item")).build()
        });
        let written = client
            .batch_write_item()
            .request_items(format!("{PREFIX}-{name}"), puts.collect());
        written.send().await.expect("it is written");
    }
}

/// The differences of the other system's sums, in the order of their keys.
fn differences(verified: &Value) -> Value {
    let rows = |of: &str, keys: &[&str]| {
        let rows = verified[of].as_array().expect("rows").iter();
        let mut rows: Vec<Value> = rows
            .map(|row| keys.iter().map(|key| row[*key].clone()).collect())
            .collect();
        rows.sort_by_key(ToString::to_string);
        Value::Array(rows)
    };
    json!({
        "program_progress": rows("program_progress", &["employee_id", "program_id", "points", "count"]),
        "employee_totals": rows("employee_totals", &["employee_id", "points", "count"]),
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_systems_tables_are_carried_over_through_kills_and_what_it_lost_is_found() {
    let (Some(activities), Some(expected)) = (
        std::env::var_os("PODIUM_TEST_LEGACY"),
        Expected::boards("PODIUM_TEST_LEGACY_EXPECTED"),
    ) else {
        return;
    };
    let policy = json!([{"effective_from": "1970-01-01T00:00:00Z", "points": {
        "checkin": {"given": {"max": 25}}, "movement": {"given": {"max": 25}}, "steps": {"given": {"max": 25}},
    }}]);
    let stack = TestStack::start(|config| {
        config.scoring_policy = policy.to_string().parse().expect("a policy");
    })
    .await;
    let migration = Migration {
        stack: &stack,
        directory: TempDir::new().expect("a directory"),
    };
    let tables = migration.command(&["legacy", "tables", "--prefix", PREFIX]);
    end(tables).await.check(0);
    let client = dynamodb_client(&stack.stack.aws_url);
    let directory = Path::new(&activities).parent().expect("a directory");
    for table in TABLES {
        load(&client, directory, table).await;
    }

    let planned = end(migration.stage(&["plan"])).await.check(0);
    assert!(
        planned.contains("9,000 items of 444 people in 7 programs"),
        "{planned}"
    );
    let path = migration
        .directory
        .path()
        .join(format!("{PREFIX}.podium-policy.json"));
    let suggested: Value = serde_json::from_slice(&std::fs::read(path).expect("the policy")).expect("JSON");
    assert_eq!(
        suggested, policy,
        "what plan suggests is what the boards were computed by"
    );

    let mut tail = migration.tail();
    migration
        .wait_until("tail", |state| state["carried"].as_u64() > Some(0))
        .await;
    tail.kill().await.expect("it is killed");
    let mut tail = migration.tail();
    let mut backfill = migration.posting(&["backfill", "--rate", RATE]);
    let mut killed = backfill.spawn().expect("it starts");
    let is_begun = |state: &Value| {
        state["tally"]["accepted"]
            .as_u64()
            .max(state["tally"]["duplicate"].as_u64())
            > Some(0)
    };
    migration.wait_until("backfill", is_begun).await;
    killed.kill().await.expect("it is killed");
    let resumed = end(migration.posting(&["backfill"])).await;
    assert!(resumed.stderr.contains("Resuming after"), "{}", resumed.stderr);
    resumed.check(0);

    let mut killed = migration.stage(&["verify"]).spawn().expect("it starts");
    sleep(Duration::from_millis(300)).await;
    killed.kill().await.expect("it is killed");
    let verified = end(migration.stage(&["verify", "--json"])).await.check(0);
    let verified: Value = serde_json::from_str(&verified).expect("JSON");
    let facts = &verified["facts"];
    assert_eq!(
        (
            &facts["legacy"],
            &facts["podium"],
            &facts["missing"],
            &verified["ours"]
        ),
        (&json!(9000), &json!(9000), &json!([]), &json!(0))
    );
    assert_eq!(differences(&verified), differences_expected());
    stack
        .wait_until_sums(expected.activities, expected.points())
        .await;
    check_boards(&stack, &expected).await;

    tail.kill().await.expect("it is killed");
    an_event_that_podium_lacks_is_ours(&migration, &client).await;
    stack.stop().await;
}

async fn an_event_that_podium_lacks_is_ours(migration: &Migration<'_>, client: &aws_sdk_dynamodb::Client) {
    let late = [
        ("employee_id", "late"),
        ("ts_event", "2026-11-28T12:00:00Z#late-1"),
        ("event_id", "late-1"),
        ("program_id", "jiff"),
        ("activity_type", "checkin"),
        ("ts", "2026-11-28T12:00:00Z"),
    ];
    let mut put = client.put_item().table_name(format!("{PREFIX}-Activities"));
    for (name, text) in late {
        put = put.item(name, AttributeValue::S(text.to_owned()));
    }
    put.item("points_awarded", AttributeValue::N("5".to_owned()))
        .send()
        .await
        .expect("it is written");
    let verified = end(migration.stage(&["verify", "--json", "--in-flight", "100ms"]))
        .await
        .check(1);
    let verified: Value = serde_json::from_str(&verified).expect("JSON");
    assert_eq!(verified["ours"], 1);
    assert_eq!(
        verified["facts"]["missing"],
        json!([{"employee_id": "late", "event_id": "late-1"}])
    );
}

fn differences_expected() -> Value {
    let path = std::env::var_os("PODIUM_TEST_LEGACY_EXPECTED").expect("it was there before");
    let expected: Value =
        serde_json::from_reader(GzDecoder::new(File::open(path).expect("the file"))).expect("JSON");
    let mut differences = expected["differences"].clone();
    for rows in ["program_progress", "employee_totals"] {
        let rows = differences[rows].as_array_mut().expect("rows");
        rows.sort_by_key(ToString::to_string);
    }
    differences
}
