//! The rules by which a deployment counts. [`crate::generations`] stores those of each generation, so that
//! every process counts, rebuilds, compares and reads a generation by the same ones.

use std::collections::BTreeSet;

use domain::intake::MAX_AHEAD;
use domain::{Calendar, Kind, ScoringPolicy};
use jiff::Timestamp;
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
            calendar: parsed(variable, "TIME_ZONE")?,
            scoring_policy: parsed(variable, "SCORING_POLICY")?,
        })
    }

    /// These rules with everything of `wanted` that leaves valid what was counted by them until `now`, and
    /// the kinds that get points in the past by it. The rest takes a rebuild: other shards and another time
    /// zone place the counts differently, and another past of the scoring policy gives other points.
    #[must_use]
    pub fn adopting(&self, wanted: &Self, now: Timestamp) -> (Self, BTreeSet<Kind>) {
        let until = now + MAX_AHEAD;
        let extended = self.scoring_policy.extended(&wanted.scoring_policy, until);
        let added = extended.kinds_added_in_the_past(&self.scoring_policy, until);
        let adopting = Self {
            scoring_policy: extended,
            ..self.clone()
        };
        (adopting, added)
    }

    /// The settings in which `wanted` differs, by the names that they have in Terraform.
    pub fn differences(&self, wanted: &Self) -> Vec<&'static str> {
        [
            (self.standing_shards != wanted.standing_shards, "standing_shards"),
            (self.calendar != wanted.calendar, "time_zone"),
            (self.scoring_policy != wanted.scoring_policy, SCORING_POLICY),
        ]
        .into_iter()
        .filter_map(|(differs, name)| differs.then_some(name))
        .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_rules_keep_their_form() {
        let json = r#"{"standing_shards":4,"time_zone":"Europe/Berlin","scoring_policy":[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10}}]}"#;
        let rules: Rules = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&rules).unwrap(), json);
        // Earlier versions also kept how long a marker lives.
        let former = json.replace(r#""time_zone""#, r#""marker_lifetime_days":90,"time_zone""#);
        assert_eq!(serde_json::from_str::<Rules>(&former).unwrap(), rules);
    }
}
