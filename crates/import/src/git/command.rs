//! Runs `git` on a repository that may be hostile: its files can be anything, its configuration included.
//!
//! Git runs programs that a repository's configuration names: to fetch missing objects of a partial clone, to
//! check signatures, to show differences, to watch files. Nothing that an import reads needs them, so all are
//! off: objects are never fetched, every transport is forbidden, and settings that name a program are
//! overridden. The configuration of the system and the user is not read, since a repository can choose what in
//! it applies. Only `safe.directory` is taken from there: git still refuses a repository of another owner
//! unless the user trusts it.

use std::{
    env,
    ffi::OsString,
    fs::{self, File},
    io::{Read as _, Seek as _},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::LazyLock,
};

use anyhow::{Context, bail, ensure};
use terminal::text::printable_lines;

/// Settings of every call. Each would otherwise run a program, or read a file, that the repository names.
const SETTINGS: &[&str] = &[
    "core.alternateRefsCommand=false",
    "core.askPass=",
    "core.attributesFile=/dev/null",
    "core.editor=false",
    "core.excludesFile=/dev/null",
    "core.fsmonitor=false",
    "core.gitProxy=none",
    "core.hooksPath=/dev/null",
    "core.pager=cat",
    "core.sshCommand=false",
    "credential.helper=",
    "diff.external=",
    "gpg.format=openpgp",
    "gpg.openpgp.program=false",
    "gpg.program=false",
    "gpg.ssh.program=false",
    "gpg.x509.program=false",
    "log.mailmap=true",
    "log.showSignature=false",
    "mailmap.file=",
    "maintenance.auto=false",
    "gc.auto=0",
    "protocol.allow=never",
    "submodule.recurse=false",
    "uploadpack.packObjectsHook=",
];

const ENVIRONMENT: &[(&str, &str)] = &[
    // Takes precedence over `protocol.NAME.allow` of the repository. No transport has this name.
    ("GIT_ALLOW_PROTOCOL", "none"),
    ("GIT_ASKPASS", "false"),
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_SYSTEM", "/dev/null"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_PAGER", "cat"),
    ("GIT_SSH_COMMAND", "false"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("SSH_ASKPASS", "false"),
];

/// How much of git's messages an error shows.
const STDERR_BYTES_MAX: u64 = 4 * 1024;

/// How git finds the repository to read.
pub struct Location {
    path: PathBuf,
    is_bare: bool,
}

impl Location {
    /// A bare repository is read only if `path` names it. One that lies in the working tree of another is
    /// refused: it may be part of what was cloned, and then nobody chose to trust it.
    pub fn of(path: &Path) -> anyhow::Result<Self> {
        let path = fs::canonicalize(path).with_context(|| format!("could not read {}", path.display()))?;
        let is_bare =
            path.join("HEAD").is_file() && path.join("objects").is_dir() && path.join("refs").is_dir();
        if is_bare {
            let around = path.ancestors().skip(1).find(|directory| {
                let git = directory.join(".git");
                git.exists() && !path.starts_with(&git)
            });
            if let Some(around) = around {
                bail!(
                    "{} is a bare repository in the working tree of {}, and may come from there; clone or copy it to \
                     another place to import it",
                    path.display(),
                    around.display()
                );
            }
        }
        Ok(Self { path, is_bare })
    }

    /// A call of git that can only read this repository.
    pub fn git(&self) -> Command {
        let mut git = hardened();
        // The repository that discovery finds above the path must not be a bare one.
        let bare = if self.is_bare { "all" } else { "explicit" };
        git.arg("-c").arg(format!("safe.bareRepository={bare}"));
        for directory in SAFE_DIRECTORIES.iter() {
            git.arg("-c").arg(directory);
        }
        git.arg("-C").arg(&self.path);
        git
    }

    /// The output of a short call.
    pub fn output(&self, args: &[&str]) -> anyhow::Result<Output> {
        self.git()
            .args(args)
            .output()
            .context("could not run `git`; install it or check PATH")
    }
}

fn hardened() -> Command {
    let mut git = Command::new("git");
    // Variables such as GIT_DIR would take precedence over the path, and others name programs.
    for (name, _) in env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"GIT_") {
            git.env_remove(name);
        }
    }
    git.envs(ENVIRONMENT.iter().copied()).stdin(Stdio::null());
    git.arg("--no-pager");
    for setting in SETTINGS {
        git.args(["-c", setting]);
    }
    git
}

/// The `safe.directory` settings of the system and the user, as git itself would apply them.
static SAFE_DIRECTORIES: LazyLock<Vec<OsString>> = LazyLock::new(|| {
    let mut settings = Vec::new();
    for scope in ["--system", "--global"] {
        let mut git = hardened();
        for name in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM"] {
            git.env_remove(name);
        }
        let listed = git
            .args(["-C", "/", "config", scope, "--includes", "--null"])
            .args(["--get-all", "safe.directory"])
            .stderr(Stdio::null())
            .output();
        // Without git or without the setting there is nothing to apply.
        let listed = listed.map(|output| output.stdout).unwrap_or_default();
        let values = listed.split_inclusive(|byte| *byte == 0);
        for value in values.filter_map(|value| value.strip_suffix(b"\0")) {
            settings.push(format!("safe.directory={}", String::from_utf8_lossy(value)).into());
        }
    }
    settings
});

/// A running git whose messages are kept for the error.
pub struct Running {
    git: Child,
    messages: File,
}

impl Running {
    /// Starts git with its output piped.
    pub fn start(mut git: Command) -> anyhow::Result<Self> {
        let messages = tempfile::tempfile().context("could not create a temporary file")?;
        let stderr = messages.try_clone().context("could not use a temporary file")?;
        let git = git
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .context("could not run `git`")?;
        Ok(Self { git, messages })
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.git
    }

    pub fn stop(mut self) -> anyhow::Result<()> {
        self.git.kill().context("could not stop git")?;
        self.git.wait().context("could not wait for git to end")?;
        Ok(())
    }

    /// Waits until git ends, and fails with its messages if it fails.
    pub fn finish(mut self) -> anyhow::Result<()> {
        let status = self.git.wait().context("could not wait for git to end")?;
        if status.success() {
            return Ok(());
        }
        let mut messages = Vec::new();
        self.messages.rewind().context("could not read git's messages")?;
        self.messages
            .take(STDERR_BYTES_MAX)
            .read_to_end(&mut messages)
            .context("could not read git's messages")?;
        ensure!(!messages.is_empty(), "git failed: {status}");
        bail!("git could not read the history: {}", describe(&messages))
    }
}

/// Git's messages, which may quote the repository.
pub fn describe(messages: &[u8]) -> String {
    printable_lines(String::from_utf8_lossy(messages).trim())
}
