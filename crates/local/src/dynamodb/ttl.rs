//! Expiry, which the emulator does only when told to.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::DynamoDb;

/// Deletes expired items from time to time, until it is stopped.
pub struct TtlSweeper {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl TtlSweeper {
    /// Returns once a sweep under way is over.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        if let Err(error) = self.task.await {
            tracing::error!(%error, "the TTL sweeper failed");
        }
    }
}

impl DynamoDb {
    /// Deletes what has expired by now in every table with a time to live, and says how many items
    /// that were.
    pub async fn sweep_ttl(&self) -> anyhow::Result<usize> {
        // Not on the thread of the calls: a sweep lets those that wait go first between its pages,
        // which works only if they can wait beside it.
        let storage = Arc::clone(&self.storage);
        let expired = tokio::task::spawn_blocking(move || storage.database().sweep_ttl())
            .await?
            .context("sweeping expired items")?;
        if expired > 0 {
            self.announce_change();
        }
        Ok(expired)
    }

    /// Sweeps at once and then at every `interval`.
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
                    // An error means that the sweeper was dropped, which also ends it.
                    _ = stopped.wait_for(|stopped| *stopped) => break,
                }
            }
        });
        TtlSweeper { stop, task }
    }
}
