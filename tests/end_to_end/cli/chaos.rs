//! `podium chaos`: its verdict holds, and it ends.

use serde_json::Value;

use super::{podium, text};

/// Runs it with so many activities and returns its verdict. Nothing may be lost or counted twice. One activity in
/// twenty is taken out by a void, and one in fifty gets an adjustment besides.
async fn survive(activities: u64, args: &[&str]) -> Value {
    let mut command = podium();
    command.args(["chaos", "--json", "--activities", &activities.to_string()]);
    command.args(args);
    let output = command.output().await.expect("podium runs");
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert_eq!(
        output.status.code(),
        Some(0),
        "podium {args:?}\n{stdout}\n{stderr}"
    );
    let verdict: Value = serde_json::from_str(&stdout).expect("JSON");
    for row in ["lost", "double", "dead_letters", "boards_torn"] {
        assert_eq!(verdict[row], 0, "{verdict}");
    }
    let voids = activities / 20;
    // Two people are erased and come back with 80 activities each.
    assert_eq!(verdict["erased"], 2, "{verdict}");
    assert_eq!(verdict["counted"], activities - voids + 2 * 80, "{verdict}");
    assert_eq!(
        verdict["accepted"],
        activities + voids + activities / 50,
        "{verdict}"
    );
    verdict
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_all_faults_nothing_is_lost_and_nothing_counted_twice() {
    let verdict = survive(2_000, &["--seed", "1"]).await;
    let faults = verdict["faults"].as_object().expect("faults");
    assert_eq!(faults.len(), 18, "{verdict}");
    // A short load makes too few calls to meet every kind of fault.
    let injected = |names: &[&str]| -> u64 {
        let counts = names.iter().map(|name| faults[*name].as_u64().expect("a number"));
        counts.sum()
    };
    let of_calls = ["throttle", "server-error", "cut-before", "cut-after"];
    assert!(injected(&of_calls) > 0, "{verdict}");
    let of_messages = [
        "deliver-twice",
        "deliver-late",
        "lose-acknowledgement",
        "pipe-reread",
        "pipe-restart",
        "reorder",
    ];
    assert!(injected(&of_messages) > 0, "{verdict}");
    // A third was sent twice, and refused requests were sent again.
    let duplicates = verdict["duplicates_refused"].as_u64().expect("a number");
    assert!(duplicates >= 2_000 / 3, "{verdict}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn as_many_processes_are_killed_as_are_asked_for() {
    let args = ["--seed", "8", "--faults", "none", "--kills", "40"];
    let verdict = survive(3_000, &args).await;
    let killed = verdict["processes_killed"].as_u64().expect("a number");
    assert!(killed >= 40, "{verdict}");
    assert_eq!(verdict["faults"], serde_json::json!({}));
}
