//! What the table of standings keeps beside the counts of any generation: single items, each under a name.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Unavailable;
use crate::keys::attribute;

/// The partition of these items.
pub(crate) const CONTROL: &str = "control";

pub(crate) fn key(name: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (attribute::SHARD.to_owned(), AttributeValue::S(CONTROL.to_owned())),
        (attribute::MEMBER.to_owned(), AttributeValue::S(name.to_owned())),
    ])
}

/// The item of this name as it is now; `None` if there is none.
pub(crate) async fn read<T: DeserializeOwned>(
    client: &Client,
    standings_table: &str,
    name: &str,
) -> Result<Option<T>, Unavailable> {
    let output = client
        .get_item()
        .table_name(standings_table)
        .set_key(Some(key(name)))
        .consistent_read(true)
        .send()
        .await
        .map_err(|error| Unavailable::new("reading a control item", error))?;
    output
        .item
        .map(serde_dynamo::from_item)
        .transpose()
        .map_err(|error| Unavailable::new("decoding a control item", error))
}

/// A write of the item of this name, whole, to be sent.
pub(crate) fn put(
    client: &Client,
    standings_table: &str,
    name: &str,
    content: &impl Serialize,
) -> Result<PutItemFluentBuilder, Unavailable> {
    let mut item: HashMap<_, _> =
        serde_dynamo::to_item(content).map_err(|error| Unavailable::new("encoding a control item", error))?;
    item.extend(key(name));
    let put = client.put_item().table_name(standings_table);
    Ok(put.set_item(Some(item)))
}
