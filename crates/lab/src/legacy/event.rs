//! What an employee did. The legacy system does not check ids, so they are plain text.

use std::collections::HashMap;

use anyhow::Context as _;
use aws_sdk_dynamodbstreams::types::AttributeValue;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// An item of `Activities`, besides its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Activity {
    pub employee_id: String,
    pub event_id: String,
    pub program_id: String,
    #[serde(rename = "activity_type")]
    pub kind: ActivityType,
    #[serde(rename = "points_awarded")]
    pub points: Points,
    /// In whole seconds.
    pub ts: Timestamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActivityType {
    Checkin,
    Movement,
    Steps,
}

/// From 1 to 25.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u8")]
pub struct Points(u8);

impl Points {
    pub const MAX: u8 = 25;
}

#[derive(Debug, thiserror::Error)]
#[error("points are a whole number from 1 to {max}, not {0}", max = Points::MAX)]
pub struct InvalidPoints(u8);

impl TryFrom<u8> for Points {
    type Error = InvalidPoints;

    fn try_from(raw: u8) -> Result<Self, InvalidPoints> {
        if (1..=Self::MAX).contains(&raw) {
            Ok(Self(raw))
        } else {
            Err(InvalidPoints(raw))
        }
    }
}

/// What the processor reads of an activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub employee_id: String,
    pub id: String,
    pub program_id: String,
    pub points: i64,
    pub ts: String,
}

impl Event {
    pub fn from_image(image: &HashMap<String, AttributeValue>) -> anyhow::Result<Self> {
        let text = |name: &str| {
            let value = image.get(name).and_then(|value| value.as_s().ok());
            value
                .cloned()
                .with_context(|| format!("an activity without {name}"))
        };
        let points = image.get("points_awarded").and_then(|value| value.as_n().ok());
        let points = points.and_then(|points| points.parse().ok());
        Ok(Self {
            employee_id: text("employee_id")?,
            id: text("event_id")?,
            program_id: text("program_id")?,
            points: points.context("an activity without points_awarded")?,
            ts: text("ts")?,
        })
    }
}

/// The system keeps times in whole seconds.
pub fn whole_seconds(time: Timestamp) -> Timestamp {
    Timestamp::from_second(time.as_second()).expect("the second of a time is a time")
}
