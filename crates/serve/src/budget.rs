//! Bounds what an instance reads for answers that may take hundreds of read units: whoever may read public boards could make
//! them expensive.

use std::sync::{Mutex, PoisonError};

use domain::closed::READ_UNITS_A_SECOND;
use jiff::Timestamp;

/// Read units that an instance may spend at once. They come back by [`READ_UNITS_A_SECOND`].
const UNITS_AT_ONCE: f64 = 8_000.0;

/// Refills with time, and may be overdrawn by one answer.
#[derive(Debug)]
pub struct Budget(Mutex<Left>);

#[derive(Debug)]
struct Left {
    units: f64,
    at: Timestamp,
}

impl Default for Budget {
    fn default() -> Self {
        Self(Mutex::new(Left {
            units: UNITS_AT_ONCE,
            at: Timestamp::UNIX_EPOCH,
        }))
    }
}

impl Budget {
    /// Spends units, unless nothing is left.
    pub fn spend(&self, units: f64, now: Timestamp) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.duration_since(left.at).as_secs_f64().max(0.0);
        left.units = (left.units + passed * READ_UNITS_A_SECOND).min(UNITS_AT_ONCE);
        left.at = left.at.max(now);
        if left.units <= 0.0 {
            return false;
        }
        left.units -= units;
        true
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    #[test]
    fn what_is_spent_at_once_comes_back_with_time() {
        let budget = Budget::default();
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
