//! Runs a command against its own stack. Logs go to a directory that is kept when the run fails, and an
//! interrupt stops everything.

pub(crate) mod audit;

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use tokio::signal::unix::{SignalKind, signal};

/// The number of users. All of their rows fit into one answer of a board.
pub const USERS: u16 = 1_000;

/// Runs a trial with a directory for its logs and shows its result.
pub async fn run<T>(
    name: &str,
    trial: impl AsyncFnOnce(&Path) -> anyhow::Result<T>,
    is_good: fn(&T) -> bool,
    show: impl FnOnce(&T) -> anyhow::Result<()>,
) -> anyhow::Result<ExitCode> {
    let logs = tempfile::Builder::new()
        .prefix(&format!("podium-{name}-"))
        .tempdir()?;
    // A stack with injected faults logs many expected failures.
    tracing_subscriber::fmt()
        .with_writer(Mutex::new(File::create(logs.path().join("stack.log"))?))
        .with_ansi(false)
        .with_max_level(tracing::Level::WARN)
        .init();
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    // Dropping the future ends its processes and removes its files.
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
