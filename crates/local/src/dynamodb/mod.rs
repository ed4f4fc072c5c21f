//! `DynamoDB` and its Streams on one machine: `dynoxide` over one `SQLite` file.
//!
//! This module adds a dispatcher that keeps blocking calls off the async workers, stream writes that
//! stay fast as the stream fills, a signal for new stream records, and expiry.

mod database;
mod dispatch;
mod statement;
mod storage;
mod stream;
mod ttl;

pub use self::database::{DynamoDb, STREAM_RECORDS_MAX};
pub(crate) use self::statement::written_table;
pub use self::stream::{InvalidSequenceNumber, SequenceNumber, StreamRecord};
pub use self::ttl::TtlSweeper;
