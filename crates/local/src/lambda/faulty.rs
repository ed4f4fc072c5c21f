//! What befalls an invocation, when faults are asked for.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::sleep;

use super::environment::{Ending, Environment};
use super::pool::Pool;
use crate::faults::{Fault, Faults};

/// A fault strikes within this from the beginning of an invocation, so at any point of most.
const STRIKES_WITHIN: Duration = Duration::from_millis(400);

/// The deadline of an invocation is off by less than this, either way.
const DEADLINE_OFF_MAX: Duration = Duration::from_secs(5);

/// By how much the deadline that a function is told is off.
pub(super) fn deadline_error(faults: &Faults) -> SignedDuration {
    let Some(mut draw) = faults.draw(Fault::ClockJump) else {
        return SignedDuration::ZERO;
    };
    faults.count(Fault::ClockJump);
    let error = SignedDuration::try_from(draw.within(Duration::ZERO..DEADLINE_OFF_MAX)).unwrap_or_default();
    if draw.below(2) == 0 { error } else { -error }
}

impl Pool {
    /// Draws what befalls the invocation that was just handed to this environment.
    pub(super) fn befall(self: &Arc<Self>, environment: &Arc<Environment>) {
        if self.config.faults.are_none() {
            return;
        }
        self.befall_one(environment, Fault::Kill, |environment| {
            environment.end(Ending::Killed)
        });
        self.befall_one(environment, Fault::OutOfMemory, |environment| {
            environment.end(Ending::OverMemory)
        });
        self.befall_one(environment, Fault::TimeOut, Environment::freeze);
        if self.config.faults.draw(Fault::ColdHerd).is_some() && self.kill_all() {
            self.config.faults.count(Fault::ColdHerd);
        }
    }

    /// `strike` says whether there was anything left to strike.
    fn befall_one(
        self: &Arc<Self>,
        environment: &Arc<Environment>,
        fault: Fault,
        strike: fn(&Environment) -> bool,
    ) {
        let Some(mut draw) = self.config.faults.draw(fault) else {
            return;
        };
        let after = draw.within(Duration::ZERO..STRIKES_WITHIN);
        let (pool, environment) = (Arc::clone(self), Arc::clone(environment));
        tokio::spawn(async move {
            sleep(after).await;
            if strike(&environment) {
                pool.config.faults.count(fault);
            }
        });
    }
}
