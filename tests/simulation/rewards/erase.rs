//! The erasure of a person, in the order of `podium people erase`.

use domain::{Fact, UserId};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use store::reward::PersonReward;

use super::World;
use super::invocation::advance;
use crate::tell;

/// How long an erasure waits. Whatever began before has ended by then.
const WAIT: SignedDuration = SignedDuration::from_secs(45);

/// What appeared while the first round deleted is deleted by the second.
const ROUNDS: usize = 2;

pub struct Erasure {
    user: UserId,
    /// What was received before this is erased.
    before: Timestamp,
    /// Times that it has waited, and then deleted.
    rounds: usize,
    /// At the end, what was posted since is proved, since its coins were deleted with the others.
    proof: Option<PersonReward<'static>>,
}

impl World {
    pub(super) fn step_erasure(&mut self, may_fail: bool) {
        let Some(mut erasure) = self.erasure.take() else {
            if may_fail && self.has_erasures && self.random.random_range(0..4) == 0 {
                self.begin_erasure();
            }
            return;
        };
        if may_fail && self.random.random_range(0..10) == 0 {
            tell("the erasure begins again");
            erasure.rounds = 0;
        }
        if erasure.rounds == ROUNDS {
            return self.prove_what_is_new(erasure, may_fail);
        }
        self.now += WAIT;
        // No invocation takes longer.
        let before = Some(erasure.before);
        self.invocations
            .retain(|invocation| invocation.erasures.before(&erasure.user) == before);
        self.passes.clear();
        let erasures = self.erasures;
        let erased = self
            .facts
            .extract_if(.., |_, stored| erasures.cover(&stored.fact, stored.received_at));
        for (key, stored) in erased {
            if matches!(stored.fact, Fact::Activity(_)) {
                self.gone.push(key);
            }
        }
        self.tables.delete(&erasure.user);
        erasure.rounds += 1;
        erasure.proof = None;
        tell(format_args!("the erasure of {} has deleted", erasure.user));
        self.erasure = Some(erasure);
    }

    fn prove_what_is_new(&mut self, mut erasure: Erasure, may_fail: bool) {
        let fault = self.fault(may_fail);
        let (user, erasures, rules) = (erasure.user.clone(), self.erasures, self.rules);
        let proof = erasure
            .proof
            .get_or_insert_with(|| PersonReward::prove(user, erasures, rules));
        if !advance(
            proof,
            erasures,
            &mut self.tables,
            &self.facts,
            fault,
            &mut self.random,
        ) {
            erasure.proof = None;
        } else if proof.next().is_none() {
            tell(format_args!("the erasure of {} is done", erasure.user));
            self.erasures = Box::leak(Box::new(self.erasures.finished(&erasure.user)));
            return;
        }
        self.erasure = Some(erasure);
    }

    fn begin_erasure(&mut self) {
        let user: UserId = self.user().parse().expect("a user");
        // What was received until now is stored by then.
        self.now += SignedDuration::from_mins(1);
        let erasures = self.erasures.begun(&user, self.now, [7; 32]);
        self.erasures = Box::leak(Box::new(erasures.expect("there are few users")));
        let before = self.erasures.before(&user).expect("it is noted");
        tell(format_args!("the erasure of {user} before {before} begins"));
        self.erasure = Some(Erasure {
            user,
            before,
            rounds: 0,
            proof: None,
        });
    }
}
