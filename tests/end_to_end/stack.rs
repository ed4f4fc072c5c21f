//! A local stack for one test, with the requests that tests make to it.

use std::ops::Range;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use domain::BoardDocument;
use domain::documents::StatusDocument;
use futures::StreamExt as _;
use futures::stream;
use jiff::Timestamp;
use local::{Stack, StackConfig};
use reqwest::{Client, Response};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Far longer than any step takes, so that a test that waits for nothing still ends.
const PATIENCE: Duration = Duration::from_secs(240);
/// For tests in which the aggregator is killed or stopped: its messages are delivered again soon.
pub const VISIBILITY_TIMEOUT: Duration = Duration::from_secs(3);
const POSTS_AT_ONCE: usize = 8;
const BATCH: usize = 100;

pub struct TestStack {
    pub stack: Stack,
    pub http: Client,
    logs: TempDir,
}

/// The directory of the function binaries: two levels above the running test.
pub fn bin_dir() -> PathBuf {
    let test = std::env::current_exe().expect("the running test has a path");
    let directory = test
        .ancestors()
        .nth(2)
        .expect("cargo runs tests in target/PROFILE/deps")
        .to_owned();
    let functions = [
        "ingest",
        "aggregator",
        "rewards",
        "notifier",
        "bridge",
        "snapshot",
        "serve",
        "directory",
        "podium",
    ];
    let missing: Vec<_> = functions
        .into_iter()
        .filter(|name| {
            !directory
                .join(format!("{name}{}", std::env::consts::EXE_SUFFIX))
                .exists()
        })
        .collect();
    assert!(
        missing.is_empty(),
        "not built: {missing:?}; run `cargo build --workspace --bins` first"
    );
    directory
}

pub fn http_client() -> Client {
    // Fails if another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder()
        .tcp_nodelay(true)
        .build()
        .expect("the client's settings are valid")
}

/// Tasks completed by `users` users in turn, one activity for each number.
pub fn tasks(numbers: Range<usize>, users: usize) -> Vec<Value> {
    let task = |number| {
        json!({
            "activity_id": format!("a{number}"),
            "user_id": format!("user-{}", number % users),
            "program_id": "wellness",
            "kind": "task_completed",
        })
    };
    numbers.map(task).collect()
}

/// Waits until something holds.
pub async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "{what}: not seen within {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

impl TestStack {
    /// Starts a stack on free ports that keeps no data and publishes a snapshot every second.
    pub async fn start(change: impl FnOnce(&mut StackConfig)) -> Self {
        let logs = TempDir::new().expect("a temporary directory");
        let mut config = StackConfig {
            port: 0,
            aws_port: 0,
            log_dir: Some(logs.path().to_owned()),
            bin_dir: bin_dir(),
            snapshot_every: Duration::from_secs(1),
            ..StackConfig::new().expect("the test has a path")
        };
        change(&mut config);
        let stack = Stack::start(config).await.expect("the stack starts");
        Self {
            stack,
            http: http_client(),
            logs,
        }
    }

    pub async fn stop(self) {
        // An open connection would delay the stack's shutdown.
        drop(self.http);
        self.stack.stop().await.expect("the stack stops");
        drop(self.logs);
    }

    /// Posts activities in full batches until each is accepted. Like a client, it retries refused requests.
    pub async fn post_all(&self, activities: &[Value]) {
        let posts = activities.chunks(BATCH).map(|batch| self.post_until_taken(batch));
        let posts: Vec<_> = posts.collect();
        stream::iter(posts)
            .buffer_unordered(POSTS_AT_ONCE)
            .collect::<Vec<()>>()
            .await;
    }

    async fn post_until_taken(&self, batch: &[Value]) {
        let until = Instant::now() + PATIENCE;
        loop {
            let response = self.post(&Value::from(batch.to_vec()).to_string()).await;
            match response.status().as_u16() {
                202 => return,
                429 | 502 | 503 => assert!(Instant::now() < until, "not taken for {PATIENCE:?}"),
                _ => panic!(
                    "{} {}",
                    response.status(),
                    response.text().await.unwrap_or_default()
                ),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    pub async fn post(&self, body: &str) -> Response {
        self.http
            .post(format!("{}/v1/activities", self.stack.web_url))
            .header("content-type", "application/json")
            .body(body.to_owned())
            .send()
            .await
            .expect("the stack answers")
    }

    pub async fn get(&self, path: &str) -> Response {
        self.http
            .get(format!("{}{path}", self.stack.web_url))
            .send()
            .await
            .expect("the stack answers")
    }

    pub async fn status(&self) -> Option<StatusDocument> {
        let response = self.get("/v1/status").await;
        if response.status() == 503 {
            return None;
        }
        Some(response.json().await.expect("a status document"))
    }

    /// Waits for a snapshot that began after this call and meets the condition, as long as counting goes on.
    pub async fn wait_for(&self, what: &str, is_met: impl Fn(&StatusDocument) -> bool) -> StatusDocument {
        let (asked, mut until) = (Timestamp::now(), Instant::now() + PATIENCE);
        let mut last: Option<StatusDocument> = None;
        while Instant::now() < until {
            if let Some(status) = self.status().await {
                if status.freshness.generated_at > asked && is_met(&status) {
                    return status;
                }
                if last.is_some_and(|last| last.status.counted != status.status.counted) {
                    until = Instant::now() + PATIENCE;
                }
                last = Some(status);
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what}: not seen within {PATIENCE:?}; the last status is {last:?}");
    }

    /// Waits until this many activities are counted. Then waits for two more snapshots, to check that the
    /// number stays the same.
    pub async fn wait_until_counted(&self, activities: u64) -> StatusDocument {
        self.wait_for(&format!("{activities} counted activities"), |status| {
            status.status.counted.activities >= activities
        })
        .await;
        self.wait_for("another snapshot", |_| true).await;
        let last = self.wait_for("yet another snapshot", |_| true).await;
        assert_eq!(last.status.counted.activities, activities);
        last
    }

    /// Waits until the standings come to these sums, and stay so for two more snapshots.
    pub async fn wait_until_sums(&self, activities: u64, points: i64) {
        let sums = |status: &StatusDocument| (status.status.counted.activities, status.status.counted.points);
        let expected = (activities, points);
        self.wait_for(&format!("the sums {expected:?}"), |status| {
            sums(status) == expected
        })
        .await;
        self.wait_for("another snapshot", |_| true).await;
        let last = self.wait_for("yet another snapshot", |_| true).await;
        assert_eq!(sums(&last), expected);
    }

    /// All listed entries of a board, page by page.
    pub async fn whole_board(&self, board: &str, limit: usize) -> BoardDocument {
        let first = format!("/v1/boards/{board}?limit={limit}");
        let mut whole: BoardDocument = self.get(&first).await.json().await.expect("a board document");
        while let Some(cursor) = whole.next_cursor.take() {
            let next: BoardDocument = self
                .get(&format!("{first}&cursor={cursor}"))
                .await
                .json()
                .await
                .expect("a board document");
            assert_eq!(
                next.heading, whole.heading,
                "a cursor stays within its generation"
            );
            whole.entries.extend(next.entries);
            whole.next_cursor = next.next_cursor;
        }
        whole
    }
}
