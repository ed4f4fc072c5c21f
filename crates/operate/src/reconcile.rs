//! `podium reconcile`: whether the counts are what the facts come to, and making them so.

mod compare;
mod findings;
mod user;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use store::Quality;
use store::keys::CountGeneration;
use store::quality;

use self::compare::Repairing;
pub use self::compare::compare;
pub use self::findings::Findings;
use crate::counts::{Counts, SEGMENTS_DEFAULT, parse_segments};
use crate::deployment::Deployment;
use terminal::duration;
use terminal::text::age;

/// By default a board is stale when three snapshots in a row, one a minute, are missing.
pub const BOARD_AGE_MAX: SignedDuration = SignedDuration::from_mins(3);

pub const HELP: &str = "\
It reads every activity and compares what was counted with what should have been, by four rules:

  completeness   every activity is counted
  uniqueness     nothing is counted that is no activity, and nothing twice
  agreement      a standing is the sum of its activities, and a program's totals are the sum of its
                 standings
  freshness      the board is of the last minutes, and so is what it shows

What was accepted a short while before the last heartbeat that was counted (--in-flight), or after it,
may still be under way and is not asked for. Counting goes on meanwhile: what moves while it is looked
at is looked at again.

Without --repair nothing is changed but a note of the result, from which each snapshot makes metrics
(Uncounted, Unfounded, Disagreeing). With --repair, activities that were never counted are put into
the queue again, where counting them is the aggregator's, exactly once as ever; markers of nothing are
deleted, and counters set to what they should be. Each change is written together with a record of
it, under the key `audit` in the table of standings.

Without an option it means the stack of `podium local`; with --environment NAME a deployment on AWS.

Exit status: 0 if no rule is broken or all that was is repaired, 1 if not.";

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    deployment: Deployment,
    /// Correct what is wrong
    #[arg(long)]
    repair: bool,
    /// How long an activity may be under way
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    in_flight: Duration,
    /// Parts of the activities that are read at once
    #[arg(long, value_name = "NUMBER", default_value_t = SEGMENTS_DEFAULT, value_parser = parse_segments)]
    segments: u16,
}

/// What is compared with the facts.
#[derive(Clone, Debug)]
pub struct Scope {
    pub generation: CountGeneration,
    /// Of what was accepted up to here everything should be counted; `None` if nothing is known to be.
    pub watermark: Option<Timestamp>,
    pub segments: u16,
}

impl Scope {
    /// The live generation.
    async fn live(counts: &Counts, in_flight: SignedDuration, segments: u16) -> anyhow::Result<Self> {
        let generation = counts.generations().await?.live;
        let heartbeat = counts.last_heartbeat(generation).await?;
        Ok(Self {
            generation,
            watermark: heartbeat.map(|sent_at| sent_at.min(Timestamp::now()) - in_flight),
            segments,
        })
    }
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let counts = Counts::connect(&args.deployment).await?;
    let in_flight = args.in_flight.try_into().context("--in-flight is too long")?;
    let scope = Scope::live(&counts, in_flight, args.segments).await?;
    match scope.watermark {
        Some(watermark) => println!(
            "Compares {} with what was accepted until {watermark:.0}.",
            scope.generation
        ),
        None => println!(
            "Compares {}; no heartbeat was counted, so it is not known what is still under way.",
            scope.generation
        ),
    }
    let repairing = if args.repair {
        Some(Repairing::new(&counts, &args.deployment).await?)
    } else {
        None
    };
    let findings = compare(&counts, &scope, repairing.as_ref()).await?;
    print!("{findings}");
    let is_fresh = freshness(&counts, &scope).await?;
    let left = Quality {
        checked_at: Timestamp::now(),
        uncounted: findings.uncounted.left(),
        unfounded: findings.unfounded.left(),
        disagreeing: findings.disagreeing.left(),
    };
    quality::save(&counts.client, &counts.tables.standings, &left).await?;
    Ok(if findings.is_clean() && is_fresh {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Says how old the board is; whether that is within the bounds of a deployment by default.
async fn freshness(counts: &Counts, scope: &Scope) -> anyhow::Result<bool> {
    let Some(overview) = counts.snapshots.overview().await? else {
        println!("freshness     broken: no snapshot was ever published");
        return Ok(false);
    };
    let now = Timestamp::now();
    let snapshot = now.duration_since(overview.freshness.generated_at);
    let heartbeat = counts.last_heartbeat(scope.generation).await?;
    let heartbeat = heartbeat.map(|sent_at| now.duration_since(sent_at));
    let is_fresh = snapshot <= BOARD_AGE_MAX && heartbeat.is_some_and(|heartbeat| heartbeat <= BOARD_AGE_MAX);
    println!(
        "freshness     {}: the board is {} old, and shows what was accepted {} ago",
        if is_fresh { "kept" } else { "broken" },
        age(snapshot.as_secs_f64()),
        heartbeat.map_or_else(|| "nobody knows when".to_owned(), |ago| age(ago.as_secs_f64())),
    );
    Ok(is_fresh)
}
