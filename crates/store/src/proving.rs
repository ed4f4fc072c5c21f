//! Proving: what becomes of a person's coins by all facts of the person. It performs no I/O.

use std::collections::BTreeMap;
use std::mem;

use domain::quest::{self, CoinState, Gate, Revoked};
use domain::{Coin, Quest};
use jiff::Timestamp;

use crate::coins::KeptCoin;
use crate::erasures::Erasures;
use crate::facts::StoredFact;
use crate::progress::{Gates, RewardRules};
use crate::quests::QuestVersion;
use crate::settling::Settlement;

/// Coins that one transaction writes at most. With 130 KB of evidence each, they are under its 4 MB, and with a
/// settlement that each depends on under its 100 items.
pub const COINS_AT_ONCE: usize = 25;

/// What all facts of a person come to.
#[derive(Debug)]
pub struct Evaluation<'r> {
    quests: Vec<(&'r Quest, Vec<Coin>)>,
    pub gates: Gates,
}

/// What is to be written of a person's coins.
#[derive(Clone, Debug, Default)]
pub struct Proof {
    pub changes: Vec<Change>,
    /// The quests that must not be settled when these are written.
    pub unsettled: Vec<QuestVersion>,
}

/// A coin to be written as it is here, whatever was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    pub coin: KeptCoin,
    pub effect: Effect,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Found or regained.
    Issued,
    Revoked,
    /// As before: settled, or with another time and other evidence.
    Amended,
}

impl Effect {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Issued => "issued",
            Self::Revoked => "revoked",
            Self::Amended => "amended",
        }
    }
}

/// Evaluates all quests. What was erased counts for nothing.
pub fn evaluate<'r>(facts: &[StoredFact], erasures: &Erasures, rules: &'r RewardRules) -> Evaluation<'r> {
    let facts = facts.iter();
    let facts = facts.filter(|stored| !erasures.cover(&stored.fact, stored.received_at));
    let facts = facts.map(|stored| (&stored.fact, stored.received_at));
    let activities = quest::Activities::new(facts, &rules.calendar, &rules.policy);
    let evaluated = rules.quests.iter().map(|quest| {
        let coins = quest::coins(quest, &activities);
        let gate = Gate::new(quest, &activities, &coins, &rules.policy);
        (quest, coins, gate)
    });
    let (mut quests, mut gates) = (Vec::new(), Gates::default());
    for (quest, coins, gate) in evaluated {
        gates.0.insert(QuestVersion::of(quest), gate);
        quests.push((quest, coins));
    }
    Evaluation { quests, gates }
}

impl Evaluation<'_> {
    /// The quests with a supply that the person has earned a coin of, or has one already.
    pub fn supplies(&self, known: &[KeptCoin]) -> Vec<QuestVersion> {
        let quests = self.quests.iter().filter(|(quest, earned)| {
            quest.supply.is_some() && (!earned.is_empty() || known.iter().any(|coin| coin.is_of(quest)))
        });
        quests.map(|(quest, _)| QuestVersion::of(quest)).collect()
    }

    /// Compares what is earned with the coins that the person has. `settled` has the settlements of those
    /// [`Self::supplies`] that are settled.
    pub fn prove(&self, known: &[KeptCoin], settled: &BTreeMap<QuestVersion, &Settlement>) -> Proof {
        let mut proof = Proof::default();
        for (quest, earned) in &self.quests {
            let version = QuestVersion::of(quest);
            let supply = match (quest.supply, settled.get(&version)) {
                (None, _) => Supply::Unlimited,
                (Some(_), None) => Supply::Open,
                (Some(_), Some(settlement)) => Supply::Settled(settlement),
            };
            let mut known: BTreeMap<&str, &KeptCoin> = known
                .iter()
                .filter(|coin| coin.is_of(quest))
                .map(|coin| (coin.id.as_str(), coin))
                .collect();
            let mut is_provisional = false;
            for coin in earned {
                let kept = known.remove(coin.id.as_str());
                let (state, serial, reason) = supply.of(coin.id.as_str());
                if let Some(changed) = changed(quest, coin, kept, state, serial, reason) {
                    is_provisional |= changed.state == CoinState::Provisional;
                    proof.add(kept, changed);
                }
            }
            for kept in known
                .into_values()
                .filter(|kept| kept.state != CoinState::Revoked)
            {
                let revoked = KeptCoin {
                    state: CoinState::Revoked,
                    reason: Some(Revoked::Voided),
                    change: kept.change + 1,
                    ..kept.clone()
                };
                proof.add(Some(kept), revoked);
            }
            if is_provisional {
                proof.unsettled.push(version);
            }
        }
        proof
    }
}

impl Proof {
    fn add(&mut self, before: Option<&KeptCoin>, coin: KeptCoin) {
        let is_in_use = |coin: &KeptCoin| coin.state != CoinState::Revoked;
        let effect = match (before.is_some_and(is_in_use), is_in_use(&coin)) {
            (false, true) => Effect::Issued,
            (true, false) => Effect::Revoked,
            (true, true) | (false, false) => Effect::Amended,
        };
        self.changes.push(Change { coin, effect });
    }

    pub fn count(&self, effect: Effect) -> usize {
        self.changes
            .iter()
            .filter(|change| change.effect == effect)
            .count()
    }

    /// Takes as much as one transaction can write. `None` if that is all there is.
    pub fn split(&mut self) -> Option<Self> {
        if self.changes.len() <= COINS_AT_ONCE {
            return None;
        }
        let rest = self.changes.split_off(COINS_AT_ONCE);
        Some(Self {
            changes: mem::replace(&mut self.changes, rest),
            unsettled: self.unsettled.clone(),
        })
    }
}

/// The changes that no fact in flight explains, and how many others there are. `before` proves the facts that were
/// received before `until`, when nothing in flight had been.
pub fn overdue(proof: Proof, before: &Proof, until: Timestamp) -> (Vec<Change>, usize) {
    let others = before
        .changes
        .iter()
        .filter(|change| !proof.changes.contains(change));
    let others = others.count();
    let (overdue, in_flight): (Vec<_>, Vec<_>) = proof
        .changes
        .into_iter()
        .partition(|change| before.changes.contains(change) && change.coin.found_at < until);
    (overdue, in_flight.len().max(others))
}

/// Whether a coin that is earned is there for the person.
#[derive(Clone, Copy)]
enum Supply<'s> {
    Unlimited,
    Open,
    Settled(&'s Settlement),
}

impl Supply<'_> {
    fn of(self, coin: &str) -> (CoinState, Option<u32>, Option<Revoked>) {
        match self {
            Self::Unlimited => (CoinState::Issued, None, None),
            Self::Open => (CoinState::Provisional, None, None),
            Self::Settled(settlement) => match settlement.serial(coin) {
                Some(serial) => (CoinState::Issued, Some(serial), None),
                None => (CoinState::Revoked, None, Some(Revoked::Supply)),
            },
        }
    }
}

/// A coin that is earned, if it is not already as it should be.
fn changed(
    quest: &Quest,
    earned: &Coin,
    kept: Option<&KeptCoin>,
    state: CoinState,
    serial: Option<u32>,
    reason: Option<Revoked>,
) -> Option<KeptCoin> {
    let Some(kept) = kept else {
        // Who comes after the settlement gets none.
        let is_there = state != CoinState::Revoked;
        return is_there.then(|| KeptCoin::found(quest, earned.clone(), state, serial));
    };
    if kept.state == CoinState::Revoked && state == CoinState::Revoked {
        return None;
    }
    let as_earned = KeptCoin::found(quest, earned.clone(), state, serial);
    let changed = KeptCoin {
        reason,
        change: kept.change + u32::from(kept.state != state),
        ..as_earned
    };
    (changed != *kept).then_some(changed)
}

#[cfg(test)]
mod tests {
    use domain::{Activity, Fact, Void};
    use jiff::Timestamp;

    use super::*;

    fn rules(supply: &str) -> RewardRules {
        let quests = format!(
            r#"[{{"id":"q","version":1,"title":"Q","coin":{{"name":"C","value":1}},"per":"program"{supply},
            "rule":{{"count":{{"of":{{}},"at_least":1}}}}}}]"#
        );
        let policy = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"k":10}}]"#;
        let quests = quest::parse(quests.as_bytes()).unwrap();
        RewardRules::new(quests, "UTC".parse().unwrap(), policy.parse().unwrap())
    }

    /// An activity in the program of its id, received at a second; with `~`, its void.
    fn fact(text: &str) -> StoredFact {
        let (id, second) = text.split_once('@').unwrap();
        let activity = Activity {
            id: id.trim_start_matches('~').parse().unwrap(),
            user: "ann".parse().unwrap(),
            program: id.trim_start_matches('~').parse().unwrap(),
            kind: "k".parse().unwrap(),
            occurred_at: Timestamp::UNIX_EPOCH,
            amount: None,
            metadata: None,
            origin: None,
        };
        let received_at = Timestamp::from_second(second.parse().unwrap()).unwrap();
        let fact = if id.starts_with('~') {
            Fact::Void(Void {
                correction: "c".parse().unwrap(),
                reason: domain::correction::Reason::parse("twice").unwrap(),
                activity,
                activity_received_at: received_at,
            })
        } else {
            Fact::Activity(activity)
        };
        StoredFact { fact, received_at }
    }

    /// The coins after each of several proofs of all facts until then, as `PERIOD STATE[ SERIAL][ REASON] CHANGE SECOND`.
    #[track_caller]
    fn check(supply: &str, steps: &[(&str, Option<&Settlement>, &str)]) {
        let rules = rules(supply);
        let version = QuestVersion::of(&rules.quests[0]);
        let (mut facts, mut coins) = (Vec::new(), BTreeMap::new());
        for (added, settlement, expected) in steps {
            facts.extend(added.split_whitespace().map(fact));
            let known: Vec<KeptCoin> = coins.values().cloned().collect();
            let settled = settlement.map(|settlement| (version.clone(), settlement));
            let evaluation = evaluate(&facts, &Erasures::default(), &rules);
            let proof = evaluation.prove(&known, &settled.into_iter().collect());
            coins.extend(
                proof
                    .changes
                    .into_iter()
                    .map(|Change { coin, .. }| (coin.period.clone(), coin)),
            );
            let shown = coins.values().map(|coin| {
                let serial = coin
                    .serial
                    .map_or_else(String::new, |serial| format!(" {serial}"));
                let reason = coin
                    .reason
                    .map_or_else(String::new, |reason| format!(" {reason:?}"));
                let second = coin.found_at.as_second();
                format!(
                    "{} {:?}{serial}{reason} {} {second}",
                    coin.period, coin.state, coin.change
                )
            });
            assert_eq!(shown.collect::<Vec<_>>().join("; "), *expected, "{added}");
            let known: Vec<KeptCoin> = coins.values().cloned().collect();
            let settled = settlement.map(|settlement| (version.clone(), settlement));
            let again = evaluation.prove(&known, &settled.into_iter().collect());
            assert!(
                again.changes.is_empty(),
                "a second proof changes nothing: {again:?}"
            );
        }
    }

    #[test]
    fn a_coin_is_issued_amended_revoked_and_regained_under_one_id() {
        check(
            "",
            &[
                ("a@5", None, "a Issued 1 5"),
                ("~a@6", None, "a Revoked Voided 2 5"),
                ("b@7", None, "a Revoked Voided 2 5; b Issued 1 7"),
            ],
        );
    }

    #[test]
    fn who_is_among_the_first_keeps_the_serial_and_the_others_get_nothing() {
        let rules = rules(r#","supply":1"#);
        let id = |program: &str| {
            let period = domain::CoinPeriod::Program(program.parse().unwrap());
            let quest = &rules.quests[0];
            domain::CoinId::new(&quest.id, 1, &"ann".parse().unwrap(), &period).to_string()
        };
        let settlement = Settlement::of([id("a")], Timestamp::UNIX_EPOCH);
        check(
            r#","supply":1"#,
            &[
                ("a@5 b@6", None, "a Provisional 1 5; b Provisional 1 6"),
                ("", Some(&settlement), "a Issued 1 2 5; b Revoked Supply 2 6"),
                ("c@9", Some(&settlement), "a Issued 1 2 5; b Revoked Supply 2 6"),
                (
                    "~a@10",
                    Some(&settlement),
                    "a Revoked 1 Voided 3 5; b Revoked Supply 2 6",
                ),
            ],
        );
    }

    /// What a comparison calls overdue when the facts until second 10 are certainly told: kept coins come from a proof of
    /// the `told` ones.
    #[track_caller]
    fn check_overdue(told: &str, all: &str, expected: &str) {
        let rules = rules("");
        let until = Timestamp::from_second(10).unwrap();
        let facts = |texts: &str| texts.split_whitespace().map(fact).collect::<Vec<_>>();
        let prove = |facts: &[StoredFact], known: &[KeptCoin]| {
            evaluate(facts, &Erasures::default(), &rules).prove(known, &BTreeMap::new())
        };
        let kept = prove(&facts(told), &[]).changes.into_iter();
        let kept: Vec<_> = kept.map(|change| change.coin).collect();
        let all = facts(all);
        let mut before = all.clone();
        before.retain(|stored| stored.received_at < until);
        let (changes, in_flight) = overdue(prove(&all, &kept), &prove(&before, &kept), until);
        let changes = changes.iter().map(|Change { coin, effect }| {
            let period = &coin.period;
            format!("{period} {}", effect.as_str())
        });
        let changes = changes.collect::<Vec<_>>().join(", ");
        assert_eq!(format!("{changes}; {in_flight} in flight"), expected);
    }

    #[test]
    fn what_is_in_flight_is_not_overdue() {
        check_overdue("a@5", "a@5", "; 0 in flight");
        check_overdue("", "a@5 b@11", "a issued; 1 in flight");
        check_overdue("b@11", "b@11", "; 1 in flight");
        check_overdue("a@5", "a@5 ~a@6", "a revoked; 0 in flight");
        check_overdue("a@5", "a@5 ~a@11", "; 1 in flight");
        // Issued before the void was recorded.
        check_overdue("a@11", "a@11 ~a@12", "; 1 in flight");
    }
}
