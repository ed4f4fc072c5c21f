//! What an instance keeps to answer about periods that are over, and how much it may read for them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{BoardEntry, DisplayName, UserId};
use jiff::Timestamp;
use store::{People, StoreError};

use crate::budget::Budget;

/// Names that are kept until the next snapshot: 3 MB.
const NAMES_MAX: usize = 20_000;
/// A profile or a title, read with eventual consistency.
const UNITS_A_PROFILE: f64 = 0.5;
/// A page of rows or of people, compressed to 10 to 15 KB with realistic ids.
const UNITS_A_PAGE: f64 = 2.0;

#[derive(Debug)]
pub struct Past {
    names: Mutex<Names>,
    budget: Arc<Budget>,
}

/// The names as of a snapshot; `None` of users without one.
#[derive(Debug, Default)]
struct Names {
    generation: u64,
    of: HashMap<UserId, Option<DisplayName>>,
}

impl Past {
    pub fn new(budget: Arc<Budget>) -> Self {
        Self {
            names: Mutex::default(),
            budget,
        }
    }

    /// Whether an answer may read so many pages and profiles now.
    pub fn may_read(&self, pages: usize, profiles: usize, now: Timestamp) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "at most some thousands")]
        let units = pages as f64 * UNITS_A_PAGE + profiles as f64 * UNITS_A_PROFILE;
        self.budget.spend(units, now)
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
