//! The rules by which a deployment counts. The aggregator stores them in the table of standings, so that
//! rebuilds and reconciliations use the same ones wherever they run.

use std::str::FromStr;

use aws_sdk_dynamodb::Client;
use domain::{Calendar, ScoringPolicy};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::aws::parsed;
use crate::control;
use crate::error::StoreError;
use crate::item::string;
use crate::keys::ShardCount;

const RULES: &str = "rules";

/// Everything besides an activity itself that decides how it is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    /// `STANDING_SHARDS`
    pub standing_shards: ShardCount,
    /// `MARKER_LIFETIME_DAYS`
    #[serde(rename = "marker_lifetime_days")]
    pub marker_lifetime: MarkerLifetime,
    /// `TIME_ZONE`
    #[serde(rename = "time_zone")]
    pub calendar: Calendar,
    /// `SCORING_POLICY`
    pub scoring_policy: ScoringPolicy,
}

impl Rules {
    /// Reads the environment that `variable` looks into.
    pub fn from_environment(variable: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            standing_shards: parsed(variable, "STANDING_SHARDS")?,
            marker_lifetime: parsed(variable, "MARKER_LIFETIME_DAYS")?,
            calendar: parsed(variable, "TIME_ZONE")?,
            scoring_policy: parsed(variable, "SCORING_POLICY")?,
        })
    }
}

/// How long a marker is kept. A redelivery after that would count an activity twice, so it is longer than
/// any redelivery can take: 14 days in the queue, 14 in the DLQ and 14 more after a redrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64", into = "i64")]
pub struct MarkerLifetime {
    days: i64,
}

#[derive(Debug, thiserror::Error)]
#[error(
    "must be a number of days from {} to {}",
    MarkerLifetime::MIN_DAYS,
    MarkerLifetime::MAX_DAYS
)]
pub struct InvalidMarkerLifetime;

impl MarkerLifetime {
    const MIN_DAYS: i64 = 14 + 14 + 14 + 1;
    const MAX_DAYS: i64 = 3_650;

    pub fn duration(self) -> SignedDuration {
        SignedDuration::from_hours(self.days * 24)
    }
}

impl TryFrom<i64> for MarkerLifetime {
    type Error = InvalidMarkerLifetime;
    fn try_from(days: i64) -> Result<Self, InvalidMarkerLifetime> {
        match days {
            Self::MIN_DAYS..=Self::MAX_DAYS => Ok(Self { days }),
            _ => Err(InvalidMarkerLifetime),
        }
    }
}

impl From<MarkerLifetime> for i64 {
    fn from(lifetime: MarkerLifetime) -> Self {
        lifetime.days
    }
}

impl FromStr for MarkerLifetime {
    type Err = InvalidMarkerLifetime;
    fn from_str(raw: &str) -> Result<Self, InvalidMarkerLifetime> {
        raw.parse::<i64>().map_err(|_| InvalidMarkerLifetime)?.try_into()
    }
}

/// The stored form of the rules: one text, which a single update can replace.
#[derive(Deserialize)]
struct Stored {
    rules: String,
}

/// Saves the rules. Uses an update, since the aggregator has no permission to put.
pub async fn save(client: &Client, standings_table: &str, rules: &Rules) -> Result<(), StoreError> {
    let document = serde_json::to_string(rules)
        .map_err(|error| StoreError::corrupt("encoding the rules", RULES, error))?;
    client
        .update_item()
        .table_name(standings_table)
        .set_key(Some(control::key(RULES)))
        .update_expression("SET #rules = :rules")
        .expression_attribute_names("#rules", "rules")
        .expression_attribute_values(":rules", string(document))
        .send()
        .await
        .map(drop)
        .map_err(|error| StoreError::unavailable("saving the rules", error))
}

/// The rules of the aggregator that started last; `None` if none has started yet.
pub async fn read(client: &Client, standings_table: &str) -> Result<Option<Rules>, StoreError> {
    let stored: Option<Stored> = control::read(client, standings_table, RULES).await?;
    stored
        .map(|stored| serde_json::from_str(&stored.rules))
        .transpose()
        .map_err(|error| {
            let item = control::named(standings_table, RULES);
            StoreError::corrupt("decoding the rules", item, error)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_rules_keep_their_form() {
        let json = r#"{"standing_shards":4,"marker_lifetime_days":90,"time_zone":"Europe/Berlin","scoring_policy":[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10}}]}"#;
        let rules: Rules = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&rules).unwrap(), json);
        assert_eq!(
            rules.marker_lifetime.duration(),
            SignedDuration::from_hours(90 * 24)
        );
    }

    #[test]
    fn a_marker_outlives_every_redelivery() {
        assert!("43".parse::<MarkerLifetime>().is_ok());
        for raw in ["42", "3651", "-1", "90 days", ""] {
            assert!(raw.parse::<MarkerLifetime>().is_err(), "{raw:?}");
        }
    }
}
