use domain::{Calendar, ScoringPolicy};
use jiff::SignedDuration;
use store::RewardTables;
use store::aws::{parsed, required};

/// What this function reads from its environment. The quests are in the table of coins.
#[derive(Clone, Debug)]
pub struct Config {
    /// `ACTIVITIES_TABLE`, `COINS_TABLE` and `PROGRESS_TABLE`
    pub tables: RewardTables,
    /// `STANDINGS_TABLE`, for the notes of who was erased.
    pub standings_table: String,
    /// `TIME_ZONE`
    pub calendar: Calendar,
    /// `SCORING_POLICY`
    pub scoring_policy: ScoringPolicy,
    /// `FINAL_AFTER_SECONDS`: when what was received is certainly recorded.
    pub final_after: SignedDuration,
    /// `QUEUE_URL`
    pub queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`
    pub dead_letter_queue_url: String,
}

impl Config {
    /// Looks each setting up with `variable`; [`store::aws::variable`] reads the process's environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let final_after = parsed::<u32>(&variable, "FINAL_AFTER_SECONDS")?;
        Ok(Self {
            tables: RewardTables {
                activities: required(&variable, "ACTIVITIES_TABLE")?,
                coins: required(&variable, "COINS_TABLE")?,
                progress: required(&variable, "PROGRESS_TABLE")?,
            },
            standings_table: required(&variable, "STANDINGS_TABLE")?,
            calendar: parsed(&variable, "TIME_ZONE")?,
            scoring_policy: parsed(&variable, "SCORING_POLICY")?,
            final_after: SignedDuration::from_secs(final_after.into()),
            queue_url: required(&variable, "QUEUE_URL")?,
            dead_letter_queue_url: required(&variable, "DEAD_LETTER_QUEUE_URL")?,
        })
    }
}
