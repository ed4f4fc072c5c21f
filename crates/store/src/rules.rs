//! The rules by which a deployment counts, noted by the aggregator beside the counts. So those who
//! count anew or compare do it by the same rules, wherever they run.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ScoringPolicy;
use serde::{Deserialize, Serialize};

use crate::keys::ShardCount;
use crate::{Unavailable, control};

const RULES: &str = "rules";

/// What decides, besides an activity itself, how it is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    pub standing_shards: ShardCount,
    pub marker_lifetime_days: i64,
    /// An IANA name.
    pub time_zone: String,
    pub scoring_policy: ScoringPolicy,
}

/// The rules as they are kept: one text, which an update can replace whole.
#[derive(Deserialize)]
struct Noted {
    rules: String,
}

/// Notes the rules, by an update, which the aggregator may make in any case.
pub async fn note(client: &Client, standings_table: &str, rules: &Rules) -> Result<(), Unavailable> {
    let document =
        serde_json::to_string(rules).map_err(|error| Unavailable::new("encoding the rules", error))?;
    client
        .update_item()
        .table_name(standings_table)
        .set_key(Some(control::key(RULES)))
        .update_expression("SET #rules = :rules")
        .expression_attribute_names("#rules", "rules")
        .expression_attribute_values(":rules", AttributeValue::S(document))
        .send()
        .await
        .map(drop)
        .map_err(|error| Unavailable::new("noting the rules", error))
}

/// The rules of the aggregator that started last; `None` if none ever did.
pub async fn read(client: &Client, standings_table: &str) -> Result<Option<Rules>, Unavailable> {
    let noted: Option<Noted> = control::read(client, standings_table, RULES).await?;
    noted
        .map(|noted| serde_json::from_str(&noted.rules))
        .transpose()
        .map_err(|error| Unavailable::new("decoding the rules", error))
}
