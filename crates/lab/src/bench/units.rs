//! The write and read units of an activity, as the tables report them to the functions.

use client::wire::Verdict;
use client::{Api, Collection, wire};
use futures::stream::{self, TryStreamExt as _};
use local::StackConfig;
use local::settings::Batching;
use local::sqs::NewMessage;
use telemetry::Metric;

use anyhow::{Context as _, bail, ensure};
use domain::counters::Sum;
use domain::{ActivityId, Fact, FactKey};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use store::Facts;
use store::ledger::{Epoch, Ledger, LedgerKey};

use super::PROGRAMS;
use super::machine::{Machine, Peaks};
use super::metrics::{Line, MetricLog, sum};
use super::report::{Aim, Report, Unit};
use super::throughput::post_until_accepted;
use crate::measure::stream_record;

/// Activities counted one at a time.
const ALONE: u32 = 200;
const ALONE_MAX: f64 = 2.2;

const CAPPED: &str = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":{"points":10,"max_per_day":50}}}]"#;
const CAPPED_MAX: f64 = 5.3;
const CAPPED_READ_MAX: f64 = 1.6;

/// Activities queued before counting starts, enough for ten full batches.
const IN_BATCHES: u32 = 5_000;
const BATCHED_MAX: f64 = 2.2;
const BATCHED_BY_FOUR_MAX: f64 = 1.5;
/// Without the read of the generations, one unit an invocation.
const READ_MAX: f64 = 0.6;

/// Activities of one standing after which the first keys are in a block.
const SPILLING: u32 = 60;
const REDELIVERED: u32 = 20;
const INSIDE_READ_MAX: f64 = 0.6;
const SPILLED_READ_MAX: f64 = 3.6;

/// A UUID and a slug.
const USER_BYTES: usize = 36;
const PROGRAM_BYTES: usize = 16;
const TEN_YEARS: i64 = 3_652;
const BYTES_MAX: f64 = 400.0;

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
    figures(report, ALONE, &mut ingest, &lines, (ALONE_MAX, READ_MAX))?;
    machine.stop(peaks).await?;

    corrected(report, peaks).await?;
    capped(report, peaks).await?;
    redelivered(report, peaks).await?;
    sizes(report)?;

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
                "{IN_BATCHES} activities that waited in the queue, {PROGRAMS} programs; {} batches",
                lines.len(),
            ),
        );
        figures(report, IN_BATCHES, &mut ingest, &lines, (aim, READ_MAX))?;
        machine.stop(peaks).await?;
    }
    Ok(())
}

/// Takes one activity after the other out again.
async fn corrected(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    eprintln!("write units of a correction ...");
    let mut machine = Machine::start(Batching::Prompt).await?;
    let api = machine.api()?;
    let activities: Vec<_> = (0..ALONE)
        .map(|number| activity("corrected", number, 1))
        .collect::<anyhow::Result<_>>()?;
    for batch in activities.chunks(wire::ITEMS_MAX) {
        post_until_accepted(&api, batch).await?;
    }
    machine.counted(ALONE.into()).await?;
    let mut ingest = machine.log("ingest");
    ingest.read()?;
    let mut lines = Vec::new();
    for activity in activities {
        let void = wire::Correction {
            correction_id: format!("void-{}", activity.activity_id).parse()?,
            user_id: activity.user_id,
            voids: Some(activity.activity_id),
            adjusts: None,
            reason: "measured".to_owned(),
        };
        let verdicts = api
            .post(Collection::Corrections, serde_json::to_vec(&[void])?, 1)
            .await;
        let verdicts = verdicts.map_err(|error| anyhow::anyhow!("a POST failed: {error}"))?;
        ensure!(
            verdicts.results == [Verdict::Accepted],
            "a void is {:?}",
            verdicts.results
        );
        lines.extend(machine.counted(1).await?.1);
    }
    report.section(
        "Write units of a correction",
        format_args!("{ALONE} voids, one at a time, prompt"),
    );
    figures(report, ALONE, &mut ingest, &lines, (ALONE_MAX, READ_MAX))?;
    machine.stop(peaks).await
}

/// Counts activities of a kind with a cap, one at a time, ten of a user.
async fn capped(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    eprintln!("write units of a kind with a cap ...");
    let mut machine = Machine::configured(StackConfig {
        batching: Batching::Prompt,
        scoring_policy: CAPPED.parse()?,
        ..StackConfig::new()?
    })
    .await?;
    let api = machine.api()?;
    let mut ingest = machine.log("ingest");
    let mut lines = Vec::new();
    for number in 0..ALONE {
        let activity = activity("capped", number, 10)?;
        post_until_accepted(&api, &[activity]).await?;
        lines.extend(machine.counted(1).await?.1);
    }
    report.section(
        "Write units, with a cap for the day",
        format_args!("{ALONE} activities, one at a time, ten of a user, prompt"),
    );
    figures(report, ALONE, &mut ingest, &lines, (CAPPED_MAX, CAPPED_READ_MAX))?;
    machine.stop(peaks).await
}

/// How large the items of standings are, on average over ten years of visits.
fn sizes(report: &mut Report) -> anyhow::Result<()> {
    report.section(
        "Size of a standing",
        format_args!(
            "one activity a visit for ten years; ids of {USER_BYTES} and {PROGRAM_BYTES} characters"
        ),
    );
    for (visits, every_days) in [
        ("daily", 1),
        ("weekly", 7),
        ("every 16 days", 16),
        ("monthly", 30),
        ("yearly", 365),
    ] {
        let bytes = average_bytes(every_days)?;
        report.figure(
            format!("bytes, {visits}"),
            bytes,
            Unit::Bytes,
            Some(Aim::AtMost(BYTES_MAX)),
        );
    }
    Ok(())
}

fn average_bytes(every_days: i64) -> anyhow::Result<f64> {
    let names = ["shard", "member", "ledger", "version"]
        .map(str::len)
        .iter()
        .sum::<usize>();
    let keys = "g1#000".len() + USER_BYTES + 1 + PROGRAM_BYTES;
    let first: Timestamp = "2026-11-21T12:00:00Z".parse()?;
    let mut ledger = Ledger::new(first.to_zoned(TimeZone::UTC).date(), Epoch([7; 8]));
    let (mut bytes, mut visits) = (0, 0_u32);
    for day in (0..TEN_YEARS).step_by(usize::try_from(every_days)?) {
        let at = first + SignedDuration::from_hours(24 * day);
        let sum = Sum {
            points: 10,
            activities: 1,
        };
        ledger = ledger.spilled();
        let id: ActivityId = format!("activity-{day}").parse()?;
        let key = LedgerKey::new(at, &(&id).into());
        ledger.count(
            key,
            at.to_zoned(TimeZone::UTC).date().into(),
            sum.in_every_window(),
            None,
        );
        bytes += names + keys + ledger.encode().len() + ledger.epoch.0.len();
        visits += 1;
    }
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
    Ok(bytes as f64 / f64::from(visits))
}

/// Counts one activity after the other of a user, then delivers the last and the first again: the key of the
/// last is in the ledger, that of the first is in a block.
async fn redelivered(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    eprintln!("units of a redelivery ...");
    let mut machine = Machine::start(Batching::Prompt).await?;
    let api = machine.api()?;
    let activities: Vec<_> = (0..SPILLING)
        .map(|number| activity("again", number, SPILLING))
        .collect::<anyhow::Result<_>>()?;
    let mut lines = Vec::new();
    for activity in &activities {
        post_until_accepted(&api, std::slice::from_ref(activity)).await?;
        lines.extend(machine.counted(1).await?.1);
    }
    report.section(
        "Units of a redelivery",
        format_args!(
            "{REDELIVERED} times each, after {SPILLING} activities of one user, one at a time, prompt"
        ),
    );
    let written = [Metric::DedupWriteUnits, Metric::StandingsWriteUnits];
    let written = written.map(|metric| sum(&lines, metric)).iter().sum::<f64>();
    report.figure(
        "write units to count one of them",
        written / f64::from(SPILLING),
        Unit::Units,
        Some(Aim::AtMost(ALONE_MAX - 1.0)),
    );
    let client = aws_sdk_dynamodb::Client::new(&local::sdk_config(&machine.stack.aws_url));
    let facts = Facts::new(client, machine.stack.tables.activities.clone());
    for (name, activity, aim) in [
        (
            "its key in the ledger",
            &activities[activities.len() - 1],
            INSIDE_READ_MAX,
        ),
        ("its key in a block", &activities[0], SPILLED_READ_MAX),
    ] {
        let key = FactKey {
            user: activity.user_id.clone(),
            id: (&activity.activity_id).into(),
        };
        let stored = facts.get(&key).await?.context("the activity is stored")?;
        let Fact::Activity(activity) = stored.fact else {
            bail!("an activity is stored as {:?}", stored.fact);
        };
        let record = stream_record(&activity, stored.received_at);
        let mut lines = Vec::new();
        for _ in 0..REDELIVERED {
            machine
                .stack
                .queue
                .send_batch(vec![NewMessage::new(record.clone())]);
            lines.extend(machine.handled(1).await?);
        }
        let each = |metrics: [Metric; 2]| {
            metrics.map(|metric| sum(&lines, metric)).iter().sum::<f64>() / f64::from(REDELIVERED)
        };
        let read = each([Metric::DedupReadUnits, Metric::StandingsReadUnits]);
        report.figure(
            format!("read units, {name}"),
            read,
            Unit::Units,
            Some(Aim::AtMost(aim)),
        );
        let written = each([Metric::DedupWriteUnits, Metric::StandingsWriteUnits]);
        report.figure(
            format!("write units, {name}"),
            written,
            Unit::Units,
            Some(Aim::AtMost(0.0)),
        );
    }
    machine.stop(peaks).await
}

fn figures(
    report: &mut Report,
    activities: u32,
    ingest: &mut MetricLog,
    aggregator: &[Line],
    (written_max, read_max): (f64, f64),
) -> anyhow::Result<()> {
    let an_activity = |units: f64| units / f64::from(activities);
    let facts = an_activity(sum(&ingest.read()?, Metric::ActivitiesWriteUnits));
    let blocks = an_activity(sum(aggregator, Metric::DedupWriteUnits));
    let standings = an_activity(sum(aggregator, Metric::StandingsWriteUnits));
    let total = facts + blocks + standings;
    report.figure(
        "write units an activity",
        total,
        Unit::Units,
        Some(Aim::AtMost(written_max)),
    );
    report.figure("  activities", facts, Unit::Units, None);
    report.figure("  dedup", blocks, Unit::Units, None);
    report.figure("  standings", standings, Unit::Units, None);
    let read = [Metric::DedupReadUnits, Metric::StandingsReadUnits];
    let read = read.map(|metric| an_activity(sum(aggregator, metric)));
    report.figure(
        "read units an activity",
        read.iter().sum(),
        Unit::Units,
        Some(Aim::AtMost(read_max)),
    );
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
