use domain::Calendar;
use store::aws::{parsed, required};
use store::keys::ShardCount;

/// What this function reads from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ACTIVITIES_TABLE`
    pub activities_table: String,
    /// `STANDINGS_TABLE`
    pub standings_table: String,
    /// `STANDING_SHARDS`
    pub standing_shards: ShardCount,
    /// `SNAPSHOTS_TABLE`
    pub snapshots_table: String,
    /// `TIME_ZONE`
    pub calendar: Calendar,
    /// `LISTED_USERS`: how many users of a board are listed; the others are ranked all the same.
    pub listed_users: usize,
    /// `QUEUE_URL`
    pub queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`
    pub dead_letter_queue_url: String,
}

impl Config {
    pub fn from_env() -> anyhow::Result<Self> {
        Ok(Self {
            activities_table: required("ACTIVITIES_TABLE")?,
            standings_table: required("STANDINGS_TABLE")?,
            standing_shards: parsed("STANDING_SHARDS")?,
            snapshots_table: required("SNAPSHOTS_TABLE")?,
            calendar: parsed("TIME_ZONE")?,
            listed_users: parsed("LISTED_USERS")?,
            queue_url: required("QUEUE_URL")?,
            dead_letter_queue_url: required("DEAD_LETTER_QUEUE_URL")?,
        })
    }
}
