use aggregator::MarkerLifetime;
use store::CountingConfig;
use store::aws::{parsed, required};

/// The function's environment variables: those of ingestion and those of counting.
#[derive(Clone, Debug)]
pub struct Config {
    pub ingest: ingest::Config,
    /// `DEDUP_TABLE`, `STANDINGS_TABLE`, `STANDING_SHARDS`, `MARKER_LIFETIME_DAYS` and `TIME_ZONE`
    pub counting: CountingConfig,
}

impl Config {
    /// Reads the environment that `variable` looks into; [`store::aws::variable`] into the process's.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        let marker_lifetime: MarkerLifetime = parsed(&variable, "MARKER_LIFETIME_DAYS")?;
        Ok(Self {
            counting: CountingConfig {
                dedup_table: required(&variable, "DEDUP_TABLE")?,
                standings_table: required(&variable, "STANDINGS_TABLE")?,
                shards: parsed(&variable, "STANDING_SHARDS")?,
                marker_lifetime: marker_lifetime.0,
                calendar: parsed(&variable, "TIME_ZONE")?,
            },
            ingest: ingest::Config::read(variable)?,
        })
    }
}
