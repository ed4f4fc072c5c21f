use identity::Access;
use store::aws::required;

/// The configuration of this function, from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// `PEOPLE_TABLE`
    pub people_table: String,
    /// [`Access::VARIABLES`]
    pub access: Access,
}

impl Config {
    /// Reads the environment that `variable` looks into. [`store::aws::variable`] looks into that of the
    /// process.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            people_table: required(&variable, "PEOPLE_TABLE")?,
            access: Access::read(&variable)?,
        })
    }
}
