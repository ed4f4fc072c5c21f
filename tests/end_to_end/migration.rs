//! A whole migration under load: to Podium, back at each stage, and forth again, while processes of both systems and of
//! the migration are killed. `PODIUM_MIGRATION_SECONDS=300` makes it as long, with more ways back and forth, and
//! wants every answer within two seconds.

mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use local::dynamodb_client;
use serde_json::Value;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use self::world::{PATIENCE, PREFIX, World, eventually, signal};

const SECONDS: u64 = 60;
const SEED: u64 = 11;
/// For some writes by the new addresses.
const WRITES_FOR: Duration = Duration::from_secs(3);

/// The points and activities of each user.
type Counts = BTreeMap<String, (i64, i64)>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_notices_a_migration_and_nothing_is_lost_or_double() {
    let seconds = std::env::var("PODIUM_MIGRATION_SECONDS").ok();
    let is_long = seconds.is_some();
    let seconds = seconds.map_or(SECONDS, |seconds| seconds.parse().expect("a number of seconds"));
    let until = Instant::now() + Duration::from_secs(seconds);
    let world = World::start(SEED).await;
    let args = [
        "legacy",
        "clients",
        "--addresses",
        "addresses.json",
        "--facts",
        "facts.jsonl",
        "--for",
        "24h",
    ];
    let mut clients = world.command(&args);
    let clients = clients
        .arg("--json")
        .stdout(Stdio::piped())
        .spawn()
        .expect("they start");
    let mut tasks = JoinSet::new();
    let killing = tokio::spawn(Arc::clone(&world).kill_at_random());
    sleep(WRITES_FOR).await;

    world.kill_and_run(&["plan"]).await;
    world.start_following(&mut tasks, "tail").await;
    world.kill_and_run(&["backfill"]).await;
    world.kill_and_run(&["verify"]).await;
    // The other system goes on losing, which is not known when boards are compared.
    let shadow = ["shadow", "--for", "2s"];
    world.kill(&shadow).await;
    assert!(
        world.state("migration")["shadowed"].is_null(),
        "it compares for longer"
    );
    world.run(&shadow).await;
    assert!(world.state("migration")["shadowed"].is_object());
    world.start_following(&mut tasks, "mirror").await;
    world.kill_and_run(&["rollback"]).await;
    loop {
        go_forth(&world).await;
        sleep(WRITES_FOR).await;
        go_back(&world).await;
        sleep(WRITES_FOR).await;
        go_forth(&world).await;
        // It is known only after some seconds that nobody writes into the other system any more.
        world.kill_and_run(&["cutover", "--check"]).await;
        if Instant::now() >= until {
            break;
        }
        go_back(&world).await;
        sleep(WRITES_FOR).await;
    }
    world.kill_and_run(&["verify"]).await;
    world.kill_and_run(&["finish"]).await;
    assert!(!world.run(&["rollback"]).await.status.success(), "it is finished");

    killing.abort();
    signal("INT", clients.id().expect("they run")).await;
    let clients = timeout(PATIENCE, clients.wait_with_output())
        .await
        .expect("they end in time")
        .expect("they ran");
    let figures: Value = serde_json::from_slice(&clients.stdout).expect("JSON");
    eprintln!("{figures}");
    for requests in ["writes", "reads"] {
        let tally = &figures[requests];
        assert_eq!(tally["answered"], tally["sent"], "{figures}");
        // Being late is no fault on a busy machine. Whoever asks for the long form has a quiet one.
        assert!(!is_long || tally["late"] == 0, "{figures}");
    }
    check(&world).await;
    let _ = killing.await;
    tasks.shutdown().await;
    world.stop().await;
}

async fn go_forth(world: &World) {
    world.kill_and_run(&["verify"]).await;
    world.kill_and_run(&["cutover"]).await;
    world.send_to_podium();
}

async fn go_back(world: &World) {
    world.kill_and_run(&["rollback"]).await;
    world.send_to_legacy();
}

/// Podium's boards are what was acknowledged, and the comparison finds what the other system did wrong.
async fn check(world: &World) {
    let facts = std::fs::read_to_string(world.path("facts.jsonl")).expect("facts");
    let facts = facts
        .lines()
        .map(|line| serde_json::from_str(line).expect("a fact"));
    let facts: Vec<Value> = facts.collect();
    world.test.wait_until_counted(facts.len() as u64).await;
    let text = |fact: &Value, field: &str| fact[field].as_str().expect("text").to_owned();
    let mut boards: BTreeMap<String, Counts> = BTreeMap::new();
    for fact in &facts {
        let program = format!("program:{}", text(fact, "program_id"));
        for board in ["global".to_owned(), program] {
            add(
                boards.entry(board).or_default(),
                text(fact, "user_id"),
                number(&fact["points"]),
                1,
            );
        }
    }
    assert_eq!(boards.len(), 6);
    for (board, expected) in boards {
        let entries = world.test.whole_board(&board, 100).await.entries.into_iter();
        let shown = entries.map(|entry| {
            let user = entry.user_id.expect("nobody is anonymous").to_string();
            (user, (entry.points, entry.activities.cast_signed()))
        });
        assert_eq!(shown.collect::<Counts>(), expected, "{board}");
    }

    let client = dynamodb_client(&world.test.stack.aws_url);
    eventually("the other system has processed all events", async || {
        let events = items(&client, "Activities").await;
        let events: BTreeSet<String> = events.iter().map(|event| text(event, "event_id")).collect();
        items(&client, "ProcessedEvents").await.len() == events.len()
    })
    .await;
    let verified = world.run(&["verify", "--json"]).await;
    let report: Value = serde_json::from_slice(&verified.stdout).expect("JSON");
    assert_eq!(report["ours"], 0, "{report}");
    let mut differences = Counts::new();
    for event in items(&client, "Activities").await {
        add(
            &mut differences,
            text(&event, "employee_id"),
            -number(&event["points_awarded"]),
            -1,
        );
    }
    for total in items(&client, "EmployeeTotals").await {
        let (points, count) = (number(&total["total_points"]), number(&total["total_completed"]));
        add(&mut differences, text(&total, "employee_id"), points, count);
    }
    differences.retain(|_, difference| *difference != (0, 0));
    assert!(!differences.is_empty(), "the other system made no mistake");
    let found = report["employee_totals"].as_array().expect("a list").iter();
    let found = found.map(|found| {
        (
            text(found, "employee_id"),
            (number(&found["points"]), number(&found["count"])),
        )
    });
    assert_eq!(found.collect::<Counts>(), differences);
}

fn add(counts: &mut Counts, user: String, points: i64, count: i64) {
    let (points_sum, count_sum) = counts.entry(user).or_default();
    *points_sum += points;
    *count_sum += count;
}

fn number(number: &Value) -> i64 {
    number.as_i64().expect("a whole number")
}

/// All items of a table of the other system.
async fn items(client: &Client, table: &str) -> Vec<Value> {
    let scan = client
        .scan()
        .table_name(format!("{PREFIX}-{table}"))
        .into_paginator()
        .items()
        .send();
    let items = scan.collect::<Result<Vec<_>, _>>().await.expect("items");
    items
        .into_iter()
        .map(|item| serde_dynamo::from_item(item).expect("JSON"))
        .collect()
}
