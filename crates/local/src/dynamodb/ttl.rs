//! Expiry, which the emulator performs only on request.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::database::DynamoDb;

/// Deletes expired items at an interval until it is stopped.
pub struct TtlSweeper {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl TtlSweeper {
    /// Waits for a running sweep to end.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the TTL sweeper failed");
        }
    }
}

impl DynamoDb {
    /// Deletes the expired items of every table with a time to live, and returns how many there were.
    pub async fn sweep_ttl(&self) -> anyhow::Result<usize> {
        // Not on the thread of the calls: between its pages a sweep lets waiting calls go first, which
        // needs another thread for them to wait on.
        let storage = Arc::clone(&self.storage);
        let expired = tokio::task::spawn_blocking(move || storage.database().sweep_ttl())
            .await?
            .context("sweeping expired items")?;
        if expired > 0 {
            self.announce_change();
        }
        Ok(expired)
    }

    /// Sweeps immediately and then every `interval`.
    pub fn start_ttl_sweeper(&self, interval: Duration) -> TtlSweeper {
        let (stop, mut stopped) = watch::channel(false);
        let dynamodb = self.clone();
        let task = tokio::spawn(async move {
            loop {
                if let Err(error) = dynamodb.sweep_ttl().await {
                    tracing::warn!(error = format!("{error:#}"), "expired items were not deleted");
                }
                tokio::select! {
                    () = tokio::time::sleep(interval) => {}
                    // An error means that the sweeper was dropped, which also ends the task.
                    _ = stopped.wait_for(|stopped| *stopped) => break,
                }
            }
        });
        TtlSweeper { stop, task }
    }
}
