//! The load: its activities, and sending them until they are acknowledged.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};
use client::retry;
use client::wire::{Activity, Verdict};
use client::{Api, Verdicts};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use crate::load::workload::Workload;
use crate::trial::USERS;

const PROGRAMS: u32 = 5;
const BACK: Duration = Duration::from_hours(24);

/// One in this many activities is sent twice.
const TWICE_ONE_IN: usize = 3;
/// The repeat follows within this many activities of the first, sometimes in the same request or
/// while the first is under way.
const TWICE_WITHIN: usize = 2_000;
const BATCH: usize = 25;
const CONNECTIONS: usize = 16;

/// A request refused for this long ends the run: the stack does not recover.
const GIVE_UP_AFTER: Duration = Duration::from_mins(5);
/// A longer pause would only prolong the run.
const WAIT_MAX: Duration = Duration::from_secs(3);

pub struct Load {
    pub activities: Vec<Activity>,
    requests: Vec<Vec<usize>>,
    answered: AtomicUsize,
    posts: AtomicU64,
    duplicates: AtomicU64,
}

/// A load after all of its activities were acknowledged.
#[derive(Debug)]
pub struct Posted {
    pub activities: u64,
    /// Activities answered with `duplicate`.
    pub duplicates: u64,
    pub requests: u64,
    /// Requests that were retried.
    pub repeats: u64,
    pub span: Duration,
    pub last_answer: Instant,
}

impl Load {
    pub fn new(seed: u64, activities: usize) -> Self {
        let mut workload = Workload::new(USERS.into(), PROGRAMS, seed, seed).reaching_back(Some(BACK));
        let activities: Vec<Activity> = (0..activities).map(|_| workload.next()).collect();
        let mut random = StdRng::seed_from_u64(seed);
        let again = rand::seq::index::sample(&mut random, activities.len(), activities.len() / TWICE_ONE_IN);
        let again = again
            .into_iter()
            .map(|at| (at + random.random_range(0..=TWICE_WITHIN), at));
        let mut deliveries: Vec<(usize, usize)> =
            (0..activities.len()).map(|at| (at, at)).chain(again).collect();
        deliveries.sort_unstable();
        let requests = deliveries
            .chunks(BATCH)
            .map(|batch| batch.iter().map(|&(_, at)| at).collect())
            .collect();
        Self {
            activities,
            requests,
            answered: AtomicUsize::new(0),
            posts: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
        }
    }

    /// How many activities are sent; one that is sent twice counts twice.
    pub fn deliveries(&self) -> u64 {
        self.requests.iter().map(|request| request.len() as u64).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub fn share_answered(&self) -> f64 {
        self.answered.load(Ordering::Relaxed) as f64 / self.requests.len() as f64
    }

    /// Sends all requests, each until all of its activities are stored.
    pub async fn post(&self, api: &Api) -> anyhow::Result<Posted> {
        let started = Instant::now();
        let posts: Vec<_> = self
            .requests
            .iter()
            .map(|request| self.post_one(api, request))
            .collect();
        stream::iter(posts)
            .buffer_unordered(CONNECTIONS)
            .try_collect::<()>()
            .await?;
        let last_answer = Instant::now();
        let requests = self.requests.len() as u64;
        Ok(Posted {
            activities: self.activities.len() as u64,
            duplicates: self.duplicates.load(Ordering::Relaxed),
            requests,
            repeats: self.posts.load(Ordering::Relaxed) - requests,
            span: last_answer - started,
            last_answer,
        })
    }

    async fn post_one(&self, api: &Api, request: &[usize]) -> anyhow::Result<()> {
        let activities: Vec<&Activity> = request.iter().map(|&at| &self.activities[at]).collect();
        let body = serde_json::to_vec(&activities)?;
        let until = Instant::now() + GIVE_UP_AFTER;
        for attempt in 0.. {
            self.posts.fetch_add(1, Ordering::Relaxed);
            match api.post_activities(body.clone(), request.len()).await {
                Ok(Verdicts { results, .. }) => {
                    let of = |wanted: &Verdict| results.iter().filter(|verdict| *verdict == wanted).count();
                    let (accepted, duplicates) = (of(&Verdict::Accepted), of(&Verdict::Duplicate));
                    self.duplicates.fetch_add(duplicates as u64, Ordering::Relaxed);
                    if accepted + duplicates == request.len() {
                        break;
                    }
                    if let Some(refusal) = results.iter().find_map(Verdict::refusal) {
                        bail!("an activity was rejected: {refusal:?}");
                    }
                }
                Err(error) if error.failure.is_transient() => {}
                Err(error) => bail!("a POST failed: {error}"),
            }
            ensure!(Instant::now() < until, "a POST was refused for {GIVE_UP_AFTER:?}");
            sleep(retry::wait(attempt, None, rand::random()).min(WAIT_MAX)).await;
        }
        self.answered.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_activity_is_sent_and_a_third_of_them_twice_the_same_for_the_same_seed() {
        let load = Load::new(7, 900);
        let mut sent: BTreeMap<usize, u32> = BTreeMap::new();
        for &at in load.requests.iter().flatten() {
            *sent.entry(at).or_default() += 1;
        }
        assert_eq!(sent.len(), 900);
        assert_eq!(sent.values().filter(|&&times| times == 2).count(), 300);
        assert_eq!(load.deliveries(), 1_200);
        assert_eq!(load.requests, Load::new(7, 900).requests);
        assert_ne!(load.requests, Load::new(8, 900).requests);
    }
}
