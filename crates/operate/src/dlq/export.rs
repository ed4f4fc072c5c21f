//! `podium dlq export`.

use std::{
    cell::RefCell,
    fs::File,
    io::{BufWriter, Write as _},
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, ensure};
use tempfile::NamedTempFile;
use terminal::text::counted;

use super::{
    Interrupts, Selection, conclude,
    dead_letters::{Choice, DeadLetter, IdHash},
    give_back,
    sweep::{Ending, Sweep},
};

pub const HELP: &str = "\
Each line of the file is one dead letter, as JSON: id, sent_at, receive_count, reason_code, reason,
attributes (binary ones in hexadecimal) and body, the original message. The file appears only when it
is complete. Only you can read it, since it contains personal data. A dead letter that SQS delivers
twice is written once.

  jq -r .body dead-letters.jsonl                                the messages
  jq -r .reason_code dead-letters.jsonl | sort | uniq -c        how many have each reason";

#[derive(clap::Args)]
pub struct Args {
    /// The file to write. It must not exist yet
    file: PathBuf,
    #[command(flatten)]
    selection: Selection,
}

pub async fn run(args: Args, interrupts: &mut Interrupts) -> anyhow::Result<ExitCode> {
    let draft = Draft::begin(&args.file)?;
    let queue = args.selection.connect().await?.dead_letter_queue().await?;
    let sweep = Sweep::hold(&queue, Duration::ZERO).await?;
    let (ending, written) = write(&sweep, interrupts, &args.selection.choice, draft).await;
    let hidden = sweep.hidden_elsewhere().await;
    give_back(&sweep, interrupts).await;
    let written = written?;
    if ending == Ending::Interrupted {
        return Ok(conclude(ending, 0));
    }
    let dead_letters = counted(written.count(), "dead letter", "dead letters");
    written.keep()?;
    println!(
        "{dead_letters} of {} written to {}; they are still in the queue",
        queue.name(),
        args.file.display()
    );
    Ok(conclude(ending, hidden?))
}

/// Writes the chosen dead letters as they arrive, so that memory holds only one delivery at a time.
pub async fn write(
    sweep: &Sweep<'_>,
    interrupts: &mut Interrupts,
    choice: &Choice,
    draft: Draft,
) -> (Ending, anyhow::Result<Draft>) {
    let draft = RefCell::new(draft);
    let (ending, swept) = sweep
        .run(interrupts, async |delivery| {
            let chosen = delivery
                .new
                .iter()
                .filter(|dead_letter| choice.includes(dead_letter, sweep.began));
            for dead_letter in chosen {
                draft.borrow_mut().add(dead_letter)?;
            }
            Ok(ControlFlow::Continue(()))
        })
        .await;
    (ending, swept.map(|()| draft.into_inner()))
}

/// A file that gets its name only when it is complete. It is deleted if that never happens.
pub struct Draft {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    id_hashes: Vec<IdHash>,
}

impl Draft {
    /// Fails if the file exists: it may be the only copy of dead letters that were purged.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        ensure!(
            !path.exists(),
            "{} exists already; name a new file, so that no earlier export is lost",
            path.display()
        );
        let file = NamedTempFile::new_in(directory(path));
        let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            id_hashes: Vec::new(),
        })
    }

    fn add(&mut self, dead_letter: &DeadLetter) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(dead_letter)?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.with_context(|| format!("{} cannot be written", self.path.display()))?;
        self.id_hashes.push(dead_letter.id_hash());
        Ok(())
    }

    pub fn count(&self) -> u64 {
        u64::try_from(self.id_hashes.len()).unwrap_or(u64::MAX)
    }

    /// Syncs the file to disk, gives it its name, and returns which dead letters it holds.
    pub fn keep(self) -> anyhow::Result<Vec<IdHash>> {
        let kept = || format!("{} cannot be written", self.path.display());
        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        let file = file.with_context(kept)?;
        file.as_file().sync_all().with_context(kept)?;
        file.persist_noclobber(&self.path).with_context(kept)?;
        // The name is part of the directory, so the directory must be synced as well.
        let directory = File::open(directory(&self.path)).and_then(|directory| directory.sync_all());
        directory.with_context(kept)?;
        Ok(self.id_hashes)
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::dead_letters::tests::dead_letter, *};

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).expect("listed");
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.expect("an entry").file_name();
        entries
            .map(|entry| name(entry).to_string_lossy().into_owned())
            .collect()
    }

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("dead-letters.jsonl");
        let mut draft = Draft::begin(&path).expect("begun");
        draft.add(&dead_letter("one", "10:00:00", "none")).expect("added");
        assert!(!path.exists());
        drop(draft);
        assert_eq!(names(directory.path()), [""; 0]);

        let mut draft = Draft::begin(&path).expect("begun");
        for id in ["one", "two"] {
            draft.add(&dead_letter(id, "10:00:00", "none")).expect("added");
        }
        assert_eq!(draft.count(), 2);
        assert_eq!(draft.keep().expect("kept"), ["one", "two"].map(IdHash::of));
        assert_eq!(names(directory.path()), ["dead-letters.jsonl"]);
        assert_eq!(std::fs::read_to_string(&path).expect("read").lines().count(), 2);
        assert!(
            Draft::begin(&path).is_err(),
            "an earlier export is not written over"
        );
        assert!(Draft::begin(&directory.path().join("nowhere/dead-letters.jsonl")).is_err());
    }
}
