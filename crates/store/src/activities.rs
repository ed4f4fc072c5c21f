//! Recording facts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::interceptors::BeforeTransmitInterceptorContextRef;
use aws_sdk_dynamodb::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_dynamodb::error::{BoxError, SdkError};
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{ReturnConsumedCapacity, ReturnValuesOnConditionCheckFailure};
use domain::intake::SCHEMA_VERSION;
use domain::{
    Activity, ActivityId, Adjustment, Amount, CorrectionId, FactId, Kind, Metadata, Origin, ProgramId,
    UserId, Void,
};
use jiff::Timestamp;
use serde::Serialize;
use tokio::time::timeout;

use crate::error::StoreError;
use crate::item::{self, Item, string, text};
use crate::keys::{ACTIVITIES_KEY, attribute};
use crate::requests::{get_item, item_of};

/// A function may take 10 s to start. One that cannot warm up can still answer that the store is unavailable.
const WARM_UP_WITHIN: Duration = Duration::from_secs(2);

/// The table of accepted activities.
#[derive(Clone, Debug)]
pub struct Activities {
    pub(crate) client: Client,
    pub(crate) table: String,
}

/// An activity as ingest received it.
#[derive(Clone, Copy, Debug)]
pub struct Received<'a> {
    pub activity: &'a Activity,
    pub at: Timestamp,
    /// Who sent it, if the sender logged in.
    pub posted_by: Option<&'a str>,
}

/// The result of recording an activity.
#[derive(Clone, Debug, PartialEq)]
pub enum Recorded {
    Accepted {
        write_units: f64,
    },
    /// The user already has this activity.
    Duplicate,
    /// The user already has an activity with this id that differs in these fields. It stays unchanged.
    Conflict {
        fields: Vec<&'static str>,
    },
}

/// A fact as it is stored.
#[derive(Debug, Serialize)]
pub(crate) struct FactItem {
    user_id: UserId,
    activity_id: String,
    program_id: ProgramId,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<Kind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quantity: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    points: Option<i64>,
    occurred_at: Timestamp,
    received_at: Timestamp,
    schema_version: u64,
    /// Who sent it, if the sender logged in.
    #[serde(skip_serializing_if = "Option::is_none")]
    posted_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<Origin>,
    #[serde(skip_serializing_if = "Option::is_none")]
    correction_id: Option<CorrectionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Of the activity that a void takes out.
    #[serde(skip_serializing_if = "Option::is_none")]
    activity_received_at: Option<Timestamp>,
}

impl FactItem {
    pub fn into_item(self) -> Result<Item, StoreError> {
        let subject = self.activity_id.clone();
        serde_dynamo::to_item(self).map_err(|error| StoreError::corrupt("encoding a fact", subject, error))
    }

    pub fn of_activity(activity: &Activity, received_at: Timestamp, posted_by: Option<&str>) -> Self {
        let (quantity, points) = match activity.amount {
            None => (None, None),
            Some(Amount::Quantity(quantity)) => (Some(quantity), None),
            Some(Amount::Points(points)) => (None, Some(points.into())),
        };
        Self {
            user_id: activity.user.clone(),
            activity_id: activity.id.to_string(),
            program_id: activity.program.clone(),
            kind: Some(activity.kind.clone()),
            quantity,
            points,
            occurred_at: activity.occurred_at,
            received_at,
            schema_version: SCHEMA_VERSION,
            posted_by: posted_by.map(str::to_owned),
            metadata: activity
                .metadata
                .as_ref()
                .map(|metadata| metadata.as_str().to_owned()),
            origin: activity.origin.clone(),
            correction_id: None,
            reason: None,
            activity_received_at: None,
        }
    }

    pub fn of_void(void: &Void, received_at: Timestamp, posted_by: Option<&str>) -> Self {
        Self {
            activity_id: FactId::of_void(&void.activity.id).to_string(),
            correction_id: Some(void.correction.clone()),
            reason: Some(void.reason.as_str().to_owned()),
            activity_received_at: Some(void.activity_received_at),
            ..Self::of_activity(&void.activity, received_at, posted_by)
        }
    }

    pub fn of_adjustment(adjustment: &Adjustment, received_at: Timestamp, posted_by: Option<&str>) -> Self {
        Self {
            user_id: adjustment.user.clone(),
            activity_id: FactId::of_adjustment(&adjustment.correction).to_string(),
            program_id: adjustment.program.clone(),
            kind: None,
            quantity: None,
            points: Some(adjustment.points.into()),
            occurred_at: adjustment.occurred_at,
            received_at,
            schema_version: SCHEMA_VERSION,
            posted_by: posted_by.map(str::to_owned),
            metadata: None,
            origin: None,
            correction_id: Some(adjustment.correction.clone()),
            reason: Some(adjustment.reason.as_str().to_owned()),
            activity_received_at: None,
        }
    }
}

/// What became of a put that must not replace a fact.
pub(crate) enum Inserted {
    New {
        write_units: f64,
    },
    /// The user has a fact with this id. If the put was sent several times, an earlier attempt may have stored it.
    Exists {
        kept: Item,
        is_repeated: bool,
    },
}

/// Counts how often a request is sent, including the SDK's own retries.
#[derive(Clone, Debug, Default)]
pub(crate) struct Attempts(pub(crate) Arc<AtomicU32>);

impl Intercept for Attempts {
    fn name(&self) -> &'static str {
        "Attempts"
    }

    fn read_before_transmit(
        &self,
        _: &BeforeTransmitInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// What it means that the user already has a fact with this id. If an earlier attempt of the same write stored
/// it and its answer was lost, the activity is accepted: only that attempt had this time of receipt.
pub(crate) fn compare(
    kept: &Item,
    activity: &Activity,
    received_at: Timestamp,
    is_repeated: bool,
) -> Recorded {
    let fields = differing(kept, activity, received_at);
    if !fields.is_empty() {
        Recorded::Conflict { fields }
    } else if is_repeated && time(kept, "received_at") == Some(received_at) {
        // The answer with the consumed units is the one that was lost.
        Recorded::Accepted { write_units: 0.0 }
    } else {
        Recorded::Duplicate
    }
}

/// The fields in which an activity differs from a fact, as each was sent. What the client does not send
/// differs from nothing. Neither does a time that it did not send: it is the time of receipt. An activity that comes
/// by several ways is one, so origins are not compared.
fn differing(kept: &Item, activity: &Activity, received_at: Timestamp) -> Vec<&'static str> {
    let other_text = |name, sent: &str| text(kept, name).is_ok_and(|kept| kept != sent);
    let (quantity, points) = match activity.amount {
        None => (None, None),
        Some(Amount::Quantity(quantity)) => (i64::try_from(quantity).ok(), None),
        Some(Amount::Points(points)) => (None, Some(points.into())),
    };
    let other_number = |name, sent: Option<i64>| sent.is_some_and(|sent| whole(kept, name) != Some(sent));
    let kept_time = time(kept, "occurred_at").filter(|&kept_at| time(kept, "received_at") != Some(kept_at));
    let sent_time = Some(activity.occurred_at).filter(|&at| at != received_at);
    let kept_metadata = text(kept, "metadata")
        .ok()
        .map(|text| Metadata::stored(text.to_owned()));
    let sent_metadata = activity.metadata.as_ref();
    [
        ("program_id", other_text("program_id", activity.program.as_str())),
        ("kind", other_text("kind", activity.kind.as_str())),
        ("quantity", other_number("quantity", quantity)),
        ("points", other_number("points", points)),
        (
            "occurred_at",
            kept_time.zip(sent_time).is_some_and(|(kept, sent)| kept != sent),
        ),
        (
            "metadata",
            sent_metadata.is_some_and(|sent| !kept_metadata.is_some_and(|kept| sent.is_equal(&kept))),
        ),
    ]
    .into_iter()
    .filter_map(|(name, differs)| differs.then_some(name))
    .collect()
}

/// The whole number in an attribute, if there is one.
pub(crate) fn whole(item: &Item, name: &str) -> Option<i64> {
    item.get(name)?.as_n().ok()?.parse().ok()
}

/// The time in an attribute, if there is one.
pub(crate) fn time(item: &Item, name: &str) -> Option<Timestamp> {
    text(item, name).ok()?.parse().ok()
}

/// A time with exactly three decimals, so that the order as text is the order in time.
pub(crate) fn sortable(at: Timestamp) -> String {
    format!("{at:.3}")
}

impl Activities {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Puts a fact, unless its user already has one with that id. Then it compares both.
    pub async fn record(&self, received: &Received<'_>) -> Result<Recorded, StoreError> {
        let item = FactItem::of_activity(received.activity, received.at, received.posted_by).into_item()?;
        Ok(match self.insert(item).await? {
            Inserted::New { write_units } => Recorded::Accepted { write_units },
            Inserted::Exists { kept, is_repeated } => {
                compare(&kept, received.activity, received.at, is_repeated)
            }
        })
    }

    /// Puts a fact, unless its user already has one with that id.
    pub(crate) async fn insert(&self, item: Item) -> Result<Inserted, StoreError> {
        let attempts = Attempts::default();
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", attribute::ACTIVITY_ID)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .customize()
            .interceptor(attempts.clone())
            .send()
            .await;
        match put.map_err(SdkError::into_service_error) {
            Ok(output) => {
                let capacity = output
                    .consumed_capacity
                    .and_then(|capacity| capacity.capacity_units);
                Ok(Inserted::New {
                    write_units: capacity.unwrap_or_default(),
                })
            }
            Err(PutItemError::ConditionalCheckFailedException(refusal)) => Ok(Inserted::Exists {
                kept: refusal.item.unwrap_or_default(),
                is_repeated: attempts.0.load(Ordering::Relaxed) > 1,
            }),
            Err(error) => Err(StoreError::unavailable("recording a fact", error)),
        }
    }

    /// Whether the user has an activity with that id.
    pub async fn is_recorded(&self, user: &UserId, id: &ActivityId) -> Result<bool, StoreError> {
        let key = item::key(ACTIVITIES_KEY, user.as_str(), id.as_str());
        let read = get_item(&self.client, &self.table, key).send().await;
        Ok(item_of("looking for an activity", read)?.is_some())
    }

    /// Opens the connection before a function's first request. Sends a put whose condition cannot hold:
    /// it writes nothing, and needs only the permission to put.
    pub async fn warm_up(&self) {
        let key = |name: &str| (name.to_owned(), string("~warm-up"));
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(
                [key(attribute::USER_ID), key(attribute::ACTIVITY_ID)].into(),
            ))
            .condition_expression("attribute_exists(#id)")
            .expression_attribute_names("#id", attribute::ACTIVITY_ID)
            .send();
        match timeout(WARM_UP_WITHIN, put).await {
            Ok(Err(SdkError::DispatchFailure(error))) => {
                tracing::warn!(?error, "The store could not be reached at start-up.");
            }
            Err(_) => tracing::warn!("The store did not answer at start-up."),
            Ok(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const RECEIVED: &str = "2026-11-21T10:00:00Z";

    fn activity(program: &str, kind: &str, occurred_at: &str, metadata: &str) -> Activity {
        Activity {
            id: "a1".parse().unwrap(),
            user: "ann".parse().unwrap(),
            program: program.parse().unwrap(),
            kind: kind.parse().unwrap(),
            occurred_at: occurred_at.parse().unwrap(),
            amount: None,
            metadata: (!metadata.is_empty()).then(|| Metadata::stored(metadata.to_owned())),
            origin: None,
        }
    }

    fn item_of(activity: &Activity, at: Timestamp) -> Item {
        FactItem::of_activity(activity, at, None).into_item().unwrap()
    }

    /// Records `sent` a minute after `kept`.
    fn check(kept: [&str; 4], sent: [&str; 4], expected: &[&str]) {
        let read = |[program, kind, occurred_at, metadata]: [&str; 4], received_at: Timestamp| {
            let received = received_at.to_string();
            let occurred_at = if occurred_at.is_empty() {
                &received
            } else {
                occurred_at
            };
            activity(program, kind, occurred_at, metadata)
        };
        let first: Timestamp = RECEIVED.parse().unwrap();
        let later = first + SignedDuration::from_mins(1);
        let item = item_of(&read(kept, first), first);
        let fields = match compare(&item, &read(sent, later), later, true) {
            Recorded::Conflict { fields } => fields,
            Recorded::Duplicate => Vec::new(),
            Recorded::Accepted { .. } => panic!("{sent:?} was not stored"),
        };
        assert_eq!(fields, expected, "{kept:?} {sent:?}");
    }

    #[test]
    fn what_was_sent_is_compared_and_what_was_not_differs_from_nothing() {
        let at = "2026-11-20T09:00:00Z";
        let all = ["p", "task_completed", at, r#"{"a":1,"b":[2]}"#];
        let [program, kind, _, metadata] = all;
        check(all, all, &[]);
        check(all, [program, kind, "", ""], &[]);
        check(all, [program, kind, "2026-11-20T10:00:00+01:00", metadata], &[]);
        check(all, [program, kind, at, r#"{ "b": [2], "a": 1 }"#], &[]);
        check(all, ["q", kind, at, metadata], &["program_id"]);
        check(all, [program, "program_check_in", "", ""], &["kind"]);
        check(
            all,
            [program, kind, "2026-11-20T09:00:00.001Z", ""],
            &["occurred_at"],
        );
        check(all, [program, kind, at, r#"{"a":1,"b":[3]}"#], &["metadata"]);
        check(
            all,
            ["q", "program_check_in", RECEIVED, "{}"],
            &["program_id", "kind", "occurred_at", "metadata"],
        );
        // Without a time at first.
        let untimed = [program, kind, "", ""];
        check(untimed, untimed, &[]);
        check(untimed, [program, kind, at, ""], &[]);
        check(untimed, all, &["metadata"]);
    }

    #[test]
    fn amounts_are_compared() {
        let at: Timestamp = RECEIVED.parse().unwrap();
        let with = |amount| Activity {
            amount,
            ..activity("p", "steps", RECEIVED, "")
        };
        let differing = |kept, sent| differing(&item_of(&with(kept), at), &with(sent), at);
        let quantity = |quantity| Some(Amount::Quantity(quantity));
        assert_eq!(differing(quantity(7), quantity(7)), [""; 0]);
        assert_eq!(differing(quantity(7), quantity(8)), ["quantity"]);
        assert_eq!(differing(None, quantity(8)), ["quantity"]);
        assert_eq!(differing(quantity(7), Some(Amount::Points(7))), ["points"]);
    }

    #[test]
    fn a_fact_that_cannot_be_compared_is_a_duplicate() {
        let received: Timestamp = RECEIVED.parse().unwrap();
        let sent = activity("p", "task_completed", RECEIVED, "");
        let kept = Item::new();
        assert_eq!(compare(&kept, &sent, received, true), Recorded::Duplicate);
    }

    #[test]
    fn only_a_repeated_put_finds_what_it_stored_itself() {
        let received: Timestamp = RECEIVED.parse().unwrap();
        let sent = activity("p", "task_completed", "2026-11-20T09:00:00Z", "{}");
        let kept = item_of(&sent, received);
        let compared = |at, is_repeated| compare(&kept, &sent, at, is_repeated);
        assert_eq!(compared(received, true), Recorded::Accepted { write_units: 0.0 });
        assert_eq!(compared(received, false), Recorded::Duplicate);
        let later = received + SignedDuration::from_nanos(1);
        assert_eq!(compared(later, true), Recorded::Duplicate);
    }
}
