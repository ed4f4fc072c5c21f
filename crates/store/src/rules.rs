//! The rules by which a deployment counts. [`crate::generations`] stores those of each generation, so that
//! every process counts, rebuilds, compares and reads a generation by the same ones.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use domain::intake::MAX_AHEAD;
use domain::{Calendar, Kind, PerWindow, ScoringPolicy, Seasons};
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
    /// `TIME_ZONE` and `SEASONS`
    #[serde(flatten)]
    pub calendar: Calendar,
    /// `SCORING_POLICY`
    pub scoring_policy: ScoringPolicy,
    /// `PERIOD_GRACE_HOURS`. `None` in what an earlier version of Podium counted: there, facts counted in a day, week
    /// or month whenever they were received.
    #[serde(
        rename = "period_grace_hours",
        default,
        skip_serializing_if = "Option::is_none"
    )]
    pub period_grace: Option<PeriodGrace>,
    /// `TIE_BREAK`
    #[serde(default, skip_serializing_if = "TieBreak::is_shared")]
    pub tie_break: TieBreak,
}

/// How equal points are ranked. Teams with equal scores always share a rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TieBreak {
    /// They share a rank.
    #[default]
    Shared,
    /// Whose last counted activity occurred earlier ranks higher, also if that was voided later.
    Earlier,
}

impl TieBreak {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
    fn is_shared(&self) -> bool {
        *self == Self::Shared
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Earlier => "earlier",
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("must be shared or earlier")]
pub struct InvalidTieBreak;

impl FromStr for TieBreak {
    type Err = InvalidTieBreak;
    fn from_str(raw: &str) -> Result<Self, InvalidTieBreak> {
        [Self::Shared, Self::Earlier]
            .into_iter()
            .find(|tie_break| tie_break.as_str() == raw)
            .ok_or(InvalidTieBreak)
    }
}

impl fmt::Display for TieBreak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How long after the end of a day, week or month a fact may be received that still counts in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16")]
pub struct PeriodGrace(u16);

#[derive(Debug, thiserror::Error)]
#[error("must be a whole number of hours from 0 to {}", PeriodGrace::MAX_HOURS)]
pub struct InvalidPeriodGrace;

impl PeriodGrace {
    /// A month.
    pub const MAX_HOURS: u16 = 744;

    pub fn hours(self) -> u16 {
        self.0
    }
}

impl TryFrom<u16> for PeriodGrace {
    type Error = InvalidPeriodGrace;
    fn try_from(hours: u16) -> Result<Self, InvalidPeriodGrace> {
        if hours > Self::MAX_HOURS {
            return Err(InvalidPeriodGrace);
        }
        Ok(Self(hours))
    }
}

impl FromStr for PeriodGrace {
    type Err = InvalidPeriodGrace;
    fn from_str(raw: &str) -> Result<Self, InvalidPeriodGrace> {
        raw.parse::<u16>().map_err(|_| InvalidPeriodGrace)?.try_into()
    }
}

impl Rules {
    /// Reads the environment that `variable` looks into.
    pub fn from_environment(variable: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            standing_shards: parsed(variable, "STANDING_SHARDS")?,
            calendar: calendar_from_environment(variable)?,
            scoring_policy: parsed(variable, "SCORING_POLICY")?,
            period_grace: Some(parsed(variable, "PERIOD_GRACE_HOURS")?),
            tie_break: parsed(variable, "TIE_BREAK")?,
        })
    }

    /// Whether a fact counts in the period of each window that it occurred in.
    pub fn in_time(&self, occurred_at: Timestamp, received_at: Timestamp) -> PerWindow<bool> {
        match self.period_grace {
            None => PerWindow::of_each(|_| true),
            Some(grace) => {
                let grace = SignedDuration::from_hours(grace.hours().into());
                self.calendar.in_time(occurred_at, received_at, grace)
            }
        }
    }

    /// These rules with everything of `wanted` that leaves valid what was counted by them until `now`, and
    /// the kinds that get points in the past by it. The rest takes a rebuild: other shards, another time
    /// zone, other days of a season that began, another grace and another tie-break place the counts differently, and another past of the
    /// scoring policy gives other points.
    #[must_use]
    pub fn adopting(&self, wanted: &Self, now: Timestamp) -> (Self, BTreeSet<Kind>) {
        let until = now + MAX_AHEAD;
        let extended = self.scoring_policy.extended(&wanted.scoring_policy, until);
        let added = extended.kinds_added_in_the_past(&self.scoring_policy, until);
        let (kept, wanted) = (self.calendar.seasons(), wanted.calendar.seasons());
        let seasons = if kept.count_alike(wanted, self.calendar.date(until)) {
            wanted
        } else {
            kept
        };
        let adopting = Self {
            scoring_policy: extended,
            calendar: self.calendar.clone().with_seasons(seasons.clone()),
            ..self.clone()
        };
        (adopting, added)
    }

    /// The settings in which `wanted` differs, by the names that they have in Terraform.
    pub fn differences(&self, wanted: &Self) -> Vec<&'static str> {
        [
            (self.standing_shards != wanted.standing_shards, "standing_shards"),
            (
                self.calendar.time_zone() != wanted.calendar.time_zone(),
                "time_zone",
            ),
            (self.calendar.seasons() != wanted.calendar.seasons(), "seasons"),
            (self.scoring_policy != wanted.scoring_policy, SCORING_POLICY),
            (self.period_grace != wanted.period_grace, "period_grace_hours"),
            (self.tie_break != wanted.tie_break, "tie_break"),
        ]
        .into_iter()
        .filter_map(|(differs, name)| differs.then_some(name))
        .collect()
    }
}

/// The calendar that every function with `TIME_ZONE` and `SEASONS` has.
pub fn calendar_from_environment(variable: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Calendar> {
    let calendar: Calendar = parsed(variable, "TIME_ZONE")?;
    let seasons: Seasons = parsed(variable, "SEASONS")?;
    Ok(calendar.with_seasons(seasons))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_rules_keep_their_form() {
        let json = r#"{"standing_shards":4,"time_zone":"Europe/Berlin","scoring_policy":[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10},"titles":{}}],"period_grace_hours":24}"#;
        let rules: Rules = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&rules).unwrap(), json);
        // Earlier versions also kept how long a marker lives.
        let former = json.replace(r#""time_zone""#, r#""marker_lifetime_days":90,"time_zone""#);
        assert_eq!(serde_json::from_str::<Rules>(&former).unwrap(), rules);
        // They had no titles, and counted without a grace, which a rebuild introduces.
        let former = json
            .replace(r#","period_grace_hours":24"#, "")
            .replace(r#","titles":{}"#, "");
        let former: Rules = serde_json::from_str(&former).unwrap();
        assert!(former.calendar.seasons().is_empty());
        assert_eq!(former.tie_break, TieBreak::Shared);
        assert_eq!(former.period_grace, None);
        assert_eq!(former.differences(&rules), ["period_grace_hours"]);
        let seasons = r#""time_zone":"Europe/Berlin","seasons":[{"id":"autumn","title":"Autumn","first_day":"2026-09-01","last_day":"2026-11-30"}]"#;
        let with_seasons = json.replace(r#""time_zone":"Europe/Berlin""#, seasons);
        let with_seasons: Rules = serde_json::from_str(&with_seasons).unwrap();
        assert_eq!(with_seasons.calendar.seasons().iter().count(), 1);
        assert_eq!(rules.differences(&with_seasons), ["seasons"]);
    }

    #[test]
    fn a_season_is_adopted_until_it_begins() {
        let rules = |seasons: &str| Rules {
            standing_shards: "1".parse().unwrap(),
            calendar: "Europe/Berlin"
                .parse::<Calendar>()
                .unwrap()
                .with_seasons(seasons.parse().unwrap()),
            scoring_policy: r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task":10}}]"#
                .parse()
                .unwrap(),
            period_grace: Some("24".parse().unwrap()),
            tie_break: TieBreak::Shared,
        };
        let check = |kept: &str, wanted: &str, now: &str, is_adopted: bool| {
            let (kept, wanted) = (rules(kept), rules(wanted));
            let (adopted, _) = kept.adopting(&wanted, now.parse().unwrap());
            assert_eq!(adopted == wanted, is_adopted, "{now}");
            assert_eq!(adopted == kept, !is_adopted);
        };
        let autumn = |title: &str, last_day: &str| {
            format!(r#"[{{"id":"a","title":"{title}","first_day":"2026-09-01","last_day":"{last_day}"}}]"#)
        };
        let named = autumn("Autumn", "2026-11-30");
        // The day begins at 22:00 UTC, and activities may be a few minutes ahead of the clock.
        check("[]", &named, "2026-08-31T21:50:00Z", true);
        check("[]", &named, "2026-08-31T21:56:00Z", false);
        check(&named, "[]", "2026-10-01T12:00:00Z", false);
        check(
            &named,
            &autumn("Autumn", "2026-12-01"),
            "2026-10-01T12:00:00Z",
            false,
        );
        check(
            &named,
            &autumn("Fall", "2026-11-30"),
            "2026-10-01T12:00:00Z",
            true,
        );
    }
}
