use store::{CountTables, Rules};

/// The function's environment variables: those of ingestion and those of counting.
#[derive(Clone, Debug)]
pub struct Config {
    pub ingest: ingest::Config,
    pub tables: CountTables,
    pub rules: Rules,
}

impl Config {
    /// Reads the environment that `variable` looks into. [`store::aws::variable`] looks into that of the
    /// process.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            tables: CountTables::from_environment(&variable)?,
            rules: Rules::from_environment(&variable)?,
            ingest: ingest::Config::read(variable)?,
        })
    }
}
