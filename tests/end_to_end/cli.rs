//! Runs the program `podium` as users do.

mod chaos;
mod compare;
mod correct;
mod dlq;
mod guide;
mod local_stack;
mod migrate;
mod recovery;
mod smoke;

use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use domain::{BoardDocument, UserDocument};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

use crate::stack::{TestStack, bin_dir};

const LINES: u64 = 250;
const USERS: u64 = 7;

/// Only so that a failing test ends.
const READY_WITHIN: Duration = Duration::from_mins(4);

/// The line that `podium local` prints once it is ready, and the rest of its output.
pub async fn ready(program: &mut Child) -> (Value, BufReader<ChildStdout>) {
    let mut stdout = BufReader::new(program.stdout.take().expect("it is piped"));
    let mut line = String::new();
    let read = timeout(READY_WITHIN, stdout.read_line(&mut line)).await;
    read.expect("it is ready in time").expect("it is text");
    let ready = serde_json::from_str(&line).unwrap_or_else(|_| panic!("not JSON: {line:?}"));
    (ready, stdout)
}

pub fn podium() -> Command {
    without_podium(Command::new(bin_dir().join("podium")))
}

/// The program, without any AWS settings in its environment.
fn podium_without_aws() -> Command {
    without_aws(Command::new(bin_dir().join("podium")))
}

/// A command with no settings of Podium in its environment.
fn without_podium(mut command: Command) -> Command {
    command
        .env_remove("PODIUM_URL")
        .env_remove("PODIUM_SERVE_URL")
        .env_remove("PODIUM_INGEST_URL")
        .env_remove("PODIUM_SIGN")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// A command with no settings of Podium or AWS in its environment.
fn without_aws(command: Command) -> Command {
    let mut command = without_podium(command);
    for name in [
        "AWS_PROFILE",
        "AWS_REGION",
        "AWS_DEFAULT_REGION",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL",
    ] {
        command.env_remove(name);
    }
    command
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

/// The output of a command and its exit status.
struct Ended {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ended {
    #[track_caller]
    fn check(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        self.stdout
    }
}

async fn end(mut command: Command) -> Ended {
    let output = command.output().await.expect("podium runs");
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Runs the program against a stack. Returns its standard output if it succeeds.
async fn run(stack: &TestStack, args: &[&str]) -> String {
    let mut command = podium();
    command.args(args).args(["--url", &stack.stack.web_url]);
    end(command).await.check(0)
}

fn text(output: Vec<u8>) -> String {
    String::from_utf8(output).expect("the output is text")
}

/// The number that follows `word` at the beginning of a line.
fn number(output: &str, word: &str) -> u64 {
    let line = output.lines().find_map(|line| line.strip_prefix(word));
    let number = line
        .and_then(|line| line.split_whitespace().next())
        .map(|number| number.replace(',', ""));
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("there is no number after {word:?} in:\n{output}"))
}

fn write_activities(path: &Path) {
    let mut file = GzEncoder::new(std::fs::File::create(path).expect("a file"), Compression::fast());
    for line in 0..LINES {
        let activity = json!({
            "activity_id": format!("line-{line}"),
            "user_id": format!("user-{}", line % USERS),
            "program_id": "wellness",
            "kind": "task_completed",
        });
        writeln!(file, "{activity}").expect("it is written");
    }
    file.finish().expect("it is written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_imported_once_however_often_and_shown_on_the_board() {
    let stack = TestStack::start(|_| {}).await;
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("activities.jsonl.gz");
    write_activities(&file);
    let file = file.to_str().expect("a plain path");

    let first = run(&stack, &["import", file]).await;
    assert_eq!(
        (number(&first, "accepted"), number(&first, "duplicate")),
        (LINES, 0),
        "{first}"
    );
    stack.wait_until_counted(LINES).await;
    let second = run(&stack, &["import", file]).await;
    assert_eq!(
        (number(&second, "accepted"), number(&second, "duplicate")),
        (0, LINES),
        "{second}"
    );
    stack.wait_until_counted(LINES).await;

    let table = run(&stack, &["board", "program:wellness", "--limit", "3"]).await;
    assert!(
        table.starts_with("program:wellness, all time, UTC\n7 participants, 2,500 points, 250 activities\n"),
        "{table}"
    );
    // 250 lines make 36 for each of the first five users, and 35 for the others.
    let rows: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let row = |user: &str| {
        rows.iter()
            .find(|row| row.contains(&user))
            .expect("the user is listed")
    };
    for user in ["user-0", "user-1", "user-2"] {
        assert!(
            row(user).starts_with(&["1="]) && row(user).ends_with(&["360", "36"]),
            "{table}"
        );
    }
    assert!(table.trim_end().ends_with("and 4 others"), "{table}");

    let document = run(&stack, &["board", "--json"]).await;
    let document: BoardDocument = serde_json::from_str(&document).expect("the API's document");
    assert_eq!(document.heading.points, 10 * LINES.cast_signed());
    assert_eq!(document.entries.len() as u64, USERS);

    let table = run(&stack, &["board", "--user", "user-6"]).await;
    let marked = table
        .lines()
        .find(|line| line.starts_with('>'))
        .expect("the user is marked");
    assert_eq!(marked.split_whitespace().collect::<Vec<_>>()[1], "6=", "{table}");
    assert!(marked.contains("user-6") && table.contains("user-4"), "{table}");
    let document = run(&stack, &["board", "--user", "user-6", "--json"]).await;
    let document: UserDocument = serde_json::from_str(&document).expect("the API's document");
    assert_eq!((document.entry.rank, document.entry.points), (6, 350));
    stack.stop().await;
}

async fn git(repository: &Path, person: &str, args: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(repository).args(args);
    // The git settings of the machine must not matter.
    command
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1");
    for role in ["AUTHOR", "COMMITTER"] {
        command
            .env(format!("GIT_{role}_NAME"), person)
            .env(format!("GIT_{role}_EMAIL"), format!("{person}@example.com"))
            .env(format!("GIT_{role}_DATE"), "2024-05-06T07:08:09Z");
    }
    let output = command.output().await.expect("git runs");
    assert!(output.status.success(), "git {args:?}: {}", text(output.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_git_history_is_imported() {
    let stack = TestStack::start(|_| {}).await;
    let directory = TempDir::new().expect("a directory");
    let repository = directory.path().join("rocket");
    std::fs::create_dir(&repository).expect("a directory");
    for (person, command) in [
        ("ann", "init --quiet --initial-branch main"),
        ("ann", "commit --quiet --allow-empty --message one"),
        ("ann", "commit --quiet --allow-empty --message two"),
        ("bob", "checkout --quiet -b side"),
        ("bob", "commit --quiet --allow-empty --message three"),
        ("cy", "checkout --quiet main"),
        ("cy", "merge --quiet --no-ff --message four side"),
        ("ann", "tag --annotate --message five v1"),
    ] {
        let args: Vec<&str> = command.split(' ').collect();
        git(&repository, person, &args).await;
    }
    let path = repository.to_str().expect("a plain path");
    for (accepted, duplicate) in [(5, 0), (0, 5)] {
        let import = run(&stack, &["import", "--git", path, "--names"]).await;
        assert_eq!(
            (number(&import, "accepted"), number(&import, "duplicate")),
            (accepted, duplicate)
        );
    }
    stack.wait_until_counted(5).await;
    let board = stack.whole_board("program:rocket", 10).await;
    // A commit is worth 10, a merge 5 and a tag 25.
    assert_eq!(crate::tables::render(&board), "1.ann=45/3 2.bob=10/1 3.cy=5/1");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_ends_when_all_is_counted() {
    let stack = TestStack::start(|_| {}).await;
    // From then on it is known how much was counted before the load.
    stack.wait_for("the first snapshot", |_| true).await;
    let load = run(
        &stack,
        &[
            "load", "--rate", "200", "--for", "3s", "--batch", "5", "--seed", "1",
        ],
    )
    .await;
    assert_eq!(
        (number(&load, "rejected"), number(&load, "errors")),
        (0, 0),
        "{load}"
    );
    assert!(load.contains("\ncounted    all of them"), "{load}");
    let accepted = number(&load, "accepted");
    assert!(accepted > 0 && accepted == number(&load, "sent"), "{load}");
    stack.wait_until_counted(accepted).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_said_in_a_sentence() {
    let stack = TestStack::start(|_| {}).await;
    stack.wait_for("the first snapshot", |_| true).await;
    for (args, expected) in [
        (vec!["board", "program:chess"], "There is no board program:chess"),
        (
            vec!["board", "--user", "nobody"],
            "nobody has neither points nor activities on the board global",
        ),
        (
            vec!["import", "/nowhere/activities.jsonl"],
            "/nowhere/activities.jsonl",
        ),
    ] {
        let mut command = podium();
        command.args(&args).args(["--url", &stack.stack.web_url]);
        let output = command.output().await.expect("podium runs");
        let stderr = text(output.stderr);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            stderr.starts_with("podium: ") && stderr.contains(expected),
            "{args:?}: {stderr}"
        );
    }
    stack.stop().await;
}

#[tokio::test]
async fn whoever_stops_reading_the_output_ends_the_program_without_a_panic() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = podium();
    command.arg("cost").stdout(writer).stderr(Stdio::piped());
    let output = command.spawn().expect("it starts").wait_with_output();
    let output = output.await.expect("it ends");
    assert_eq!(
        (output.status.code(), text(output.stderr)),
        (Some(141), String::new())
    );
}
