use std::{
    fs,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use super::*;

/// A repository made by the real git, with nothing of the machine's own settings.
pub struct Fixture {
    directory: TempDir,
}

/// The git of a user who has no settings and has not read about Podium.
pub fn git(path: &Path) -> Command {
    let mut git = Command::new("git");
    git.env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .arg("-C")
        .arg(path)
        .stdin(Stdio::null());
    git
}

impl Fixture {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let fixture = Self { directory };
        fs::create_dir(fixture.path()).expect("a directory");
        fixture.run(
            "Nobody",
            "nobody@example.com",
            0,
            &["init", "-q", "-b", "main", "."],
        );
        fixture
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("Team Wiki")
    }

    pub fn run(&self, name: &str, email: &str, time: i64, args: &[&str]) {
        let date = format!("@{time} +0530");
        let status = git(&self.path())
            .args(args)
            .envs([("GIT_AUTHOR_NAME", name), ("GIT_COMMITTER_NAME", name)])
            .envs([("GIT_AUTHOR_EMAIL", email), ("GIT_COMMITTER_EMAIL", email)])
            .envs([("GIT_AUTHOR_DATE", &date), ("GIT_COMMITTER_DATE", &date)])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("git runs");
        assert!(status.success(), "git {args:?}");
    }

    pub fn commit(&self, name: &str, email: &str, time: i64) {
        self.run(name, email, time, &["commit", "-q", "--allow-empty", "-m", "x"]);
    }

    /// The activities in order of time, one a line, without their ids; and what was skipped.
    pub fn read(&self, names: bool) -> (Vec<String>, Vec<String>, Skipped) {
        Self::read_at(&self.path(), names)
    }

    pub fn read_at(path: &Path, names: bool) -> (Vec<String>, Vec<String>, Skipped) {
        let repository = Repository::open(path, None, names).expect("a repository");
        let (mut lines, mut ids) = (Vec::new(), Vec::new());
        let mut batcher = Batcher::new(2, |batch: Batch| {
            for item in batch.items {
                let activity: serde_json::Value = serde_json::from_str(&item.json).expect("JSON");
                let field = |name: &str| activity[name].as_str().expect("text").to_owned();
                ids.push(field("activity_id"));
                lines.push(format!(
                    "{} {} {} {}",
                    field("occurred_at"),
                    field("kind"),
                    field("user_id"),
                    field("program_id"),
                ));
            }
            ControlFlow::Continue(())
        });
        let now = "2026-11-21T00:00:00Z".parse().expect("a time");
        let skipped = repository.read(now, &mut batcher).expect("the history is read");
        drop(batcher);
        lines.sort();
        ids.sort();
        (lines, ids, skipped)
    }
}

pub const ANN: (&str, &str) = ("Ann Lee", "Ann@Example.com");
const BOB: (&str, &str) = ("Bob", "bob@example.com");

#[test]
fn a_history_becomes_activities() {
    let history = Fixture::new();
    history.commit(ANN.0, ANN.1, 1_000_000_000);
    history.run(ANN.0, ANN.1, 0, &["tag", "light"]);
    history.run(ANN.0, ANN.1, 0, &["checkout", "-q", "-b", "side"]);
    history.commit(BOB.0, BOB.1, 1_000_000_060);
    history.run(ANN.0, ANN.1, 0, &["checkout", "-q", "main"]);
    let merge = ["merge", "-q", "--no-ff", "-m", "x", "side"];
    history.run(BOB.0, BOB.1, 1_000_000_120, &merge);
    history.run(BOB.0, BOB.1, 1_000_000_180, &["tag", "-a", "-m", "x", "v1.0"]);
    history.run(ANN.0, ANN.1, 0, &["checkout", "-q", "--detach"]);
    history.commit(ANN.0, ANN.1, 1_000_000_240);

    let (lines, ids, skipped) = history.read(true);
    assert_eq!(
        lines,
        [
            "2001-09-09T01:46:40Z learning_milestone ann-lee team-wiki",
            "2001-09-09T01:46:40Z task_completed ann-lee team-wiki",
            "2001-09-09T01:47:40Z task_completed bob team-wiki",
            "2001-09-09T01:48:40Z program_check_in bob team-wiki",
            "2001-09-09T01:49:40Z learning_milestone bob team-wiki",
            "2001-09-09T01:50:40Z task_completed ann-lee team-wiki",
        ]
    );
    assert_eq!(skipped, Skipped::default());
    assert_eq!(ids.iter().filter(|id| id.starts_with("tag-")).count(), 2);
    assert_eq!(ids.iter().filter(|id| id.len() == 40).count(), 4);
    assert_eq!(history.read(true).1, ids, "the same ids when read again");

    let (lines, _, _) = history.read(false);
    assert!(lines[0].contains(" u-71d4f55f72fa "), "{}", lines[0]);
}

#[test]
fn stashes_and_notes_are_not_work_done() {
    let history = Fixture::new();
    history.commit(ANN.0, ANN.1, 1_000_000_000);
    history.run(ANN.0, ANN.1, 1_000_000_060, &["notes", "add", "-m", "x"]);
    fs::write(history.path().join("file"), "x").expect("a file");
    history.run(
        ANN.0,
        ANN.1,
        1_000_000_060,
        &["stash", "push", "-q", "--include-untracked"],
    );
    assert_eq!(history.read(true).0.len(), 1);
}

#[test]
fn wrong_clocks_are_skipped_and_counted() {
    let history = Fixture::new();
    let tomorrow = 1_795_305_600;
    history.commit(ANN.0, ANN.1, 1_000_000_000);
    history.commit(ANN.0, ANN.1, tomorrow);
    history.run(ANN.0, ANN.1, 0, &["tag", "light"]);
    let (lines, _, skipped) = history.read(true);
    assert_eq!(lines, ["2001-09-09T01:46:40Z task_completed ann-lee team-wiki"]);
    assert_eq!(
        skipped,
        Skipped {
            in_future: 2,
            ..Skipped::default()
        }
    );
    assert_eq!(
        skipped.to_string(),
        "skipped 2 commits or tags dated in the future\n"
    );
}

#[test]
fn times_are_seconds_from_1970_to_now() {
    let now = Timestamp::from_second(100).expect("a time");
    for (seconds, expected) in [
        ("0", Ok(Timestamp::UNIX_EPOCH)),
        ("100", Ok(now)),
        ("101", Err(Skip::InFuture)),
        ("99999999999999999999", Err(Skip::InFuture)),
        ("-1", Err(Skip::Before1970)),
        ("-99999999999999999999", Err(Skip::Before1970)),
    ] {
        assert_eq!(parse_time(seconds, now), expected, "{seconds}");
    }
}

#[test]
fn tags_of_files_are_skipped() {
    let history = Fixture::new();
    history.commit(ANN.0, ANN.1, 1_000_000_000);
    fs::write(history.path().join("key"), "x").expect("a file");
    history.run(ANN.0, ANN.1, 0, &["add", "key"]);
    history.run(ANN.0, ANN.1, 0, &["tag", "key", ":key"]);
    let (lines, _, skipped) = history.read(true);
    assert_eq!(lines.len(), 1);
    assert_eq!(
        skipped,
        Skipped {
            without_author: 1,
            ..Skipped::default()
        }
    );
}

#[test]
fn names_in_no_encoding_do_not_fail() {
    use std::io::Write as _;

    let history = Fixture::new();
    let raw = b"tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor J\xf6rg\xff <j\xf6rg@x> \
        1000000000 +0000\ncommitter J <j@x> 1000000000 +0000\n\nx\n";
    history.run(ANN.0, ANN.1, 0, &["write-tree"]);
    let mut hashing = git(&history.path())
        .args(["hash-object", "-t", "commit", "-w", "--stdin", "--literally"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("git runs");
    hashing
        .stdin
        .take()
        .expect("piped")
        .write_all(raw)
        .expect("written");
    let hash = hashing.wait_with_output().expect("hashed").stdout;
    let hash = String::from_utf8(hash).expect("a hash");
    history.run(ANN.0, ANN.1, 0, &["update-ref", "refs/heads/main", hash.trim()]);
    let (lines, _, _) = history.read(true);
    assert_eq!(lines.len(), 1);
    assert!(
        lines[0].starts_with("2001-09-09T01:46:40Z task_completed j-rg"),
        "{}",
        lines[0]
    );
}

#[test]
fn what_is_no_repository_is_said_so() {
    let directory = tempfile::tempdir().expect("a directory");
    let error = Repository::open(directory.path(), None, false)
        .err()
        .expect("an error");
    assert!(error.to_string().contains("not a git repository"), "{error}");
}

#[test]
fn people_are_named_as_the_mailmap_names_them() {
    let history = Fixture::new();
    history.commit("annie", "annie@old.example", 1_000_000_000);
    let tag = ["tag", "-a", "-m", "x", "v1"];
    history.run("annie", "annie@old.example", 1_000_000_060, &tag);
    let mapped = [
        "2001-09-09T01:46:40Z task_completed ann-lee team-wiki",
        "2001-09-09T01:47:40Z learning_milestone ann-lee team-wiki",
    ];
    fs::write(
        history.path().join(".mailmap"),
        "Ann Lee <ann@example.com> <annie@old.example>\n",
    )
    .expect("a file");
    assert_eq!(history.read(true).0, mapped);
    assert!(
        history
            .read(false)
            .0
            .iter()
            .all(|line| line.contains(" u-71d4f55f72fa "))
    );

    history.run(BOB.0, BOB.1, 1_000_000_120, &["add", ".mailmap"]);
    history.run(BOB.0, BOB.1, 1_000_000_120, &["commit", "-q", "-m", "x"]);
    let bare = history.directory.path().join("team-wiki.git");
    let clone = ["clone", "-q", "--bare", ".", bare.to_str().expect("text")];
    history.run(BOB.0, BOB.1, 0, &clone);
    assert_eq!(Fixture::read_at(&bare, true).0[..2], mapped);
}

#[test]
fn what_was_read_before_an_error_is_sent() {
    let history = Fixture::new();
    history.commit(ANN.0, ANN.1, 1_000_000_000);
    history.commit(ANN.0, ANN.1, 1_000_000_060);
    history.run(ANN.0, ANN.1, 0, &["tag", "v1"]);
    let broken = history.path().join(".git/refs/tags/v2");
    fs::write(broken, format!("{}\n", "1".repeat(40))).expect("a file");
    let repository = Repository::open(&history.path(), None, true).expect("a repository");
    let mut sent = 0;
    let mut batcher = Batcher::new(100, |batch: Batch| {
        sent += batch.items.len();
        ControlFlow::Continue(())
    });
    let error = repository
        .read(Timestamp::now(), &mut batcher)
        .expect_err("v2 is broken");
    drop(batcher);
    assert!(error.to_string().contains("refs/tags/v2"), "{error}");
    // Git finds the broken tag before it prints a commit, or after, depending on its version.
    assert!(sent <= 3);
}

#[test]
fn an_empty_repository_has_no_activities() {
    assert_eq!(
        Fixture::new().read(true),
        (Vec::new(), Vec::new(), Skipped::default())
    );
}
