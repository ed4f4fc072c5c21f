//! The load: its activities and corrections, and sending them until they are acknowledged.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{bail, ensure};
use client::retry;
use client::wire::{Activity, Adjustment, Correction, Verdict};
use client::{Api, Collection, Verdicts};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::time::{Instant, sleep};

use super::people::LEAVERS;
use crate::load::workload::Workload;
use crate::trial::USERS;

const PROGRAMS: u32 = 5;
const BACK: Duration = Duration::from_hours(24);

/// One in this many activities is sent twice.
const TWICE_ONE_IN: usize = 3;
/// The repeat follows within this many activities of the first, sometimes in the same request or
/// while the first is under way.
const TWICE_WITHIN: usize = 2_000;
/// One in this many activities is taken out by a void, and so many get adjustments to their user and program.
const VOID_ONE_IN: usize = 20;
const ADJUST_ONE_IN: usize = 50;
const ADJUSTED_POINTS: i32 = 50;
const BATCH: usize = 25;
const CONNECTIONS: usize = 16;
/// How many requests with activities a correction comes before its own at most.
const AHEAD_MAX: usize = 4;

/// Of a void whose activity is not there yet.
const NOT_YET: &str = "unknown_activity";
/// A request refused for this long ends the run: the stack does not recover.
pub const GIVE_UP_AFTER: Duration = Duration::from_mins(5);
/// A longer pause would only prolong the run.
pub const WAIT_MAX: Duration = Duration::from_secs(3);

pub struct Load {
    pub activities: Vec<Activity>,
    pub corrections: Vec<Correction>,
    requests: Vec<Request>,
    answered: AtomicUsize,
    posts: AtomicU64,
    duplicates: AtomicU64,
}

/// What is posted at once, by its places in the load.
#[derive(Debug, PartialEq, Eq)]
enum Request {
    Activities(Vec<usize>),
    Corrections(Vec<usize>),
}

impl Request {
    fn places(&self) -> &[usize] {
        match self {
            Self::Activities(places) | Self::Corrections(places) => places,
        }
    }

    fn len(&self) -> usize {
        self.places().len()
    }
}

/// A load after all of it was acknowledged.
#[derive(Debug)]
pub struct Posted {
    /// Activities and corrections.
    pub accepted: u64,
    /// Those answered with `duplicate`.
    pub duplicates: u64,
    pub requests: u64,
    /// Requests that were retried.
    pub repeats: u64,
    pub span: Duration,
}

impl Load {
    pub fn new(seed: u64, activities: usize) -> Self {
        let users = USERS - LEAVERS;
        let mut workload = Workload::new(users.into(), PROGRAMS, seed, seed).reaching_back(Some(BACK));
        let activities: Vec<Activity> = (0..activities).map(|_| workload.next()).collect();
        let mut random = StdRng::seed_from_u64(seed);
        let activities_of = |deliveries: &[usize]| Request::Activities(deliveries.to_vec());
        let requests = requests(&mut random, activities.len(), TWICE_WITHIN, activities_of);
        let corrections = corrections(&mut random, &activities);
        let (of, corrections): (Vec<usize>, Vec<Correction>) = corrections.into_iter().unzip();
        let corrections_of = |deliveries: &[usize]| Request::Corrections(deliveries.to_vec());
        let among = self::requests(&mut random, corrections.len(), BATCH, corrections_of);
        let requests = merged(&mut random, requests, among, &of);
        Self {
            activities,
            corrections,
            requests,
            answered: AtomicUsize::new(0),
            posts: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
        }
    }

    /// How much is sent; what is sent twice counts twice.
    pub fn deliveries(&self) -> u64 {
        self.requests.iter().map(|request| request.len() as u64).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    pub fn share_answered(&self) -> f64 {
        self.answered.load(Ordering::Relaxed) as f64 / self.requests.len() as f64
    }

    /// Sends all requests, each until everything in it is stored.
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
        let span = started.elapsed();
        let requests = self.requests.len() as u64;
        Ok(Posted {
            accepted: (self.activities.len() + self.corrections.len()) as u64,
            duplicates: self.duplicates.load(Ordering::Relaxed),
            requests,
            repeats: self.posts.load(Ordering::Relaxed) - requests,
            span,
        })
    }

    async fn post_one(&self, api: &Api, request: &Request) -> anyhow::Result<()> {
        let (to, body) = match request {
            Request::Activities(places) => {
                let activities: Vec<&Activity> = places.iter().map(|&at| &self.activities[at]).collect();
                (Collection::Activities, serde_json::to_vec(&activities)?)
            }
            Request::Corrections(places) => {
                let corrections: Vec<_> = places.iter().map(|&at| &self.corrections[at]).collect();
                (Collection::Corrections, serde_json::to_vec(&corrections)?)
            }
        };
        let sent = || {
            self.posts.fetch_add(1, Ordering::Relaxed);
        };
        let duplicates = post_until_taken(api, to, &body, request.len(), sent).await?;
        self.duplicates.fetch_add(duplicates, Ordering::Relaxed);
        self.answered.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Sends a body until everything in it is stored; `sent` is called each time. Returns how many answers were `duplicate`.
pub async fn post_until_taken(
    api: &Api,
    to: Collection,
    body: &[u8],
    items: usize,
    sent: impl Fn(),
) -> anyhow::Result<u64> {
    let until = Instant::now() + GIVE_UP_AFTER;
    let mut duplicates = 0;
    for attempt in 0.. {
        sent();
        match api.post(to, body.to_vec(), items).await {
            Ok(Verdicts { results, .. }) => {
                let of = |wanted: &Verdict| results.iter().filter(|verdict| *verdict == wanted).count();
                duplicates += of(&Verdict::Duplicate) as u64;
                if of(&Verdict::Accepted) + of(&Verdict::Duplicate) == items {
                    break;
                }
                let mut refusals = results.iter().filter_map(Verdict::refusal);
                if let Some(refusal) = refusals.find(|refusal| refusal.code != NOT_YET) {
                    bail!("{to:?} were rejected: {refusal:?}");
                }
            }
            Err(error) if error.failure.is_transient() => {}
            Err(error) => bail!("a POST failed: {error}"),
        }
        ensure!(Instant::now() < until, "a POST was refused for {GIVE_UP_AFTER:?}");
        sleep(retry::wait(attempt, None, rand::random()).min(WAIT_MAX)).await;
    }
    Ok(duplicates)
}

/// Requests for so many things, a third of them twice, the repeat `within` so many of the first.
fn requests(
    random: &mut StdRng,
    count: usize,
    within: usize,
    request: impl Fn(&[usize]) -> Request,
) -> Vec<Request> {
    let again = rand::seq::index::sample(random, count, count / TWICE_ONE_IN);
    let again: Vec<_> = again
        .into_iter()
        .map(|at| (at + random.random_range(0..=within), at))
        .collect();
    let mut deliveries: Vec<(usize, usize)> = (0..count).map(|at| (at, at)).chain(again).collect();
    deliveries.sort_unstable();
    let deliveries: Vec<_> = deliveries.into_iter().map(|(_, at)| at).collect();
    deliveries.chunks(BATCH).map(request).collect()
}

/// Sends corrections among activities, each request up to [`AHEAD_MAX`] requests before the last of the activities
/// that it corrects: a void may come before its activity, and is then refused for a while. It holds a connection
/// meanwhile, so one that came much earlier would keep its activity from being sent. `of` has the activity of each
/// correction.
fn merged(
    random: &mut StdRng,
    activities: Vec<Request>,
    corrections: Vec<Request>,
    of: &[usize],
) -> Vec<Request> {
    let mut first: HashMap<usize, usize> = HashMap::new();
    for (at, request) in activities.iter().enumerate() {
        for &activity in request.places() {
            first.entry(activity).or_insert(at);
        }
    }
    let corrections = corrections.into_iter().map(|request| {
        let activities = request.places().iter().map(|&place| first[&of[place]]);
        let last = activities.max().unwrap_or_default();
        (last.saturating_sub(random.random_range(0..=AHEAD_MAX)), request)
    });
    let mut requests: Vec<_> = corrections.chain(activities.into_iter().enumerate()).collect();
    requests.sort_by_key(|(at, _)| *at);
    requests.into_iter().map(|(_, request)| request).collect()
}

/// Voids of some activities, and adjustments, each with the place of its activity, in that order.
fn corrections(random: &mut StdRng, activities: &[Activity]) -> Vec<(usize, Correction)> {
    let voided = rand::seq::index::sample(random, activities.len(), activities.len() / VOID_ONE_IN);
    let adjusted = rand::seq::index::sample(random, activities.len(), activities.len() / ADJUST_ONE_IN);
    let correction = |name: &str, activity: &Activity| Correction {
        correction_id: format!("{name}-{}", activity.activity_id).parse().expect("an id"),
        user_id: activity.user_id.clone(),
        voids: None,
        adjusts: None,
        reason: "chaos".to_owned(),
    };
    let voids = voided.into_iter().map(|at| {
        let void = Correction {
            voids: Some(activities[at].activity_id.clone()),
            ..correction("void", &activities[at])
        };
        (at, void)
    });
    let voids: Vec<_> = voids.collect();
    let adjustments = adjusted.into_iter().map(|at| {
        let adjustment = Correction {
            adjusts: Some(Adjustment {
                program_id: activities[at].program_id.clone(),
                points: random.random_range(1..=ADJUSTED_POINTS) * if random.random() { 1 } else { -1 },
            }),
            ..correction("adjust", &activities[at])
        };
        (at, adjustment)
    });
    let mut corrections: Vec<_> = voids.into_iter().chain(adjustments).collect();
    corrections.sort_by_key(|(at, _)| *at);
    corrections
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_activity_is_sent_and_a_third_of_them_twice_the_same_for_the_same_seed() {
        let load = Load::new(7, 900);
        let mut sent: BTreeMap<usize, u32> = BTreeMap::new();
        for request in &load.requests {
            let Request::Activities(places) = request else {
                continue;
            };
            for &at in places {
                *sent.entry(at).or_default() += 1;
            }
        }
        assert_eq!(sent.len(), 900);
        assert_eq!(sent.values().filter(|&&times| times == 2).count(), 300);
        assert_eq!(load.corrections.len(), 45 + 18);
        assert_eq!(load.deliveries(), 1_200 + 63 + 21);
        assert_eq!(load.requests, Load::new(7, 900).requests);
        assert_ne!(load.requests, Load::new(8, 900).requests);
    }

    #[test]
    fn no_void_waits_for_an_activity_that_is_far_behind_it() {
        let load = Load::new(7, 20_000);
        let mut sent: HashMap<_, usize> = HashMap::new();
        let mut ahead = 0;
        for (at, request) in load.requests.iter().enumerate() {
            if let Request::Activities(places) = request {
                for &place in places {
                    sent.entry(&load.activities[place].activity_id).or_insert(at);
                }
            }
        }
        for (at, request) in load.requests.iter().enumerate() {
            let Request::Corrections(places) = request else {
                continue;
            };
            for activity in places
                .iter()
                .filter_map(|&place| load.corrections[place].voids.as_ref())
            {
                let waits = sent[activity].saturating_sub(at);
                assert!(waits < CONNECTIONS / 2, "{activity} comes {waits} requests later");
                ahead += usize::from(waits > 0);
            }
        }
        assert!(ahead > 0, "some come before their activities");
    }
}
