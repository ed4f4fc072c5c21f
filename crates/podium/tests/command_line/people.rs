//! `podium people` against a server that fails in every way that a real one may.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use super::server::{Fault, Server};
use super::{Run, count, podium, run, text, wait_until};

const HEAD: &str = "user_id,display_name,team,visibility\r\n";

fn write(directory: &TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("people.csv");
    fs::write(&path, text).expect("a file");
    path
}

/// A file of so many people.
fn write_people(directory: &TempDir, people: usize) -> PathBuf {
    let mut rows = HEAD.to_owned();
    for number in 0..people {
        let _ = write!(rows, "u{number:04},Name {number},,listed\r\n");
    }
    write(directory, &rows)
}

/// Counts of new, changed, unchanged and refused rows.
fn counts(run: &Run) -> [usize; 4] {
    ["new", "changed", "unchanged", "refused"].map(|what| count(run, what))
}

#[test]
fn people_are_imported_once_and_exported_as_they_are() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let rows = [
        "'0012,\"Lee, \"\"Ann\"\"\",ops,listed\r\n",
        "Cy,Иван Петров,,anonymous\r\n",
        "ann,新 人研,a;b,listed\r\n",
        "bob,,,hidden\r\n",
        "dee,'=1+1,,listed\r\n",
    ];
    let file = write(
        &directory,
        &format!("\u{feff}{HEAD}{}", rows.iter().rev().copied().collect::<String>()),
    );
    let import = run(&["people", "import", text(&file)], &server.url());
    assert_eq!(
        (import.code, import.stderr.as_str()),
        (Some(0), ""),
        "{}",
        import.stdout
    );
    assert_eq!(
        import.stdout,
        "new                  5\nchanged              0\nunchanged            0\nrefused              0\n"
    );
    assert_eq!(server.store.lock().people["dee"]["display_name"], "=1+1");
    assert_eq!(
        server.store.lock().people["bob"]["display_name"],
        serde_json::Value::Null
    );

    let export = run(&["people", "export"], &server.url());
    assert_eq!((export.code, export.stderr.as_str()), (Some(0), ""));
    assert_eq!(export.stdout, format!("{HEAD}{}", rows.concat()));
    let copy = directory.path().join("copy.csv");
    let export = run(&["people", "export", "--output", text(&copy)], &server.url());
    assert_eq!(
        export.stdout,
        format!("5 profiles are written to {}.\n", text(&copy))
    );
    let exists = run(&["people", "export", "--output", text(&copy)], &server.url());
    assert_eq!(exists.code, Some(1));
    assert_eq!(
        exists.stderr,
        format!("podium: {} exists already; name a new file\n", text(&copy))
    );

    let again = run(&["people", "import", text(&copy)], &server.url());
    assert_eq!(
        (again.code, counts(&again)),
        (Some(0), [0, 0, 5, 0]),
        "{}",
        again.stdout
    );
    let mut piped = podium(&["people", "import", "-"], &server.url());
    piped.stdin(fs::File::open(&copy).expect("a file"));
    let piped: Run = piped.output().expect("podium runs").into();
    assert_eq!(
        (piped.code, counts(&piped)),
        (Some(0), [0, 0, 5, 0]),
        "{}",
        piped.stderr
    );
}

#[test]
fn a_dry_run_says_what_an_import_would_do() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let file = write(&directory, &format!("{HEAD}ann,Ann,,\nbob,Bob,,\ncy,Cy,,\n"));
    run(&["people", "import", text(&file)], &server.url());
    let file = write(
        &directory,
        &format!("{HEAD}ann,Ann,,\nBob,Bob,,\ncy,Cy,ops,\nDee,,,\ndee,,,\nann,Ann,,\n"),
    );
    let puts = server.store.lock().puts;
    let dry = run(&["people", "import", "--dry-run", text(&file)], &server.url());
    assert_eq!(server.store.lock().puts, puts);
    let expected = "\
new                  3
changed              1
unchanged            1
refused              1
  line 7: repeated_user (user_id): ann is in line 2 already; leave one of them
bob and Bob differ only in case: they are two people
dee and Dee differ only in case: they are two people
";
    assert_eq!(dry.stdout, format!("{expected}Nothing was written.\n"));
    let refused = "podium: 1 row was refused. Correct the file, and run the command again.\n";
    assert_eq!((dry.code, dry.stderr.as_str()), (Some(1), refused));

    let import = run(&["people", "import", text(&file)], &server.url());
    assert_eq!((import.code, import.stdout.as_str()), (Some(1), expected));
    assert_eq!(import.stderr, refused);
}

#[test]
fn refused_rows_are_named_and_stop_nothing() {
    let directory = tempfile::tempdir().expect("a directory");
    let server = Server::start();
    let file = write(
        &directory,
        &format!("{HEAD}ann,Ann,poison,\nbob,Bob,,secret\n\"cy\",\"two\nlines\",,\ndee,Dee,,\n"),
    );
    let import = run(&["people", "import", text(&file)], &server.url());
    assert_eq!(import.code, Some(1));
    assert_eq!(
        import.stdout,
        "\
new                  1
changed              0
unchanged            0
refused              3
  line 2: illegal_character (team): the team is poisoned
  line 3: out_of_range (visibility): visibility is not a visibility; use listed, anonymous or hidden
  line 4: illegal_character (display_name): display_name has the control character '\\n'; write one line of text
"
    );

    // Nothing is sent of a file with a column that means nothing.
    let puts = server.store.lock().puts;
    let file = write(&directory, "user_id,email\nann,ann@corp.example\n");
    let import = run(&["people", "import", text(&file)], &server.url());
    assert_eq!((import.code, import.stdout.as_str()), (Some(1), ""));
    let expected = "\"email\" is no field of a person; the fields are user_id, display_name, team, visibility. Take the others out of the file\n";
    assert!(import.stderr.ends_with(expected), "{}", import.stderr);
    assert_eq!(server.store.lock().puts, puts);

    let file = write(&directory, "user_id,team\nann,ops\n");
    let import = run(&["people", "import", text(&file)], &server.url());
    assert_eq!(counts(&import), [1, 0, 0, 0]);
    let expected = "podium: warning: no column is named display_name or visibility. ";
    assert!(import.stderr.starts_with(expected), "{}", import.stderr);
}

#[test]
fn an_import_of_people_rides_out_every_fault_that_passes() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write_people(&directory, 50);
    let server = Server::start();
    let faults = [503, 429, 502].map(Fault::Status);
    server.store.lock().faults.extend(faults);
    let import = run(&["people", "import", text(&file)], &server.url());
    assert_eq!(
        (import.code, counts(&import)),
        (Some(0), [50, 0, 0, 0]),
        "{}",
        import.stderr
    );
    assert_eq!(count(&import, "requests sent again"), 3);
    server.store.lock().faults.extend(faults);
    let export = run(&["people", "export"], &server.url());
    assert_eq!(export.stdout, fs::read_to_string(&file).expect("the file"));
}

#[test]
fn an_import_of_people_gives_up_in_time_and_says_where() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write_people(&directory, 30);
    let unreachable = Server::start().url();
    let args = ["people", "import", text(&file), "--give-up-after", "1s"];
    let import = run(&args, &unreachable);
    assert_eq!(import.code, Some(1));
    let expected = "podium: gave up at line 2: still failing after 1s: could not connect";
    assert!(import.stderr.starts_with(expected), "{}", import.stderr);
    let again = ". Run the same command again; profiles that are already so are unchanged then.\n";
    assert!(import.stderr.ends_with(again), "{}", import.stderr);

    // What no retry helps against ends it at once, and other rows are not sent.
    let server = Server::start();
    server.store.lock().faults.extend([Fault::Status(403); 30]);
    let import = run(&["people", "import", text(&file)], &server.url());
    assert_eq!((import.code, counts(&import)), (Some(1), [0; 4]));
    let expected = format!("podium: gave up at line 2: the server answered 403: go away{again}");
    assert_eq!(import.stderr, expected);
    assert!(server.store.lock().puts <= 10, "{}", server.store.lock().puts);

    server.store.lock().faults = [Fault::Status(403)].into();
    let export = run(&["people", "export"], &server.url());
    assert_eq!((export.code, export.stdout.as_str()), (Some(1), ""));
    assert_eq!(
        export.stderr,
        "podium: could not read the directory: the server answered 403: go away\n"
    );
}

#[test]
fn an_interrupted_import_of_people_is_run_again() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = write_people(&directory, 100);
    let server = Server::start();
    server.store.lock().stalls_at = Some(40);
    let args = ["people", "import", text(&file)];
    let import = podium(&args, &server.url()).spawn().expect("podium runs");
    wait_until(|| server.store.lock().people.len() >= 40);
    let interrupted = Command::new("kill")
        .args(["-s", "INT", &import.id().to_string()])
        .status();
    assert!(interrupted.expect("kill runs").success());
    let import: Run = import.wait_with_output().expect("it ends").into();
    assert_eq!(import.code, Some(130), "{}{}", import.stdout, import.stderr);
    assert_eq!(
        import.stderr,
        "podium: interrupted. Run the same command again; profiles that are already so are unchanged then.\n"
    );
    server.store.lock().stalls_at = None;
    let server = server.restarted();
    let kept = server.store.lock().people.len();
    let again = run(&args, &server.url());
    assert_eq!(
        (again.code, counts(&again)),
        (Some(0), [100 - kept, 0, kept, 0]),
        "{}",
        again.stderr
    );
}
