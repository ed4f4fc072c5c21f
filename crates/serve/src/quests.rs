//! Quests, and the coins of people.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use domain::documents::{
    CoinSummary, CoinsDocument, FindersDocument, FoundCoin, QuestState, QuestSummary, QuestsDocument,
    UserCoin,
};
use domain::quest::CoinState;
use domain::{Freshness, FreshnessDocument, Person, Quest, QuestId, UserId, Visibility};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::StatusCode;
use problem::Problem;
use store::coins::{After, COUNTED_MAX, Holder, KeptCoin};
use store::quests::{InvalidQuests, QuestVersion};
use store::{Coins, Facts, Quests, StoreError};

use crate::response::Cacheable;
use crate::route::FindersPage;
use crate::{Failure, QuestTables, Serve, Viewer};

/// How long the counts of a quest are kept, since counting reads its coins in the index: 30 read units for 1,000.
const COUNTED_FOR: SignedDuration = SignedDuration::from_mins(1);

/// The counts of quests, and when they were read.
#[derive(Debug, Default)]
pub(crate) struct Counts(Mutex<BTreeMap<QuestVersion, (Timestamp, Count)>>);

/// The table of coins, with the quests in it, and that of activities.
pub(crate) struct Rewards {
    quests: Quests,
    pub(crate) coins: Coins,
    pub(crate) facts: Facts,
}

impl Rewards {
    pub(crate) fn new(client: &Client, tables: QuestTables) -> Self {
        Self {
            quests: Quests::new(client.clone(), tables.coins.clone()),
            coins: Coins::new(client.clone(), tables.coins),
            facts: Facts::new(client.clone(), tables.activities),
        }
    }

    pub(crate) async fn configured(&self) -> Result<Vec<Quest>, Failure> {
        let configured = self.quests.configured().await;
        configured.map_err(|error| match error {
            InvalidQuests::Store(error) => error.into(),
            invalid => StoreError::corrupt_quests(invalid).into(),
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct Count {
    issued: u64,
    provisional: u64,
    is_settled: bool,
}

impl Counts {
    fn get(&self, quest: &QuestVersion, now: Timestamp) -> Option<Count> {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (read_at, count) = counts.get(quest)?;
        (now.duration_since(*read_at) < COUNTED_FOR).then_some(*count)
    }

    fn put(&self, quest: QuestVersion, now: Timestamp, count: Count) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, (read_at, _)| now.duration_since(*read_at) < COUNTED_FOR);
        counts.insert(quest, (now, count));
    }
}

impl Serve {
    pub(crate) async fn quests(&self, now: Timestamp) -> Result<Cacheable, Failure> {
        let mut quests = Vec::new();
        if let Some(rewards) = &self.rewards {
            for quest in rewards.configured().await? {
                let count = self.count(rewards, &quest, now).await?;
                quests.push(summary(&quest, count, now));
            }
        }
        let freshness = self.freshness_of_coins(now).await?;
        Ok(self.cacheable(QuestsDocument { quests, freshness }, now))
    }

    /// The coins of a quest.
    pub(crate) async fn finders(
        &self,
        quest: &QuestId,
        viewer: &Viewer,
        page: FindersPage,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let freshness = self.freshness_of_coins(now).await?;
        let rewards = self.rewards.as_ref().ok_or_else(unknown_quest)?;
        let quests = rewards.configured().await?;
        let quest = quests.into_iter().find(|known| known.id == *quest);
        let quest = quest.ok_or_else(unknown_quest)?;
        let (holders, next) = rewards
            .coins
            .holders(&QuestVersion::of(&quest), page.order, page.after, page.limit)
            .await?;
        let users: BTreeSet<_> = holders.iter().map(|holder| &holder.user).collect();
        let people = self.people.profiles(users).await?;
        let found = holders.into_iter().filter_map(|holder| {
            let person = people.get(&holder.user).cloned().unwrap_or_default();
            found(holder, person, viewer)
        });
        let document = FindersDocument {
            quest_id: quest.id,
            version: quest.version,
            coins: found.collect(),
            next_cursor: next.map(|After { found_at, coins }| format!("{found_at}.{coins}")),
            freshness,
        };
        Ok(self.cacheable(document, now))
    }

    /// The coins of a user, with the activities that earned them.
    pub(crate) async fn coins(
        &self,
        user: &UserId,
        viewer: &Viewer,
        now: Timestamp,
    ) -> Result<Cacheable, Failure> {
        let freshness = self.freshness_of_coins(now).await?;
        let mut coins = match &self.rewards {
            Some(rewards) => rewards.coins.of_user(user).await?,
            None => Vec::new(),
        };
        let person = self.people.get(user).await?.unwrap_or_default();
        if coins.is_empty() || person.is_concealed() && !viewer.sees_concealed(user) {
            return Err(no_coins(user).into());
        }
        coins.sort_by(|a, b| (a.found_at, &a.id).cmp(&(b.found_at, &b.id)));
        let document = CoinsDocument {
            user_id: user.clone(),
            balance: balance(&coins),
            coins: coins.into_iter().map(UserCoin::from).collect(),
            freshness,
        };
        Ok(self.cacheable(document, now))
    }

    async fn count(&self, rewards: &Rewards, quest: &Quest, now: Timestamp) -> Result<Count, Failure> {
        let version = QuestVersion::of(quest);
        if let Some(count) = self.counts.get(&version, now) {
            return Ok(count);
        }
        let has_supply = quest.supply.is_some();
        let of = async |state| rewards.coins.count(&version, state, COUNTED_MAX).await;
        let count = Count {
            issued: of(CoinState::Issued).await?,
            provisional: if has_supply {
                of(CoinState::Provisional).await?
            } else {
                0
            },
            is_settled: has_supply && rewards.coins.is_settled(&version).await?,
        };
        self.counts.put(version, now, count);
        Ok(count)
    }

    async fn freshness_of_coins(&self, now: Timestamp) -> Result<FreshnessDocument, Failure> {
        Ok(self.measured_of_coins().await?.at(now, &self.bounds))
    }

    /// How up to date the coins are. Before the first heartbeat has come through, that of the boards is told.
    pub(crate) async fn measured_of_coins(&self) -> Result<Freshness, Failure> {
        let of_coins = match &self.rewards {
            Some(rewards) => rewards.coins.status().await?.freshness(),
            None => None,
        };
        match of_coins {
            Some(freshness) => Ok(freshness),
            None => Ok(self.overview().await?.freshness),
        }
    }
}

/// The answer where nothing is known of a user, and where the user is concealed: readers cannot tell which.
pub(crate) fn no_coins(user: &UserId) -> Problem {
    let detail = format!("{user} has no coins. Check the id, in which capitals matter.");
    Problem::new(StatusCode::NOT_FOUND, "no_coins", detail).field("user")
}

/// What the issued of these coins are worth.
pub(crate) fn balance(coins: &[KeptCoin]) -> u64 {
    let issued = coins.iter().filter(|coin| coin.state == CoinState::Issued);
    issued.map(|coin| u64::from(coin.value)).sum()
}

fn unknown_quest() -> Problem {
    let detail = "There is no such quest. GET /v1/quests lists them.";
    Problem::new(StatusCode::NOT_FOUND, "unknown_quest", detail).field("quest")
}

fn summary(quest: &Quest, count: Count, now: Timestamp) -> QuestSummary {
    let is_over = count.is_settled || quest.ends_at.is_some_and(|ends_at| ends_at <= now);
    QuestSummary {
        quest_id: quest.id.clone(),
        version: quest.version,
        title: quest.title.as_str().to_owned(),
        rule: quest.in_words(),
        per: quest.per.as_str().to_owned(),
        starts_at: quest.starts_at,
        ends_at: quest.ends_at,
        coin: CoinSummary {
            name: quest.coin.name.as_str().to_owned(),
            value: quest.coin.value,
        },
        supply: quest.supply,
        issued: count.issued,
        provisional: count.provisional,
        state: if is_over {
            QuestState::Over
        } else {
            QuestState::Open
        },
    }
}

/// A row of the list of a quest. An id of a coin follows from that of its user, so it is concealed with it.
fn found(holder: Holder, person: Person, viewer: &Viewer) -> Option<FoundCoin> {
    let is_shown = !person.is_concealed() || viewer.sees_concealed(&holder.user);
    if !is_shown && person.visibility == Visibility::Hidden {
        return None;
    }
    Some(FoundCoin {
        coin_id: is_shown.then_some(holder.coin_id),
        user_id: is_shown.then_some(holder.user),
        name: person.display_name.filter(|_| is_shown),
        period: holder.period,
        found_at: holder.found_at,
        state: holder.state,
        serial: holder.serial,
    })
}
