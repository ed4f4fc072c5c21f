//! How far a migration is, in files of the current directory. Each file has one writer, and is replaced as a whole.

use std::fs;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;

use anyhow::{Context as _, ensure};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use crate::follow::Followed;

/// A state has a few kilobytes: a line for each shard or segment.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A process that follows a stream writes at least this often while it runs. It is taken to be stopped when it has not
/// written for [`STOPPED_AFTER`].
pub const BEAT_EVERY: SignedDuration = SignedDuration::from_secs(1);
const STOPPED_AFTER: SignedDuration = SignedDuration::from_secs(15);

/// The files of the migration from tables with this prefix.
#[derive(Clone, Debug)]
pub struct Files {
    prefix: String,
}

/// What a file is about.
#[derive(Clone, Copy, Debug)]
pub enum File {
    Mapping,
    Policy,
    Migration,
    Tail,
    Backfill,
    Mirror,
}

/// What the short stages found and did.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Migration {
    pub planned_at: Option<Timestamp>,
    pub verified: Option<Verified>,
    pub shadowed: Option<Shadowed>,
    /// Since when people are to use Podium.
    pub cut_over_at: Option<Timestamp>,
    /// Since when it is known that they do.
    pub arrived_at: Option<Timestamp>,
    pub rolled_back_at: Option<Timestamp>,
    pub finished_at: Option<Timestamp>,
}

/// The latest comparison of the systems.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verified {
    pub at: Timestamp,
    pub facts: u64,
    /// Differences that Podium made.
    pub ours: u64,
    /// By how much the other system's total of a person differs from the person's facts, where it does.
    pub points: std::collections::BTreeMap<String, i64>,
}

/// The latest comparison of the boards.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Shadowed {
    pub at: Timestamp,
    pub rows: u64,
    pub different: u64,
}

impl Files {
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
        }
    }

    pub fn path(&self, file: File) -> PathBuf {
        let name = match file {
            File::Mapping => "mapping",
            File::Policy => "policy",
            File::Migration => "migration",
            File::Tail => "tail",
            File::Backfill => "backfill",
            File::Mirror => "mirror",
        };
        format!("{}.podium-{name}.json", self.prefix).into()
    }

    /// The text of a file; `None` if it is not there.
    pub fn text(&self, file: File) -> anyhow::Result<Option<String>> {
        let path = self.path(file);
        let read = || -> anyhow::Result<Option<String>> {
            match fs::metadata(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                metadata => ensure!(
                    metadata?.len() <= FILE_BYTES_MAX,
                    "it is larger than {FILE_BYTES_MAX} bytes"
                ),
            }
            Ok(Some(fs::read_to_string(&path)?))
        };
        read().with_context(|| format!("could not read {}", path.display()))
    }

    /// What is in a file, or the default if it is not there.
    pub fn read<T: DeserializeOwned + Default>(&self, file: File) -> anyhow::Result<T> {
        let Some(text) = self.text(file)? else {
            return Ok(T::default());
        };
        serde_json::from_str(&text).with_context(|| {
            format!(
                "{} is not what this command wrote; remove it to begin this stage again",
                self.path(file).display()
            )
        })
    }

    /// Replaces a file at once, so that a kill leaves the former one or the new one.
    pub fn write<T: Serialize>(&self, file: File, content: &T) -> anyhow::Result<()> {
        let path = self.path(file);
        let write = || -> anyhow::Result<()> {
            let mut temporary = NamedTempFile::new_in(".")?;
            serde_json::to_writer_pretty(&mut temporary, content)?;
            temporary.write_all(b"\n")?;
            temporary.persist(&path)?;
            Ok(())
        };
        write().with_context(|| format!("could not write {}", path.display()))
    }

    pub fn migration(&self) -> anyhow::Result<Migration> {
        self.read(File::Migration)
    }

    /// Changes the state of the short stages.
    pub fn change(&self, change: impl FnOnce(&mut Migration)) -> anyhow::Result<()> {
        let mut migration = self.migration()?;
        change(&mut migration);
        self.write(File::Migration, &migration)
    }
}

impl Followed {
    /// Whether the process that writes this runs.
    pub fn is_running(&self, now: Timestamp) -> bool {
        self.beat_at
            .is_some_and(|beat_at| now.duration_since(beat_at) < STOPPED_AFTER)
    }
}
