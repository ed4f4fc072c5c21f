use std::str::FromStr;

use domain::ScoringPolicy;
use identity::Access;
use jiff::SignedDuration;
use store::aws::{parsed, required};

/// The configuration of this function, from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ACTIVITIES_TABLE`
    pub activities_table: String,
    /// `SCORING_POLICY`
    pub scoring_policy: ScoringPolicy,
    /// `MAX_ACTIVITY_AGE_DAYS`
    pub max_activity_age: MaxActivityAge,
    /// [`Access::VARIABLES`]
    pub access: Access,
}

impl Config {
    /// Reads the environment that `variable` looks into. [`store::aws::variable`] looks into that of the
    /// process.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            activities_table: required(&variable, "ACTIVITIES_TABLE")?,
            scoring_policy: parsed(&variable, "SCORING_POLICY")?,
            max_activity_age: parsed(&variable, "MAX_ACTIVITY_AGE_DAYS")?,
            access: Access::read(&variable)?,
        })
    }
}

/// How old an activity may be: a number of days, or `unlimited`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxActivityAge(pub Option<SignedDuration>);

#[derive(Debug, thiserror::Error)]
#[error(
    "must be \"unlimited\" or a number of days from 1 to {}",
    MaxActivityAge::MAX_DAYS
)]
pub struct InvalidMaxActivityAge;

impl MaxActivityAge {
    /// 100 years.
    const MAX_DAYS: i64 = 36_525;
}

impl FromStr for MaxActivityAge {
    type Err = InvalidMaxActivityAge;
    fn from_str(raw: &str) -> Result<Self, InvalidMaxActivityAge> {
        if raw == "unlimited" {
            return Ok(Self(None));
        }
        match raw.parse() {
            Ok(days @ 1..=Self::MAX_DAYS) => Ok(Self(Some(SignedDuration::from_hours(days * 24)))),
            _ => Err(InvalidMaxActivityAge),
        }
    }
}
