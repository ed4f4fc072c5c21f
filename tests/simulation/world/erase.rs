//! Erasures of persons, beside everything else.

use domain::{Fact, UserId};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use store::StoredFact;

use super::{USERS, World};
use crate::erasure::{Erasure, Stage};
use crate::folds::Fold;
use crate::tell;

/// How long an erasure waits after its note. Whatever began before has ended by then, or looks again.
const WAIT: SignedDuration = SignedDuration::from_secs(45);

impl World {
    /// An erasure begins, resumes or goes on.
    pub(super) fn step_erasure(&mut self, may_fail: bool) {
        let Some(mut erasure) = self.erasure.take() else {
            if may_fail && self.has_erasures && self.random.random_range(0..4) == 0 {
                self.begin_erasure();
            }
            return;
        };
        if may_fail && self.random.random_range(0..40) == 0 {
            tell(format_args!("the erasure of {} begins again", erasure.user));
            erasure.stage = Stage::Waiting;
        }
        erasure.stage = self.next_stage(&erasure.user, erasure.before, erasure.stage, may_fail);
        if matches!(erasure.stage, Stage::Done) {
            self.generations.erasures = self.generations.erasures.finished(&erasure.user);
            return tell(format_args!("the erasure of {} is done", erasure.user));
        }
        self.erasure = Some(erasure);
    }

    fn begin_erasure(&mut self) {
        let user: UserId = USERS[self.random.random_range(0..USERS.len())]
            .parse()
            .expect("a user");
        let erasures = self.generations.erasures.begun(&user, self.now, [7; 32]);
        self.generations.erasures = erasures.expect("there are few users");
        let before = self.generations.erasures.before(&user).expect("it is noted");
        tell(format_args!("the erasure of {user} before {before} begins"));
        self.publishing.expect_fewer();
        self.erasure = Some(Erasure::begin(user, before));
    }

    fn next_stage(&mut self, user: &UserId, before: Timestamp, stage: Stage, may_fail: bool) -> Stage {
        match stage {
            Stage::Waiting => {
                self.now += WAIT;
                // No invocation takes longer.
                self.workers
                    .retain(|worker| worker.erasures.before(user) == Some(before));
                tell("the erasure has waited");
                Stage::Deleting
            }
            Stage::Deleting => {
                self.facts
                    .retain(|stored| stored.fact.user() != user || !is_before(stored, before));
                tell("the facts are deleted");
                Stage::Folding {
                    epochs: self.tables.epochs(user),
                    left: self.generations.counted().collect(),
                    fold: None,
                }
            }
            Stage::Folding { epochs, left, fold } if left.is_empty() => {
                assert!(fold.is_none(), "each fold is of a generation");
                self.tables
                    .delete_strays(user, &self.generations.counted().collect());
                self.erased.insert(user.clone(), before);
                self.check_erased(user);
                self.tables.delete_epochs(user, &epochs);
                Stage::Done
            }
            Stage::Folding {
                epochs,
                mut left,
                fold,
            } => {
                let fault = self.fault(may_fail);
                let generation = left[0];
                let rules = &self.rules[&generation];
                let mut fold = fold.unwrap_or_else(|| Fold::begin(generation, rules, user.clone()));
                // Of a generation that was given up meanwhile, what is left is deleted in the end.
                let is_counted = self.generations.counted().any(|counted| counted == generation);
                let goes_on = is_counted
                    && fold.step(
                        &mut self.tables,
                        (&self.facts, &self.generations.erasures),
                        rules,
                        self.now,
                        fault,
                        &mut self.random,
                    );
                if !goes_on {
                    left.remove(0);
                }
                Stage::Folding {
                    epochs,
                    left,
                    fold: goes_on.then_some(fold),
                }
            }
            Stage::Done => Stage::Done,
        }
    }

    /// When ingestion says that it received what a user sends now. Its clock is not so far behind that an erasure, which
    /// has waited, misses it.
    pub(super) fn received_at(&self, user: &str, at: Timestamp) -> Timestamp {
        let user: UserId = user.parse().expect("a user");
        let under_way = self
            .erasure
            .as_ref()
            .filter(|erasure| erasure.user == user && !matches!(erasure.stage, Stage::Waiting));
        let erased = self.erased.get(&user).copied();
        let before = under_way.map(|erasure| erasure.before).max(erased);
        before.map_or(at, |before| at.max(before))
    }

    /// Whether a fact is gone for good.
    pub(super) fn is_erased(&self, stored: &StoredFact) -> bool {
        let before = self.erased.get(stored.fact.user());
        before.is_some_and(|before| is_before(stored, *before))
    }
}

/// Whether a fact was received before this, or takes out an activity that was.
fn is_before(stored: &StoredFact, before: Timestamp) -> bool {
    let activity = match &stored.fact {
        Fact::Void(void) => Some(void.activity_received_at),
        Fact::Activity(_) | Fact::Adjustment(_) => None,
    };
    stored.received_at < before || activity.is_some_and(|received_at| received_at < before)
}
