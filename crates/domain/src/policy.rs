//! How many points an activity is worth.

use std::collections::{BTreeMap, BTreeSet};
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

impl ScoringPolicy {
    /// This policy with everything that `wanted` adds to it without changing the points of what may have
    /// occurred until `until`: kinds, times before the first version, and versions that begin later. A kind
    /// whose past differs keeps the points of this policy.
    #[must_use]
    pub fn extended(&self, wanted: &Self, until: Timestamp) -> Self {
        let times: BTreeSet<Timestamp> = [self, wanted]
            .into_iter()
            .flat_map(|policy| policy.versions.iter().map(|version| version.effective_from))
            .collect();
        let agrees = |kind: &Kind| {
            let mut past = times.iter().filter(|at| **at <= until);
            past.all(|at| {
                let points = self.points(kind, *at).ok();
                points.is_none() || points == wanted.points(kind, *at).ok()
            })
        };
        let kinds = self.kinds().into_iter().chain(wanted.kinds());
        let (same, kept): (BTreeSet<Kind>, BTreeSet<Kind>) = kinds.partition(agrees);
        if kept.is_empty() {
            return wanted.clone();
        }
        let points = |kind: &Kind, at: Timestamp| {
            let own = self.points(kind, at).ok();
            let added = wanted.points(kind, at).ok();
            if at > until && same.contains(kind) {
                added
            } else {
                own.or(added)
            }
        };
        let mut versions: Vec<PolicyVersion> = Vec::new();
        for at in times {
            let known = same.iter().chain(&kept);
            let points: BTreeMap<Kind, u32> = known
                .filter_map(|kind| Some((kind.clone(), points(kind, at)?)))
                .collect();
            if versions.last().is_none_or(|last| last.points != points) {
                versions.push(PolicyVersion {
                    effective_from: at,
                    points,
                });
            }
        }
        // Too many versions or kinds: nothing is added until a rebuild.
        Self::try_from(versions).unwrap_or_else(|_| self.clone())
    }
}

impl ScoringPolicy {
    /// All kinds that any version knows.
    pub fn kinds(&self) -> BTreeSet<Kind> {
        let versions = self.versions.iter();
        versions
            .flat_map(|version| version.points.keys().cloned())
            .collect()
    }

    /// The kinds that have points at a time until `until` at which they have none in `former`.
    pub fn kinds_added_in_the_past(&self, former: &Self, until: Timestamp) -> BTreeSet<Kind> {
        let versions = self.versions.iter().chain(&former.versions);
        let past: Vec<Timestamp> = versions
            .map(|version| version.effective_from)
            .filter(|at| *at <= until)
            .collect();
        let is_added = |kind: &Kind| {
            let mut past = past.iter();
            past.any(|at| self.points(kind, *at).is_ok() && former.points(kind, *at).is_err())
        };
        self.kinds().into_iter().filter(is_added).collect()
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

    /// Versions as `second: kind=points ...`, separated by semicolons.
    fn policy(text: &str) -> ScoringPolicy {
        let versions = text.split(';').map(|version| {
            let (second, points) = version.split_once(':').unwrap();
            let points = points.split_whitespace().map(|entry| {
                let (kind, points) = entry.split_once('=').unwrap();
                (kind.parse().unwrap(), points.parse().unwrap())
            });
            PolicyVersion {
                effective_from: Timestamp::from_second(second.trim().parse().unwrap()).unwrap(),
                points: points.collect(),
            }
        });
        versions.collect::<Vec<_>>().try_into().unwrap()
    }

    fn check_extended(own: &str, wanted: &str, expected: &str) {
        let now = Timestamp::from_second(100).unwrap();
        let (own, wanted) = (policy(own), policy(wanted));
        let extended = own.extended(&wanted, now);
        assert_eq!(extended, policy(expected));
        assert_eq!(
            extended.extended(&wanted, now),
            extended,
            "adopting again changes nothing"
        );
    }

    #[test]
    fn a_policy_takes_over_what_leaves_the_past_as_it_is() {
        // Another kind, also for the past: nothing of it was counted.
        check_extended("0: a=1", "0: a=1 b=2", "0: a=1 b=2");
        // Other points from a later time on.
        check_extended("0: a=1", "0: a=1; 101: a=5", "0: a=1; 101: a=5");
        // A time before the first version.
        check_extended("50: a=1", "0: a=7; 50: a=1", "0: a=7; 50: a=1");
        // A kind that is removed later on, and one that returns.
        check_extended("0: a=1 b=2", "0: a=1 b=2; 200: a=1", "0: a=1 b=2; 200: a=1");
        check_extended("0: a=1 b=2; 10: a=1", "0: a=1 b=2", "0: a=1 b=2");
    }

    #[test]
    fn kinds_added_in_the_past_are_found() {
        let now = Timestamp::from_second(100).unwrap();
        let check = |former: &str, added: &str, expected: &[&str]| {
            let kinds = policy(added).kinds_added_in_the_past(&policy(former), now);
            assert_eq!(kinds.iter().map(Kind::as_str).collect::<Vec<_>>(), expected);
        };
        check("0: a=1", "0: a=2; 50: a=3", &[]);
        check("0: a=1", "0: a=1 b=2", &["b"]);
        check("50: a=1", "0: a=1", &["a"]);
        check("0: a=1 b=1; 60: a=1", "0: a=1 b=1", &["b"]);
        check("0: a=1", "0: a=1; 101: a=1 b=2", &[]);
    }

    #[test]
    fn a_policy_keeps_the_points_of_a_kind_whose_past_differs() {
        check_extended("0: a=1", "0: a=5", "0: a=1");
        check_extended("0: a=1", "0: a=1; 100: a=5", "0: a=1");
        check_extended("0: a=1", "0: a=5 b=2; 200: a=6 b=3", "0: a=1 b=2; 200: a=1 b=3");
        // Removed kinds are still scored: what was accepted before may be under way.
        check_extended("0: a=1 b=2", "0: a=1", "0: a=1 b=2");
    }

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
