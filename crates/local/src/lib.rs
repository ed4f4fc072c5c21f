//! The whole system on one machine: the same function binaries as on AWS, over an embedded stack.

pub mod answer;
mod authorizer;
pub mod dynamodb;
pub mod endpoint;
pub mod event_source;
pub mod faults;
pub mod pipe;
pub mod scheduler;
pub mod settings;
mod stack;
mod web;

pub use authorizer::{InvalidIssuer, IssuerUrl, Login};
pub use identity::{Access, Readers};
pub use local_http::{ALLOWED_HOSTS_MAX, Host};
pub use local_lambda::{self as lambda, function_url};
pub use local_sqs as sqs;
pub use stack::{Stack, StackConfig, Webhook, dynamodb_client, keep_new_files_private, sdk_config};
