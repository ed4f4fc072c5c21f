//! Requests that several operations build on.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;

use crate::error::StoreError;
use crate::item::{Item, string};
use crate::keys::attribute;

/// Reads the item with this key, consistently; `None` if there is none.
pub(crate) async fn get_item(
    client: &Client,
    table: &str,
    key: Item,
    operation: &'static str,
) -> Result<Option<Item>, StoreError> {
    let output = client
        .get_item()
        .table_name(table)
        .set_key(Some(key))
        .consistent_read(true)
        .send()
        .await;
    match output {
        Ok(output) => Ok(output.item),
        Err(error) => Err(StoreError::unavailable(operation, error)),
    }
}

/// A query for the members of one partition of the table of standings: those whose key begins with
/// `prefix`, or all.
pub(crate) fn query_members(
    client: &Client,
    standings_table: &str,
    partition: &str,
    prefix: Option<String>,
) -> QueryFluentBuilder {
    let query = client
        .query()
        .table_name(standings_table)
        .expression_attribute_names("#shard", attribute::SHARD)
        .expression_attribute_values(":shard", string(partition));
    match prefix {
        None => query.key_condition_expression("#shard = :shard"),
        Some(prefix) => query
            .key_condition_expression("#shard = :shard AND begins_with(#member, :prefix)")
            .expression_attribute_names("#member", attribute::MEMBER)
            .expression_attribute_values(":prefix", string(prefix)),
    }
}

/// A scan of at most `limit` items of one of several segments of a table, starting after a key.
pub(crate) fn scan_segment(
    client: &Client,
    table: &str,
    (segment, segments): (i32, i32),
    after: Option<Item>,
    limit: i32,
) -> ScanFluentBuilder {
    debug_assert!(
        (0..segments).contains(&segment),
        "segment {segment} of {segments} segments"
    );
    client
        .scan()
        .table_name(table)
        .segment(segment)
        .total_segments(segments)
        .limit(limit)
        .set_exclusive_start_key(after)
}
