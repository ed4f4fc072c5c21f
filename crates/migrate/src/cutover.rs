//! `podium migrate cutover`, `rollback` and `finish`: what to change, with checks before and after. None of them changes
//! anything but the state of the migration: addresses are changed where people and programs have them.

use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use client::Target;
use import::To;
use jiff::{SignedDuration, Timestamp};
use operate::deployment::Deployment;
use store::Facts;
use store::schema::TableNames;
use terminal::text::{age, counted};

use crate::backfill::Backfilled;
use crate::follow::Followed;
use crate::mirror;
use crate::source::{self, Legacy};
use crate::state::{File, Files, Migration};

/// A comparison that is older than this says nothing of now.
const VERIFIED_WITHIN: SignedDuration = SignedDuration::from_hours(1);
/// Nobody writes into the other system any more when tail has carried nothing for so long.
const QUIET: SignedDuration = SignedDuration::from_secs(10);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: Legacy,
    /// Check that people and programs have arrived, after the addresses were changed
    #[arg(long)]
    check: bool,
    /// The function bridge is tail and mirror on AWS: want neither on this machine
    #[arg(long)]
    with_bridge: bool,
    #[command(flatten)]
    to: To,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let files = args.from.files();
    let now = Timestamp::now();
    let prefix = &args.from.named(args.to.url());
    if args.check {
        return arrived(&files, prefix, now, args.with_bridge);
    }
    is_verified(&files, prefix, now)?;
    if !args.with_bridge {
        runs(&files, File::Tail, now, "tail", prefix)?;
        runs(&files, File::Mirror, now, "mirror", prefix)?;
    }
    let status = args.to.api().await?.status().await;
    status.with_context(|| format!("Podium at {} cannot be cut over to", args.to.url()))?;
    files.change(|migration| {
        migration.cut_over_at = Some(now);
        (migration.arrived_at, migration.rolled_back_at) = (None, None);
    })?;
    let url = args.to.url().trim_end_matches('/');
    println!(
        "Both systems have the same facts. Change now, in any order and one after another; neither loses anything \
         meanwhile:\n\
         \x20 programs that write    POST {url}/v1/activities, with activity_id, user_id, program_id, kind, points and occurred_at\n\
         \x20 pages that people read {url}, or {url}/v1/boards/global for programs. A page of the other system\n\
         \x20                        goes on with {url}/v1/legacy/leaderboard, where legacy_answer is set\n\
         Keep tail and mirror running. Then: podium migrate cutover --check --from {prefix}\n\
         To go back at any time: podium migrate rollback --from {prefix}"
    );
    Ok(ExitCode::SUCCESS)
}

/// Whether nobody writes into the other system any more.
fn arrived(files: &Files, prefix: &str, now: Timestamp, with_bridge: bool) -> anyhow::Result<ExitCode> {
    let migration = files.migration()?;
    let Some(cut_over_at) = migration.cut_over_at else {
        bail!("nothing was cut over; run `podium migrate cutover --from {prefix}` first");
    };
    if !with_bridge {
        runs(files, File::Tail, now, "tail", prefix)?;
        let tail: Followed = files.read(File::Tail)?;
        let last = tail
            .carried_at
            .map_or(cut_over_at, |carried_at| carried_at.max(cut_over_at));
        let quiet = now.duration_since(last);
        if quiet < QUIET {
            println!(
                "Somebody wrote into the other system {} ago, or may have. Change the addresses of all that write, and \
                 check again after {} s.",
                age(quiet.as_secs_f64()),
                QUIET.as_secs()
            );
            return Ok(ExitCode::FAILURE);
        }
    }
    files.change(|migration| migration.arrived_at = Some(now))?;
    println!(
        "Nobody writes into the other system any more. When you are sure that you stay: podium migrate finish --from {prefix}"
    );
    Ok(ExitCode::SUCCESS)
}

#[derive(clap::Args)]
pub struct RollbackArgs {
    #[command(flatten)]
    from: Legacy,
    #[command(flatten)]
    deployment: Deployment,
    #[command(flatten)]
    target: Target,
}

pub async fn roll_back(args: RollbackArgs) -> anyhow::Result<ExitCode> {
    let files = args.from.files();
    let prefix = &args.from.named(args.target.url.as_str());
    ensure!(
        files.migration()?.finished_at.is_none(),
        "this migration is finished; begin another one to go back: podium migrate mirror --from {prefix}"
    );
    let (own, lacking) = carried_back(&args.from, &args.deployment).await?;
    if lacking > 0 {
        println!(
            "{} of Podium's own are not in the other system yet. Run `podium migrate mirror --from {prefix}` until they \
             are, and this again.",
            counted(lacking, "activity", "activities")
        );
        return Ok(ExitCode::FAILURE);
    }
    let now = Timestamp::now();
    files.change(|migration| {
        migration.rolled_back_at = Some(now);
        (migration.cut_over_at, migration.arrived_at) = (None, None);
    })?;
    println!(
        "The other system has all {} of Podium's own, and counts them. Change back, in any order: the addresses of the \
         programs that write, and of the pages that people read. Keep tail and mirror running: what is still posted to \
         Podium is carried back. To go forth again: podium migrate verify --from {prefix}",
        counted(own, "activity", "activities")
    );
    Ok(ExitCode::SUCCESS)
}

#[derive(clap::Args)]
pub struct FinishArgs {
    #[command(flatten)]
    from: Legacy,
    #[command(flatten)]
    target: Target,
}

pub fn finish(args: &FinishArgs) -> anyhow::Result<ExitCode> {
    let files = args.from.files();
    let prefix = &args.from.named(args.target.url.as_str());
    let migration = files.migration()?;
    ensure!(
        migration.arrived_at.is_some(),
        "it is not known that nobody writes into the other system any more; run `podium migrate cutover --check --from \
         {prefix}` first"
    );
    let now = Timestamp::now();
    is_verified(&files, prefix, now)?;
    let verified = migration.verified.map(|verified| verified.at);
    ensure!(
        verified > migration.arrived_at,
        "the last comparison is older than the last event; run `podium migrate verify --from {prefix}` once more"
    );
    files.change(|migration| migration.finished_at = Some(now))?;
    println!(
        "Everything that happened is in Podium. Stop tail and mirror; on AWS, take the variable legacy out. The tables \
         {prefix}-* are unchanged but for what mirror added: back them up, and delete them when you like.",
        prefix = args.from.prefix
    );
    Ok(ExitCode::SUCCESS)
}

/// The number of Podium's own activities, and of those the other system lacks.
async fn carried_back(from: &Legacy, deployment: &Deployment) -> anyhow::Result<(u64, u64)> {
    let source = from.connect().await?;
    let deployment = source::podium(deployment);
    let config = deployment.connect(None).await?;
    let table = TableNames::prefixed(&deployment.prefix()).activities;
    let facts = Facts::new(aws_sdk_dynamodb::Client::new(&config), table);
    mirror::lacking(&source, &facts).await
}

fn is_verified(files: &Files, prefix: &str, now: Timestamp) -> anyhow::Result<()> {
    let Migration { verified, .. } = files.migration()?;
    let backfilled: Backfilled = files.read(File::Backfill)?;
    let again = format!("run `podium migrate verify --from {prefix}`");
    let verified = verified.with_context(|| format!("nothing was compared yet; {again} first"))?;
    ensure!(
        verified.ours == 0,
        "the last comparison found differences that Podium made; {again} until there are none"
    );
    ensure!(
        backfilled.done_at.is_some_and(|done_at| done_at < verified.at),
        "the last comparison was made before the backfill was done; {again} first"
    );
    ensure!(
        now.duration_since(verified.at) <= VERIFIED_WITHIN,
        "the last comparison is {} old; {again} once more",
        age(now.duration_since(verified.at).as_secs_f64())
    );
    Ok(())
}

fn runs(files: &Files, file: File, now: Timestamp, stage: &str, prefix: &str) -> anyhow::Result<()> {
    let followed: Followed = files.read(file)?;
    ensure!(
        followed.is_running(now),
        "{stage} does not run; run this in another terminal, in the same directory, and leave it running: podium migrate \
         {stage} --from {prefix}"
    );
    Ok(())
}
