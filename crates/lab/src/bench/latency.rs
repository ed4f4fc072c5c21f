//! How long a POST takes, and how long until its activities are counted, at a fixed rate.

use std::time::Duration;

use client::Api;
use local::settings::Batching;

use super::cpu::CpuTimes;
use super::machine::{Machine, Peaks};
use super::probes::{self, Watch};
use super::report::Report;
use super::{PROGRAMS, SEED, USERS};
use crate::load::engine::{self, Plan};
use crate::load::figures::{Figures, Percentiles};

/// Activities a second, one a request.
pub(super) const RATE: f64 = 1_000.0;

/// Load before the measurement, so that connections are open and processes have started.
pub(super) const WARM_UP: Duration = Duration::from_secs(2);

/// This part reads no boards, so it does not wait for any.
const DRAIN_MAX: Duration = Duration::from_millis(1);
const OUTSTANDING_MAX: usize = 1_024;

const POST_P99_MAX: Duration = Duration::from_millis(20);

/// The targets for one batching mode.
struct Expected {
    batching: Batching,
    name: &'static str,
    p50_max: Option<Duration>,
    p99_max: Duration,
    look_every: Duration,
}

const EXPECTED: [Expected; 2] = [
    Expected {
        batching: Batching::Prompt,
        name: "prompt",
        p50_max: Some(Duration::from_millis(25)),
        p99_max: Duration::from_millis(100),
        look_every: Duration::from_millis(1),
    },
    Expected {
        batching: Batching::Thrifty,
        name: "thrifty",
        p50_max: None,
        p99_max: Duration::from_millis(1_500),
        look_every: Duration::from_millis(10),
    },
];

pub async fn measure(length: Duration, report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    for expected in EXPECTED {
        eprintln!("latency with {} batching ...", expected.name);
        let machine = Machine::start(expected.batching).await?;
        let api = machine.api()?;
        machine.load(post(api.clone(), RATE, WARM_UP)).await?;
        let watch = Watch {
            dynamodb: machine.stack.dynamodb.clone(),
            standings_table: machine.stack.tables.standings.clone(),
            length,
            look_every: expected.look_every,
        };
        let cpu = CpuTimes::read(&machine.stack.lambda);
        let load = machine
            .load(async move { tokio::join!(post(api.clone(), RATE, length), probes::run(api, watch)) });
        let (figures, counted) = load.await?;
        let counted = counted?;
        let cpu = CpuTimes::read(&machine.stack.lambda).since(&cpu);

        report.section(
            &format!("Latency, {}", expected.name),
            format_args!(
                "{RATE} activities a second for {} s, one a request, after {} s to warm up",
                length.as_secs(),
                WARM_UP.as_secs()
            ),
        );
        let post = figures.post;
        report.time("POST p50", post.p50, None);
        report.time("POST p99", post.p99, Some(POST_P99_MAX));
        report.time("POST p99.9", post.p999, None);
        let Percentiles { p50, p99, max, .. } = counted;
        report.time("POST to counted p50", p50, expected.p50_max);
        report.time("POST to counted p99", p99, Some(expected.p99_max));
        report.time("POST to counted, longest", max, None);
        report.note(format_args!(
            "{} probes; {} accepted, {} errors; begun after due: p99 {:.2} ms",
            counted.count,
            figures.counts.accepted,
            figures.counts.errors_total() + figures.counts.rejected,
            figures.start_delay.p99.as_secs_f64() * 1e3
        ));
        for (part, used) in cpu.by_part() {
            report.note(format_args!("CPU {:>6.2} s  {part}", used.as_secs_f64()));
        }
        machine.stop(peaks).await?;
    }
    Ok(())
}

/// Posts `rate` activities a second, one a request.
pub(super) async fn post(api: Api, rate: f64, length: Duration) -> Figures {
    let plan = Plan {
        rate,
        length: Some(length),
        users: USERS,
        programs: PROGRAMS,
        batch: 1,
        seed: SEED,
        back: None,
        new_leaders_every: None,
        outstanding_max: OUTSTANDING_MAX,
        drain_max: DRAIN_MAX,
    };
    engine::run(&api, &api, &plan, std::future::pending(), |_| ()).await
}
