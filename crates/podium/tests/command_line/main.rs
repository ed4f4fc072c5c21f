//! Runs the program against a server that fails in every way that a real one may.

mod completions;
mod import;
mod legacy;
mod people;
mod quests;
mod server;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use self::server::{Fault, Server};

/// Lets a failing test end.
const PATIENCE: Duration = Duration::from_mins(1);

struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

fn podium(args: &[&str], url: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_podium"));
    command
        .args(args)
        .env("PODIUM_URL", url)
        .env_remove("PODIUM_SERVE_URL")
        .env_remove("PODIUM_INGEST_URL")
        .env_remove("PODIUM_SIGN");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn run(args: &[&str], url: &str) -> Run {
    podium(args, url).output().expect("podium runs").into()
}

/// Writes a file of `lines` activities. Every second one has no id.
fn write_activities(directory: &TempDir, lines: usize) -> PathBuf {
    let mut text = String::new();
    for line in 1..=lines {
        let id = if line % 2 == 0 {
            format!(r#""activity_id":"a{line}","#)
        } else {
            String::new()
        };
        let _ = writeln!(
            text,
            r#"{{{id}"user_id":"u","program_id":"p","kind":"task_completed"}}"#
        );
    }
    let path = directory.path().join("activities.jsonl");
    fs::write(&path, text).expect("a file");
    path
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a plain path")
}

fn count(run: &Run, what: &str) -> usize {
    let line = run.stdout.lines().find_map(|line| line.strip_prefix(what));
    let digits = line.unwrap_or_else(|| panic!("no {what} in {}", run.stdout));
    digits.trim().replace(',', "").parse().expect("a number")
}

fn wait_until(mut is_so: impl FnMut() -> bool) {
    let started = Instant::now();
    while !is_so() {
        assert!(
            started.elapsed() < PATIENCE,
            "the condition was not met within {PATIENCE:?}"
        );
        sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_load_is_sent_and_counted() {
    let server = Server::start();
    let load = run(
        &["load", "--rate", "100", "--for", "500ms", "--batch", "2"],
        &server.url(),
    );
    assert_eq!(load.code, Some(0), "{}{}", load.stdout, load.stderr);
    assert_eq!(count(&load, "accepted"), 50);
    assert!(load.stdout.contains("counted    all of them "), "{}", load.stdout);
    assert_eq!(server.store.lock().accepted.len(), 50);
}

#[test]
fn what_posts_signs_if_it_is_told_to() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write_activities(&directory, 1);
    let server = Server::start();
    let scope = "/eu-central-1/lambda/aws4_request, SignedHeaders=content-type;host;x-amz-content-sha256;\
                 x-amz-date;x-amz-security-token, Signature=";
    for args in [
        &["import", text(&file), "--from-start"][..],
        &["load", "--rate", "10", "--for", "100ms"],
        // The server shows no user on a board.
        &["smoke", "--timeout", "1ms"],
    ] {
        let mut command = podium(args, &server.url());
        command
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .env("AWS_SESSION_TOKEN", "token")
            .env("AWS_REGION", "us-east-1");
        let unsigned: Run = command.output().expect("podium runs").into();
        assert!(!server.store.lock().accepted.is_empty(), "{}", unsigned.stderr);
        assert_eq!(server.store.lock().authorization, None, "{args:?}");
        command.env("PODIUM_SIGN", "1").args(["--region", "eu-central-1"]);
        let signed: Run = command.output().expect("podium runs").into();
        let authorization = server.store.lock().authorization.take();
        let authorization = authorization.unwrap_or_else(|| panic!("{args:?} {}", signed.stderr));
        assert!(
            authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/")
                && authorization.contains(scope),
            "{args:?} {authorization}"
        );
    }
}

#[test]
fn a_smoke_test_says_what_ingest_made_of_it() {
    let server = Server::start();
    for (fault, expected) in [
        (
            Fault::Status(403),
            "answered 403: go away; the address requires a signature (--sign) or a token (--token-command)\n",
        ),
        (
            Fault::Status(503),
            "answered 503: go away; check the address and the log of ingest\n",
        ),
        (
            Fault::HalfUnavailable,
            "not accepted: the activity is not stored, because the store is unavailable\n",
        ),
    ] {
        server.store.lock().faults.push_back(fault);
        let smoke = run(&["smoke"], &server.url());
        assert_eq!(smoke.code, Some(1), "{}", smoke.stdout);
        assert!(smoke.stderr.ends_with(expected), "{}", smoke.stderr);
    }
}

#[test]
fn a_smoke_test_sees_that_a_repeat_is_accepted_again() {
    let server = Server::start();
    server.store.lock().forgets = true;
    let smoke = run(&["smoke", "--timeout", "2s"], &server.url());
    assert_eq!((smoke.code, smoke.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        smoke.stderr,
        "podium: accepted, but the repeat is accepted instead of a duplicate: it may be counted twice\n"
    );
}

#[test]
fn a_board_is_printed_without_colours_into_a_pipe() {
    let server = Server::start();
    let board = run(&["board", "--window", "week", "--limit", "3"], &server.url());
    assert_eq!(board.code, Some(0), "{}", board.stderr);
    assert_eq!(
        board.stdout,
        "\
global, week 2026-11-16 to 2026-11-22, UTC
1 participant, 10 points, 1 activity
updated 3 s ago, lag 0.4 s, backlog 0

  rank  change  user  points  activities
    1      new  ann       10           1
"
    );
    let board = run(&["board", "program:none"], &server.url());
    assert_eq!(board.code, Some(1));
    let expected = format!(
        "podium: {}/ answered 404: there is no board program:none\n",
        server.url()
    );
    assert_eq!(board.stderr, expected);
}
