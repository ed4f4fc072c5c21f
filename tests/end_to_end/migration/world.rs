//! Both systems and their clients while one migrates: processes of all of them are killed at random.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use domain::ScoringPolicy;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::cli::{podium, ready};
use crate::stack::TestStack;

pub const PREFIX: &str = "edl-test";

/// What `podium migrate plan` suggests.
const POLICY: &str = r#"[{"effective_from": "1970-01-01T00:00:00Z", "points": {
    "checkin": {"given": {"max": 25}}, "movement": {"given": {"max": 25}}, "steps": {"given": {"max": 25}}}}]"#;

/// Only so that a failing test ends.
pub const PATIENCE: Duration = Duration::from_mins(4);
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// One process is killed after each such time.
const KILL_EVERY_MS: std::ops::Range<u64> = 400..1_600;

/// Whose process can be killed.
#[derive(Clone, Copy)]
enum Victim {
    Function(&'static str),
    Legacy(&'static str),
    Stage(&'static str),
}

const VICTIMS: [Victim; 9] = [
    Victim::Function("ingest"),
    Victim::Function("aggregator"),
    Victim::Function("snapshot"),
    Victim::Function("serve"),
    Victim::Legacy("front"),
    Victim::Legacy("processor"),
    Victim::Legacy("rebuilder"),
    Victim::Stage("tail"),
    Victim::Stage("mirror"),
];

/// A stage that is to be killed is killed within this time. Most take longer.
const STAGE_KILLED_WITHIN_MS: u64 = 800;

pub struct World {
    pub test: TestStack,
    pub directory: TempDir,
    legacy: Child,
    front: String,
    /// The processes of the stages that run until they are stopped.
    followers: Mutex<BTreeMap<&'static str, u32>>,
    random: Mutex<StdRng>,
}

impl World {
    pub async fn start(seed: u64) -> Arc<Self> {
        let policy: ScoringPolicy = POLICY.parse().expect("a policy");
        let test = TestStack::start(|config| {
            config.scoring_policy = policy;
            config.legacy_answer = true;
        })
        .await;
        let directory = TempDir::new().expect("a directory");
        let args = [
            "legacy",
            "run",
            "--prefix",
            PREFIX,
            "--port",
            "0",
            "--rebuild-every",
            "1s",
        ];
        let mut command = command(&test, &directory, &args);
        command.args(["--crash-one-in", "30", "--seed", &seed.to_string()]);
        let mut legacy = command
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let (ready, _) = ready(&mut legacy).await;
        let world = Self {
            test,
            directory,
            legacy,
            front: ready["front"].as_str().expect("an address").to_owned(),
            followers: Mutex::default(),
            random: Mutex::new(StdRng::seed_from_u64(seed)),
        };
        world.send_to_legacy();
        Arc::new(world)
    }

    pub async fn stop(self: Arc<Self>) {
        let mut world = Arc::into_inner(self).expect("nobody else has it");
        world.legacy.kill().await.expect("it runs");
        world.test.stop().await;
    }

    pub fn command(&self, args: &[&str]) -> Command {
        command(&self.test, &self.directory, args)
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Changes where writers and readers go, at once.
    fn send(&self, format: &str, writes: String, reads: String) {
        let address = |url| json!({ "format": format, "url": url });
        let addresses = json!({ "writes": address(writes), "reads": address(reads) });
        std::fs::write(self.path("addresses.new"), addresses.to_string()).expect("a file");
        std::fs::rename(self.path("addresses.new"), self.path("addresses.json")).expect("a file");
    }

    pub fn send_to_legacy(&self) {
        let front = &self.front;
        self.send(
            "legacy",
            format!("{front}/activities"),
            format!("{front}/leaderboard"),
        );
    }

    pub fn send_to_podium(&self) {
        let web = &self.test.stack.web_url;
        self.send(
            "podium",
            format!("{web}/v1/activities"),
            format!("{web}/v1/legacy/leaderboard"),
        );
    }

    fn stage_command(&self, stage: &[&str]) -> Command {
        let mut command = self.command(&["migrate"]);
        command.args(stage).args(["--from", PREFIX]);
        if matches!(stage[0], "tail" | "backfill" | "shadow" | "cutover") {
            command.args(["--url", &self.test.stack.web_url]);
        }
        command
    }

    /// Runs a stage to its end, whatever it finds.
    pub async fn run(&self, stage: &[&str]) -> std::process::Output {
        let output = timeout(PATIENCE, self.stage_command(stage).output()).await;
        output.expect("it ends in time").expect("it runs")
    }

    /// Starts a stage and kills it.
    pub async fn kill(&self, stage: &[&str]) {
        let mut killed = self
            .stage_command(stage)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        sleep(self.within_ms(0..STAGE_KILLED_WITHIN_MS)).await;
        // It may have ended.
        let _ = killed.kill().await;
    }

    /// Kills a stage, and then runs it again until it succeeds.
    pub async fn kill_and_run(&self, stage: &[&str]) {
        self.kill(stage).await;
        let until = Instant::now() + PATIENCE;
        loop {
            let output = self.run(stage).await;
            if output.status.success() {
                return;
            }
            let said = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
            assert!(
                Instant::now() < until,
                "{stage:?}\n{}\n{}",
                said(&output.stdout),
                said(&output.stderr)
            );
            sleep(LOOK_EVERY).await;
        }
    }

    fn within_ms(&self, range: std::ops::Range<u64>) -> Duration {
        Duration::from_millis(locked(&self.random).random_range(range))
    }

    /// Starts a stage again whenever it was killed.
    async fn follow(self: Arc<Self>, stage: &'static str) {
        loop {
            let mut command = self.stage_command(&[stage]);
            let mut process = command
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("it starts");
            let id = process.id().expect("it runs");
            locked(&self.followers).insert(stage, id);
            process.wait().await.expect("it ends");
            sleep(LOOK_EVERY).await;
        }
    }

    /// Starts a stage that runs until it is stopped, and waits until it works.
    pub async fn start_following(self: &Arc<Self>, tasks: &mut JoinSet<()>, stage: &'static str) {
        tasks.spawn(Arc::clone(self).follow(stage));
        eventually(stage, async || self.state(stage)["covers_since"].is_string()).await;
    }

    /// What the file of a stage says.
    pub fn state(&self, stage: &str) -> Value {
        let text = std::fs::read(self.path(&format!("{PREFIX}.podium-{stage}.json"))).unwrap_or_default();
        serde_json::from_slice(&text).unwrap_or_default()
    }

    /// Kills one process after another, until it is aborted.
    pub async fn kill_at_random(self: Arc<Self>) {
        loop {
            sleep(self.within_ms(KILL_EVERY_MS)).await;
            let victim = *VICTIMS
                .choose(&mut *locked(&self.random))
                .expect("there are some");
            let process = match victim {
                Victim::Function(name) => {
                    self.test.stack.lambda.kill_one(name);
                    continue;
                }
                Victim::Legacy(name) => child(self.legacy.id().expect("it runs"), name).await,
                Victim::Stage(name) => locked(&self.followers).get(name).copied(),
            };
            if let Some(process) = process {
                signal("KILL", process).await;
            }
        }
    }
}

fn command(test: &TestStack, directory: &TempDir, args: &[&str]) -> Command {
    let mut command = podium();
    command
        .args(args)
        .current_dir(directory)
        .env("AWS_ENDPOINT_URL", &test.stack.aws_url)
        .env("AWS_REGION", "us-east-1")
        .env("AWS_ACCESS_KEY_ID", "any")
        .env("AWS_SECRET_ACCESS_KEY", "any");
    command
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sends a signal, unless the process has ended.
pub async fn signal(name: &str, process: u32) {
    let mut kill = Command::new("kill");
    kill.args(["-s", name, &process.to_string()])
        .stderr(Stdio::null());
    kill.status().await.expect("kill runs");
}

/// The process of a program that `podium legacy run` has started.
async fn child(parent: u32, program: &str) -> Option<u32> {
    let listed = Command::new("ps")
        .args(["-A", "-o", "pid=,ppid=,args="])
        .output()
        .await;
    let listed = String::from_utf8(listed.expect("ps runs").stdout).expect("text");
    listed.lines().find_map(|line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [id, of, _, "legacy", name, ..] = words[..] else {
            return None;
        };
        (of.parse() == Ok(parent) && name == program).then(|| id.parse().ok())?
    })
}

pub async fn eventually(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !is_so().await {
        assert!(Instant::now() < until, "{what}: not within {PATIENCE:?}");
        sleep(LOOK_EVERY).await;
    }
}
