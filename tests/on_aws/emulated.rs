//! The whole path of an activity through a real deployment, in an AWS emulator that enforces IAM.

use std::path::Path;

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use crate::applied::Applied;
use crate::emulator::Emulator;
use crate::pipe;

/// Employee number n has n activities of ten points each.
const EMPLOYEES: u32 = 10;

fn activities() -> Vec<String> {
    let activity = |employee: u32, n: u32| {
        json!({
            "activity_id": format!("task-{n}"),
            "user_id": format!("employee-{employee:02}"),
            "program_id": "onboarding",
            "kind": "task_completed",
        })
    };
    (1..=EMPLOYEES)
        .flat_map(|employee| (0..employee).map(move |n| activity(employee, n)))
        .map(|activity| activity.to_string())
        .collect()
}

fn board() -> Vec<Value> {
    (1..=EMPLOYEES)
        .map(|rank| {
            let activities = EMPLOYEES + 1 - rank;
            json!({
                "rank": rank,
                "user_id": format!("employee-{activities:02}"),
                "points": 10 * activities,
                "activities": activities,
            })
        })
        .collect()
}

/// Runs the `podium` command against the emulator.
async fn podium(emulator: &Emulator, arguments: &[&str]) -> String {
    let output = emulator
        .command(crate::stack::bin_dir().join("podium"))
        .args(arguments)
        .output()
        .await
        .expect("podium runs");
    let (said, error) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "podium {arguments:?}: {error}{said}\n{}",
        emulator.log()
    );
    said.into_owned()
}

async fn post(emulator: &Emulator, ingest_url: &str, file: &Path) {
    let file = file.to_str().expect("a path of ASCII");
    // The emulator adds no record to the stream for a statement, so each request has one activity.
    let one_a_request = ["--batch", "1"];
    let arguments = [
        &["import", file, "--url", ingest_url, "--sign"][..],
        &one_a_request,
    ]
    .concat();
    podium(emulator, &arguments).await;
}

async fn published(emulator: &Emulator, serve_url: &str) -> Vec<Value> {
    let arguments = ["board", "program:onboarding", "--url", serve_url, "--json"];
    let document: Value = serde_json::from_str(&podium(emulator, &arguments).await).expect("JSON");
    let mut entries = document["entries"].as_array().expect("entries").clone();
    for entry in &mut entries {
        // `change` depends on when the previous snapshot ran.
        entry.as_object_mut().expect("an object").remove("change");
    }
    entries
}

#[tokio::test]
async fn an_applied_deployment_counts_each_activity_once() {
    let Some(emulator) = Emulator::start().await else {
        return;
    };
    let Some(deployment) = Applied::apply(&emulator).await else {
        return;
    };
    let plan = deployment.second_plan().await;
    assert_eq!(plan.differences(), Vec::<String>::new());
    emulator.without_required_keys("podium-dev-snapshot").await;
    emulator.with_statements("podium-dev-aggregator").await;

    let ingest_url = deployment.function_url("ingest_url").await;
    let serve_url = deployment.function_url("serve_url").await;
    refuses_to_take_unsigned_posts(&emulator, &ingest_url).await;

    // The emulator stores pipes but does not run them, so the local pipe runs with the planned parameters. It
    // sends with the permissions of the pipe's role. It reads as the administrator, because the emulator
    // cannot tell which stream a request is for, and denies every role that names a stream.
    let planned = plan.resource("aws_pipes_pipe.activities");
    let role = emulator.as_role("podium-dev-pipe").await;
    let pipe = pipe::start_planned(planned, &emulator.as_administrator(), &role).expect("the pipe starts");

    let directory = tempfile::TempDir::new().expect("a temporary directory");
    for file in ["once.jsonl", "again.jsonl"] {
        let file = directory.path().join(file);
        std::fs::write(&file, activities().join("\n")).expect("a file can be written");
        post(&emulator, &ingest_url, &file).await;
    }
    let stages = smoke(&emulator, &deployment, &ingest_url, &serve_url).await;
    println!("{stages}");
    assert_eq!(published(&emulator, &serve_url).await, board());
    pipe.stop().await.expect("the pipe stops");

    each_role_is_refused_what_is_not_its_own(&emulator).await;
    assert_eq!(deployment.destroy().await, "");
    assert_eq!(left_over(&emulator).await, Vec::<String>::new());
}

async fn refuses_to_take_unsigned_posts(emulator: &Emulator, ingest_url: &str) {
    let output = emulator
        .command("curl")
        .args(["--silent", "--cacert"])
        .arg(emulator.certificate())
        .args(["--write-out", "%{http_code}", "--output", "/dev/null"])
        .args([
            "--json",
            r#"{"user_id":"ann","program_id":"x","kind":"task_completed"}"#,
        ])
        .arg(format!("{ingest_url}v1/activities"))
        .output()
        .await
        .expect("curl runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "403");
}

/// Posts one more activity and waits until it is on the board. All earlier ones are then on it, too.
async fn smoke(emulator: &Emulator, deployment: &Applied<'_>, ingest_url: &str, serve_url: &str) -> String {
    let (activities, dedup, standings) = (
        deployment.output("activities_table").await,
        deployment.output("dedup_table").await,
        deployment.output("standings_table").await,
    );
    let arguments = [
        ["--ingest-url", ingest_url],
        ["--serve-url", serve_url],
        ["--activities-table", &activities],
        ["--dedup-table", &dedup],
        ["--standings-table", &standings],
    ];
    podium(
        emulator,
        &[&["smoke", "--sign"], arguments.as_flattened()].concat(),
    )
    .await
}

/// `allowed`, or the error code that the role got.
fn verdict<T, E>(attempt: Result<T, aws_sdk_dynamodb::error::SdkError<E>>) -> String
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata,
{
    match attempt {
        Ok(_) => "allowed".to_owned(),
        Err(error) => error.code().unwrap_or("no answer").to_owned(),
    }
}

/// Tries get, query, scan, put and delete on each table, and lists what the function's role allows.
async fn attempts(emulator: &Emulator, function: &str) -> Vec<String> {
    let config = emulator.as_role(&format!("podium-dev-{function}")).await;
    let client = aws_sdk_dynamodb::Client::new(&config);
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let tables = [
        ("activities", "user_id", Some("activity_id")),
        ("dedup", "activity", None),
        ("standings", "shard", Some("member")),
        ("snapshots", "board", Some("part")),
    ];
    let mut lines = Vec::new();
    for (name, partition, sort) in tables {
        let table = format!("podium-dev-{name}");
        let key = [Some(partition), sort].into_iter().flatten();
        let key: std::collections::HashMap<_, _> = key
            .map(|attribute| (attribute.to_owned(), text("~test")))
            .collect();
        let get = client
            .get_item()
            .table_name(&table)
            .set_key(Some(key.clone()))
            .send()
            .await;
        let put = client
            .put_item()
            .table_name(&table)
            .set_item(Some(key.clone()))
            .send()
            .await;
        let update = client
            .update_item()
            .table_name(&table)
            .set_key(Some(key.clone()))
            .send()
            .await;
        let delete = client
            .delete_item()
            .table_name(&table)
            .set_key(Some(key))
            .send()
            .await;
        let scan = client.scan().table_name(&table).limit(1).send().await;
        let query = client
            .query()
            .table_name(&table)
            .key_condition_expression("#key = :value")
            .expression_attribute_names("#key", partition)
            .expression_attribute_values(":value", text("~test"))
            .send()
            .await;
        let verdicts = [
            ("get", verdict(get)),
            ("query", verdict(query)),
            ("scan", verdict(scan)),
            ("put", verdict(put)),
            ("update", verdict(update)),
            ("delete", verdict(delete)),
        ];
        let allowed: Vec<_> = verdicts
            .iter()
            .filter_map(|(what, verdict)| match verdict.as_str() {
                "AccessDeniedException" => None,
                "allowed" => Some((*what).to_owned()),
                other => Some(format!("{what}: {other}")),
            })
            .collect();
        lines.push(format!("{function} {name}: {}", allowed.join(" ")));
    }
    lines
}

async fn each_role_is_refused_what_is_not_its_own(emulator: &Emulator) {
    let mut lines = Vec::new();
    for function in crate::deployment::FUNCTIONS {
        lines.extend(attempts(emulator, function).await);
    }
    assert_eq!(
        lines,
        [
            "ingest activities: put",
            "ingest dedup: ",
            "ingest standings: ",
            "ingest snapshots: ",
            "aggregator activities: ",
            "aggregator dedup: update",
            "aggregator standings: get update",
            "aggregator snapshots: ",
            // On AWS only heartbeats: the emulator ignores the condition on the key.
            "snapshot activities: query put",
            "snapshot dedup: ",
            "snapshot standings: get query",
            "snapshot snapshots: get put",
            "serve activities: ",
            "serve dedup: ",
            "serve standings: get query",
            "serve snapshots: get",
        ]
    );
}

/// The resources of the deployment that still exist in the account.
async fn left_over(emulator: &Emulator) -> Vec<String> {
    let lists = [
        ("dynamodb list-tables", "/TableNames"),
        ("sqs list-queues", "/QueueUrls"),
        ("lambda list-functions", "/Functions"),
        ("lambda list-event-source-mappings", "/EventSourceMappings"),
        ("iam list-roles", "/Roles"),
        ("iam list-policies --scope Local", "/Policies"),
        ("logs describe-log-groups", "/logGroups"),
        ("pipes list-pipes", "/Pipes"),
        ("scheduler list-schedules", "/Schedules"),
        ("s3api list-buckets", "/Buckets"),
        ("cloudfront list-distributions", "/DistributionList/Items"),
        (
            "cloudfront list-origin-access-controls",
            "/OriginAccessControlList/Items",
        ),
        ("sns list-topics", "/Topics"),
        ("cloudwatch describe-alarms", "/MetricAlarms"),
        ("cloudwatch list-dashboards", "/DashboardEntries"),
    ];
    let mut left = Vec::new();
    for (command, list) in lists {
        let answer = emulator.aws(command, &[]).await;
        for item in answer
            .pointer(list)
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            if item.to_string().contains("podium-dev") {
                left.push(format!("{command}: {item}"));
            }
        }
    }
    left
}
