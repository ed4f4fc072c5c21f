//! A model of the tables that rewards write. Every write is checked.

use std::collections::BTreeMap;
use std::sync::Arc;

use domain::UserId;
use domain::quest::CoinState;
use rand::RngExt as _;
use rand::rngs::StdRng;
use store::coins::KeptCoin;
use store::ledger::Version;
use store::progress::Progress;
use store::proving::Change;
use store::quests::QuestVersion;
use store::reward::Write;
use store::settling::Settlement;

/// How many earlier states of a progress a stale read may return.
const STALE_STATES: usize = 4;

#[derive(Debug, Default)]
pub struct Tables {
    /// The newest states of each person's progress, the last one being the current; `None` where there was none.
    progress: BTreeMap<UserId, Vec<Option<Progress>>>,
    /// By person and id.
    pub coins: BTreeMap<(UserId, String), KeptCoin>,
    pub settlements: BTreeMap<QuestVersion, Arc<Settlement>>,
}

impl Tables {
    /// A read that may return an earlier state if it is not consistent.
    pub fn progress(&self, user: &UserId, is_consistent: bool, random: &mut StdRng) -> Option<Progress> {
        let states = self.progress.get(user)?;
        let back = if is_consistent || random.random_range(0..5) < 3 {
            1
        } else {
            random.random_range(1..=STALE_STATES + 1)
        };
        states[states.len().checked_sub(back)?].clone()
    }

    fn version(&self, user: &UserId) -> Option<Version> {
        let current = self.progress.get(user)?.last()?.as_ref();
        current.map(|progress| progress.version)
    }

    fn push(&mut self, user: &UserId, progress: Option<Progress>) {
        let states = self.progress.entry(user.clone()).or_default();
        if states.len() > STALE_STATES {
            states.remove(0);
        }
        states.push(progress);
    }

    pub fn of_user(&self, user: &UserId) -> Vec<KeptCoin> {
        let coins = self.coins.iter().filter(|((of, _), _)| of == user);
        coins.map(|(_, coin)| coin.clone()).collect()
    }

    /// Writes, and returns whether the conditions held.
    pub fn write(&mut self, user: &UserId, write: &Write) -> bool {
        let is_settled = |quest| self.settlements.contains_key(quest);
        if self.version(user) != write.replaces || write.proof.unsettled.iter().any(is_settled) {
            return false;
        }
        self.push(user, Some(write.progress.clone()));
        for Change { coin, .. } in &write.proof.changes {
            assert_eq!(coin.user, *user, "a coin of someone else");
            let key = (user.clone(), coin.id.clone());
            check_change(self.coins.get(&key), coin);
            self.coins.insert(key, coin.clone());
        }
        true
    }

    /// What an erasure deletes.
    pub fn delete(&mut self, user: &UserId) {
        self.push(user, None);
        self.coins.retain(|(of, _), _| of != user);
    }
}

/// The number of a change is that of an event that leaves, so each state has its own, and there is no gap.
fn check_change(before: Option<&KeptCoin>, coin: &KeptCoin) {
    let Some(before) = before else {
        assert_eq!(coin.change, 1, "the first change of {coin:?}");
        assert_ne!(
            coin.state,
            CoinState::Revoked,
            "{coin:?} is revoked before it is found"
        );
        return;
    };
    let has_changed = before.state != coin.state;
    assert_eq!(
        coin.change,
        before.change + u32::from(has_changed),
        "the number of a change from {before:?} to {coin:?}"
    );
    if let Some(serial) = before.serial {
        assert!(
            coin.serial.is_none_or(|new| new == serial),
            "another serial for {before:?}: {coin:?}"
        );
    }
}
