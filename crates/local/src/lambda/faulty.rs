//! Injects faults into invocations.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::sleep;

use super::environment::{Ending, Environment};
use crate::faults::{Fault, Faults};

/// A fault is injected within this time after an invocation begins. Most invocations take less, so a
/// fault may hit any point of them.
const INJECTED_WITHIN: Duration = Duration::from_millis(400);

/// The largest error of a deadline, in either direction.
const DEADLINE_ERROR_MAX: Duration = Duration::from_secs(5);

/// The error to add to the deadline that a function is told.
pub(super) fn deadline_error(faults: &Faults) -> SignedDuration {
    let Some(mut draw) = faults.draw(Fault::ClockJump) else {
        return SignedDuration::ZERO;
    };
    faults.count(Fault::ClockJump);
    let error = SignedDuration::try_from(draw.within(Duration::ZERO..DEADLINE_ERROR_MAX)).unwrap_or_default();
    if draw.below(2) == 0 { error } else { -error }
}

/// Draws the faults of an invocation that this environment has just received. `kill_all` kills every
/// environment of the function; `false` if there is none.
pub(super) fn inject(faults: &Faults, environment: &Arc<Environment>, kill_all: impl FnOnce() -> bool) {
    if faults.are_none() {
        return;
    }
    inject_later(faults, environment, Fault::Kill, |environment| {
        environment.end(Ending::Killed)
    });
    inject_later(faults, environment, Fault::OutOfMemory, |environment| {
        environment.end(Ending::OverMemory)
    });
    inject_later(faults, environment, Fault::TimeOut, Environment::freeze);
    if faults.draw(Fault::ColdHerd).is_some() && kill_all() {
        faults.count(Fault::ColdHerd);
    }
}

/// `affect` returns whether the fault had any effect.
fn inject_later(
    faults: &Faults,
    environment: &Arc<Environment>,
    fault: Fault,
    affect: fn(&Environment) -> bool,
) {
    let Some(mut draw) = faults.draw(fault) else {
        return;
    };
    let after = draw.within(Duration::ZERO..INJECTED_WITHIN);
    let (faults, environment) = (faults.clone(), Arc::clone(environment));
    tokio::spawn(async move {
        sleep(after).await;
        if affect(&environment) {
            faults.count(fault);
        }
    });
}
