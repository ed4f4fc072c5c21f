//! Reading a table's stream within the process.

use std::fmt;

use anyhow::Context as _;
use dynoxide::Database;
use dynoxide::actions::get_records::{GetRecordsRequest, Record};
use dynoxide::actions::get_shard_iterator::GetShardIteratorRequest;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::database::DynamoDb;
use super::storage::Lane;

/// A position in a shard: 21 to 40 decimal digits, as AWS has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SequenceNumber(String);

#[derive(Debug, thiserror::Error)]
#[error("a sequence number is 21 to 40 decimal digits, not {0:?}")]
pub struct InvalidSequenceNumber(String);

impl TryFrom<String> for SequenceNumber {
    type Error = InvalidSequenceNumber;

    fn try_from(raw: String) -> Result<Self, InvalidSequenceNumber> {
        let digits = raw.bytes().all(|byte| byte.is_ascii_digit());
        if digits && (21..=40).contains(&raw.len()) {
            Ok(Self(raw))
        } else {
            Err(InvalidSequenceNumber(raw))
        }
    }
}

impl From<SequenceNumber> for String {
    fn from(number: SequenceNumber) -> Self {
        number.0
    }
}

impl fmt::Display for SequenceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One change of one item.
#[derive(Clone, Debug)]
pub struct StreamRecord {
    pub sequence_number: SequenceNumber,
    /// In whole seconds.
    pub created_at: Timestamp,
    pub stream_arn: String,
    pub shard_id: String,
    /// The record as a pipe delivers it: `eventID`, `eventName`, `eventVersion`, `eventSource`,
    /// `awsRegion`, `dynamodb`, `eventSourceARN`, and `userIdentity` if the item expired.
    pub document: Value,
}

impl StreamRecord {
    /// Parses a record of `GetRecords`, which does not name its stream and has its creation time as a
    /// fractional number.
    pub fn from_api(mut document: Value, stream_arn: &str, shard_id: &str) -> anyhow::Result<Self> {
        let change = document
            .get_mut("dynamodb")
            .filter(|change| change.is_object())
            .context("dynamodb must be an object in a stream record")?;
        let created_at = change["ApproximateCreationDateTime"]
            .as_f64()
            .context("dynamodb.ApproximateCreationDateTime must be a number in a stream record")?;
        let created_at = SignedDuration::try_from_secs_f64(created_at)
            .and_then(Timestamp::from_duration)
            .and_then(|created_at| Timestamp::from_second(created_at.as_second()))
            .context("dynamodb.ApproximateCreationDateTime of a stream record is out of range")?;
        change["ApproximateCreationDateTime"] = created_at.as_second().into();
        let sequence_number = change["SequenceNumber"]
            .as_str()
            .context("dynamodb.SequenceNumber must be a string in a stream record")?
            .to_owned()
            .try_into()
            .context("dynamodb.SequenceNumber of a stream record is invalid")?;
        document["eventSourceARN"] = stream_arn.into();
        Ok(Self {
            sequence_number,
            created_at,
            stream_arn: stream_arn.to_owned(),
            shard_id: shard_id.to_owned(),
            document,
        })
    }
}

impl DynamoDb {
    /// Up to `limit` (and 1,000) records of the table's stream after `after`, or from the oldest kept,
    /// oldest first. An empty result means that there are no more.
    ///
    /// Fails if the table has no stream.
    pub async fn records(
        &self,
        table: &str,
        after: Option<SequenceNumber>,
        limit: usize,
    ) -> anyhow::Result<Vec<StreamRecord>> {
        let arn = self
            .stream_arn(table)
            .with_context(|| format!("the table {table} has no stream"))?;
        let shard_id = dynoxide::streams::shard_id(table);
        let request = GetShardIteratorRequest {
            stream_arn: arn.clone(),
            shard_id: shard_id.clone(),
            shard_iterator_type: match after {
                Some(_) => "AFTER_SEQUENCE_NUMBER".to_owned(),
                None => "TRIM_HORIZON".to_owned(),
            },
            sequence_number: after.map(|after| after.0),
        };
        let records = self
            .storage
            .run(Lane::Short, move |database| get_records(database, request, limit))
            .await?
            .with_context(|| format!("reading the stream of {table}"))?;
        records
            .into_iter()
            .map(|record| StreamRecord::from_api(serde_json::to_value(record)?, &arn, &shard_id))
            .collect()
    }
}

fn get_records(
    database: &Database,
    request: GetShardIteratorRequest,
    limit: usize,
) -> dynoxide::Result<Vec<Record>> {
    let Some(shard_iterator) = database.get_shard_iterator(request)?.shard_iterator else {
        return Ok(Vec::new());
    };
    let request = GetRecordsRequest {
        shard_iterator,
        limit: Some(limit),
    };
    Ok(database.get_records(request)?.records)
}
