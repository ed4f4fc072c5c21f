//! What an instance keeps to answer about periods that are over, and how much it reads for them.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use domain::closed::READ_UNITS_A_SECOND;
use domain::{BoardEntry, DisplayName, UserId};
use jiff::Timestamp;
use store::{People, StoreError};

/// Read units that an instance may spend at once. They come back by [`READ_UNITS_A_SECOND`].
const UNITS_AT_ONCE: f64 = 8_000.0;

/// Names that are kept until the next snapshot: 3 MB.
const NAMES_MAX: usize = 20_000;
/// A profile or a title, read with eventual consistency.
const UNITS_A_PROFILE: f64 = 0.5;
/// A page of rows or of people, compressed to 10 to 15 KB with realistic ids.
const UNITS_A_PAGE: f64 = 2.0;

#[derive(Debug, Default)]
pub struct Past {
    names: Mutex<Names>,
    budget: Mutex<Budget>,
}

/// The names as of a snapshot; `None` of users without one.
#[derive(Debug, Default)]
struct Names {
    generation: u64,
    of: HashMap<UserId, Option<DisplayName>>,
}

/// Refills with time, and may be overdrawn by one answer.
#[derive(Debug)]
struct Budget {
    left: f64,
    at: Timestamp,
}

impl Default for Budget {
    fn default() -> Self {
        Self {
            left: UNITS_AT_ONCE,
            at: Timestamp::UNIX_EPOCH,
        }
    }
}

impl Budget {
    fn spend(&mut self, units: f64, now: Timestamp) -> bool {
        let passed = now.duration_since(self.at).as_secs_f64().max(0.0);
        self.left = (self.left + passed * READ_UNITS_A_SECOND).min(UNITS_AT_ONCE);
        self.at = self.at.max(now);
        if self.left <= 0.0 {
            return false;
        }
        self.left -= units;
        true
    }
}

impl Past {
    /// Whether an answer may read so many pages and profiles now.
    pub fn may_read(&self, pages: usize, profiles: usize, now: Timestamp) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "at most some thousands")]
        let units = pages as f64 * UNITS_A_PAGE + profiles as f64 * UNITS_A_PROFILE;
        locked(&self.budget).spend(units, now)
    }

    /// Fills in the names of those who have one, as of the snapshot of this generation.
    pub async fn name(
        &self,
        people: &People,
        entries: &mut [&mut BoardEntry],
        generation: u64,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let unknown: Vec<UserId> = {
            let mut names = locked(&self.names);
            if names.generation != generation || names.of.len() > NAMES_MAX {
                *names = Names {
                    generation,
                    of: HashMap::new(),
                };
            }
            let users = entries.iter().filter_map(|entry| entry.user_id.as_ref());
            users
                .filter(|user| !names.of.contains_key(user))
                .cloned()
                .collect()
        };
        // An answer that was begun is finished.
        self.may_read(0, unknown.len(), now);
        let mut read = people.names(&unknown).await?;
        let mut names = locked(&self.names);
        for user in unknown {
            let name = read.remove(&user);
            names.of.insert(user, name);
        }
        for entry in entries {
            let name = entry.user_id.as_ref().and_then(|user| names.of.get(user));
            entry.name = name.cloned().flatten();
        }
        Ok(())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn what_is_spent_at_once_comes_back_with_time() {
        let mut budget = Budget::default();
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        assert!(budget.spend(UNITS_AT_ONCE - 1.0, now));
        // It may be overdrawn once.
        assert!(budget.spend(READ_UNITS_A_SECOND + 1.0, now));
        assert!(!budget.spend(1.0, now));
        assert!(!budget.spend(1.0, now + SignedDuration::from_millis(900)));
        assert!(budget.spend(1.0, now + SignedDuration::from_millis(1_100)));
        // A clock that goes back gives nothing.
        assert!(budget.spend(1_000.0, now + SignedDuration::from_secs(2)));
        assert!(!budget.spend(1.0, now));
    }
}
