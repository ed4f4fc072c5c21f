//! Carries activities over from another system's table, and back into it. [`mapping`] makes activities of its items, and
//! [`mirrored`] items of Podium's activities.

pub mod mapping;
pub mod mirrored;

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

pub use self::mapping::{Event, InvalidMapping, Mapping, Unfit};

/// An item as `DynamoDB` returns it.
pub type Item = HashMap<String, AttributeValue>;

/// The origin of what is carried over.
pub const LEGACY: &str = "legacy";
