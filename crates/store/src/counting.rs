//! Counts activities into the ledgers of standings: sends the calls that [`crate::count`] decides on, those of
//! many standings in few requests.

mod sending;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use futures::FutureExt as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::time::{Instant, timeout_at};

use crate::aws::required;
use crate::blocks::{BlockName, Spill};
use crate::caps::CapName;
use crate::count::{self, BLOCKS_A_CALL, Call, Now, StandingCount, Step};
use crate::error::StoreError;
use crate::generations::{self, Generations};
use crate::keys::StandingKey;
use crate::rules::Rules;

/// `DynamoDB`'s limit for one `BatchGetItem`.
const READS_A_REQUEST: usize = 100;
/// `DynamoDB`'s limit for one `BatchExecuteStatement`.
const WRITES_A_REQUEST: usize = 25;
/// No batch adds to a set and creates it where it is missing.
const SPILLS_A_REQUEST: usize = 1;
/// A transaction has the writes of one standing.
const CAPPED_WRITES_A_REQUEST: usize = 1;
/// Concurrent requests of one invocation. Calls that become due meanwhile share the next ones.
const REQUESTS_AT_ONCE: usize = 4;
/// The full blocks that a process remembers, at some 150 bytes each, so that it does not try them again. Which
/// of them are forgotten does not matter.
const FULL_BLOCKS_MAX: usize = 20_000;
/// Many processes may start at once, and each changes the generations at most once.
const SETTLING_TRIES: u32 = 10;

/// The names of the tables that activities are counted into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountTables {
    /// `DEDUP_TABLE`
    pub dedup: String,
    /// `STANDINGS_TABLE`
    pub standings: String,
}

impl CountTables {
    /// Reads the environment that `variable` looks into.
    pub fn from_environment(variable: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            dedup: required(variable, "DEDUP_TABLE")?,
            standings: required(variable, "STANDINGS_TABLE")?,
        })
    }
}

/// What counting took.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Used {
    pub standings_read_units: f64,
    pub standings_write_units: f64,
    pub dedup_read_units: f64,
    pub dedup_write_units: f64,
}

/// One request: calls of one step, for one or several standings.
struct Request {
    step: Step,
    /// Which standings it is for.
    places: Vec<usize>,
    /// To look into.
    blocks: Vec<(usize, BlockName)>,
    /// Sums to read.
    caps: Vec<(usize, CapName)>,
    spills: Vec<(usize, Spill)>,
    writes: Vec<(usize, count::Write)>,
}

/// The tables that activities are counted into, and the configured rules.
#[derive(Clone, Debug)]
pub struct Counting {
    pub(crate) client: Client,
    pub(crate) tables: CountTables,
    rules: Rules,
    full_blocks: Arc<Mutex<HashSet<BlockName>>>,
}

impl Counting {
    pub fn new(client: &Client, tables: CountTables, rules: Rules) -> Self {
        // The decisions retry themselves: they know the deadline, and what was counted meanwhile.
        let once = client
            .config()
            .to_builder()
            .retry_config(RetryConfig::disabled())
            .build();
        Self {
            client: Client::from_conf(once),
            tables,
            rules,
            full_blocks: Arc::default(),
        }
    }

    /// The configured rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The generations that activities are counted into.
    pub async fn generations(&self) -> Result<Generations, StoreError> {
        generations::read(&self.client, &self.tables.standings).await
    }

    /// Notes the configured rules, and adopts in each generation what leaves its counts valid.
    pub async fn settle_rules(&self, now: Timestamp) -> Result<Generations, StoreError> {
        for _ in 0..SETTLING_TRIES {
            let known = self.generations().await?;
            let settled = known.settled(&self.rules, now);
            if settled == known {
                return Ok(known);
            }
            let replaced =
                generations::replace(&self.client, &self.tables.standings, &known, settled).await?;
            if let Some(settled) = replaced {
                return Ok(settled);
            }
        }
        Err(StoreError::unavailable(
            "settling the rules",
            "other processes changed the generations each time",
        ))
    }

    /// Counts until every fact has a result. No request outlasts the deadline.
    pub async fn count(&self, counts: &mut [StandingCount], now: Timestamp, deadline: Instant) -> Used {
        let mut used = Used::default();
        let standings: Vec<StandingKey> = counts.iter().map(|count| count.standing().clone()).collect();
        // When the next call of each standing is due: none while one is under way.
        let mut due = vec![Some(Instant::now()); counts.len()];
        let mut sent = FuturesUnordered::new();
        let mut is_reading = false;
        loop {
            while sent.len() < REQUESTS_AT_ONCE
                && let Some(request) = next_request(counts, &mut due, is_reading, deadline)
            {
                let is_read = request.step == Step::Read;
                is_reading |= is_read;
                let answered = self.send(request, &standings, deadline);
                sent.push(answered.map(move |answered| (is_read, answered)));
            }
            let now_at = Instant::now();
            let retry_at = due.iter().flatten().filter(|at| **at > now_at).min();
            let mut answered = match (sent.is_empty(), retry_at) {
                (false, None) => sent.next().await,
                (false, Some(&at)) => timeout_at(at, sent.next()).await.unwrap_or_default(),
                (true, Some(&at)) => {
                    tokio::time::sleep_until(at).await;
                    continue;
                }
                (true, None) if due.iter().all(Option::is_none) => return used,
                (true, None) => continue,
            };
            while let Some((is_read, (answers, more))) = answered {
                is_reading &= !is_read;
                used.add(more);
                // What failed together is tried again together: by times of their own, the standings of one
                // request would come back in as many requests, which a throttled table needs least.
                let answered_at = Instant::now();
                let jitter = rand::rng().random();
                for (place, answer) in answers {
                    let now = Now {
                        time: now,
                        time_left: deadline.saturating_duration_since(answered_at),
                        jitter,
                        random: rand::rng().random(),
                    };
                    let pause = counts[place].take(answer, &now);
                    due[place] = (!counts[place].is_done()).then(|| answered_at + pause);
                }
                answered = sent.next().now_or_never().flatten();
            }
        }
    }
}

/// The most urgent of the calls that are due, as many as fit into one request. What was read is written before more is
/// read: the shorter the time between the two, the less often another invocation is first.
fn next_request(
    counts: &mut [StandingCount],
    due: &mut [Option<Instant>],
    is_reading: bool,
    deadline: Instant,
) -> Option<Request> {
    let now = Instant::now();
    let time_left = deadline.saturating_duration_since(now);
    loop {
        let steps = counts.iter().zip(&*due).filter_map(|(count, due)| {
            let is_due = due.is_some_and(|at| at <= now);
            count
                .step()
                .filter(|step| is_due && !(is_reading && *step == Step::Read))
        });
        let mut request = Request::new(steps.min()?);
        for ((place, count), due) in (0..).zip(&mut *counts).zip(&mut *due) {
            if count.step() != Some(request.step) || due.is_none_or(|at| at > now) {
                continue;
            }
            // Without time left, the standing is done.
            if count
                .next(time_left)
                .is_some_and(|call| !request.add(place, call))
            {
                break;
            }
            *due = None;
        }
        if !request.places.is_empty() {
            return Some(request);
        }
    }
}

impl Request {
    fn new(step: Step) -> Self {
        Self {
            step,
            places: Vec::new(),
            blocks: Vec::new(),
            caps: Vec::new(),
            spills: Vec::new(),
            writes: Vec::new(),
        }
    }

    /// Adds a call, and returns whether there was room for it.
    fn add(&mut self, place: usize, call: Call) -> bool {
        let (used, needed, limit) = match &call {
            Call::Read { .. } => (self.places.len(), 1, READS_A_REQUEST),
            Call::Look(blocks) => (self.blocks.len(), blocks.len(), BLOCKS_A_CALL),
            Call::ReadCaps(names) => (self.caps.len(), names.len(), READS_A_REQUEST),
            Call::Spill(_) => (self.places.len(), 1, SPILLS_A_REQUEST),
            Call::Write(write) if write.caps.is_empty() => (self.places.len(), 1, WRITES_A_REQUEST),
            Call::Write(_) => (self.places.len(), 1, CAPPED_WRITES_A_REQUEST),
        };
        if used + needed > limit {
            return false;
        }
        self.places.push(place);
        match call {
            Call::Read { .. } => {}
            Call::Look(blocks) => self.blocks.extend(blocks.into_iter().map(|block| (place, block))),
            Call::ReadCaps(names) => self.caps.extend(names.into_iter().map(|name| (place, name))),
            Call::Spill(spill) => self.spills.push((place, spill)),
            Call::Write(write) => self.writes.push((place, write)),
        }
        true
    }
}

impl Used {
    fn add(&mut self, other: Self) {
        self.standings_read_units += other.standings_read_units;
        self.standings_write_units += other.standings_write_units;
        self.dedup_read_units += other.dedup_read_units;
        self.dedup_write_units += other.dedup_write_units;
    }
}
