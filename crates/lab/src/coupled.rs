//! The design that Podium replaces: one path that stores an activity, counts it and then answers.
//!
//! It is a baseline for `podium compare`. No deployment contains it, and only that command starts it.
//! The comparison is about coupling, so everything else is Podium's own: parsing and facts from
//! ingestion, and the aggregator's counting with its ledgers and retries. The baseline is
//! more careful than most systems of its kind: a retry counts a fact that an earlier attempt stored but
//! did not count, and it answers 503 before its clients time out. It cannot count an activity that its
//! client does not send again, since only a request triggers counting.

mod config;

use std::collections::HashSet;
use std::time::Duration;

use domain::FactKey;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use ingest::{Ingest, ItemResult, ItemStatus, answer};
use jiff::Timestamp;
use lambda_http::{Request, Response};
use store::count::{Countable, StandingCount};
use store::{Counted, Counting, Facts, Generations, StoreError, StoredFact};
use tokio::time::Instant;

pub use config::Config;

/// The limit for storing and counting. Clients wait 5 s, so they still get an answer when it fails.
const ANSWER_WITHIN: Duration = Duration::from_secs(4);

/// Concurrent reads of facts for one request.
const READS_AT_ONCE: usize = 16;

pub struct Coupled {
    ingest: Ingest,
    facts: Facts,
    counting: Counting,
}

impl Coupled {
    pub fn connect(config: Config) -> anyhow::Result<Self> {
        let client = aws_sdk_dynamodb::Client::new(&store::aws::config_from_env()?);
        Ok(Self {
            facts: Facts::new(client.clone(), config.ingest.activities_table.clone()),
            ingest: Ingest::connect(config.ingest)?,
            counting: Counting::new(&client, config.tables, config.rules),
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
        let of = parsed.of;
        let deadline = arrived + ANSWER_WITHIN;
        let mut results = self.ingest.keep(parsed, received_at, deadline).await;
        let kept: HashSet<FactKey> = results.iter().filter_map(key_of_kept).collect();
        let uncounted = match self.count(&kept, received_at, deadline).await {
            Ok(uncounted) => uncounted,
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
        answer(of, &results)
    }

    /// Counts stored activities and returns those that could not be counted. Duplicates are processed too:
    /// an earlier attempt may have stored the fact without counting it. Its key in the ledger has the time at
    /// which that attempt received it, so the facts are read.
    async fn count(
        &self,
        kept: &HashSet<FactKey>,
        now: Timestamp,
        deadline: Instant,
    ) -> Result<HashSet<FactKey>, StoreError> {
        let generations: Generations = self.counting.generations().await?;
        let facts: Vec<Option<StoredFact>> = stream::iter(kept.clone())
            .map(async |key| self.facts.get(&key).await)
            .buffer_unordered(READS_AT_ONCE)
            .try_collect()
            .await?;
        let rules = self.counting.rules();
        let mut counts = Vec::new();
        for generation in generations.counted() {
            let facts = facts.iter().flatten();
            // Parsing has already refused kinds that the policy does not know.
            let scored = facts.filter_map(|fact| Countable::scored(&fact.fact, fact.received_at, rules).ok());
            counts.extend(StandingCount::of_batch(scored, generation, rules));
        }
        self.counting.count(&mut counts, now, deadline).await;
        let mut uncounted = HashSet::new();
        for (key, counted) in counts.into_iter().flat_map(|count| count.results) {
            if !matches!(counted, Counted::Applied | Counted::Duplicate) {
                tracing::error!(
                    ?counted,
                    "An activity could not be counted. The client is asked to send it again."
                );
                uncounted.insert(key);
            }
        }
        Ok(uncounted)
    }
}

fn key_of_kept(result: &ItemResult) -> Option<FactKey> {
    match result.status {
        ItemStatus::Accepted | ItemStatus::Duplicate => Some(FactKey {
            user: result.user_id.clone()?,
            id: result.activity_id.as_ref()?.into(),
        }),
        ItemStatus::Conflict | ItemStatus::Rejected | ItemStatus::Forbidden | ItemStatus::Unavailable => None,
    }
}
