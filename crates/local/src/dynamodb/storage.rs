//! The `SQLite` file, and the one thread that uses it.

use std::path::Path;
use std::thread::{self, JoinHandle};

use anyhow::{Context as _, anyhow};
use dynoxide::Database;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};
use uuid::Uuid;

const FILE: &str = "dynamodb.sqlite";

/// How many calls may wait for the thread in each lane. Further callers wait for a free slot.
const QUEUE_MAX: usize = 1024;

/// How many short calls may overtake a waiting long one. Without a limit, a steady load of puts would
/// starve transactions.
const OVERTAKES_MAX: u32 = 16;

/// Stream records between two trims. A trim deletes that many in about a millisecond, so no single
/// write becomes slow.
const TRIM_EVERY: u32 = 256;

type Job = Box<dyn FnOnce(&Database) + Send>;

/// How long a call holds the database. A put takes tens of microseconds; a transaction of a hundred
/// actions or a page of a megabyte takes milliseconds. In a single queue, a put would wait for all
/// transactions of a batch, which it does not on AWS.
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

    /// The lane of a batch of statements. Those of counting are like transactions. Those of ingest are like
    /// puts: it alone writes to a table with a stream, and 25 inserts take about a millisecond.
    pub(super) fn of_statements(are_writes: bool, have_stream: bool) -> Self {
        if are_writes && !have_stream {
            Self::Long
        } else {
            Self::Short
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
    /// The next call; `None` once both lanes are closed.
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
/// The database has one lock and blocks its caller. More threads would only contend for the lock, and
/// async workers would block. Requests are decoded and answers encoded outside this thread.
pub(super) struct Storage {
    /// `None` only while dropping, which ends the thread.
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
                    .with_context(|| format!("cannot create the directory {}", directory.display()))?;
                let path = directory.join(FILE);
                path.into_os_string()
                    .into_string()
                    .map_err(|path| anyhow!("{} is not UTF-8", path.display()))?
            }
            // A shared cache, so that a second connection reaches the same database in memory.
            None => format!("file:{}?mode=memory&cache=shared", Uuid::new_v4()),
        };
        let database =
            Database::new(&location).with_context(|| format!("cannot open the database {location}"))?;
        // With syncing on, each write waits for the disk, which cuts throughput to a tenth. A stack for
        // development need not survive power cuts.
        database
            .enable_bulk_loading()
            .with_context(|| format!("cannot turn syncing off for the database {location}"))?;
        Connection::open(&location)
            .and_then(|connection| prepare_stream_records(&connection, stream_records))
            .with_context(|| format!("cannot prepare the stream records of the database {location}"))?;

        let (short, waiting_short) = mpsc::channel(QUEUE_MAX);
        let (long, waiting_long) = mpsc::channel(QUEUE_MAX);
        let mut waiting = Waiting {
            short: waiting_short,
            long: waiting_long,
            overtakes: 0,
        };
        // It only waits for the two lanes. The calls block it, so nothing else may run on it.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .context("cannot create the runtime of the database")?;
        let thread = thread::Builder::new().name("dynamodb".into()).spawn({
            let database = database.clone();
            move || {
                runtime.block_on(async {
                    while let Some(job) = waiting.next().await {
                        job(&database);
                    }
                });
            }
        });
        let thread = thread.context("cannot start the thread of the database")?;
        Ok(Self {
            jobs: Some(Jobs { short, long }),
            thread: Some(thread),
            database,
        })
    }

    /// The database itself, for work that may block and must not delay the calls.
    pub(super) fn database(&self) -> &Database {
        &self.database
    }

    /// Fails only if the thread has ended, which means that an earlier call panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        lane: Lane,
        call: impl FnOnce(&Database) -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |database| {
            // A caller that has given up needs no answer; its write remains.
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

/// Creates an index and a trigger that keep stream writes as fast with a full stream as with an empty one.
///
/// To number a record, the emulator looks for the greatest number of its table. To read a stream, it
/// looks for the records after a number. Both scan a table that it neither indexes nor trims, so writes
/// would get slower with every record. One index serves both, because a table has one shard here.
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
