//! Reads the stream of `Activities`, and keeps the position in a file.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use aws_sdk_dynamodbstreams::Client;
use aws_sdk_dynamodbstreams::types::{Record, Shard, ShardIteratorType};
use aws_types::SdkConfig;
use serde::{Deserialize, Serialize};

/// Records of one batch. A batch that is interrupted is read again as a whole.
const BATCH: i32 = 100;

/// `DescribeStream` returns at most 100 shards a page.
const SHARD_PAGES_MAX: usize = 100;

pub struct Stream {
    client: Client,
    arn: String,
    file: PathBuf,
    position: Position,
    /// Where to read next in each shard; `None` if it is closed and read to its end. Losing them loses nothing.
    iterators: BTreeMap<String, Option<String>>,
}

/// Up to where the stream is processed.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Position {
    /// The position is worth nothing in the stream of another table of this name.
    stream: String,
    /// The last record of each shard.
    shards: BTreeMap<String, String>,
}

/// Records of one shard.
pub struct Batch {
    shard: String,
    pub records: Vec<Record>,
    next: Option<String>,
}

impl Stream {
    /// The stream of a table from the position in a file, or from its beginning.
    pub async fn open(aws: &SdkConfig, table: &str, file: PathBuf) -> anyhow::Result<Self> {
        let client = Client::new(aws);
        let streams = client.list_streams().table_name(table).send().await;
        let streams = streams
            .context("cannot list the streams")?
            .streams
            .unwrap_or_default();
        // The last one is the newest. A table keeps its former streams for a day.
        let arn = streams
            .into_iter()
            .next_back()
            .and_then(|stream| stream.stream_arn);
        let arn = arn.with_context(|| format!("the table {table} has no stream"))?;
        let position = match fs::read(&file) {
            Ok(json) => serde_json::from_slice(&json)
                .with_context(|| format!("{} is not a position in a stream; delete it", file.display()))?,
            Err(error) if error.kind() == ErrorKind::NotFound => Position::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", file.display())),
        };
        let position = if position.stream == arn {
            position
        } else {
            Position {
                stream: arn.clone(),
                shards: BTreeMap::new(),
            }
        };
        Ok(Self {
            client,
            arn,
            file,
            position,
            iterators: BTreeMap::new(),
        })
    }

    /// The next records of each shard that has some.
    pub async fn read(&mut self) -> anyhow::Result<Vec<Batch>> {
        let mut batches = Vec::new();
        for shard in self.shards().await? {
            let shard = shard.shard_id.context("a shard has no id")?;
            // An iterator may have expired.
            let iterator = match self.iterators.remove(&shard) {
                Some(None) => {
                    self.iterators.insert(shard, None);
                    continue;
                }
                Some(Some(iterator)) => iterator,
                None => self.iterator(&shard).await?,
            };
            let read = self.client.get_records().shard_iterator(iterator).limit(BATCH);
            let read = read.send().await.context("cannot read the stream")?;
            let next = read.next_shard_iterator;
            match read.records {
                Some(records) if !records.is_empty() => batches.push(Batch { shard, records, next }),
                _ => drop(self.iterators.insert(shard, next)),
            }
        }
        Ok(batches)
    }

    async fn shards(&self) -> anyhow::Result<Vec<Shard>> {
        let mut shards = Vec::new();
        let mut start = None;
        for _ in 0..SHARD_PAGES_MAX {
            let describe = self.client.describe_stream().stream_arn(&self.arn);
            let page = describe.set_exclusive_start_shard_id(start).send().await;
            let page = page.context("cannot describe the stream")?.stream_description;
            let page = page.context("the stream has no description")?;
            shards.extend(page.shards.unwrap_or_default());
            start = page.last_evaluated_shard_id;
            if start.is_none() {
                return Ok(shards);
            }
        }
        bail!("the stream has more than {SHARD_PAGES_MAX} pages of shards")
    }

    /// An iterator from the position in a shard.
    async fn iterator(&self, shard: &str) -> anyhow::Result<String> {
        let after = self.position.shards.get(shard);
        let from = match after {
            Some(_) => ShardIteratorType::AfterSequenceNumber,
            None => ShardIteratorType::TrimHorizon,
        };
        let request = self
            .client
            .get_shard_iterator()
            .stream_arn(&self.arn)
            .shard_id(shard);
        let request = request
            .shard_iterator_type(from)
            .set_sequence_number(after.cloned());
        let iterator = request
            .send()
            .await
            .context("cannot find the position in the stream")?;
        iterator.shard_iterator.context("a shard has no iterator")
    }

    /// Keeps the end of a batch as the position.
    pub fn keep(&mut self, batch: Batch) -> anyhow::Result<()> {
        let last = batch.records.last().and_then(|record| record.dynamodb.as_ref());
        let last = last.and_then(|change| change.sequence_number.clone());
        let last = last.context("a record has no sequence number")?;
        self.position.shards.insert(batch.shard.clone(), last);
        self.iterators.insert(batch.shard, batch.next);
        // A crash in between leaves the former file whole.
        let new = self.file.with_extension("new");
        fs::write(&new, serde_json::to_vec(&self.position)?)
            .and_then(|()| fs::rename(&new, &self.file))
            .with_context(|| format!("cannot write {}", self.file.display()))
    }
}
