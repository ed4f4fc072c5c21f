//! One request to the tables, and what its answer means for each of its calls.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::MutexGuard;
use std::time::Duration;

use aws_sdk_dynamodb::error::{BuildError, DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementErrorCodeEnum, BatchStatementRequest, CancellationReason,
    KeysAndAttributes, Put, ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
    Update,
};
use tokio::time::{Instant, timeout_at};

use super::{Counting, FULL_BLOCKS_MAX, Request, Used};
use crate::blocks::{BlockName, Seen, Spill};
use crate::caps::{self, CapName};
use crate::count::{Answer, Step, Stored, Write};
use crate::item::{self, Item, string, text};
use crate::keys::{STANDINGS_KEY, StandingKey, attribute};
use crate::ledger::{Ledger, Version};
use crate::requests::add_to_block;

/// A request without an answer for so long is taken to be lost, so that it delays no other standing for longer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

impl Counting {
    /// Sends a request, and returns the answer to each of its calls.
    pub(super) async fn send(
        &self,
        request: Request,
        standings: &[StandingKey],
        deadline: Instant,
    ) -> (Vec<(usize, Answer)>, Used) {
        let sent = async {
            match request.step {
                Step::Read => self.read(&request.places, false, standings).await,
                Step::ReadAgain => self.read(&request.places, true, standings).await,
                Step::Look => self.look(&request.blocks).await,
                Step::Spill => self.spill(&request.spills).await,
                Step::ReadCaps => self.read_caps(&request.caps).await,
                Step::Write => self.write(&request.writes, standings).await,
                Step::WriteCapped => self.write_capped(&request.writes, standings).await,
            }
        };
        let answer_by = deadline.min(Instant::now() + ANSWER_WITHIN);
        timeout_at(answer_by, sent).await.unwrap_or_else(|_| {
            let late = Answer::Unsure("the table did not answer in time".to_owned());
            (of_each(request.places.iter().copied(), &late), Used::default())
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

    /// Looks into blocks.
    async fn look(&self, names: &[(usize, BlockName)]) -> (Vec<(usize, Answer)>, Used) {
        self.read_named(names, BlockName::as_str, |items| {
            let seen = items.into_iter().map(|(name, item)| {
                let seen = item.map(Seen::of_item).unwrap_or_default();
                (name.clone(), seen)
            });
            Answer::Seen(seen.collect())
        })
        .await
    }

    /// Reads the sums of caps.
    async fn read_caps(&self, names: &[(usize, CapName)]) -> (Vec<(usize, Answer)>, Used) {
        self.read_named(names, CapName::as_str, |items| {
            let there = items.into_iter().filter_map(|(name, item)| Some((name, item?)));
            let mut sums = BTreeMap::new();
            for (name, item) in there {
                let Some(read) = caps::of_item(item) else {
                    return Answer::Refused(format!("the sums of a cap are corrupt: {}", name.as_str()));
                };
                sums.insert(name.clone(), read);
            }
            Answer::Caps(sums)
        })
        .await
    }

    /// Reads items of the dedup table by their names, consistently, and answers each standing with its own.
    async fn read_named<Name>(
        &self,
        names: &[(usize, Name)],
        name: fn(&Name) -> &str,
        answer: impl Fn(Vec<(&Name, Option<&Item>)>) -> Answer,
    ) -> (Vec<(usize, Answer)>, Used) {
        let keys = names
            .iter()
            .map(|(_, of)| Item::from([(attribute::ACTIVITY.to_owned(), string(name(of)))]));
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
            let of_place = || names.iter().filter(|(of, _)| *of == place).map(|(_, name)| name);
            if of_place().any(|of| left.contains(name(of))) {
                return (place, Answer::Unsure("the table is throttled".to_owned()));
            }
            let items = of_place().map(|of| (of, found.get(name(of)).copied()));
            (place, answer(items.collect()))
        });
        (answers.collect(), used)
    }

    /// Adds keys to blocks. Doing so again changes nothing.
    async fn spill(&self, spills: &[(usize, Spill)]) -> (Vec<(usize, Answer)>, Used) {
        let mut used = Used::default();
        let mut answers = Vec::new();
        for (place, spill) in spills {
            answers.push((*place, self.spill_one(spill, &mut used).await));
        }
        (answers, used)
    }

    async fn spill_one(&self, spill: &Spill, used: &mut Used) -> Answer {
        if spill.is_conditional() && self.full_blocks().contains(&spill.block) {
            return Answer::Full;
        }
        let update = add_to_block(&self.client, &self.tables.dedup, spill);
        let update = update.return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = match update.send().await {
            Ok(output) => {
                let capacity = output
                    .consumed_capacity
                    .and_then(|capacity| capacity.capacity_units);
                used.dedup_write_units += capacity.unwrap_or_default();
                Answer::Done
            }
            Err(error) => failed(&error),
        };
        if answer == Answer::Full {
            let mut full = self.full_blocks();
            if full.len() == FULL_BLOCKS_MAX {
                full.clear();
            }
            full.insert(spill.block.clone());
        }
        answer
    }

    /// Blocks that are known to be full, which they stay.
    fn full_blocks(&self) -> MutexGuard<'_, HashSet<BlockName>> {
        self.full_blocks.lock().expect("no thread panics with it")
    }

    /// Writes standings, each on its own condition.
    async fn write(
        &self,
        writes: &[(usize, Write)],
        standings: &[StandingKey],
    ) -> (Vec<(usize, Answer)>, Used) {
        let statements = writes
            .iter()
            .map(|(place, write)| self.statement(write, &standings[*place]));
        let statements: Result<Vec<_>, _> = statements.collect();
        let all = |answer: &Answer| of_each(writes.iter().map(|(place, _)| *place), answer);
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
        let answers = writes.iter().map(|(place, _)| {
            let error = match responses.next() {
                None => return (*place, Answer::Unsure("the answer lacks a statement".to_owned())),
                Some(response) => response.error,
            };
            let Some(error) = error else {
                return (*place, Answer::Done);
            };
            let text = format!("{:?}: {}", error.code(), error.message().unwrap_or_default());
            let answer = match error.code() {
                Some(
                    BatchStatementErrorCodeEnum::ConditionalCheckFailed
                    | BatchStatementErrorCodeEnum::DuplicateItem,
                ) => match error.item().map(stored) {
                    None => Answer::Overtaken(None),
                    Some(Answer::Read(stored)) => Answer::Overtaken(stored),
                    Some(corrupt) => corrupt,
                },
                Some(
                    BatchStatementErrorCodeEnum::ValidationError
                    | BatchStatementErrorCodeEnum::ItemCollectionSizeLimitExceeded,
                ) => Answer::Invalid(text),
                Some(
                    BatchStatementErrorCodeEnum::AccessDenied | BatchStatementErrorCodeEnum::ResourceNotFound,
                ) => Answer::Refused(text),
                _ => Answer::Unsure(text),
            };
            (*place, answer)
        });
        (answers.collect(), used)
    }

    /// Writes each standing together with the sums of its caps, in a transaction on the standing's condition. The
    /// sums need none: they belong to the version that was read.
    async fn write_capped(
        &self,
        writes: &[(usize, Write)],
        standings: &[StandingKey],
    ) -> (Vec<(usize, Answer)>, Used) {
        let mut used = Used::default();
        let mut answers = Vec::new();
        for (place, write) in writes {
            let answer = match self.transaction(write, &standings[*place]) {
                Ok(items) => self.transact(items, &mut used).await,
                Err(error) => Answer::Invalid(error.to_string()),
            };
            answers.push((*place, answer));
        }
        (answers, used)
    }

    async fn transact(&self, items: Vec<TransactWriteItem>, used: &mut Used) -> Answer {
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match sent {
            Ok(output) => {
                for capacity in output.consumed_capacity.unwrap_or_default() {
                    let units = capacity.capacity_units.unwrap_or_default();
                    if capacity.table_name.as_ref() == Some(&self.tables.dedup) {
                        used.dedup_write_units += units;
                    } else {
                        used.standings_write_units += units;
                    }
                }
                Answer::Done
            }
            Err(SdkError::ServiceError(error)) if error.err().is_transaction_canceled_exception() => {
                let TransactWriteItemsError::TransactionCanceledException(canceled) = error.into_err() else {
                    unreachable!("it was one");
                };
                self::canceled(canceled.cancellation_reasons())
            }
            Err(error) => failed(&error),
        }
    }

    fn transaction(
        &self,
        write: &Write,
        standing: &StandingKey,
    ) -> Result<Vec<TransactWriteItem>, BuildError> {
        let key = item::key(STANDINGS_KEY, &standing.partition(), &standing.member());
        let ledger = AttributeValue::B(Blob::new(write.ledger.encode()));
        let update = Update::builder()
            .table_name(&self.tables.standings)
            .set_key(Some(key))
            .update_expression("SET #ledger = :ledger, #version = :version")
            .expression_attribute_names("#ledger", attribute::LEDGER)
            .expression_attribute_names("#version", attribute::VERSION)
            .expression_attribute_values(":ledger", ledger)
            .expression_attribute_values(":version", write.version.attribute())
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let update = match write.replaces {
            None => update.condition_expression("attribute_not_exists(#version)"),
            Some(replaces) => update
                .condition_expression("#version = :replaces")
                .expression_attribute_values(":replaces", replaces.attribute()),
        };
        let mut items = vec![TransactWriteItem::builder().update(update.build()?).build()];
        for (name, sums) in &write.caps {
            let put = Put::builder()
                .table_name(&self.tables.dedup)
                .set_item(Some(caps::item(name, sums)));
            items.push(TransactWriteItem::builder().put(put.build()?).build());
        }
        Ok(items)
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
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
    }
}

/// What it means that a transaction was canceled. The first reason is that of the standing.
fn canceled(reasons: &[CancellationReason]) -> Answer {
    let code = |reason: &CancellationReason| reason.code().unwrap_or_default().to_owned();
    let codes: Vec<_> = reasons.iter().map(code).collect();
    if let Some((first, "ConditionalCheckFailed")) = reasons.first().zip(codes.first().map(String::as_str)) {
        return match first.item().map(stored) {
            None => Answer::Overtaken(None),
            Some(Answer::Read(stored)) => Answer::Overtaken(stored),
            Some(corrupt) => corrupt,
        };
    }
    let text = format!("the transaction was canceled: {}", codes.join(", "));
    let has = |code: &str| codes.iter().any(|of| of == code);
    if has("ValidationError") || has("ItemCollectionSizeLimitExceeded") {
        Answer::Invalid(text)
    } else if has("AccessDenied") {
        Answer::Refused(text)
    } else {
        Answer::Unsure(text)
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
        Some("ConditionalCheckFailedException") => Answer::Full,
        Some("ValidationException") => Answer::Invalid(text),
        Some(
            "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "ThrottlingException"
            | "InternalServerError"
            | "ServiceUnavailable"
            | "InternalFailure"
            | "TransactionInProgressException",
        ) => Answer::Unsure(text),
        _ if service.raw().status().is_server_error() => Answer::Unsure(text),
        _ => Answer::Refused(text),
    }
}

/// The same answer for each of some places.
fn of_each(places: impl IntoIterator<Item = usize>, answer: &Answer) -> Vec<(usize, Answer)> {
    places.into_iter().map(|place| (place, answer.clone())).collect()
}
