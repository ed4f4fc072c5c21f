//! The position of an interrupted import.
//!
//! The position is kept next to the file, where the next import finds it, whatever account runs it. It
//! only saves time: activity ids make sending a line again harmless, so the position may lag behind.

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

/// How much of the beginning of the file the fingerprint covers.
const HEAD_BYTES: u64 = 1024 * 1024;

/// Saving the position more often would cost more time than it saves.
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
            // Reading the beginning of a pipe would consume it.
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
    /// Loads the position of an earlier import of the same file to the same target, or begins at the start
    /// of the file.
    pub fn open(file: &Path, target: &str, from_start: bool) -> anyhow::Result<Self> {
        let fingerprint =
            Fingerprint::of(file).with_context(|| format!("could not read {}", file.display()))?;
        let path = journal_path(file);
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

    /// Lines done, counted from the first without a gap.
    pub fn lines_done(&self) -> u64 {
        self.position.lines_done
    }

    pub fn tally(&self) -> &Tally {
        &self.position.tally
    }

    /// Notes that all lines up to `lines_done` are done, and saves that from time to time.
    pub fn advance(&mut self, lines_done: u64, tally: Tally) -> anyhow::Result<()> {
        debug_assert!(
            lines_done >= self.position.lines_done,
            "batches are settled in the order of the file"
        );
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

    /// Writes atomically, so that the next import sees the old position or the new one.
    fn write(&self) -> io::Result<()> {
        let mut draft = self.path.clone().into_os_string();
        draft.push(".new");
        fs::write(&draft, serde_json::to_vec(&self.position)?)?;
        fs::rename(&draft, &self.path)
    }

    /// Removes the position: nothing is left to resume.
    pub fn finish(self) -> anyhow::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

fn journal_path(file: &Path) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(SUFFIX);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TARGET: &str = "http://127.0.0.1:7000/";

    /// Interrupts an import at line 7, and checks the line at which the next one resumes.
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
            |file| fs::write(journal_path(file), "{").expect("torn"),
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
