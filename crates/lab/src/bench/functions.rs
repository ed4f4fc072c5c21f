//! Starts, memory and sizes of the functions.

use std::io::Write as _;
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::DeflateEncoder;
use local::settings::Batching;
use serde_json::json;

use super::machine::{Machine, Peaks};
use super::report::{Aim, Report, Unit};

/// Starts measured per function, one at a time on an otherwise idle system.
const STARTS: usize = 20;
const INIT_MAX: Duration = Duration::from_millis(10);

const ZIPPED_BYTES_MAX: f64 = 4e6;

const FUNCTIONS: [&str; 5] = ["ingest", "aggregator", "snapshot", "serve", "directory"];

pub async fn measure(report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    eprintln!("starts of the functions ...");
    let machine = Machine::start(Batching::Prompt).await?;
    report.section(
        "Start of a function",
        format_args!("from its process to its first request for work, {STARTS} starts"),
    );
    for name in FUNCTIONS {
        let mut inits = starts(&machine, name).await?;
        inits.sort_unstable();
        let longest = inits.last().context("no start was measured")?;
        report.time(
            format!("{name}, median"),
            Duration::from_micros(inits[inits.len() / 2]),
            Some(INIT_MAX),
        );
        report.time(
            format!("{name}, longest"),
            Duration::from_micros(*longest),
            Some(INIT_MAX),
        );
    }

    let programs: Vec<_> = FUNCTIONS
        .into_iter()
        .map(|name| anyhow::Ok((name, std::fs::read(&machine.function(name)?.config().binary)?)))
        .collect::<anyhow::Result<_>>()?;
    machine.stop(peaks).await?;

    report.section(
        "Memory of a function",
        format_args!("the most that any of its processes had resident, in all parts above"),
    );
    for (name, bytes) in &peaks.0 {
        report.figure(name.clone(), as_float(*bytes), Unit::Bytes, None);
    }

    report.section(
        "Size of a function",
        format_args!("its binary, and the same deflated at level 9 as in a zip"),
    );
    for (name, program) in programs {
        let zipped = deflated_bytes(&program)?;
        report.figure(name, as_float(program.len() as u64), Unit::Bytes, None);
        report.figure(
            format!("{name}, zipped"),
            as_float(zipped),
            Unit::Bytes,
            Some(Aim::Below(ZIPPED_BYTES_MAX)),
        );
    }
    Ok(())
}

/// The duration of each start, in microseconds.
async fn starts(machine: &Machine, name: &str) -> anyhow::Result<Vec<u64>> {
    let function = machine.function(name)?;
    // Its answer does not matter: the start is over once it asks for its first event.
    let payload = Bytes::from(json!({ "Records": [] }).to_string());
    let before = function.stats().init_micros.len();
    for _ in 0..STARTS {
        function.stop().await;
        function.start();
        drop(function.invoke(payload.clone()).await);
    }
    Ok(function.stats().init_micros.split_off(before))
}

fn deflated_bytes(program: &[u8]) -> anyhow::Result<u64> {
    let mut deflate = DeflateEncoder::new(Vec::new(), Compression::best());
    deflate.write_all(program)?;
    Ok(deflate.finish()?.len() as u64)
}

#[expect(clippy::cast_precision_loss, reason = "sizes far below 2^52")]
fn as_float(bytes: u64) -> f64 {
    bytes as f64
}
