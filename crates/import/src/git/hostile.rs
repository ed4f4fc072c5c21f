//! Repositories whose configuration would run a command. Each case first shows that git alone runs it.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use jiff::Timestamp;

use super::{
    super::batch::{Batch, Batcher},
    Repository,
    tests::{ANN, Fixture, git},
};

/// The commit that a partial clone lacks.
const MISSING: &str = "1111111111111111111111111111111111111111";

/// A script that creates `marker`, and may not do what its caller expects of it.
fn write_trap(directory: &Path, marker: &Path) -> PathBuf {
    let trap = directory.join("trap");
    fs::write(
        &trap,
        format!("#!/bin/sh\ntouch '{}'\nexit 1\n", marker.display()),
    )
    .expect("a script");
    fs::set_permissions(&trap, fs::Permissions::from_mode(0o755)).expect("permissions");
    trap
}

/// Imports what can be imported. Whether that fails is not the question here.
fn import(path: &Path) -> anyhow::Result<()> {
    let mut batcher = Batcher::new(100, |_: Batch| std::ops::ControlFlow::Continue(()));
    Repository::open(path, None, true)?.read(Timestamp::now(), &mut batcher)?;
    Ok(())
}

/// Runs git as a user would, with whatever it starts.
fn fall_into_the_trap(path: &Path, args: &[&str]) {
    let run = |mut git: Command| git.stdout(Stdio::null()).stderr(Stdio::null()).status();
    let mut command = git(path);
    command.args(args);
    // It fails, since a trap does not do what git expects of it.
    let _failed = run(command).expect("git runs");
}

#[test]
fn no_setting_of_a_repository_runs_a_command() {
    let log: &[&str] = &["log", "--all"];
    let promisor = "[extensions]\npartialClone = origin\n[remote \"origin\"]\npromisor = true\n";
    for (name, config, args) in [
        (
            "ssh",
            format!("{promisor}url = ssh://host/path\n[core]\nsshCommand = TRAP\n"),
            log,
        ),
        (
            "ext",
            format!("{promisor}url = \"ext::TRAP\"\n[protocol \"ext\"]\nallow = always\n"),
            log,
        ),
        (
            "proxy",
            format!("{promisor}url = git://host/path\n[core]\ngitProxy = TRAP\n"),
            log,
        ),
        (
            "upload-pack",
            format!("{promisor}url = REPOSITORY\nuploadpack = TRAP\n"),
            log,
        ),
        (
            "upload-pack of a tag",
            format!("{promisor}url = REPOSITORY\nuploadpack = TRAP\n"),
            &["for-each-ref", "--format=%(authorname)"],
        ),
        (
            "signature",
            "[log]\nshowSignature = true\n[gpg]\nprogram = TRAP\n".to_owned(),
            &["log", "-1", "signed"],
        ),
        ("fsmonitor", "[core]\nfsmonitor = TRAP\n".to_owned(), &["status"]),
        (
            "external diff",
            "[diff]\nexternal = TRAP\n".to_owned(),
            &["log", "-p", "--ext-diff", "written"],
        ),
    ] {
        let history = Fixture::new();
        let path = history.path();
        let marker = path.join("marker");
        let trap = write_trap(path.parent().expect("a parent"), &marker);
        fs::write(path.join("file"), "x").expect("a file");
        history.run(ANN.0, ANN.1, 0, &["add", "file"]);
        history.run(ANN.0, ANN.1, 1_000_000_000, &["commit", "-q", "-m", "x"]);
        history.run(ANN.0, ANN.1, 0, &["branch", "written"]);
        sign(&history);
        let missing = if name.contains("tag") {
            "refs/tags/missing"
        } else {
            "refs/heads/missing"
        };
        if config.contains("promisor") {
            fs::write(path.join(".git").join(missing), format!("{MISSING}\n")).expect("a ref");
        }
        let config = config
            .replace("TRAP", trap.to_str().expect("text"))
            .replace("REPOSITORY", path.to_str().expect("text"));
        let file = path.join(".git/config");
        let was = fs::read_to_string(&file).expect("a configuration");
        let was = was.replace("repositoryformatversion = 0", "repositoryformatversion = 1");
        fs::write(&file, format!("{was}\n{config}")).expect("written");

        fall_into_the_trap(&path, args);
        assert!(
            marker.exists(),
            "{name}: this git does not run it, so the case shows nothing"
        );
        fs::remove_file(&marker).expect("removed");
        let imported = import(&path);
        assert!(!marker.exists(), "{name}: {imported:?}");
        assert_eq!(
            imported.is_err(),
            config.contains("promisor"),
            "{name}: {imported:?}"
        );
    }
}

/// A branch whose commit has a signature, which only showing it checks.
fn sign(history: &Fixture) {
    let tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    let commit = format!(
        "tree {tree}\nauthor A <a@x> 1000000000 +0000\ncommitter A <a@x> 1000000000 +0000\n\
         gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----\n\nx\n"
    );
    let file = history.path().parent().expect("a parent").join("commit");
    fs::write(&file, commit).expect("a file");
    let file = file.to_str().expect("text");
    let hashed = git(&history.path())
        .args(["hash-object", "-t", "commit", "-w", file])
        .output()
        .expect("git runs");
    let hash = String::from_utf8(hashed.stdout).expect("a hash");
    history.run(ANN.0, ANN.1, 0, &["hash-object", "-t", "tree", "-w", "/dev/null"]);
    history.run(ANN.0, ANN.1, 0, &["branch", "signed", hash.trim()]);
}

#[test]
fn a_repository_that_was_committed_is_not_read_unless_it_is_elsewhere() {
    let history = Fixture::new();
    history.commit(ANN.0, ANN.1, 1_000_000_000);
    let inner = history.path().join("docs/inner");
    fs::create_dir_all(inner.parent().expect("a parent")).expect("a directory");
    let inner = inner.to_str().expect("text");
    history.run(ANN.0, ANN.1, 0, &["clone", "-q", "--bare", ".", inner]);
    let inner = Path::new(inner);
    let marker = history.path().join("marker");
    let trap = write_trap(history.path().parent().expect("a parent"), &marker);
    let config = inner.join("config");
    let was = fs::read_to_string(&config).expect("a configuration");
    let line = format!(
        "{was}[core]\nbare = false\nworktree = ..\nfsmonitor = {}\n",
        trap.display()
    );
    fs::write(&config, line).expect("written");
    fall_into_the_trap(inner, &["status"]);
    assert!(
        marker.exists(),
        "this git does not run it, so the case shows nothing"
    );
    fs::remove_file(&marker).expect("removed");

    let error = import(inner).expect_err("it is refused");
    assert!(
        error
            .to_string()
            .contains("is a bare repository in the working tree of"),
        "{error:#}"
    );
    let error = import(&inner.join("objects")).expect_err("it is refused");
    assert!(error.to_string().contains("git could not read"), "{error:#}");
    assert!(!marker.exists());

    fs::write(&config, was).expect("written");
    let elsewhere = history.path().with_file_name("elsewhere.git");
    fs::rename(inner, &elsewhere).expect("moved");
    import(&elsewhere).expect("it is read");
    import(&history.path().join("docs")).expect("the outer one is read from within");
    import(&history.path().join(".git")).expect("its directory is read");
}

#[test]
fn a_mailmap_comes_from_the_history_and_is_a_file() {
    let history = Fixture::new();
    history.commit(ANN.0, ANN.1, 1_000_000_000);
    let names = history.path().with_file_name("names");
    fs::write(&names, "Eve <eve@example.com> <ann@example.com>\n").expect("a file");
    let names = names.to_str().expect("text");
    history.run(ANN.0, ANN.1, 0, &["config", "mailmap.file", names]);
    assert!(history.read(true).0[0].contains(" ann-lee "));

    let pipe = history.path().join(".mailmap");
    assert!(
        Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .expect("mkfifo runs")
            .success()
    );
    let error = import(&history.path()).expect_err("it would wait for ever");
    assert!(
        error.to_string().ends_with(".mailmap is not a regular file"),
        "{error:#}"
    );
}
