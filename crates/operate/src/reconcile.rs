//! `podium reconcile`: compares the counts, or the coins, with the facts, and repairs them.

mod compare;
mod findings;
pub mod rewards;
mod user;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use jiff::{SignedDuration, Timestamp};
use store::keys::CountGeneration;
use store::{Quality, quality};
use terminal::duration;
use terminal::text::age;

pub use self::compare::compare;
pub use self::findings::Findings;
use crate::counts::{Counts, SEGMENTS_DEFAULT, parse_segments};
use crate::deployment::Deployment;

/// By default a board is stale when three snapshots in a row, one a minute, are missing.
pub const BOARD_AGE_MAX: SignedDuration = SignedDuration::from_mins(3);

pub const HELP: &str = "\
Reconcile reads every activity and checks the counts by four rules:

  completeness   every activity is counted
  uniqueness     nothing is counted without an activity, and nothing is counted twice
  agreement      a standing is the sum of its activities
  freshness      the board was published in the last few minutes, and so was the last heartbeat counted

Activities that may still be in flight are not checked: those accepted after the last counted heartbeat,
or less than --in-flight before it. Counting goes on meanwhile; counts that change during the check are
checked again.

Without --repair it corrects nothing. It only stores its result, which the snapshot function publishes
as the metrics Uncounted, Unfounded and Disagreeing. With --repair, it writes the standings of each user with a finding
anew from the user's activities, those included that were never counted. Each write has an audit record,
under the key `audit` in the table of standings.

With --rewards it compares the coins instead, by quest: those that are missing, since a quest is new or a message was
lost; to be revoked, since an activity was voided; and to be amended, with another time or other evidence. It also
finds people of whose activities rewards were never told. With --repair, it proves the quests of each of them anew
from all activities, with an audit record of each change. What a supply was settled to stays so.

Without options it uses the stack of `podium local`; with --environment NAME, a deployment on AWS.

Exit status: 0 if no rule is broken or everything was repaired, 1 if not.";

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    deployment: Deployment,
    /// Compare the coins of quests, not the counts
    #[arg(long)]
    rewards: bool,
    /// Repair what differs
    #[arg(long)]
    repair: bool,
    /// Print the findings about coins as JSON
    #[arg(long, requires = "rewards")]
    json: bool,
    /// How long an activity may take to be counted, or to give coins
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration::parse)]
    in_flight: Duration,
    /// How many parts of the table to read at once
    #[arg(long, value_name = "NUMBER", default_value_t = SEGMENTS_DEFAULT, value_parser = parse_segments)]
    segments: u16,
}

/// What to compare with the facts.
#[derive(Clone, Debug)]
pub struct Scope {
    pub generation: CountGeneration,
    /// Everything accepted before this should be counted. `None` if no such time is known.
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
    let in_flight = args.in_flight.try_into().context("--in-flight is too long")?;
    if args.rewards {
        return rewards::run(&args, in_flight).await;
    }
    let counts = Counts::connect(&args.deployment).await?;
    let scope = Scope::live(&counts, in_flight, args.segments).await?;
    match scope.watermark {
        Some(watermark) => println!(
            "Comparing {} with the activities accepted until {watermark:.0}.",
            scope.generation
        ),
        None => println!(
            "Comparing {}. No heartbeat was counted yet, so activities that are not counted are taken to be in flight.",
            scope.generation
        ),
    }
    let findings = compare(&counts, &scope, args.repair).await?;
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

/// How many counts of the live generation differ from the facts, but for those that may still be in flight.
pub async fn differences(deployment: &Deployment, in_flight: SignedDuration) -> anyhow::Result<u64> {
    let counts = Counts::connect(deployment).await?;
    let scope = Scope::live(&counts, in_flight, SEGMENTS_DEFAULT).await?;
    let findings = compare(&counts, &scope, false).await?;
    let rules = [&findings.uncounted, &findings.unfounded, &findings.disagreeing];
    Ok(rules.iter().map(|rule| rule.left()).sum())
}

/// Prints how old the board is. Returns whether that is within the default bounds of a deployment.
async fn freshness(counts: &Counts, scope: &Scope) -> anyhow::Result<bool> {
    let Some(overview) = counts.snapshots.overview().await? else {
        println!("freshness     broken: no snapshot was published yet");
        return Ok(false);
    };
    let now = Timestamp::now();
    let snapshot = now.duration_since(overview.freshness.generated_at);
    let heartbeat = counts.last_heartbeat(scope.generation).await?;
    let heartbeat = heartbeat.map(|sent_at| now.duration_since(sent_at));
    let is_fresh = snapshot <= BOARD_AGE_MAX && heartbeat.is_some_and(|heartbeat| heartbeat <= BOARD_AGE_MAX);
    println!(
        "freshness     {}: the board is {} old; the last counted heartbeat was sent {}",
        if is_fresh { "kept" } else { "broken" },
        age(snapshot.as_secs_f64()),
        heartbeat.map_or_else(
            || "at an unknown time".to_owned(),
            |ago| format!("{} ago", age(ago.as_secs_f64()))
        ),
    );
    Ok(is_fresh)
}
