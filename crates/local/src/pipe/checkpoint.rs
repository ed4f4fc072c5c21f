//! How far a pipe has come, kept in a small file so that it goes on there after a restart.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;

use super::Position;

/// The least time between two writes of the file. What was sent within it is sent again if the
/// process dies, which AWS's pipes do as well.
const WRITE_EVERY: Duration = Duration::from_millis(100);

/// The beginning if there is no file yet; a file that holds anything but a position is an error,
/// since reading on from the start would send everything again.
pub(super) fn load(path: &Path) -> anyhow::Result<Position> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Position::default()),
        Err(error) => {
            return Err(error).with_context(|| format!("reading {}", path.display()));
        }
    };
    serde_json::from_str(&text).with_context(|| format!("{} is not a checkpoint", path.display()))
}

/// Writes each new position, skipping those it has no time for, until the sender is gone and the
/// last one is written.
pub(super) async fn keep(path: PathBuf, mut position: watch::Receiver<Position>) {
    while position.changed().await.is_ok() {
        let reached = position.borrow_and_update().clone();
        if let Err(error) = write(&path, &reached).await {
            // The next one may do better; until then a restart sends some records again.
            tracing::error!(error = format!("{error:#}"), "a pipe's checkpoint was not kept");
        }
        tokio::time::sleep(WRITE_EVERY).await;
    }
}

async fn write(path: &Path, position: &Position) -> anyhow::Result<()> {
    // A rename replaces the file whole, so a process that dies meanwhile leaves the old one.
    let next = path.with_extension("next");
    tokio::fs::write(&next, serde_json::to_vec(position)?)
        .await
        .with_context(|| format!("writing {}", next.display()))?;
    tokio::fs::rename(&next, path)
        .await
        .with_context(|| format!("replacing {}", path.display()))
}
