//! How far users are with the quests.
//!
//! It is evaluated from the user's facts when someone asks. The cost grows with the number of facts, so an instance keeps
//! an answer for some seconds.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::documents::{QuestProgress, UserQuest, UserQuestsDocument};
use domain::quest::{self, Activities, CoinState, Progress};
use domain::{Freshness, Quest, UserId};
use jiff::{SignedDuration, Timestamp};
use lru::LruCache;
use problem::Problem;
use store::StoredFact;
use store::coins::KeptCoin;

use crate::quests::{Rewards, balance, no_coins};
use crate::response::Cacheable;
use crate::{Failure, Serve, Viewer, nothing_published, unavailable};

/// Of a user's facts, 3 MB are read for 384 read units: some 10,000 without metadata, and 1,900 with as much as is allowed.
const FACT_PAGES_MAX: usize = 3;
/// Readers who ask again and again cost one reading in this time. It is short, so that what someone has just done shows soon.
const KEPT_FOR: SignedDuration = SignedDuration::from_secs(10);
/// With ten quests, one takes about 5 KB.
const KEPT_MAX: NonZeroUsize = NonZeroUsize::new(200).unwrap();

/// What an instance keeps of users between requests.
pub(crate) struct KeptProgress {
    kept_for: SignedDuration,
    users: Mutex<LruCache<UserId, (Timestamp, Arc<OfUser>)>>,
}

/// What was read of a user.
struct OfUser {
    is_concealed: bool,
    /// None of a user without facts and coins.
    known: Option<Known>,
}

struct Known {
    quests: Vec<UserQuest>,
    balance: u64,
    is_partial: bool,
    freshness: Freshness,
}

impl KeptProgress {
    /// Keeps nothing beyond the next snapshot, as any HTTP cache.
    pub(crate) fn new(snapshot_every: SignedDuration) -> Self {
        Self {
            kept_for: KEPT_FOR.min(snapshot_every),
            users: Mutex::new(LruCache::new(KEPT_MAX)),
        }
    }

    fn get(&self, user: &UserId, now: Timestamp) -> Option<Arc<OfUser>> {
        let mut users = locked(&self.users);
        let (read_at, of_user) = users.get(user)?;
        (now.duration_since(*read_at) < self.kept_for).then(|| Arc::clone(of_user))
    }

    fn put(&self, user: &UserId, of_user: &Arc<OfUser>, now: Timestamp) {
        locked(&self.users).put(user.clone(), (now, Arc::clone(of_user)));
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Serve {
    /// How far a user is with each quest.
    pub(crate) async fn user_quests(
        &self,
        user: &UserId,
        viewer: &Viewer,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let of_user = if let Some(kept) = self.progress.get(user, now) {
            kept
        } else {
            let read = Arc::new(self.read_progress(user, now).await?);
            self.progress.put(user, &read, now);
            read
        };
        let is_shown = !of_user.is_concealed || viewer.sees_concealed(user);
        let Some(known) = of_user.known.as_ref().filter(|_| is_shown) else {
            return Err(no_coins(user).into());
        };
        let document = UserQuestsDocument {
            user_id: user.clone(),
            quests: known.quests.clone(),
            balance: known.balance,
            is_partial: known.is_partial,
            freshness: known.freshness.at(now, &self.bounds),
        };
        Ok(self.cacheable(document, now))
    }

    async fn read_progress(&self, user: &UserId, now: Timestamp) -> Result<OfUser, Failure> {
        let freshness = self.measured_of_coins().await?;
        let known = match &self.rewards {
            Some(rewards) => self.evaluate(user, rewards, freshness, now).await?,
            None => None,
        };
        let person = self.people.get(user).await?.unwrap_or_default();
        Ok(OfUser {
            is_concealed: person.is_concealed(),
            known,
        })
    }

    async fn evaluate(
        &self,
        user: &UserId,
        rewards: &Rewards,
        freshness: Freshness,
        now: Timestamp,
    ) -> Result<Option<Known>, Failure> {
        let quests = rewards.configured().await?;
        let coins = rewards.coins.of_user(user).await?;
        let (mut facts, are_all) = if quests.is_empty() {
            (Vec::new(), true)
        } else {
            self.last_facts(user, rewards, now).await?
        };
        // After the facts: an erasure may delete them meanwhile, and is noted before.
        let generations = self.standings.generations().await?;
        facts.retain(|stored| !generations.erasures.cover(&stored.fact, stored.received_at));
        if coins.is_empty() && facts.is_empty() {
            return Ok(None);
        }
        let rules = generations.configured().ok_or_else(nothing_published)?;
        let facts = facts.iter().map(|stored| (&stored.fact, stored.received_at));
        let activities = Activities::new(facts, &rules.calendar, &rules.scoring_policy);
        let quests = quests.iter().map(|quest| of_quest(quest, &activities, &coins));
        Ok(Some(Known {
            quests: quests.collect(),
            balance: balance(&coins),
            is_partial: !are_all,
            freshness,
        }))
    }

    /// The facts of a user, and whether these are all.
    async fn last_facts(
        &self,
        user: &UserId,
        rewards: &Rewards,
        now: Timestamp,
    ) -> Result<(Vec<StoredFact>, bool), Failure> {
        if !self.budget.spend(0.0, now) {
            return Err(too_many_reads().into());
        }
        let last = rewards.facts.last_of_user(user, FACT_PAGES_MAX).await?;
        self.budget.spend(last.read_units, now);
        Ok((last.facts, last.are_all))
    }
}

fn too_many_reads() -> Problem {
    let detail = "Progress with quests is read too often at the moment. Try again in a few seconds.";
    unavailable("unavailable", detail)
}

fn of_quest(quest: &Quest, activities: &Activities<'_>, coins: &[KeptCoin]) -> UserQuest {
    let is_held = |coin: &&KeptCoin| coin.is_of(quest) && coin.state != CoinState::Revoked;
    let held: Vec<_> = coins.iter().filter(is_held).collect();
    // Not all activities that earned a coin need to be among those that were read.
    let is_open = |progress: &Progress| {
        let period = progress.period.to_string();
        held.iter().all(|coin| coin.period != period)
    };
    let progress = quest::closest(quest, activities).filter(is_open);
    UserQuest {
        quest_id: quest.id.clone(),
        version: quest.version,
        coins: held.len() as u64,
        progress: progress.map(|progress| QuestProgress {
            period: progress.period.to_string(),
            reached: progress.reached,
            needed: progress.needed,
            in_words: progress.in_words(quest),
            lacking: progress.lacking_in_words(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use domain::{Activity, Calendar, Fact, ScoringPolicy};

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    #[test]
    fn an_answer_is_kept_for_some_seconds_but_not_beyond_the_next_snapshot() {
        for (snapshot_every, kept_for) in [(60, 10), (2, 2)] {
            let kept = KeptProgress::new(SignedDuration::from_secs(snapshot_every));
            let of_user = Arc::new(OfUser {
                is_concealed: false,
                known: None,
            });
            kept.put(&user("ann"), &of_user, at(0));
            assert!(kept.get(&user("ann"), at(kept_for - 1)).is_some());
            assert!(kept.get(&user("ann"), at(kept_for)).is_none());
            assert!(kept.get(&user("bob"), at(0)).is_none());
        }
    }

    #[test]
    fn so_many_users_are_kept() {
        let kept = KeptProgress::new(KEPT_FOR);
        let of_user = Arc::new(OfUser {
            is_concealed: false,
            known: None,
        });
        for number in 0..=KEPT_MAX.get() {
            kept.put(&user(&number.to_string()), &of_user, at(0));
        }
        assert!(kept.get(&user("0"), at(0)).is_none());
        assert!(kept.get(&user("1"), at(0)).is_some());
    }

    /// Two activities in a week, for which three make a coin, and coins of the weeks.
    #[test]
    fn a_period_whose_coin_is_held_has_no_progress_though_activities_were_not_read() {
        let quests =
            br#"[{"id":"three","version":2,"title":"Three","coin":{"name":"C","value":1},"per":"week",
            "rule":{"count":{"of":{},"at_least":3}}}]"#;
        let quest = quest::parse(quests).unwrap().remove(0);
        let facts = ["a", "b"].map(|id| {
            let activity = Activity {
                user: user("ann"),
                id: id.parse().unwrap(),
                occurred_at: "2026-11-24T09:00:00Z".parse().unwrap(),
                kind: "k".parse().unwrap(),
                program: "p".parse().unwrap(),
                amount: None,
                metadata: None,
                origin: None,
            };
            Fact::Activity(activity)
        });
        let policy: ScoringPolicy = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"k":1}}]"#
            .parse()
            .unwrap();
        let calendar: Calendar = "UTC".parse().unwrap();
        let activities = Activities::new(facts.iter().map(|fact| (fact, at(0))), &calendar, &policy);
        let coin = |version, period: &str, state| KeptCoin {
            id: "coin-1".to_owned(),
            user: user("ann"),
            quest: "three".to_owned(),
            version,
            coin: "C".to_owned(),
            value: 1,
            period: period.to_owned(),
            found_at: at(0),
            found_by: "c".parse().unwrap(),
            evidence: Vec::new(),
            evidence_count: 3,
            state,
            reason: None,
            serial: None,
            change: 1,
        };
        for (held, coins, has_progress) in [
            (vec![], 0, true),
            (vec![coin(2, "2026-W47", CoinState::Issued)], 1, true),
            (vec![coin(2, "2026-W48", CoinState::Issued)], 1, false),
            (vec![coin(2, "2026-W48", CoinState::Provisional)], 1, false),
            (vec![coin(2, "2026-W48", CoinState::Revoked)], 0, true),
            (vec![coin(1, "2026-W48", CoinState::Issued)], 0, true),
        ] {
            let told = of_quest(&quest, &activities, &held);
            assert_eq!(
                (told.coins, told.progress.is_some()),
                (coins, has_progress),
                "{held:?}"
            );
        }
    }
}
