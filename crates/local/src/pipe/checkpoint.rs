//! The position of a pipe in a small file, so that it continues there after a restart.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;

use super::source::Position;

/// The shortest time between two writes of the file. If the process dies, records sent within this time
/// are sent again, as by AWS's pipes.
const WRITE_EVERY: Duration = Duration::from_millis(100);

/// The beginning of the stream if there is no file yet. A file without a valid position is an error,
/// because starting from the beginning would send everything again.
pub(super) fn load(path: &Path) -> anyhow::Result<Position> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Position::default()),
        Err(error) => {
            return Err(error).with_context(|| format!("cannot read {}", path.display()));
        }
    };
    serde_json::from_str(&text).with_context(|| format!("{} is not a checkpoint", path.display()))
}

/// Writes new positions, at most one per [`WRITE_EVERY`], until the sender is dropped and the last
/// position is written.
pub(super) async fn keep(path: PathBuf, mut position: watch::Receiver<Position>) {
    while position.changed().await.is_ok() {
        let reached = position.borrow_and_update().clone();
        if let Err(error) = write(&path, &reached).await {
            // The next write may succeed; until then a restart sends some records again.
            tracing::error!(
                error = format!("{error:#}"),
                "the checkpoint of a pipe could not be written"
            );
        }
        tokio::time::sleep(WRITE_EVERY).await;
    }
}

async fn write(path: &Path, position: &Position) -> anyhow::Result<()> {
    // A rename is atomic, so a process that dies meanwhile leaves the old file.
    let next = path.with_extension("next");
    tokio::fs::write(&next, serde_json::to_vec(position)?)
        .await
        .with_context(|| format!("cannot write {}", next.display()))?;
    tokio::fs::rename(&next, path)
        .await
        .with_context(|| format!("cannot replace {}", path.display()))
}
