//! The write units of an activity, as the tables report them to the functions.

use client::{Api, wire};
use futures::stream::{self, TryStreamExt as _};
use local::settings::Batching;
use telemetry::Metric;

use super::PROGRAMS;
use super::machine::{Machine, Peaks};
use super::metrics::{Line, MetricLog, sum};
use super::report::{Aim, Report, Unit};
use super::throughput::post_until_accepted;

/// Activities counted one at a time.
const ALONE: u32 = 200;
const ALONE_MAX: f64 = 7.0;

/// Activities queued before counting starts, enough for ten full batches.
const IN_BATCHES: u32 = 5_000;
const BATCHED_MAX: f64 = 5.2;
const BATCHED_BY_FOUR_MAX: f64 = 3.7;

const POSTS_AT_ONCE: usize = 4;

pub async fn measure(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    eprintln!("write units of an activity alone ...");
    let mut machine = Machine::start(Batching::Prompt).await?;
    let mut ingest = machine.log("ingest");
    let mut lines = Vec::new();
    let api = machine.api()?;
    for number in 0..ALONE {
        let activity = activity("alone", number, 1)?;
        post_until_accepted(&api, &[activity]).await?;
        lines.extend(machine.counted(1).await?.1);
    }
    report.section(
        "Write units, alone",
        format_args!("{ALONE} activities, one at a time, prompt"),
    );
    figures(report, ALONE, &mut ingest, &lines, ALONE_MAX)?;
    machine.stop(peaks).await?;

    for (each, aim) in [(1, BATCHED_MAX), (4, BATCHED_BY_FOUR_MAX)] {
        eprintln!("write units in full batches, {each} a user ...");
        let mut machine = Machine::start(Batching::Thrifty).await?;
        let mut ingest = machine.log("ingest");
        machine.stack.aggregation().pause();
        post_batches(&machine.api()?, each).await?;
        machine.queued(usize::try_from(IN_BATCHES)?).await?;
        machine.stack.aggregation().resume();
        let (_, lines) = machine.counted(IN_BATCHES.into()).await?;
        report.section(
            &format!("Write units, full batches, {each} a user"),
            format_args!(
                "{IN_BATCHES} activities that waited in the queue, {PROGRAMS} programs; {} batches, {} transactions",
                lines.len(),
                sum(&lines, Metric::Transactions)
            ),
        );
        figures(report, IN_BATCHES, &mut ingest, &lines, aim)?;
        machine.stop(peaks).await?;
    }
    Ok(())
}

fn figures(
    report: &mut Report,
    activities: u32,
    ingest: &mut MetricLog,
    aggregator: &[Line],
    aim: f64,
) -> anyhow::Result<()> {
    let an_activity = |units: f64| units / f64::from(activities);
    let facts = an_activity(sum(&ingest.read()?, Metric::ActivitiesWriteUnits));
    let markers = an_activity(sum(aggregator, Metric::DedupWriteUnits));
    let standings = an_activity(sum(aggregator, Metric::StandingsWriteUnits));
    let total = facts + markers + standings;
    report.figure(
        "write units an activity",
        total,
        Unit::Units,
        Some(Aim::AtMost(aim)),
    );
    report.figure("  activities", facts, Unit::Units, None);
    report.figure("  dedup", markers, Unit::Units, None);
    report.figure("  standings and totals", standings, Unit::Units, None);
    Ok(())
}

async fn post_batches(api: &Api, each: u32) -> anyhow::Result<()> {
    let activities: Vec<_> = (0..IN_BATCHES)
        .map(|number| activity("batched", number, each))
        .collect::<anyhow::Result<_>>()?;
    stream::iter(activities.chunks(wire::ITEMS_MAX).map(anyhow::Ok))
        .try_for_each_concurrent(POSTS_AT_ONCE, |batch| async move {
            post_until_accepted(api, batch).await?;
            Ok(())
        })
        .await
}

/// Activity `number`, where each user has `each` consecutive activities in one program.
fn activity(name: &str, number: u32, each: u32) -> anyhow::Result<wire::Activity> {
    let user = number / each;
    Ok(wire::Activity {
        activity_id: format!("{name}-{number}").parse().map_err(anyhow::Error::msg)?,
        user_id: format!("{name}-{user}").parse().map_err(anyhow::Error::msg)?,
        program_id: format!("program-{}", user % PROGRAMS)
            .parse()
            .map_err(anyhow::Error::msg)?,
        kind: wire::Kind::TaskCompleted,
        occurred_at: None,
    })
}
