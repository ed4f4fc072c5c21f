//! Keys and attribute names.

use std::fmt;

use domain::{ActivityId, ActivityKey, Board, Period, ProgramId, UserId, Window};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub mod attribute {
    pub const USER_ID: &str = "user_id";
    pub const ACTIVITY_ID: &str = "activity_id";
    pub const ACTIVITY: &str = "activity";
    pub const SHARD: &str = "shard";
    pub const MEMBER: &str = "member";
    pub const BOARD: &str = "board";
    pub const PART: &str = "part";
    pub const EXPIRES_AT: &str = "expires_at";
    pub const POINTS: &str = "points";
    pub const ACTIVITIES: &str = "activities";
    pub const GENERATION: &str = "generation";
    pub const SENT_AT: &str = "sent_at";
    pub const COUNTED_AT: &str = "counted_at";
}

/// The key attributes of the table of activities.
pub(crate) const ACTIVITIES_KEY: [&str; 2] = [attribute::USER_ID, attribute::ACTIVITY_ID];
/// The key attributes of the table of standings.
pub(crate) const STANDINGS_KEY: [&str; 2] = [attribute::SHARD, attribute::MEMBER];
/// The key attributes of the table of snapshots.
pub(crate) const SNAPSHOTS_KEY: [&str; 2] = [attribute::BOARD, attribute::PART];

/// The name of a period's counter of activities. The counter of its points has the period's own name.
pub(crate) fn activities_of(period: &str) -> String {
    format!("{period} activities")
}

/// The names of the counters of points and of activities of a period, or of all time.
pub(crate) fn counter_names(period: Option<Period>) -> [String; 2] {
    match period {
        None => [attribute::POINTS.to_owned(), attribute::ACTIVITIES.to_owned()],
        Some(period) => {
            let points = period.to_string();
            let activities = activities_of(&points);
            [points, activities]
        }
    }
}

/// Which computation of the counts a marker or a standing belongs to. Their keys begin with it, so that
/// one generation can be built while another is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CountGeneration(pub u32);

impl CountGeneration {
    pub const FIRST: Self = Self(1);

    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for CountGeneration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "g{}", self.0)
    }
}

/// How many partitions the standings of a generation are spread over. Fixed for its life, because it
/// determines the shard of each user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u16")]
pub struct ShardCount(u16);

#[derive(Debug, thiserror::Error)]
#[error(
    "the number of standing shards must be a whole number from 1 to {}",
    ShardCount::MAX
)]
pub struct InvalidShardCount;

impl TryFrom<u16> for ShardCount {
    type Error = InvalidShardCount;
    fn try_from(count: u16) -> Result<Self, InvalidShardCount> {
        if (1..=Self::MAX).contains(&count) {
            Ok(Self(count))
        } else {
            Err(InvalidShardCount)
        }
    }
}

impl std::str::FromStr for ShardCount {
    type Err = InvalidShardCount;
    fn from_str(raw: &str) -> Result<Self, InvalidShardCount> {
        match raw.parse::<u16>() {
            Ok(count) => count.try_into(),
            Err(_) => Err(InvalidShardCount),
        }
    }
}

impl ShardCount {
    /// 1,000 partitions of 1,000 write units a second each.
    pub const MAX: u16 = 1000;

    /// The keys of all shards.
    pub fn shards(self, generation: CountGeneration) -> impl Iterator<Item = String> {
        (0..self.0).map(move |shard| shard_key(generation, shard))
    }

    pub fn shard_of(self, generation: CountGeneration, user: &UserId) -> String {
        let digest = Sha256::digest(user.as_str());
        let hash = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
        let shard = u16::try_from(hash % u32::from(self.0)).expect("a remainder of a u16 fits a u16");
        shard_key(generation, shard)
    }
}

fn shard_key(generation: CountGeneration, shard: u16) -> String {
    format!("{generation}#{shard:03}")
}

/// Control totals are spread over this many lanes, so that concurrent transactions for the same program
/// seldom conflict: four at a time do in 9 of 100 cases, and are retried.
pub const TOTALS_LANES: u16 = 64;

pub fn totals_key(generation: CountGeneration, lane: u16) -> String {
    assert!(lane < TOTALS_LANES, "totals of lane {lane} would never be read");
    format!("{generation}#totals#{lane:02}")
}

/// The partition of the latest counted heartbeat of each lane.
pub(crate) fn heartbeats_key(generation: CountGeneration) -> String {
    format!("{generation}#heartbeat")
}

pub fn marker_key(generation: CountGeneration, ActivityKey { user, id }: &ActivityKey) -> String {
    format!("{generation}#{user}#{id}")
}

/// The activity of a marker of this generation.
pub(crate) fn of_marker(generation: CountGeneration, marker: &str) -> Option<ActivityKey> {
    let (user, id) = marker.strip_prefix(&format!("{generation}#"))?.split_once('#')?;
    Some(ActivityKey {
        user: UserId::stored(user).ok()?,
        id: ActivityId::stored(id).ok()?,
    })
}

/// Ids contain no `#`, so a user's programs are adjacent in a shard.
pub fn member_key(user: &UserId, program: &ProgramId) -> String {
    format!("{user}#{program}")
}

pub(crate) fn user_prefix(user: &UserId) -> String {
    format!("{user}#")
}

pub(crate) fn board_key(board: &Board, window: Window) -> String {
    format!("{board} {window}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn users_spread_evenly_over_the_shards_and_stay_there() {
        let shards: ShardCount = "32".parse().unwrap();
        let mut users_by_shard: HashMap<String, u32> = HashMap::new();
        for n in 0..3200 {
            let user = format!("employee-{n}").parse().unwrap();
            *users_by_shard
                .entry(shards.shard_of(CountGeneration::FIRST, &user))
                .or_default() += 1;
        }
        assert_eq!(users_by_shard.len(), 32);
        assert!(
            users_by_shard.values().all(|&users| (60..140).contains(&users)),
            "{users_by_shard:?}"
        );
        // A different shard would hide every standing that is stored today.
        assert_eq!(
            shards.shard_of(CountGeneration::FIRST, &"ann".parse().unwrap()),
            "g1#013"
        );
    }
}
