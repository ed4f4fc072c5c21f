//! Measures single activities from their POST until they are counted.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use client::{Api, wire};
use local::dynamodb::DynamoDb;
use local::settings;
use store::keys::{CountGeneration, StandingKey};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::COUNTING_MAX;
use super::machine::call;
use super::throughput::post_until_accepted;
use crate::load::figures::{Percentiles, Recorder};
use crate::measure::{MAX_GETS, find_standings, found_members};

/// The interval between two probes. 20 a second are negligible next to the load.
const EVERY: Duration = Duration::from_millis(50);
const PROGRAM: &str = "onboarding";

/// How probes are sent and looked up.
pub struct Watch {
    pub dynamodb: DynamoDb,
    pub standings_table: String,
    pub length: Duration,
    /// The interval between two look-ups. Figures are too high by half of it on average.
    pub look_every: Duration,
}

/// The standing of each uncounted probe, and when its POST started.
type Pending = Arc<Mutex<HashMap<String, (StandingKey, Instant)>>>;

/// Posts probes of distinct users and measures from the start of each POST until the user has a standing. One
/// read looks up many, to disturb the measurement as little as possible.
pub async fn run(api: Api, watch: Watch) -> anyhow::Result<Percentiles> {
    let pending = Pending::default();
    let mut posting = tokio::spawn(post(api, Arc::clone(&pending), watch.length));
    let mut counted = Recorder::new();
    let mut looks = interval(watch.look_every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let until = Instant::now() + watch.length + COUNTING_MAX;
    let mut is_posted = false;
    loop {
        tokio::select! {
            posted = &mut posting, if !is_posted => {
                posted??;
                is_posted = true;
            }
            _ = looks.tick() => {}
        }
        let sought: Vec<StandingKey> = {
            let pending = locked(&pending);
            let standings = pending.values().take(MAX_GETS);
            standings.map(|(standing, _)| standing.clone()).collect()
        };
        if sought.is_empty() {
            if is_posted {
                return Ok(counted.percentiles());
            }
            continue;
        }
        ensure!(
            Instant::now() < until,
            "{} probes were not counted in time",
            sought.len()
        );
        let request = find_standings(&watch.standings_table, sought.iter());
        let answer = call(&watch.dynamodb, "BatchGetItem", &request).await?;
        let now = Instant::now();
        for member in found_members(&answer)? {
            if let Some((_, begun)) = locked(&pending).remove(&member) {
                counted.record(now - begun);
            }
        }
    }
}

async fn post(api: Api, pending: Pending, length: Duration) -> anyhow::Result<()> {
    let mut posts = JoinSet::new();
    let mut due = interval(EVERY);
    let until = Instant::now() + length;
    for number in 0.. {
        due.tick().await;
        if Instant::now() >= until {
            break;
        }
        let name = format!("probe-{number}");
        let shards = settings::STANDING_SHARDS.to_string().parse()?;
        let standing = StandingKey::new(CountGeneration::FIRST, shards, name.parse()?, PROGRAM.parse()?);
        let activity = wire::Activity {
            activity_id: name.parse().map_err(anyhow::Error::msg)?,
            user_id: name.parse().map_err(anyhow::Error::msg)?,
            program_id: PROGRAM.parse().map_err(anyhow::Error::msg)?,
            kind: wire::Kind::TaskCompleted,
            occurred_at: None,
        };
        let api = api.clone();
        locked(&pending).insert(standing.member(), (standing, Instant::now()));
        posts.spawn(async move { post_until_accepted(&api, &[activity]).await });
    }
    while let Some(posted) = posts.join_next().await {
        posted??;
    }
    Ok(())
}

fn locked(pending: &Pending) -> std::sync::MutexGuard<'_, HashMap<String, (StandingKey, Instant)>> {
    pending.lock().unwrap_or_else(PoisonError::into_inner)
}
