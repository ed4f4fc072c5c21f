//! `podium import` against a server that fails in every way that a real one may.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::server::{Fault, Server};
use super::{Run, count, podium, run, text, wait_until, write_activities};

fn position_of(file: &Path) -> PathBuf {
    format!("{}.podium-import", text(file)).into()
}

#[test]
fn an_import_rides_out_every_fault_that_passes() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write_activities(&directory, 1_000);
    let server = Server::start();
    server.store.lock().faults.extend([
        Fault::Status(503),
        Fault::Status(429),
        Fault::Status(502),
        Fault::HalfUnavailable,
        Fault::HalfUnavailable,
    ]);
    let import = run(&["import", text(&file), "--batch", "50"], &server.url());
    assert_eq!(import.code, Some(0), "{}{}", import.stdout, import.stderr);
    assert_eq!(count(&import, "accepted"), 1_000);
    assert_eq!(count(&import, "duplicate"), 0);
    assert_eq!(count(&import, "requests sent again"), 5);
    assert_eq!(server.store.lock().accepted.len(), 1_000);
    assert!(!position_of(&file).exists());

    let again = run(&["import", text(&file)], &server.url());
    assert_eq!(again.code, Some(0));
    assert_eq!(
        (count(&again, "accepted"), count(&again, "duplicate")),
        (0, 1_000)
    );
}

#[test]
fn an_import_outlives_the_server() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write_activities(&directory, 1_000);
    let server = Server::start();
    server.store.lock().stalls_at = Some(300);
    let import = podium(&["import", text(&file), "--batch", "10"], &server.url()).spawn();
    let import = import.expect("podium runs");
    wait_until(|| server.store.lock().accepted.len() >= 300);
    server.store.lock().stalls_at = None;
    let server = server.restarted();
    let import: Run = import.wait_with_output().expect("it ends").into();
    assert_eq!(import.code, Some(0), "{}{}", import.stdout, import.stderr);
    assert_eq!(count(&import, "accepted") + count(&import, "duplicate"), 1_000);
    assert_eq!(server.store.lock().accepted.len(), 1_000);
}

#[test]
fn an_import_goes_on_where_it_was_ended() {
    for signal in ["KILL", "INT"] {
        let directory = tempfile::tempdir().expect("a directory");
        let file = write_activities(&directory, 1_000);
        let server = Server::start();
        server.store.lock().stalls_at = Some(500);
        let args = ["import", text(&file), "--batch", "10", "--concurrency", "2"];
        let import = podium(&args, &server.url()).spawn().expect("podium runs");
        wait_until(|| server.store.lock().accepted.len() >= 500 && position_of(&file).exists());
        let killed = Command::new("kill")
            .args(["-s", signal, &import.id().to_string()])
            .status();
        assert!(killed.expect("kill runs").success());
        let import: Run = import.wait_with_output().expect("it ends").into();
        assert_eq!(import.code, if signal == "INT" { Some(130) } else { None });

        server.store.lock().stalls_at = None;
        server.store.lock().items_received = 0;
        let server = server.restarted();
        let import = run(&args, &server.url());
        assert_eq!(import.code, Some(0), "{}{}", import.stdout, import.stderr);
        assert!(import.stderr.contains("resuming after "), "{}", import.stderr);
        // Every line has one verdict, no line was accepted twice, and not all was sent again.
        assert_eq!(count(&import, "accepted") + count(&import, "duplicate"), 1_000);
        let store = server.store.lock();
        assert_eq!(store.accepted.len(), 1_000);
        assert!(store.items_received < 1_000, "{}", store.items_received);
        assert!(!position_of(&file).exists());
    }
}

#[test]
fn rejections_are_named_and_fail_the_import_but_stop_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("activities.jsonl");
    let mut lines = vec![r#"{"activity_id":"ok","kind":"task_completed"}"#; 40];
    lines[2] = r#"{"activity_id":"n","kind":"nonsense"}"#;
    lines[6] = r#"{"activity_id":"torn"#;
    lines[16] = r#"{"activity_id":"p","kind":"poison"}"#;
    fs::write(&file, lines.join("\n")).expect("a file");
    let server = Server::start();
    let import = run(&["import", text(&file)], &server.url());
    assert_eq!(import.code, Some(1), "{}{}", import.stdout, import.stderr);
    let page = server.url();
    let expected = format!(
        "accepted             1\n\
         duplicate           36\n\
         rejected             3\n  \
         line 3: unknown_kind (kind): there is no such kind\n  \
         line 7: malformed: the activity is not valid JSON text: EOF while parsing a string at line 1 column 20\n  \
         line 17: status 400: 400: the body is poisoned\n\n\
         The boards follow in a moment: open {page}/ or run `podium board --url {page}/`.\n"
    );
    assert_eq!(import.stdout, expected);
    assert!(!position_of(&file).exists(), "there is nothing to go on with");
}

#[test]
fn an_import_gives_up_in_time_and_says_where() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write_activities(&directory, 10);
    let unreachable = Server::start().url();
    let import = run(&["import", text(&file), "--give-up-after", "1s"], &unreachable);
    assert_eq!(import.code, Some(1));
    assert!(
        import
            .stderr
            .contains("gave up at line 1: still failing after 1s: could not connect")
            && import
                .stderr
                .contains("; start a stack with `podium local`, or give another address with --url. "),
        "{}",
        import.stderr
    );
    assert!(
        import.stderr.contains("0 records are done; run the same"),
        "{}",
        import.stderr
    );

    let server = Server::start();
    server.store.lock().faults.extend([Fault::Status(403)]);
    let import = run(&["import", text(&file)], &server.url());
    assert_eq!(import.code, Some(1));
    assert!(
        import.stderr.contains("the server answered 403: go away"),
        "{}",
        import.stderr
    );

    server.store.lock().faults.extend([Fault::TornAnswer]);
    let import = run(&["import", text(&file)], &server.url());
    assert_eq!(import.code, Some(1));
    assert!(
        import.stderr.contains("the server sent an invalid answer"),
        "{}",
        import.stderr
    );
}

#[test]
fn a_damaged_file_is_imported_as_far_as_it_can_be_read() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("activities.jsonl.gz");
    // One gzip member with one line, and the beginning of another member.
    let mut bytes = fs::read(write_gzip(&directory, "{\"activity_id\":\"a\"}\n")).expect("read");
    bytes.extend_from_within(..12);
    fs::write(&file, bytes).expect("a file");
    let server = Server::start();
    let import = run(&["import", text(&file)], &server.url());
    assert_eq!(import.code, Some(1), "{}", import.stdout);
    assert!(import.stderr.contains("after record 1"), "{}", import.stderr);
    assert_eq!(
        server.store.lock().accepted.len(),
        1,
        "what was read before is sent"
    );
}

fn write_gzip(directory: &TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("whole.gz");
    let file = fs::File::create(&path).expect("a file");
    let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text.as_bytes()).expect("written");
    encoder.finish().expect("compressed");
    path
}

#[test]
fn what_comes_through_a_pipe_is_imported_once_and_leaves_nothing_behind() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write_activities(&directory, 10);
    let server = Server::start();
    for (source, expected) in [("-", (10, 0)), ("/dev/stdin", (0, 10))] {
        let mut import = podium(&["import", source], &server.url());
        import.stdin(fs::File::open(&file).expect("a file"));
        let import: Run = import.output().expect("podium runs").into();
        assert_eq!(import.code, Some(0), "{}{}", import.stdout, import.stderr);
        assert_eq!(
            (count(&import, "accepted"), count(&import, "duplicate")),
            expected
        );
        for warning in [
            "5 activities have no activity_id",
            "10 activities have no occurred_at",
        ] {
            assert!(import.stderr.contains(warning), "{}", import.stderr);
        }
    }
    assert_eq!(fs::read_dir(&directory).expect("listed").count(), 1);
}

#[test]
fn an_import_that_waits_for_a_pipe_can_be_interrupted() {
    let directory = tempfile::tempdir().expect("a directory");
    let pipe = directory.path().join("pipe");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo runs")
            .success()
    );
    let server = Server::start();
    let args = ["import", text(&pipe), "--batch", "1"];
    let import = podium(&args, &server.url()).spawn().expect("podium runs");
    let mut writer = fs::OpenOptions::new().write(true).open(&pipe).expect("a reader");
    let two_lines = "{\"activity_id\":\"a\"}\n{\"activity_id\":\"b\"}\n";
    std::io::Write::write_all(&mut writer, two_lines.as_bytes()).expect("written");
    wait_until(|| server.store.lock().accepted.len() == 2);
    let interrupted = Command::new("kill")
        .args(["-s", "INT", &import.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    let import: Run = import.wait_with_output().expect("it ends").into();
    assert_eq!(import.code, Some(130), "{}{}", import.stdout, import.stderr);
}

#[test]
fn lines_put_on_top_count_alone() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write_activities(&directory, 10);
    let server = Server::start();
    assert_eq!(
        count(&run(&["import", text(&file)], &server.url()), "accepted"),
        10
    );
    let lines = fs::read_to_string(&file).expect("the file");
    let more = r#"{ "kind": "program_check_in", "program_id": "p", "user_id": "u" }"#;
    fs::write(&file, format!("{more}\n\n{more}\n{lines}")).expect("a file");
    let import = run(&["import", text(&file)], &server.url());
    assert_eq!((count(&import, "accepted"), count(&import, "duplicate")), (2, 10));
}

/// Only root can make a file of another owner.
#[test]
fn a_repository_of_another_owner_is_imported_only_if_the_user_trusts_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let repository = directory.path().join("theirs");
    let made = Command::new("git").args(["init", "-q"]).arg(&repository).status();
    assert!(made.expect("git runs").success());
    for path in [repository.clone(), repository.join(".git")] {
        if std::os::unix::fs::chown(&path, Some(12_345), None).is_err() {
            return;
        }
    }
    let server = Server::start();
    let import = || -> Run {
        let mut import = podium(&["import", "--git", text(&repository)], &server.url());
        import
            .env("HOME", directory.path())
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("SUDO_UID");
        import.output().expect("podium runs").into()
    };
    let refused = import();
    assert_eq!(refused.code, Some(1), "{}", refused.stdout);
    assert!(refused.stderr.contains("dubious ownership"), "{}", refused.stderr);
    let trusted = format!("[safe]\n\tdirectory = {}\n", text(&repository));
    fs::write(directory.path().join(".gitconfig"), trusted).expect("a file");
    let allowed = import();
    assert_eq!(allowed.code, Some(0), "{}", allowed.stderr);
}

#[test]
fn a_git_history_is_imported_once() {
    let directory = tempfile::tempdir().expect("a directory");
    let git = |args: &[&str]| {
        let status = Command::new("git")
            .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.com", "-C"])
            .arg(directory.path())
            .args(args)
            .status();
        assert!(status.expect("git runs").success());
    };
    git(&["init", "-q"]);
    for _ in 0..3 {
        git(&["commit", "-q", "--allow-empty", "-m", "x"]);
    }
    git(&["tag", "v1"]);
    let server = Server::start();
    let path = text(directory.path());
    for expected in [(4, 0), (0, 4)] {
        let import = run(
            &["import", "--git", path, "--program", "wiki", "--names"],
            &server.url(),
        );
        assert_eq!(import.code, Some(0), "{}{}", import.stdout, import.stderr);
        assert_eq!(
            (count(&import, "accepted"), count(&import, "duplicate")),
            expected
        );
    }
    let store = server.store.lock();
    assert!(
        store
            .accepted
            .values()
            .all(|a| a["user_id"] == "ann" && a["program_id"] == "wiki")
    );
}
