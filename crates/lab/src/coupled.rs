//! The design that Podium replaces: one path that stores an activity, counts it and then answers.
//!
//! It is a baseline for `podium compare`. No deployment contains it, and only that command starts it.
//! The comparison is about coupling, so everything else is Podium's own: parsing and facts from
//! ingestion, and the aggregator's counting with its transactions, markers and retries. The baseline is
//! more careful than most systems of its kind: a retry counts a fact that an earlier attempt stored but
//! did not count, and it answers 503 before its clients time out. It cannot count an activity that its
//! client does not send again, since only a request triggers counting.

mod config;

use std::collections::HashSet;
use std::time::Duration;

use domain::{Activity, ActivityKey, Rejection};
use ingest::{Ingest, ItemResult, ItemStatus, answer};
use jiff::Timestamp;
use lambda_http::{Request, Response};
use store::plan::{Countable, PlanContext, groups};
use store::{Counted, Counting, Generations};
use tokio::time::Instant;

pub use config::Config;

/// The limit for storing and counting. Clients wait 5 s, so they still get an answer when it fails.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

pub struct Coupled {
    ingest: Ingest,
    counting: Counting,
}

impl Coupled {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let client = aws_sdk_dynamodb::Client::new(&store::aws::config_from_env()?);
        Ok(Self {
            ingest: Ingest::connect(config.ingest)?,
            counting: Counting::new(client, config.tables, config.rules),
        })
    }

    pub async fn warm_up(&self) {
        self.ingest.warm_up().await;
    }

    /// Stores and counts the activities of one request, then answers. Those that could not be counted are
    /// answered as unavailable. `received_at` and `arrived` are the time of arrival by the wall clock and by
    /// the monotonic clock.
    pub async fn handle(
        &self,
        request: Request,
        received_at: Timestamp,
        arrived: Instant,
    ) -> Response<String> {
        let parsed = match self.ingest.parse(&request, received_at) {
            Ok(parsed) => parsed,
            Err(refusal) => return *refusal,
        };
        let deadline = arrived + ANSWER_WITHIN;
        let mut countable = self.countable(&parsed, received_at);
        let mut results = self.ingest.keep(parsed, received_at, deadline).await;
        let kept: HashSet<ActivityKey> = results.iter().filter_map(key_of_kept).collect();
        countable.retain(|activity| kept.contains(&activity.key));
        let uncounted = match self.counting.generations().await {
            Ok(generations) => self.count(countable, &generations, received_at, deadline).await,
            Err(error) => {
                tracing::error!(
                    kind = error.kind(),
                    error = error.with_causes(),
                    "Nothing can be counted. The client is asked to send it again."
                );
                kept
            }
        };
        for result in &mut results {
            if key_of_kept(result).is_some_and(|key| uncounted.contains(&key)) {
                result.status = ItemStatus::Unavailable;
            }
        }
        answer(&results)
    }

    fn countable(&self, parsed: &[Result<Activity, Rejection>], now: Timestamp) -> Vec<Countable> {
        let scored = |activity| Countable::scored(activity, self.counting.rules(), now);
        // Parsing has already refused kinds that the policy does not know.
        parsed
            .iter()
            .flatten()
            .filter_map(|activity| scored(activity).ok())
            .collect()
    }

    /// Counts stored activities and returns those that could not be counted. Duplicates are processed too:
    /// an earlier attempt may have stored the fact without counting it, and the marker prevents a double
    /// count. A duplicate has the content of the fact; only its time may not have been sent.
    async fn count(
        &self,
        activities: Vec<Countable>,
        generations: &Generations,
        now: Timestamp,
        deadline: Instant,
    ) -> HashSet<ActivityKey> {
        let mut uncounted = HashSet::new();
        for generation in generations.counted() {
            for group in groups(activities.clone()) {
                let context = PlanContext::new(self.counting.rules(), generation, now);
                let report = self.counting.count(group, context, deadline).await;
                for (key, counted) in report.results {
                    match counted {
                        Counted::Applied | Counted::Duplicate => {}
                        Counted::Later(reason) | Counted::Impossible(reason) => {
                            tracing::error!(
                                reason,
                                "An activity could not be counted. The client is asked to send it again."
                            );
                            uncounted.insert(key);
                        }
                    }
                }
            }
        }
        uncounted
    }
}

fn key_of_kept(result: &ItemResult) -> Option<ActivityKey> {
    match result.status {
        ItemStatus::Accepted | ItemStatus::Duplicate => Some(ActivityKey {
            user: result.user_id.clone()?,
            id: result.activity_id.clone()?,
        }),
        ItemStatus::Conflict | ItemStatus::Rejected | ItemStatus::Unavailable => None,
    }
}
