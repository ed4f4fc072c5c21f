//! What a release publishes: the archive, its checksums and notes, the workflow, and the container image.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use domain::BoardDocument;
use serde_json::json;
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use crate::cli::ready;
use crate::stack::{bin_dir, http_client};
use crate::tables::render;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Only so that a failing test ends.
const PATIENCE: Duration = Duration::from_mins(2);

fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn script(name: &str) -> Command {
    let mut command = Command::new(Path::new(ROOT).join("scripts").join(name));
    command.stdin(Stdio::null());
    command
}

fn output(command: &mut Command) -> Output {
    command.output().expect("it runs")
}

/// Standard output of a command that succeeds.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let output = output(command);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).expect("text")
}

/// Standard error of a command that fails.
#[track_caller]
fn fail(command: &mut Command) -> String {
    let output = output(command);
    assert!(!output.status.success(), "{command:?} succeeded");
    String::from_utf8(output.stderr).expect("text")
}

/// `scripts/release-archive` on the binaries that this test run has built.
fn pack(output: &Path) -> Command {
    let bin_dir = bin_dir();
    let (target, profile) = (bin_dir.parent(), bin_dir.file_name());
    let mut command = script("release-archive");
    command
        .env("CARGO_TARGET_DIR", target.expect("target/PROFILE"))
        .args(["--no-build", "--profile"])
        .arg(profile.expect("target/PROFILE"))
        .arg("--output")
        .arg(output)
        .stdout(Stdio::null())
        .stderr(Stdio::inherit());
    command
}

/// The one archive in a directory.
fn archive_in(directory: &Path) -> PathBuf {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let archives: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "gz"))
        .collect();
    assert_eq!(archives.len(), 1, "{archives:?}");
    archives[0].clone()
}

fn files_below(directory: &Path, prefix: &str) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = format!("{prefix}{}", name.expect("a plain name"));
        if path.is_dir() {
            files.extend(files_below(&path, &format!("{name}/")));
        } else {
            files.insert(name);
        }
    }
    files
}

/// Starts `podium local`, posts one activity, and gives the board once it is on it.
async fn post_and_read(podium: &Path) -> String {
    let mut command = tokio::process::Command::new(podium);
    command
        .args([
            "local",
            "--port",
            "0",
            "--aws-port",
            "0",
            "--snapshot-every",
            "1s",
        ])
        .args(["--batching", "prompt"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut program = command.spawn().expect("podium runs");
    let (ready, _stdout) = ready(&mut program).await;
    let url = ready["web"].as_str().expect("an address");

    let http = http_client();
    let activity = json!({"activity_id": "a", "user_id": "ann", "program_id": "p", "kind": "task_completed"});
    let post = http
        .post(format!("{url}/v1/activities"))
        .json(&activity)
        .send()
        .await;
    assert_eq!(post.expect("it answers").status(), 202);
    let until = Instant::now() + PATIENCE;
    let board = loop {
        let answer = http.get(format!("{url}/v1/boards/global")).send().await;
        let answer = answer.expect("it answers");
        if answer.status() == 200 {
            let board: BoardDocument = answer.json().await.expect("a board document");
            if !board.entries.is_empty() {
                break render(&board);
            }
        }
        assert!(Instant::now() < until, "not on the board within {PATIENCE:?}");
        sleep(Duration::from_millis(50)).await;
    };
    let pid = program.id().expect("it runs").to_string();
    succeed(Command::new("kill").args(["-s", "TERM", &pid]));
    let ended = timeout(PATIENCE, program.wait()).await;
    assert_eq!(ended.expect("it ends").expect("it ran").code(), Some(0));
    board
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_is_reproducible_and_holds_a_stack_that_counts() {
    let directory = TempDir::new().expect("a directory");
    let outputs = ["first", "second"].map(|name| directory.path().join(name));
    let packing = outputs
        .each_ref()
        .map(|output| pack(output).spawn().expect("it runs"));
    for mut child in packing {
        assert!(child.wait().expect("it ends").success());
    }
    let archives = outputs.each_ref().map(|output| archive_in(output));
    let [first, second] = archives.each_ref().map(|path| fs::read(path).expect("bytes"));
    assert!(first == second, "two runs differ");
    assert_eq!(
        fs::read(outputs[0].join("SHA256SUMS")).expect("checksums"),
        fs::read(outputs[1].join("SHA256SUMS")).expect("checksums")
    );

    let unpacked = directory.path().join("elsewhere");
    fs::create_dir(&unpacked).expect("a directory");
    succeed(
        Command::new("tar")
            .arg("-xzf")
            .arg(&archives[0])
            .arg("-C")
            .arg(&unpacked),
    );
    let name = archives[0].file_name().and_then(|name| name.to_str());
    let name = name
        .and_then(|name| name.strip_suffix(".tar.gz"))
        .expect("a name");
    assert!(name.starts_with(&format!("podium-{VERSION}-")), "{name}");
    let expected = [
        "CHANGELOG.md",
        "LICENSE",
        "README.md",
        "aggregator",
        "completions/_podium",
        "completions/podium.bash",
        "completions/podium.fish",
        "directory",
        "ingest",
        "notifier",
        "podium",
        "rewards",
        "serve",
        "snapshot",
    ];
    let top = unpacked.join(name);
    assert_eq!(
        files_below(&unpacked, ""),
        expected.map(|file| format!("{name}/{file}")).into()
    );
    let completions = fs::read_to_string(top.join("completions/podium.bash")).expect("a script");
    assert!(completions.contains("complete -F _podium"), "{completions}");

    assert_eq!(post_and_read(&top.join("podium")).await, "1.ann=10/1");
}

#[test]
fn publishing_collects_checksums_and_refuses_what_does_not_match() {
    let directory = TempDir::new().expect("a directory");
    let tag = format!("v{VERSION}");
    let built = |target: &str, version: &str| {
        let built = directory.path().join(target);
        fs::create_dir_all(&built).expect("a directory");
        let archive = built.join(format!("podium-{version}-{target}.tar.gz"));
        fs::write(&archive, target).expect("a file");
        let sums = "import hashlib, pathlib, sys\n\
                    path = pathlib.Path(sys.argv[1])\n\
                    print(hashlib.sha256(path.read_bytes()).hexdigest(), path.name, sep='  ')";
        let sums = succeed(Command::new("python3").args(["-c", sums]).arg(&archive));
        fs::write(built.join("SHA256SUMS"), &sums).expect("a file");
        (archive, sums)
    };
    let publish = |tag: &str| {
        let mut command = script("release-publish");
        command.args([tag, "--dry-run"]).arg(directory.path());
        command
    };
    let nothing = fail(&mut publish(&tag));
    assert!(nothing.contains("no SHA256SUMS"), "{nothing}");

    let (linux, linux_sums) = built("x86_64-unknown-linux-gnu", VERSION);
    let (mac, mac_sums) = built("aarch64-apple-darwin", VERSION);
    // The second run finds the collected checksums of the first.
    for _ in 0..2 {
        let command = succeed(&mut publish(&tag));
        assert!(
            command.starts_with(&format!("gh release create {tag} ")),
            "{command}"
        );
        for file in [&linux, &mac, &directory.path().join("SHA256SUMS")] {
            assert!(
                command.contains(file.to_str().expect("a plain path")),
                "{command}"
            );
        }
        let sums = fs::read_to_string(directory.path().join("SHA256SUMS")).expect("checksums");
        assert_eq!(sums, format!("{mac_sums}{linux_sums}"));
    }

    let wrong_tag = fail(&mut publish("v999.0.0"));
    assert!(
        wrong_tag.contains(&format!("the tag must be {tag}")),
        "{wrong_tag}"
    );
    fs::write(&mac, "damaged").expect("a file");
    fail(&mut publish(&tag));
    fs::write(&mac, "aarch64-apple-darwin").expect("a file");
    succeed(&mut publish(&tag));
    let (_other, _) = built("other", "999.0.0");
    let other_version = fail(&mut publish(&tag));
    assert!(
        other_version.contains("does not belong to version"),
        "{other_version}"
    );
}

#[test]
fn release_notes_are_the_section_of_the_version() {
    let notes = succeed(script("release-notes").arg(VERSION));
    let changelog = read("CHANGELOG.md");
    let heading = format!("\n## [{VERSION}] - ");
    let (_, section) = changelog.split_once(&heading).expect("a section");
    let (_, section) = section.split_once('\n').expect("a heading of one line");
    let section = section.split("\n## ").next().expect("a section");
    assert_eq!(notes.trim(), section.trim());
    assert!(!notes.trim().is_empty());

    let unknown = fail(script("release-notes").arg("999.0.0"));
    assert!(unknown.contains("no section [999.0.0]"), "{unknown}");
    // A version is not a pattern.
    fail(script("release-notes").arg("0?1?0"));
}

/// Every script that a file calls exists and is executable.
fn check_scripts(path: &str) {
    use std::os::unix::fs::PermissionsExt as _;

    let text = read(path);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let mut scripts = text
        .split("scripts/")
        .skip(1)
        .map(|rest| &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())])
        .peekable();
    assert!(scripts.peek().is_some(), "{path} calls no script");
    for script in scripts {
        let metadata = fs::metadata(Path::new(ROOT).join("scripts").join(script));
        let mode = metadata
            .unwrap_or_else(|error| panic!("{path} calls scripts/{script}: {error}"))
            .permissions()
            .mode();
        assert_ne!(mode & 0o111, 0, "scripts/{script} is not executable");
    }
}

/// The words after `name` at the beginning of a line, line by line.
fn instructions<'a>(dockerfile: &'a str, name: &str) -> Vec<Vec<&'a str>> {
    let lines = dockerfile.lines().map(|line| line.split_whitespace());
    lines
        .filter_map(|mut words| (words.next() == Some(name)).then(|| words.collect()))
        .collect()
}

#[test]
fn the_image_is_built_from_what_is_there_and_starts_with_options_that_exist() {
    let dockerfile = read("Dockerfile");
    check_scripts("Dockerfile");
    let ignored = read(".dockerignore");
    let kept: BTreeSet<_> = ignored
        .lines()
        .filter_map(|line| line.strip_prefix('!'))
        .collect();
    let mut sources = BTreeSet::new();
    for mut words in instructions(&dockerfile, "COPY") {
        if words[0].starts_with("--from=") {
            continue;
        }
        words.pop();
        sources.extend(words);
    }
    for source in &sources {
        assert!(Path::new(ROOT).join(source).exists(), "COPY {source}");
    }
    assert_eq!(sources, kept, "COPY, and what .dockerignore keeps");

    let entrypoint = instructions(&dockerfile, "ENTRYPOINT").concat().join(" ");
    let words: Vec<String> = serde_json::from_str(&entrypoint).expect("the form of a list");
    assert_eq!(words[..2], ["podium", "local"]);
    let help = succeed(Command::new(bin_dir().join("podium")).args(["local", "--help"]));
    let options: BTreeSet<_> = help.split_whitespace().collect();
    for option in words.iter().filter(|word| word.starts_with("--")) {
        assert!(options.contains(option.as_str()), "podium local has no {option}");
    }
    for port in instructions(&dockerfile, "EXPOSE").concat() {
        assert!(help.contains(&format!("[default: {port}]")), "{port}: {help}");
    }
    assert!(!instructions(&dockerfile, "USER").is_empty(), "it runs as root");
}

/// The permissions of each job, and under `""` those of the workflow.
fn permissions(workflow: &str) -> BTreeMap<&str, Vec<&str>> {
    let mut permissions = BTreeMap::new();
    let mut job = "";
    let mut lines = workflow.lines().peekable();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        match indent {
            0 => job = "",
            2 if line.ends_with(':') => job = line.trim().trim_end_matches(':'),
            _ => {}
        }
        let Some(inline) = line.trim().strip_prefix("permissions:") else {
            continue;
        };
        let mut given = vec![inline.trim()];
        given.retain(|text| !text.is_empty());
        while let Some(line) = lines.next_if(|line| line.len() - line.trim_start().len() > indent) {
            given.push(line.trim());
        }
        assert!(permissions.insert(job, given).is_none(), "{job} has two");
    }
    permissions
}

#[test]
fn only_the_job_that_publishes_may_write() {
    let workflow = read(".github/workflows/release.yml");
    check_scripts(".github/workflows/release.yml");
    assert!(!workflow.contains('\t'), "YAML knows no tabs");
    let reads = || vec!["contents: read"];
    assert_eq!(
        permissions(&workflow),
        BTreeMap::from([
            ("", vec!["{}"]),
            ("check", reads()),
            ("binaries", reads()),
            ("lambda", reads()),
            ("publish", vec!["contents: write"]),
        ])
    );
    let podium = read(".github/workflows/podium.yml");
    for line in workflow.lines().filter(|line| line.contains("uses:")) {
        let (action, version) = line.split_once(" # v").expect("the version of a pinned action");
        let (name, commit) = action.split_once('@').expect("a pinned action");
        let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert!(is_commit && !version.is_empty(), "{line}");
        assert!(!name.contains("cache"), "{line}");
        if podium.contains(&format!("{}@", name.trim_start_matches([' ', '-']))) {
            assert!(podium.contains(line.trim()), "podium.yml pins another: {line}");
        }
    }
    assert!(!workflow.contains("id-token"));
}

#[test]
fn releases_are_built_with_the_rust_that_the_workspace_needs() {
    let needed = env!("CARGO_PKG_RUST_VERSION");
    let (dockerfile, workflow) = (read("Dockerfile"), read(".github/workflows/release.yml"));
    let image = dockerfile.split("FROM rust:").nth(1).expect("an image of Rust");
    let image = image.split('-').next().expect("a version");
    assert!(image.starts_with(&format!("{needed}.")), "{image}");
    let mut installed = workflow.split("rustup toolchain install ").skip(1).peekable();
    assert!(installed.peek().is_some());
    for rest in installed {
        assert_eq!(rest.split_whitespace().next(), Some(image));
    }
}
