//! The design that Podium replaces: one path that stores an activity, counts it and then answers.
//!
//! It is a baseline for `podium compare` and nothing else: no deployment has it, and no stack but the
//! one that this command starts. What is compared is the coupling. So everything else is the same as
//! in Podium and as good: the parsing and the facts of ingestion, and the counting of the aggregator,
//! with its transactions, markers and retries. It is kind to its clients where its like often are not:
//! a fact that was kept by an attempt that failed later is counted when the same is sent again, and it
//! says that it is busy while they still listen. What it cannot do is count anything that nobody sends
//! again, for nothing but a request makes it count.

mod config;

use std::collections::HashSet;
use std::time::Duration;

use domain::{Activity, ActivityId, Rejection, ScoringPolicy, UserId};
use ingest::{Ingest, ItemResult, ItemStatus, answer};
use jiff::Timestamp;
use lambda_http::{Request, Response};
use store::plan::{Countable, groups};
use store::{Counted, Counting, Generations};
use tokio::time::Instant;

pub use config::Config;

/// How long counting may take. Clients who wait for 5 s hear that it failed before they go.
const COUNT_WITHIN: Duration = Duration::from_secs(4);

type Key = (UserId, ActivityId);

pub struct Coupled {
    ingest: Ingest,
    counting: Counting,
    policy: ScoringPolicy,
}

impl Coupled {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let client = aws_sdk_dynamodb::Client::new(&store::aws::config_from_env()?);
        Ok(Self {
            policy: config.ingest.scoring_policy.clone(),
            ingest: Ingest::connect(config.ingest)?,
            counting: Counting::new(client, config.counting),
        })
    }

    pub async fn warm_up(&self) {
        self.ingest.warm_up().await;
    }

    /// Answers one request, which arrived at `received_at` and at `arrived`, once all of its
    /// activities are kept and counted. Those that are not are answered as unavailable.
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
        let kept: HashSet<Key> = results.iter().filter_map(key_of_kept).collect();
        countable.retain(|activity| kept.contains(&(activity.user.clone(), activity.id.clone())));
        let uncounted = match self.counting.generations().await {
            Ok(generations) => {
                let deadline = arrived + COUNT_WITHIN;
                self.count(countable, &generations, received_at, deadline).await
            }
            Err(error) => {
                tracing::error!(%error, "Nothing can be counted; the client is asked to send it again.");
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
        let calendar = self.counting.calendar();
        let scored = |activity| Countable::scored(activity, &self.policy, calendar, now);
        // What the policy does not know was refused by the parsing.
        parsed
            .iter()
            .flatten()
            .filter_map(|activity| scored(activity).ok())
            .collect()
    }

    /// Counts activities that are kept, and returns those that could not be counted. A duplicate may
    /// be one whose first attempt ended between its fact and its count, so it is counted as well: its
    /// marker tells. A client who sends another activity under the same id is not provided for.
    async fn count(
        &self,
        activities: Vec<Countable>,
        generations: &Generations,
        now: Timestamp,
        deadline: Instant,
    ) -> HashSet<Key> {
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
                                "An activity could not be counted; the client is asked to send it again."
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

fn key_of_kept(result: &ItemResult) -> Option<Key> {
    match result.status {
        ItemStatus::Accepted | ItemStatus::Duplicate => {
            Some((result.user_id.clone()?, result.activity_id.clone()?))
        }
        ItemStatus::Rejected | ItemStatus::Unavailable => None,
    }
}
