//! Sends requests again while the server is busy or unreachable.

use std::{
    fmt,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use client::{Api, PostError, retry};
use tokio::time::{Instant, sleep};

use super::tally::Place;

pub struct Retries {
    give_up_after: Duration,
    again: AtomicU64,
}

/// Something could not be finished. At least the item at `place` has no verdict.
#[derive(Debug)]
pub struct GaveUp {
    pub place: Place,
    pub reason: String,
}

impl fmt::Display for GaveUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "gave up at {}: {}", self.place, self.reason)
    }
}

impl Retries {
    /// Each request is tried for at most so long.
    pub fn new(give_up_after: Duration) -> Self {
        Self {
            give_up_after,
            again: AtomicU64::new(0),
        }
    }

    /// Requests that were sent again so far.
    pub fn count(&self) -> u64 {
        self.again.load(Ordering::Relaxed)
    }

    /// When requests that begin now are given up.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.give_up_after
    }

    /// Waits before the next attempt after `attempt`. Fails if the deadline comes first, and says why then.
    pub async fn pause(
        &self,
        attempt: &mut u32,
        retry_after: Option<Duration>,
        deadline: Instant,
        reason: &str,
    ) -> Result<(), String> {
        let wait = retry::wait(*attempt, retry_after, rand::random());
        if Instant::now() + wait > deadline {
            return Err(format!("still failing after {:?}: {reason}", self.give_up_after));
        }
        *attempt += 1;
        self.again.fetch_add(1, Ordering::Relaxed);
        sleep(wait).await;
        Ok(())
    }

    /// Sends a request until it is answered. Fails at its deadline, or if another attempt does not help.
    pub async fn answered<T>(
        &self,
        api: &Api,
        request: impl AsyncFn() -> Result<T, PostError>,
    ) -> Result<T, String> {
        let deadline = self.deadline();
        let mut attempt = 0;
        loop {
            match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) if error.failure.is_transient() => {
                    let reason = api.explain(&error);
                    self.pause(&mut attempt, error.retry_after, deadline, &reason)
                        .await?;
                }
                Err(error) => return Err(api.explain(&error)),
            }
        }
    }
}
