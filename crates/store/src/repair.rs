//! Corrections of the counts. Each is written together with a record of what it changed, in one
//! transaction, and only if what it corrects has not moved since it was looked at.

use std::collections::HashMap;
use std::fmt;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem, Update};
use domain::{ActivityId, Period, ProgramId, Tally, UserId};
use jiff::Timestamp;

use crate::Unavailable;
use crate::activities::sortable;
use crate::keys::{self, CountGeneration, ShardCount, attribute};
use crate::standings::Counters;

/// The key under which there are the records of all corrections, in the order of time.
const AUDIT: &str = "audit";
/// Where a correction of the totals goes; each lane counts the same.
const LANE: u16 = 0;

/// One correction.
#[derive(Clone, Debug)]
pub enum Correction {
    /// A fact that was never counted is put into the queue again. That is all: counting is the aggregator's.
    SendAgain { user: UserId, id: ActivityId },
    /// A marker of no fact is deleted.
    DeleteMarker { user: UserId, id: ActivityId },
    /// A standing in a shard that is not its user's, where nothing counts into it, is deleted.
    DeleteStanding {
        shard: String,
        user: UserId,
        program: ProgramId,
    },
    /// Counters of a standing are set to what its facts come to.
    Standing {
        user: UserId,
        program: ProgramId,
        /// `None` if there was none.
        found: Option<Counters>,
        /// By period, `None` for all time.
        expected: Vec<(Option<Period>, Tally)>,
    },
    /// The totals of a program are moved to the sum of its standings.
    Total {
        program: ProgramId,
        found: Tally,
        expected: Tally,
    },
}

/// What became of a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Corrected {
    Done,
    /// Something else was written meanwhile; it is to be looked at again.
    Moved,
}

/// The tables of counts, for correcting them.
#[derive(Clone, Debug)]
pub struct Repairs {
    client: Client,
    dedup_table: String,
    standings_table: String,
    shards: ShardCount,
}

impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SendAgain { user, id } => write!(f, "activity {id} of {user}: sent again"),
            Self::DeleteMarker { user, id } => write!(f, "activity {id} of {user}: marker deleted"),
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
    pub fn new(client: Client, dedup_table: String, standings_table: String, shards: ShardCount) -> Self {
        Self {
            client,
            dedup_table,
            standings_table,
            shards,
        }
    }

    /// Writes a correction and its record.
    pub async fn write(
        &self,
        generation: CountGeneration,
        correction: &Correction,
        now: Timestamp,
    ) -> Result<Corrected, Unavailable> {
        let items = self.items(generation, correction, now);
        let items = items.map_err(|error| Unavailable::new("planning a correction", error))?;
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
            Err(error) => Err(Unavailable::new("writing a correction", error)),
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
            Correction::SendAgain { .. } => None,
            Correction::DeleteMarker { user, id } => {
                let delete = Delete::builder().table_name(&self.dedup_table).key(
                    attribute::ACTIVITY,
                    string(keys::marker_key(generation, user, id)),
                );
                Some(write.delete(delete.build()?).build())
            }
            Correction::DeleteStanding { shard, user, program } => {
                let delete = Delete::builder()
                    .table_name(&self.standings_table)
                    .key(attribute::SHARD, string(shard.clone()))
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
        // Of two corrections in one millisecond none hides the other.
        let member = format!("{} {generation} {:08x}", sortable(now), rand::random::<u32>());
        let put = Put::builder()
            .table_name(&self.standings_table)
            .item(attribute::SHARD, string(AUDIT.to_owned()))
            .item(attribute::MEMBER, string(member))
            .item("correction", string(correction.to_string()));
        Ok(TransactWriteItem::builder().put(put.build()?).build())
    }

    fn standing(
        &self,
        found: Option<&Counters>,
        expected: &[(Option<Period>, Tally)],
    ) -> aws_sdk_dynamodb::types::builders::UpdateBuilder {
        let mut update = Update::builder().table_name(&self.standings_table);
        let (mut sets, mut conditions) = (Vec::new(), Vec::new());
        let counters = expected.iter().flat_map(|(period, tally)| {
            let [points, activities] = keys::counter_names(*period);
            [(points, tally.points), (activities, tally.activities)]
        });
        for (at, (name, value)) in counters.enumerate() {
            update = update
                .expression_attribute_names(format!("#c{at}"), &name)
                .expression_attribute_values(format!(":c{at}"), AttributeValue::N(value.to_string()));
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
        let difference = |found: u64, expected: u64| {
            AttributeValue::N((i128::from(expected) - i128::from(found)).to_string())
        };
        Update::builder()
            .table_name(&self.standings_table)
            .update_expression("ADD #points :points, #activities :activities")
            .set_expression_attribute_names(Some(HashMap::from(
                [attribute::POINTS, attribute::ACTIVITIES].map(|name| (format!("#{name}"), name.to_owned())),
            )))
            .expression_attribute_values(":points", difference(found.points, expected.points))
            .expression_attribute_values(":activities", difference(found.activities, expected.activities))
    }
}

fn string(text: String) -> AttributeValue {
    AttributeValue::S(text)
}
