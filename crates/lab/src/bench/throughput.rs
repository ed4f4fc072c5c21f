//! Activities a second at full speed.

use std::time::Duration;

use anyhow::bail;
use client::retry;
use client::{Api, Verdicts, wire::Activity, wire::Verdict};
use futures::future::try_join_all;
use local::settings::Batching;
use telemetry::Metric;
use tokio::time::{Instant, sleep};

use super::cpu::CpuTimes;
use super::machine::{Machine, Peaks};
use super::metrics::sum;
use super::report::{Aim, Report, Unit};
use super::{PROGRAMS, SEED, USERS};
use crate::load::workload::Workload;

/// Concurrent posts. Each connection sends its next one when the previous one is answered.
const CONNECTIONS: u16 = 16;

/// A POST refused more often than this in a row ends the measurement.
const ATTEMPTS_MAX: u32 = 8;

/// Activities per request, and the target of counted activities a second.
const LOADS: [(u16, f64); 2] = [(10, 3_000.0), (1, 1_500.0)];

pub async fn measure(length: Duration, report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    for (batch, aim) in LOADS {
        eprintln!("throughput with {batch} a request ...");
        let mut machine = Machine::start(Batching::Thrifty).await?;
        let cpu = CpuTimes::read(&machine.stack.lambda);
        let driven = drive(&machine, batch, length).await?;
        let (counted_at, lines) = machine.counted(driven.accepted).await?;
        let cpu = CpuTimes::read(&machine.stack.lambda).since(&cpu);
        let span = counted_at - driven.started;
        #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
        let accepted = driven.accepted as f64;

        report.section(
            &format!("Throughput, {batch} a request"),
            format_args!(
                "{CONNECTIONS} connections for {} s, {USERS} users, {PROGRAMS} programs; from the first POST until all are counted",
                length.as_secs()
            ),
        );
        let aim = Some(Aim::AtLeast(aim));
        let rate = accepted / span.as_secs_f64();
        report.figure("activities counted a second", rate, Unit::PerSecond, aim);
        let posting = (driven.answered - driven.started).as_secs_f64();
        let rate = accepted / posting;
        report.figure("activities accepted a second", rate, Unit::PerSecond, None);
        let after = counted_at - driven.answered;
        report.time("all counted after the last answer", after, None);
        let aggregator = cpu.of("aggregator").as_secs_f64();
        if aggregator > 0.0 {
            let rate = accepted / aggregator;
            report.figure(
                "activities per CPU second of the aggregator",
                rate,
                Unit::PerSecond,
                None,
            );
        }
        report.note(format_args!(
            "{accepted} activities, {} requests refused and sent again; {} batches, {} retries of calls",
            driven.refused,
            lines.len(),
            sum(&lines, Metric::Retries),
        ));
        for (part, used) in cpu.by_part() {
            report.note(format_args!(
                "CPU {:>6.2} s  {:>5.0} us an activity  {part}",
                used.as_secs_f64(),
                used.as_secs_f64() * 1e6 / accepted
            ));
        }
        machine.stop(peaks).await?;
    }
    Ok(())
}

struct Driven {
    started: Instant,
    /// When the last POST was answered.
    answered: Instant,
    accepted: u64,
    refused: u64,
}

async fn drive(machine: &Machine, batch: u16, length: Duration) -> anyhow::Result<Driven> {
    let api = machine.api()?;
    machine
        .load(async move {
            let started = Instant::now();
            let until = started + length;
            let connections =
                (0..CONNECTIONS).map(|connection| post_until(api.clone(), until, batch, connection));
            let posted = try_join_all(connections).await?;
            Ok(Driven {
                started,
                answered: Instant::now(),
                accepted: posted.iter().map(|(accepted, _)| accepted).sum(),
                refused: posted.iter().map(|(_, refused)| refused).sum(),
            })
        })
        .await?
}

/// Posts requests one after the other. Returns the accepted activities and the refused requests.
async fn post_until(api: Api, until: Instant, batch: u16, connection: u16) -> anyhow::Result<(u64, u64)> {
    let connection = u64::from(connection);
    let mut workload = Workload::new(USERS, PROGRAMS, SEED + connection, connection);
    let (mut accepted, mut refused) = (0, 0);
    while Instant::now() < until {
        let activities: Vec<Activity> = (0..batch).map(|_| workload.next()).collect();
        refused += post_until_accepted(&api, &activities).await?;
        accepted += u64::from(batch);
    }
    Ok((accepted, refused))
}

/// Retries a POST until everything is accepted. Returns how often it was refused.
pub async fn post_until_accepted(api: &Api, activities: &[Activity]) -> anyhow::Result<u64> {
    let body = serde_json::to_vec(activities)?;
    for attempt in 0..ATTEMPTS_MAX {
        let retry_after = match api.post_activities(body.clone(), activities.len()).await {
            Ok(Verdicts { results, retry_after }) => {
                let kept = |verdict: &Verdict| matches!(verdict, Verdict::Accepted | Verdict::Duplicate);
                if results.iter().all(kept) {
                    return Ok(u64::from(attempt));
                }
                if let Some(refusal) = results.iter().find_map(Verdict::refusal) {
                    bail!("an activity was rejected: {}", refusal.detail);
                }
                retry_after
            }
            Err(error) if error.failure.is_transient() => error.retry_after,
            Err(error) => bail!("a POST failed: {error}"),
        };
        sleep(retry::wait(attempt, retry_after, rand::random())).await;
    }
    bail!("a POST was refused {ATTEMPTS_MAX} times");
}
