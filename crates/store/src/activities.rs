//! Recording facts.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use domain::intake::SCHEMA_VERSION;
use domain::{Activity, ActivityId, Kind, ProgramId, UserId};
use jiff::Timestamp;
use serde::Serialize;

use crate::error::StoreError;
use crate::item::{self, Item, string};
use crate::keys::{ACTIVITIES_KEY, attribute};
use crate::requests::{get_item, item_of};

/// The table of accepted activities.
#[derive(Clone, Debug)]
pub struct Activities {
    pub(crate) client: Client,
    pub(crate) table: String,
}

/// The result of recording an activity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recorded {
    Accepted {
        write_units: f64,
    },
    /// The user already has an activity with this id, which stays unchanged.
    Duplicate,
}

/// An activity as it is stored.
#[derive(Debug, Serialize)]
pub(crate) struct ActivityItem {
    user_id: UserId,
    activity_id: ActivityId,
    program_id: ProgramId,
    kind: Kind,
    occurred_at: Timestamp,
    received_at: Timestamp,
    schema_version: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<String>,
}

impl ActivityItem {
    pub fn into_item(self) -> Result<Item, StoreError> {
        let subject = self.activity_id.clone();
        serde_dynamo::to_item(self)
            .map_err(|error| StoreError::corrupt("encoding an activity", subject.to_string(), error))
    }

    pub fn new(activity: &Activity, received_at: Timestamp) -> Self {
        Self {
            user_id: activity.user.clone(),
            activity_id: activity.id.clone(),
            program_id: activity.program.clone(),
            kind: activity.kind.clone(),
            occurred_at: activity.occurred_at,
            received_at,
            schema_version: SCHEMA_VERSION,
            metadata: activity
                .metadata
                .as_ref()
                .map(|metadata| metadata.as_str().to_owned()),
        }
    }
}

/// A time with exactly three decimals, so that the order as text is the order in time.
pub(crate) fn sortable(at: Timestamp) -> String {
    format!("{at:.3}")
}

impl Activities {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Puts a fact, unless its user already has one with that id.
    pub async fn record(&self, activity: &Activity, received_at: Timestamp) -> Result<Recorded, StoreError> {
        let item = ActivityItem::new(activity, received_at).into_item()?;
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", attribute::ACTIVITY_ID)
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        match put {
            Ok(output) => {
                let capacity = output
                    .consumed_capacity
                    .and_then(|capacity| capacity.capacity_units);
                Ok(Recorded::Accepted {
                    write_units: capacity.unwrap_or_default(),
                })
            }
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(Recorded::Duplicate)
            }
            Err(error) => Err(StoreError::unavailable("recording an activity", error)),
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
            .send()
            .await;
        if let Err(SdkError::DispatchFailure(error)) = put {
            tracing::warn!(?error, "The store could not be reached at start-up.");
        }
    }
}
