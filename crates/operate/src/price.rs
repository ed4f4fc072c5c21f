//! AWS list prices in US dollars a unit, in us-east-1 on arm64, as of November 2026.

pub const WRITE_UNIT: f64 = 0.625e-6;
pub const READ_UNIT: f64 = 0.125e-6;
pub const TABLE_GB_MONTH: f64 = 0.25;
pub const RESTORABLE_GB_MONTH: f64 = 0.20;
pub const INVOCATION: f64 = 0.2e-6;
pub const GB_SECOND: f64 = 0.000_013_333_4;
pub const PIPE_REQUEST: f64 = 0.4e-6;
/// One `GetRecords` of a table's stream. The price list names two readers that are free, Lambda's triggers and
/// global tables, and a pipe is neither (<https://aws.amazon.com/dynamodb/pricing/on-demand>).
pub const STREAM_READ: f64 = 0.2e-6;
pub const QUEUE_REQUEST: f64 = 0.4e-6;
/// A message of an SNS topic, of up to 64 KB. Deliveries to SQS are free.
pub const PUBLISHED: f64 = 0.5e-6;
pub const SCHEDULED: f64 = 1e-6;
/// A month.
pub const SECRET: f64 = 0.40;
pub const METRIC: f64 = 0.30;
pub const ALARM: f64 = 0.10;
pub const COMPOSITE_ALARM: f64 = 0.50;
pub const DASHBOARD: f64 = 3.0;
pub const LOG_GB: f64 = 0.50;
pub const TRACE: f64 = 5e-6;
/// From `CloudFront` to readers. What functions send to `CloudFront` is free.
pub const EDGE_GB: f64 = 0.085;
pub const EDGE_REQUEST: f64 = 1e-6;
/// A request through an HTTP API.
pub const API_REQUEST: f64 = 1e-6;
