//! Quests: how soon a coin is found and read through the API, how many activities are evaluated a second, and what they
//! cost.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use client::{Api, wire};
use domain::UserId;
use futures::stream::{self, TryStreamExt as _};
use local::StackConfig;
use local::settings::Batching;
use telemetry::Metric;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::latency::{RATE, WARM_UP, post};
use super::machine::{Machine, Peaks};
use super::metrics::{MetricLog, sum};
use super::report::{Aim, Report, Unit};
use super::throughput::post_until_accepted;
use super::{COUNTING_MAX, PROGRAMS, SEED, USERS};
use crate::load::figures::{Percentiles, Recorder};
use crate::load::workload::Workload;

/// About one in ten activities of the load meets a matcher: 15 % are check-ins and 5 % milestones, 44 % are of the first
/// program and 22 % of the second. Each probe finds a coin with one activity.
const QUESTS: &str = r#"[
    {"id":"regular","version":1,"title":"Regular","coin":{"name":"Amber","value":10},"per":"day",
     "rule":{"count":{"of":{"kind":"program_check_in","program_id":"onboarding"},"at_least":3}}},
    {"id":"learner","version":1,"title":"Learner","coin":{"name":"Jade","value":20},"per":"once",
     "rule":{"all":[{"kind":"learning_milestone","program_id":"onboarding"},{"kind":"learning_milestone","program_id":"security"}]}},
    {"id":"probe","version":1,"title":"Probe","coin":{"name":"Opal","value":1},"per":"once",
     "rule":{"count":{"of":{"program_id":"probe"},"at_least":1}}}]"#;

/// The quest of a person with many facts: the last of them is the one that is lacking.
const MANY_FACTS: u32 = 10_000;

const RUNS: usize = 3;
/// The interval between two probes. 20 a second are negligible next to the load.
const PROBE_EVERY: Duration = Duration::from_millis(50);
/// How often a coin is asked for. Figures are too high by half of it on average.
const LOOK_EVERY: Duration = Duration::from_millis(5);
const MEAN_MAX: Duration = Duration::from_millis(60);
const P99_MAX: Duration = Duration::from_millis(200);

/// Activities that wait in the queue before rewards start.
const WAITING: usize = 20_000;
const POSTS_AT_ONCE: usize = 4;
/// Activities that are evaluated one at a time.
const ALONE: u32 = 200;

pub async fn measure(length: Duration, report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    latency(length, report, peaks).await?;
    throughput(report, peaks).await?;
    units(report, peaks).await?;
    proof(report, peaks).await
}

async fn machine(quests: &str) -> anyhow::Result<Machine> {
    Machine::configured(StackConfig {
        batching: Batching::Prompt,
        quests: Some(quests.to_owned()),
        ..StackConfig::new()?
    })
    .await
}

/// From POST to a coin in an answer, under load: the median of several runs.
async fn latency(length: Duration, report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    let mut runs = Vec::new();
    for run in 1..=RUNS {
        eprintln!("coins under load, run {run} of {RUNS} ...");
        let machine = machine(QUESTS).await?;
        let api = machine.api()?;
        machine.load(post(api.clone(), RATE, WARM_UP)).await?;
        let load =
            machine.load(async move { tokio::join!(post(api.clone(), RATE, length), probe(api, length)) });
        let (figures, found) = load.await?;
        let (mean, found) = found?;
        runs.push((mean, found, figures.counts.accepted));
        machine.stop(peaks).await?;
    }
    runs.sort_unstable_by_key(|(mean, ..)| *mean);
    let (mean, found, accepted) = &runs[RUNS / 2];
    report.section(
        "POST to coin",
        format_args!(
            "{RATE} activities a second for {} s, one in ten matching, prompt; read from /v1/users/USER/coins; the median of {RUNS} runs",
            length.as_secs()
        ),
    );
    report.time("POST to coin, mean", *mean, Some(MEAN_MAX));
    report.time("POST to coin p50", found.p50, None);
    report.time("POST to coin p99", found.p99, Some(P99_MAX));
    report.time("POST to coin, longest", found.max, None);
    let means: Vec<_> = runs
        .iter()
        .map(|(mean, ..)| format!("{:.1}", mean.as_secs_f64() * 1e3))
        .collect();
    report.note(format_args!(
        "{} probes beside {accepted} activities; means of the runs in ms: {}",
        found.count,
        means.join(", ")
    ));
    Ok(())
}

/// The people whose coin is awaited, and when their POST started.
type Pending = Arc<Mutex<HashMap<UserId, Instant>>>;

/// Posts one activity for each of many people, and asks for their coins until each has one. Returns the mean time, too.
async fn probe(api: Api, length: Duration) -> anyhow::Result<(Duration, Percentiles)> {
    let pending = Pending::default();
    let mut posting = tokio::spawn(post_probes(api.clone(), Arc::clone(&pending), length));
    let (mut found, mut total) = (Recorder::new(), Duration::ZERO);
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let until = Instant::now() + length + COUNTING_MAX;
    let mut is_posted = false;
    loop {
        tokio::select! {
            posted = &mut posting, if !is_posted => {
                posted??;
                is_posted = true;
            }
            _ = looks.tick() => {}
        }
        let sought: Vec<UserId> = locked(&pending).keys().cloned().collect();
        if sought.is_empty() && is_posted {
            let percentiles = found.percentiles();
            let count = u32::try_from(percentiles.count)?;
            ensure!(count > 0, "no probe was posted");
            return Ok((total / count, percentiles));
        }
        ensure!(
            Instant::now() < until,
            "{} probes found no coin in time",
            sought.len()
        );
        for user in sought {
            if api.has_coins(&user).await?
                && let Some(begun) = locked(&pending).remove(&user)
            {
                found.record(begun.elapsed());
                total += begun.elapsed();
            }
        }
    }
}

async fn post_probes(api: Api, pending: Pending, length: Duration) -> anyhow::Result<()> {
    let mut posts = JoinSet::new();
    let mut due = interval(PROBE_EVERY);
    let until = Instant::now() + length;
    for number in 0.. {
        due.tick().await;
        if Instant::now() >= until {
            break;
        }
        let activity = activity(
            &format!("probe-{number}"),
            number,
            "probe",
            wire::Kind::TaskCompleted,
        )?;
        let api = api.clone();
        locked(&pending).insert(activity.user_id.clone(), Instant::now());
        posts.spawn(async move { post_until_accepted(&api, &[activity]).await });
    }
    while let Some(posted) = posts.join_next().await {
        posted??;
    }
    Ok(())
}

/// How fast rewards catch up.
async fn throughput(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    eprintln!("activities evaluated a second ...");
    let machine = machine(QUESTS).await?;
    machine.stack.rewards().pause();
    let mut workload = Workload::new(USERS, PROGRAMS, SEED, 0);
    let activities: Vec<_> = (0..WAITING).map(|_| workload.next()).collect();
    post_all(&machine.api()?, &activities).await?;
    let queue = machine.stack.rewards_queues().0;
    wait(async || queue.depth().total() >= WAITING).await?;
    // Counting has ended, so it takes no part of the processors.
    wait(async || machine.stack.queue.depth().total() == 0).await?;
    let started = Instant::now();
    machine.stack.rewards().resume();
    wait(async || queue.depth().total() == 0).await?;
    let span = started.elapsed().as_secs_f64();
    report.section(
        "Activities evaluated",
        format_args!(
            "{WAITING} activities that waited in the queue, one in ten matching, {USERS} users, prompt"
        ),
    );
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let rate = WAITING as f64 / span;
    report.figure("activities evaluated a second", rate, Unit::PerSecond, None);
    machine.stop(peaks).await
}

/// What an activity costs, one at a time and each of another user.
async fn units(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    eprintln!("units of an activity that a quest matches, and of others ...");
    let machine = machine(QUESTS).await?;
    let api = machine.api()?;
    let mut log = machine.log("rewards");
    report.section(
        "Units of rewards",
        format_args!("{ALONE} activities each, one at a time, prompt; write units of the tables of progress and of coins"),
    );
    let (matching, other) = (wire::Kind::ProgramCheckIn, wire::Kind::TaskCompleted);
    for (name, prefix, program, kind, of_user, aim) in [
        ("no match", "none", "onboarding", other, 1, Some(Aim::AtMost(0.0))),
        ("a first match, proved", "first", "onboarding", matching, 1, None),
        ("a coin found", "coin", "probe", other, 1, None),
        // The first is proved, the next cannot meet the rule, the third finds a coin, and the next lack two.
        ("ten matches of a user", "ten", "onboarding", matching, 10, None),
    ] {
        log.read()?;
        for number in 0..ALONE {
            let user = format!("{prefix}-{}", number / of_user);
            post_until_accepted(&api, &[activity(&user, number, program, kind)?]).await?;
            rewarded(&machine).await?;
        }
        let lines = log.read()?;
        let each = |metric| sum(&lines, metric) / f64::from(ALONE);
        report.figure(
            format!("write units, {name}"),
            each(Metric::CoinsWriteUnits),
            Unit::Units,
            aim,
        );
        report.figure(
            format!("read units of proofs, {name}"),
            each(Metric::ProofReadUnits),
            Unit::Units,
            None,
        );
    }
    machine.stop(peaks).await
}

/// What proving costs where a person has many facts.
async fn proof(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    eprintln!("the proof of a person with {MANY_FACTS} facts ...");
    let quest = format!(
        r#"[{{"id":"many","version":1,"title":"Many","coin":{{"name":"Amber","value":1}},"per":"once",
            "rule":{{"count":{{"of":{{}},"at_least":{MANY_FACTS}}}}}}}]"#
    );
    let machine = machine(&quest).await?;
    let api = machine.api()?;
    let activities: Vec<_> = (1..MANY_FACTS)
        .map(|number| activity("many", number, "onboarding", wire::Kind::TaskCompleted))
        .collect::<anyhow::Result<_>>()?;
    post_all(&api, &activities).await?;
    let mut log: MetricLog = machine.log("rewards");
    rewarded(&machine).await?;
    log.read()?;
    let last = activity("many", MANY_FACTS, "onboarding", wire::Kind::TaskCompleted)?;
    let started = Instant::now();
    post_until_accepted(&api, std::slice::from_ref(&last)).await?;
    wait(async || api.has_coins(&last.user_id).await.is_ok_and(|has| has)).await?;
    let span = started.elapsed();
    rewarded(&machine).await?;
    report.section(
        "A proof",
        format_args!("of a person with {MANY_FACTS} facts, of which the last finds a coin"),
    );
    let read = sum(&log.read()?, Metric::ProofReadUnits);
    report.figure("read units of the proof", read, Unit::Units, None);
    report.time("POST to coin", span, None);
    machine.stop(peaks).await
}

async fn post_all(api: &Api, activities: &[wire::Activity]) -> anyhow::Result<()> {
    stream::iter(activities.chunks(wire::ITEMS_MAX).map(anyhow::Ok))
        .try_for_each_concurrent(POSTS_AT_ONCE, |batch| async move {
            post_until_accepted(api, batch).await?;
            Ok(())
        })
        .await
}

/// Waits until everything that was posted is evaluated.
async fn rewarded(machine: &Machine) -> anyhow::Result<()> {
    let pipe = machine.stack.facts_pipe();
    wait(async || pipe.lag().await.is_ok_and(|lag| lag.is_zero())).await?;
    wait(async || machine.stack.rewards_queues().0.depth().total() == 0).await
}

async fn wait(is_so: impl AsyncFn() -> bool) -> anyhow::Result<()> {
    let until = Instant::now() + COUNTING_MAX;
    while !is_so().await {
        ensure!(Instant::now() < until, "rewards did not keep up");
        sleep(LOOK_EVERY).await;
    }
    Ok(())
}

fn activity(user: &str, number: u32, program: &str, kind: wire::Kind) -> anyhow::Result<wire::Activity> {
    Ok(wire::Activity {
        activity_id: format!("{user}-{number}").parse().map_err(anyhow::Error::msg)?,
        user_id: user.parse().map_err(anyhow::Error::msg)?,
        program_id: program.parse().map_err(anyhow::Error::msg)?,
        kind,
        occurred_at: None,
    })
}

fn locked(pending: &Pending) -> MutexGuard<'_, HashMap<UserId, Instant>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
