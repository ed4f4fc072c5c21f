//! Kills a given number of processes, spread over the load.

use std::time::Duration;

use anyhow::ensure;
use local::lambda::Lambda;
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use tokio::time::{Instant, sleep};

/// The functions to kill, the busier ones more often.
const VICTIMS: [&str; 10] = [
    "ingest",
    "ingest",
    "ingest",
    "aggregator",
    "aggregator",
    "aggregator",
    "rewards",
    "rewards",
    "snapshot",
    "serve",
];

/// The limit for the remaining kills after the load has ended.
const FINISH_MAX: Duration = Duration::from_mins(1);
const FINISH_EVERY: Duration = Duration::from_millis(20);

pub struct Killer {
    random: StdRng,
    wanted: u64,
    killed: u64,
}

impl Killer {
    pub fn new(seed: u64, wanted: u64) -> Self {
        Self {
            random: StdRng::seed_from_u64(seed),
            wanted,
            killed: 0,
        }
    }

    /// Kills as many processes as are due once this share of the load is answered.
    pub fn catch_up(&mut self, lambda: &Lambda, share: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a number far below 2^52"
        )]
        let due = (self.wanted as f64 * share.clamp(0.0, 1.0)) as u64;
        for _ in self.killed..due {
            let victim = VICTIMS.choose(&mut self.random).expect("there are some");
            self.killed += u64::from(lambda.kill_one(victim));
        }
    }

    /// Kills the remaining number.
    pub async fn finish(&mut self, lambda: &Lambda) -> anyhow::Result<()> {
        let until = Instant::now() + FINISH_MAX;
        while self.killed < self.wanted {
            self.catch_up(lambda, 1.0);
            ensure!(
                Instant::now() < until,
                "only {} of {} processes could be killed: there were no more",
                self.killed,
                self.wanted
            );
            sleep(FINISH_EVERY).await;
        }
        Ok(())
    }
}
