//! How many points an activity is worth.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::id::Kind;
use crate::worth::{Title, Worth};

/// What each kind is worth, in versions. The version in force when an activity occurred scores it, so counting
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
    #[serde(deserialize_with = "by_kind")]
    pub points: BTreeMap<Kind, Worth>,
    /// What people call a kind.
    #[serde(default, deserialize_with = "by_kind")]
    pub titles: BTreeMap<Kind, Title>,
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
    #[error("is missing; {kind} is worth points by it")]
    NoAmount { field: &'static str, kind: Kind },
}

impl Unscored {
    /// The field of the activity that is wrong.
    pub fn field(&self) -> &'static str {
        match self {
            Self::UnknownKind { .. } => "kind",
            Self::BeforePolicy { .. } => "occurred_at",
            Self::NoAmount { field, .. } => field,
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
    #[error("the version of {at} has a title for {kind}, which it gives no points")]
    TitleOfNothing { at: Timestamp, kind: Kind },
}

impl ScoringPolicy {
    pub const MAX_VERSIONS: usize = 100;
    pub const MAX_KINDS: usize = 100;

    /// What an activity of a kind is worth that occurred then.
    pub fn worth(&self, kind: &Kind, occurred_at: Timestamp) -> Result<&Worth, Unscored> {
        let Some(version) = self.in_force(occurred_at) else {
            let first = self.versions[0].effective_from;
            return Err(Unscored::BeforePolicy { occurred_at, first });
        };
        version.points.get(kind).ok_or_else(|| Unscored::UnknownKind {
            kind: kind.to_string(),
            known: version
                .points
                .keys()
                .map(Kind::as_str)
                .collect::<Vec<_>>()
                .join(", "),
        })
    }

    fn in_force(&self, at: Timestamp) -> Option<&PolicyVersion> {
        let newer = self.versions.partition_point(|v| v.effective_from <= at);
        newer.checked_sub(1).map(|at| &self.versions[at])
    }
}

impl ScoringPolicy {
    /// This policy with everything that `wanted` adds to it without changing the points of what may have
    /// occurred until `until`: kinds, times before the first version, and versions that begin later. A kind
    /// whose past differs keeps its worth by this policy.
    #[must_use]
    pub fn extended(&self, wanted: &Self, until: Timestamp) -> Self {
        let times: BTreeSet<Timestamp> = [self, wanted]
            .into_iter()
            .flat_map(|policy| policy.versions.iter().map(|version| version.effective_from))
            .collect();
        let agrees = |kind: &Kind| {
            let mut past = times.iter().filter(|at| **at <= until);
            past.all(|at| {
                let worth = self.worth(kind, *at).ok();
                worth.is_none() || worth == wanted.worth(kind, *at).ok()
            })
        };
        let kinds = self.kinds().into_iter().chain(wanted.kinds());
        let (same, kept): (BTreeSet<Kind>, BTreeSet<Kind>) = kinds.partition(agrees);
        if kept.is_empty() {
            return wanted.clone();
        }
        let worth = |kind: &Kind, at: Timestamp| {
            let own = self.worth(kind, at).ok();
            let added = wanted.worth(kind, at).ok();
            if at > until && same.contains(kind) {
                added
            } else {
                own.or(added)
            }
        };
        let title = |kind: &Kind, at: Timestamp| {
            let titles = [wanted, self]
                .into_iter()
                .filter_map(|policy| policy.in_force(at));
            titles.into_iter().find_map(|version| version.titles.get(kind))
        };
        let mut versions: Vec<PolicyVersion> = Vec::new();
        for at in times {
            let mut version = PolicyVersion {
                effective_from: at,
                points: BTreeMap::new(),
                titles: BTreeMap::new(),
            };
            for kind in same.iter().chain(&kept) {
                let Some(worth) = worth(kind, at) else { continue };
                version.points.insert(kind.clone(), worth.clone());
                version
                    .titles
                    .extend(title(kind, at).map(|title| (kind.clone(), title.clone())));
            }
            let is_new = versions
                .last()
                .is_none_or(|last| (&last.points, &last.titles) != (&version.points, &version.titles));
            if is_new {
                versions.push(version);
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

    /// The most points that one activity can be worth by any version: of a kind, or of all of them.
    pub fn most(&self, kind: Option<&Kind>) -> u32 {
        let worths = self.versions.iter().flat_map(|version| &version.points);
        let worths = worths.filter(|(known, _)| kind.is_none_or(|kind| kind == *known));
        worths.map(|(_, worth)| worth.most()).max().unwrap_or(0)
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
            past.any(|at| self.worth(kind, *at).is_ok() && former.worth(kind, *at).is_err())
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
            let mut titled = version.titles.keys();
            if let Some(kind) = titled.find(|kind| !version.points.contains_key(*kind)) {
                let kind = kind.clone();
                return Err(InvalidPolicy::TitleOfNothing { at, kind });
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

/// Reads an object by kind. An error says of which kind the value is.
fn by_kind<'de, D, T>(deserializer: D) -> Result<BTreeMap<Kind, T>, D::Error>
where
    D: Deserializer<'de>,
    T: TryFrom<serde_json::Value, Error: Display>,
{
    let values: BTreeMap<Kind, serde_json::Value> = Deserialize::deserialize(deserializer)?;
    let read = values.into_iter().map(|(kind, value)| match T::try_from(value) {
        Ok(value) => Ok((kind, value)),
        Err(error) => Err(D::Error::custom(format_args!("{kind} {error}"))),
    });
    read.collect()
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
                (kind.parse().unwrap(), Worth::fixed(points.parse().unwrap()))
            });
            PolicyVersion {
                effective_from: Timestamp::from_second(second.trim().parse().unwrap()).unwrap(),
                points: points.collect(),
                titles: BTreeMap::new(),
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

    fn points(kind: &str, at: &str) -> Result<i64, String> {
        let policy: ScoringPolicy = r#"[
            {"effective_from": "1970-01-01T00:00:00Z", "points": {"task_completed": 10}},
            {"effective_from": "2026-07-01T00:00:00Z", "points": {"task_completed": 8, "mentoring": 30}}
        ]"#
        .parse()
        .unwrap();
        policy
            .worth(&kind.parse().unwrap(), at.parse().unwrap())
            .map(|worth| worth.points(None).unwrap())
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
        let with =
            |points: &str| format!(r#"[{{"effective_from":"2026-01-01T00:00:00Z","points":{points}}}]"#);
        check_invalid(&with(r#"{"A":1}"#), "use only a-z");
        for (worth, expected) in [
            (
                "1000001",
                "points 1000001; it must be a whole number from 0 to 1000000",
            ),
            ("-1", "points -1; it must be a whole number from 0 to 1000000"),
            ("1.5", "points 1.5; it must be a whole number from 0 to 1000000"),
            (r#""10""#, "must be a number of points"),
            (
                r#"{"per":0,"points":1}"#,
                "per 0; it must be a whole number from 1 to 1000000000000",
            ),
            (r#"{"per":10}"#, "lacks points"),
            (
                r#"{"per":10,"points":1,"max":1000001}"#,
                "max 1000001; it must be",
            ),
            (
                r#"{"points":1,"max":5}"#,
                "the field \"max\"; its fields are points, max_per_day",
            ),
            (
                r#"{"points":1,"max_per_day":0}"#,
                "max_per_day 0; it must be a whole number from 1 to 1000000",
            ),
            (r#"{"given":{}}"#, "lacks given.max"),
            (
                r#"{"given":{"max":5},"points":1}"#,
                "the field \"points\"; its fields are given, max_per_day",
            ),
        ] {
            check_invalid(
                &with(&format!(r#"{{"steps":{worth}}}"#)),
                &format!(
                    "steps {}{expected}",
                    if expected.starts_with("lacks") || expected.starts_with("must") {
                        ""
                    } else {
                        "has "
                    }
                ),
            );
        }
        check_invalid(
            r#"[{"effective_from":"2026-01-01T00:00:00Z","points":{"a":1},"titles":{"b":"B"}}]"#,
            "a title for b, which it gives no points",
        );
        check_invalid(
            r#"[{"effective_from":"2026-01-01T00:00:00Z","points":{"a":1},"titles":{"a":" "}}]"#,
            "a must have a title of 1 to 80 characters",
        );
    }

    #[test]
    fn a_kind_keeps_its_form_and_its_cap_where_the_past_differs() {
        let now = Timestamp::from_second(100).unwrap();
        let read = |points: &str, titles: &str| -> ScoringPolicy {
            format!(r#"[{{"effective_from":"1970-01-01T00:00:00Z","points":{points},"titles":{titles}}}]"#)
                .parse()
                .unwrap()
        };
        let own = read(r#"{"a":1,"b":{"points":1,"max_per_day":5}}"#, "{}");
        let wanted = read(
            r#"{"a":1,"b":{"points":1,"max_per_day":6},"c":{"given":{"max":2}}}"#,
            r#"{"a":"A"}"#,
        );
        let extended = read(
            r#"{"a":1,"b":{"points":1,"max_per_day":5},"c":{"given":{"max":2}}}"#,
            r#"{"a":"A"}"#,
        );
        assert_eq!(own.extended(&wanted, now), extended);
    }
}
