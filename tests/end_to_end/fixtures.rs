//! The fixtures of the dashboard's tests are the documents that the functions serve.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::tables::Functions;

const NOW: &str = "2026-11-21T09:31:10Z";

/// Each fixture's name, and the path that serves it.
const FIXTURES: [(&str, &str); 11] = [
    ("boards", "/v1/boards?window=week"),
    ("board", "/v1/boards/global?window=week&limit=100"),
    ("empty", "/v1/boards/program:onboarding?window=day"),
    ("history", "/v1/boards/global/history?window=week"),
    ("search", "/v1/boards/global/users?window=week&search=AN"),
    ("user", "/v1/boards/global/users/ann.lee?window=week&around=2"),
    ("user_not_on_board", "/v1/boards/global/users/nobody?window=week"),
    (
        "user_in_other_case",
        "/v1/boards/global/users/ANN.LEE?window=week",
    ),
    ("board_in_other_case", "/v1/boards/program:Onboarding?window=week"),
    ("status", "/v1/status"),
    ("policy", "/v1/policy"),
];

fn time(at: &str) -> Timestamp {
    at.parse().expect("a time")
}

/// Three snapshots of a week with ties, a newcomer, and a user who loses places.
async fn story() -> Functions {
    let mut functions = Functions::start("Europe/Berlin").await;
    let mut id = 0;
    let mut activities = |activities: &[(&str, &str, &str)]| {
        let activities = activities.iter().map(|(user, program, kind)| {
            id += 1;
            json!({"activity_id": id.to_string(), "user_id": user, "program_id": program, "kind": kind, "occurred_at": "2026-11-20T08:00:00Z"})
        });
        activities.collect::<Vec<_>>()
    };
    let minutes = [
        activities(&[
            ("ann.lee", "onboarding", "learning_milestone"),
            ("bob", "onboarding", "task_completed"),
            ("cy@example.com", "wellness", "program_check_in"),
            ("dee-ann", "wellness", "program_check_in"),
            ("-eve", "security", "task_completed"),
        ]),
        activities(&[
            ("bob", "onboarding", "task_completed"),
            ("bob", "security", "program_check_in"),
        ]),
        activities(&[
            ("bob", "security", "learning_milestone"),
            ("finn", "security", "task_completed"),
        ]),
    ];
    for (minute, activities) in (28..).zip(minutes) {
        for activity in &activities {
            functions
                .post(activity, time(&format!("2026-11-21T09:{minute}:10Z")))
                .await;
        }
        functions
            .count(time(&format!("2026-11-21T09:{minute}:11.5Z")))
            .await;
        functions
            .publish(time(&format!("2026-11-21T09:{}:00Z", minute + 1)))
            .await;
    }
    functions
}

#[tokio::test]
async fn fixtures_of_the_dashboard_are_what_is_served() {
    let functions = Box::pin(story()).await;
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboard/fixtures");
    for (name, path) in FIXTURES {
        let response = functions.get(path, time(NOW)).await;
        let mut served: Value = serde_json::from_slice(response.body()).expect("JSON");
        if let Some(seconds) = served.get_mut("snapshot_seconds") {
            // The duration of a snapshot is the only value that does not come from the test's clock.
            *seconds = 0.2.into();
        }
        let file = directory.join(format!("{name}.json"));
        if std::env::var_os("PODIUM_WRITE_FIXTURES").is_some() {
            let json = serde_json::to_string_pretty(&served).expect("JSON");
            std::fs::create_dir_all(&directory).expect("the directory of the fixtures");
            std::fs::write(&file, json + "\n").expect("the fixture is written");
        }
        let fixture = std::fs::read_to_string(&file).expect("there is such a fixture");
        let fixture: Value = serde_json::from_str(&fixture).expect("JSON");
        assert_eq!(
            fixture, served,
            "{name}.json differs from the answer of {path}; run the test with PODIUM_WRITE_FIXTURES=1 to update it"
        );
    }
}
