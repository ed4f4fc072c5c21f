//! Reads a table's stream through the API of `DynamoDB` Streams.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::error::SdkError;
use aws_sdk_dynamodbstreams::operation::get_records::GetRecordsOutput;
use aws_sdk_dynamodbstreams::operation::get_shard_iterator::GetShardIteratorError;
use aws_sdk_dynamodbstreams::types::{Shard, ShardIteratorType};
use futures::FutureExt as _;
use futures::future::BoxFuture;
use local::dynamodb::{SequenceNumber, StreamRecord};
use local::pipe::{Position, SHARDS_MAX, Source};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::sdk_record;

/// The stream sends no notifications, so it is polled. AWS allows five reads per shard and second.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// How long the list of shards is cached. It is refreshed at once when a shard ends, because child shards
/// replace it.
const SHARDS_KNOWN_FOR: Duration = Duration::from_secs(5);

/// `DescribeStream` returns at most 100 shards a page.
const SHARD_PAGES_MAX: usize = SHARDS_MAX / 100;

/// A read is retried when its iterator has expired or its records were trimmed meanwhile.
const READS_MAX: usize = 3;

pub struct SdkStream {
    client: Client,
    arn: String,
    reading: Mutex<Reading>,
}

/// A cache that saves calls. Losing it loses no records.
#[derive(Default)]
struct Reading {
    shards: Vec<Shard>,
    listed_at: Option<Instant>,
    cursors: HashMap<String, Cursor>,
    /// The shard to read first. It rotates, so that a busy shard does not starve the others.
    first: usize,
}

/// Where to continue reading a shard.
struct Cursor {
    /// The last record before it.
    after: Option<SequenceNumber>,
    /// `None` once the shard is closed and fully read.
    iterator: Option<String>,
}

impl Reading {
    /// The cursor of a shard, if it is at the position `after`.
    fn cursor(&self, shard_id: &str, after: Option<&SequenceNumber>) -> Option<&Cursor> {
        self.cursors
            .get(shard_id)
            .filter(|cursor| cursor.after.as_ref() == after)
    }

    fn is_read(&self, shard_id: &str, after: Option<&SequenceNumber>) -> bool {
        self.cursor(shard_id, after)
            .is_some_and(|cursor| cursor.iterator.is_none())
    }

    /// Whether the shard's parent is fully read. A parent that is no longer listed has expired.
    fn may_be_read(&self, shard: &Shard, after: &Position) -> bool {
        let parent = self
            .shards
            .iter()
            .filter_map(Shard::shard_id)
            .find(|id| Some(*id) == shard.parent_shard_id());
        parent.is_none_or(|parent| self.is_read(parent, after.of(parent)))
    }
}

impl Source for SdkStream {
    fn records<'a>(
        &'a self,
        after: &'a Position,
        limit: usize,
    ) -> BoxFuture<'a, anyhow::Result<Vec<StreamRecord>>> {
        self.read(after, limit).boxed()
    }

    fn change(&self) -> BoxFuture<'static, ()> {
        tokio::time::sleep(POLL_EVERY).boxed()
    }
}

impl SdkStream {
    pub fn new(client: Client, arn: String) -> Self {
        Self {
            client,
            arn,
            reading: Mutex::default(),
        }
    }

    /// Reads the shards in turn until there are enough records.
    async fn read(&self, after: &Position, limit: usize) -> anyhow::Result<Vec<StreamRecord>> {
        let mut reading = self.reading.lock().await;
        let known = reading
            .listed_at
            .is_some_and(|listed_at| listed_at.elapsed() < SHARDS_KNOWN_FOR);
        if !known {
            let Reading { shards, cursors, .. } = &mut *reading;
            *shards = self.list_shards().await?;
            cursors.retain(|id, _| shards.iter().any(|shard| shard.shard_id() == Some(id)));
            reading.listed_at = Some(Instant::now());
        }
        let mut reached = after.clone();
        let mut records = Vec::new();
        let (shards, first) = (reading.shards.clone(), reading.first);
        for step in 0..shards.len() {
            let index = (first + step) % shards.len();
            let shard = &shards[index];
            let id = shard.shard_id().context("a shard without an id")?;
            if reading.is_read(id, reached.of(id)) || !reading.may_be_read(shard, &reached) {
                continue;
            }
            let read = self
                .read_shard(&mut reading, id, &reached, limit - records.len())
                .await?;
            if let Some(last) = read.last() {
                reached.advance(id, last.sequence_number.clone());
            }
            records.extend(read);
            reading.first = index + 1;
            if records.len() >= limit {
                break;
            }
        }
        Ok(records)
    }

    async fn read_shard(
        &self,
        reading: &mut Reading,
        shard_id: &str,
        after: &Position,
        limit: usize,
    ) -> anyhow::Result<Vec<StreamRecord>> {
        let after = after.of(shard_id);
        let cursor = reading.cursor(shard_id, after);
        let iterator = cursor.and_then(|cursor| cursor.iterator.clone());
        let page = self.page(shard_id, after, iterator, limit).await?;
        let records = page
            .records()
            .iter()
            .map(|record| StreamRecord::from_api(sdk_record::document(record)?, &self.arn, shard_id))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let last = records.last().map(|last| last.sequence_number.clone());
        if page.next_shard_iterator.is_none() {
            reading.listed_at = None;
        }
        let cursor = Cursor {
            after: last.or_else(|| after.cloned()),
            iterator: page.next_shard_iterator,
        };
        reading.cursors.insert(shard_id.to_owned(), cursor);
        Ok(records)
    }

    async fn page(
        &self,
        shard_id: &str,
        after: Option<&SequenceNumber>,
        iterator: Option<String>,
        limit: usize,
    ) -> anyhow::Result<GetRecordsOutput> {
        let mut iterator = match iterator {
            Some(iterator) => iterator,
            None => self.iterator(shard_id, after).await?,
        };
        for _ in 0..READS_MAX {
            let read = self
                .client
                .get_records()
                .shard_iterator(&iterator)
                .limit(i32::try_from(limit)?)
                .send()
                .await;
            let error = match read {
                Ok(page) => return Ok(page),
                Err(error) => error,
            };
            match error.as_service_error() {
                Some(refused) if refused.is_expired_iterator_exception() => {
                    iterator = self.iterator(shard_id, after).await?;
                }
                Some(refused) if refused.is_trimmed_data_access_exception() => {
                    iterator = self.iterator(shard_id, None).await?;
                }
                _ => return Err(error).with_context(|| format!("reading the shard {shard_id}")),
            }
        }
        bail!("the shard {shard_id} could not be read {READS_MAX} times in a row")
    }

    /// An iterator after a record, or at the oldest record that the shard still has.
    async fn iterator(&self, shard_id: &str, after: Option<&SequenceNumber>) -> anyhow::Result<String> {
        let request = self
            .client
            .get_shard_iterator()
            .stream_arn(&self.arn)
            .shard_id(shard_id);
        let from_oldest = request
            .clone()
            .shard_iterator_type(ShardIteratorType::TrimHorizon);
        let given = match after {
            None => from_oldest.send().await,
            Some(after) => {
                let given = request
                    .shard_iterator_type(ShardIteratorType::AfterSequenceNumber)
                    .sequence_number(after.to_string())
                    .send()
                    .await;
                let refused = given.as_ref().err().and_then(SdkError::as_service_error);
                // The trimmed records are gone. Continue with the oldest that is left.
                if refused.is_some_and(GetShardIteratorError::is_trimmed_data_access_exception) {
                    from_oldest.send().await
                } else {
                    given
                }
            }
        };
        given
            .with_context(|| format!("getting an iterator of the shard {shard_id}"))?
            .shard_iterator
            .with_context(|| format!("the answer has no iterator for the shard {shard_id}"))
    }

    async fn list_shards(&self) -> anyhow::Result<Vec<Shard>> {
        let mut shards = Vec::new();
        let mut start = None;
        for _ in 0..SHARD_PAGES_MAX {
            let described = self
                .client
                .describe_stream()
                .stream_arn(&self.arn)
                .set_exclusive_start_shard_id(start)
                .send()
                .await
                .with_context(|| format!("describing the stream {}", self.arn))?;
            let stream = described.stream_description.context("no description")?;
            shards.extend(stream.shards.unwrap_or_default());
            start = stream.last_evaluated_shard_id;
            if start.is_none() {
                return Ok(shards);
            }
        }
        bail!("the stream {} has more than {SHARDS_MAX} shards", self.arn)
    }
}
