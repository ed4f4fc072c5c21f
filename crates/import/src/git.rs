//! Reads activities from a git history, using the `git` program.

mod command;
mod identity;

pub use self::identity::slug;

use std::{
    collections::HashMap,
    fmt,
    io::{BufRead, BufReader, Read as _},
    ops::ControlFlow,
    path::Path,
    process::{ChildStdout, Command},
};

use anyhow::{Context, bail, ensure};
use client::wire::{Activity, Kind};
use domain::{ActivityId, ProgramId, UserId};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use terminal::text::counted;

use self::command::{Location, Running, describe};
use self::identity::{program_slug, user_id};
use super::{
    batch::{Batch, Batcher, Item, Read},
    tally::Place,
};

/// The author as `.mailmap` names them. Every field ends with a NUL (`-z`), which no field can contain.
const COMMIT_FORMAT: &str = "--format=tformat:%H%x00%P%x00%aN%x00%aE%x00%at";
const COMMIT_FIELDS: usize = 5;

/// The tagger, and the author of the commit for tags without a tagger.
const TAG_FORMAT: &str = "--format=%(refname:strip=2)%00%(objectname)%00\
    %(taggername)%00%(taggeremail:trim)%00%(taggerdate:unix)%00\
    %(authorname)%(*authorname)%00%(authoremail:trim)%(*authoremail:trim)%00\
    %(authordate:unix)%(*authordate:unix)%00";
const TAG_FIELDS: usize = 8;

/// Longer than any real name or list of parents.
const FIELD_BYTES_MAX: u64 = 64 * 1024;

/// Taggers that are remembered with their user ids.
const PEOPLE_MAX: usize = 100_000;

/// A repository to read.
pub struct Repository {
    location: Location,
    is_bare: bool,
    program: ProgramId,
    names: bool,
}

/// The number of commits and tags that are not sent, by reason.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    before_1970: u64,
    in_future: u64,
    /// Tags without a tagger or author: tags of files, and tags from before git recorded taggers.
    without_author: u64,
}

impl fmt::Display for Skipped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (count, why) in [
            (self.before_1970, "dated before 1970"),
            (self.in_future, "dated in the future"),
            (self.without_author, "without an author"),
        ] {
            if count > 0 {
                writeln!(
                    f,
                    "skipped {} {why}",
                    counted(count, "commit or tag", "commits or tags")
                )?;
            }
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skip {
    Before1970,
    InFuture,
    WithoutAuthor,
}

impl Skipped {
    fn count(&mut self, skip: Skip) {
        *match skip {
            Skip::Before1970 => &mut self.before_1970,
            Skip::InFuture => &mut self.in_future,
            Skip::WithoutAuthor => &mut self.without_author,
        } += 1;
    }
}

impl Repository {
    /// Finds the repository at or above `path`. Without a `program`, its name is used.
    pub fn open(path: &Path, program: Option<ProgramId>, names: bool) -> anyhow::Result<Self> {
        let location = Location::of(path)?;
        let output = location.output(&["rev-parse", "--path-format=absolute", "--git-common-dir"])?;
        if !output.status.success() {
            bail!(
                "git could not read {}: {}",
                path.display(),
                describe(&output.stderr)
            );
        }
        let directory = String::from_utf8_lossy(&output.stdout);
        let program = match program {
            Some(program) => program,
            None => program_slug(Path::new(directory.trim_end_matches('\n')))
                .context("cannot derive a program id from the name of the repository's directory; give one with --program")?,
        };
        let top = location.output(&["rev-parse", "--show-toplevel"])?;
        if top.status.success() {
            check_mailmap_file(&top.stdout)?;
        }
        Ok(Self {
            location,
            is_bare: !top.status.success(),
            program,
            names,
        })
    }

    pub fn program(&self) -> &ProgramId {
        &self.program
    }

    /// Reads all commits and then all tags.
    pub fn read<E>(&self, now: Timestamp, batcher: &mut Batcher<E>) -> anyhow::Result<Skipped>
    where
        E: FnMut(Batch) -> ControlFlow<()>,
    {
        let mut skipped = Skipped::default();
        let ended = self.each_activity(now, batcher, &mut skipped);
        // What was read before an error is sent. The reading is at its end, so a request to stop makes no
        // difference.
        let _stop_or_not = batcher.flush();
        ended.map(|()| skipped)
    }

    fn each_activity<E>(
        &self,
        now: Timestamp,
        batcher: &mut Batcher<E>,
        skipped: &mut Skipped,
    ) -> anyhow::Result<()>
    where
        E: FnMut(Batch) -> ControlFlow<()>,
    {
        let mut read = Read::default();
        let mut push = |found: Result<(Place, Activity), Skip>| {
            read.records += 1;
            match found {
                Ok((place, activity)) => {
                    let json = serde_json::to_string(&activity).expect("an activity is always JSON");
                    batcher.push(Ok(Item { place, json }), read)
                }
                Err(skip) => {
                    skipped.count(skip);
                    ControlFlow::Continue(())
                }
            }
        };
        let mut log = self.git();
        // A stash is unfinished work and a note is a comment. Neither is a completed task.
        log.args(["log", "-z", "--no-show-signature", "--no-patch"]);
        log.args([
            "--no-ext-diff",
            "--no-textconv",
            "--encoding=UTF-8",
            COMMIT_FORMAT,
        ]);
        log.args(["--exclude=refs/stash", "--exclude=refs/notes/*", "--all"]);
        each_record(log, |fields| push(self.commit(fields, now)))?;
        let mut tags = self.git();
        tags.args(["for-each-ref", TAG_FORMAT, "refs/tags"]);
        let mut people = HashMap::new();
        each_record(tags, |fields| push(self.tag(fields, now, &mut people)))
    }

    /// Git with the mapping of names that belongs to this repository: the file in the working tree, or the
    /// one in the latest commit of a bare repository. A repository's configuration cannot name another.
    fn git(&self) -> Command {
        let mut git = self.location.git();
        let blob = if self.is_bare { "HEAD:.mailmap" } else { "" };
        git.args(["-c", &format!("mailmap.blob={blob}")]);
        git
    }

    /// The name and address that `.mailmap` gives a person. The `:mailmap` option of `for-each-ref` would do
    /// the same, but only since git 2.43.
    fn mapped(&self, name: &str, email: &str) -> (String, String) {
        let contact = format!("{name} <{email}>");
        let mapped = self.git().args(["check-mailmap", "--", &contact]).output();
        let mapped = mapped.ok().filter(|output| output.status.success());
        let mapped = mapped.and_then(|output| String::from_utf8(output.stdout).ok());
        let mapped = mapped.as_deref().and_then(|contact| {
            let (name, email) = contact.trim_end().strip_suffix('>')?.rsplit_once('<')?;
            Some((name.trim().to_owned(), email.to_owned()))
        });
        // A person that git cannot read is not mapped either.
        mapped.unwrap_or_else(|| (name.to_owned(), email.to_owned()))
    }

    fn commit(
        &self,
        [hash, parents, name, email, time]: &[String; COMMIT_FIELDS],
        now: Timestamp,
    ) -> Result<(Place, Activity), Skip> {
        let is_merge = parents.split_whitespace().count() > 1;
        let activity = Activity {
            activity_id: hash.parse().expect("a hash is hexadecimal"),
            user_id: user_id(name, email, self.names),
            program_id: self.program.clone(),
            kind: if is_merge {
                Kind::ProgramCheckIn
            } else {
                Kind::TaskCompleted
            },
            occurred_at: Some(parse_time(time, now)?),
        };
        Ok((Place::Commit(hash.clone()), activity))
    }

    fn tag(
        &self,
        [
            tag,
            object,
            tagger,
            tagger_email,
            tag_time,
            author,
            author_email,
            author_time,
        ]: &[String; TAG_FIELDS],
        now: Timestamp,
        people: &mut HashMap<(String, String), UserId>,
    ) -> Result<(Place, Activity), Skip> {
        let (name, email, time) = if tag_time.is_empty() {
            (author, author_email, author_time)
        } else {
            (tagger, tagger_email, tag_time)
        };
        if time.is_empty() {
            return Err(Skip::WithoutAuthor);
        }
        if people.len() >= PEOPLE_MAX {
            people.clear();
        }
        let user = people
            .entry((name.clone(), email.clone()))
            .or_insert_with(|| {
                let (name, email) = self.mapped(name, email);
                user_id(&name, &email, self.names)
            })
            .clone();
        let activity = Activity {
            activity_id: tag_id(tag, object),
            user_id: user,
            program_id: self.program.clone(),
            kind: Kind::LearningMilestone,
            occurred_at: Some(parse_time(time, now)?),
        };
        Ok((Place::Tag(tag.clone()), activity))
    }
}

/// A user may tag `v1.0` in many repositories, so the tagged object is part of the id.
fn tag_id(tag: &str, object: &str) -> ActivityId {
    let hash = format!("{:x}", Sha256::digest(format!("{tag}\0{object}")));
    format!("tag-{}", &hash[..40])
        .parse()
        .expect("a hash is hexadecimal")
}

fn parse_time(seconds: &str, now: Timestamp) -> Result<Timestamp, Skip> {
    // A date that is not a number, or too large, comes from a wrong clock as well.
    let is_negative = seconds.starts_with('-');
    let time = seconds
        .parse()
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok());
    match time {
        Some(time) if time > now => Err(Skip::InFuture),
        Some(time) if time >= Timestamp::UNIX_EPOCH => Ok(time),
        None if !is_negative => Err(Skip::InFuture),
        _ => Err(Skip::Before1970),
    }
}

/// Git would wait for ever for a pipe. It follows no link there.
fn check_mailmap_file(toplevel: &[u8]) -> anyhow::Result<()> {
    let toplevel = String::from_utf8_lossy(toplevel);
    let file = Path::new(toplevel.trim_end_matches('\n')).join(".mailmap");
    let is_strange = file
        .symlink_metadata()
        .is_ok_and(|metadata| !metadata.is_file() && !metadata.is_symlink());
    ensure!(!is_strange, "{} is not a regular file", file.display());
    Ok(())
}

/// Runs git and passes on its output as it arrives, in records of `N` fields that end with NUL.
fn each_record<const N: usize>(
    git: Command,
    mut each: impl FnMut(&[String; N]) -> ControlFlow<()>,
) -> anyhow::Result<()> {
    let mut running = Running::start(git)?;
    let output = running.child().stdout.take().expect("the output is piped");
    match read_records(output, &mut each) {
        Ok(ControlFlow::Continue(())) => running.finish(),
        stopped => running.stop().and(stopped.map(drop)),
    }
}

fn read_records<const N: usize>(
    output: ChildStdout,
    each: &mut impl FnMut(&[String; N]) -> ControlFlow<()>,
) -> anyhow::Result<ControlFlow<()>> {
    let mut output = BufReader::new(output);
    let mut field = Vec::new();
    let mut record = [const { String::new() }; N];
    for place in (0..N).cycle() {
        field.clear();
        let length = output.by_ref().take(FIELD_BYTES_MAX).read_until(0, &mut field);
        let length = length.context("could not read the output of git")?;
        // for-each-ref ends each record with a newline, which is read before the next record.
        let is_end = place == 0 && (length == 0 || field == b"\n");
        if is_end {
            break;
        }
        ensure!(
            field.pop() == Some(0),
            "the output of git has a field that is truncated or longer than 64 KiB"
        );
        // Names may be in any encoding.
        let text = String::from_utf8_lossy(&field);
        text.trim_start_matches('\n').clone_into(&mut record[place]);
        if place == N - 1 && each(&record).is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
mod tests;
