//! What the clients write, determined by a seed.

use std::collections::VecDeque;

use domain::{ActivityId, ProgramId, UserId};
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;

use crate::legacy::event::{ActivityType, Points, whole_seconds};
use crate::load::workload::Workload;

const USERS: u32 = 300;
const PROGRAMS: u32 = 5;

/// Of a hundred writes, so many repeat an earlier one, as clients do that did not hear its answer.
const REPEATS: u32 = 3;
/// A repeat is of one of the last so many activities.
const REPEATED_MAX: usize = 1_000;

/// Of a hundred activities 50 are check-ins, 30 movements and 20 steps.
const CHECK_INS_BELOW: u32 = 50;
const MOVEMENTS_BELOW: u32 = 80;

/// An activity, in the form of Podium's API. The kinds have the same names in both systems.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fact {
    pub activity_id: ActivityId,
    pub user_id: UserId,
    pub program_id: ProgramId,
    pub kind: ActivityType,
    pub points: Points,
    /// In whole seconds.
    pub occurred_at: Timestamp,
}

/// Few employees do much, as in [`Workload`].
pub struct Source {
    workload: Workload,
    random: StdRng,
    recent: VecDeque<Fact>,
}

impl Source {
    /// Ids do not depend on the seed, so that a second run adds to the first.
    pub fn new(seed: u64) -> Self {
        Self {
            workload: Workload::new(USERS, PROGRAMS, seed, rand::random()),
            random: StdRng::seed_from_u64(seed),
            recent: VecDeque::new(),
        }
    }

    /// An activity that occurs now, or an earlier one again.
    pub fn next(&mut self, now: Timestamp) -> Fact {
        let is_repeat = self.random.random_range(0..100) < REPEATS;
        if is_repeat && !self.recent.is_empty() {
            let place = self.random.random_range(0..self.recent.len());
            return self.recent[place].clone();
        }
        let activity = self.workload.next();
        let points = self.random.random_range(1..=Points::MAX);
        let fact = Fact {
            activity_id: activity.activity_id,
            user_id: activity.user_id,
            program_id: activity.program_id,
            kind: match self.random.random_range(0..100) {
                0..CHECK_INS_BELOW => ActivityType::Checkin,
                CHECK_INS_BELOW..MOVEMENTS_BELOW => ActivityType::Movement,
                _ => ActivityType::Steps,
            },
            points: points.try_into().expect("drawn from what points may be"),
            occurred_at: whole_seconds(now),
        };
        if self.recent.len() == REPEATED_MAX {
            self.recent.pop_front();
        }
        self.recent.push_back(fact.clone());
        fact
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn drawn(seed: u64, number: usize) -> Vec<Fact> {
        let mut source = Source::new(seed);
        (0..number).map(|_| source.next(Timestamp::UNIX_EPOCH)).collect()
    }

    #[test]
    fn some_activities_are_sent_again_unchanged() {
        let mut by_id: HashMap<ActivityId, Vec<Fact>> = HashMap::new();
        for fact in drawn(7, 5_000) {
            by_id.entry(fact.activity_id.clone()).or_default().push(fact);
        }
        let repeats: usize = by_id.values().map(|same| same.len() - 1).sum();
        assert!((100..200).contains(&repeats), "{repeats}");
        assert!(
            by_id
                .values()
                .all(|same| same.iter().all(|fact| *fact == same[0]))
        );
    }

    #[test]
    fn the_same_seed_draws_the_same_under_fresh_ids() {
        let shape = |facts: Vec<Fact>| -> Vec<_> {
            let shapes = facts
                .into_iter()
                .map(|fact| (fact.user_id, fact.program_id, fact.kind, fact.points));
            shapes.collect()
        };
        let (first, second) = (drawn(7, 100), drawn(7, 100));
        assert_ne!(first, second);
        assert_eq!(shape(first), shape(second));
        assert_ne!(shape(drawn(7, 100)), shape(drawn(8, 100)));
    }
}
