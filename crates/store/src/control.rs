//! Single named items in the table of standings that belong to no generation.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::put_item::builders::PutItemFluentBuilder;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{self, StoreError};
use crate::item::{self, Item};
use crate::keys::STANDINGS_KEY;
use crate::requests::{get_item, item_of};

/// The partition of these items.
pub(crate) const CONTROL: &str = "control";
/// The partition of the records of all repairs and erasures, in order of time.
pub(crate) const AUDIT: &str = "audit";

pub(crate) fn key(name: &str) -> Item {
    item::key(STANDINGS_KEY, CONTROL, name)
}

/// Names the item with this name, for an error.
pub(crate) fn named(standings_table: &str, name: &str) -> String {
    error::named(standings_table, &key(name), STANDINGS_KEY)
}

/// Reads the item with this name, consistently; `None` if there is none.
pub(crate) async fn read<T: DeserializeOwned>(
    client: &Client,
    standings_table: &str,
    name: &str,
) -> Result<Option<T>, StoreError> {
    let read = get_item(client, standings_table, key(name)).send().await;
    let item = item_of("reading a control item", read)?;
    item.map(serde_dynamo::from_item)
        .transpose()
        .map_err(|error| StoreError::corrupt("decoding a control item", named(standings_table, name), error))
}

/// Builds a request that puts the whole item with this name.
pub(crate) fn put(
    client: &Client,
    standings_table: &str,
    name: &str,
    content: &impl Serialize,
) -> Result<PutItemFluentBuilder, StoreError> {
    let mut item: Item = serde_dynamo::to_item(content)
        .map_err(|error| StoreError::corrupt("encoding a control item", name, error))?;
    item.extend(key(name));
    let put = client.put_item().table_name(standings_table);
    Ok(put.set_item(Some(item)))
}

/// Builds a request that replaces the whole item with this name by an update. `attributes` are all
/// attributes that it can have; placeholders are their names after `#` and `:`.
pub(crate) fn update(
    client: &Client,
    standings_table: &str,
    name: &str,
    content: &impl Serialize,
    attributes: &[&str],
) -> Result<UpdateItemFluentBuilder, StoreError> {
    let mut item: Item = serde_dynamo::to_item(content)
        .map_err(|error| StoreError::corrupt("encoding a control item", name, error))?;
    let mut update = client
        .update_item()
        .table_name(standings_table)
        .set_key(Some(key(name)));
    let (mut set, mut remove) = (Vec::new(), Vec::new());
    for attribute in attributes {
        update = update.expression_attribute_names(format!("#{attribute}"), *attribute);
        if let Some(value) = item.remove(*attribute) {
            update = update.expression_attribute_values(format!(":{attribute}"), value);
            set.push(format!("#{attribute} = :{attribute}"));
        } else {
            remove.push(format!("#{attribute}"));
        }
    }
    assert!(item.is_empty(), "attributes that would not be stored: {item:?}");
    let clause = |keyword, parts: &[String]| match parts {
        [] => String::new(),
        parts => format!("{keyword} {} ", parts.join(", ")),
    };
    Ok(update.update_expression(clause("SET", &set) + &clause("REMOVE", &remove)))
}
