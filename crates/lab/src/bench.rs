//! `podium bench`: measures the whole system on this machine and compares it with its targets.

mod cpu;
mod functions;
mod history;
mod latency;
mod login;
mod machine;
mod metrics;
mod people;
mod probes;
mod readers;
mod report;
mod rewards;
mod snapshots;
mod standings;
mod throughput;
mod units;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::ValueEnum;
use tokio::signal::unix::{SignalKind, signal};

use self::machine::Peaks;
use self::report::Report;

pub const HELP: &str = "\
Each part starts its own stack in memory and on free ports, and leaves nothing behind. Figures go to
standard output, progress to standard error. The figures come from a single run: they include the
effect of other work on this machine, and of the load itself, which this process generates.";

/// Users and programs of the loads: the defaults of `podium load`.
const USERS: u32 = 1_000;
const PROGRAMS: u32 = 5;

/// Fixed, so that every run posts the same activities.
const SEED: u64 = 2_026;

/// A request without an answer after this time has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// The limit from a POST until its activities are counted. A part that takes longer has failed.
const COUNTING_MAX: Duration = Duration::from_mins(3);

#[derive(clap::Args)]
pub struct Args {
    /// Run only these parts
    #[arg(long, value_name = "PART", value_delimiter = ',')]
    only: Vec<Part>,
    /// Seconds that each load lasts
    #[arg(long, value_name = "N", default_value_t = 15, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Numbers of standings to publish boards from
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        default_values_t = [10_000, 100_000, 1_000_000],
        value_parser = clap::value_parser!(u32).range(100..=10_000_000)
    )]
    standings: Vec<u32>,
    /// Also write the figures to this file, as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// The parts, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Activities a second, from the first POST until all are counted
    Throughput,
    /// POST, and POST to counted, at 1,000 activities a second
    Latency,
    /// What verifying a token adds to a POST at 1,000 a second
    Login,
    /// Write units of an activity, by table
    Units,
    /// Publishing the boards of many standings
    Snapshot,
    /// What a profile for everyone and teams add to a snapshot
    People,
    /// POST to coin at 1,000 activities a second, activities evaluated a second, and their units
    Rewards,
    /// Read units of a person's document
    Readers,
    /// Units for points over time: samples of past snapshots, compared with day counters
    History,
    /// Starts, memory and sizes of the functions
    Functions,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .init();
    if cfg!(debug_assertions) {
        eprintln!("==================================================================");
        eprintln!("THIS IS A DEBUG BUILD: its figures say nothing about Podium's speed.");
        eprintln!("Build with `cargo build --release --workspace --bins`.");
        eprintln!("==================================================================");
    }
    let mut report = Report::begin();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    // Dropping the future ends its processes and removes its files.
    tokio::select! {
        () = measure(&args, &mut report) => {}
        _ = interrupted.recv() => return Ok(ExitCode::FAILURE),
        _ = terminated.recv() => return Ok(ExitCode::FAILURE),
    }
    report.end();
    if let Some(path) = &args.json {
        let json = serde_json::to_vec_pretty(&report.to_json())?;
        std::fs::write(path, json).with_context(|| format!("writing {}", path.display()))?;
    }
    Ok(if report.is_complete() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs the parts one after the other. If one fails, the others still run.
async fn measure(args: &Args, report: &mut Report) {
    let length = Duration::from_secs(args.seconds);
    let mut peaks = Peaks::default();
    for part in Part::value_variants() {
        if !args.only.is_empty() && !args.only.contains(part) {
            continue;
        }
        let measured = match part {
            Part::Throughput => throughput::measure(length, report, &mut peaks).await,
            Part::Latency => latency::measure(length, report, &mut peaks).await,
            Part::Login => login::measure(length, report, &mut peaks).await,
            Part::Units => Box::pin(units::measure(report, &mut peaks)).await,
            Part::Snapshot => snapshots::measure(&args.standings, report, &mut peaks).await,
            Part::People => people::measure(report, &mut peaks).await,
            Part::Rewards => rewards::measure(length, report, &mut peaks).await,
            Part::Readers => readers::measure(report, &mut peaks).await,
            Part::History => history::measure(report, &mut peaks).await,
            Part::Functions => functions::measure(report, &mut peaks).await,
        };
        if let Err(error) = measured {
            report.failed(&format!("{part:?}: {error:#}"));
        }
    }
}
