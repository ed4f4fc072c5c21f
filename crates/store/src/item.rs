//! Items as `DynamoDB` returns them, and their attributes.

use std::collections::HashMap;
use std::fmt::Display;

use aws_sdk_dynamodb::types::AttributeValue;

pub(crate) type Item = HashMap<String, AttributeValue>;

pub(crate) fn string(text: impl Into<String>) -> AttributeValue {
    AttributeValue::S(text.into())
}

pub(crate) fn number(number: impl Display + Copy) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A key of two attributes.
pub(crate) fn key([partition, sort]: [&str; 2], partition_value: &str, sort_value: &str) -> Item {
    Item::from([
        (partition.to_owned(), string(partition_value)),
        (sort.to_owned(), string(sort_value)),
    ])
}

/// The text of an attribute, or why there is none.
pub(crate) fn text<'a>(item: &'a Item, name: &str) -> Result<&'a str, String> {
    match item.get(name) {
        Some(AttributeValue::S(text)) => Ok(text),
        Some(_) => Err(format!("{name} must be a string (S)")),
        None => Err(format!("{name} is missing")),
    }
}
