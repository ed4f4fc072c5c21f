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

use super::{
    Interrupts, conclude, give_back,
    letters::{Choice, Key, Letter},
    place::Place,
    sweep::{Ending, Sweep},
};
use terminal::text::counted;

pub const HELP: &str = "\
Each line of the file is one letter: id, sent_at, receive_count, reason_code, reason, attributes
(those of binary type in hexadecimal) and body, which is the message as it came. The file appears
whole or not at all, readable by you alone: it holds what people did. A letter that SQS hands out
twice is written once.

  jq -r .body letters.jsonl                       the messages
  jq -r .reason_code letters.jsonl | sort | uniq -c";

#[derive(clap::Args)]
pub struct Args {
    /// The file to write, which must not be there yet
    file: PathBuf,
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    place: Place,
}

pub async fn run(args: Args, interrupts: &mut Interrupts) -> anyhow::Result<ExitCode> {
    args.choice.check()?;
    let draft = Draft::begin(&args.file)?;
    let queue = args.place.connect().await?.dead_letters().await?;
    let sweep = Sweep::hold(&queue, Duration::ZERO).await?;
    let (ending, written) = write(&sweep, interrupts, &args.choice, draft).await;
    let hidden = sweep.hidden_elsewhere().await;
    give_back(&sweep, interrupts).await;
    let written = written?;
    if ending == Ending::Interrupted {
        return Ok(conclude(ending, 0));
    }
    let letters = counted(written.letters(), "letter", "letters");
    written.keep()?;
    println!(
        "{letters} of {} written to {}; none was removed",
        queue.name(),
        args.file.display()
    );
    Ok(conclude(ending, hidden?))
}

/// Writes the letters that are meant, one by one as they come, so that memory holds no more of them
/// than are received at once.
pub async fn write(
    sweep: &Sweep<'_>,
    interrupts: &mut Interrupts,
    choice: &Choice,
    draft: Draft,
) -> (Ending, anyhow::Result<Draft>) {
    let draft = RefCell::new(draft);
    let (ending, looked) = sweep
        .run(interrupts, async |delivery| {
            let meant = delivery
                .new
                .iter()
                .filter(|letter| choice.includes(letter, sweep.began));
            for letter in meant {
                draft.borrow_mut().add(letter)?;
            }
            Ok(ControlFlow::Continue(()))
        })
        .await;
    (ending, looked.map(|()| draft.into_inner()))
}

/// A file that is not there under its name until it is whole, and goes away if it never is.
pub struct Draft {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    keys: Vec<Key>,
}

impl Draft {
    /// Fails if the file is there already: it may be all that is left of letters that were purged.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        ensure!(
            !path.exists(),
            "{} is there already; name a new file, so that no earlier export is lost",
            path.display()
        );
        let file = NamedTempFile::new_in(directory(path));
        let file = file.with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file: BufWriter::new(file),
            keys: Vec::new(),
        })
    }

    fn add(&mut self, letter: &Letter) -> anyhow::Result<()> {
        let mut line = serde_json::to_vec(letter)?;
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.with_context(|| format!("{} cannot be written", self.path.display()))?;
        self.keys.push(letter.key());
        Ok(())
    }

    pub fn letters(&self) -> u64 {
        u64::try_from(self.keys.len()).unwrap_or(u64::MAX)
    }

    /// Gives the file its name once it is on the disk, and tells which letters it holds.
    pub fn keep(self) -> anyhow::Result<Vec<Key>> {
        let kept = || format!("{} cannot be written", self.path.display());
        let file = self
            .file
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error);
        let file = file.with_context(kept)?;
        file.as_file().sync_all().with_context(kept)?;
        file.persist_noclobber(&self.path).with_context(kept)?;
        // The name is in the directory, which has to be on the disk as well.
        let directory = File::open(directory(&self.path)).and_then(|directory| directory.sync_all());
        directory.with_context(kept)?;
        Ok(self.keys)
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
    use super::{super::letters::tests::letter, *};

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
        let path = directory.path().join("letters.jsonl");
        let mut draft = Draft::begin(&path).expect("begun");
        draft.add(&letter("one", "10:00:00", "none")).expect("added");
        assert!(!path.exists());
        drop(draft);
        assert_eq!(names(directory.path()), [""; 0]);

        let mut draft = Draft::begin(&path).expect("begun");
        for id in ["one", "two"] {
            draft.add(&letter(id, "10:00:00", "none")).expect("added");
        }
        assert_eq!(draft.letters(), 2);
        assert_eq!(draft.keep().expect("kept"), ["one", "two"].map(Key::of));
        assert_eq!(names(directory.path()), ["letters.jsonl"]);
        assert_eq!(std::fs::read_to_string(&path).expect("read").lines().count(), 2);
        assert!(
            Draft::begin(&path).is_err(),
            "an earlier export is not written over"
        );
        assert!(Draft::begin(&directory.path().join("nowhere/letters.jsonl")).is_err());
    }
}
