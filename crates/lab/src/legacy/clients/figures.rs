//! What became of the clients' requests.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use terminal::text::{grouped, latency};

use super::{Ended, Request};

/// A later answer is late.
const LATE_AFTER: Duration = Duration::from_secs(2);

#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    seed: u64,
    writes: Tally,
    reads: Tally,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
struct Tally {
    sent: u64,
    answered: u64,
    /// Answered, but late.
    late: u64,
    /// Attempts after the first ones.
    again: u64,
    slowest_ms: u128,
}

impl Figures {
    pub fn new(seed: u64) -> Self {
        Self {
            seed,
            ..Self::default()
        }
    }

    pub fn add(&mut self, ended: &Ended) {
        let tally = match ended.request {
            Request::Write(_) => &mut self.writes,
            Request::Read => &mut self.reads,
        };
        tally.sent += 1;
        tally.again += ended.attempts - 1;
        if let Some(after) = ended.answered_after {
            tally.answered += 1;
            tally.late += u64::from(after > LATE_AFTER);
            tally.slowest_ms = tally.slowest_ms.max(after.as_millis());
        }
    }

    /// Whether all requests were answered in time.
    pub fn is_good(&self) -> bool {
        [self.writes, self.reads]
            .iter()
            .all(|tally| tally.answered == tally.sent && tally.late == 0)
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "writes  {}", self.writes)?;
        writeln!(f, "reads   {}", self.reads)?;
        write!(f, "seed    {}", self.seed)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slowest = Duration::from_millis(u64::try_from(self.slowest_ms).unwrap_or(u64::MAX));
        write!(
            f,
            "{} sent, {} answered, {} of them later than {} s, slowest {}, {} sent again",
            grouped(self.sent),
            grouped(self.answered),
            grouped(self.late),
            LATE_AFTER.as_secs(),
            latency(slowest),
            grouped(self.again)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads that were answered after so many milliseconds, or never.
    fn check(answered_after_ms: &[Option<u64>], is_good: bool, expected: &str) {
        let mut figures = Figures::new(7);
        for after in answered_after_ms {
            figures.add(&Ended {
                request: Request::Read,
                answered_after: after.map(Duration::from_millis),
                attempts: 2,
            });
        }
        assert_eq!(
            (figures.is_good(), figures.reads.to_string().as_str()),
            (is_good, expected)
        );
    }

    #[test]
    fn each_request_is_answered_in_time_or_counted() {
        let good = "2 sent, 2 answered, 0 of them later than 2 s, slowest 2.00 s, 2 sent again";
        check(&[Some(2_000), Some(10)], true, good);
        let late = "2 sent, 2 answered, 1 of them later than 2 s, slowest 2.00 s, 2 sent again";
        check(&[Some(2_001), Some(10)], false, late);
        let lost = "2 sent, 1 answered, 0 of them later than 2 s, slowest 10.0 ms, 2 sent again";
        check(&[None, Some(10)], false, lost);
    }
}
