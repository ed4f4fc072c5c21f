//! The system that Podium replaces, as processes that crash and are killed.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::process::Child;

use local::dynamodb::DynamoDb;
use local::sqs::Sqs;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use super::*;

/// An endpoint with empty tables.
struct Aws {
    runtime: Runtime,
    url: String,
}

impl Aws {
    fn start() -> Self {
        client::install_tls();
        let runtime = Runtime::new().expect("a runtime");
        let listener = runtime
            .block_on(TcpListener::bind("127.0.0.1:0"))
            .expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let dynamodb = DynamoDb::open(None).expect("a database");
        let sqs = Sqs::new(url.clone(), None).expect("queues");
        runtime.spawn(local::endpoint::serve(
            listener,
            dynamodb,
            sqs,
            std::future::pending(),
        ));
        Self { runtime, url }
    }

    fn get(&self, url: &str) -> Value {
        let get = async { reqwest::get(url).await?.error_for_status()?.json().await };
        self.runtime.block_on(get).expect("a document")
    }

    fn post(&self, legacy: &Legacy, employee: &str, event_id: &str, points: u32) {
        let activity = json!({
            "employee_id": employee,
            "program_id": "wellness",
            "activity_type": "steps",
            "points": points,
            "event_id": event_id,
        });
        let post = reqwest::Client::new()
            .post(format!("{}/activities", legacy.front))
            .body(activity.to_string());
        let posted = self.runtime.block_on(post.send()).expect("an answer");
        assert_eq!(posted.status(), 201, "{activity}");
    }
}

/// `podium legacy run`, until it is dropped.
struct Legacy {
    process: Child,
    front: String,
}

impl Legacy {
    fn start(aws: &Aws, more: &[&str]) -> Self {
        let args = [
            "legacy",
            "run",
            "--prefix",
            "edl-test",
            "--port",
            "0",
            "--rebuild-every",
            "100ms",
        ];
        let mut process = podium(&[&args[..], more].concat(), "")
            .env("AWS_ENDPOINT_URL", &aws.url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "any")
            .env("AWS_SECRET_ACCESS_KEY", "any")
            .stderr(Stdio::null())
            .spawn()
            .expect("podium runs");
        let mut line = String::new();
        let mut stdout = BufReader::new(process.stdout.take().expect("it is piped"));
        stdout.read_line(&mut line).expect("its first line");
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not ready: {line:?}"));
        let front = ready["front"].as_str().expect("an address").to_owned();
        Self { process, front }
    }

    /// The processes of its programs by their names.
    fn programs(&self) -> BTreeMap<String, u32> {
        let listed = Command::new("ps")
            .args(["-A", "-o", "pid=,ppid=,args="])
            .output()
            .expect("ps runs");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        let program = |line: &str| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_child = words.get(1)?.parse() == Ok(self.process.id());
            is_child.then_some((words.get(4)?.to_string(), words[0].parse().ok()?))
        };
        listed.lines().filter_map(program).collect()
    }
}

impl Drop for Legacy {
    fn drop(&mut self) {
        // Its programs notice that it has ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn signal(name: &str, process: u32) {
    let sent = Command::new("kill")
        .args(["-s", name, &process.to_string()])
        .status();
    assert!(sent.expect("kill runs").success());
}

fn is_running(process: u32) -> bool {
    let asked = Command::new("kill")
        .args(["-s", "0", &process.to_string()])
        .stderr(Stdio::null())
        .status();
    asked.expect("kill runs").success()
}

/// The rows of the leaderboard that these activities should give.
fn top(activities: &[Value]) -> Vec<Value> {
    let mut totals: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for activity in activities {
        let user = activity["user_id"].as_str().expect("an id");
        let (points, completed) = totals.entry(user).or_default();
        *points += activity["points"].as_i64().expect("points");
        *completed += 1;
    }
    let mut totals: Vec<_> = totals.into_iter().collect();
    totals.sort_by_key(|(user, counts)| (Reverse(*counts), *user));
    let rows = (1..).zip(totals).take(20).map(|(rank, (user, (points, completed)))| {
        json!({ "rank": rank, "employee_id": user, "total_points": points, "total_completed": completed })
    });
    rows.collect()
}

#[test]
fn clients_reach_programs_that_are_killed() {
    let aws = Aws::start();
    let legacy = Legacy::start(&aws, &[]);
    let directory = tempfile::tempdir().expect("a directory");
    let (addresses, facts) = (
        directory.path().join("addresses.json"),
        directory.path().join("facts.jsonl"),
    );
    let address = |path| json!({ "format": "legacy", "url": format!("{}/{path}", legacy.front) });
    let both = json!({ "writes": address("activities"), "reads": address("leaderboard") });
    fs::write(&addresses, both.to_string()).expect("a file");
    let args = [
        "legacy",
        "clients",
        "--addresses",
        text(&addresses),
        "--facts",
        text(&facts),
        "--json",
    ];
    let clients = podium(
        &[&args[..], &["--writes", "50", "--reads", "20", "--for", "2s"]].concat(),
        "",
    )
    .spawn();
    let clients = clients.expect("podium runs");

    let acknowledged = || {
        let lines = fs::read_to_string(&facts).unwrap_or_default();
        let lines = lines
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"));
        lines.collect::<Vec<Value>>()
    };
    let kill = |name: &str| {
        let killed = legacy.programs()[name];
        signal("KILL", killed);
        wait_until(|| {
            legacy
                .programs()
                .get(name)
                .is_some_and(|process| *process != killed)
        });
    };
    wait_until(|| acknowledged().len() > 10);
    kill("front");
    kill("rebuilder");
    let ended: Run = clients.wait_with_output().expect("it ends").into();
    let figures: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    // How late they were depends on the machine.
    for (requests, sent) in [("writes", 100), ("reads", 40)] {
        let figures = &figures[requests];
        assert_eq!(
            (&figures["sent"], &figures["answered"]),
            (&json!(sent), &json!(sent)),
            "{}",
            ended.stderr
        );
    }
    let leaderboard = || aws.get(&format!("{}/leaderboard", legacy.front))["top"].clone();
    wait_until(|| leaderboard() == json!(top(&acknowledged())));

    // A kill of a processor that has nothing to do loses nothing.
    kill("processor");
    let mut activities = acknowledged();
    for event in 0..20 {
        aws.post(&legacy, "zoe", &format!("event-{event}"), 25);
        activities.push(json!({ "user_id": "zoe", "points": 25 }));
    }
    wait_until(|| leaderboard() == json!(top(&activities)));
}

#[test]
fn a_processor_that_crashes_counts_wrong() {
    let aws = Aws::start();
    let legacy = Legacy::start(&aws, &["--seed", "7", "--crash-one-in", "8"]);
    for event in 0..60 {
        let employee = format!("employee-{}", event % 3);
        aws.post(&legacy, &employee, &format!("event-{event}"), 1 + event % 25);
    }
    let row = |rank, employee, points, completed| json!({ "rank": rank, "employee_id": employee, "total_points": points, "total_completed": completed });
    // Without crashes, they have 240, 235 and 230 points, and 20 activities each.
    let expected = json!([
        row(1, "employee-1", 258, 21),
        row(2, "employee-0", 257, 20),
        row(3, "employee-2", 230, 20),
    ]);
    let leaderboard = || aws.get(&format!("{}/leaderboard", legacy.front))["top"].clone();
    wait_until(|| leaderboard() == expected);
}

#[test]
fn its_programs_end_with_it() {
    let aws = Aws::start();
    for (name, code) in [("TERM", Some(0)), ("INT", Some(0)), ("KILL", None)] {
        let mut legacy = Legacy::start(&aws, &[]);
        wait_until(|| legacy.programs().len() == 3);
        let programs = legacy.programs();
        signal(name, legacy.process.id());
        assert_eq!(legacy.process.wait().expect("it ends").code(), code, "{name}");
        wait_until(|| !programs.values().any(|process| is_running(*process)));
    }
}
