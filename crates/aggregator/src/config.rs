use std::str::FromStr;

use domain::{Calendar, ScoringPolicy};
use jiff::SignedDuration;
use store::CountingConfig;
use store::aws::{parsed, required};
use store::keys::ShardCount;

/// What this function reads from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// `DEDUP_TABLE`
    pub dedup_table: String,
    /// `STANDINGS_TABLE`
    pub standings_table: String,
    /// `STANDING_SHARDS`
    pub standing_shards: ShardCount,
    /// `MARKER_LIFETIME_DAYS`
    pub marker_lifetime: MarkerLifetime,
    /// `TIME_ZONE`
    pub calendar: Calendar,
    /// `SCORING_POLICY`
    pub scoring_policy: ScoringPolicy,
    /// `QUEUE_URL`
    pub queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`
    pub dead_letter_queue_url: String,
}

impl Config {
    /// Reads the environment that `variable` looks into; [`store::aws::variable`] into the process's.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            dedup_table: required(&variable, "DEDUP_TABLE")?,
            standings_table: required(&variable, "STANDINGS_TABLE")?,
            standing_shards: parsed(&variable, "STANDING_SHARDS")?,
            marker_lifetime: parsed(&variable, "MARKER_LIFETIME_DAYS")?,
            calendar: parsed(&variable, "TIME_ZONE")?,
            scoring_policy: parsed(&variable, "SCORING_POLICY")?,
            queue_url: required(&variable, "QUEUE_URL")?,
            dead_letter_queue_url: required(&variable, "DEAD_LETTER_QUEUE_URL")?,
        })
    }

    pub(crate) fn counting(&self) -> CountingConfig {
        CountingConfig {
            dedup_table: self.dedup_table.clone(),
            standings_table: self.standings_table.clone(),
            shards: self.standing_shards,
            marker_lifetime: self.marker_lifetime.0,
            calendar: self.calendar.clone(),
        }
    }
}

/// How long a marker is kept. Shorter than the longest redelivery it would let an activity count
/// twice: 14 days in the queue, 14 in the dead-letter queue and 14 more after a redrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MarkerLifetime(pub SignedDuration);

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
}

impl FromStr for MarkerLifetime {
    type Err = InvalidMarkerLifetime;
    fn from_str(raw: &str) -> Result<Self, InvalidMarkerLifetime> {
        match raw.parse() {
            Ok(days @ Self::MIN_DAYS..=Self::MAX_DAYS) => Ok(Self(SignedDuration::from_hours(days * 24))),
            _ => Err(InvalidMarkerLifetime),
        }
    }
}
