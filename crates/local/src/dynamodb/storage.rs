//! The `SQLite` file, and the one thread that works on it.

use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, anyhow};
use dynoxide::Database;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

const FILE: &str = "dynamodb.sqlite";

/// Calls that may wait for the thread in each lane; further callers wait to hand theirs in.
const QUEUE_MAX: usize = 1024;

/// Short calls that go ahead of a long one that waits. Without a bound a steady load of puts would keep
/// transactions waiting for ever.
const OVERTAKES_MAX: u32 = 16;

/// Stream records between two trims. A trim deletes as many, in about a millisecond, so no single
/// write pays for much more than its own.
const TRIM_EVERY: u32 = 256;

type Job = Box<dyn FnOnce(&Database) + Send>;

/// How long a call holds the database: a put some tens of microseconds, a transaction of a hundred
/// actions or a page of a megabyte some milliseconds. In one line, a put would wait for all
/// transactions of a batch, which on AWS it does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Short,
    Long,
}

impl Lane {
    pub(super) fn of(operation: &str) -> Self {
        match operation {
            "TransactWriteItems" | "Query" | "Scan" => Self::Long,
            _ => Self::Short,
        }
    }
}

/// The waiting calls of both lanes.
struct Waiting {
    short: mpsc::Receiver<Job>,
    long: mpsc::Receiver<Job>,
    overtakes: u32,
}

impl Waiting {
    /// The next call; `None` once no more can come.
    async fn next(&mut self) -> Option<Job> {
        if self.overtakes < OVERTAKES_MAX {
            tokio::select! {
                biased;
                Some(job) = self.short.recv() => {
                    self.overtakes += 1;
                    return Some(job);
                }
                job = self.long.recv() => {
                    self.overtakes = 0;
                    return job;
                }
            }
        }
        self.overtakes = 0;
        tokio::select! {
            biased;
            Some(job) = self.long.recv() => Some(job),
            job = self.short.recv() => job,
        }
    }
}

/// Runs calls one after another on a thread of its own.
///
/// The database has one lock and blocks its caller, so more threads would only contend for it, and
/// an async worker would stand still meanwhile. Requests are decoded and answers encoded outside.
pub(super) struct Storage {
    /// `None` only while dropping, which is how the thread learns that it is over.
    jobs: Option<Jobs>,
    thread: Option<JoinHandle<()>>,
    database: Database,
}

struct Jobs {
    short: mpsc::Sender<Job>,
    long: mpsc::Sender<Job>,
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

        let (short, waiting_short) = mpsc::channel(QUEUE_MAX);
        let (long, waiting_long) = mpsc::channel(QUEUE_MAX);
        let mut waiting = Waiting {
            short: waiting_short,
            long: waiting_long,
            overtakes: 0,
        };
        // Only to wait for either lane; the calls block it, and nothing else runs on it.
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        let thread = thread::Builder::new().name("dynamodb".into()).spawn({
            let database = database.clone();
            move || {
                runtime.block_on(async {
                    while let Some(job) = waiting.next().await {
                        job(&database);
                    }
                });
            }
        })?;
        Ok(Self {
            jobs: Some(Jobs { short, long }),
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
        lane: Lane,
        call: impl FnOnce(&Database) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |database| {
            // A caller that has given up wants no answer, yet its write stands.
            drop(reply.send(call(database)));
        });
        let jobs = self.jobs.as_ref().context("the database is closing")?;
        let jobs = match lane {
            Lane::Short => &jobs.short,
            Lane::Long => &jobs.long,
        };
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
