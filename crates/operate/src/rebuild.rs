//! `podium rebuild`: the counts anew from the facts, beside those in use.

mod grow;

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use store::generations::{Building, State};
use store::keys::CountGeneration;
use tokio::time::{Instant, sleep};

use crate::counts::{Counts, SEGMENTS_DEFAULT, parse_segments};
use crate::deployment::Deployment;
use crate::reconcile::{self, Findings, Scope};
use terminal::duration;
use terminal::text::{counted, grouped};

pub const HELP: &str = "\
The counts of a deployment can be computed anew from its activities, while it goes on accepting and
counting. They grow in a generation of their own (g2 beside g1), into which the aggregator counts as
well from the moment at which the rebuild begins, so that both stay the same. Each activity counts
once in each. When all are counted and compared with the facts, one write makes readers and writers
change over; the former generation is still counted into, and one write changes back.

  podium rebuild run       begin, or go on where a rebuild stopped; compare; change over
  podium rebuild status    how far it is
  podium rebuild switch    change over to the other generation, and back by the same command
  podium rebuild finish    give up the generation beside the live one, and delete its counts

It is shown only if it has every activity that was accepted until the comparison; those on their way
get some time (--in-flight). A rebuild that is killed goes on where it was, from checkpoints: start it again. It
reads every activity (half a read unit a KB, and more for the comparison) and writes what counting
writes, about five write units each. Two generations cost the aggregator twice the write units until
`finish`.

It counts by the rules that the aggregator notes beside the counts: scoring policy, time zone, shards.
Without an option it means the stack of `podium local`; with --environment NAME a deployment on AWS.";

/// Between the first two comparisons; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Count all activities anew, compare, and change over
    Run(RunArgs),
    /// Which generations there are, and how far a rebuild is
    Status(Deployment),
    /// Show the other generation from now on
    Switch(Deployment),
    /// Give up the generation that is not shown, and delete its counts
    Finish(Deployment),
}

#[derive(clap::Args)]
struct RunArgs {
    #[command(flatten)]
    deployment: Deployment,
    /// Parts of the activities that are counted at once; a rebuild that goes on keeps its own
    #[arg(long, value_name = "NUMBER", default_value_t = SEGMENTS_DEFAULT, value_parser = parse_segments)]
    segments: u16,
    /// How long an activity may be under way
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    in_flight: Duration,
    /// Compare, and leave the change to `podium rebuild switch`
    #[arg(long)]
    no_switch: bool,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    match args.command {
        Command::Run(args) => rebuild(args).await,
        Command::Status(deployment) => status(&Counts::connect(&deployment).await?).await,
        Command::Switch(deployment) => switch(&Counts::connect(&deployment).await?).await,
        Command::Finish(deployment) => finish(&Counts::connect(&deployment).await?).await,
    }
}

async fn rebuild(args: RunArgs) -> anyhow::Result<ExitCode> {
    let counts = Counts::connect(&args.deployment).await?;
    let known = counts.generations().await?;
    let (wanted, generation) = known.with_rebuild();
    if wanted == known {
        println!("Goes on with {generation}, beside {}.", known.live);
    } else {
        if let Some(former) = known.building {
            // Nothing counts into it any more once the new one is named.
            println!("Gives up {}.", former.generation);
            let (alone, given_up) = known.alone()?;
            let alone = counts.change(&known, alone).await?;
            counts.rebuilds.delete(given_up).await?;
            counts.change(&alone, wanted).await?;
        } else {
            counts.change(&known, wanted).await?;
        }
        println!("Begins {generation} beside {}.", known.live);
    }
    let grown = grow::grow(&counts, generation, i32::from(args.segments)).await?;
    println!(
        "{} counted, {} cannot be.",
        counted(grown.facts - grown.not_countable, "activity is", "activities are"),
        grouped(grown.not_countable)
    );

    let findings = compare(&counts, generation, args.in_flight).await?;
    print!("{findings}");
    if !findings.is_clean() {
        println!(
            "{generation} does not agree with the activities and is not shown. Bring back what is missing (podium \
             reconcile --repair) and run this again, or give it up (podium rebuild finish)."
        );
        return Ok(ExitCode::FAILURE);
    }
    let known = counts.generations().await?;
    let complete = counts.change(&known, known.completed()?).await?;
    if args.no_switch {
        println!("{generation} is complete. To show it: podium rebuild switch");
        return Ok(ExitCode::SUCCESS);
    }
    counts.change(&complete, complete.switched()?).await?;
    println!(
        "{generation} is shown from the next snapshot on. To go back: podium rebuild switch. To keep it: podium \
         rebuild finish."
    );
    Ok(ExitCode::SUCCESS)
}

/// Compares a generation with everything that was accepted until now. The newest of it may be on its way
/// to the counts, so that what is missing is looked for again, with growing pauses.
async fn compare(
    counts: &Counts,
    generation: CountGeneration,
    in_flight: Duration,
) -> anyhow::Result<Findings> {
    let scope = Scope {
        generation,
        watermark: Some(Timestamp::now()),
        segments: SEGMENTS_DEFAULT,
    };
    let until = Instant::now() + in_flight;
    let mut pause = FIRST_PAUSE;
    loop {
        let findings = reconcile::compare(counts, &scope, None).await?;
        let missing = findings.uncounted.left();
        if missing == 0 || Instant::now() >= until {
            return Ok(findings);
        }
        println!(
            "{} not counted yet, and may be under way; compares again.",
            counted(missing, "activity is", "activities are"),
        );
        sleep(pause.min(until - Instant::now())).await;
        pause *= 2;
    }
}

async fn status(counts: &Counts) -> anyhow::Result<ExitCode> {
    let generations = counts.generations().await?;
    println!("{} is shown.", generations.live);
    let Some(Building { generation, state }) = generations.building else {
        println!("There is none beside it.");
        return Ok(ExitCode::SUCCESS);
    };
    match state {
        State::Complete => println!("{generation} is complete and counted into as well."),
        State::Incomplete => {
            let checkpoints = counts.rebuilds.checkpoints(generation).await?;
            let done = checkpoints.iter().filter(|checkpoint| checkpoint.is_done).count();
            println!(
                "{generation} grows: {} of {} segments are done, with {}.",
                done,
                checkpoints.first().map_or(0, |checkpoint| checkpoint.segments),
                counted(
                    checkpoints.iter().map(|checkpoint| checkpoint.facts).sum(),
                    "activity",
                    "activities"
                ),
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn switch(counts: &Counts) -> anyhow::Result<ExitCode> {
    let known = counts.generations().await?;
    let switched = counts.change(&known, known.switched()?).await?;
    println!("{} is shown from the next snapshot on.", switched.live);
    Ok(ExitCode::SUCCESS)
}

async fn finish(counts: &Counts) -> anyhow::Result<ExitCode> {
    let known = counts.generations().await?;
    let (alone, given_up) = known.alone()?;
    counts.change(&known, alone).await?;
    let deleted = counts.rebuilds.delete(given_up).await?;
    println!(
        "{given_up} is given up; {} deleted. Its markers expire by themselves.",
        counted(deleted, "item is", "items are")
    );
    Ok(ExitCode::SUCCESS)
}
