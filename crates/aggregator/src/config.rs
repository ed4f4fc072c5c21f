use store::aws::required;
use store::{CountTables, Rules};

/// The configuration of this function, from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    pub tables: CountTables,
    pub rules: Rules,
    /// `QUEUE_URL`
    pub queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`
    pub dead_letter_queue_url: String,
}

impl Config {
    /// Reads the environment that `variable` looks into. [`store::aws::variable`] looks into that of the
    /// process.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            tables: CountTables::from_environment(&variable)?,
            rules: Rules::from_environment(&variable)?,
            queue_url: required(&variable, "QUEUE_URL")?,
            dead_letter_queue_url: required(&variable, "DEAD_LETTER_QUEUE_URL")?,
        })
    }
}
