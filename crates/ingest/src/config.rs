use std::str::FromStr;

use domain::{EventMapping, ScoringPolicy};
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
    /// `EVENT_MAPPING`
    pub event_mapping: EventMapping,
    /// Where activities come by a queue.
    pub queue: Option<QueueUrls>,
    /// [`Access::VARIABLES`]
    pub access: Access,
}

/// The queue of events.
#[derive(Clone, Debug)]
pub struct QueueUrls {
    /// `QUEUE_URL`
    pub main: String,
    /// `DEAD_LETTER_QUEUE_URL`
    pub dead_letters: String,
}

impl Config {
    /// Reads the environment that `variable` looks into. [`store::aws::variable`] looks into that of the
    /// process.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            activities_table: required(&variable, "ACTIVITIES_TABLE")?,
            scoring_policy: parsed(&variable, "SCORING_POLICY")?,
            max_activity_age: parsed(&variable, "MAX_ACTIVITY_AGE_DAYS")?,
            event_mapping: parsed(&variable, "EVENT_MAPPING")?,
            queue: QueueUrls::read(&variable)?,
            access: Access::read(&variable)?,
        })
    }
}

impl QueueUrls {
    /// `None` if none is set.
    fn read(variable: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Option<Self>> {
        let Some(main) = variable("QUEUE_URL") else {
            return Ok(None);
        };
        let dead_letters = required(variable, "DEAD_LETTER_QUEUE_URL")?;
        Ok(Some(Self { main, dead_letters }))
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
