//! The facts.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use domain::id::HEARTBEAT_USER;
use domain::intake::SCHEMA_VERSION;
use domain::{Activity, ActivityId, Kind, ProgramId, UserId};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::Unavailable;
use crate::keys::attribute;

/// Long enough to look back on an outage, short enough to be no history of its own.
const HEARTBEAT_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The table of accepted activities.
#[derive(Clone, Debug)]
pub struct Activities {
    client: Client,
    table: String,
}

/// What became of a write to the facts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Recorded {
    Accepted {
        write_units: f64,
    },
    /// The user has an activity of this id, which stays as it is.
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

/// A heartbeat as it is stored: its id is the time at which it was sent, in a form whose order as
/// text is the order in time.
#[derive(Debug, Serialize, Deserialize)]
struct HeartbeatItem {
    user_id: String,
    activity_id: String,
    expires_at: i64,
}

/// Milliseconds, always three digits of them.
pub(crate) fn sortable(at: Timestamp) -> String {
    format!("{at:.3}")
}

impl Activities {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Puts a fact, unless its user has one of that id.
    pub async fn record(&self, activity: &Activity, received_at: Timestamp) -> Result<Recorded, Unavailable> {
        let item = serde_dynamo::to_item(ActivityItem::new(activity, received_at))
            .map_err(|error| Unavailable::new("encoding an activity", error))?;
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
            Err(error) => Err(Unavailable::new("recording an activity", error)),
        }
    }

    /// Whether the user has an activity of that id.
    pub async fn is_recorded(&self, user: &UserId, id: &ActivityId) -> Result<bool, Unavailable> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(attribute::USER_ID, AttributeValue::S(user.to_string()))
            .key(attribute::ACTIVITY_ID, AttributeValue::S(id.to_string()))
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Unavailable::new("looking for an activity", error))?;
        Ok(output.item.is_some())
    }

    /// A put whose condition cannot hold, so that a function's first request finds its connection
    /// open. It writes nothing and needs no permission but that to put.
    pub async fn warm_up(&self) {
        let key = |name: &str| (name.to_owned(), AttributeValue::S("~warm-up".to_owned()));
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
            tracing::warn!(?error, "The store could not be reached while starting.");
        }
    }

    /// Sends a heartbeat on its way.
    pub async fn send_heartbeat(&self, now: Timestamp) -> Result<(), Unavailable> {
        let item = HeartbeatItem {
            user_id: HEARTBEAT_USER.to_owned(),
            activity_id: sortable(now),
            expires_at: (now + HEARTBEAT_LIFETIME).as_second(),
        };
        let item =
            serde_dynamo::to_item(item).map_err(|error| Unavailable::new("encoding a heartbeat", error))?;
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .send()
            .await
            .map(drop)
            .map_err(|error| Unavailable::new("sending a heartbeat", error))
    }

    /// When the first heartbeat after `counted` was sent, or the first of all.
    pub async fn heartbeat_after(
        &self,
        counted: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, Unavailable> {
        let after = counted.map_or_else(|| " ".to_owned(), sortable);
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#user = :heartbeat AND #id > :after")
            .expression_attribute_names("#user", attribute::USER_ID)
            .expression_attribute_names("#id", attribute::ACTIVITY_ID)
            .expression_attribute_values(":heartbeat", AttributeValue::S(HEARTBEAT_USER.to_owned()))
            .expression_attribute_values(":after", AttributeValue::S(after))
            .limit(1)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Unavailable::new("looking for heartbeats", error))?;
        let Some(item) = output.items.unwrap_or_default().into_iter().next() else {
            return Ok(None);
        };
        let heartbeat: HeartbeatItem =
            serde_dynamo::from_item(item).map_err(|error| Unavailable::new("decoding a heartbeat", error))?;
        heartbeat
            .activity_id
            .parse()
            .map(Some)
            .map_err(|error: jiff::Error| Unavailable::new("decoding a heartbeat's time", error))
    }
}
