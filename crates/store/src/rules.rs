//! The rules by which a deployment counts. [`crate::generations`] stores those of each generation, so that
//! every process counts, rebuilds, compares and reads a generation by the same ones.

use std::collections::BTreeSet;
use std::str::FromStr;

use domain::intake::MAX_AHEAD;
use domain::{Calendar, Kind, ScoringPolicy};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::aws::parsed;
use crate::keys::ShardCount;

/// The name of this setting in Terraform.
pub const SCORING_POLICY: &str = "scoring_policy";

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

    /// These rules with everything of `wanted` that leaves valid what was counted by them until `now`, and
    /// the kinds that get points in the past by it. The rest takes a rebuild: other shards and another time zone place the counts differently, and another
    /// past of the scoring policy gives other points.
    #[must_use]
    pub fn adopting(&self, wanted: &Self, now: Timestamp) -> (Self, BTreeSet<Kind>) {
        let until = now + MAX_AHEAD;
        let extended = self.scoring_policy.extended(&wanted.scoring_policy, until);
        let added = extended.kinds_added_in_the_past(&self.scoring_policy, until);
        let adopting = Self {
            marker_lifetime: wanted.marker_lifetime,
            scoring_policy: extended,
            ..self.clone()
        };
        (adopting, added)
    }

    /// The settings in which `wanted` differs, by the names that they have in Terraform.
    pub fn differences(&self, wanted: &Self) -> Vec<&'static str> {
        [
            (self.standing_shards != wanted.standing_shards, "standing_shards"),
            (
                self.marker_lifetime != wanted.marker_lifetime,
                "marker_lifetime_days",
            ),
            (self.calendar != wanted.calendar, "time_zone"),
            (self.scoring_policy != wanted.scoring_policy, SCORING_POLICY),
        ]
        .into_iter()
        .filter_map(|(differs, name)| differs.then_some(name))
        .collect()
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
