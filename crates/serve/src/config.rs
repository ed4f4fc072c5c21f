use domain::{Calendar, FreshnessBounds};
use identity::Access;
use jiff::SignedDuration;
use store::aws::{parsed, required};
use store::keys::ShardCount;
use store::rules::calendar_from_environment;

/// What this function reads from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// `SNAPSHOTS_TABLE`
    pub snapshots_table: String,
    /// `PEOPLE_TABLE`
    pub people_table: String,
    /// `COINS_TABLE` and `ACTIVITIES_TABLE`; none without quests.
    pub quests: Option<QuestTables>,
    /// `STANDINGS_TABLE`
    pub standings_table: String,
    /// `STANDING_SHARDS`
    pub standing_shards: ShardCount,
    /// `TIME_ZONE` and `SEASONS`
    pub calendar: Calendar,
    /// `SNAPSHOT_EVERY_SECONDS`: when readers may expect the next snapshot.
    pub snapshot_every: SignedDuration,
    /// `STALE_AGE_SECONDS`, `STALE_LAG_SECONDS` and `STALE_BACKLOG`
    pub bounds: FreshnessBounds,
    /// `LEGACY_ANSWER`: whether the global board is also answered as the system that Podium replaces answered it.
    pub legacy_answer: bool,
    /// [`Access::VARIABLES`]
    pub access: Access,
}

/// The tables that only quests are answered from.
#[derive(Clone, Debug)]
pub struct QuestTables {
    pub coins: String,
    pub activities: String,
}

impl Config {
    /// Looks each setting up with `variable`; [`store::aws::variable`] reads the process's environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let seconds =
            |name| parsed::<u32>(&variable, name).map(|seconds| SignedDuration::from_secs(seconds.into()));
        Ok(Self {
            snapshots_table: required(&variable, "SNAPSHOTS_TABLE")?,
            people_table: required(&variable, "PEOPLE_TABLE")?,
            quests: match variable("COINS_TABLE") {
                Some(coins) => Some(QuestTables {
                    coins,
                    activities: required(&variable, "ACTIVITIES_TABLE")?,
                }),
                None => None,
            },
            standings_table: required(&variable, "STANDINGS_TABLE")?,
            standing_shards: parsed(&variable, "STANDING_SHARDS")?,
            calendar: calendar_from_environment(&variable)?,
            snapshot_every: seconds("SNAPSHOT_EVERY_SECONDS")?,
            bounds: FreshnessBounds {
                age: seconds("STALE_AGE_SECONDS")?,
                lag: seconds("STALE_LAG_SECONDS")?,
                backlog: parsed(&variable, "STALE_BACKLOG")?,
            },
            legacy_answer: parsed(&variable, "LEGACY_ANSWER")?,
            access: Access::read(&variable)?,
        })
    }
}
