//! Heartbeats: test messages that travel the path of an activity. Each snapshot run sends one for every
//! lane. Lanes have different partition keys, so they pass through different shards of the stream, and a
//! shard that stalls shows in the lag.

use std::collections::BTreeMap;
use std::fmt;

use aws_sdk_dynamodb::error::SdkError;
use domain::freshness::Heartbeats;
use domain::id::HEARTBEAT_USER;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::activities::{Activities, sortable};
use crate::counting::Counting;
use crate::error::{self, StoreError};
use crate::item::{string, text};
use crate::keys::{ACTIVITIES_KEY, CountGeneration, STANDINGS_KEY, attribute, heartbeats_key};
use crate::requests::query_members;
use crate::standings::Standings;

/// Long enough to investigate an outage, short enough to keep the table small.
const LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);

/// One of the partition keys that heartbeats are sent under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lane(u8);

impl Lane {
    /// With 16 keys spread at random over 4 shards, one shard has none in 1 of 25 cases; over 2 shards, in
    /// 1 of 32,000.
    pub const COUNT: u8 = 16;

    pub fn every() -> impl Iterator<Item = Self> {
        (0..Self::COUNT).map(Self)
    }

    /// The user that the lane's heartbeats belong to.
    fn user(self) -> String {
        format!("{HEARTBEAT_USER}-{self}")
    }

    /// The lane of a user. The bare name is that of heartbeats from before there were lanes.
    pub(crate) fn of_user(user: &str) -> Option<Self> {
        match user.strip_prefix(HEARTBEAT_USER)? {
            "" => Some(Self(0)),
            suffix => Self::parse(suffix.strip_prefix('-')?),
        }
    }

    fn parse(raw: &str) -> Option<Self> {
        Self::every().find(|lane| lane.to_string() == raw)
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}", self.0)
    }
}

/// When each lane's latest counted heartbeat was sent, and when it was counted.
pub type CountedHeartbeats = BTreeMap<Lane, (Timestamp, Timestamp)>;

/// When the latest heartbeat was sent of which all lanes counted one at least as late. Everything accepted
/// well before it is counted, too. `None` until every lane has counted one.
pub fn counted_by_all(counted: &CountedHeartbeats) -> Option<Timestamp> {
    Lane::every()
        .map(|lane| counted.get(&lane).map(|(sent_at, _)| *sent_at))
        .min()
        .flatten()
}

/// A heartbeat as it is stored. Its id is the time at which it was sent, in a form that sorts by time.
#[derive(Debug, Serialize, Deserialize)]
struct HeartbeatItem {
    user_id: String,
    activity_id: String,
    expires_at: i64,
}

#[derive(Deserialize)]
struct CountedHeartbeat {
    sent_at: Timestamp,
    counted_at: Timestamp,
}

impl Activities {
    /// Sends a heartbeat through the pipeline in every lane.
    pub async fn send_heartbeats(&self, now: Timestamp) -> Result<(), StoreError> {
        stream::iter(Lane::every())
            .map(|lane| self.send_heartbeat(lane, now))
            .buffer_unordered(usize::from(Lane::COUNT))
            .try_collect()
            .await
    }

    async fn send_heartbeat(&self, lane: Lane, now: Timestamp) -> Result<(), StoreError> {
        let item = HeartbeatItem {
            user_id: lane.user(),
            activity_id: sortable(now),
            expires_at: (now + LIFETIME).as_second(),
        };
        let item = serde_dynamo::to_item(item)
            .map_err(|error| StoreError::corrupt("encoding a heartbeat", lane.user(), error))?;
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item))
            .send()
            .await
            .map(drop)
            .map_err(|error| StoreError::unavailable("sending a heartbeat", error))
    }

    /// Adds to each lane's counted heartbeat since when a later one waits.
    pub async fn heartbeats(&self, counted: &CountedHeartbeats) -> Result<Vec<Heartbeats>, StoreError> {
        stream::iter(Lane::every())
            .map(async |lane| {
                let counted = counted.get(&lane).copied();
                let waiting_since = self.heartbeat_after(lane, counted.map(|(sent, _)| sent)).await?;
                Ok(Heartbeats {
                    counted,
                    waiting_since,
                })
            })
            .buffer_unordered(usize::from(Lane::COUNT))
            .try_collect()
            .await
    }

    /// When the lane's first heartbeat after `counted` was sent, or its first of all if that is `None`.
    async fn heartbeat_after(
        &self,
        lane: Lane,
        counted: Option<Timestamp>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let after = counted.map_or_else(|| " ".to_owned(), sortable);
        let output = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#user = :heartbeat AND #id > :after")
            .expression_attribute_names("#user", attribute::USER_ID)
            .expression_attribute_names("#id", attribute::ACTIVITY_ID)
            .expression_attribute_values(":heartbeat", string(lane.user()))
            .expression_attribute_values(":after", string(after))
            .limit(1)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::unavailable("looking for heartbeats", error))?;
        let Some(item) = output.items.unwrap_or_default().into_iter().next() else {
            return Ok(None);
        };
        let subject = error::named(&self.table, &item, ACTIVITIES_KEY);
        let corrupt = |cause: anyhow::Error| StoreError::corrupt("decoding a heartbeat", subject, cause);
        let sent_at = serde_dynamo::from_item(item)
            .map_err(anyhow::Error::from)
            .and_then(|heartbeat: HeartbeatItem| Ok(heartbeat.activity_id.parse()?));
        sent_at.map(Some).map_err(corrupt)
    }
}

impl Counting {
    /// Records in a generation that a lane's heartbeat has arrived, unless a later one has. It is
    /// idempotent, so it needs no transaction.
    pub async fn count_heartbeat(
        &self,
        lane: Lane,
        sent_at: Timestamp,
        generation: CountGeneration,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.standings)
            .key(attribute::SHARD, string(heartbeats_key(generation)))
            .key(attribute::MEMBER, string(lane.to_string()))
            .update_expression("SET #sent = :sent, #counted = :counted")
            .condition_expression("attribute_not_exists(#sent) OR #sent < :sent")
            .expression_attribute_names("#sent", attribute::SENT_AT)
            .expression_attribute_names("#counted", attribute::COUNTED_AT)
            .expression_attribute_values(":sent", string(sortable(sent_at)))
            .expression_attribute_values(":counted", string(sortable(now)))
            .send()
            .await;
        match update {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(())
            }
            Err(error) => Err(StoreError::unavailable("counting a heartbeat", error)),
        }
    }
}

impl Standings {
    /// The latest counted heartbeat of each lane that has one.
    pub async fn counted_heartbeats(
        &self,
        generation: CountGeneration,
    ) -> Result<CountedHeartbeats, StoreError> {
        let read = query_members(&self.client, &self.table, &heartbeats_key(generation), None)
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| StoreError::unavailable("reading the counted heartbeats", error))?;
        let mut counted = CountedHeartbeats::new();
        for item in read.items.unwrap_or_default() {
            // An item of another name is from before there were lanes.
            let Some(lane) = text(&item, attribute::MEMBER).ok().and_then(Lane::parse) else {
                continue;
            };
            let subject = error::named(&self.table, &item, STANDINGS_KEY);
            let heartbeat: CountedHeartbeat = serde_dynamo::from_item(item)
                .map_err(|error| StoreError::corrupt("decoding a counted heartbeat", subject, error))?;
            counted.insert(lane, (heartbeat.sent_at, heartbeat.counted_at));
        }
        Ok(counted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_is_read_from_its_user() {
        assert!(Lane::every().all(|lane| Lane::of_user(&lane.user()) == Some(lane)));
        assert_eq!(Lane::every().count(), 16);
        assert_eq!(Lane(7).user(), "~heartbeat-07");
        assert_eq!(Lane::of_user("~heartbeat"), Some(Lane(0)));
        for user in ["ann", "~heartbeat-16", "~heartbeat-7", "~heartbeat07", "~heart"] {
            assert_eq!(Lane::of_user(user), None, "{user}");
        }
    }

    #[test]
    fn the_slowest_lane_decides_how_far_counting_is() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut counted: CountedHeartbeats = Lane::every().map(|lane| (lane, (at(60), at(61)))).collect();
        assert_eq!(counted_by_all(&counted), Some(at(60)));
        counted.insert(Lane(3), (at(20), at(21)));
        assert_eq!(counted_by_all(&counted), Some(at(20)));
        counted.remove(&Lane(15));
        assert_eq!(counted_by_all(&counted), None);
    }
}
