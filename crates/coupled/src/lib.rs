//! The design that Podium replaces: one path that stores an activity, counts it and then answers.
//!
//! It is only a baseline for `podium compare`, and is never deployed. The comparison is about coupling,
//! so everything else is the same as in Podium: the parsing and the facts of ingestion, and the
//! transactions, markers and retries of the aggregator. It treats its clients better than such designs
//! often do. If a fact was kept but not counted, sending it again counts it. If it is busy, it says so
//! before clients time out. But it cannot count an activity that no client sends again, since only a
//! request makes it count.

mod config;

use std::collections::HashSet;
use std::time::Duration;

use domain::{Activity, ActivityKey, Rejection};
use ingest::{Ingest, ItemResult, ItemStatus, answer};
use jiff::Timestamp;
use lambda_http::{Request, Response};
use store::plan::{Countable, groups};
use store::{Counted, Counting, Generations};
use tokio::time::Instant;

pub use config::Config;

/// How long counting may take. Clients that time out after 5 s still get the answer that it failed.
const COUNT_WITHIN: Duration = Duration::from_secs(4);

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

    /// Answers one request once all of its activities are kept and counted. The others are answered as
    /// unavailable. `received_at` and `arrived` are both the time of the request.
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
        let mut countable = self.countable(&parsed, received_at);
        let mut results = self.ingest.keep(parsed, received_at).await;
        let kept: HashSet<ActivityKey> = results.iter().filter_map(key_of_kept).collect();
        countable.retain(|activity| kept.contains(&activity.key));
        let uncounted = match self.counting.generations().await {
            Ok(generations) => {
                let deadline = arrived + COUNT_WITHIN;
                self.count(countable, &generations, received_at, deadline).await
            }
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
        // Ingestion has rejected every activity that the policy does not score.
        parsed
            .iter()
            .flatten()
            .filter_map(|activity| scored(activity).ok())
            .collect()
    }

    /// Counts activities that are kept, and returns those that could not be counted. Duplicates are counted
    /// too: the first attempt may have ended between its fact and its count, and the marker prevents
    /// counting twice. A different activity under the same id is not supported.
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
                let report = self.counting.count(group, generation, now, deadline).await;
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
        ItemStatus::Rejected | ItemStatus::Unavailable => None,
    }
}
