//! The `SQLite` file, and the one thread that works on it.

use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, anyhow};
use dynoxide::Database;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

const FILE: &str = "dynamodb.sqlite";

/// Calls that may wait for the thread; further callers wait to hand theirs in.
const QUEUE_MAX: usize = 1024;

/// Stream records between two trims. A trim deletes as many, in about a millisecond, so no single
/// write pays for much more than its own.
const TRIM_EVERY: u32 = 256;

type Job = Box<dyn FnOnce(&Database) + Send>;

/// Runs calls one after another on a thread of its own.
///
/// The database has one lock and blocks its caller, so more threads would only contend for it, and
/// an async worker would stand still meanwhile. Requests are decoded and answers encoded outside.
pub(super) struct Storage {
    /// `None` only while dropping, which is how the thread learns that it is over.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    database: Database,
}

impl Storage {
    pub(super) fn open(directory: Option<&Path>, stream_records: u32) -> anyhow::Result<Self> {
        let location = match directory {
            Some(directory) => {
                std::fs::create_dir_all(directory)
                    .with_context(|| format!("creating {}", directory.display()))?;
                let path = directory.join(FILE);
                path.into_os_string()
                    .into_string()
                    .map_err(|path| anyhow!("{} is not UTF-8", path.display()))?
            }
            // Shared, so that a second connection reaches the same database in memory.
            None => format!("file:{}?mode=memory&cache=shared", Uuid::new_v4()),
        };
        let database = Database::new(&location).with_context(|| format!("opening {location}"))?;
        // With syncing on, each write waits for the disk: a tenth of the throughput, to survive
        // power cuts that a stack for development need not survive.
        database.enable_bulk_loading()?;
        prepare_stream_records(&Connection::open(&location)?, stream_records)
            .context("preparing the table of stream records")?;

        let (jobs, mut waiting) = mpsc::channel::<Job>(QUEUE_MAX);
        let thread = thread::Builder::new().name("dynamodb".into()).spawn({
            let database = database.clone();
            move || {
                while let Some(job) = waiting.blocking_recv() {
                    job(&database);
                }
            }
        })?;
        Ok(Self {
            jobs: Some(jobs),
            thread: Some(thread),
            database,
        })
    }

    /// The database itself, for what may block and should not hold up the calls.
    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// Fails only if the thread is gone, which means that an earlier call panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&Database) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |database| {
            // A caller that has given up wants no answer, yet its write stands.
            drop(reply.send(call(database)));
        });
        let jobs = self.jobs.as_ref().context("the database is closing")?;
        jobs.send(job).await.ok().context("the database has stopped")?;
        answer.await.context("the database has stopped")
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the database's thread had panicked");
        }
    }
}

/// Makes an index and a trigger that keep stream writes as fast with a full stream as with an empty one.
///
/// To number a record the emulator looks for the greatest number of its table, and to read a
/// stream it looks for what follows a number, both over a table that it neither indexes nor ever
/// trims: without these, writes get slower with every record written. One index serves both, since a
/// table has one shard here.
fn prepare_stream_records(connection: &Connection, keep: u32) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE INDEX IF NOT EXISTS stream_records_in_order
             ON _stream_records (table_name, CAST(sequence_number AS INTEGER), shard_id);
         DROP TRIGGER IF EXISTS trim_stream_records;
         CREATE TRIGGER trim_stream_records AFTER INSERT ON _stream_records
             WHEN NEW.id % {TRIM_EVERY} = 0
             BEGIN DELETE FROM _stream_records WHERE id <= NEW.id - {keep}; END;"
    ))
}
