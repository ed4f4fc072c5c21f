//! Sends the calls that [`crate::fold`] decides on, for one person at a time.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::time::{sleep, timeout};

use crate::activities::sortable;
use crate::caps;
use crate::control::AUDIT;
use crate::count::backoff;
use crate::counting::CountTables;
use crate::error::StoreError;
use crate::facts::Facts;
use crate::fold::{self, Answer, Call, Held, PersonFold};
use crate::item::{self, Item, string};
use crate::keys::{CountGeneration, STANDINGS_KEY, StandingKey, attribute};
use crate::ledger::{Ledger, Version};
use crate::requests::add_to_block;
use crate::standings::{Kept, Standings};

/// How often a call may fail for one person before the fold gives up. Someone who is counted all the time
/// makes a write fail now and then.
const FAILURES_MAX: u32 = 20;
/// How long one write may take, with all its attempts. It must not take effect much later than it was decided on: see
/// [`FOLD_ENDS_WITHIN`].
const WRITE_TIMEOUT: Duration = Duration::from_secs(20);
/// A fold that does not know of an erasure writes nothing this long after the erasure was noted.
pub const FOLD_ENDS_WITHIN: Duration =
    Duration::from_secs(fold::LOOK_AGAIN_AFTER.as_secs().unsigned_abs() + WRITE_TIMEOUT.as_secs());

/// The tables that a fold reads and writes.
#[derive(Clone, Debug)]
pub struct Folding {
    client: Client,
    tables: CountTables,
    facts: Facts,
    standings: Standings,
}

/// What a fold found and did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Folded {
    /// Facts of the person.
    pub facts: u64,
    /// Those without points by the rules.
    pub not_countable: u64,
    pub standings: u64,
    pub blocks: u64,
}

/// The error of a call that the fold has not tried too often yet.
struct Failures {
    count: u32,
    last: Option<StoreError>,
}

impl Folding {
    pub fn new(client: Client, tables: CountTables, facts: Facts, standings: Standings) -> Self {
        Self {
            client,
            tables,
            facts,
            standings,
        }
    }

    /// Writes what the facts of a person come to by the rules of the generation. With a reason, each write of a standing
    /// keeps an audit record next to it.
    pub async fn fold(&self, mut fold: PersonFold, reason: Option<&str>) -> Result<Folded, StoreError> {
        let mut folded = Folded::default();
        let mut failures = Failures { count: 0, last: None };
        while let Some(call) = fold.next(Timestamp::now()) {
            let sent = self.send(&fold, &call, reason, &mut folded);
            let sent = match call {
                Call::ReadStandings | Call::ReadFacts | Call::ReadErasure => sent.await,
                _ => timeout(WRITE_TIMEOUT, sent)
                    .await
                    .unwrap_or_else(|late| Err(StoreError::unavailable("writing what facts come to", late))),
            };
            let answer = match sent {
                Ok(answer) => answer,
                Err(error) => {
                    failures.last = Some(error);
                    Answer::Failed
                }
            };
            let is_block_full = matches!((&call, &answer), (Call::Spill(_), Answer::ConditionFailed));
            if !is_block_full && matches!(answer, Answer::Failed | Answer::ConditionFailed) {
                folded = Folded::default();
                failures.pause().await?;
            }
            fold.take(answer, Timestamp::now(), || rand::rng().random());
        }
        Ok(folded)
    }

    async fn send(
        &self,
        fold: &PersonFold,
        call: &Call,
        reason: Option<&str>,
        folded: &mut Folded,
    ) -> Result<Answer, StoreError> {
        match call {
            Call::ReadStandings => {
                let kept = self.standings.kept_of_user(fold.generation(), fold.user());
                let held = kept
                    .await?
                    .into_iter()
                    .map(|(program, kept)| (program, held(kept)));
                Ok(Answer::Standings(held.collect()))
            }
            Call::ReadFacts => {
                // The rules, too, are read after the standings: what these include by rules that were extended
                // meanwhile would otherwise be left out.
                let generations = self.standings.generations().await?;
                let Some(rules) = generations.rules(fold.generation()) else {
                    let cause = "the generation was given up meanwhile";
                    return Err(StoreError::unavailable(
                        "reading the rules of a generation",
                        cause,
                    ));
                };
                let stored = self.facts.of_user(fold.user()).await?;
                let erased_before = generations.erasures.before(fold.user());
                let facts = fold::Facts::counted(&stored, rules, erased_before);
                folded.facts = stored.len() as u64;
                folded.not_countable = (stored.len() - facts.countable.len()) as u64;
                Ok(Answer::Facts(facts))
            }
            Call::ReadErasure => {
                let generations = self.standings.generations().await?;
                Ok(Answer::Erasure(generations.erasures.before(fold.user())))
            }
            Call::Spill(spill) => {
                folded.blocks += 1;
                let update = add_to_block(&self.client, &self.tables.dedup, spill);
                done(update.send().await, "writing a block")
            }
            Call::WriteCap { name, sums } => {
                let put = self.client.put_item().table_name(&self.tables.dedup);
                let put = put.set_item(Some(caps::item(name, sums)));
                done(put.send().await, "writing the sums of a cap")
            }
            Call::Write {
                standing,
                replaces,
                version,
                ledger,
            } => {
                folded.standings += 1;
                let write = Put::builder()
                    .table_name(&self.tables.standings)
                    .set_item(Some(item(standing, *version, ledger)))
                    .condition_expression(condition(*replaces))
                    .expression_attribute_names("#version", attribute::VERSION)
                    .set_expression_attribute_values(known(*replaces));
                let write = write.build().map_err(|error| corrupt(standing, error))?;
                match reason {
                    None => self.put(write).await,
                    Some(reason) => {
                        let write = TransactWriteItem::builder().put(write).build();
                        let member = standing.member();
                        self.write_with_record(write, standing.generation, member, reason)
                            .await
                    }
                }
            }
            Call::Delete { standing, replaces } => {
                folded.standings += 1;
                let delete = Delete::builder()
                    .table_name(&self.tables.standings)
                    .set_key(Some(key(standing)))
                    .condition_expression(condition(*replaces))
                    .expression_attribute_names("#version", attribute::VERSION)
                    .set_expression_attribute_values(known(*replaces));
                let delete = delete.build().map_err(|error| corrupt(standing, error))?;
                match reason {
                    None => self.delete(delete).await,
                    Some(reason) => {
                        let write = TransactWriteItem::builder().delete(delete).build();
                        let member = standing.member();
                        self.write_with_record(write, standing.generation, member, reason)
                            .await
                    }
                }
            }
        }
    }

    async fn delete(&self, delete: Delete) -> Result<Answer, StoreError> {
        let sent = self
            .client
            .delete_item()
            .table_name(delete.table_name)
            .set_key(Some(delete.key))
            .set_condition_expression(delete.condition_expression)
            .set_expression_attribute_names(delete.expression_attribute_names)
            .set_expression_attribute_values(delete.expression_attribute_values)
            .send()
            .await;
        done(sent, "deleting a standing")
    }

    async fn put(&self, put: Put) -> Result<Answer, StoreError> {
        let sent = self
            .client
            .put_item()
            .table_name(put.table_name)
            .set_item(Some(put.item))
            .set_condition_expression(put.condition_expression)
            .set_expression_attribute_names(put.expression_attribute_names)
            .set_expression_attribute_values(put.expression_attribute_values)
            .send()
            .await;
        done(sent, "writing a standing")
    }

    /// Deletes a standing that is in another shard than its user belongs in, where nothing counts into it.
    pub async fn delete_misplaced(
        &self,
        generation: CountGeneration,
        shard: &str,
        member: String,
    ) -> Result<(), StoreError> {
        let delete = Delete::builder()
            .table_name(&self.tables.standings)
            .set_key(Some(item::key(STANDINGS_KEY, shard, &member)));
        let delete = delete
            .build()
            .map_err(|error| StoreError::corrupt("planning a write", member.clone(), error))?;
        let write = TransactWriteItem::builder().delete(delete).build();
        let reason = format!("deleted, since it was in the wrong shard {shard}");
        self.write_with_record(write, generation, member, &reason)
            .await
            .map(drop)
    }

    /// A repair and its audit record are one transaction, so that no change is without its reason.
    async fn write_with_record(
        &self,
        write: TransactWriteItem,
        generation: CountGeneration,
        member: String,
        reason: &str,
    ) -> Result<Answer, StoreError> {
        // The random part keeps two repairs in the same millisecond apart.
        let now = sortable(Timestamp::now());
        let record = Put::builder()
            .table_name(&self.tables.standings)
            .item(attribute::SHARD, string(AUDIT))
            .item(
                attribute::MEMBER,
                string(format!("{now} {generation} {:08x}", rand::random::<u32>())),
            )
            .item("standing", string(member.as_str()))
            .item("correction", string(reason));
        let record = record
            .build()
            .map_err(|error| StoreError::corrupt("planning a write", member, error))?;
        let sent = self
            .client
            .transact_write_items()
            .transact_items(write)
            .transact_items(TransactWriteItem::builder().put(record).build())
            .send()
            .await;
        match sent {
            Err(SdkError::ServiceError(error)) if error.err().is_transaction_canceled_exception() => {
                Ok(Answer::ConditionFailed)
            }
            sent => done(sent, "repairing a standing"),
        }
    }
}

impl Failures {
    /// Waits before the person is begun again, or gives up.
    async fn pause(&mut self) -> Result<(), StoreError> {
        self.count += 1;
        if self.count >= FAILURES_MAX {
            let last = self.last.take();
            return Err(last.unwrap_or_else(|| {
                let cause = "others counted into the standing each time";
                StoreError::unavailable("folding the facts of a user", cause)
            }));
        }
        sleep(backoff(self.count, rand::rng().random()).max(Duration::from_millis(1))).await;
        Ok(())
    }
}

fn item(standing: &StandingKey, version: Version, ledger: &Ledger) -> Item {
    let mut item = key(standing);
    let encoded = AttributeValue::B(Blob::new(ledger.encode()));
    item.insert(attribute::LEDGER.to_owned(), encoded);
    item.insert(attribute::VERSION.to_owned(), version.attribute());
    item
}

fn key(standing: &StandingKey) -> Item {
    item::key(STANDINGS_KEY, &standing.partition(), &standing.member())
}

/// A corrupt ledger is replaced like any other. Its keys are among the facts.
fn held(kept: Kept) -> Held {
    Held {
        version: kept.version,
        spilled_through: kept.ledger.ok().and_then(|ledger| ledger.spilled_through),
    }
}

/// The condition that a standing has the version that was read, or none.
fn condition(version: Option<Version>) -> &'static str {
    match version {
        Some(_) => "#version = :version",
        None => "attribute_not_exists(#version)",
    }
}

fn known(version: Option<Version>) -> Option<Item> {
    let version = version?;
    Some(Item::from([(":version".to_owned(), version.attribute())]))
}

fn corrupt(standing: &StandingKey, error: impl Into<BoxError>) -> StoreError {
    StoreError::corrupt("planning a write", standing.member(), error)
}

fn done<T, E>(sent: Result<T, SdkError<E>>, operation: &'static str) -> Result<Answer, StoreError>
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    match sent {
        Ok(_) => Ok(Answer::Done),
        Err(error) if error.code() == Some("ConditionalCheckFailedException") => Ok(Answer::ConditionFailed),
        Err(error) => Err(StoreError::unavailable(operation, error)),
    }
}
