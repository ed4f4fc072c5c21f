//! `podium local`: it keeps its data and leaves no processes behind.

mod program;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use self::program::{LocalStack, PATIENCE, signal};
use super::{end, podium, ready};
use crate::stack::{TestStack, bin_dir, http_client};

const BATCH: u64 = 100;

fn command(args: &[&str]) -> Command {
    let mut command = podium();
    command.arg("local").args(args).stdout(Stdio::piped());
    command
}

/// What a stack that does not start prints on standard error. It must not say that it is ready.
async fn refused(command: Command, code: i32) -> String {
    let ended = timeout(PATIENCE, end(command)).await.expect("it ends in time");
    assert_eq!(ended.code, Some(code), "{}", ended.stderr);
    assert_eq!(ended.stdout, "", "it does not say that it is ready");
    ended.stderr
}

/// What other users of the machine could read or enter below this directory. Sockets and files of every kind
/// count.
#[cfg(unix)]
fn open_to_others(directory: &Path) -> Vec<PathBuf> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut open = Vec::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            // The stack replaces files while this looks at them.
            let Ok(metadata) = path.symlink_metadata() else {
                continue;
            };
            if metadata.permissions().mode() & 0o077 != 0 {
                open.push(path.clone());
            }
            if metadata.is_dir() {
                directories.push(path);
            }
        }
    }
    open
}

fn activities(numbers: std::ops::Range<u64>) -> Vec<Value> {
    let activity = |number| {
        json!({
            "activity_id": format!("a{number}"),
            "user_id": format!("user-{}", number % 3),
            "program_id": format!("program-{}", number % 2),
            "kind": "task_completed",
        })
    };
    numbers.map(activity).collect()
}

fn all(status: &str, count: u64) -> Vec<String> {
    (0..count).map(|_| status.to_owned()).collect()
}

/// The coins come without any further activity: after a start without quests, and after one with fewer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_quest_gives_its_coins_for_activities_of_before() {
    let directory = TempDir::new().expect("a directory");
    let stack = LocalStack::start(directory.path()).await;
    assert_eq!(stack.post(&activities(0..9)).await, all("accepted", 9));
    stack.wait_until_counted(9).await;
    stack.interrupt().await;

    let quest = |id: &str, at_least: u32| {
        json!({"id": id, "version": 1, "title": "Tasks", "coin": {"name": "Amber", "value": 1}, "per": "once",
            "rule": {"count": {"of": {"kind": "task_completed"}, "at_least": at_least}}})
    };
    let file = directory.path().join("quests.json");
    for quests in [vec![quest("three", 3)], vec![quest("three", 3), quest("two", 2)]] {
        std::fs::write(&file, Value::from(quests.clone()).to_string()).expect("it is written");
        let stack = LocalStack::with_quests(directory.path(), &file).await;
        for user in ["user-0", "user-1", "user-2"] {
            stack.wait_for_coins(user, quests.len()).await;
        }
        stack.interrupt().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn interrupted_it_leaves_no_process_and_goes_on_with_its_data() {
    let directory = TempDir::new().expect("a directory");
    let stack = LocalStack::start(directory.path()).await;
    assert_eq!(stack.post(&activities(0..40)).await, all("accepted", 40));
    stack.wait_until_counted(40).await;
    let board = stack.board().await;
    assert_eq!(board, "1.user-0=140/14 2.user-1=130/13 2.user-2=130/13");
    let open = open_to_others(directory.path());
    assert!(open.is_empty(), "open to other users: {open:?}");
    // A second stack on the same data would count the same messages.
    let data_dir = directory.path().to_str().expect("a plain path");
    let stderr = refused(
        command(&["--port", "0", "--aws-port", "0", "--data-dir", data_dir]),
        1,
    )
    .await;
    let expected = format!(
        "the data directory {data_dir} is in use by process {}; ",
        stack.pid
    );
    assert!(stderr.contains(&expected), "{stderr}");
    stack.interrupt().await;

    let stack = LocalStack::start(directory.path()).await;
    stack.wait_until_counted(40).await;
    assert_eq!(stack.board().await, board);
    assert_eq!(stack.post(&activities(0..40)).await, all("duplicate", 40));
    assert_eq!(stack.post(&activities(40..41)).await, all("accepted", 1));
    stack.wait_until_counted(41).await;
    assert_eq!(
        stack.board().await,
        "1.user-0=140/14 1.user-1=140/14 3.user-2=130/13"
    );
    stack.interrupt().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_counts_all_that_was_accepted_exactly_once() {
    let directory = TempDir::new().expect("a directory");
    // Before the messages are received, while they are received, and while they are counted.
    let moments = [0, 300, 1_000, 1_100].map(Duration::from_millis);
    let mut posted = 0;
    for moment in moments {
        let stack = LocalStack::start(directory.path()).await;
        for _ in 0..3 {
            let batch = activities(posted..posted + BATCH);
            assert_eq!(stack.post(&batch).await, all("accepted", BATCH));
            posted += BATCH;
        }
        sleep(moment).await;
        stack.kill().await;
    }
    let stack = LocalStack::start(directory.path()).await;
    stack.wait_until_counted(posted).await;
    assert_eq!(
        stack.board().await,
        "1.user-0=4000/400 1.user-1=4000/400 1.user-2=4000/400"
    );
    assert_eq!(stack.post(&activities(0..BATCH)).await, all("duplicate", BATCH));
    stack.wait_until_counted(posted).await;
    stack.interrupt().await;
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_answers_to_allowed_hosts_scores_by_a_file_and_removes_its_logs() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = TempDir::new().expect("a directory");
    let policy = directory.path().join("policy.json");
    let json = r#"[{"effective_from": "1970-01-01T00:00:00Z", "points": {"mentoring": 7}}]"#;
    std::fs::write(&policy, json).expect("it is written");
    let policy = policy.to_str().expect("a plain path");
    let mut command = command(&[
        "--port",
        "0",
        "--aws-port",
        "0",
        "--snapshot-every",
        "1s",
        "--scoring",
        policy,
        "--allowed-host",
        "board.example",
    ]);
    // With a predictable name, someone else could have made it.
    let mut program = command
        .env("TMPDIR", directory.path())
        .spawn()
        .expect("podium runs");
    let (ready, _stdout) = ready(&mut program).await;
    let logs = PathBuf::from(ready["logs"].as_str().expect("a path"));
    assert!(logs.starts_with(directory.path()), "{ready}");
    let mode = logs.metadata().expect("it exists").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    let predictable = format!("podium-logs-{}", ready["pid"]);
    assert!(!logs.ends_with(predictable), "{ready}");

    let http = http_client();
    let url = format!("{}/v1/activities", ready["web"].as_str().expect("an address"));
    let post = async |host: &str, kind: &str| {
        let activity = json!({ "user_id": "ann", "program_id": "p", "kind": kind });
        let request = http
            .post(&url)
            .header("host", host)
            .header("content-type", "application/json")
            .body(activity.to_string());
        request.send().await.expect("the stack answers")
    };
    assert_eq!(post("board.example:7000", "mentoring").await.status(), 202);
    assert_eq!(post("localhost", "task_completed").await.status(), 422);
    let foreign = post("other.example", "mentoring").await;
    assert_eq!(foreign.status(), 421);
    let foreign: Value = foreign.json().await.expect("a problem document");
    assert_eq!(foreign["code"], "foreign_host");

    signal("INT", &program.id().expect("it runs").to_string()).await;
    let ended = timeout(PATIENCE, program.wait()).await.expect("it ends in time");
    assert_eq!(ended.expect("it ran").code(), Some(0));
    assert!(!logs.exists(), "{} stays", logs.display());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_that_is_taken_is_said() {
    let other = TestStack::start(|_| {}).await;
    let port = |url: &str| url.rsplit(':').next().expect("a port").to_owned();
    let (web, aws) = (port(&other.stack.web_url), port(&other.stack.aws_url));
    for (ports, taken) in [([&web, "0"], &web), (["0", &aws], &aws)] {
        let stderr = refused(command(&["--port", ports[0], "--aws-port", ports[1]]), 1).await;
        let expected = format!("podium: cannot listen on 127.0.0.1:{taken}: ");
        assert!(stderr.starts_with(&expected), "{stderr}");
        let hint = "; is another stack running? Choose other ports with --port and --aws-port\n";
        assert!(stderr.ends_with(hint), "{stderr}");
    }
    other.stop().await;
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_listens_on_the_address_that_is_asked_for() {
    let directory = TempDir::new().expect("a directory");
    let data_dir = directory.path();
    let stack = LocalStack::start_on("127.0.0.2", "127.0.0.2", data_dir, Stdio::null()).await;
    assert_eq!(stack.post(&activities(0..4)).await, all("accepted", 4));
    stack.wait_until_counted(4).await;
    let about = stack.http.get(&stack.aws_url).send().await.expect("it answers");
    assert_eq!(about.status(), 200);
    // Another stack may have the same port at 127.0.0.1, but only this one could listen on all addresses.
    let sockets = std::fs::read_to_string("/proc/net/tcp").expect("the kernel lists sockets");
    for url in [&stack.url, &stack.aws_url] {
        let port: u16 = url
            .rsplit(':')
            .next()
            .and_then(|port| port.parse().ok())
            .expect("a port");
        let is_listening =
            |address: &str| sockets.contains(&format!("{address}:{port:04X} 00000000:0000 0A"));
        assert!(
            is_listening("0200007F") && !is_listening("00000000"),
            "{url} in\n{sockets}"
        );
    }
    stack.interrupt().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beyond_loopback_it_warns_that_there_is_no_login() {
    let directory = TempDir::new().expect("a directory");
    let data_dir = directory.path();
    let mut stack = LocalStack::start_on("0.0.0.0", "127.0.0.1", data_dir, Stdio::piped()).await;
    let mut stderr = stack.program.stderr.take().expect("it is piped");
    assert_eq!(stack.post(&activities(0..4)).await, all("accepted", 4));
    stack.wait_until_counted(4).await;
    stack.interrupt().await;
    let mut printed = String::new();
    stderr.read_to_string(&mut printed).await.expect("text");
    assert!(
        printed.contains("Warning: listening on 0.0.0.0. There is no login: everyone who can reach"),
        "{printed}"
    );
}

#[tokio::test]
async fn a_wrong_address_is_refused_with_the_option() {
    let stderr = refused(command(&["--listen", "nowhere"]), 2).await;
    assert!(stderr.contains("'nowhere' for '--listen <ADDRESS>'"), "{stderr}");
    // Reserved for documentation, so this machine does not have it.
    let stderr = refused(
        command(&["--listen", "203.0.113.77", "--port", "0", "--aws-port", "0"]),
        1,
    )
    .await;
    assert!(
        stderr.starts_with("podium: cannot listen on 203.0.113.77:0: "),
        "{stderr}"
    );
    assert!(
        stderr.ends_with("; choose an address of this machine with --listen\n"),
        "{stderr}"
    );
}

#[tokio::test]
async fn a_login_that_cannot_be_is_refused_with_the_option() {
    let login = |more: &[&'static str]| [&["--oidc-issuer", "https://id.example.com"], more].concat();
    for (arguments, expected) in [
        (login(&[]), "--oidc-audience"),
        (
            vec!["--oidc-issuer", "http://id.example.com", "--oidc-audience", "a"],
            "must be an https address",
        ),
        (vec!["--oidc-audience", "a"], "--oidc-issuer"),
        (vec!["--readers", "login"], "--oidc-issuer"),
        (vec!["--self-reporting"], "--oidc-issuer"),
        (
            login(&["--oidc-audience", "a", "--readers", "all"]),
            r#"must be "public" or "login""#,
        ),
        (
            login(&["--oidc-audience", "a", "--oidc-parameter", "prompt"]),
            "expected NAME=VALUE",
        ),
    ] {
        let stderr = refused(command(&arguments), 2).await;
        assert!(stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn without_its_functions_it_ends_at_once_and_says_how_to_get_them() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = TempDir::new().expect("a directory");
    let alone = directory.path().join("podium");
    // By another process: a test that forks while this one writes the file would keep it busy.
    let copied = Command::new("cp")
        .arg(bin_dir().join("podium"))
        .arg(&alone)
        .status()
        .await;
    assert!(copied.expect("cp runs").success());
    let local = || {
        let mut command = Command::new(&alone);
        command
            .args(["local", "--port", "0", "--aws-port", "0"])
            .stdin(Stdio::null())
            .kill_on_drop(true);
        command
    };
    let stderr = refused(local(), 1).await;
    let place = directory.path().canonicalize().expect("it is there");
    let expected = format!(
        "podium: cannot start the functions in {}: missing: ingest, aggregator, snapshot, serve, directory\n",
        place.display()
    );
    assert!(stderr.starts_with(&expected), "{stderr}");
    assert!(stderr.contains("cargo build --workspace --bins"), "{stderr}");
    assert!(stderr.contains("cargo install --path crates/ingest"), "{stderr}");

    for (name, mode) in [("ingest", 0o644), ("aggregator", 0o755), ("serve", 0o755)] {
        let path = directory.path().join(name);
        std::fs::write(&path, "no program").expect("it is written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).expect("it is set");
    }
    let stderr = refused(local(), 1).await;
    assert!(
        stderr.contains(": missing: snapshot, directory; not executable: ingest\n"),
        "{stderr}"
    );
}
