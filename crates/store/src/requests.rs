//! Requests that several operations build on.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::get_item::builders::GetItemFluentBuilder;
use aws_sdk_dynamodb::operation::get_item::{GetItemError, GetItemOutput};
use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::blocks::{KEYS_MAX, Spill};
use crate::error::StoreError;
use crate::item::{Item, number, string};
use crate::keys::attribute;

/// A consistent read of the item with this key.
pub(crate) fn get_item(client: &Client, table: &str, key: Item) -> GetItemFluentBuilder {
    client
        .get_item()
        .table_name(table)
        .set_key(Some(key))
        .consistent_read(true)
}

/// The item in the answer to [`get_item`]; `None` if there is none.
pub(crate) fn item_of(
    operation: &'static str,
    answer: Result<GetItemOutput, SdkError<GetItemError>>,
) -> Result<Option<Item>, StoreError> {
    match answer {
        Ok(output) => Ok(output.item),
        Err(error) => Err(StoreError::unavailable(operation, error)),
    }
}

/// A consistent query for the members of one partition of the table of standings: those whose key begins
/// with `prefix`, or all.
pub(crate) fn query_members(
    client: &Client,
    standings_table: &str,
    partition: &str,
    prefix: Option<String>,
) -> QueryFluentBuilder {
    let query = client
        .query()
        .table_name(standings_table)
        .consistent_read(true)
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

/// An update that adds keys to a block. Doing so again changes nothing.
pub(crate) fn add_to_block(client: &Client, dedup_table: &str, spill: &Spill) -> UpdateItemFluentBuilder {
    let keys = spill.next().iter().map(|key| Blob::new(key.bytes())).collect();
    let update = client
        .update_item()
        .table_name(dedup_table)
        .key(attribute::ACTIVITY, string(spill.block.as_str()))
        .update_expression("ADD #keys :keys SET #expires = :expires")
        .expression_attribute_names("#keys", attribute::KEYS)
        .expression_attribute_names("#expires", attribute::EXPIRES_AT)
        .expression_attribute_values(":keys", AttributeValue::Bs(keys))
        .expression_attribute_values(":expires", number(spill.expires_at));
    if !spill.is_conditional() {
        return update;
    }
    update
        .condition_expression("attribute_not_exists(#keys) OR size(#keys) < :most")
        .expression_attribute_values(":most", number(KEYS_MAX))
}
