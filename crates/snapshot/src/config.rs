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
    /// `LISTED_USERS`: how many users a board lists. The others are ranked, too.
    pub listed_users: usize,
    /// `QUEUE_URL`
    pub queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`
    pub dead_letter_queue_url: String,
}

impl Config {
    /// Looks each setting up with `variable`; [`store::aws::variable`] reads the process's environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            activities_table: required(&variable, "ACTIVITIES_TABLE")?,
            standings_table: required(&variable, "STANDINGS_TABLE")?,
            standing_shards: parsed(&variable, "STANDING_SHARDS")?,
            snapshots_table: required(&variable, "SNAPSHOTS_TABLE")?,
            calendar: parsed(&variable, "TIME_ZONE")?,
            listed_users: parsed(&variable, "LISTED_USERS")?,
            queue_url: required(&variable, "QUEUE_URL")?,
            dead_letter_queue_url: required(&variable, "DEAD_LETTER_QUEUE_URL")?,
        })
    }
}
