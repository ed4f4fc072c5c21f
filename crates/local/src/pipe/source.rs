//! The source of a pipe: a stream of one or more shards.

use std::collections::BTreeMap;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};

use crate::dynamodb::{DynamoDb, SequenceNumber, StreamRecord};

/// How many shards a position covers. AWS replaces a shard about every four hours and forgets it after a
/// day, so this suffices for more than a hundred shards that are written at the same time.
pub const SHARDS_MAX: usize = 1_000;

/// The last record of each shard that is sent, dead-lettered or filtered out. A shard that is missing
/// here is read from the oldest record kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Position(BTreeMap<String, SequenceNumber>);

impl Position {
    pub fn of(&self, shard_id: &str) -> Option<&SequenceNumber> {
        self.0.get(shard_id)
    }

    pub fn advance(&mut self, shard_id: &str, to: SequenceNumber) {
        self.0.insert(shard_id.to_owned(), to);
        self.forget();
    }

    pub(super) fn merge(&mut self, later: Self) {
        self.0.extend(later.0);
        self.forget();
    }

    /// The name of a shard begins with its creation time, so the first ones have expired.
    fn forget(&mut self) {
        while self.0.len() > SHARDS_MAX {
            self.0.pop_first();
        }
    }
}

/// A stream, here or on AWS.
pub trait Source: Send + Sync + 'static {
    /// Up to `limit` records after `after`. Those of one shard come oldest first, and after all records
    /// of the shard that it replaced. An empty result means that there are no more.
    fn records<'a>(
        &'a self,
        after: &'a Position,
        limit: usize,
    ) -> BoxFuture<'a, anyhow::Result<Vec<StreamRecord>>>;

    /// Ready once the stream may have changed since this call.
    fn change(&self) -> BoxFuture<'static, ()>;
}

/// The stream of a table in this process.
pub struct TableStream {
    dynamodb: DynamoDb,
    table: String,
}

impl TableStream {
    pub fn new(dynamodb: DynamoDb, table: impl Into<String>) -> Self {
        Self {
            dynamodb,
            table: table.into(),
        }
    }
}

impl Source for TableStream {
    fn records<'a>(
        &'a self,
        after: &'a Position,
        limit: usize,
    ) -> BoxFuture<'a, anyhow::Result<Vec<StreamRecord>>> {
        let after = after.of(&dynoxide::streams::shard_id(&self.table)).cloned();
        self.dynamodb.records(&self.table, after, limit).boxed()
    }

    fn change(&self) -> BoxFuture<'static, ()> {
        let mut changes = self.dynamodb.changes();
        // An error means that the database is closed, which the next read reports.
        async move { drop(changes.changed().await) }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_forgets_the_shards_that_were_made_first() {
        let number = |digit: usize| SequenceNumber::try_from(format!("{digit:021}")).expect("a number");
        let mut position = Position::default();
        for shard in 0..=SHARDS_MAX {
            position.advance(&format!("shardId-{shard:020}"), number(shard));
        }
        assert_eq!(position.0.len(), SHARDS_MAX);
        assert_eq!(position.of(&format!("shardId-{:020}", 0)), None);
        assert_eq!(
            position.of(&format!("shardId-{SHARDS_MAX:020}")),
            Some(&number(SHARDS_MAX))
        );
    }
}
