//! Counts activities into the ledgers of standings: sends the calls that [`crate::count`] decides on, those of
//! many standings in few requests.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, KeysAndAttributes,
    ReturnConsumedCapacity,
};
use futures::FutureExt as _;
use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::time::{Instant, timeout_at};

use crate::aws::required;
use crate::blocks::{BlockName, Spill, keys_of};
use crate::count::{Answer, Call, NAMES_A_CALL, Now, StandingCount, Stored};
use crate::error::StoreError;
use crate::generations::{self, Generations};
use crate::item::{self, Item, string, text};
use crate::keys::{STANDINGS_KEY, StandingKey, attribute};
use crate::ledger::{Ledger, Version};
use crate::requests::add_to_block;
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
/// A request without an answer for so long is taken to be lost, so that it delays no other standing for longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
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

    async fn send(
        &self,
        request: Request,
        standings: &[StandingKey],
        deadline: Instant,
    ) -> (Vec<(usize, Answer)>, Used) {
        let places = request.places();
        let sent = async {
            match request {
                Request::Read {
                    is_consistent,
                    places,
                } => self.read(&places, is_consistent, standings).await,
                Request::Look { names } => self.look(&names).await,
                Request::Spill { place, spill } => self.spill(place, &spill).await,
                Request::Write { writes } => self.write(&writes, standings).await,
            }
        };
        let answer_by = deadline.min(Instant::now() + ANSWER_WITHIN);
        timeout_at(answer_by, sent).await.unwrap_or_else(|_| {
            let late = Answer::Unsure("the table did not answer in time".to_owned());
            (of_each(places, &late), Used::default())
        })
    }

    /// Reads standings. What a throttled table leaves out is uncertain.
    async fn read(
        &self,
        of: &[usize],
        is_consistent: bool,
        standings: &[StandingKey],
    ) -> (Vec<(usize, Answer)>, Used) {
        let keys = of.iter().map(|&place| {
            let standing = &standings[place];
            item::key(STANDINGS_KEY, &standing.partition(), &standing.member())
        });
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys.collect()))
            .consistent_read(is_consistent)
            .build();
        let (items, unprocessed, units) = match self.batch_get(&self.tables.standings, request).await {
            Ok(read) => read,
            Err(failed) => return (of_each(of.iter().copied(), &failed), Used::default()),
        };
        let used = Used {
            standings_read_units: units,
            ..Used::default()
        };
        let key_of = |item: &Item| {
            Some((
                text(item, attribute::SHARD).ok()?.to_owned(),
                text(item, attribute::MEMBER).ok()?.to_owned(),
            ))
        };
        let found: HashMap<_, _> = items
            .iter()
            .filter_map(|item| Some((key_of(item)?, item)))
            .collect();
        let left: BTreeSet<_> = unprocessed.iter().filter_map(key_of).collect();
        let answers = of.iter().map(|&place| {
            let key = (standings[place].partition(), standings[place].member());
            let answer = match found.get(&key) {
                Some(item) => stored(item),
                None if left.contains(&key) => Answer::Unsure("the table is throttled".to_owned()),
                None => Answer::Read(None),
            };
            (place, answer)
        });
        (answers.collect(), used)
    }

    /// Looks into blocks, consistently.
    async fn look(&self, names: &[(usize, BlockName)]) -> (Vec<(usize, Answer)>, Used) {
        let keys = names
            .iter()
            .map(|(_, name)| Item::from([(attribute::ACTIVITY.to_owned(), string(name.as_str()))]));
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys.collect()))
            .consistent_read(true)
            .build();
        let read = self.batch_get(&self.tables.dedup, request).await;
        let places: BTreeSet<usize> = names.iter().map(|(place, _)| *place).collect();
        let (items, unprocessed, units) = match read {
            Ok(read) => read,
            Err(failed) => return (of_each(places, &failed), Used::default()),
        };
        let used = Used {
            dedup_read_units: units,
            ..Used::default()
        };
        let name_of = |item: &Item| text(item, attribute::ACTIVITY).ok().map(str::to_owned);
        let left: BTreeSet<_> = unprocessed.iter().filter_map(name_of).collect();
        let found: HashMap<_, _> = items
            .iter()
            .filter_map(|item| Some((name_of(item)?, item)))
            .collect();
        let answers = places.into_iter().map(|place| {
            let mut all = BTreeSet::new();
            for (_, name) in names.iter().filter(|(of, _)| *of == place) {
                if left.contains(name.as_str()) {
                    return (place, Answer::Unsure("the table is throttled".to_owned()));
                }
                all.extend(
                    found
                        .get(name.as_str())
                        .into_iter()
                        .flat_map(|item| keys_of(item)),
                );
            }
            (place, Answer::Found(all))
        });
        (answers.collect(), used)
    }

    /// Adds keys to a block. Doing so again changes nothing.
    async fn spill(&self, place: usize, spill: &Spill) -> (Vec<(usize, Answer)>, Used) {
        let update = add_to_block(&self.client, &self.tables.dedup, spill);
        let update = update.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let mut used = Used::default();
        let answer = match update.send().await {
            Ok(output) => {
                let capacity = output
                    .consumed_capacity
                    .and_then(|capacity| capacity.capacity_units);
                used.dedup_write_units = capacity.unwrap_or_default();
                Answer::Done
            }
            Err(error) => failed(&error),
        };
        (vec![(place, answer)], used)
    }

    /// Writes standings, each on its own condition.
    async fn write(&self, writes: &[Write], standings: &[StandingKey]) -> (Vec<(usize, Answer)>, Used) {
        let statements = writes
            .iter()
            .map(|write| self.statement(write, &standings[write.place]));
        let statements: Result<Vec<_>, _> = statements.collect();
        let all = |answer: &Answer| of_each(writes.iter().map(|write| write.place), answer);
        let statements = match statements {
            Ok(statements) => statements,
            Err(error) => return (all(&Answer::Invalid(error.to_string())), Used::default()),
        };
        let sent = self
            .client
            .batch_execute_statement()
            .set_statements(Some(statements))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let mut used = Used::default();
        let responses = match sent {
            Ok(output) => {
                let units = output.consumed_capacity.unwrap_or_default();
                let units = units.iter().filter_map(|capacity| capacity.capacity_units);
                used.standings_write_units = units.sum();
                output.responses.unwrap_or_default()
            }
            Err(error) => return (all(&failed(&error)), used),
        };
        let mut responses = responses.into_iter();
        let answers = writes.iter().map(|write| {
            let error = match responses.next() {
                None => {
                    return (
                        write.place,
                        Answer::Unsure("the answer lacks a statement".to_owned()),
                    );
                }
                Some(response) => response.error,
            };
            let Some(error) = error else {
                return (write.place, Answer::Done);
            };
            let text = format!("{:?}: {}", error.code(), error.message().unwrap_or_default());
            let answer = match error.code() {
                Some(
                    BatchStatementErrorCodeEnum::ConditionalCheckFailed
                    | BatchStatementErrorCodeEnum::DuplicateItem,
                ) => Answer::ConditionFailed,
                Some(
                    BatchStatementErrorCodeEnum::ValidationError
                    | BatchStatementErrorCodeEnum::ItemCollectionSizeLimitExceeded,
                ) => Answer::Invalid(text),
                Some(
                    BatchStatementErrorCodeEnum::AccessDenied | BatchStatementErrorCodeEnum::ResourceNotFound,
                ) => Answer::Refused(text),
                _ => Answer::Unsure(text),
            };
            (write.place, answer)
        });
        (answers.collect(), used)
    }

    /// The items that were read, the keys of those that were not, and the units used.
    async fn batch_get(
        &self,
        table: &str,
        request: Result<KeysAndAttributes, BuildError>,
    ) -> Result<(Vec<Item>, Vec<Item>, f64), Answer> {
        let request = request.map_err(|error| Answer::Invalid(error.to_string()))?;
        let sent = self
            .client
            .batch_get_item()
            .request_items(table, request)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let output = sent.map_err(|error| failed(&error))?;
        let units = output.consumed_capacity.unwrap_or_default();
        let units = units.iter().filter_map(|capacity| capacity.capacity_units).sum();
        let items = output.responses.unwrap_or_default().into_values().flatten();
        let left = output.unprocessed_keys.unwrap_or_default().into_values();
        let left = left.flat_map(|request| request.keys);
        Ok((items.collect(), left.collect(), units))
    }

    fn statement(&self, write: &Write, standing: &StandingKey) -> Result<BatchStatementRequest, BuildError> {
        let table = &self.tables.standings;
        let (shard, member) = (string(standing.partition()), string(standing.member()));
        let ledger = AttributeValue::B(Blob::new(write.ledger.encode()));
        let version = write.version.attribute();
        let (statement, parameters) = match write.replaces {
            None => (
                format!(
                    r#"INSERT INTO "{table}" VALUE {{'{}': ?, '{}': ?, '{}': ?, '{}': ?}}"#,
                    attribute::SHARD,
                    attribute::MEMBER,
                    attribute::LEDGER,
                    attribute::VERSION
                ),
                vec![shard, member, ledger, version],
            ),
            Some(replaces) => (
                format!(
                    r#"UPDATE "{table}" SET "{}" = ? SET "{}" = ? WHERE "{}" = ? AND "{}" = ? AND "{}" = ?"#,
                    attribute::LEDGER,
                    attribute::VERSION,
                    attribute::SHARD,
                    attribute::MEMBER,
                    attribute::VERSION
                ),
                vec![ledger, version, shard, member, replaces.attribute()],
            ),
        };
        BatchStatementRequest::builder()
            .statement(statement)
            .set_parameters(Some(parameters))
            .build()
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

fn stored(item: &Item) -> Answer {
    match (Ledger::of_item(item), Version::of_item(item)) {
        (Ok(ledger), Some(version)) => Answer::Read(Some(Stored { version, ledger })),
        (Err(error), _) => Answer::Refused(format!("a standing is corrupt: {error}")),
        (Ok(_), None) => Answer::Refused("a standing is corrupt: it has no version".to_owned()),
    }
}

/// What the failure of a request means for each of its calls.
fn failed<E: ProvideErrorMetadata + std::error::Error + 'static>(error: &SdkError<E>) -> Answer {
    let text = DisplayErrorContext(error).to_string();
    let SdkError::ServiceError(service) = error else {
        return match error {
            SdkError::ConstructionFailure(_) => Answer::Invalid(text),
            _ => Answer::Unsure(text),
        };
    };
    match service.err().code() {
        Some("ConditionalCheckFailedException") => Answer::ConditionFailed,
        Some("ValidationException") => Answer::Invalid(text),
        Some(
            "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottlingException"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "InternalFailure",
        ) => Answer::Unsure(text),
        _ if service.raw().status().is_server_error() => Answer::Unsure(text),
        _ => Answer::Refused(text),
    }
}

/// The same answer for each of some places.
fn of_each(places: impl IntoIterator<Item = usize>, answer: &Answer) -> Vec<(usize, Answer)> {
    places.into_iter().map(|place| (place, answer.clone())).collect()
}

impl Used {
    fn add(&mut self, other: Self) {
        self.standings_read_units += other.standings_read_units;
        self.standings_write_units += other.standings_write_units;
        self.dedup_read_units += other.dedup_read_units;
        self.dedup_write_units += other.dedup_write_units;
    }
}
