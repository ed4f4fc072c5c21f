//! How old a published board is, and when it is too old.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// The state of the pipeline as a snapshot run measured it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Freshness {
    pub generated_at: Timestamp,
    /// Seconds between sending and counting the latest counted heartbeat, or how long the oldest
    /// uncounted one has waited if that is longer, in the slowest lane. `None` before the first heartbeat.
    pub lag_seconds: Option<f64>,
    /// Messages in the queue, waiting or in flight.
    pub backlog: u64,
}

/// The latest heartbeats of one lane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heartbeats {
    /// When the latest counted one was sent, and when it was counted.
    pub counted: Option<(Timestamp, Timestamp)>,
    /// When the oldest uncounted one was sent.
    pub waiting_since: Option<Timestamp>,
}

impl Heartbeats {
    /// The lag in seconds at `now`. A heartbeat in transit counts with the time it has taken so far, so
    /// the lag of a stalled pipeline keeps rising.
    pub fn lag_seconds(&self, now: Timestamp) -> Option<f64> {
        let travelled = self.counted.map(|(sent, counted)| counted.duration_since(sent));
        let waited = self.waiting_since.map(|sent| now.duration_since(sent));
        travelled
            .max(waited)
            .map(|lag| lag.max(SignedDuration::ZERO).as_secs_f64())
    }

    /// The lag of the slowest lane.
    pub fn worst_lag_seconds(lanes: &[Self], now: Timestamp) -> Option<f64> {
        lanes
            .iter()
            .filter_map(|lane| lane.lag_seconds(now))
            .max_by(f64::total_cmp)
    }
}

/// A board that exceeds one of these is stale.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FreshnessBounds {
    pub age: SignedDuration,
    pub lag: SignedDuration,
    pub backlog: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StaleReason {
    /// The last snapshot is too old.
    Age,
    /// Activities take too long to be counted.
    Lag,
    /// Too many activities are waiting to be counted.
    Backlog,
}

/// The freshness that every answer carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FreshnessDocument {
    pub generated_at: Timestamp,
    pub age_seconds: i64,
    pub lag_seconds: Option<f64>,
    pub backlog: u64,
    pub stale: bool,
    pub stale_reasons: Vec<StaleReason>,
}

impl Freshness {
    pub fn at(&self, now: Timestamp, bounds: &FreshnessBounds) -> FreshnessDocument {
        let age = now.duration_since(self.generated_at).max(SignedDuration::ZERO);
        let stale_reasons: Vec<_> = [
            (age > bounds.age, StaleReason::Age),
            (
                self.lag_seconds.is_some_and(|lag| lag > bounds.lag.as_secs_f64()),
                StaleReason::Lag,
            ),
            (self.backlog > bounds.backlog, StaleReason::Backlog),
        ]
        .into_iter()
        .filter_map(|(passed, reason)| passed.then_some(reason))
        .collect();
        FreshnessDocument {
            generated_at: self.generated_at,
            age_seconds: age.as_secs(),
            lag_seconds: self.lag_seconds,
            backlog: self.backlog,
            stale: !stale_reasons.is_empty(),
            stale_reasons,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn check_lag(counted: Option<(i64, i64)>, waiting_since: Option<i64>, expected: Option<f64>) {
        let heartbeats = Heartbeats {
            counted: counted.map(|(sent, counted)| (at(sent), at(counted))),
            waiting_since: waiting_since.map(at),
        };
        assert_eq!(heartbeats.lag_seconds(at(600)), expected, "{heartbeats:?}");
    }

    #[test]
    fn lag_grows_while_a_heartbeat_waits() {
        check_lag(None, None, None);
        check_lag(Some((540, 541)), None, Some(1.0));
        check_lag(Some((540, 541)), Some(598), Some(2.0));
        check_lag(Some((540, 545)), Some(598), Some(5.0));
        check_lag(Some((0, 1)), Some(60), Some(540.0));
        check_lag(None, Some(300), Some(300.0));
        check_lag(Some((541, 540)), None, Some(0.0));
    }

    #[test]
    fn the_slowest_lane_makes_the_lag() {
        let lane = |counted: Option<(i64, i64)>, waiting_since: Option<i64>| Heartbeats {
            counted: counted.map(|(sent, counted)| (at(sent), at(counted))),
            waiting_since: waiting_since.map(at),
        };
        let quick = lane(Some((540, 541)), None);
        let stalled = lane(Some((60, 61)), Some(120));
        assert_eq!(
            Heartbeats::worst_lag_seconds(&[quick, stalled, quick], at(600)),
            Some(480.0)
        );
        assert_eq!(
            Heartbeats::worst_lag_seconds(&[quick, lane(None, None)], at(600)),
            Some(1.0)
        );
        assert_eq!(Heartbeats::worst_lag_seconds(&[], at(600)), None);
    }

    fn check_stale(age: i64, lag_seconds: Option<f64>, backlog: u64, expected: &[StaleReason]) {
        let bounds = FreshnessBounds {
            age: SignedDuration::from_secs(180),
            lag: SignedDuration::from_secs(120),
            backlog: 1000,
        };
        let document = Freshness {
            generated_at: at(0),
            lag_seconds,
            backlog,
        }
        .at(at(age), &bounds);
        assert_eq!(document.stale_reasons, expected);
        assert_eq!(document.stale, !expected.is_empty());
    }

    #[test]
    fn each_bound_makes_it_stale_by_itself() {
        check_stale(0, None, 0, &[]);
        check_stale(180, Some(120.0), 1000, &[]);
        check_stale(181, Some(1.0), 0, &[StaleReason::Age]);
        check_stale(0, Some(120.1), 0, &[StaleReason::Lag]);
        check_stale(0, None, 1001, &[StaleReason::Backlog]);
        check_stale(
            999,
            Some(999.0),
            9999,
            &[StaleReason::Age, StaleReason::Lag, StaleReason::Backlog],
        );
    }
}
