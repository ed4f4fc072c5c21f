//! The open-loop engine: requests start when they are due, regardless of earlier ones.

use std::time::Duration;

use client::{
    Api, PostError, Verdicts,
    wire::{Activity, Status, Verdict},
};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval_at, sleep, timeout},
};

use super::{
    figures::{Counts, Drain, Figures, LoadError, Percentiles, Recorder},
    workload::Workload,
};

/// How often the status is polled. Snapshots are less frequent.
const DRAIN_POLL: Duration = Duration::from_millis(250);
const FIRST_STATUS_WAIT: Duration = Duration::from_secs(5);

/// Due requests buffered before they start. Further ones wait and keep their due times.
const ARRIVALS_MAX: usize = 1_024;

const SECOND: Duration = Duration::from_secs(1);

/// The lowest rate. At a rate of 0, due times would be infinite.
const RATE_MIN: f64 = 0.001;

/// A load to run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Activities a second.
    pub rate: f64,
    /// `None` runs until stopped.
    pub length: Option<Duration>,
    pub users: u32,
    pub programs: u32,
    /// Activities per request.
    pub batch: u16,
    pub seed: u64,
    /// How long ago an activity may have occurred. `None` means now.
    pub back: Option<Duration>,
    pub new_leaders_every: Option<u32>,
    /// The maximum of requests in flight. A request that is due above it is dropped and recorded as an error.
    pub outstanding_max: usize,
    /// How long to wait after the last answer for everything to be counted.
    pub drain_max: Duration,
}

/// The progress of a load, once a second.
#[derive(Debug)]
pub struct Second<'a> {
    pub elapsed: Duration,
    /// Since the beginning.
    pub counts: &'a Counts,
    /// Requests that ended in this second.
    pub post: Percentiles,
    pub outstanding: usize,
}

/// A finished request.
struct Ended {
    activities: u64,
    /// Measured from when it was due.
    latency: Duration,
    answer: Result<Verdicts, PostError>,
}

/// When each request is due, computed from its number so that rounding errors do not accumulate.
pub struct Schedule {
    started: Instant,
    requests_per_second: f64,
    requests_max: Option<u64>,
}

impl Schedule {
    pub fn new(started: Instant, requests_per_second: f64, requests_max: Option<u64>) -> Self {
        Self {
            started,
            requests_per_second,
            requests_max,
        }
    }

    fn of_plan(plan: &Plan, started: Instant) -> Self {
        let requests_per_second = plan.rate.max(RATE_MIN) / f64::from(plan.batch);
        let requests_max = plan.length.map(|length| {
            let requests = (length.as_secs_f64() * requests_per_second).round();
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "whole and not negative, and the cast saturates"
            )]
            let requests = requests as u64;
            requests.max(1)
        });
        Self::new(started, requests_per_second, requests_max)
    }

    /// `None` after the last request.
    pub fn due(&self, request: u64) -> Option<Instant> {
        if self.requests_max.is_some_and(|max| request >= max) {
            return None;
        }
        #[expect(clippy::cast_precision_loss, reason = "exact below 2^53 requests")]
        let seconds = request as f64 / self.requests_per_second;
        Some(self.started + Duration::from_secs_f64(seconds))
    }
}

/// Sends a message when each request is due, until the last one or until the receiver is gone.
///
/// It runs on a separate thread because the runtime's timers can fire up to 1 ms late. Many requests
/// take no longer than that.
pub fn pace(schedule: Schedule) -> mpsc::Receiver<Instant> {
    let (sender, receiver) = mpsc::channel(ARRIVALS_MAX);
    std::thread::spawn(move || {
        for request in 0.. {
            let Some(due) = schedule.due(request) else {
                return;
            };
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            if sender.blocking_send(due).is_err() {
                return;
            }
        }
    });
    receiver
}

/// Posts to `ingest` until the plan or `stop` ends the load, then polls `serve` until everything is
/// counted.
///
/// Latencies start when a request was due and include failures. Failed requests are not retried, since
/// a retry would hide the failure.
pub async fn run(
    ingest: &Api,
    serve: &Api,
    plan: &Plan,
    stop: impl Future<Output = ()>,
    mut on_second: impl FnMut(&Second<'_>),
) -> Figures {
    let before = first_status(serve).await;
    let mut workload = Workload::new(plan.users, plan.programs, plan.seed, rand::random())
        .reaching_back(plan.back)
        .changing_leaders(plan.new_leaders_every);
    let mut counts = Counts::default();
    let mut post = Recorder::new();
    let mut post_in_second = Recorder::new();
    let mut start_delay = Recorder::new();
    let mut outstanding: JoinSet<Ended> = JoinSet::new();
    let mut stop = std::pin::pin!(stop);
    let mut is_stopped = false;
    let started = Instant::now();
    let mut arrivals = pace(Schedule::of_plan(plan, started));
    let mut seconds = interval_at(started + SECOND, SECOND);
    seconds.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut is_ended = false;
    let mut last_answer = started;

    while !is_ended || !outstanding.is_empty() {
        tokio::select! {
            biased;
            () = &mut stop, if !is_stopped => {
                is_stopped = true;
                is_ended = true;
            }
            _ = seconds.tick() => {
                let elapsed = started.elapsed();
                let post = post_in_second.percentiles();
                on_second(&Second { elapsed, counts: &counts, post, outstanding: outstanding.len() });
                post_in_second.clear();
            }
            Some(ended) = outstanding.join_next() => {
                last_answer = Instant::now();
                let ended = ended.expect("a request is never cancelled and does not panic");
                post.record(ended.latency);
                post_in_second.record(ended.latency);
                tally(ended, &mut counts);
            }
            due = arrivals.recv(), if !is_ended => {
                let Some(due) = due else {
                    is_ended = true;
                    continue;
                };
                let activities: Vec<Activity> = (0..plan.batch).map(|_| workload.next()).collect();
                if outstanding.len() >= plan.outstanding_max {
                    counts.count_error(LoadError::Overflow, u64::from(plan.batch));
                } else {
                    counts.sent += u64::from(plan.batch);
                    start_delay.record(due.elapsed());
                    outstanding.spawn(post_once(ingest.clone(), activities, due));
                }
            }
        }
    }

    let elapsed = last_answer - started;
    let drain = match before {
        _ if is_stopped => Drain::NotAwaited,
        None => Drain::Unknown,
        Some(before) => tokio::select! {
            drain = drain(serve, &before, counts.accepted, last_answer, plan.drain_max) => drain,
            () = &mut stop => Drain::NotAwaited,
        },
    };
    Figures {
        counts,
        elapsed,
        post: post.percentiles(),
        start_delay: start_delay.percentiles(),
        drain,
    }
}

async fn post_once(api: Api, activities: Vec<Activity>, due: Instant) -> Ended {
    let body = serde_json::to_vec(&activities).expect("activities are always JSON");
    let answer = api.post_activities(body, activities.len()).await;
    let activities = u64::try_from(activities.len()).unwrap_or(u64::MAX);
    Ended {
        activities,
        latency: due.elapsed(),
        answer,
    }
}

fn tally(ended: Ended, counts: &mut Counts) {
    match ended.answer {
        Err(error) => counts.count_error(LoadError::Failed(error.failure), ended.activities),
        Ok(Verdicts { results, .. }) => {
            for verdict in results {
                match verdict {
                    Verdict::Accepted => counts.accepted += 1,
                    Verdict::Duplicate => counts.duplicate += 1,
                    Verdict::Conflict { .. } | Verdict::Rejected { .. } | Verdict::Forbidden { .. } => {
                        counts.rejected += 1;
                    }
                    Verdict::Unavailable => counts.count_error(LoadError::Unavailable, 1),
                }
            }
        }
    }
}

/// The status before the load. Polls for some seconds, since a new stack has not published a snapshot yet.
async fn first_status(serve: &Api) -> Option<Status> {
    let until = Instant::now() + FIRST_STATUS_WAIT;
    loop {
        match serve.status().await {
            Ok(status) => return Some(status),
            Err(_) if Instant::now() >= until => return None,
            Err(_) => sleep(DRAIN_POLL).await,
        }
    }
}

/// Waits until the count has risen by `accepted`. If it rises further, or if there was a backlog before
/// the load, another client was active and the result is not `certain`.
async fn drain(
    serve: &Api,
    before: &Status,
    accepted: u64,
    last_answer: Instant,
    drain_max: Duration,
) -> Drain {
    // A heartbeat may be under way.
    let is_alone = before.freshness.backlog.unwrap_or_default() <= 1;
    let mut rise = None;
    let all_counted = async {
        loop {
            if let Ok(now) = serve.status().await {
                let risen = now.counted.activities.saturating_sub(before.counted.activities);
                rise = Some(risen);
                if risen >= accepted {
                    let after = last_answer.elapsed();
                    return Drain::Counted {
                        after,
                        certain: is_alone && risen == accepted,
                    };
                }
            }
            sleep(DRAIN_POLL).await;
        }
    };
    match timeout(drain_max, all_counted).await {
        Ok(drain) => drain,
        Err(_) => match rise {
            Some(counted) => Drain::Incomplete {
                counted,
                waited: last_answer.elapsed(),
            },
            None => Drain::Unknown,
        },
    }
}

#[cfg(test)]
mod tests;
