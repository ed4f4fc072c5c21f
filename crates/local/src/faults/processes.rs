//! Faults of the functions' processes.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;

use super::{Fault, Faults};
use crate::lambda::{ProcessFault, ProcessFaults};

/// A fault is injected within this time after an invocation begins. Most invocations take less, so a
/// fault may hit any point of them.
const INJECTED_WITHIN: Duration = Duration::from_millis(400);

/// The largest error of a deadline, in either direction.
const DEADLINE_ERROR_MAX: Duration = Duration::from_secs(5);

/// In the order of injection. All but the last, which kills at once, strike at a random time.
const KINDS: [(Fault, ProcessFault); 4] = [
    (Fault::Kill, ProcessFault::Kill),
    (Fault::OutOfMemory, ProcessFault::OverMemory),
    (Fault::TimeOut, ProcessFault::Freeze),
    (Fault::ColdHerd, ProcessFault::KillAll),
];

impl Faults {
    /// The faults of a function's processes; `None` if none can occur.
    pub(crate) fn of_processes(&self) -> Option<Arc<dyn ProcessFaults>> {
        (!self.are_none()).then(|| Arc::new(self.clone()) as Arc<dyn ProcessFaults>)
    }
}

impl ProcessFaults for Faults {
    fn deadline_error(&self) -> SignedDuration {
        let Some(mut draw) = self.draw(Fault::ClockJump) else {
            return SignedDuration::ZERO;
        };
        Self::count(self, Fault::ClockJump);
        let error =
            SignedDuration::try_from(draw.within(Duration::ZERO..DEADLINE_ERROR_MAX)).unwrap_or_default();
        if draw.below(2) == 0 { error } else { -error }
    }

    fn draw(&self) -> Vec<(ProcessFault, Duration)> {
        let drawn = KINDS.into_iter().filter_map(|(fault, kind)| {
            let mut draw = Faults::draw(self, fault)?;
            let after = match kind {
                ProcessFault::KillAll => Duration::ZERO,
                ProcessFault::Kill | ProcessFault::OverMemory | ProcessFault::Freeze => {
                    draw.within(Duration::ZERO..INJECTED_WITHIN)
                }
            };
            Some((kind, after))
        });
        drawn.collect()
    }

    fn count(&self, fault: ProcessFault) {
        if let Some((fault, _)) = KINDS.into_iter().find(|(_, kind)| *kind == fault) {
            Self::count(self, fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_reaches_the_processes_and_is_counted_as_itself() {
        for (fault, kind) in KINDS {
            let faults = Faults::from_seed(1, [fault]);
            faults.raise(fault, [], 1.0);
            let of_processes = faults.of_processes().expect("there are faults");
            let drawn = of_processes.draw();
            assert!(
                matches!(drawn[..], [(drawn, after)] if drawn == kind && after < INJECTED_WITHIN),
                "{drawn:?}"
            );
            assert_eq!(faults.counts(), [(fault, 0)]);
            of_processes.count(kind);
            assert_eq!(faults.counts(), [(fault, 1)]);
        }
        assert!(Faults::none().of_processes().is_none());
    }

    #[test]
    fn a_jump_of_the_clock_moves_the_deadline_both_ways() {
        let faults = Faults::from_seed(1, [Fault::ClockJump]);
        assert_eq!(Faults::none().deadline_error(), SignedDuration::ZERO);
        faults.raise(Fault::ClockJump, [], 1.0);
        let errors: Vec<_> = (0..100).map(|_| faults.deadline_error()).collect();
        assert!(errors.iter().any(SignedDuration::is_positive));
        assert!(errors.iter().any(SignedDuration::is_negative));
        assert!(
            errors
                .iter()
                .all(|error| error.unsigned_abs() < DEADLINE_ERROR_MAX)
        );
        assert_eq!(faults.counts(), [(Fault::ClockJump, 100)]);
    }
}
