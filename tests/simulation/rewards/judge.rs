//! What must hold after every move and at the end, judged apart from the code under test.

use std::collections::{BTreeMap, BTreeSet};

use domain::quest::{self, Activities, CoinState, Revoked};
use domain::{Coin, Quest};
use jiff::Timestamp;
use store::StoredFact;
use store::coins::KeptCoin;
use store::quests::QuestVersion;

use super::World;

impl World {
    /// Of a supply, nobody has a coin before it is settled, and then no more than there are have one.
    pub(super) fn check(&self) {
        for quest in &self.rules.quests {
            let Some(supply) = quest.supply else { continue };
            let issued = self
                .coins_of(quest)
                .filter(|coin| coin.state == CoinState::Issued);
            let serials: Vec<_> = issued
                .map(|coin| coin.serial.unwrap_or_else(|| panic!("{coin:?} has no serial")))
                .collect();
            assert!(
                serials.is_empty() || self.settled.contains_key(&QuestVersion::of(quest)),
                "{} is not settled",
                quest.id
            );
            assert!(
                serials.iter().all(|serial| (1..=supply).contains(serial)),
                "serials {serials:?} of {supply}"
            );
            let distinct: BTreeSet<_> = serials.iter().collect();
            assert_eq!(
                distinct.len(),
                serials.len(),
                "a serial is given twice: {serials:?}"
            );
        }
    }

    /// Whoever has earned a coin has it, found by the same fact and with the same evidence as if all facts had come in
    /// order, and nobody else has one.
    pub(super) fn check_end(&self) {
        for quest in &self.rules.quests {
            let earned = self.earned(quest, Timestamp::MAX);
            let serials = self.winners(quest);
            let mut kept: BTreeMap<&str, &KeptCoin> = self
                .coins_of(quest)
                .map(|coin| (coin.id.as_str(), coin))
                .collect();
            for coin in earned {
                let kept = kept.remove(coin.id.as_str());
                let expected = match &serials {
                    _ if quest.supply.is_none() => Some((CoinState::Issued, None)),
                    None => Some((CoinState::Provisional, None)),
                    Some(serials) => serials
                        .get(coin.id.as_str())
                        .map(|serial| (CoinState::Issued, Some(*serial))),
                };
                let Some((state, serial)) = expected else {
                    let reason = kept.map(|kept| (kept.state, kept.reason));
                    let revoked = [Revoked::Supply, Revoked::Voided]
                        .map(|reason| Some((CoinState::Revoked, Some(reason))));
                    assert!(
                        reason.is_none() || revoked.contains(&reason),
                        "{kept:?} is not among the first"
                    );
                    continue;
                };
                let kept = kept.unwrap_or_else(|| panic!("{coin:?} is lost"));
                assert_eq!(
                    (kept.state, kept.serial, kept.reason),
                    (state, serial, None),
                    "the state of {kept:?}, which is earned"
                );
                assert_eq!(
                    (kept.found_at, &kept.found_by, &kept.evidence),
                    (coin.found_at, &coin.found_by, &coin.evidence),
                    "how {kept:?} was found"
                );
            }
            for coin in kept.into_values() {
                assert_eq!(coin.state, CoinState::Revoked, "{coin:?} is not earned");
            }
        }
    }

    fn coins_of(&self, quest: &Quest) -> impl Iterator<Item = &KeptCoin> {
        let coins = self.tables.coins.values();
        coins.filter(move |coin| coin.quest == quest.id.as_str() && coin.version == quest.version)
    }

    /// The coins for what was received until a time.
    fn earned(&self, quest: &Quest, until: Timestamp) -> Vec<Coin> {
        let mut of_users: BTreeMap<_, Vec<&StoredFact>> = BTreeMap::new();
        for ((user, _), stored) in &self.facts {
            if stored.received_at <= until {
                of_users.entry(user).or_default().push(stored);
            }
        }
        let coins = of_users.into_values().flat_map(|facts| {
            let facts = facts.into_iter().map(|stored| (&stored.fact, stored.received_at));
            quest::coins(
                quest,
                &Activities::new(facts, &self.rules.calendar, &self.rules.policy),
            )
        });
        coins.collect()
    }

    /// The serials of those who were first, if the supply is settled.
    fn winners(&self, quest: &Quest) -> Option<BTreeMap<String, u32>> {
        let (until, _) = self.settled.get(&QuestVersion::of(quest))?;
        let mut found = self.earned(quest, *until);
        found.sort_by_key(|coin| (coin.found_at, coin.user.clone(), coin.period.clone()));
        let ids = found.into_iter().map(|coin| coin.id.to_string());
        Some(ids.zip(1..=quest.supply?).collect())
    }
}
