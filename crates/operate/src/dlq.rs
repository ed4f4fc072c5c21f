//! `podium dlq`: dead letters, on the local stack and on AWS.

mod dead_letters;
mod export;
mod list;
mod location;
mod pace;
mod purge;
mod queue;
mod redrive;
mod show;
mod sweep;

use std::{io, process::ExitCode};

use terminal::text::{age, counted, grouped};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::dead_letters::Choice;
use self::location::{Connection, Location};
use self::sweep::{Ending, Sweep};

/// The exit status by which shells recognise a command that Ctrl-C ended.
const EXIT_INTERRUPTED: u8 = 130;

pub const HELP: &str = "\
A dead letter is a message that a stage gave up on. In the DLQ `activities` it is an activity that could
not be counted; in `events`, an event or activity of a queue that ingest did not take; in `rewards`, one that could not be looked at for coins; in `webhook-ID` and `mail`, an event of a coin
that could not be sent. Fix the cause, then redrive them: each is sent to its queue again, and counts, gives its coins or
is sent once. Each has a reason:

  rejected              the event is no valid activity; the reason names the field
  conflict              an event with this source and id came before, with other data
  not_scored            the scoring policy has no points for this kind at the activity's time
  not_countable         DynamoDB refused the write and will refuse it again
  not_a_stream_record   the message is not a stream record as the pipe sends it
  not_an_insert         the record is about a changed or deleted activity
  no_new_image          the record does not carry the new item
  not_an_event          the message is not an event as a pipe makes it
  unknown_event         the event has an unknown version or type
  not_an_activity       the item in the record or event is not an activity
  not_a_coin            the item in the event is not a coin
  not_received          the receiver of a webhook did not take the event for three days
  ended                 the receiver of a webhook answered 410 Gone
  none                  it failed 1,000 times and SQS moved it; the function's log says why

Where:
  Without options, these commands use the stack that `podium local` runs on this machine (--aws-url if
  it listens elsewhere). With --environment NAME they use that deployment on AWS, with your AWS
  credentials (from the environment or a profile) and your region or --region. AWS_ENDPOINT_URL selects
  an emulator. You can also name the queues by their URLs.

  Choose a DLQ with --of: `activities` (messages that the aggregator could not count; the default), `events`
  (events that ingest did not take; where there is an event bus), `rewards`
  (messages that rewards could not read; where there are quests), `webhook-ID` and `mail` (events of coins that
  could not be sent), `pipe`, `facts-pipe` and `coins-pipe` (positions in a stream that the pipe gave up on) or
  `snapshot` (runs that failed; on AWS only). Those of pipes and of the snapshot cannot be redriven.

Reading does not lose anything:
  SQS has no way to list a queue; it can only hand messages out. These commands receive up to 100,000
  dead letters and make all of them visible again at the end, or when you interrupt them. Meanwhile, for seconds
  or minutes, no one else can see them. If the command is killed, they stay hidden for half a minute
  plus 20 seconds for each thousand; after a purge, for four minutes more. Reading raises their receive
  counts, which has no effect in a DLQ.

Examples:
  podium dlq list --reason not_scored --older-than 1h
  podium dlq show 9f1c7a52-4a3d-4f6e-8f0c-3f4a5b6c7d8e --environment prod
  podium dlq export dead-letters.jsonl
  podium dlq redrive --reason not_scored --rate 50
  podium dlq purge --of snapshot --export runs.jsonl --environment prod

Exit status: 0 if everything was done, 1 if something failed or is left, 130 if interrupted.";

#[derive(clap::Subcommand)]
pub enum Command {
    /// Count the dead letters by reason and age, and list the oldest
    List(list::Args),
    /// Show one dead letter in full, and what its reason means
    Show(show::Args),
    /// Write dead letters to a file, one line of JSON each, and keep them in the queue
    #[command(after_long_help = export::HELP)]
    Export(export::Args),
    /// Send dead letters to the queue again, to be counted
    #[command(after_long_help = redrive::HELP)]
    Redrive(redrive::Args),
    /// Delete dead letters, after writing them to a file and asking you for the queue's name
    #[command(after_long_help = purge::HELP)]
    Purge(purge::Args),
}

/// Which dead letters a subcommand is about, and where they are.
#[derive(clap::Args)]
struct Selection {
    #[command(flatten)]
    choice: Choice,
    #[command(flatten)]
    location: Location,
}

impl Selection {
    async fn connect(&self) -> anyhow::Result<Connection<'_>> {
        self.choice.check()?;
        self.location.connect().await
    }
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    let mut interrupts = Interrupts::listen()?;
    match command {
        Command::List(args) => list::run(args, &mut interrupts).await,
        Command::Show(args) => show::run(args, &mut interrupts).await,
        Command::Export(args) => export::run(args, &mut interrupts).await,
        Command::Redrive(args) => redrive::run(args, &mut interrupts).await,
        Command::Purge(args) => purge::run(args, &mut interrupts).await,
    }
}

/// Ctrl-C (SIGINT), and SIGTERM, which service managers send.
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

/// Reports on standard error why a sweep did not see every dead letter, and returns the exit code.
fn conclude(ending: Ending, hidden: u64) -> ExitCode {
    let limit = grouped(sweep::HELD_MAX as u64);
    match ending {
        Ending::All | Ending::Enough => {}
        Ending::Full => eprintln!(
            "podium: there are more than {limit} dead letters, and only that many were read; redrive or purge \
             some of them and run this again"
        ),
        Ending::OutOfTime => eprintln!(
            "podium: time ran out before all dead letters were read; redrive or purge some of them and run this again"
        ),
        Ending::Interrupted => eprintln!("podium: interrupted; all dead letters are still in the queue"),
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
        "About {} hidden: another command holds them, or held them when it was killed. They come back, \
         usually within a minute; run this again then.",
        counted(hidden, "dead letter is", "dead letters are"),
    )
}

/// Returns everything that was received to the queue, and reports what could not be returned.
async fn give_back(sweep: &Sweep<'_>, interrupts: &mut Interrupts) {
    let kept = sweep.release(interrupts).await;
    if kept > 0 {
        eprintln!(
            "podium: {} could not be returned to the queue now, and will be visible again within {}",
            counted(kept, "dead letter", "dead letters"),
            age(sweep.longest_hidden().as_secs_f64())
        );
    }
}
