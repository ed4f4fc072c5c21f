//! How a command tries out a system of its own: its logs go to a directory, which stays if the outcome
//! is bad, and an interrupt ends all that runs.

pub mod audit;

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use tokio::signal::unix::{SignalKind, signal};

/// Who has activities: so many that all of a board's entries come in one answer.
pub const USERS: u16 = 1_000;

/// Runs a trial, which gets the directory for its logs, and shows what it came to.
pub async fn run<T>(
    name: &str,
    trial: impl AsyncFnOnce(&Path) -> anyhow::Result<T>,
    is_good: fn(&T) -> bool,
    show: impl FnOnce(&T) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let logs = tempfile::Builder::new()
        .prefix(&format!("podium-{name}-"))
        .tempdir()?;
    // A stack on which things go wrong on purpose has much to tell, and none of it is news.
    tracing_subscriber::fmt()
        .with_writer(Mutex::new(File::create(logs.path().join("stack.log"))?))
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .init();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    // Dropping what runs ends its processes and removes its files.
    let outcome = tokio::select! {
        outcome = trial(logs.path()) => outcome,
        _ = interrupted.recv() => return Ok(ExitCode::FAILURE),
        _ = terminated.recv() => return Ok(ExitCode::FAILURE),
    };
    let is_good = outcome.as_ref().is_ok_and(is_good);
    if !is_good {
        eprintln!("The logs are in {}.", logs.keep().display());
    }
    show(&outcome?)?;
    Ok(if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
