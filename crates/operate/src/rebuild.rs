//! `podium rebuild`: recounts all facts into a new generation while the live one stays in use.

mod backfill;

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use store::generations::{Building, State};
use store::keys::CountGeneration;
use terminal::duration;
use terminal::text::{counted, grouped};
use tokio::time::{Instant, sleep};

use crate::counts::{Counts, SEGMENTS_DEFAULT, parse_segments};
use crate::deployment::Deployment;
use crate::reconcile::{self, Findings, Scope};

pub const HELP: &str = "\
A rebuild counts all activities of a deployment again, into a new generation of the counts (such as g2)
while the live one (g1) stays in use. The deployment keeps accepting and counting. From the moment the rebuild begins, the
aggregator counts into both generations, and each activity counts once in each. When everything is
counted and agrees with the activities, one write switches readers and writers to the new generation.
The former generation is still counted into, so one write switches back.

  podium rebuild run       begin a rebuild or resume one that stopped; compare; switch
  podium rebuild status    show the generations and the progress of a rebuild
  podium rebuild switch    switch to the other generation; run it again to switch back
  podium rebuild finish    drop the generation that is not live, and delete its counts

The new generation goes live only if it has every activity that was accepted before the comparison.
Activities that are still being counted get some time (--in-flight). A rebuild that was killed resumes
from its checkpoints: run it again. It reads every activity three times (half a read unit for each KB), and
writes one write unit for each standing and for each block of recent keys. Until `finish`, the aggregator
uses twice the units.

A rebuild counts by the rules that are configured for the aggregator: scoring policy, time zone and
shards. If they changed in a way that would alter what is counted already, the live generation keeps its
former rules until a rebuild. Counts of an earlier version of Podium, which kept them in another form, stand still
until a rebuild has replaced them; that one cannot be switched back.

Without options it uses the stack of `podium local`; with --environment NAME, a deployment on
AWS.";

/// The pause between the first two comparisons. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

#[derive(clap::Subcommand)]
pub enum Command {
    /// Count all activities again, compare, and switch
    Run(RunArgs),
    /// Show the generations and the progress of a rebuild
    Status(Deployment),
    /// Make the other generation live
    Switch(Deployment),
    /// Drop the generation that is not live, and delete its counts
    Finish(Deployment),
}

#[derive(clap::Args)]
pub struct RunArgs {
    #[command(flatten)]
    deployment: Deployment,
    /// How many parts of the table to count at once. A resumed rebuild keeps its number
    #[arg(long, value_name = "NUMBER", default_value_t = SEGMENTS_DEFAULT, value_parser = parse_segments)]
    segments: u16,
    /// How long to wait for activities that are accepted but not counted yet
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    in_flight: Duration,
    /// Stop after the comparison; `podium rebuild switch` makes the new generation live
    #[arg(long)]
    no_switch: bool,
}

pub async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(args) => rebuild(args).await,
        Command::Status(deployment) => status(&Counts::connect(&deployment).await?).await,
        Command::Switch(deployment) => switch(&Counts::connect(&deployment).await?).await,
        Command::Finish(deployment) => drop_other(&Counts::connect(&deployment).await?).await,
    }
}

async fn rebuild(args: RunArgs) -> anyhow::Result<ExitCode> {
    let counts = Counts::connect(&args.deployment).await?;
    let known = counts.generations().await?;
    let (wanted, generation) = known.with_rebuild();
    if wanted == known {
        println!("Resuming {generation} next to the live {}.", known.live);
    } else {
        counts.change(&known, wanted).await?;
        if let Some(former) = &known.building {
            // Nothing counts into it now that the new one is registered.
            println!("Dropping {}.", former.generation);
            counts.rebuilds.delete(former.generation).await?;
        }
        println!("Building {generation} next to the live {}.", known.live);
    }
    let counts = counts.of(generation, &counts.generations().await?);
    let backfilled = backfill::run(&counts, generation, i32::from(args.segments)).await?;
    println!(
        "{} counted; {} cannot be counted.",
        counted(
            backfilled.facts - backfilled.not_countable,
            "activity is",
            "activities are"
        ),
        grouped(backfilled.not_countable)
    );

    let findings = compare(&counts, generation, args.in_flight).await?;
    print!("{findings}");
    if !findings.is_clean() {
        println!(
            "{generation} does not agree with the activities, so it does not go live. Recover what is missing with \
             `podium reconcile --repair` and run this again, or drop it with `podium rebuild finish`."
        );
        return Ok(ExitCode::FAILURE);
    }
    let known = counts.generations().await?;
    let complete = counts.change(&known, known.completed()?).await?;
    if args.no_switch {
        println!("{generation} is complete. Make it live with `podium rebuild switch`.");
        return Ok(ExitCode::SUCCESS);
    }
    let former = complete.live;
    let switched = counts.change(&complete, complete.switched()?).await?;
    if switched.is_former(former) {
        println!("{generation} is live; boards show it from the next snapshot.");
        return drop_other(&counts).await;
    }
    println!(
        "{generation} is live; boards show it from the next snapshot. Go back with `podium rebuild switch`, or keep it \
         with `podium rebuild finish`."
    );
    Ok(ExitCode::SUCCESS)
}

/// Compares a generation with everything that was accepted until now. The newest activities may still be
/// in flight, so if some are missing it compares again, with growing pauses.
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
        let findings = reconcile::compare(counts, &scope, false).await?;
        let missing = findings.uncounted.left();
        if missing == 0 || Instant::now() >= until {
            return Ok(findings);
        }
        println!(
            "{} not counted yet and may be in flight; comparing again.",
            counted(missing, "activity is", "activities are"),
        );
        sleep(pause.min(until - Instant::now())).await;
        pause *= 2;
    }
}

async fn status(counts: &Counts) -> anyhow::Result<ExitCode> {
    let generations = counts.generations().await?;
    println!("{} is live.", generations.live);
    if generations.is_former(generations.live) {
        println!(
            "It was counted by an earlier version of Podium and stands still. `podium rebuild run` recounts everything \
             into a generation that goes on."
        );
    }
    let pending = generations.pending();
    if !pending.is_empty() {
        println!(
            "It is counted by former rules: {} configured differently since then. `podium rebuild run` recounts \
             everything by the new ones.",
            match pending.as_slice() {
                [one] => format!("{one} is"),
                many => format!("{} are", many.join(", ")),
            }
        );
    }
    let Some(Building {
        generation, state, ..
    }) = generations.building
    else {
        println!("There is no other generation.");
        return Ok(ExitCode::SUCCESS);
    };
    match state {
        State::Complete => println!("{generation} is complete and kept up to date."),
        State::Incomplete => {
            let checkpoints = counts.rebuilds.checkpoints(generation).await?;
            let done = checkpoints.iter().filter(|checkpoint| checkpoint.is_done).count();
            println!(
                "{generation} is being built: {} of {} segments are done, with {}.",
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
    println!(
        "{} is live; boards show it from the next snapshot.",
        switched.live
    );
    Ok(ExitCode::SUCCESS)
}

/// Drops the generation that is not live.
async fn drop_other(counts: &Counts) -> anyhow::Result<ExitCode> {
    let known = counts.generations().await?;
    let (alone, given_up) = known.alone()?;
    counts.change(&known, alone).await?;
    let deleted = counts.rebuilds.delete(given_up).await?;
    println!(
        "{given_up} is dropped; {} deleted. Its blocks expire on their own.",
        counted(deleted, "item is", "items are")
    );
    Ok(ExitCode::SUCCESS)
}
