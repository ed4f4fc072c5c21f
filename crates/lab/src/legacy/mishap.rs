//! What goes wrong while an event is counted, drawn from a seed.

use std::num::NonZeroU64;

use ring::digest::{SHA256, digest};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mishap {
    CrashAfterClaim,
    CrashBetweenUpdates,
    CrashAfterUpdates,
    ProgressAnswerLost,
    TotalsAnswerLost,
}

/// What the processor does with an event that it has claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    AddToProgress,
    AddToTotals,
    Crash,
}

/// Which events something happens to.
#[derive(Clone, Copy, Debug)]
pub struct Mishaps {
    pub seed: u64,
    /// `None`: nothing ever happens.
    pub one_in: Option<NonZeroU64>,
}

impl Mishaps {
    /// Depends on nothing but the seed and the event, so that restarts and the sizes of batches do not matter.
    pub fn of(self, event_id: &str) -> Option<Mishap> {
        const EVERY: [Mishap; 5] = [
            Mishap::CrashAfterClaim,
            Mishap::CrashBetweenUpdates,
            Mishap::CrashAfterUpdates,
            Mishap::ProgressAnswerLost,
            Mishap::TotalsAnswerLost,
        ];
        let one_in = self.one_in?.get();
        let hash = digest(&SHA256, format!("{} {event_id}", self.seed).as_bytes());
        let (drawn, _) = hash.as_ref().split_first_chunk().expect("a hash has 32 bytes");
        let drawn = u64::from_be_bytes(*drawn);
        let kind = usize::try_from(drawn / one_in % EVERY.len() as u64).expect("one of five");
        drawn.is_multiple_of(one_in).then_some(EVERY[kind])
    }
}

pub fn steps(mishap: Option<Mishap>) -> &'static [Step] {
    use Step::{AddToProgress, AddToTotals, Crash};
    match mishap {
        None => &[AddToProgress, AddToTotals],
        Some(Mishap::CrashAfterClaim) => &[Crash],
        Some(Mishap::CrashBetweenUpdates) => &[AddToProgress, Crash],
        Some(Mishap::CrashAfterUpdates) => &[AddToProgress, AddToTotals, Crash],
        // The update was made, and is sent again.
        Some(Mishap::ProgressAnswerLost) => &[AddToProgress, AddToProgress, AddToTotals],
        Some(Mishap::TotalsAnswerLost) => &[AddToProgress, AddToTotals, AddToTotals],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// How often an event is counted in `ProgramProgress` and in `EmployeeTotals`.
    fn check(mishap: Option<Mishap>, expected: (usize, usize)) {
        let times = |step| steps(mishap).iter().filter(|made| **made == step).count();
        assert_eq!(
            (times(Step::AddToProgress), times(Step::AddToTotals)),
            expected,
            "{mishap:?}"
        );
        // Nothing follows a crash: the event stays claimed.
        let crash = steps(mishap).iter().position(|step| *step == Step::Crash);
        assert!(crash.is_none_or(|at| at + 1 == steps(mishap).len()), "{mishap:?}");
    }

    #[test]
    fn a_mishap_loses_splits_or_doubles_an_event() {
        check(None, (1, 1));
        check(Some(Mishap::CrashAfterClaim), (0, 0));
        check(Some(Mishap::CrashBetweenUpdates), (1, 0));
        check(Some(Mishap::CrashAfterUpdates), (1, 1));
        check(Some(Mishap::ProgressAnswerLost), (2, 1));
        check(Some(Mishap::TotalsAnswerLost), (1, 2));
    }

    #[test]
    fn the_seed_and_the_event_say_what_happens() {
        let drawn = |seed, one_in| {
            let mishaps = Mishaps {
                seed,
                one_in: NonZeroU64::new(one_in),
            };
            (0..1_000)
                .map(|event| mishaps.of(&format!("e{event}")))
                .collect::<Vec<_>>()
        };
        assert_eq!(drawn(7, 4), drawn(7, 4));
        assert_ne!(drawn(7, 4), drawn(8, 4));
        assert!(drawn(7, 0).iter().all(Option::is_none));
        assert!(drawn(7, 1).iter().all(Option::is_some));
        let mut times: HashMap<Option<Mishap>, u32> = HashMap::new();
        for mishap in drawn(7, 4) {
            *times.entry(mishap).or_default() += 1;
        }
        assert_eq!(times.len(), 6, "{times:?}");
        assert!((700..800).contains(&times[&None]), "{times:?}");
    }
}
