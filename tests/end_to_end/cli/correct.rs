//! `podium correct`: real corrections lead to the boards that were computed independently. The files are named by
//! `PODIUM_TEST_CORRECTIONS` and `PODIUM_TEST_CORRECTED`; without them the test is skipped.

use std::fs;
use std::time::Duration;

use local::sqs::Faults;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::sleep;

use super::recovery::{reconcile, run as operate};
use super::{end, podium};
use crate::data_set::{Expected, check_boards, data_set};
use crate::stack::{TestStack, VISIBILITY_TIMEOUT};

/// Aggregator processes killed in one run.
const KILLS: usize = 15;

async fn run(stack: &TestStack, args: &[&str], code: i32) -> String {
    let mut command = podium();
    command.args(args).args(["--url", &stack.stack.web_url]);
    end(command).await.check(code)
}

/// What the command says when it fails.
async fn refused(stack: &TestStack, args: &[&str]) -> String {
    let mut command = podium();
    command.args(args).args(["--url", &stack.stack.web_url]);
    let ended = end(command).await;
    assert_eq!(ended.code, Some(1), "{}", ended.stdout);
    ended.stderr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn corrections_in_whatever_pieces_and_order_lead_to_the_expected_boards() {
    let (Some((activities, _)), Some(corrections), Some(expected)) = (
        data_set(),
        std::env::var_os("PODIUM_TEST_CORRECTIONS"),
        Expected::boards("PODIUM_TEST_CORRECTED"),
    ) else {
        return;
    };
    let stack = TestStack::start(|config| config.visibility_timeout = VISIBILITY_TIMEOUT).await;
    stack.stack.queue.set_faults(Faults {
        deliver_twice: true,
        shuffle: Some(7),
    });
    let directory = TempDir::new().expect("a directory");
    let text = fs::read_to_string(&corrections).expect("the corrections");
    let write = |name: &str, lines: Vec<&str>| {
        let file = directory.path().join(name);
        fs::write(&file, lines.join("\n")).expect("it is written");
        file.to_str().expect("a path").to_owned()
    };
    let is_void = |line: &&str| line.contains("\"voids\"");
    let adjustments = write(
        "adjustments.jsonl",
        text.lines().filter(|line| !is_void(line)).collect(),
    );
    let voids = write("voids.jsonl", text.lines().filter(is_void).collect());
    let all = write("all.jsonl", text.lines().rev().collect());
    // Adjustments may come before any activity of their person, voids may not.
    run(&stack, &["correct", "import", &adjustments], 0).await;
    let refused = run(&stack, &["correct", "import", &voids], 1).await;
    assert!(
        refused.contains("unknown_activity (voids): voids names an activity that"),
        "{refused}"
    );
    let kills = async {
        let mut kills = 0;
        while kills < KILLS {
            sleep(Duration::from_millis(rand::random_range(100..500))).await;
            kills += usize::from(stack.stack.lambda.kill_one("aggregator"));
        }
    };
    let posts = async {
        stack.post_all(&activities[..activities.len() / 2]).await;
        // Some of the activities are there by now.
        let mut command = podium();
        command.args(["correct", "import", &all, "--url", &stack.stack.web_url]);
        let mut killed = command.kill_on_drop(true).spawn().expect("it starts");
        sleep(Duration::from_millis(100)).await;
        killed.kill().await.expect("it is killed");
        stack.post_all(&activities).await;
        run(&stack, &["correct", "import", &all], 0).await;
    };
    tokio::join!(kills, posts);
    let again = run(&stack, &["correct", "import", &all], 0).await;
    assert!(again.starts_with("accepted             0"), "{again}");
    stack
        .wait_until_sums(expected.activities, expected.points())
        .await;
    check_boards(&stack, &expected).await;

    operate(&stack, &["rebuild", "run"], 0).await;
    stack
        .wait_until_sums(expected.activities, expected.points())
        .await;
    check_boards(&stack, &expected).await;
    let clean = reconcile(&stack, &[], 0).await;
    assert!(clean.contains("agreement     kept"), "{clean}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_activity_is_taken_out_and_points_are_added_by_command() {
    let stack = TestStack::start(|_| {}).await;
    let posted = json!([
        {"activity_id": "a1", "user_id": "ann", "program_id": "p", "kind": "task_completed"},
        {"activity_id": "a2", "user_id": "ann", "program_id": "p", "kind": "task_completed"},
    ]);
    stack.post_all(posted.as_array().expect("an array")).await;
    let reason = ["--reason", "entered twice"];
    let void = |activity: &'static str| [&["correct", "void", "ann", activity], &reason[..]].concat();
    let accepted = run(&stack, &void("a1"), 0).await;
    assert!(
        accepted.starts_with("Accepted as correction correct-"),
        "{accepted}"
    );
    let again = run(&stack, &void("a1"), 0).await;
    assert_eq!(
        again,
        "The activity had been taken out before. Nothing changed.\n"
    );
    let unknown = refused(&stack, &void("a9")).await;
    assert!(
        unknown.contains("names an activity that ann does not have"),
        "{unknown}"
    );
    let adjust = [
        "correct", "adjust", "ann", "p", "-15", "--id", "t-1", "--reason", "agreed",
    ];
    run(&stack, &adjust, 0).await;
    assert_eq!(
        run(&stack, &adjust, 0).await,
        "This correction had been made before. Nothing changed.\n"
    );
    let other = [
        "correct", "adjust", "ann", "p", "-16", "--id", "t-1", "--reason", "agreed",
    ];
    let conflict = refused(&stack, &other).await;
    assert!(conflict.contains("points differs"), "{conflict}");
    stack.wait_until_sums(1, -5).await;
    stack.stop().await;
}
