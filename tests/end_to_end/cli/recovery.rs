//! `podium rebuild` and `podium reconcile`: they repair damaged counts while the pipeline keeps working.

use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::UserId;
use domain::counters::Sum;
use domain::documents::StatusDocument;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use store::ledger::{Epoch, Ledger};
use tokio::process::Command;
use tokio::time::sleep;

use super::{end, podium};
use crate::data_set::{check_boards, data_set};
use crate::stack::TestStack;
use crate::tables::user_of;

/// Far longer than any step takes, so that a test that waits for nothing still ends.
const PATIENCE: Duration = Duration::from_mins(4);
const POLL: Duration = Duration::from_millis(50);

fn command(stack: &TestStack, args: &[&str]) -> Command {
    let mut command = podium();
    command.args(args).args(["--aws-url", &stack.stack.aws_url]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub async fn run(stack: &TestStack, args: &[&str], code: i32) -> String {
    end(command(stack, args)).await.check(code)
}

/// Reconciles everything except the last second before the heartbeat.
pub async fn reconcile(stack: &TestStack, args: &[&str], code: i32) -> String {
    run(stack, &[&["reconcile", "--in-flight", "1s"], args].concat(), code).await
}

fn client(stack: &TestStack) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(&local::sdk_config(&stack.stack.aws_url))
}

fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// Changes the ledger of a standing, or makes one, to damage the counts.
async fn tamper(stack: &TestStack, shard: &str, member: &str, change: impl FnOnce(Ledger) -> Ledger) {
    let table = &stack.stack.tables.standings;
    let key = [("shard", shard), ("member", member)];
    let mut get = client(stack).get_item().table_name(table).consistent_read(true);
    for (name, value) in key {
        get = get.key(name, string(value));
    }
    let item = get.send().await.expect("it is read").item;
    let ledger = match item.as_ref().and_then(|item| item.get("ledger")) {
        Some(AttributeValue::B(bytes)) => Ledger::decode(bytes.as_ref()).expect("a ledger"),
        _ => Ledger::new(Timestamp::now().to_zoned(TimeZone::UTC).date(), Epoch([0; 8])),
    };
    let binary = |bytes: Vec<u8>| AttributeValue::B(Blob::new(bytes));
    let version = item.and_then(|item| item.get("version").cloned());
    let mut put = client(stack)
        .put_item()
        .table_name(table)
        .item("ledger", binary(change(ledger).encode()))
        .item("version", version.unwrap_or_else(|| binary(vec![0; 8])));
    for (name, value) in key {
        put = put.item(name, string(value));
    }
    put.send().await.expect("it is written");
}

/// Adds so many points of one activity that does not exist.
fn adding(points: i64) -> impl FnOnce(Ledger) -> Ledger {
    move |mut ledger| {
        let day = ledger.counters.as_of();
        ledger.counters.add(
            day.into(),
            Sum {
                points,
                activities: 1,
            }
            .in_every_window(),
            None,
        );
        ledger
    }
}

/// Forgets one activity of ten points.
fn forgetting(mut ledger: Ledger) -> Ledger {
    let day = ledger.counters.as_of();
    let mut without = Ledger::new(day, ledger.epoch);
    for key in &ledger.keys()[1..] {
        without.count(*key, day.into(), Sum::default().in_every_window(), None);
    }
    ledger.counters.add(
        day.into(),
        Sum {
            points: -10,
            activities: -1,
        }
        .in_every_window(),
        None,
    );
    without.counters = ledger.counters;
    without.spilled_through = ledger.spilled_through;
    without
}

/// The keys of all standings of generation g1 in these shards.
async fn standings(stack: &TestStack, shards: std::ops::Range<u8>) -> Vec<(String, String)> {
    let mut keys = Vec::new();
    for shard in shards {
        let shard = format!("g1#{shard:03}");
        let found = client(stack)
            .query()
            .table_name(&stack.stack.tables.standings)
            .key_condition_expression("#shard = :shard")
            .expression_attribute_names("#shard", "shard")
            .expression_attribute_values(":shard", string(&shard))
            .send()
            .await
            .expect("the standings can be read");
        let member = |item: &std::collections::HashMap<String, AttributeValue>| {
            item["member"].as_s().expect("a member").clone()
        };
        keys.extend(found.items().iter().map(|item| (shard.clone(), member(item))));
    }
    keys
}

async fn audit(stack: &TestStack) -> Vec<String> {
    let found = client(stack)
        .query()
        .table_name(&stack.stack.tables.standings)
        .key_condition_expression("#shard = :audit")
        .expression_attribute_names("#shard", "shard")
        .expression_attribute_values(":audit", string("audit"))
        .send()
        .await
        .expect("the records can be read");
    let mut records: Vec<_> = found
        .items()
        .iter()
        .map(|item| item["correction"].as_s().expect("a text").clone())
        .collect();
    records.sort();
    records
}

async fn wait_until_shown(stack: &TestStack, what: &str, is_met: impl Fn(&[(UserId, i64)]) -> bool) {
    let until = Instant::now() + PATIENCE;
    loop {
        let board = stack.whole_board("global", 100).await;
        let rows: Vec<_> = board
            .entries
            .into_iter()
            .filter_map(|entry| Some((entry.user_id?, entry.points)))
            .collect();
        if is_met(&rows) {
            return;
        }
        assert!(
            Instant::now() < until,
            "{what}: not shown within {PATIENCE:?}: {rows:?}"
        );
        sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_under_load_that_is_killed_ends_with_the_expected_boards() {
    let Some((activities, expected)) = data_set() else {
        return;
    };
    let stack = TestStack::start(|_| {}).await;
    let (first, second) = activities.split_at(activities.len() / 2);
    stack.post_all(first).await;
    stack.wait_until_counted(first.len() as u64).await;
    // From now on half of the shards of this generation are wrong.
    for (shard, member) in standings(&stack, 0..16).await {
        tamper(&stack, &shard, &member, adding(1_000)).await;
    }

    let load = stack.post_all(second);
    let rebuild = async {
        let mut killed = command(&stack, &["rebuild", "run", "--segments", "3"])
            .spawn()
            .expect("podium runs");
        // Wait until it has kept a checkpoint.
        let until = Instant::now() + PATIENCE;
        loop {
            let status = run(&stack, &["rebuild", "status"], 0).await;
            if status.contains("of 3 segments are done") && !status.contains("with 0 activities") {
                break;
            }
            assert!(
                Instant::now() < until,
                "no checkpoint within {PATIENCE:?}: {status}"
            );
        }
        killed.kill().await.expect("it is killed");
        run(&stack, &["rebuild", "run", "--segments", "5"], 0).await
    };
    let ((), printed) = tokio::join!(load, rebuild);
    assert!(
        printed.starts_with("Resuming g2 next to the live g1.\n"),
        "{printed}"
    );
    stack.wait_until_counted(expected.activities).await;
    check_boards(&stack, &expected).await;

    // Switch back to the former generation, which was kept up to date and is still damaged.
    let right = stack.wait_for("the counts", |_| true).await.status.counted;
    run(&stack, &["rebuild", "switch"], 0).await;
    stack
        .wait_for("the damaged counts", |status| {
            status.status.counted.points > right.points
        })
        .await;
    let damaged = reconcile(&stack, &[], 1).await;
    assert!(damaged.contains("agreement     broken: "), "{damaged}");
    reconcile(&stack, &["--repair"], 0).await;
    stack.wait_until_counted(expected.activities).await;
    check_boards(&stack, &expected).await;

    run(&stack, &["rebuild", "switch"], 0).await;
    run(&stack, &["rebuild", "finish"], 0).await;
    assert_eq!(standings(&stack, 0..32).await, []);
    let clean = reconcile(&stack, &[], 0).await;
    assert!(
        clean.contains("completeness  kept\nuniqueness    kept\nagreement     kept\n"),
        "{clean}"
    );
    check_boards(&stack, &expected).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rebuild_that_lacks_what_was_accepted_a_moment_ago_is_not_shown() {
    let stack = TestStack::start(|_| {}).await;
    let posted: Vec<_> = (0..5).map(|n| activity("ann", &format!("a{n}"))).collect();
    stack.post_all(&posted).await;
    stack.wait_until_counted(5).await;
    let told = run(&stack, &["rebuild", "run", "--no-switch"], 0).await;
    assert!(told.contains("completeness  kept\n"), "{told}");

    // As if it were still being built and had missed one activity.
    let tables = &stack.stack.tables;
    client(&stack)
        .update_item()
        .table_name(&tables.standings)
        .key("shard", string("control"))
        .key("member", string("generations"))
        .update_expression("SET beside.#state = :incomplete")
        .expression_attribute_names("#state", "state")
        .expression_attribute_values(":incomplete", string("incomplete"))
        .send()
        .await
        .expect("it is written");
    tamper(&stack, "g2#013", "ann p", forgetting).await;
    let told = run(&stack, &["rebuild", "run", "--in-flight", "10s"], 1).await;
    for line in [
        "1 activity is not counted yet and may be in flight; comparing again.\n",
        "completeness  broken: 1 not counted\n",
        "g2 does not agree with the activities, so it does not go live. ",
    ] {
        assert!(told.contains(line), "no {line:?} in\n{told}");
    }
    let status = run(&stack, &["rebuild", "status"], 0).await;
    assert!(status.starts_with("g1 is live.\ng2 is being built: "), "{status}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_rules_wait_for_a_rebuild_and_say_so() {
    let data = tempfile::TempDir::new().expect("a temporary directory");
    let start = async |time_zone: &str, points: &str| {
        let policy = format!(r#"[{{"effective_from":"1970-01-01T00:00:00Z","points":{points}}}]"#);
        TestStack::start(|config| {
            config.data_dir = Some(data.path().to_owned());
            config.time_zone = time_zone.to_owned();
            config.scoring_policy = policy.parse().expect("a policy");
        })
        .await
    };
    let today = async |stack: &TestStack| stack.whole_board("global", 10).await.heading.points;
    let stack = start("UTC", r#"{"a":1}"#).await;
    let kind =
        |id: &str, kind: &str| json!({"activity_id": id, "user_id": "ann", "program_id": "p", "kind": kind});
    stack.post_all(&[kind("1", "a")]).await;
    stack.wait_until_counted(1).await;
    stack.stop().await;

    // Another zone and other points for `a` wait; `b` is new and counts at once.
    let stack = start("Asia/Tokyo", r#"{"a":10,"b":100}"#).await;
    assert_eq!(stack.stack.pending_rules, ["time_zone", "scoring_policy"]);
    stack.post_all(&[kind("2", "a"), kind("3", "b")]).await;
    let status = stack.wait_until_counted(3).await.status;
    assert_eq!(status.counted.points, 102);
    assert_eq!(status.pending_rules, ["time_zone", "scoring_policy"]);
    assert_eq!(today(&stack).await, 102);
    let printed = run(&stack, &["rebuild", "status"], 0).await;
    assert!(
        printed.contains("time_zone, scoring_policy are configured differently"),
        "{printed}"
    );

    run(&stack, &["rebuild", "run"], 0).await;
    let by_new_rules = |status: &StatusDocument| status.status.counted.points == 120;
    let status = stack.wait_for("the new points", by_new_rules).await.status;
    assert_eq!(status.pending_rules, [] as [&str; 0]);
    stack.stop().await;
}

/// A data directory that the version before ledgers wrote: 60 counted activities and a published board, and 6
/// activities of eve that were accepted just before it stopped.
const WITHOUT_LEDGERS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/end_to_end/fixtures/counts-without-ledgers.tar.gz"
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counts_without_ledgers_stand_until_a_rebuild_replaces_them() {
    let data = tempfile::TempDir::new().expect("a temporary directory");
    let unpacked = std::process::Command::new("tar")
        .args(["-xzf", WITHOUT_LEDGERS, "-C"])
        .arg(data.path())
        .status();
    assert!(unpacked.expect("tar runs").success());
    let stack = TestStack::start(|config| config.data_dir = Some(data.path().to_owned())).await;

    assert!(stack.stack.has_former_counts);
    // What is posted now is accepted, the former board stands, and everything says what to do.
    stack.post_all(&[activity("ann", "new")]).await;
    let until = Instant::now() + PATIENCE;
    loop {
        let status = run(&stack, &["rebuild", "status"], 0).await;
        if status.contains("g2 is being built") {
            assert!(
                status.starts_with(
                    "g1 is live.\nIt was counted by an earlier version of Podium and stands still."
                ),
                "{status}"
            );
            break;
        }
        assert!(Instant::now() < until, "nothing is counted: {status}");
        sleep(POLL).await;
    }
    let board = stack.whole_board("global", 100).await;
    assert_eq!((board.heading.points, board.freshness.stale), (800, true));
    let refused = end(command(&stack, &["rebuild", "finish"])).await;
    assert_eq!(
        refused.stderr,
        "podium: g1 was counted by an earlier version of Podium and is no longer kept up to date; finish \
         `podium rebuild run` first\n"
    );

    let told = run(&stack, &["rebuild", "run"], 0).await;
    assert!(told.starts_with("Resuming g2 next to the live g1.\n"), "{told}");
    assert!(told.contains("g2 is live"), "{told}");
    assert!(told.contains("g1 is dropped"), "{told}");
    let status = stack.wait_until_counted(67).await;
    assert_eq!(status.status.counted.points, 800 + 6 * 10 + 10);
    let board = stack.whole_board("global", 100).await;
    let rows = board
        .entries
        .iter()
        .map(|row| format!("{}={}/{}", user_of(row), row.points, row.activities));
    assert_eq!(
        rows.collect::<Vec<_>>().join(" "),
        "ann=290/22 bob=185/13 dan=170/13 cy=165/13 eve=60/6"
    );
    assert_eq!(standings(&stack, 0..32).await, []);
    sleep(Duration::from_secs(3)).await;
    reconcile(&stack, &[], 0).await;
    stack.stop().await;
}

fn activity(user: &str, id: &str) -> Value {
    json!({"user_id": user, "activity_id": id, "program_id": "p", "kind": "task_completed"})
}

/// A stack with five counted activities of ann, and one more that was accepted but whose message was deleted
/// by mistake.
async fn stack_with_a_lost_activity() -> TestStack {
    let stack = TestStack::start(|_| {}).await;
    let counted: Vec<_> = (0..5).map(|n| activity("ann", &format!("a{n}"))).collect();
    stack.post_all(&counted).await;
    stack.wait_until_counted(5).await;
    stack.stack.aggregation().pause();
    // By then, messages received before are settled.
    sleep(Duration::from_secs(2)).await;
    stack.post_all(&[activity("ann", "lost")]).await;
    let until = Instant::now() + PATIENCE;
    while stack.stack.pipe().counters().sent < 6 {
        assert!(
            Instant::now() < until,
            "the pipe did not send within {PATIENCE:?}"
        );
        sleep(POLL).await;
    }
    sleep(Duration::from_millis(500)).await;
    stack.stack.queue.purge().expect("it is purged");
    stack.stack.aggregation().resume();
    stack
        .wait_for("heartbeats that came later", |status| {
            status.freshness.lag_seconds.is_some_and(|lag| lag < 3.0)
        })
        .await;
    sleep(Duration::from_secs(3)).await;
    stack
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_wrong_with_the_counts_is_found_told_and_repaired() {
    let stack = stack_with_a_lost_activity().await;
    // The sums of ann are wrong; a ghost has counts but no activity; bob has counts in the wrong shard.
    tamper(&stack, "g1#013", "ann p", adding(7)).await;
    tamper(&stack, "g1#003", "ghost p", adding(25)).await;
    tamper(&stack, "g1#031", "bob p", adding(5)).await;

    let found = reconcile(&stack, &[], 1).await;
    for line in [
        "6 activities of 1 user: 0 in flight, 0 that cannot be counted.",
        "completeness  broken: 1 not counted",
        "uniqueness    broken: 2 counted without an activity",
        "  standing of ghost in p: it has no activities",
        "  standing of bob in p: it is in the wrong shard g1#031",
        "agreement     broken: 1 different from the activities",
        "  standing of ann in p: all time 57/6 -> 50/5",
        "freshness     kept: ",
    ] {
        assert!(found.contains(line), "no {line:?} in\n{found}");
    }
    assert_eq!(
        audit(&stack).await,
        [""; 0],
        "nothing is changed without --repair"
    );

    let repaired = reconcile(&stack, &["--repair"], 0).await;
    assert!(
        repaired.contains("completeness  repaired: 1 not counted"),
        "{repaired}"
    );
    let records = audit(&stack).await;
    let anew = "written anew from the activities by podium reconcile --repair";
    assert_eq!(
        records,
        ["deleted, since it was in the wrong shard g1#031", anew, anew]
    );

    wait_until_shown(&stack, "ann alone with all her points", |rows| {
        rows.len() == 1 && rows[0].0.as_str() == "ann" && rows[0].1 == 60
    })
    .await;
    let status = stack.wait_until_counted(6).await;
    assert_eq!(status.status.counted.points, 60);
    sleep(Duration::from_secs(3)).await;
    let clean = reconcile(&stack, &[], 0).await;
    assert!(
        clean.contains("completeness  kept\nuniqueness    kept\nagreement     kept\n"),
        "{clean}"
    );
    assert_eq!(audit(&stack).await.len(), 3, "nothing is changed twice");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_done_to_the_generations_is_said() {
    let stack = TestStack::start(|_| {}).await;
    let refused = end(command(&stack, &["rebuild", "status"])).await.stderr;
    stack.post_all(&[activity("ann", "a")]).await;
    stack.wait_until_counted(1).await;
    assert!(
        refused.is_empty() || refused.contains("no aggregator has run there yet"),
        "{refused}"
    );
    for command in ["switch", "finish"] {
        let ended = end(self::command(&stack, &["rebuild", command])).await;
        assert_eq!(ended.code, Some(1));
        assert_eq!(
            ended.stderr,
            "podium: there is only the live generation; `podium rebuild run` builds another one\n"
        );
    }
    stack.stop().await;
}
