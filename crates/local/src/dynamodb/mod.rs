//! `DynamoDB` and its Streams on one machine: `dynoxide` over one `SQLite` file.
//!
//! What this adds to it: a dispatcher that keeps its blocking calls off the async workers, stream
//! writes that stay as fast as they begin, a signal that a stream has moved, and expiry.

mod dispatch;
mod storage;
mod stream;
mod ttl;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use dynoxide::Database;
use dynoxide::actions::list_streams::ListStreamsRequest;
use tokio::sync::watch;

use self::storage::Storage;
pub use self::stream::{InvalidSequenceNumber, SequenceNumber, StreamRecord};
pub use self::ttl::TtlSweeper;

/// Records kept per database, over all its streams; older ones are trimmed.
///
/// AWS keeps 24 hours of them. A count bounds the disk instead: at about 1 KB a record with its
/// index entries this is at most 1 GB, and a pipe may be paused for a million writes.
pub const STREAM_RECORDS_MAX: u32 = 1_000_000;

/// A database; clones share it. It is closed when the last clone is dropped.
#[derive(Clone)]
pub struct DynamoDb {
    storage: Arc<Storage>,
    streams: Arc<RwLock<Streams>>,
    changes: watch::Sender<u64>,
}

/// The ARN of each table's stream, for the tables that have one.
type Streams = HashMap<String, String>;

impl DynamoDb {
    /// Opens the database kept in `directory`, or makes it there. Without a directory it lives in
    /// memory.
    ///
    /// Syncing to disk is off: what was written outlives the process, though not a power cut.
    pub fn open(directory: Option<&Path>) -> anyhow::Result<Self> {
        Self::open_keeping(directory, STREAM_RECORDS_MAX)
    }

    /// As [`open`](Self::open), but keeps only the last `stream_records` of its streams, give or
    /// take the few between two trims.
    pub fn open_keeping(directory: Option<&Path>, stream_records: u32) -> anyhow::Result<Self> {
        let storage = Storage::open(directory, stream_records)?;
        let streams = load_streams(storage.database()).context("listing the streams")?;
        Ok(Self {
            storage: Arc::new(storage),
            streams: Arc::new(RwLock::new(streams)),
            changes: watch::Sender::new(0),
        })
    }

    /// Moves whenever a write to a table with a stream has succeeded.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn announce_change(&self) {
        self.changes
            .send_modify(|generation| *generation = generation.wrapping_add(1));
    }

    fn has_stream(&self, table: &str) -> bool {
        self.streams
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(table)
    }

    fn stream_arn(&self, table: &str) -> Option<String> {
        self.streams
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(table)
            .cloned()
    }

    fn replace_streams(&self, streams: Streams) {
        *self.streams.write().unwrap_or_else(PoisonError::into_inner) = streams;
    }
}

fn load_streams(database: &Database) -> dynoxide::Result<Streams> {
    let listed = database.list_streams(ListStreamsRequest::default())?;
    Ok(listed
        .streams
        .into_iter()
        .map(|stream| (stream.table_name, stream.stream_arn))
        .collect())
}
