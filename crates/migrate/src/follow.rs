//! Follows the stream of a table: every open shard from its oldest record on, resumed where it was left.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsError;
use aws_sdk_dynamodbstreams::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_dynamodbstreams::types::{AttributeValue as Streamed, OperationType, ShardIteratorType};
use bridge::Item;
use futures::stream::{self, StreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::state::BEAT_EVERY;

/// Records of one shard that are handled before the next are read; what one call returns at most.
const RECORDS: i32 = 1_000;
/// How long to rest after a round without a record.
const REST: Duration = Duration::from_millis(250);
/// How often to look for new shards.
const LOOK_EVERY: Duration = Duration::from_secs(10);
const SHARDS_AT_ONCE: usize = 16;
/// A stream keeps records for 24 hours. Whoever did not read for longer than this may have missed some.
const KEPT: SignedDuration = SignedDuration::from_hours(23);

/// How far a stream is followed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Followed {
    pub stream: String,
    /// Everything that was written since is read, sooner or later. `None` until all open shards are read.
    pub covers_since: Option<Timestamp>,
    /// When the process that follows was last known to run.
    pub beat_at: Option<Timestamp>,
    /// When the last record was carried.
    pub carried_at: Option<Timestamp>,
    pub carried: u64,
    pub refused: u64,
    shards: BTreeMap<String, Shard>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Shard {
    /// The last record that was handled; `None` at the beginning.
    after: Option<String>,
    /// Whether it is closed and read to its end.
    is_done: bool,
}

/// What became of the records of one call.
#[derive(Clone, Copy, Debug, Default)]
pub struct Handled {
    pub carried: u64,
    pub refused: u64,
}

pub struct Follower {
    client: Client,
    pub followed: Followed,
    /// Where the next call for a shard reads. They expire, so they are not kept.
    iterators: BTreeMap<String, String>,
    looked_at: Option<Instant>,
}

/// What one call for a shard returned.
struct Page {
    shard: String,
    items: Vec<Item>,
    last: Option<String>,
    next: Option<String>,
}

enum Read {
    Page(Page),
    /// The iterator is too old. The position is not.
    Expired(String),
    /// The position is too old: records after it are gone.
    Trimmed(String),
}

impl Follower {
    /// Goes on from what an earlier process has followed.
    pub fn new(client: Client, stream: String, former: Followed) -> Self {
        let now = Timestamp::now();
        let is_gap = former
            .beat_at
            .is_some_and(|beat_at| now.duration_since(beat_at) > KEPT);
        let mut followed = if former.stream == stream {
            former
        } else {
            Followed {
                stream,
                carried: former.carried,
                refused: former.refused,
                ..Followed::default()
            }
        };
        if is_gap {
            followed.covers_since = None;
        }
        Self {
            client,
            followed,
            iterators: BTreeMap::new(),
            looked_at: None,
        }
    }

    /// Reads each open shard once, and has the new images of its records handled. `save` is called when the positions
    /// have moved, and at least every [`BEAT_EVERY`]. Returns whether there was anything.
    pub async fn round(
        &mut self,
        handle: impl AsyncFn(Vec<Item>) -> anyhow::Result<Handled>,
        save: impl Fn(&Followed) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        if self.looked_at.is_none_or(|at| at.elapsed() >= LOOK_EVERY) {
            self.look_for_shards().await?;
            self.looked_at = Some(Instant::now());
        }
        self.begin_iterators().await?;
        if self.followed.covers_since.is_none() {
            self.followed.covers_since = Some(Timestamp::now());
        }
        let reads: Vec<_> = stream::iter(self.iterators.clone())
            .map(|(shard, iterator)| read(&self.client, shard, iterator))
            .buffer_unordered(SHARDS_AT_ONCE)
            .collect()
            .await;
        let mut has_any = false;
        for read in reads {
            match read? {
                Read::Page(page) => {
                    has_any |= page.last.is_some();
                    self.take(page, &handle).await?;
                }
                Read::Expired(shard) => {
                    self.iterators.remove(&shard);
                }
                Read::Trimmed(shard) => {
                    eprintln!(
                        "podium: the stream no longer has the records after the last position. Run `podium migrate \
                         backfill` again."
                    );
                    self.iterators.remove(&shard);
                    self.followed.shards.insert(shard, Shard::default());
                    self.followed.covers_since = None;
                }
            }
        }
        self.beat(has_any, save)?;
        Ok(has_any)
    }

    fn beat(&mut self, has_any: bool, save: impl Fn(&Followed) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let now = Timestamp::now();
        let is_due = self
            .followed
            .beat_at
            .is_none_or(|beat_at| now.duration_since(beat_at) >= BEAT_EVERY);
        if has_any || is_due {
            self.followed.beat_at = Some(now);
            save(&self.followed)?;
        }
        Ok(())
    }

    async fn take(
        &mut self,
        page: Page,
        handle: impl AsyncFn(Vec<Item>) -> anyhow::Result<Handled>,
    ) -> anyhow::Result<()> {
        if !page.items.is_empty() {
            let handled = handle(page.items).await?;
            self.followed.carried += handled.carried;
            self.followed.refused += handled.refused;
            if handled.carried > 0 {
                self.followed.carried_at = Some(Timestamp::now());
            }
        }
        let shard = self.followed.shards.entry(page.shard.clone()).or_default();
        if page.last.is_some() {
            shard.after = page.last;
        }
        if let Some(next) = page.next {
            self.iterators.insert(page.shard, next);
        } else {
            shard.is_done = true;
            self.iterators.remove(&page.shard);
        }
        Ok(())
    }

    /// Learns of shards that are new, and forgets those that the stream has no more.
    async fn look_for_shards(&mut self) -> anyhow::Result<()> {
        let mut found = BTreeMap::new();
        let mut after = None;
        loop {
            let described = self.client.describe_stream().stream_arn(&self.followed.stream);
            let described = described.set_exclusive_start_shard_id(after).send().await;
            let described = described.with_context(|| format!("could not read {}", self.followed.stream))?;
            let description = described
                .stream_description
                .unwrap_or_else(|| aws_sdk_dynamodbstreams::types::StreamDescription::builder().build());
            for shard in description.shards.unwrap_or_default() {
                let Some(id) = shard.shard_id else { continue };
                let known = self.followed.shards.remove(&id).unwrap_or_default();
                found.insert(id, known);
            }
            after = description.last_evaluated_shard_id;
            if after.is_none() {
                break;
            }
        }
        self.iterators.retain(|shard, _| found.contains_key(shard));
        self.followed.shards = found;
        Ok(())
    }

    async fn begin_iterators(&mut self) -> anyhow::Result<()> {
        for (id, shard) in &self.followed.shards {
            if shard.is_done || self.iterators.contains_key(id) {
                continue;
            }
            let kind = match shard.after {
                Some(_) => ShardIteratorType::AfterSequenceNumber,
                None => ShardIteratorType::TrimHorizon,
            };
            let begun = self
                .client
                .get_shard_iterator()
                .stream_arn(&self.followed.stream)
                .shard_id(id)
                .shard_iterator_type(kind)
                .set_sequence_number(shard.after.clone());
            let begun = begun.send().await;
            // The first read tells whether the position is still there.
            let iterator = match begun {
                Ok(begun) => begun.shard_iterator,
                Err(error)
                    if error
                        .as_service_error()
                        .is_some_and(GetShardIteratorError::is_trimmed_data_access_exception) =>
                {
                    self.followed.covers_since = None;
                    continue;
                }
                Err(error) => return Err(error).context("could not begin to read a shard of the stream"),
            };
            if let Some(iterator) = iterator {
                self.iterators.insert(id.clone(), iterator);
            }
        }
        Ok(())
    }
}

async fn read(client: &Client, shard: String, iterator: String) -> anyhow::Result<Read> {
    let records = client.get_records().shard_iterator(iterator).limit(RECORDS);
    let records = match records.send().await {
        Ok(records) => records,
        Err(error) => {
            return match error.as_service_error() {
                Some(GetRecordsError::ExpiredIteratorException(_)) => Ok(Read::Expired(shard)),
                Some(GetRecordsError::TrimmedDataAccessException(_)) => Ok(Read::Trimmed(shard)),
                _ => Err(error).context("could not read the stream"),
            };
        }
    };
    let mut page = Page {
        shard,
        items: Vec::new(),
        last: None,
        next: records.next_shard_iterator,
    };
    for record in records.records.unwrap_or_default() {
        let Some(change) = record.dynamodb else { continue };
        page.last = change.sequence_number.or(page.last);
        // What is deleted there stays here; a correction takes it out.
        if record.event_name != Some(OperationType::Remove)
            && let Some(image) = change.new_image
        {
            page.items.push(
                image
                    .into_iter()
                    .map(|(name, value)| (name, of_stream(value)))
                    .collect(),
            );
        }
    }
    Ok(Read::Page(page))
}

/// The same value in the types of the tables' client.
fn of_stream(value: Streamed) -> AttributeValue {
    match value {
        Streamed::S(text) => AttributeValue::S(text),
        Streamed::N(number) => AttributeValue::N(number),
        Streamed::Bool(is_true) => AttributeValue::Bool(is_true),
        Streamed::Ss(texts) => AttributeValue::Ss(texts),
        Streamed::Ns(numbers) => AttributeValue::Ns(numbers),
        Streamed::L(values) => AttributeValue::L(values.into_iter().map(of_stream).collect()),
        Streamed::M(values) => AttributeValue::M(
            values
                .into_iter()
                .map(|(name, value)| (name, of_stream(value)))
                .collect(),
        ),
        // No field of an activity is binary.
        _ => AttributeValue::Null(true),
    }
}

/// Follows a stream until Ctrl-C or SIGTERM. A failure is told, and the next round begins after a pause.
pub async fn until_stopped(
    mut follower: Follower,
    handle: impl AsyncFn(Vec<Item>) -> anyhow::Result<Handled>,
    save: impl Fn(&Followed) -> anyhow::Result<()>,
) -> anyhow::Result<Followed> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    let mut failures = Failures::default();
    loop {
        let round = tokio::select! {
            round = follower.round(&handle, &save) => round,
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
        };
        let pause = match round {
            Ok(true) => {
                failures.over();
                continue;
            }
            Ok(false) => {
                failures.over();
                REST
            }
            Err(error) => {
                // Nothing is skipped: the position stays before what could not be handled.
                follower.iterators.clear();
                failures.tell(&error)
            }
        };
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = tokio::signal::ctrl_c() => break,
            _ = terminate.recv() => break,
        }
    }
    Ok(follower.followed)
}

/// What goes wrong again and again is told now and then.
#[derive(Default)]
struct Failures {
    told_at: Option<Instant>,
    attempt: u32,
}

impl Failures {
    const TELL_EVERY: Duration = Duration::from_secs(10);

    fn tell(&mut self, error: &anyhow::Error) -> Duration {
        if self.told_at.is_none_or(|at| at.elapsed() >= Self::TELL_EVERY) {
            eprintln!("podium: {error:#}; trying again");
            self.told_at = Some(Instant::now());
        }
        let pause = client::retry::wait(self.attempt, None, 1.0).min(Self::TELL_EVERY);
        self.attempt += 1;
        pause
    }

    fn over(&mut self) {
        if self.attempt > 0 {
            eprintln!("podium: going on");
        }
        *self = Self::default();
    }
}
