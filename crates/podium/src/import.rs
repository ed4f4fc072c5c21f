//! `podium import`: sends activities from a file or a git history.

mod batch;
mod git;
mod lines;
mod post;
mod progress;
mod resume;
mod tally;

use std::{ops::ControlFlow, path::PathBuf, pin::pin, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use client::{Api, Signing, Target};
use domain::ProgramId;
use futures::{StreamExt, stream};
use jiff::Timestamp;
use terminal::duration;
use terminal::text::{counted, grouped};
use tokio::{sync::mpsc, task::spawn_blocking};

use self::{
    batch::{Batch, Batcher},
    git::Repository,
    post::{GaveUp, Posted, Poster},
    progress::Progress,
    resume::Journal,
    tally::Tally,
};

/// If an answer takes longer, the batch is sent again.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The exit status by which shells recognise a command that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

pub const HELP: &str = "\
Files:
  Each line is one activity, a JSON object as the API takes it. Lines that cannot be sent or are rejected
  are listed, and the import continues. While the server is busy or unreachable, lines are sent again.

  A line without an activity_id gets an id made from its line number and a hash of its content, such as
  line-17-3fa9... Importing the same file again therefore counts it once. But equal lines
  with the same number in two files get the same id and count once. If they are different activities,
  give them an activity_id.

  To resume an interrupted import, run the same command again. The position is kept next to the file, in
  FILE.podium-import, together with the target and a fingerprint of the file (its size and a hash of its
  first MiB), and removed at the end. The saved position only saves time: activities that were accepted before are
  duplicates and are not counted again. Use --from-start if the target has lost its data.

Git histories:
  A commit is a task_completed, a merge a program_check_in, a tag a learning_milestone. Each occurs at the
  author's date (a tag's tagger) and belongs to that person. Stashes and notes are left out. Commits and
  tags dated before 1970 or in the future are skipped, since no board could show them; the import says
  how many.

  Users are pseudonyms made from e-mail addresses; with --names, slugs of their names. Decide once: the
  same commit under another user is another activity.

Exit status: 0 if everything was accepted or a duplicate, 1 if anything was rejected or given up,
130 if interrupted.";

#[derive(clap::Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["file", "git"])))]
pub struct Args {
    /// A file with one activity a line, as JSON, optionally compressed with gzip
    file: Option<PathBuf>,
    /// Import the history of this git repository
    #[arg(long, value_name = "PATH")]
    git: Option<PathBuf>,
    /// The program for the history [default: the name of the repository]
    #[arg(long, value_name = "NAME", conflicts_with = "file")]
    program: Option<ProgramId>,
    /// Use names as user ids instead of pseudonyms
    #[arg(long, conflicts_with = "file")]
    names: bool,
    /// Ignore the position of an interrupted import, and begin with the first line
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
    target: Target,
    #[command(flatten)]
    signing: Signing,
}

/// How sending ended.
enum End {
    Done,
    GaveUp(GaveUp),
    Interrupted,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let signer = args.signing.signer(&args.target.url).await?;
    let api = Api::new(args.target.url.clone(), ANSWER_TIMEOUT)?.signing_with(signer);
    let poster = Poster::new(api, args.give_up_after);
    match (&args.file, &args.git) {
        (Some(file), None) => import_file(&args, file.clone(), &poster).await,
        (None, Some(path)) => import_git(&args, path.clone(), &poster).await,
        _ => bail!("give either a file or --git with a repository"),
    }
}

async fn import_file(args: &Args, file: PathBuf, poster: &Poster) -> anyhow::Result<ExitCode> {
    let mut journal = Journal::open(&file, args.target.url.as_str(), args.from_start)?;
    let skip = journal.lines_done();
    if skip > 0 {
        eprintln!("resuming after {}", counted(skip, "line", "lines"));
    }
    let mut progress = Progress::new(Some(journal.file_bytes()));
    let mut is_saved = true;
    let read = move |batcher: Batcher<_>| lines::read_file(&file, skip, batcher);
    let (end, read) = send(args, poster, read, |posted| {
        if let Err(error) = journal.advance(posted.read.records, posted.tally)
            && std::mem::take(&mut is_saved)
        {
            eprintln!("podium: the import continues, but cannot be resumed if it is interrupted: {error:#}");
        }
        progress.update(posted.read, journal.tally(), poster.retries());
    })
    .await?;
    progress.finish();
    let again = format!(
        "{} done; run the same command again to resume",
        counted(journal.lines_done(), "line is", "lines are")
    );
    let is_finished = read.is_ok() && matches!(end, End::Done);
    let tally = journal.tally().clone();
    if is_finished {
        journal.finish()?;
    } else if is_saved {
        journal.save()?;
    }
    let code = conclude(&end, &tally, poster, &again);
    read.context(again)?;
    Ok(code)
}

async fn import_git(args: &Args, path: PathBuf, poster: &Poster) -> anyhow::Result<ExitCode> {
    let repository = Repository::open(&path, args.program.clone(), args.names)?;
    let mut progress = Progress::new(None);
    let mut tally = Tally::default();
    let now = Timestamp::now();
    let read = move |mut batcher: Batcher<_>| repository.read(now, &mut batcher);
    let (end, skipped) = send(args, poster, read, |posted| {
        tally.add(posted.tally);
        progress.update(posted.read, &tally, poster.retries());
    })
    .await?;
    progress.finish();
    let again = "run the same command again; activities that were accepted are not counted twice";
    let code = conclude(&end, &tally, poster, again);
    let skipped = skipped.context(again)?;
    if matches!(end, End::Done) {
        print!("{skipped}");
    }
    Ok(code)
}

/// Reads on a separate thread and sends batches concurrently. Calls `done` with the batches in the order of
/// reading. Returns how sending ended, and how reading ended.
///
/// Memory is bounded by the batches in flight or waiting: twice the concurrency, plus one.
async fn send<T: Send + 'static>(
    args: &Args,
    poster: &Poster,
    read: impl FnOnce(Batcher<Box<dyn FnMut(Batch) -> ControlFlow<()>>>) -> anyhow::Result<T> + Send + 'static,
    mut done: impl FnMut(Posted),
) -> anyhow::Result<(End, anyhow::Result<T>)> {
    let concurrency = usize::from(args.concurrency);
    let records_max = usize::from(args.batch);
    let (sender, mut receiver) = mpsc::channel(concurrency);
    let reader = spawn_blocking(move || {
        let emit = move |batch| match sender.blocking_send(batch) {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        };
        read(Batcher::new(records_max, Box::new(emit)))
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
    let read = reader.await.context("the reader failed")?;
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
