//! Counts activities into the ledgers of standings: sends the calls that [`crate::count`] decides on, those of
//! many standings in few requests.

mod sending;

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use futures::FutureExt as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::time::{Instant, timeout_at};

use crate::aws::required;
use crate::blocks::{BlockName, Spill};
use crate::count::{Call, NAMES_A_CALL, Now, StandingCount};
use crate::error::StoreError;
use crate::generations::{self, Generations};
use crate::keys::StandingKey;
use crate::ledger::{Ledger, Version};
use crate::rules::Rules;

/// `DynamoDB`'s limit for one `BatchGetItem`.
const READS_A_REQUEST: usize = 100;
/// `DynamoDB`'s limit for one `BatchExecuteStatement`.
const WRITES_A_REQUEST: usize = 25;
/// Concurrent requests of one invocation.
const REQUESTS_AT_ONCE: usize = 8;
/// While requests are under way, calls wait for so long to share the next ones. Otherwise each block and each write
/// that lost against another invocation would bring a request of its own.
const GATHER_EVERY: Duration = Duration::from_millis(5);
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

/// One request, for one or several standings, each known by its place.
enum Request {
    Read { is_consistent: bool, places: Vec<usize> },
    Look { names: Vec<(usize, BlockName)> },
    Spill { place: usize, spill: Spill },
    Write { writes: Vec<Write> },
}

struct Write {
    place: usize,
    replaces: Option<Version>,
    version: Version,
    ledger: Ledger,
}

/// The tables that activities are counted into, and the configured rules.
#[derive(Clone, Debug)]
pub struct Counting {
    pub(crate) client: Client,
    pub(crate) tables: CountTables,
    rules: Rules,
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

    /// Counts until every activity has a result. No request outlasts the deadline.
    pub async fn count(&self, counts: &mut [StandingCount], now: Timestamp, deadline: Instant) -> Used {
        let mut used = Used::default();
        let standings: Vec<StandingKey> = counts.iter().map(|count| count.standing().clone()).collect();
        // When the next call of each standing is due: none while one is under way.
        let mut due = vec![Some(Instant::now()); counts.len()];
        let mut waiting = VecDeque::new();
        let mut sent = FuturesUnordered::new();
        let mut gather_at = Instant::now();
        loop {
            let now_at = Instant::now();
            if waiting.is_empty() && (sent.is_empty() || gather_at <= now_at) {
                waiting.extend(requests(due_calls(counts, &mut due, deadline)));
                gather_at = now_at + GATHER_EVERY;
            }
            while sent.len() < REQUESTS_AT_ONCE
                && let Some(request) = waiting.pop_front()
            {
                sent.push(self.send(request, &standings, deadline));
            }
            let mut answered = match (sent.is_empty(), due.iter().flatten().min()) {
                (true, None) => return used,
                (true, Some(&at)) => {
                    tokio::time::sleep_until(at).await;
                    continue;
                }
                (false, Some(&at)) if waiting.is_empty() => {
                    let answered = timeout_at(at.max(gather_at), sent.next()).await;
                    answered.unwrap_or_default()
                }
                (false, _) => sent.next().await,
            };
            while let Some((answers, more)) = answered {
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

/// The calls that are due, each with its place.
fn due_calls(
    counts: &mut [StandingCount],
    due: &mut [Option<Instant>],
    deadline: Instant,
) -> Vec<(usize, Call)> {
    let now = Instant::now();
    let time_left = deadline.saturating_duration_since(now);
    let mut calls = Vec::new();
    for ((place, count), due) in (0..).zip(counts).zip(due) {
        if due.is_some_and(|at| at <= now) {
            *due = None;
            calls.extend(count.next(time_left).map(|call| (place, call)));
        }
    }
    calls
}

/// Groups calls into as few requests as their limits allow.
fn requests(calls: Vec<(usize, Call)>) -> Vec<Request> {
    let (mut stale, mut consistent, mut names, mut writes) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut requests = Vec::new();
    for (place, call) in calls {
        match call {
            Call::Read { is_consistent: false } => stale.push(place),
            Call::Read { is_consistent: true } => consistent.push(place),
            Call::Look(blocks) => {
                // The blocks of one standing are looked into by one request.
                if names.len() + blocks.len() > NAMES_A_CALL {
                    requests.push(Request::Look {
                        names: std::mem::take(&mut names),
                    });
                }
                names.extend(blocks.into_iter().map(|block| (place, block)));
            }
            Call::Spill(spill) => requests.push(Request::Spill { place, spill }),
            Call::Write {
                replaces,
                version,
                ledger,
            } => writes.push(Write {
                place,
                replaces,
                version,
                ledger,
            }),
        }
    }
    if !names.is_empty() {
        requests.push(Request::Look { names });
    }
    for (is_consistent, places) in [(false, stale), (true, consistent)] {
        let chunks = places.chunks(READS_A_REQUEST);
        requests.extend(chunks.map(|places| Request::Read {
            is_consistent,
            places: places.to_vec(),
        }));
    }
    while !writes.is_empty() {
        let rest = writes.split_off(writes.len().min(WRITES_A_REQUEST));
        requests.push(Request::Write {
            writes: std::mem::replace(&mut writes, rest),
        });
    }
    requests.retain(|request| !request.places().is_empty());
    requests
}

impl Request {
    fn places(&self) -> Vec<usize> {
        match self {
            Self::Read { places, .. } => places.clone(),
            Self::Look { names } => {
                let places: BTreeSet<_> = names.iter().map(|(place, _)| *place).collect();
                places.into_iter().collect()
            }
            Self::Spill { place, .. } => vec![*place],
            Self::Write { writes } => writes.iter().map(|write| write.place).collect(),
        }
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
