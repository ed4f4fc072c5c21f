//! The database, and the signal that one of its streams has new records.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use anyhow::Context as _;
use dynoxide::Database;
use dynoxide::actions::list_streams::ListStreamsRequest;
use tokio::sync::watch;

use super::storage::Storage;

/// How many stream records a database keeps, over all its streams. Older ones are trimmed.
///
/// AWS keeps 24 hours of them. Here a count limits disk use: a record with its index entries takes about
/// 1 KB, so this is at most 1 GB, and a pipe may be paused for a million writes.
pub const STREAM_RECORDS_MAX: u32 = 1_000_000;

/// A database; clones share it. It is closed when the last clone is dropped.
#[derive(Clone)]
pub struct DynamoDb {
    pub(super) storage: Arc<Storage>,
    streams: Arc<RwLock<Streams>>,
    changes: watch::Sender<u64>,
    /// An eventually consistent read of up to 4 KB takes half a unit.
    half_read_units: Arc<AtomicU64>,
}

/// The ARN of each table's stream, for the tables that have one.
pub(super) type Streams = HashMap<String, String>;

impl DynamoDb {
    /// Opens the database in `directory`, or creates it there. Without a directory it lives in memory.
    ///
    /// Syncing to disk is off: writes survive the process, but not a power cut.
    pub fn open(directory: Option<&Path>) -> anyhow::Result<Self> {
        Self::open_keeping(directory, STREAM_RECORDS_MAX)
    }

    /// As [`open`](Self::open), but keeps only the last `stream_records` of its streams, plus those
    /// written since the last trim.
    pub fn open_keeping(directory: Option<&Path>, stream_records: u32) -> anyhow::Result<Self> {
        let storage = Storage::open(directory, stream_records)?;
        let streams = load_streams(storage.database()).context("cannot list the streams of the tables")?;
        Ok(Self {
            storage: Arc::new(storage),
            streams: Arc::new(RwLock::new(streams)),
            changes: watch::Sender::new(0),
            half_read_units: Arc::default(),
        })
    }

    /// Changes after each successful write to a table with a stream.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// The read units of all `GetItem` and `Query` calls so far.
    pub fn read_units(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "units of one process, far below 2^52")]
        let halves = self.half_read_units.load(Ordering::Relaxed) as f64;
        halves / 2.0
    }

    pub(super) fn add_read_units(&self, units: f64) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "units are whole halves of at most 256 units"
        )]
        let halves = (units * 2.0) as u64;
        self.half_read_units.fetch_add(halves, Ordering::Relaxed);
    }

    pub(super) fn announce_change(&self) {
        self.changes
            .send_modify(|generation| *generation = generation.wrapping_add(1));
    }

    pub(super) fn has_stream(&self, table: &str) -> bool {
        self.streams
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .contains_key(table)
    }

    pub(super) fn stream_arn(&self, table: &str) -> Option<String> {
        self.streams
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(table)
            .cloned()
    }

    pub(super) fn replace_streams(&self, streams: Streams) {
        *self.streams.write().unwrap_or_else(PoisonError::into_inner) = streams;
    }
}

pub(super) fn load_streams(database: &Database) -> dynoxide::Result<Streams> {
    let listed = database.list_streams(ListStreamsRequest::default())?;
    Ok(listed
        .streams
        .into_iter()
        .map(|stream| (stream.table_name, stream.stream_arn))
        .collect())
}
