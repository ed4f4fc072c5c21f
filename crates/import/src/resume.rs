//! The position of an interrupted import.
//!
//! It is kept next to the file and only saves time: activity ids make sending a record again harmless. So a
//! position is used only if everything fits, and it may lag behind.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tempfile::NamedTempFile;

use super::{
    batch::{Digest, Read},
    records::Start,
    shape::Shape,
    tally::Tally,
};

/// Added to the name of the file.
const SUFFIX: &str = ".podium-import";

/// A position has a few kilobytes.
const POSITION_BYTES_MAX: u64 = 1024 * 1024;

/// Saving the position more often would cost more time than it saves.
const SAVE_EVERY: Duration = Duration::from_millis(500);

/// Which import this is a position of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Import {
    target: String,
    bytes: u64,
    device: u64,
    inode: u64,
    /// A hash of the options that make activities of records.
    shape: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Position {
    import: Import,
    records_done: u64,
    /// Of what was read up to there.
    digest: Digest,
    tally: Tally,
}

/// The position of one import of one file to one target, on disk and in memory.
pub struct Journal {
    path: PathBuf,
    position: Position,
    saved_at: Option<Instant>,
    /// Whether the file at `path` is ours to remove.
    is_ours: bool,
}

impl Journal {
    /// Loads the position of an earlier import of the same file to the same target, or begins at the start
    /// of the file. Returns why a position that exists is not used.
    pub fn open(
        file: &Path,
        target: &str,
        shape: &Shape,
        from_start: bool,
    ) -> anyhow::Result<(Self, Option<String>)> {
        let metadata = fs::metadata(file).with_context(|| format!("could not read {}", file.display()))?;
        let import = Import {
            target: target.to_owned(),
            bytes: metadata.len(),
            device: metadata.dev(),
            inode: metadata.ino(),
            shape: format!("{:x}", Sha256::digest(format!("{shape:?}"))),
        };
        let path = journal_path(file);
        let loaded = if from_start {
            Ok(None)
        } else {
            load(&path, &import)
        };
        let (position, refused) = match loaded {
            Ok(position) => (position, None),
            Err(error) => (None, Some(format!("{} is not used: {error:#}", path.display()))),
        };
        let is_ours = position.is_some();
        let position = position.unwrap_or_else(|| Position {
            import,
            records_done: 0,
            digest: Digest::default(),
            tally: Tally::default(),
        });
        let journal = Self {
            path,
            position,
            saved_at: None,
            is_ours,
        };
        Ok((journal, refused))
    }

    pub fn file_bytes(&self) -> u64 {
        self.position.import.bytes
    }

    /// Where to go on: after the records that are done, counted from the first without a gap.
    pub fn start(&self) -> Start {
        Start {
            records: self.position.records_done,
            digest: self.position.digest,
        }
    }

    pub fn tally(&self) -> &Tally {
        &self.position.tally
    }

    /// Notes that everything up to `read` is done, and saves that from time to time.
    pub fn advance(&mut self, read: Read, tally: Tally) -> anyhow::Result<()> {
        debug_assert!(
            read.records >= self.position.records_done,
            "batches are settled in the order of the file"
        );
        self.position.records_done = read.records;
        self.position.digest = read.digest;
        self.position.tally.add(tally);
        if self.saved_at.is_none_or(|at| at.elapsed() >= SAVE_EVERY) {
            self.save()?;
        }
        Ok(())
    }

    pub fn save(&mut self) -> anyhow::Result<()> {
        self.saved_at = Some(Instant::now());
        self.write()
            .with_context(|| format!("could not write {}", self.path.display()))?;
        self.is_ours = true;
        Ok(())
    }

    /// Writes atomically, so that the next import sees the old position or the new one. What has the name,
    /// even a link, is replaced and not written to.
    fn write(&self) -> anyhow::Result<()> {
        let directory = match self.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let draft = NamedTempFile::new_in(directory)?;
        serde_json::to_writer(&draft, &self.position)?;
        draft.persist(&self.path)?;
        Ok(())
    }

    /// Removes the position: nothing is left to resume.
    pub fn finish(self) -> anyhow::Result<()> {
        if !self.is_ours {
            return Ok(());
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).with_context(|| format!("could not remove {}", self.path.display()))
            }
            _ => Ok(()),
        }
    }
}

/// Reads a position that only this user can have written. Whether the records before it are the same shows
/// when they are read.
fn load(path: &Path, import: &Import) -> anyhow::Result<Option<Position>> {
    let named = match path.symlink_metadata() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        named => named?,
    };
    ensure!(named.is_file(), "it is not a regular file");
    ensure!(
        named.uid() == rustix::process::geteuid().as_raw() && named.mode() & 0o022 == 0,
        "another user owns it or may write to it"
    );
    let file = File::open(path)?;
    let opened = file.metadata()?;
    ensure!(
        (opened.dev(), opened.ino()) == (named.dev(), named.ino()),
        "it was replaced"
    );
    let mut json = Vec::new();
    file.take(POSITION_BYTES_MAX).read_to_end(&mut json)?;
    let position: Position = serde_json::from_slice(&json).context("it is no position of an import")?;
    ensure!(
        position.import == *import,
        "it is of another file, another address or other options"
    );
    Ok(Some(position))
}

fn journal_path(file: &Path) -> PathBuf {
    let mut path = OsString::from(file);
    path.push(SUFFIX);
    path.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const TARGET: &str = "http://127.0.0.1:7000/";

    /// Interrupts an import at record 7, and checks where the next one resumes, and what it says if it does
    /// not.
    fn check(change: impl FnOnce(&Path), target: &str, from_start: bool, expected: u64, refused: &str) {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.jsonl");
        fs::write(&file, "{}\n".repeat(9)).expect("a file");
        let shape = Shape::default();
        let (mut journal, _) = Journal::open(&file, TARGET, &shape, false).expect("opened");
        let mut tally = Tally::default();
        tally.accepted = 7;
        let read = Read {
            records: 7,
            ..Read::default()
        };
        journal.advance(read, tally).expect("saved");
        change(&file);
        let (journal, reason) = Journal::open(&file, target, &shape, from_start).expect("opened");
        assert_eq!(journal.start().records, expected);
        assert_eq!(journal.tally().accepted, expected);
        let reason = reason.unwrap_or_default();
        assert!(
            reason.contains(refused) && reason.is_empty() == refused.is_empty(),
            "{reason}"
        );
    }

    #[test]
    fn goes_on_only_with_the_same_file_to_the_same_target() {
        check(|_| (), TARGET, false, 7, "");
        check(|_| (), TARGET, true, 0, "");
        check(|_| (), "https://elsewhere.example/", false, 0, "of another file");
        check(
            |file| fs::write(file, "{}\n".repeat(10)).expect("longer"),
            TARGET,
            false,
            0,
            "of another file",
        );
        check(
            |file| {
                let copy = file.with_extension("copy");
                fs::copy(file, &copy).expect("copied");
                fs::rename(copy, file).expect("another file of this name");
            },
            TARGET,
            false,
            0,
            "of another file",
        );
        check(
            |file| fs::write(journal_path(file), "{").expect("torn"),
            TARGET,
            false,
            0,
            "no position of an import",
        );
    }

    #[test]
    fn a_position_that_someone_else_may_have_written_is_not_used() {
        check(
            |file| {
                let writable = fs::Permissions::from_mode(0o666);
                fs::set_permissions(journal_path(file), writable).expect("permissions");
            },
            TARGET,
            false,
            0,
            "may write to it",
        );
        check(
            |file| {
                let elsewhere = file.with_extension("position");
                fs::rename(journal_path(file), &elsewhere).expect("moved");
                symlink(elsewhere, journal_path(file)).expect("a link");
            },
            TARGET,
            false,
            0,
            "not a regular file",
        );
    }

    #[test]
    fn a_link_with_the_name_of_the_position_is_replaced_and_not_followed() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.jsonl");
        let victim = directory.path().join("victim");
        for path in [&file, &victim] {
            fs::write(path, "{}").expect("a file");
        }
        for name in [".podium-import", ".podium-import.new"] {
            symlink(&victim, directory.path().join(format!("a.jsonl{name}"))).expect("a link");
        }
        let (mut journal, _) = Journal::open(&file, TARGET, &Shape::default(), false).expect("opened");
        journal.advance(Read::default(), Tally::default()).expect("saved");
        journal.finish().expect("removed");
        assert_eq!(fs::read_to_string(&victim).expect("it is still there"), "{}");
    }

    #[test]
    fn a_finished_import_leaves_nothing_behind_and_removes_nothing_else() {
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("a.jsonl");
        fs::write(&file, "{}").expect("a file");
        let names = || -> Vec<_> {
            let entries = fs::read_dir(&directory).expect("listed");
            let mut names: Vec<_> = entries.map(|e| e.expect("entry").file_name()).collect();
            names.sort();
            names
        };
        let open = || {
            Journal::open(&file, TARGET, &Shape::default(), false)
                .expect("opened")
                .0
        };
        let mut journal = open();
        journal.advance(Read::default(), Tally::default()).expect("saved");
        journal.finish().expect("removed");
        assert_eq!(names(), ["a.jsonl"]);
        fs::write(journal_path(&file), "of someone").expect("a file");
        open().finish().expect("nothing to do");
        assert_eq!(names(), ["a.jsonl", "a.jsonl.podium-import"]);
    }
}
