//! The result of the last reconciliation, by rule. Stored in the table of standings; each snapshot
//! publishes it as metrics.

use aws_sdk_dynamodb::Client;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control;
use crate::error::StoreError;

const QUALITY: &str = "quality";

/// How many violations of each data quality rule the last comparison of the live generation with the
/// facts found. Violations that were repaired at once are not included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    pub checked_at: Timestamp,
    /// Completeness: every fact is counted, except those still in transit.
    pub uncounted: u64,
    /// Uniqueness: only facts are counted, and each at most once.
    pub unfounded: u64,
    /// Agreement: each standing is the sum of its facts, and each total the sum of its standings.
    pub disagreeing: u64,
}

pub async fn save(client: &Client, standings_table: &str, quality: &Quality) -> Result<(), StoreError> {
    control::put(client, standings_table, QUALITY, quality)?
        .send()
        .await
        .map(drop)
        .map_err(|error| StoreError::unavailable("saving the result of a reconciliation", error))
}

/// `None` before the first reconciliation.
pub async fn read(client: &Client, standings_table: &str) -> Result<Option<Quality>, StoreError> {
    control::read(client, standings_table, QUALITY).await
}
