//! The whole system on one machine: the same function binaries as on AWS, over an embedded stack.

pub mod dynamodb;
pub mod endpoint;
pub mod event_source;
pub mod faults;
pub mod function_url;
pub mod lambda;
pub mod pipe;
pub mod scheduler;
pub mod settings;
pub mod sqs;
mod stack;
mod web;

pub use stack::{Stack, StackConfig, dynamodb_client, sdk_config};
