//! The clients, identical for both systems.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use client::retry;
use client::wire::{Activity, Verdict};
use client::{Api, Verdicts};
use domain::FactKey;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::load::engine::{Schedule, pace};
use crate::load::figures::{Percentiles, Recorder};
use crate::load::workload::Workload;
use crate::trial::USERS;

const PROGRAMS: u32 = 5;
const ACTIVITIES_A_POST: usize = 5;
const POSTS_A_SECOND: u32 = 20;

/// How long a client waits for an answer.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Attempts of a client before it gives up. This bounds the posts under way to those of about 20 s.
pub const ATTEMPTS: u32 = 3;

pub struct Load {
    seed: u64,
    posts: Vec<Vec<Activity>>,
}

/// The answers that the clients got.
#[derive(Debug)]
pub struct Posted {
    pub posts: u64,
    /// Posts fully acknowledged by the first answer.
    pub at_first: u64,
    /// Posts fully acknowledged by a later answer.
    pub later: u64,
    /// From when a post was due until its first attempt was answered, refused or timed out.
    pub first_answers: Percentiles,
    pub acknowledged: HashSet<FactKey>,
}

/// The result of one client.
struct Heard {
    /// The attempt that succeeded, counted from 0.
    taken_at: Option<u32>,
    first_answer: Duration,
    acknowledged: Vec<FactKey>,
}

impl Load {
    pub fn new(seed: u64, activities: usize) -> Self {
        let mut workload = Workload::new(USERS.into(), PROGRAMS, seed, seed);
        let activities: Vec<Activity> = (0..activities).map(|_| workload.next()).collect();
        Self {
            seed,
            posts: activities
                .chunks(ACTIVITIES_A_POST)
                .map(<[Activity]>::to_vec)
                .collect(),
        }
    }

    pub fn activities(&self) -> impl Iterator<Item = &Activity> {
        self.posts.iter().flatten()
    }

    /// From the first due post until one interval after the last.
    pub fn length(&self) -> Duration {
        Duration::from_secs_f64(self.posts_f64() / f64::from(POSTS_A_SECOND))
    }

    /// How many activities are due this long after the start.
    pub fn due_within(&self, time: Duration) -> u64 {
        let due = (time.as_secs_f64() * f64::from(POSTS_A_SECOND)).floor() + 1.0;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "whole, not negative, and no more than there are"
        )]
        let posts = due.min(self.posts_f64()) as usize;
        self.posts[..posts].iter().map(|post| post.len() as u64).sum()
    }

    #[expect(clippy::cast_precision_loss, reason = "a number far below 2^52")]
    fn posts_f64(&self) -> f64 {
        self.posts.len() as f64
    }

    /// Starts every post when it is due, regardless of earlier ones, and ends when each was acknowledged or
    /// given up.
    pub async fn post(self: Arc<Self>, api: Api, started: Instant) -> anyhow::Result<Posted> {
        let posts = self.posts.len() as u64;
        let mut arrivals = pace(Schedule::new(started, f64::from(POSTS_A_SECOND), Some(posts)));
        let mut to_send = self.posts.iter().zip(self.seed..);
        let mut under_way: JoinSet<anyhow::Result<Heard>> = JoinSet::new();
        let mut first_answers = Recorder::new();
        let mut posted = Posted {
            posts,
            at_first: 0,
            later: 0,
            first_answers: Percentiles::default(),
            acknowledged: HashSet::new(),
        };
        loop {
            tokio::select! {
                biased;
                Some(heard) = under_way.join_next() => {
                    let heard = heard.expect("a client is never cancelled and does not panic")?;
                    posted.at_first += u64::from(heard.taken_at == Some(0));
                    posted.later += u64::from(heard.taken_at.is_some_and(|attempt| attempt > 0));
                    first_answers.record(heard.first_answer);
                    posted.acknowledged.extend(heard.acknowledged);
                }
                Some(due) = arrivals.recv() => {
                    let (post, seed) = to_send.next().expect("there are as many as are due");
                    under_way.spawn(send(api.clone(), post.clone(), due, StdRng::seed_from_u64(seed)));
                }
                else => break,
            }
        }
        posted.first_answers = first_answers.percentiles();
        Ok(posted)
    }
}

/// One client, with one post.
async fn send(api: Api, post: Vec<Activity>, due: Instant, mut random: StdRng) -> anyhow::Result<Heard> {
    let body = serde_json::to_vec(&post)?;
    let mut heard = Heard {
        taken_at: None,
        first_answer: Duration::ZERO,
        acknowledged: Vec::new(),
    };
    for attempt in 0..ATTEMPTS {
        let answer = api.post_activities(body.clone(), post.len()).await;
        if attempt == 0 {
            heard.first_answer = due.elapsed();
        }
        let retry_after = match answer {
            Ok(Verdicts { results, retry_after }) => {
                if let Some(refusal) = results.iter().find_map(Verdict::refusal) {
                    bail!("an activity was rejected: {refusal:?}");
                }
                let taken = post
                    .iter()
                    .zip(&results)
                    .filter(|(_, verdict)| verdict.is_taken());
                heard.acknowledged = taken.map(|(activity, _)| key(activity)).collect();
                if heard.acknowledged.len() == post.len() {
                    heard.taken_at = Some(attempt);
                    break;
                }
                retry_after
            }
            Err(error) if error.failure.is_transient() => error.retry_after,
            Err(error) => bail!("a POST failed: {error}"),
        };
        if attempt + 1 < ATTEMPTS {
            sleep(retry::wait(attempt, retry_after, random.random())).await;
        }
    }
    Ok(heard)
}

pub fn key(activity: &Activity) -> FactKey {
    FactKey {
        user: activity.user_id.clone(),
        id: (&activity.activity_id).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_is_the_same_for_the_same_seed_and_due_at_its_rate() {
        let load = Load::new(7, 1_003);
        assert_eq!(load.posts, Load::new(7, 1_003).posts);
        assert_ne!(load.posts, Load::new(8, 1_003).posts);
        assert_eq!(load.length(), Duration::from_millis(10_050));
        let due = |ms| load.due_within(Duration::from_millis(ms));
        assert_eq!([due(0), due(49), due(51), due(1_001)], [5, 5, 10, 105]);
        assert_eq!([due(9_999), due(10_001), due(99_999)], [1_000, 1_003, 1_003]);
    }
}
