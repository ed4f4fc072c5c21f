//! A copy of the scripts, with stand-ins for the programs that they call.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

pub fn read(path: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

pub struct Sandbox {
    directory: TempDir,
}

/// How a script ended, and all that it printed.
pub struct Ended {
    pub status: Option<i32>,
    pub output: String,
}

impl Sandbox {
    /// Holds these files of the repository.
    pub fn with(files: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        for file in files {
            let copy = directory.path().join(file);
            fs::create_dir_all(copy.parent().expect("it is in a directory")).expect("a directory");
            fs::copy(Path::new(ROOT).join(file), copy).unwrap_or_else(|error| panic!("{file}: {error}"));
        }
        Self { directory }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    pub fn write(&self, file: &str, text: &str) {
        let path = self.path(file);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
        fs::write(path, text).expect("it can be written");
    }

    /// Puts a program in front of all others of its name. It writes its arguments to `calls` and then runs `body`, a
    /// script for bash.
    pub fn program(&self, name: &str, body: &str) {
        let file = format!("bin/{name}");
        let calls = self.path("calls");
        let call = format!("echo \"{name} $*\" >>'{}'", calls.display());
        self.write(&file, &format!("#!/usr/bin/env bash\n{call}\n{body}\n"));
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.path(&file), executable).expect("it can be made executable");
    }

    /// The calls of the programs, in order.
    pub fn calls(&self) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        calls.lines().map(str::to_owned).collect()
    }

    pub fn run(&self, script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Ended {
        let path = std::env::var("PATH").unwrap_or_default();
        let output = Command::new(self.path("scripts").join(script))
            .args(arguments)
            .env("PATH", format!("{}:{path}", self.path("bin").display()))
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env_remove("PODIUM_ACCOUNT_ID")
            .env_remove("PODIUM_STATE_BUCKET")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .output()
            .expect("the script runs");
        let text = [output.stdout, output.stderr].concat();
        Ended {
            status: output.status.code(),
            output: String::from_utf8_lossy(&text).into_owned(),
        }
    }
}
