//! How many points an activity is worth.

use std::collections::BTreeMap;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::id::Kind;

/// Points per kind, in versions. The version in force when an activity occurred scores it, so counting
/// it again later gives the same points.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<PolicyVersion>", into = "Vec<PolicyVersion>")]
pub struct ScoringPolicy {
    versions: Vec<PolicyVersion>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PolicyVersion {
    pub effective_from: Timestamp,
    pub points: BTreeMap<Kind, u32>,
}

/// Why an activity has no points.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unscored {
    #[error("is {kind:?}, which is not in the scoring policy; use one of: {known}")]
    UnknownKind { kind: String, known: String },
    #[error("is {occurred_at}, before the first version of the scoring policy ({first})")]
    BeforePolicy {
        occurred_at: Timestamp,
        first: Timestamp,
    },
}

impl Unscored {
    /// The field of the activity that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::UnknownKind { .. } => "kind",
            Self::BeforePolicy { .. } => "occurred_at",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPolicy {
    #[error("a scoring policy must have 1 to {max} versions; this one has {found}", max = ScoringPolicy::MAX_VERSIONS)]
    VersionCount { found: usize },
    #[error(
        "the versions of a scoring policy must be in order of effective_from, without repeats; {at} is out of order"
    )]
    Order { at: Timestamp },
    #[error("the version of {at} must name 1 to {max} kinds; it names {found}", max = ScoringPolicy::MAX_KINDS)]
    KindCount { at: Timestamp, found: usize },
    #[error("{kind} has {points} points; at most {max} are allowed", max = ScoringPolicy::MAX_POINTS)]
    Points { kind: Kind, points: u32 },
}

impl ScoringPolicy {
    pub const MAX_VERSIONS: usize = 100;
    pub const MAX_KINDS: usize = 100;
    /// At this size, a user would need 10^13 activities to overflow a counter.
    pub const MAX_POINTS: u32 = 1_000_000;

    pub fn points(&self, kind: &Kind, occurred_at: Timestamp) -> Result<u32, Unscored> {
        let newer = self.versions.partition_point(|v| v.effective_from <= occurred_at);
        let Some(version) = newer.checked_sub(1).map(|at| &self.versions[at]) else {
            let first = self.versions[0].effective_from;
            return Err(Unscored::BeforePolicy { occurred_at, first });
        };
        version
            .points
            .get(kind)
            .copied()
            .ok_or_else(|| Unscored::UnknownKind {
                kind: kind.to_string(),
                known: version
                    .points
                    .keys()
                    .map(Kind::as_str)
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }
}

impl From<ScoringPolicy> for Vec<PolicyVersion> {
    fn from(policy: ScoringPolicy) -> Self {
        policy.versions
    }
}

impl TryFrom<Vec<PolicyVersion>> for ScoringPolicy {
    type Error = InvalidPolicy;

    fn try_from(versions: Vec<PolicyVersion>) -> Result<Self, InvalidPolicy> {
        if versions.is_empty() || versions.len() > Self::MAX_VERSIONS {
            return Err(InvalidPolicy::VersionCount {
                found: versions.len(),
            });
        }
        if let Some(pair) = versions
            .windows(2)
            .find(|v| v[0].effective_from >= v[1].effective_from)
        {
            return Err(InvalidPolicy::Order {
                at: pair[1].effective_from,
            });
        }
        for version in &versions {
            let (at, found) = (version.effective_from, version.points.len());
            if found == 0 || found > Self::MAX_KINDS {
                return Err(InvalidPolicy::KindCount { at, found });
            }
            if let Some((kind, &points)) = version.points.iter().find(|&(_, &p)| p > Self::MAX_POINTS) {
                return Err(InvalidPolicy::Points {
                    kind: kind.clone(),
                    points,
                });
            }
        }
        Ok(Self { versions })
    }
}

/// Parses the JSON of a policy: `[{"effective_from": "2026-01-01T00:00:00Z", "points": {"task_completed": 10}}]`.
impl FromStr for ScoringPolicy {
    type Err = serde_json::Error;
    fn from_str(json: &str) -> Result<Self, Self::Err> {
        serde_json::from_str(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(kind: &str, at: &str) -> Result<u32, String> {
        let policy: ScoringPolicy = r#"[
            {"effective_from": "1970-01-01T00:00:00Z", "points": {"task_completed": 10}},
            {"effective_from": "2026-07-01T00:00:00Z", "points": {"task_completed": 8, "mentoring": 30}}
        ]"#
        .parse()
        .unwrap();
        policy
            .points(&kind.parse().unwrap(), at.parse().unwrap())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn an_activity_is_scored_by_the_version_in_force_when_it_occurred() {
        assert_eq!(points("task_completed", "2026-06-30T23:59:59.999Z"), Ok(10));
        assert_eq!(points("task_completed", "2026-07-01T00:00:00Z"), Ok(8));
        assert_eq!(points("mentoring", "2026-07-02T00:00:00Z"), Ok(30));
        assert_eq!(
            points("mentoring", "2026-06-30T00:00:00Z"),
            Err("is \"mentoring\", which is not in the scoring policy; use one of: task_completed".into())
        );
        assert_eq!(
            points("task_completed", "1969-12-31T23:59:59Z"),
            Err("is 1969-12-31T23:59:59Z, before the first version of the scoring policy (1970-01-01T00:00:00Z)".into())
        );
    }

    fn check_invalid(json: &str, expected: &str) {
        let error = json.parse::<ScoringPolicy>().unwrap_err().to_string();
        assert!(
            error.contains(expected),
            "{json} gave {error:?}, not {expected:?}"
        );
    }

    #[test]
    fn a_policy_that_could_not_be_applied_is_refused() {
        check_invalid("[]", "1 to 100 versions");
        check_invalid(
            r#"[{"effective_from":"2026-01-01T00:00:00Z","points":{}}]"#,
            "1 to 100 kinds",
        );
        check_invalid(
            r#"[{"effective_from":"2026-01-01T00:00:00Z","points":{"a":1}},{"effective_from":"2026-01-01T00:00:00Z","points":{"a":2}}]"#,
            "in order of effective_from",
        );
        check_invalid(
            r#"[{"effective_from":"2026-01-01T00:00:00Z","points":{"a":1000001}}]"#,
            "at most 1000000",
        );
        check_invalid(
            r#"[{"effective_from":"2026-01-01T00:00:00Z","points":{"a":-1}}]"#,
            "-1",
        );
        check_invalid(
            r#"[{"effective_from":"2026-01-01T00:00:00Z","points":{"A":1}}]"#,
            "use only a-z",
        );
    }
}
