//! A running `podium local`, and the processes that it started.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use domain::BoardDocument;
use domain::documents::StatusDocument;
use jiff::Timestamp;
use reqwest::Client;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::{sleep, timeout};

use super::super::ready;
use super::command;
use crate::stack::http_client;
use crate::tables::render;

/// Far longer than any step takes, so that a test that waits for nothing still ends.
pub const PATIENCE: Duration = Duration::from_mins(4);
const POLL: Duration = Duration::from_millis(50);

pub struct LocalStack {
    pub program: Child,
    pub pid: u32,
    stdout: BufReader<ChildStdout>,
    pub url: String,
    pub aws_url: String,
    pub http: Client,
}

impl LocalStack {
    pub async fn start(data_dir: &Path) -> Self {
        Self::start_on("127.0.0.1", "127.0.0.1", data_dir, Stdio::null()).await
    }

    /// With the quests in a file.
    pub async fn with_quests(data_dir: &Path, quests: &Path) -> Self {
        let quests = ["--quests", quests.to_str().expect("a plain path")];
        Self::launch("127.0.0.1", "127.0.0.1", data_dir, &quests, Stdio::null()).await
    }

    /// Starts a stack that listens on `listen`, and checks that it names `reachable` as its address.
    pub async fn start_on(listen: &str, reachable: &str, data_dir: &Path, stderr: Stdio) -> Self {
        Self::launch(listen, reachable, data_dir, &[], stderr).await
    }

    async fn launch(listen: &str, reachable: &str, data_dir: &Path, more: &[&str], stderr: Stdio) -> Self {
        let data_dir = data_dir.to_str().expect("a plain path");
        let mut command = command(&[
            "--listen",
            listen,
            "--port",
            "0",
            "--aws-port",
            "0",
            "--snapshot-every",
            "1s",
            "--data-dir",
            data_dir,
        ]);
        command.args(more);
        let mut program = command.stderr(stderr).spawn().expect("podium runs");
        let pid = program.id().expect("it runs");
        let (ready, stdout) = ready(&mut program).await;
        assert_eq!(ready["pid"], pid);
        for part in ["web", "aws"] {
            let url = ready[part].as_str().expect("an address");
            assert!(url.starts_with(&format!("http://{reachable}:")), "{ready}");
        }
        assert!(
            ready["logs"]
                .as_str()
                .is_some_and(|logs| Path::new(logs).is_dir()),
            "{ready}"
        );
        Self {
            program,
            pid,
            stdout,
            url: ready["web"].as_str().expect("an address").to_owned(),
            aws_url: ready["aws"].as_str().expect("an address").to_owned(),
            http: http_client(),
        }
    }

    /// Posts activities. Returns the status of each.
    pub async fn post(&self, activities: &[Value]) -> Vec<String> {
        let request = self
            .http
            .post(format!("{}/v1/activities", self.url))
            .header("content-type", "application/json")
            .body(Value::from(activities).to_string());
        let response = request.send().await.expect("the stack answers");
        assert_eq!(response.status(), 202);
        let answer: Value = response.json().await.expect("results");
        let results = answer["results"].as_array().expect("results");
        results
            .iter()
            .map(|result| result["status"].as_str().expect("a status").to_owned())
            .collect()
    }

    pub async fn status(&self) -> Option<StatusDocument> {
        let response = self
            .http
            .get(format!("{}/v1/status", self.url))
            .send()
            .await
            .expect("the stack answers");
        if response.status() == 503 {
            return None;
        }
        Some(response.json().await.expect("a status document"))
    }

    /// Waits until this many are counted. Then waits for one more snapshot, to check that the number stays the
    /// same.
    pub async fn wait_until_counted(&self, activities: u64) {
        let mut quiet_since = None;
        let until = Instant::now() + PATIENCE;
        let mut last = None;
        while Instant::now() < until {
            if let Some(status) = self.status().await {
                let generated_at = status.freshness.generated_at;
                let is_quiet = status.status.counted.activities >= activities;
                match quiet_since {
                    Some(since) if generated_at > since => {
                        assert_eq!(status.status.counted.activities, activities, "{status:?}");
                        assert_eq!(status.status.dead_letters, 0);
                        return;
                    }
                    None if is_quiet => quiet_since = Some(generated_at.max(Timestamp::now())),
                    _ => {}
                }
                last = Some(status);
            }
            sleep(POLL).await;
        }
        panic!("{activities} were not counted within {PATIENCE:?}; the last status is {last:?}");
    }

    /// Waits until a user has so many coins.
    pub async fn wait_for_coins(&self, user: &str, count: usize) {
        let until = Instant::now() + PATIENCE;
        let mut last = Value::Null;
        while Instant::now() < until {
            let url = format!("{}/v1/users/{user}/coins", self.url);
            let response = self.http.get(url).send().await.expect("the stack answers");
            last = response.json().await.expect("JSON");
            if last["coins"].as_array().is_some_and(|coins| coins.len() == count) {
                return;
            }
            sleep(POLL).await;
        }
        panic!("{user} did not get {count} coins within {PATIENCE:?}: {last}");
    }

    pub async fn board(&self) -> String {
        let board = self
            .http
            .get(format!("{}/v1/boards/global", self.url))
            .send()
            .await;
        let board: BoardDocument = board.expect("it answers").json().await.expect("a board document");
        render(&board)
    }

    pub async fn interrupt(mut self) {
        let functions = children(self.pid).await;
        assert!(!functions.is_empty(), "there are functions");
        signal("INT", &self.pid.to_string()).await;
        let ended = timeout(PATIENCE, self.program.wait())
            .await
            .expect("it ends in time");
        assert_eq!(ended.expect("it ran").code(), Some(0));
        let left = still_there(&functions).await;
        assert!(left.is_empty(), "left behind: {left:?} of {functions:?}");
        let mut more = String::new();
        self.stdout.read_to_string(&mut more).await.expect("text");
        assert_eq!(more, "", "it prints one line");
    }

    /// Kills the program, which then cannot stop its functions.
    pub async fn kill(mut self) {
        let functions = children(self.pid).await;
        assert!(!functions.is_empty(), "there are functions");
        self.program.kill().await.expect("it is killed");
        let until = Instant::now() + PATIENCE;
        loop {
            let left = still_there(&functions).await;
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < until, "still there after {PATIENCE:?}: {left:?}");
            sleep(POLL).await;
        }
    }
}

pub async fn signal(signal: &str, to: &str) {
    let sent = Command::new("kill").args(["-s", signal, "--", to]).status().await;
    assert!(sent.expect("kill runs").success());
}

/// A running process. Zombies do not count.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Process {
    pid: u32,
    parent: u32,
    name: String,
}

async fn processes() -> Vec<Process> {
    let ps = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid=,stat=,comm="])
        .output()
        .await;
    let listed = String::from_utf8(ps.expect("ps runs").stdout).expect("text");
    let rows = listed
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| !row[2].starts_with('Z'))
        .map(|row| Process {
            pid: row[0].parse().expect("a pid"),
            parent: row[1].parse().expect("a pid"),
            name: row[3..].join(" "),
        })
        .collect()
}

async fn children(parent: u32) -> Vec<Process> {
    let mut processes = processes().await;
    processes.retain(|process| process.parent == parent);
    processes
}

/// The processes that still run, whatever their parent is now.
async fn still_there(functions: &[Process]) -> Vec<Process> {
    let mut processes = processes().await;
    processes.retain(|process| {
        functions
            .iter()
            .any(|function| (function.pid, &function.name) == (process.pid, &process.name))
    });
    processes
}
