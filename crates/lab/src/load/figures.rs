//! The figures of a load.

use std::{collections::BTreeMap, fmt, time::Duration};

use client::Failure;
use hdrhistogram::Histogram;
use terminal::text::{counted, grouped, latency};

/// One hour in microseconds. Longer latencies are recorded as this.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// Three significant digits: a percentile is off by at most 0.1%.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Why an activity got no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LoadError {
    /// Not sent, because the maximum of unanswered requests was reached.
    Overflow,
    /// The server answered but could not store it.
    Unavailable,
    Failed(Failure),
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overflow => f.write_str("not sent, too many outstanding"),
            Self::Unavailable => f.write_str("unavailable"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

/// Activities by result. Once every request has ended, `sent` is the sum of the verdicts and of all
/// errors but [`LoadError::Overflow`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    pub sent: u64,
    pub accepted: u64,
    pub duplicate: u64,
    pub rejected: u64,
    pub errors: BTreeMap<LoadError, u64>,
}

impl Counts {
    pub fn errors_total(&self) -> u64 {
        self.errors.values().sum()
    }

    pub fn count_error(&mut self, error: LoadError, activities: u64) {
        *self.errors.entry(error).or_default() += activities;
    }
}

/// Latencies, summarised as percentiles.
pub struct Recorder(Histogram<u64>);

impl Recorder {
    pub fn new() -> Self {
        Self(
            Histogram::new_with_bounds(1, LATENCY_US_MAX, SIGNIFICANT_DIGITS)
                .expect("the bounds are in order"),
        )
    }

    pub fn record(&mut self, span: Duration) {
        self.0
            .saturating_record(u64::try_from(span.as_micros()).unwrap_or(u64::MAX));
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn percentiles(&self) -> Percentiles {
        let at = |quantile| Duration::from_micros(self.0.value_at_quantile(quantile));
        Percentiles {
            count: self.0.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: Duration::from_micros(self.0.max()),
        }
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Percentiles {
    pub count: u64,
    pub p50: Duration,
    pub p90: Duration,
    pub p99: Duration,
    pub p999: Duration,
    pub max: Duration,
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.count == 0 {
            return f.write_str("none");
        }
        for (name, span) in [
            ("p50", self.p50),
            ("p90", self.p90),
            ("p99", self.p99),
            ("p99.9", self.p999),
        ] {
            write!(f, "{name} {}, ", latency(span))?;
        }
        write!(f, "max {}", latency(self.max))
    }
}

/// The time until everything accepted was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drain {
    /// `after` the last answer to a POST, accurate to the interval of snapshots. Unless `certain`, other
    /// activities were counted at the same time.
    Counted { after: Duration, certain: bool },
    /// Only `counted` of the activities in time.
    Incomplete { counted: u64, waited: Duration },
    /// The status could not be read before or after the load.
    Unknown,
    /// The user stopped the load.
    NotAwaited,
}

impl fmt::Display for Drain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Counted { after, certain } => {
                write!(f, "all of them {} after the last answer", latency(*after))?;
                if !certain {
                    f.write_str(" (unsure: other activities were being counted at the same time)")?;
                }
                Ok(())
            }
            Self::Incomplete { counted, waited } => {
                write!(f, "only {} within {}", grouped(*counted), latency(*waited))
            }
            Self::Unknown => f.write_str("unknown: the status could not be read"),
            Self::NotAwaited => f.write_str("not waited for"),
        }
    }
}

/// The outcome of a load.
#[derive(Debug, Clone)]
pub struct Figures {
    pub counts: Counts,
    /// From the first arrival to the last answer.
    pub elapsed: Duration,
    /// From when each request was due to the end of its answer or its failure. A stall therefore shows in
    /// every request that it delayed.
    pub post: Percentiles,
    /// From when each request was due to when it started. If this is not small compared with `post`, the
    /// client machine could not keep up.
    pub start_delay: Percentiles,
    pub drain: Drain,
}

impl Figures {
    /// Whether every activity was accepted and, if the command waited for it, counted.
    pub fn is_clean(&self) -> bool {
        let all_counted = matches!(self.drain, Drain::Counted { .. } | Drain::NotAwaited);
        self.counts.rejected == 0 && self.counts.errors.is_empty() && all_counted
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Counts {
            sent,
            accepted,
            duplicate,
            rejected,
            errors,
        } = &self.counts;
        let activities = counted(*sent, "activity", "activities");
        writeln!(f, "sent       {activities} in {}", latency(self.elapsed))?;
        writeln!(f, "accepted   {}", grouped(*accepted))?;
        writeln!(f, "duplicate  {}", grouped(*duplicate))?;
        writeln!(f, "rejected   {}", grouped(*rejected))?;
        writeln!(f, "errors     {}", grouped(self.counts.errors_total()))?;
        for (error, count) in errors {
            writeln!(f, "           {} {error}", grouped(*count))?;
        }
        writeln!(f, "POST       {}", self.post)?;
        writeln!(f, "  begun    {} after it was due", self.start_delay)?;
        write!(f, "counted    {}", self.drain)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_alone() {
        let mut recorder = Recorder::new();
        for ms in 1..=100 {
            recorder.record(Duration::from_millis(ms));
        }
        let mut counts = Counts {
            sent: 1_000,
            accepted: 990,
            ..Counts::default()
        };
        counts.count_error(LoadError::Failed(Failure::Status(503)), 4);
        counts.count_error(LoadError::Failed(Failure::Timeout), 6);
        counts.count_error(LoadError::Overflow, 1);
        let figures = Figures {
            counts,
            elapsed: Duration::from_millis(2_004),
            post: recorder.percentiles(),
            start_delay: Percentiles::default(),
            drain: Drain::Counted {
                after: Duration::from_millis(61_500),
                certain: false,
            },
        };
        assert!(!figures.is_clean());
        assert_eq!(
            figures.to_string(),
            "sent       1,000 activities in 2.00 s\n\
             accepted   990\n\
             duplicate  0\n\
             rejected   0\n\
             errors     11\n\
             \u{20}          1 not sent, too many outstanding\n\
             \u{20}          6 timed out\n\
             \u{20}          4 status 503\n\
             POST       p50 50.0 ms, p90 90.0 ms, p99 99.0 ms, p99.9 100.0 ms, max 100.0 ms\n\
             \u{20} begun    none after it was due\n\
             counted    all of them 61.50 s after the last answer (unsure: other activities were \
             being counted at the same time)"
        );
    }
}
