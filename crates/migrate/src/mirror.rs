//! `podium migrate mirror`: carries Podium's own activities back into the other system, so that going back loses nothing.

use std::process::ExitCode;

use anyhow::Context as _;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use bridge::mapping::Field;
use bridge::{Item, mirrored};
use domain::{Activity, Fact, ScoringPolicy};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use operate::deployment::Deployment;
use store::schema::TableNames;
use store::stream::Streamed;
use store::{Facts, generations};
use terminal::text::counted;

use crate::follow::{Follower, Handled, until_stopped};
use crate::source::{self, Legacy, Source};
use crate::state::File;

const PUTS_AT_ONCE: usize = 16;
const PAGE: i32 = 1_000;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    from: Legacy,
    #[command(flatten)]
    deployment: Deployment,
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
        "Carrying Podium's own activities back to {}. Leave this running; Ctrl-C stops it, and it resumes where it was.",
        source.mapping.table
    );
    // What is older than the stream. It is few, since what was carried over is left out.
    let earlier = all(&Facts::new(podium, activities), &source, &policy).await?;
    if earlier > 0 {
        eprintln!(
            "{} carried back.",
            counted(earlier, "activity is", "activities are")
        );
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
        let page = facts.page((0, 1), after.as_ref(), PAGE).await?;
        let own: Vec<Activity> = page
            .facts
            .into_iter()
            .filter_map(|stored| match stored.fact {
                Fact::Activity(activity) if mirrored::is_own(&activity) => Some(activity),
                _ => None,
            })
            .collect();
        carried += put_all(source, policy, &own).await?.carried;
        after = page.next;
        if after.is_none() {
            return Ok(carried);
        }
    }
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

/// Writes an activity into the other system's table, once. Returns whether it can be: without points it cannot.
async fn put(source: &Source, policy: &ScoringPolicy, activity: &Activity) -> anyhow::Result<bool> {
    let worth = policy.worth(&activity.kind, activity.occurred_at);
    let Some(points) = worth.ok().and_then(|worth| worth.points(activity.amount).ok()) else {
        let (user, id) = (&activity.user, &activity.id);
        eprintln!("podium: {user} {id} is worth nothing by the scoring policy, and is not carried back");
        return Ok(false);
    };
    let item = mirrored::item(&source.mapping, activity, points);
    let put = source
        .client
        .put_item()
        .table_name(&source.mapping.table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(#key)")
        .expression_attribute_names("#key", source.mapping.attribute(Field::ActivityId))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::None);
    match put.send().await {
        Ok(_) => Ok(true),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
        {
            Ok(true)
        }
        Err(error) => Err(error).context("could not carry an activity back"),
    }
}

/// The number of Podium's own activities, and of those the other system lacks.
pub async fn lacking(source: &Source, facts: &Facts) -> anyhow::Result<(u64, u64)> {
    let events = crate::facts::Events::read(source).await?;
    let (mut own, mut lacking, mut after) = (0, 0, None);
    loop {
        let page = facts.page((0, 1), after.as_ref(), PAGE).await?;
        for stored in page.facts {
            if let Fact::Activity(activity) = stored.fact
                && mirrored::is_own(&activity)
            {
                own += 1;
                lacking += u64::from(!events.has_mirrored(&activity));
            }
        }
        after = page.next;
        if after.is_none() {
            return Ok((own, lacking));
        }
    }
}
