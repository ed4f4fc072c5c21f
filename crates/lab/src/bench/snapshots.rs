//! Measures the publication of boards from many standings.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use local::{StackConfig, settings};
use telemetry::Metric;
use terminal::text::grouped;
use tokio::time::Instant;

use super::cpu::CpuTimes;
use super::machine::{Machine, Peaks};
use super::metrics::Line;
use super::report::{Aim, Report, Unit};
use super::standings::{Filling, Staff};

/// The target for this many standings.
const LARGE: u32 = 1_000_000;
const LARGE_DURATION_MAX: Duration = Duration::from_secs(10);
const LARGE_BYTES_MAX: f64 = 512.0 * 1024.0 * 1024.0;

/// The longest that Lambda lets a function run. A deployment of ten million standings, which publishes less
/// often than every minute, gives its snapshot as long as there is between two.
const LONGEST_RUN: Duration = Duration::from_mins(15);

/// One in this many standings changes before a run that finds changes: a minute of users with two
/// activities a day.
const CHANGED_ONE_IN: usize = 700;

/// What the runs over one number of standings cost.
struct Sized {
    standings: u32,
    duration: Duration,
    bytes: u64,
}

/// One run of the function.
pub(super) struct Run {
    /// As measured by the function.
    pub duration: Duration,
    pub line: Line,
}

pub async fn measure(sizes: &[u32], report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    let mut smaller: Option<Sized> = None;
    for &standings in sizes {
        let larger = measure_one(standings, report, peaks).await?;
        if let Some(smaller) = smaller {
            grown(report, &smaller, &larger);
        }
        smaller = Some(larger);
    }
    Ok(())
}

async fn measure_one(standings: u32, report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<Sized> {
    let count = usize::try_from(standings)?;
    let machine = Machine::configured(StackConfig {
        function_timeout: Some(LONGEST_RUN),
        ..StackConfig::new()?
    })
    .await?;
    let filling = Filling::new(machine.stack.dynamodb.clone(), &machine.stack.tables.standings)?;
    let started = Instant::now();
    filling
        .put(&mut Staff::new(0), count, |done| {
            if done % (LARGE as usize / 10) == 0 {
                eprintln!("snapshot: {done} of {count} standings ...");
            }
        })
        .await?;
    let filled = started.elapsed();
    // A new process for each size, so that the memory is that of this size alone.
    let function = machine.function("snapshot")?;
    function.stop().await;
    function.start();
    let cpu = CpuTimes::read(&machine.stack.lambda);
    let first = publish(&machine, standings).await?;
    let cpu = CpuTimes::read(&machine.stack.lambda).since(&cpu);
    // An extra run first: pages mark newcomers, and after it no user is one.
    let second = publish(&machine, standings).await?;
    let unchanged = publish(&machine, standings).await?;
    let moved = (count / CHANGED_ONE_IN).max(1);
    filling.put(&mut Staff::new(1), moved, |_| ()).await?;
    let changed = publish(&machine, standings).await?;
    let stats = function.stats();
    let bytes = stats.max_rss_bytes.unwrap_or_default();

    let is_large = standings >= LARGE;
    report.section(
        &format!("Snapshot of {} standings", grouped(standings.into())),
        format_args!(
            "1 to 3 of 20 programs a user; {} listed a board, filled in {:.1} s",
            grouped(settings::LISTED_USERS.into()),
            filled.as_secs_f64()
        ),
    );
    let aim = (standings == LARGE).then_some(LARGE_DURATION_MAX);
    report.time("the first run, every page", first.duration, aim);
    report.time("a run with nothing changed", unchanged.duration, aim);
    report.time(format!("a run with {moved} changed"), changed.duration, aim);
    #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
    report.figure(
        "memory, the most",
        bytes as f64,
        Unit::Bytes,
        is_large.then_some(Aim::Below(LARGE_BYTES_MAX)),
    );
    let units = changed.line.get(Metric::StandingsReadUnits).unwrap_or_default();
    report.figure("read units of the standings", units, Unit::Units, None);
    let written = |run: &Run| run.line.get(Metric::SnapshotsWriteUnits).unwrap_or_default();
    report.figure(
        "write units, nothing changed",
        written(&unchanged),
        Unit::Units,
        None,
    );
    report.figure(
        format!("write units, {moved} changed"),
        written(&changed),
        Unit::Units,
        None,
    );
    let pages = |run: &Run| run.line.get(Metric::PagesWritten).unwrap_or_default();
    report.note(format_args!(
        "pages written: {} at first, {} in a second run, {} with nothing changed, {} with {moved} changed",
        pages(&first),
        pages(&second),
        pages(&unchanged),
        pages(&changed),
    ));
    report.note(format_args!(
        "boards published: {}; processes ended for their memory: {}",
        changed.line.get(Metric::Published).unwrap_or_default(),
        stats.over_memory,
    ));
    for (part, used) in cpu.by_part() {
        report.note(format_args!(
            "CPU {:>6.2} s  {part}, first run",
            used.as_secs_f64()
        ));
    }
    let duration = first.duration.max(unchanged.duration).max(changed.duration);
    machine.stop(peaks).await?;
    Ok(Sized {
        standings,
        duration,
        bytes,
    })
}

/// Invokes the function, and checks that it read this many standings.
pub(super) async fn publish(machine: &Machine, standings: u32) -> anyhow::Result<Run> {
    let mut log = machine.log("snapshot");
    log.read()?;
    let invoked = machine
        .function("snapshot")?
        .invoke(Bytes::from_static(b"{}"))
        .await;
    invoked.map_err(anyhow::Error::from).context("publishing")?;
    // The log line and the answer arrive through different tasks.
    let until = Instant::now() + super::ANSWER_TIMEOUT;
    let line = loop {
        if let Some(line) = log.read()?.pop() {
            break line;
        }
        ensure!(Instant::now() < until, "the function has not measured itself");
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let entries = line.get(Metric::Entries).unwrap_or_default();
    ensure!(
        (entries - f64::from(standings)).abs() < 0.5,
        "{entries} standings were read where {standings} are"
    );
    let millis = line.get(Metric::SnapshotDuration).unwrap_or_default();
    Ok(Run {
        duration: Duration::from_secs_f64(millis / 1e3),
        line,
    })
}

/// How time and memory grew relative to the standings. They must not grow faster.
fn grown(report: &mut Report, smaller: &Sized, larger: &Sized) {
    let standings = f64::from(larger.standings) / f64::from(smaller.standings);
    report.section(
        &format!(
            "Growth from {} to {} standings",
            grouped(smaller.standings.into()),
            grouped(larger.standings.into())
        ),
        format_args!("of {standings} times the standings"),
    );
    let duration = larger.duration.as_secs_f64() / smaller.duration.as_secs_f64();
    report.figure("time", duration, Unit::Times, Some(Aim::AtMost(standings)));
    #[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
    let bytes = larger.bytes as f64 / smaller.bytes as f64;
    report.figure("memory", bytes, Unit::Times, Some(Aim::AtMost(standings)));
}
