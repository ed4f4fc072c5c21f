//! Keys and attribute names.

use std::fmt;

use domain::teams::TEAMS;
use domain::{Board, ProgramId, UserId, Window};
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
    pub const GENERATION: &str = "generation";
    pub const SENT_AT: &str = "sent_at";
    pub const COUNTED_AT: &str = "counted_at";
    pub const LEDGER: &str = "ledger";
    pub const VERSION: &str = "version";
    pub const KEYS: &str = "keys";
    pub const CORRECTION_ID: &str = "correction_id";
    pub const REASON: &str = "reason";
    pub const POSTED_BY: &str = "posted_by";
    pub const ACTIVITY_RECEIVED_AT: &str = "activity_received_at";
    pub const DIRECTORY: &str = "directory";
    pub const ID: &str = "id";
    pub const DISPLAY_NAME: &str = "display_name";
    pub const TEAM: &str = "team";
    pub const VISIBILITY: &str = "visibility";
    pub const TITLE: &str = "title";
    pub const ORDER: &str = "order";
    pub const ARCHIVED: &str = "archived";
    pub const COIN_ID: &str = "coin_id";
    pub const HOLDERS: &str = "holders";
    pub const PLACE: &str = "place";
    pub const NOTICE: &str = "notice";
}

/// The key attributes of the table of activities.
pub(crate) const ACTIVITIES_KEY: [&str; 2] = [attribute::USER_ID, attribute::ACTIVITY_ID];
/// The key attributes of the table of standings.
pub(crate) const STANDINGS_KEY: [&str; 2] = [attribute::SHARD, attribute::MEMBER];
/// The key attributes of the table of snapshots.
pub(crate) const SNAPSHOTS_KEY: [&str; 2] = [attribute::BOARD, attribute::PART];
/// The key attributes of the table of people.
pub(crate) const PEOPLE_KEY: [&str; 2] = [attribute::DIRECTORY, attribute::ID];

/// The key attributes of the table of coins.
pub(crate) const COINS_KEY: [&str; 2] = [attribute::USER_ID, attribute::COIN_ID];

/// Which computation of the counts a standing or a block belongs to. Their keys begin with it, so that one
/// generation can be built while another is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

    /// The key of the shard that a user's standings are in.
    pub fn key_of(self, generation: CountGeneration, user: &UserId) -> String {
        shard_key(generation, self.shard_of(user))
    }

    pub fn count(self) -> u16 {
        self.0
    }

    pub(crate) fn shard_of(self, user: &UserId) -> u16 {
        remainder(user, self.0)
    }
}

/// The remainder of a user's hash. It decides both in which shard the user's standings are and in which partition
/// the profile is, so a snapshot finds the people of a shard in few partitions.
fn remainder(user: &UserId, of: u16) -> u16 {
    let digest = Sha256::digest(user.as_str());
    let hash = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    u16::try_from(hash % u32::from(of)).expect("a remainder of a u16 fits a u16")
}

/// How many partitions of the index the coins of a quest are spread over: each takes 1,000 write units a second. Fixed,
/// since it is a part of what is stored.
pub(crate) const HOLDER_SHARDS: u16 = 4;

/// The partition of the index that a user's coins of a quest are in.
pub(crate) fn holders_shard(user: &UserId) -> u16 {
    remainder(user, HOLDER_SHARDS)
}

/// How many partitions people are spread over. Fixed, since it determines where each profile is.
pub(crate) const PEOPLE_PARTITIONS: u16 = 32;

/// The key of one of the partitions of people.
pub(crate) fn people_key(partition: u16) -> String {
    format!("people#{partition:02}")
}

/// The partition of a user's profile.
pub(crate) fn people_partition(user: &UserId) -> u16 {
    remainder(user, PEOPLE_PARTITIONS)
}

fn shard_key(generation: CountGeneration, shard: u16) -> String {
    format!("{generation}#{shard:03}")
}

/// One user's standing in one program, in one generation of the counts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StandingKey {
    pub generation: CountGeneration,
    shard: u16,
    pub user: UserId,
    pub program: ProgramId,
}

impl StandingKey {
    pub fn new(generation: CountGeneration, shards: ShardCount, user: UserId, program: ProgramId) -> Self {
        Self {
            generation,
            shard: shards.shard_of(&user),
            user,
            program,
        }
    }

    /// The partition that it is in.
    pub fn partition(&self) -> String {
        shard_key(self.generation, self.shard)
    }

    /// Its place in the partition. A blank is in no id and sorts before every character of an id, so a
    /// user's programs are adjacent, in order of users.
    pub fn member(&self) -> String {
        format!("{} {}", self.user, self.program)
    }
}

/// The partition of all standings of a user, and how their members begin.
pub(crate) fn of_user(generation: CountGeneration, shards: ShardCount, user: &UserId) -> (String, String) {
    (shard_key(generation, shards.shard_of(user)), format!("{user} "))
}

/// The user and the program of a member.
pub(crate) fn of_member(member: &str) -> Option<(UserId, ProgramId)> {
    let (user, program) = member.split_once(' ')?;
    Some((UserId::stored(user).ok()?, ProgramId::stored(program).ok()?))
}

/// The partition of the latest counted heartbeat of each lane.
pub(crate) fn heartbeats_key(generation: CountGeneration) -> String {
    format!("{generation}#heartbeat")
}

pub(crate) fn board_key(board: &Board, window: Window) -> String {
    format!("{board} {window}")
}

/// The key of the board of teams in a window.
pub(crate) fn teams_key(window: Window) -> String {
    format!("{TEAMS} {window}")
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn users_spread_evenly_over_the_shards_and_stay_there() {
        let shards: ShardCount = "32".parse().unwrap();
        let partition = |user: &str| {
            let (user, program) = (user.parse().unwrap(), "p".parse().unwrap());
            StandingKey::new(CountGeneration::FIRST, shards, user, program).partition()
        };
        let mut users_by_shard: HashMap<String, u32> = HashMap::new();
        for n in 0..3200 {
            *users_by_shard
                .entry(partition(&format!("employee-{n}")))
                .or_default() += 1;
        }
        assert_eq!(users_by_shard.len(), 32);
        assert!(
            users_by_shard.values().all(|&users| (60..140).contains(&users)),
            "{users_by_shard:?}"
        );
        // A different shard would hide every standing that is stored today.
        assert_eq!(partition("ann"), "g1#013");
    }

    #[test]
    fn members_are_in_order_of_users_and_a_user_s_are_adjacent() {
        let member = |user: &str, program: &str| {
            let (user, program) = (user.parse().unwrap(), program.parse().unwrap());
            StandingKey::new(CountGeneration::FIRST, "1".parse().unwrap(), user, program).member()
        };
        let members = [
            member("ann", "b"),
            member("ann", "c"),
            member("ann-b", "a"),
            member("ann.b", "a"),
        ];
        assert!(members.is_sorted(), "{members:?}");
        let (user, program) = of_member(&members[1]).unwrap();
        assert_eq!((user.as_str(), program.as_str()), ("ann", "c"));
        assert_eq!(of_member("ann#c"), None);
    }
}
