//! `podium import`: sends activities from a file or a git history. `input` opens and inflates, `records` splits into
//! JSON objects or rows, `shape` maps them to fields, `identify` makes ids, `batch` and `post` send, `resume` keeps the
//! position, `tally` and `progress` report; `git` reads a history. `offline` reads the activities of a file without
//! sending them. `correct` is `podium correct`, and `people` is `podium people`; `retries` is for all of them.

mod batch;
pub mod correct;
mod git;
mod identify;
mod input;
pub mod offline;
pub mod people;
mod post;
mod progress;
mod records;
mod resume;
mod retries;
mod shape;
mod tally;
mod times;

use std::{fs, ops::ControlFlow, path::PathBuf, pin::pin, process::ExitCode, thread, time::Duration};

use anyhow::{Context, bail};
use client::{Api, Collection, Credentials, Target, is_loopback};
use domain::{Board, ProgramId};
use futures::{StreamExt, stream};
use jiff::Timestamp;
use terminal::duration;
use terminal::text::{counted, grouped, shell_word};
use tokio::sync::{mpsc, oneshot};

use self::{
    batch::Batcher,
    git::Repository,
    post::Posted,
    progress::describe,
    records::{DoesNotFit, Start},
    resume::Journal,
    shape::Shape,
};
pub use self::{
    batch::{Batch, Item as Record},
    input::Source,
    post::Poster,
    progress::Progress,
    retries::GaveUp,
    tally::{Place, Rejection, Tally},
};

const COMMAND: &str = "podium import";

/// If an answer takes longer, the batch is sent again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Where `podium local` listens unless told otherwise, and where `podium board` looks.
const LOCAL_PORT: u16 = 7000;

/// The exit status by which shells recognise a command that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

pub const HELP: &str = "\
Files:
  A file has one JSON object a line, or is one JSON array, or is CSV with the names of the columns in its
  first row (separated by commas, semicolons, tabs or bars). It may be compressed with gzip. Other
  formats are named, with the command that converts them. - is the standard input.

  Records that cannot be sent or are rejected are listed, and the import continues. While the server is
  busy or unreachable, they are sent again.

  An activity without an activity_id gets one made from its content and from how often this content came
  before in the file, such as content-3fa9...-1. So importing a file again counts nothing twice, and of a
  file with new lines only these are counted, wherever they are. But an equal activity in another file
  is taken for the same one. If they are different, give them an activity_id. An activity without an
  occurred_at occurs when the server receives it. The import says how many there were of both.

  To resume an interrupted import, run the same command again. The position is kept next to the file, in
  FILE.podium-import, and removed at the end. It is used only if it fits: your own file, the same options
  and address, and the same records before it. It only saves time: activities that were accepted before are
  duplicates and are not counted again. Pipes have no position. Use --from-start if the target has lost
  its data.

Other shapes:
  --map says which column, or member of a JSON object, a field is taken from. Fields that are not mapped
  are taken from the column with their name. --only picks records, --slug makes ids of names. Times are
  RFC 3339, or as --time-format and --time-zone say. For example:

  a log of Moodle (Reports > Logs, as CSV):
    podium import logs.csv --map user_id='User full name' --slug user_id --set program_id=course-7 \\
      --only 'Event name=Course activity completion updated' --set kind=task_completed \\
      --map occurred_at=Time --time-format '%d/%m/%y, %H:%M:%S' --time-zone Europe/Berlin
  activities.csv of a Strava export:
    podium import activities.csv --set user_id=ann --set program_id=sport --set kind=task_completed \\
      --map activity_id='Activity ID' --map metadata.type='Activity Type' \\
      --map occurred_at='Activity Date' --time-format '%b %d, %Y, %I:%M:%S %p' --time-zone UTC
  submissions.json of a CTFd export:
    podium import submissions.json --records results --only type=correct --map activity_id=id \\
      --set program_id=ctf --set kind=task_completed --map metadata.challenge=challenge_id \\
      --map occurred_at=date --time-zone UTC
  statements of an xAPI learning record store:
    podium import statements.json --records statements --map activity_id=id \\
      --only verb.id=http://adlnet.gov/expapi/verbs/completed --set kind=learning_milestone \\
      --map user_id=actor.account.name --set program_id=academy --map occurred_at=timestamp

Git histories:
  A commit is a task_completed, a merge a program_check_in, a tag a learning_milestone. Each occurs at the
  author's date (a tag's tagger) and belongs to that person, as .mailmap names them. Stashes and notes are
  left out. Commits and tags dated before 1970 or in the future are skipped, since no board could show
  them; the import says how many.

  Users are pseudonyms made from e-mail addresses; with --names, ids made from their names. Decide on that
  and on .mailmap once: the same commit under another user is another activity.

  Nothing in the repository is run, whatever its configuration says, and nothing is fetched. Git reads only
  repositories that you own or that your safe.directory setting names.

Exit status: 0 if everything was accepted or a duplicate, 1 if anything was rejected or given up,
130 if interrupted.";

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["file", "git"])))]
pub struct Args {
    /// A file with activities as JSON or CSV, optionally compressed with gzip; - for the standard input
    file: Option<Source>,
    /// Import the history of this git repository
    #[arg(long, value_name = "PATH")]
    git: Option<PathBuf>,
    /// The program for the history [default: the name of the repository]
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    program: Option<ProgramId>,
    /// Use names as user ids instead of pseudonyms
    #[arg(long, conflicts_with = "file")]
    names: bool,
    #[command(flatten)]
    shape: Shape,
    /// Ignore the position of an interrupted import, and begin with the first record
    #[arg(long, conflicts_with = "git")]
    from_start: bool,
    /// Send this many requests at once
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    concurrency: u16,
    /// Send at most this many activities in a request
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=100))]
    batch: u16,
    /// Stop the import if one request fails for this long
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    give_up_after: Duration,
    #[command(flatten)]
    to: To,
}

/// Where requests go, and who sends them.
#[derive(clap::Args)]
pub struct To {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    credentials: Credentials,
}

impl To {
    pub fn url(&self) -> &str {
        self.target.url.as_str()
    }

    pub async fn api(&self) -> anyhow::Result<Api> {
        let authorization = self.credentials.authorization(&self.target.url).await?;
        Ok(Api::new(self.target.url.clone(), ANSWER_TIMEOUT)?.authorized_by(authorization))
    }
}

/// How sending ended.
enum End {
    Done,
    GaveUp(GaveUp),
    Interrupted,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let poster = Poster::new(args.to.api().await?, Collection::Activities, args.give_up_after);
    match (&args.file, &args.git) {
        (Some(source), None) => import_file(&args, source, &poster).await,
        (None, Some(path)) => import_git(&args, path.clone(), &poster).await,
        _ => bail!("give either a file or --git with a repository"),
    }
}

async fn import_file(args: &Args, source: &Source, poster: &Poster) -> anyhow::Result<ExitCode> {
    args.shape.check()?;
    if let Source::File(path) = source {
        fs::metadata(path).with_context(|| format!("could not read {source}"))?;
    }
    let Some(file) = source.seekable() else {
        return import_records(args, source, poster, None).await;
    };
    let open = |from_start| Journal::open(file, args.to.target.url.as_str(), &args.shape, from_start);
    let (journal, refused) = open(args.from_start)?;
    if let Some(reason) = refused {
        eprintln!("podium: the position {reason}. The import begins with the first record.");
    }
    match import_records(args, source, poster, Some(journal)).await {
        // Nothing was sent yet.
        Err(error) if error.is::<DoesNotFit>() => {
            eprintln!("podium: {error:#}. The import begins with the first record.");
            let (journal, _) = open(true)?;
            import_records(args, source, poster, Some(journal)).await
        }
        ended => ended,
    }
}

/// Imports the records of a source, and saves the position in the journal if there is one.
async fn import_records(
    args: &Args,
    source: &Source,
    poster: &Poster,
    mut journal: Option<Journal>,
) -> anyhow::Result<ExitCode> {
    let start = journal.as_ref().map_or_else(Start::default, Journal::start);
    let mut tally = journal
        .as_ref()
        .map_or_else(Tally::default, |journal| journal.tally().clone());
    if start.records > 0 {
        eprintln!("resuming after {}", counted(start.records, "record", "records"));
    }
    let mut progress = Progress::new(journal.as_ref().map(Journal::file_bytes));
    let (mut is_saved, mut done) = (true, start.records);
    let (from, shape) = (source.clone(), args.shape.clone());
    let read = move |batcher: Batcher<_>| records::read(&from, COMMAND, &shape, start, batcher);
    let (end, read) = send(args, poster, read, |posted| {
        done = posted.read.records;
        tally.add(posted.tally.clone());
        if let Some(journal) = &mut journal
            && let Err(error) = journal.advance(posted.read, posted.tally)
            && std::mem::take(&mut is_saved)
        {
            eprintln!("podium: the import continues, but cannot be resumed if it is interrupted: {error:#}");
        }
        progress.update(posted.read.bytes, || {
            describe(posted.read, &tally, poster.retries())
        });
    })
    .await?;
    progress.finish();
    if let Err(error) = &read
        && error.is::<DoesNotFit>()
    {
        return Err(DoesNotFit.into());
    }
    // It cannot be imported at all.
    if read.is_err() && tally == Tally::default() {
        return read.map(|_| ExitCode::FAILURE);
    }
    let is_finished = read.is_ok() && matches!(end, End::Done);
    let again = format!(
        "{} done; run the same command again to {}",
        counted(done, "record is", "records are"),
        if journal.is_some() {
            "resume"
        } else {
            "send the rest; what was accepted is not counted twice"
        }
    );
    if let Some(mut journal) = journal {
        if is_finished {
            journal.finish()?;
        } else if is_saved {
            journal.save()?;
        }
    }
    let code = conclude(&end, &tally, poster, &again);
    warn(&tally);
    read.context(again)?;
    if is_finished {
        say_where_to_look(args, &tally, None);
    }
    Ok(code)
}

async fn import_git(args: &Args, path: PathBuf, poster: &Poster) -> anyhow::Result<ExitCode> {
    let repository = Repository::open(&path, args.program.clone(), args.names)?;
    let program = repository.program().clone();
    let mut progress = Progress::new(None);
    let mut tally = Tally::default();
    let now = Timestamp::now();
    let read = move |mut batcher: Batcher<_>| repository.read(now, &mut batcher);
    let (end, skipped) = send(args, poster, read, |posted| {
        tally.add(posted.tally);
        progress.update(posted.read.bytes, || {
            describe(posted.read, &tally, poster.retries())
        });
    })
    .await?;
    progress.finish();
    let again = "run the same command again; activities that were accepted are not counted twice";
    let code = conclude(&end, &tally, poster, again);
    let skipped = skipped.context(again)?;
    if let Some(skipped) = skipped {
        print!("{skipped}");
        say_where_to_look(args, &tally, Some(&program));
    }
    Ok(code)
}

/// What a user may not expect of activities that lack something.
fn warn(tally: &Tally) {
    let notes = tally.notes;
    if notes.without_id > 0 {
        eprintln!(
            "podium: warning: {} no activity_id and got one made from the content. Importing this file again counts \
             nothing twice, but an equal activity in another file is taken for the same one.",
            counted(notes.without_id, "activity has", "activities have")
        );
    }
    if notes.without_time > 0 {
        let time = counted(notes.without_time, "activity has", "activities have");
        eprint!(
            "podium: warning: {time} no occurred_at and occurred, for the boards, when the server received it."
        );
        eprintln!(
            "{}",
            if notes.without_id > 0 {
                " Without a time and an id, a copy of this file counts nothing new."
            } else {
                ""
            }
        );
    }
    if notes.left_out > 0 && tally.accepted + tally.duplicate + tally.rejected() == 0 {
        eprintln!("podium: warning: --only left out every record; compare its values with the file");
    }
}

fn say_where_to_look(args: &Args, tally: &Tally, program: Option<&ProgramId>) {
    if tally.accepted + tally.duplicate == 0 {
        return;
    }
    let url = &args.to.target.url;
    let board = program
        .map(|program| format!(" {}", shell_word(&Board::Program(program.clone()).to_string())))
        .unwrap_or_default();
    println!();
    if is_loopback(url) {
        let option = if url.port() == Some(LOCAL_PORT) {
            String::new()
        } else {
            format!(" --url {url}")
        };
        println!("The boards follow in a moment: open {url} or run `podium board{board}{option}`.");
    } else {
        println!(
            "The boards follow with the next snapshot: run `podium board{board} --url ADDRESS-OF-THE-BOARDS`."
        );
    }
}

/// Reads on a separate thread and sends batches concurrently. Calls `done` with the batches in the order of
/// reading. Returns how sending ended, and how reading ended if it did.
///
/// Memory is bounded by the batches in flight or waiting: twice the concurrency, plus one.
async fn send<T: Send + 'static>(
    args: &Args,
    poster: &Poster,
    read: impl FnOnce(Batcher<Box<dyn FnMut(Batch) -> ControlFlow<()>>>) -> anyhow::Result<T> + Send + 'static,
    mut done: impl FnMut(Posted),
) -> anyhow::Result<(End, anyhow::Result<Option<T>>)> {
    let concurrency = usize::from(args.concurrency);
    let records_max = usize::from(args.batch);
    let (sender, mut receiver) = mpsc::channel(concurrency);
    let (ended, reader) = oneshot::channel();
    // A thread of its own, since reading from a pipe may wait for ever and must not delay the end.
    thread::spawn(move || {
        let emit = move |batch| match sender.blocking_send(batch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        // Nobody waits for the result if sending ended before.
        let _received = ended.send(read(Batcher::new(records_max, Box::new(emit))));
    });
    let end = {
        let batches = stream::poll_fn(|context| receiver.poll_recv(context));
        let mut results = pin!(batches.map(|batch| poster.post(batch)).buffered(concurrency));
        let mut interrupted = pin!(tokio::signal::ctrl_c());
        loop {
            tokio::select! {
                _ = &mut interrupted => break End::Interrupted,
                next = results.next() => match next {
                    Some(Ok(batch)) => done(batch),
                    Some(Err(gave_up)) => break End::GaveUp(gave_up),
                    None => break End::Done,
                }
            }
        }
    };
    // This ends a reader that waits for room in the channel.
    drop(receiver);
    let read = match end {
        End::Done => reader.await.context("the reader failed")?.map(Some),
        End::GaveUp(_) | End::Interrupted => Ok(None),
    };
    Ok((end, read))
}

fn conclude(end: &End, tally: &Tally, poster: &Poster, again: &str) -> ExitCode {
    println!("{tally}");
    if poster.retries() > 0 {
        println!("requests sent again {}", grouped(poster.retries()));
    }
    match end {
        End::Done if tally.rejected() == 0 => ExitCode::SUCCESS,
        End::Done => ExitCode::FAILURE,
        End::GaveUp(gave_up) => {
            eprintln!("podium: {gave_up}. {again}.");
            ExitCode::FAILURE
        }
        End::Interrupted => {
            eprintln!("podium: interrupted. {again}.");
            ExitCode::from(EXIT_INTERRUPTED)
        }
    }
}
