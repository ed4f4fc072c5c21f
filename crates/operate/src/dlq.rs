//! `podium dlq`: dead letters, on one machine and on AWS alike.

mod export;
mod letters;
mod list;
mod pace;
mod place;
mod purge;
mod queue;
mod redrive;
mod show;
mod sweep;

use std::{io, process::ExitCode};

use tokio::signal::unix::{Signal, SignalKind, signal};

use self::sweep::{Ending, Sweep};
use terminal::text::{age, counted, grouped};

/// What shells give to a command that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

pub const HELP: &str = "\
A dead letter is a message that could not be counted. Those of the aggregator hold an activity and
can be sent again once what was wrong is mended. Each has a reason:

  not_scored            the scoring policy lacks its kind, or a version for its time
  not_countable         DynamoDB refused the write for good
  not_a_stream_record   it is not what the pipe sends, nor are the next three
  not_an_insert
  no_new_image
  not_an_activity
  none                  it failed 20 times, and SQS moved it; the aggregator's log says why

Where:
  Without an option, the stack of `podium local` on this machine. With --environment NAME, that
  deployment on AWS, with your own AWS credentials (the environment's, or a profile's) and your
  region, or --region; AWS_ENDPOINT_URL leads to an emulator. Or name the queues by their URLs.

  There are up to three dead-letter queues, and --of says which is meant: `activities` (what the
  aggregator could not count; the default), `pipe` (positions in the stream that the pipe gave up)
  and `snapshot` (runs that failed, on AWS only). Only the first can be redriven.

Looking without losing:
  SQS shows the letters of a queue only by handing them out. These commands take all of them, up to
  100,000, and give them back at the end, or when they are interrupted. Meanwhile, for seconds or
  minutes, nobody else sees them. If such a command is killed, its letters stay hidden for half a
  minute, and 20 seconds more for each thousand there are, those of a purge for four minutes more.
  Looking raises their receive counts, which in a dead-letter queue does nothing.

Examples:
  podium dlq list --reason not_scored --older-than 1h
  podium dlq show 9f1c7a52-4a3d-4f6e-8f0c-3f4a5b6c7d8e --environment prod
  podium dlq export letters.jsonl
  podium dlq redrive --reason not_scored --rate 50
  podium dlq purge --of snapshot --export runs.jsonl --environment prod

Exit status: 0 if all was done, 1 if something failed or is left, 130 if interrupted.";

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// How many there are, by reason and age, and the oldest of them
    List(list::Args),
    /// One letter, whole, and what its reason means
    Show(show::Args),
    /// Write letters to a file, a line of JSON each; none is removed
    #[command(after_long_help = export::HELP)]
    Export(export::Args),
    /// Send letters to the queue again, to be counted
    #[command(after_long_help = redrive::HELP)]
    Redrive(redrive::Args),
    /// Delete letters, once they are in a file and you have typed the queue's name
    #[command(after_long_help = purge::HELP)]
    Purge(purge::Args),
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    match args.command {
        Command::List(args) => list::run(args, &mut interrupts).await,
        Command::Show(args) => show::run(args, &mut interrupts).await,
        Command::Export(args) => export::run(args, &mut interrupts).await,
        Command::Redrive(args) => redrive::run(args, &mut interrupts).await,
        Command::Purge(args) => purge::run(args, &mut interrupts).await,
    }
}

/// Ctrl-C, and what a service manager sends.
struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Says on standard error what keeps a look at the letters from being whole, and gives the exit code.
fn conclude(ending: Ending, hidden: u64) -> ExitCode {
    let limit = grouped(sweep::HELD_MAX as u64);
    match ending {
        Ending::All | Ending::Enough => {}
        Ending::Full => eprintln!(
            "podium: there are more than {limit} letters, and no more were looked at; redrive or purge some \
             of them, and run it again"
        ),
        Ending::OutOfTime => eprintln!(
            "podium: there was no time for more letters; redrive or purge some of them, and run it again"
        ),
        Ending::Interrupted => eprintln!("podium: interrupted; all letters are still there"),
    }
    if hidden > 0 {
        eprintln!("{}", describe_hidden(hidden));
    }
    match ending {
        Ending::All | Ending::Enough => ExitCode::SUCCESS,
        Ending::Full | Ending::OutOfTime => ExitCode::FAILURE,
        Ending::Interrupted => ExitCode::from(EXIT_INTERRUPTED),
    }
}

fn describe_hidden(hidden: u64) -> String {
    format!(
        "About {} hidden: another command has them in hand, or one that was killed had. Run it again when \
         they are back, mostly within a minute.",
        counted(hidden, "letter is", "letters are"),
    )
}

/// Gives back what was taken, and says so if that fails.
async fn give_back(sweep: &Sweep<'_>, interrupts: &mut Interrupts) {
    let kept = sweep.release(interrupts).await;
    if kept > 0 {
        eprintln!(
            "podium: {} could not be shown again at once, and will be within {}",
            counted(kept, "letter", "letters"),
            age(sweep.longest_hidden().as_secs_f64())
        );
    }
}
