//! The rules by which a deployment counts, noted by the aggregator beside the counts. So those who
//! count anew or compare do it by the same rules, wherever they run.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::ScoringPolicy;
use serde::{Deserialize, Serialize};

use crate::Unavailable;
use crate::generations::CONTROL;
use crate::keys::{ShardCount, attribute};

const RULES: &str = "rules";
const DOCUMENT: &str = "rules";

/// What decides, besides an activity itself, how it is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rules {
    pub standing_shards: ShardCount,
    pub marker_lifetime_days: i64,
    /// An IANA name.
    pub time_zone: String,
    pub scoring_policy: ScoringPolicy,
}

/// Notes the rules, by an update, which the aggregator may make in any case.
pub async fn note(client: &Client, standings_table: &str, rules: &Rules) -> Result<(), Unavailable> {
    let document =
        serde_json::to_string(rules).map_err(|error| Unavailable::new("encoding the rules", error))?;
    client
        .update_item()
        .table_name(standings_table)
        .key(attribute::SHARD, AttributeValue::S(CONTROL.to_owned()))
        .key(attribute::MEMBER, AttributeValue::S(RULES.to_owned()))
        .update_expression("SET #rules = :rules")
        .expression_attribute_names("#rules", DOCUMENT)
        .expression_attribute_values(":rules", AttributeValue::S(document))
        .send()
        .await
        .map(drop)
        .map_err(|error| Unavailable::new("noting the rules", error))
}

/// The rules of the aggregator that started last; `None` if none ever did.
pub async fn read(client: &Client, standings_table: &str) -> Result<Option<Rules>, Unavailable> {
    let output = client
        .get_item()
        .table_name(standings_table)
        .key(attribute::SHARD, AttributeValue::S(CONTROL.to_owned()))
        .key(attribute::MEMBER, AttributeValue::S(RULES.to_owned()))
        .consistent_read(true)
        .send()
        .await
        .map_err(|error| Unavailable::new("reading the rules", error))?;
    let item = output.item.unwrap_or_default();
    let Some(document) = item.get(DOCUMENT).and_then(|document| document.as_s().ok()) else {
        return Ok(None);
    };
    serde_json::from_str(document)
        .map(Some)
        .map_err(|error| Unavailable::new("decoding the rules", error))
}
