//! Coins: their ids, and who gets them where there are only so many.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::calendar::Period;
use crate::id::{ActivityId, ProgramId, QuestId, UserId};
use crate::quest::Per;

/// What a person gets for fulfilling a quest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coin {
    pub id: CoinId,
    pub quest: QuestId,
    pub version: u32,
    pub user: UserId,
    pub period: CoinPeriod,
    /// When the activity was received with which the rule was met.
    pub found_at: Timestamp,
    /// That activity.
    pub found_by: ActivityId,
    /// The activities that earned it, each once, in order of (`occurred_at`, `activity_id`).
    pub evidence: Vec<ActivityId>,
}

/// The id of a coin: `coin-` and the first 32 hexadecimal digits of the SHA-256 of
/// `QUEST VERSION USER PERIOD`, where single blanks separate the four. No id has a blank in it, so two coins never
/// have the same text. Ids are stored: making them otherwise would give everyone new coins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CoinId(Arc<str>);

/// What a coin is for: everything, a day, week or month, or a program. Displayed as `""`, `2026-11-24`, `2026-W47`,
/// `2026-11` or the program's id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CoinPeriod {
    Once,
    Calendar(Period),
    Program(ProgramId),
}

/// What has become of a coin. None is ever deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CoinState {
    Issued,
    /// Found, but it is not settled yet whether it is among those that there are.
    Provisional,
    Revoked,
}

impl CoinState {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Provisional => "provisional",
            Self::Revoked => "revoked",
        }
    }
}

/// Why a coin was revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Revoked {
    /// Without activities that were voided, the rule is not met. It comes back once it is.
    Voided,
    /// Others were first.
    Supply,
}

/// A coin out of a limited supply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// From 1.
    pub serial: u32,
    pub coin: Coin,
}

/// The first `supply` coins of one quest, in order of `found_at` and then of the user, and of the period for coins of
/// one user. The other finders get none.
pub fn settle(mut found: Vec<Coin>, supply: u32) -> Vec<Issued> {
    found.sort_unstable_by(|a, b| (a.found_at, &a.user, &a.period).cmp(&(b.found_at, &b.user, &b.period)));
    (1..=supply)
        .zip(found)
        .map(|(serial, coin)| Issued { serial, coin })
        .collect()
}

impl CoinId {
    const HASH_DIGITS: usize = 32;

    pub fn new(quest: &QuestId, version: u32, user: &UserId, period: &CoinPeriod) -> Self {
        let hash = Sha256::digest(format!("{quest} {version} {user} {period}"));
        Self(format!("coin-{}", &format!("{hash:x}")[..Self::HASH_DIGITS]).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for CoinId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl CoinPeriod {
    /// Parses a stored period of a quest.
    pub fn stored(raw: &str, per: Per) -> Option<Self> {
        match per {
            Per::Once => raw.is_empty().then_some(Self::Once),
            Per::Day | Per::Week | Per::Month => raw.parse().ok().map(Self::Calendar),
            Per::Program => ProgramId::stored(raw).ok().map(Self::Program),
        }
    }
}

impl fmt::Display for CoinPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Once => Ok(()),
            Self::Calendar(period) => period.fmt(f),
            Self::Program(program) => program.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(quest: &str, version: u32, user: &str, period: &CoinPeriod) -> String {
        CoinId::new(&quest.parse().unwrap(), version, &user.parse().unwrap(), period).to_string()
    }

    /// Pinned: other ids would give everyone new coins.
    #[test]
    fn ids_are_made_as_documented() {
        // printf %s 'explorer 1 ann ' | sha256sum
        assert_eq!(
            id("explorer", 1, "ann", &CoinPeriod::Once),
            "coin-6eda36978f94b298839cea1726503dff"
        );
        // printf %s 'explorer 2 ann 2026-W47' | sha256sum
        let week = CoinPeriod::Calendar("2026-W47".parse().unwrap());
        assert_eq!(
            id("explorer", 2, "ann", &week),
            "coin-879b552999a2696db5304a1379b9f819"
        );
        // Where one part ends and the next begins makes a difference.
        let program = CoinPeriod::Program("p".parse().unwrap());
        assert_ne!(id("q", 11, "ann", &program), id("q", 1, "1ann", &program));
        assert_ne!(id("q", 1, "ann", &program), id("q", 1, "ann", &CoinPeriod::Once));
    }

    /// A coin of a user, found at a second.
    fn coin(user: &str, second: i64, program: &str) -> Coin {
        let (quest, user): (QuestId, UserId) = ("q".parse().unwrap(), user.parse().unwrap());
        let period = CoinPeriod::Program(program.parse().unwrap());
        Coin {
            id: CoinId::new(&quest, 1, &user, &period),
            quest,
            version: 1,
            user,
            period,
            found_at: Timestamp::from_second(second).unwrap(),
            found_by: "a".parse().unwrap(),
            evidence: Vec::new(),
        }
    }

    #[test]
    fn the_first_finders_get_what_there_is() {
        let settled = |found: Vec<Coin>, supply| {
            let issued = settle(found, supply).into_iter();
            let issued =
                issued.map(|Issued { serial, coin }| format!("{serial}.{}/{}", coin.user, coin.period));
            issued.collect::<Vec<_>>().join(" ")
        };
        let found = vec![
            coin("zoe", 5, "p"),
            coin("bob", 7, "q"),
            coin("bob", 7, "p"),
            coin("ann", 7, "z"),
            coin("eve", 9, "p"),
        ];
        assert_eq!(settled(found.clone(), 1), "1.zoe/p");
        assert_eq!(settled(found.clone(), 3), "1.zoe/p 2.ann/z 3.bob/p");
        assert_eq!(
            settled(found.iter().rev().cloned().collect(), 3),
            "1.zoe/p 2.ann/z 3.bob/p"
        );
        assert_eq!(settled(found, 9), "1.zoe/p 2.ann/z 3.bob/p 4.bob/q 5.eve/p");
        assert_eq!(settled(Vec::new(), 1), "");
    }
}
