//! Recording several facts in one call.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_sdk_dynamodb::types::{
    BatchStatementError, BatchStatementErrorCodeEnum as Code, BatchStatementRequest, KeysAndAttributes,
    ReturnConsumedCapacity,
};
use rand::RngExt as _;

use crate::activities::{Activities, Attempts, FactItem, Received, Recorded, compare};
use crate::batch_get::batch_get;
use crate::error::StoreError;
use crate::item::{self, Item, text};
use crate::keys::{ACTIVITIES_KEY, attribute};

/// `DynamoDB`'s limit for one `BatchExecuteStatement`.
pub const MAX_STATEMENTS: usize = 25;

/// How often a throttled statement is sent. The SDK sends a throttled put three times.
const ATTEMPTS: u32 = 4;
/// The bound of the first pause, which doubles: together at most 1.4 s.
const PAUSE: Duration = Duration::from_millis(200);

const OPERATION: &str = "recording activities";

/// What follows from the answer to one insert.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Inserted,
    /// The user already has a fact with this id.
    Exists,
    /// It may succeed later. Only an internal error leaves open whether it happened.
    Later,
    Refused,
}

fn judge(error: Option<&BatchStatementError>) -> Verdict {
    let Some(error) = error else {
        return Verdict::Inserted;
    };
    match error.code() {
        Some(Code::DuplicateItem) => Verdict::Exists,
        Some(
            Code::ThrottlingError
            | Code::ProvisionedThroughputExceeded
            | Code::RequestLimitExceeded
            | Code::TransactionConflict
            | Code::InternalServerError,
        ) => Verdict::Later,
        _ => Verdict::Refused,
    }
}

/// An insert that has no result yet.
struct Pending {
    place: usize,
    statement: BatchStatementRequest,
}

impl Activities {
    /// Records at most [`MAX_STATEMENTS`] activities, of which no two have the same user and id: the table
    /// refuses a call with two statements on one item.
    ///
    /// Each result is written as soon as it is known, so a caller that stops waiting has those. The others
    /// may or may not be recorded; the first reason is the error.
    pub async fn record_all(
        &self,
        received: &[Received<'_>],
        results: &mut [Option<Recorded>],
    ) -> Result<(), StoreError> {
        assert!(
            received.len() <= MAX_STATEMENTS && received.len() == results.len(),
            "{} activities and {} results",
            received.len(),
            results.len()
        );
        let mut failure = None;
        let mut pending = Vec::with_capacity(received.len());
        for (place, received) in received.iter().enumerate() {
            match FactItem::of_activity(received.activity, received.at, received.posted_by).into_item() {
                Ok(item) => pending.push(Pending {
                    place,
                    statement: insert(&self.table, item),
                }),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        let attempts = Attempts::default();
        for attempt in 0..ATTEMPTS {
            if pending.is_empty() {
                break;
            }
            if attempt > 0 {
                let jitter: f64 = rand::rng().random();
                tokio::time::sleep((PAUSE * 2_u32.pow(attempt - 1)).mul_f64(jitter)).await;
            }
            let (answers, mut write_units) = self.send(&pending, &attempts).await?;
            let is_repeated = attempts.0.load(Ordering::Relaxed) > 1;
            let (mut existing, mut later) = (Vec::new(), Vec::new());
            let mut throttled = None;
            let mut answers = answers.into_iter();
            for insert in pending {
                // An insert without an answer is sent again, like one without a result.
                let answer = answers.next();
                let error = answer.as_ref().and_then(|answer| answer.as_ref());
                match answer
                    .as_ref()
                    .map_or(Verdict::Later, |answer| judge(answer.as_ref()))
                {
                    Verdict::Inserted => {
                        // The units of a call are known together. They stand with its first insert.
                        let write_units = std::mem::take(&mut write_units);
                        results[insert.place] = Some(Recorded::Accepted { write_units });
                    }
                    Verdict::Exists => existing.push(insert.place),
                    Verdict::Later => {
                        throttled = throttled.or_else(|| Some(unavailable(error)));
                        later.push(insert);
                    }
                    Verdict::Refused => failure = failure.or_else(|| Some(unavailable(error))),
                }
            }
            if !existing.is_empty() {
                let compared = self.compare_existing(received, &existing, is_repeated, results);
                if let Err(error) = compared.await {
                    failure = failure.or(Some(error));
                }
            }
            if attempt + 1 == ATTEMPTS {
                failure = failure.or(throttled);
            }
            pending = later;
        }
        failure.map_or(Ok(()), Err)
    }

    /// Sends the inserts. Returns the error of each, and the consumed write units.
    async fn send(
        &self,
        pending: &[Pending],
        attempts: &Attempts,
    ) -> Result<(Vec<Option<BatchStatementError>>, f64), StoreError> {
        let statements = pending.iter().map(|insert| insert.statement.clone());
        let output = self
            .client
            .batch_execute_statement()
            .set_statements(Some(statements.collect()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await
            .map_err(|error| StoreError::unavailable(OPERATION, error.into_service_error()))?;
        let units = output.consumed_capacity.unwrap_or_default();
        let units = units.iter().filter_map(|capacity| capacity.capacity_units).sum();
        let responses = output.responses.unwrap_or_default();
        Ok((
            responses.into_iter().map(|response| response.error).collect(),
            units,
        ))
    }

    /// Reads the facts that stand in the way of inserts, which a refusal does not return, and compares.
    async fn compare_existing(
        &self,
        received: &[Received<'_>],
        places: &[usize],
        is_repeated: bool,
        results: &mut [Option<Recorded>],
    ) -> Result<(), StoreError> {
        let keys = places.iter().map(|&place| {
            let domain::Activity { user, id, .. } = received[place].activity;
            item::key(ACTIVITIES_KEY, user.as_str(), id.as_str())
        });
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys.collect()))
            .consistent_read(true);
        let kept = batch_get(&self.client, &self.table, request).await?;
        let kept: HashMap<_, _> = kept.iter().map(|item| (key_of(item), item)).collect();
        for &place in places {
            let Received { activity, at, .. } = received[place];
            let key = [Some(activity.user.as_str()), Some(activity.id.as_str())];
            let Some(kept) = kept.get(&key) else {
                return Err(StoreError::unavailable(OPERATION, Vanished));
            };
            results[place] = Some(compare(kept, activity, at, is_repeated));
        }
        Ok(())
    }
}

fn key_of(item: &Item) -> [Option<&str>; 2] {
    [attribute::USER_ID, attribute::ACTIVITY_ID].map(|name| text(item, name).ok())
}

/// An insert of this item. Items with the same attributes have the same text.
fn insert(table: &str, item: Item) -> BatchStatementRequest {
    let mut attributes: Vec<_> = item.into_iter().collect();
    attributes.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    let (names, parameters): (Vec<_>, Vec<_>) = attributes.into_iter().unzip();
    let places: Vec<_> = names.iter().map(|name| format!("'{name}': ?")).collect();
    BatchStatementRequest::builder()
        .statement(format!("INSERT INTO \"{table}\" VALUE {{{}}}", places.join(", ")))
        .set_parameters(Some(parameters))
        .build()
        .expect("a statement has a text")
}

fn unavailable(error: Option<&BatchStatementError>) -> StoreError {
    let Some(error) = error else {
        return StoreError::unavailable(OPERATION, "the answer lacks a statement");
    };
    let code = error.code().map_or("an unknown error", Code::as_str);
    let message = error.message().unwrap_or_default();
    StoreError::unavailable(OPERATION, format!("{code}: {message}"))
}

#[derive(Debug, thiserror::Error)]
#[error("the table refused an insert because of a fact, and then did not return that fact")]
struct Vanished;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_insert_is_refused_for_good_only_by_what_does_not_pass() {
        let check = |code: &str, expected| {
            let error = BatchStatementError::builder().code(code.into()).build();
            assert_eq!(judge(Some(&error)), expected, "{code}");
        };
        assert_eq!(judge(None), Verdict::Inserted);
        check("DuplicateItem", Verdict::Exists);
        for code in [
            "ThrottlingError",
            "ProvisionedThroughputExceeded",
            "RequestLimitExceeded",
            "TransactionConflict",
            "InternalServerError",
        ] {
            check(code, Verdict::Later);
        }
        for code in ["ValidationError", "AccessDenied", "ResourceNotFound", "Another"] {
            check(code, Verdict::Refused);
        }
        assert_eq!(
            judge(Some(&BatchStatementError::builder().build())),
            Verdict::Refused
        );
    }

    #[test]
    fn an_insert_names_its_attributes_in_order_and_none_of_their_values() {
        let text = |name: &str, value: &str| (name.to_owned(), item::string(value));
        let statement = insert(
            "p-activities",
            [text("b", "'}"), text("a", "x"), text("c", "?")].into(),
        );
        assert_eq!(
            statement.statement(),
            r#"INSERT INTO "p-activities" VALUE {'a': ?, 'b': ?, 'c': ?}"#
        );
        assert_eq!(statement.parameters(), ["x", "'}", "?"].map(item::string));
    }
}
