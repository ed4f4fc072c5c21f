//! What the last reconciliation found, by rule, kept beside the counts: each snapshot makes metrics of it.

use aws_sdk_dynamodb::Client;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{Unavailable, control};

const QUALITY: &str = "quality";

/// How often each rule of data quality was broken when the live generation was last compared with the
/// facts. Whatever was repaired at once is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quality {
    pub checked_at: Timestamp,
    /// Completeness: every fact is counted, but for what is still under way.
    pub uncounted: u64,
    /// Uniqueness: nothing is counted that is no fact, and no fact more than once.
    pub unfounded: u64,
    /// Agreement: standings are the sums of their facts, and totals those of their standings.
    pub disagreeing: u64,
}

pub async fn note(client: &Client, standings_table: &str, quality: &Quality) -> Result<(), Unavailable> {
    control::put(client, standings_table, QUALITY, quality)?
        .send()
        .await
        .map(drop)
        .map_err(|error| Unavailable::new("noting a reconciliation", error))
}

/// `None` before the first reconciliation.
pub async fn read(client: &Client, standings_table: &str) -> Result<Option<Quality>, Unavailable> {
    control::read(client, standings_table, QUALITY).await
}
