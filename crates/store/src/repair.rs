//! Corrections of the counts. Each is written in one transaction with a record of what it changed, and
//! only if the corrected item has not changed since it was read.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::types::{Delete, Put, TransactWriteItem, Update};
use domain::{ActivityKey, Period, ProgramId, Tally, UserId};
use jiff::Timestamp;

use crate::CountTables;
use crate::activities::sortable;
use crate::error::StoreError;
use crate::item::{number, string};
use crate::keys::{self, CountGeneration, ShardCount, attribute};
use crate::standings::Counters;

/// The key of the records of all corrections, in order of time.
const AUDIT: &str = "audit";
/// The lane that corrections of totals go to. Any lane would do.
const LANE: u16 = 0;

/// One correction.
#[derive(Clone, Debug)]
pub enum Correction {
    /// Puts a fact that was never counted into the queue again. Only the aggregator counts it.
    SendAgain(ActivityKey),
    /// Deletes a marker without a fact.
    DeleteMarker(ActivityKey),
    /// Deletes a standing that is in the wrong shard for its user, where nothing counts into it.
    DeleteStanding {
        shard: String,
        user: UserId,
        program: ProgramId,
    },
    /// Sets counters of a standing to the sums of its facts.
    Standing {
        user: UserId,
        program: ProgramId,
        /// `None` if there is no standing.
        found: Option<Counters>,
        /// By period; `None` for all time.
        expected: Vec<(Option<Period>, Tally)>,
    },
    /// Changes the totals of a program to the sum of its standings.
    Total {
        program: ProgramId,
        found: Tally,
        expected: Tally,
    },
}

/// The result of a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrected {
    Done,
    /// The item has changed since it was read, and must be compared again.
    Moved,
}

/// The tables of counts, for correcting them.
#[derive(Clone, Debug)]
pub struct Repairs {
    client: Client,
    tables: CountTables,
    shards: ShardCount,
}

impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SendAgain(ActivityKey { user, id }) => write!(f, "activity {id} of {user}: sent again"),
            Self::DeleteMarker(ActivityKey { user, id }) => {
                write!(f, "activity {id} of {user}: marker deleted")
            }
            Self::DeleteStanding { shard, user, program } => {
                write!(
                    f,
                    "standing of {user} in {program}: in the wrong shard, {shard}, deleted"
                )
            }
            Self::Standing {
                user,
                program,
                found,
                expected,
            } => {
                write!(f, "standing of {user} in {program}:")?;
                for (period, expected) in expected {
                    let found = found
                        .as_ref()
                        .map_or_else(Tally::default, |found| found.tally(*period));
                    if found != *expected {
                        let name = period.map_or_else(|| "all time".to_owned(), |period| period.to_string());
                        write!(f, " {name} {} -> {}", show(found), show(*expected))?;
                    }
                }
                Ok(())
            }
            Self::Total {
                program,
                found,
                expected,
            } => write!(f, "total of {program}: {} -> {}", show(*found), show(*expected)),
        }
    }
}

/// Points and activities, as in `25/2`.
fn show(Tally { points, activities }: Tally) -> String {
    format!("{points}/{activities}")
}

impl Repairs {
    pub fn new(client: Client, tables: CountTables, shards: ShardCount) -> Self {
        Self {
            client,
            tables,
            shards,
        }
    }

    /// Writes a correction and its record.
    pub async fn write(
        &self,
        generation: CountGeneration,
        correction: &Correction,
        now: Timestamp,
    ) -> Result<Corrected, StoreError> {
        let items = self.items(generation, correction, now);
        let items = items
            .map_err(|error| StoreError::corrupt("planning a correction", correction.to_string(), error))?;
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Corrected::Done),
            Err(SdkError::ServiceError(error)) if error.err().is_transaction_canceled_exception() => {
                Ok(Corrected::Moved)
            }
            Err(error) => Err(StoreError::unavailable("writing a correction", error)),
        }
    }

    fn items(
        &self,
        generation: CountGeneration,
        correction: &Correction,
        now: Timestamp,
    ) -> Result<Vec<TransactWriteItem>, BuildError> {
        let mut items = vec![self.record(generation, correction, now)?];
        let write = TransactWriteItem::builder();
        items.extend(match correction {
            Correction::SendAgain(_) => None,
            Correction::DeleteMarker(activity) => {
                let delete = Delete::builder().table_name(&self.tables.dedup).key(
                    attribute::ACTIVITY,
                    string(keys::marker_key(generation, activity)),
                );
                Some(write.delete(delete.build()?).build())
            }
            Correction::DeleteStanding { shard, user, program } => {
                let delete = Delete::builder()
                    .table_name(&self.tables.standings)
                    .key(attribute::SHARD, string(shard.as_str()))
                    .key(attribute::MEMBER, string(keys::member_key(user, program)));
                Some(write.delete(delete.build()?).build())
            }
            Correction::Standing {
                user,
                program,
                found,
                expected,
            } => {
                let update = self
                    .standing(found.as_ref(), expected)
                    .key(attribute::SHARD, string(self.shards.shard_of(generation, user)))
                    .key(attribute::MEMBER, string(keys::member_key(user, program)));
                Some(write.update(update.build()?).build())
            }
            Correction::Total {
                program,
                found,
                expected,
            } => {
                let update = self
                    .total(*found, *expected)
                    .key(attribute::SHARD, string(keys::totals_key(generation, LANE)))
                    .key(attribute::MEMBER, string(program.to_string()));
                Some(write.update(update.build()?).build())
            }
        });
        Ok(items)
    }

    fn record(
        &self,
        generation: CountGeneration,
        correction: &Correction,
        now: Timestamp,
    ) -> Result<TransactWriteItem, BuildError> {
        // The random part keeps two corrections in the same millisecond apart.
        let member = format!("{} {generation} {:08x}", sortable(now), rand::random::<u32>());
        let put = Put::builder()
            .table_name(&self.tables.standings)
            .item(attribute::SHARD, string(AUDIT))
            .item(attribute::MEMBER, string(member))
            .item("correction", string(correction.to_string()));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    fn standing(
        &self,
        found: Option<&Counters>,
        expected: &[(Option<Period>, Tally)],
    ) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        let mut update = Update::builder().table_name(&self.tables.standings);
        let (mut sets, mut conditions) = (Vec::new(), Vec::new());
        let counters = expected.iter().flat_map(|(period, tally)| {
            let [points, activities] = keys::counter_names(*period);
            [(points, tally.points), (activities, tally.activities)]
        });
        for (at, (name, value)) in counters.enumerate() {
            update = update
                .expression_attribute_names(format!("#c{at}"), &name)
                .expression_attribute_values(format!(":c{at}"), number(value));
            sets.push(format!("#c{at} = :c{at}"));
            conditions.push(match found.and_then(|found| found.raw(&name)) {
                None => format!("attribute_not_exists(#c{at})"),
                Some(found) => {
                    update = update.expression_attribute_values(format!(":f{at}"), found.clone());
                    format!("#c{at} = :f{at}")
                }
            });
        }
        update
            .update_expression(format!("SET {}", sets.join(", ")))
            .condition_expression(conditions.join(" AND "))
    }

    fn total(&self, found: Tally, expected: Tally) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        let difference = |found: u64, expected: u64| number(i128::from(expected) - i128::from(found));
        Update::builder()
            .table_name(&self.tables.standings)
            .update_expression("ADD #points :points, #activities :activities")
            .set_expression_attribute_names(Some(HashMap::from(
                [attribute::POINTS, attribute::ACTIVITIES].map(|name| (format!("#{name}"), name.to_owned())),
            )))
            .expression_attribute_values(":points", difference(found.points, expected.points))
            .expression_attribute_values(":activities", difference(found.activities, expected.activities))
    }
}
