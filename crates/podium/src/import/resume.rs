//! Where an import had come to when it was interrupted.
//!
//! The position is kept beside the file: it is found by whoever imports it next, from whatever
//! account, and it goes when the file goes. It only saves time: activity ids make sending a
//! line again harmless, so the position may lag behind what was sent.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::tally::Tally;

/// Added to the name of the file.
const SUFFIX: &str = ".podium-import";

/// How much of the beginning of the file tells it from another.
const HEAD_BYTES: u64 = 1024 * 1024;

/// Writing the position more often would cost more than it can save.
const SAVE_EVERY: Duration = Duration::from_millis(500);

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Fingerprint {
    bytes: u64,
    head_sha256: String,
}

impl Fingerprint {
    fn of(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            // A pipe would be used up by looking at its beginning.
            return Err(io::Error::other("it is not a regular file"));
        }
        let bytes = metadata.len();
        let mut head = Vec::new();
        file.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
        Ok(Self {
            bytes,
            head_sha256: format!("{:x}", Sha256::digest(&head)),
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Position {
    target: String,
    file: Fingerprint,
    lines_done: u64,
    tally: Tally,
}

/// The position of one import of one file to one target, on disk and in memory.
pub struct Journal {
    path: PathBuf,
    position: Position,
    saved_at: Option<Instant>,
}

impl Journal {
    /// Opens the position left by an earlier import of the same file to the same target, or
    /// begins at the start of the file.
    pub fn open(file: &Path, target: &str, from_start: bool) -> anyhow::Result<Self> {
        let fingerprint =
            Fingerprint::of(file).with_context(|| format!("could not read {}", file.display()))?;
        let path = beside(file);
        let left = fs::read(&path).ok();
        let left = left.and_then(|json| serde_json::from_slice::<Position>(&json).ok());
        let position = left
            .filter(|left| !from_start && left.target == target && left.file == fingerprint)
            .unwrap_or_else(|| Position {
                target: target.to_owned(),
                file: fingerprint,
                lines_done: 0,
                tally: Tally::default(),
            });
        Ok(Self {
            path,
            position,
            saved_at: None,
        })
    }

    pub fn file_bytes(&self) -> u64 {
        self.position.file.bytes
    }

    /// Lines done, from the first on without a gap.
    pub fn lines_done(&self) -> u64 {
        self.position.lines_done
    }

    pub fn tally(&self) -> &Tally {
        &self.position.tally
    }

    /// Notes that all is done up to and with line `lines_done`, and saves that now and then.
    pub fn advance(&mut self, lines_done: u64, tally: Tally) -> anyhow::Result<()> {
        self.position.lines_done = lines_done;
        self.position.tally.add(tally);
        if self.saved_at.is_none_or(|at| at.elapsed() >= SAVE_EVERY) {
            self.save()?;
        }
        Ok(())
    }

    pub fn save(&mut self) -> anyhow::Result<()> {
        self.saved_at = Some(Instant::now());
        self.write()
            .with_context(|| format!("could not write {}", self.path.display()))
    }

    /// A reader, or the next import, sees the old position or the new one, never half of one.
    fn write(&self) -> io::Result<()> {
        let mut draft = self.path.clone().into_os_string();
        draft.push(".new");
        fs::write(&draft, serde_json::to_vec(&self.position)?)?;
        fs::rename(&draft, &self.path)
    }

    /// Removes the position: nothing is left to go on with.
    pub fn finish(self) -> anyhow::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

fn beside(file: &Path) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(SUFFIX);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "http://127.0.0.1:7000/";

    /// The line an import goes on from after one that was left at line 7.
    fn check(change: impl FnOnce(&Path), target: &str, from_start: bool, expected: u64) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.jsonl");
        fs::write(&file, "{}\n".repeat(9)).expect("a file");
        let mut journal = Journal::open(&file, TARGET, false).expect("opened");
        let mut tally = Tally::default();
        tally.accepted = 7;
        journal.advance(7, tally).expect("saved");
        change(&file);
        let journal = Journal::open(&file, target, from_start).expect("opened");
        assert_eq!(journal.lines_done(), expected);
        assert_eq!(journal.tally().accepted, expected);
    }

    #[test]
    fn goes_on_only_with_the_same_file_to_the_same_target() {
        check(|_| (), TARGET, false, 7);
        check(|_| (), TARGET, true, 0);
        check(|_| (), "https://elsewhere.example/", false, 0);
        check(
            |file| fs::write(file, "{}\n".repeat(10)).expect("longer"),
            TARGET,
            false,
            0,
        );
        check(
            |file| fs::write(file, "[]\n".repeat(9)).expect("other"),
            TARGET,
            false,
            0,
        );
        check(
            |file| fs::write(beside(file), "{").expect("torn"),
            TARGET,
            false,
            0,
        );
    }

    #[test]
    fn a_finished_import_leaves_nothing_behind() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.jsonl");
        fs::write(&file, "{}").expect("a file");
        let mut journal = Journal::open(&file, TARGET, false).expect("opened");
        journal.advance(1, Tally::default()).expect("saved");
        journal.finish().expect("removed");
        let names: Vec<_> = fs::read_dir(&directory)
            .expect("listed")
            .map(|e| e.expect("entry").file_name())
            .collect();
        assert_eq!(names, ["a.jsonl"]);
    }
}
