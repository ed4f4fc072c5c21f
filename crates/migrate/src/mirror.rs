//! `podium migrate mirror`: carries Podium's own activities back into the other system, so that going back loses nothing.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use aws_sdk_dynamodb::Client;
use bridge::mirrored::NotPut;
use bridge::{Item, mirrored};
use client::Target;
use domain::{Activity, Fact, ScoringPolicy};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use operate::deployment::Deployment;
use store::facts::Position;
use store::schema::TableNames;
use store::stream::Streamed;
use store::{Facts, generations};
use terminal::text::counted;
use tokio::time::{Instant, sleep};

use crate::follow::{Follower, Handled, until_stopped};
use crate::source::{self, Legacy, Source};
use crate::state::File;

const PUTS_AT_ONCE: usize = 16;
const PAGE: i32 = 1_000;
/// How long an activity may be on its way back, and how often to look for it.
const UNDER_WAY_MAX: Duration = Duration::from_secs(20);
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: Legacy,
    #[command(flatten)]
    deployment: Deployment,
    #[command(flatten)]
    target: Target,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let source = args.from.connect().await?;
    let files = args.from.files();
    let deployment = source::podium(&args.deployment);
    let config = deployment.connect(None).await?;
    let podium = Client::new(&config);
    let TableNames {
        activities,
        standings,
        ..
    } = TableNames::prefixed(&deployment.prefix());
    let policy = policy(&podium, &standings).await?;
    let stream = source::stream_arn(&podium, &activities).await?;
    let client = aws_sdk_dynamodbstreams::Client::new(&config);
    let follower = Follower::new(client, stream, files.read(File::Mirror)?);
    eprintln!(
        "Carrying what is posted to {} back to {}. Leave this running; Ctrl-C stops it, and it resumes where it was.",
        args.target.url, source.mapping.table
    );
    // What is older than the stream, unless an earlier process has followed that from then on.
    if follower.followed.covers_since.is_none() {
        let earlier = all(&Facts::new(podium, activities), &source, &policy).await?;
        if earlier > 0 {
            eprintln!(
                "{} carried back.",
                counted(earlier, "activity is", "activities are")
            );
        }
    }
    let handle = async |items: Vec<Item>| {
        let activities: Vec<_> = items.iter().filter_map(own).collect();
        put_all(&source, &policy, &activities).await
    };
    let ended = until_stopped(follower, handle, |followed| files.write(File::Mirror, followed)).await?;
    println!(
        "{} carried back so far.",
        counted(ended.carried, "activity was", "activities were")
    );
    Ok(ExitCode::SUCCESS)
}

/// What each kind is worth, by the rules that Podium counts by.
async fn policy(podium: &Client, standings: &str) -> anyhow::Result<ScoringPolicy> {
    let generations = generations::read(podium, standings).await;
    let generations = generations.with_context(|| {
        format!("could not read Podium's table {standings}; name a deployment with --environment, or a stack with --aws-url")
    })?;
    let rules = generations.rules(generations.live);
    let rules = rules.context("Podium has counted nothing yet; run the backfill first")?;
    Ok(rules.scoring_policy.clone())
}

/// The activity in an item of Podium's table, if it is to be carried back. Corrections are listed by verify.
fn own(item: &Item) -> Option<Activity> {
    match store::stream::streamed(item) {
        Ok(Streamed::Fact {
            fact: Fact::Activity(activity),
            ..
        }) if mirrored::is_own(&activity) => Some(activity),
        _ => None,
    }
}

async fn all(facts: &Facts, source: &Source, policy: &ScoringPolicy) -> anyhow::Result<u64> {
    let (mut carried, mut after) = (0, None);
    loop {
        let (own, next) = own_page(facts, after.as_ref()).await?;
        carried += put_all(source, policy, &own).await?.carried;
        after = next;
        if after.is_none() {
            return Ok(carried);
        }
    }
}

/// Podium's own activities on a page of its facts, and where the next page begins.
async fn own_page(
    facts: &Facts,
    after: Option<&Position>,
) -> anyhow::Result<(Vec<Activity>, Option<Position>)> {
    let page = facts.page((0, 1), after, PAGE).await?;
    let own = page.facts.into_iter().filter_map(|stored| match stored.fact {
        Fact::Activity(activity) if mirrored::is_own(&activity) => Some(activity),
        _ => None,
    });
    Ok((own.collect(), page.next))
}

async fn put_all(
    source: &Source,
    policy: &ScoringPolicy,
    activities: &[Activity],
) -> anyhow::Result<Handled> {
    let put: Vec<bool> = stream::iter(activities)
        .map(|activity| put(source, policy, activity))
        .buffer_unordered(PUTS_AT_ONCE)
        .try_collect()
        .await?;
    let carried = put.iter().filter(|is_put| **is_put).count() as u64;
    Ok(Handled {
        carried,
        refused: put.len() as u64 - carried,
    })
}

/// Returns whether an activity is in the other system. It cannot be without points.
async fn put(source: &Source, policy: &ScoringPolicy, activity: &Activity) -> anyhow::Result<bool> {
    match mirrored::put(&source.client, &source.mapping, policy, activity).await {
        Ok(()) => Ok(true),
        Err(NotPut::NotScored(reason)) => {
            let (user, id) = (&activity.user, &activity.id);
            eprintln!("podium: {user} {id} is not carried back: {reason}");
            Ok(false)
        }
        Err(NotPut::Unavailable(reason)) => Err(anyhow!("could not carry an activity back: {reason}")),
    }
}

/// The number of Podium's own activities, and of those the other system lacks, although they had the time to be
/// carried back.
pub async fn lacking(source: &Source, facts: &Facts) -> anyhow::Result<(u64, u64)> {
    // Podium's first: what is posted meanwhile is carried back as well, and need not be there yet.
    let (mut own, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = own_page(facts, after.as_ref()).await?;
        own.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    let until = Instant::now() + UNDER_WAY_MAX;
    loop {
        let events = crate::facts::Events::read(source).await?;
        let lacking = own
            .iter()
            .filter(|activity| !events.has_mirrored(activity))
            .count();
        if lacking == 0 || Instant::now() >= until {
            return Ok((own.len() as u64, lacking as u64));
        }
        sleep(LOOK_EVERY).await;
    }
}
