//! How up to date the coins are, by the heartbeats that went through the rewards queue.

use std::collections::BTreeMap;

use domain::Freshness;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::coins::{Coins, own_key};
use crate::error::StoreError;
use crate::heartbeats::Lane;
use crate::item::Item;
use crate::requests::{get_item, item_of};

/// The partition of what rewards keep of themselves. No user's id begins with `~`.
const PARTITION: &str = "~rewards";
const HEARTBEATS: &str = "heartbeats";

/// The latest heartbeats that were processed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RewardStatus {
    /// When the latest of each lane was sent.
    lanes: BTreeMap<String, Timestamp>,
    /// How long the last ones took, in the slowest lane.
    lag_seconds: f64,
    /// Messages in the queue at that time.
    backlog: u64,
}

impl RewardStatus {
    /// After heartbeats that were sent at these times and are processed at `now`.
    #[must_use]
    pub fn after(&self, sent: &BTreeMap<Lane, Timestamp>, backlog: u64, now: Timestamp) -> Self {
        let mut lanes = self.lanes.clone();
        for (lane, sent_at) in sent {
            let last = lanes.entry(lane.to_string()).or_insert(*sent_at);
            *last = (*last).max(*sent_at);
        }
        let longest = sent.values().min().map(|first| now.duration_since(*first));
        Self {
            lanes,
            lag_seconds: longest.map_or(0.0, |lag| lag.max(SignedDuration::ZERO).as_secs_f64()),
            backlog,
        }
    }

    pub fn lag_seconds(&self) -> f64 {
        self.lag_seconds
    }

    /// What was accepted before `generated_at` is in the coins: a heartbeat of every lane was sent after it and is
    /// processed. `None` before the first heartbeat.
    pub fn freshness(&self) -> Option<Freshness> {
        Some(Freshness {
            generated_at: *self.lanes.values().min()?,
            lag_seconds: Some(self.lag_seconds),
            backlog: self.backlog,
        })
    }
}

impl Coins {
    pub async fn status(&self) -> Result<RewardStatus, StoreError> {
        let key = own_key(PARTITION, HEARTBEATS);
        let answer = get_item(&self.client, &self.table, key).send().await;
        let item = item_of("reading the status of rewards", answer)?;
        let status = item.map(serde_dynamo::from_item).transpose();
        let status = status.map_err(|error| {
            StoreError::corrupt(
                "decoding the status of rewards",
                format!("the item {HEARTBEATS:?}"),
                error,
            )
        })?;
        Ok(status.unwrap_or_default())
    }

    pub async fn put_status(&self, status: &RewardStatus) -> Result<(), StoreError> {
        let mut item: Item = serde_dynamo::to_item(status)
            .map_err(|error| StoreError::corrupt("encoding the status of rewards", HEARTBEATS, error))?;
        item.extend(own_key(PARTITION, HEARTBEATS));
        let put = self.client.put_item().table_name(&self.table);
        let put = put.set_item(Some(item)).send().await;
        put.map(drop)
            .map_err(|error| StoreError::unavailable("writing the status of rewards", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coins_are_as_old_as_the_slowest_lane_says() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let lanes: Vec<Lane> = Lane::every().take(2).collect();
        assert_eq!(RewardStatus::default().freshness(), None);
        let both =
            RewardStatus::default().after(&lanes.iter().map(|lane| (*lane, at(100))).collect(), 0, at(103));
        let one = both.after(&[(lanes[0], at(160))].into(), 7, at(161));
        let freshness = one.freshness().unwrap();
        assert_eq!(
            (freshness.generated_at, freshness.lag_seconds, freshness.backlog),
            (at(100), Some(1.0), 7)
        );
        // A heartbeat that is delivered again takes nothing back.
        let again = one.after(&[(lanes[0], at(100))].into(), 0, at(162));
        assert_eq!(again.lanes, one.lanes);
    }
}
