//! The pure arithmetic of a redrive: when to send the next batch, and what it contains.

use std::{num::NonZeroU32, time::Duration};

/// SQS's limit for one batch.
pub const BATCH: usize = 10;

/// The most bytes that the bodies of one batch may have. SQS accepts four times as much since 2025, but
/// emulators and older endpoints do not.
pub const BATCH_BYTES: usize = 256 * 1024;

/// Limits a redrive to a number of dead letters a second. Time that was not used is not made up for.
#[derive(Debug)]
pub struct Pace {
    per_second: NonZeroU32,
    free_at: Duration,
}

impl Pace {
    pub fn new(per_second: NonZeroU32) -> Self {
        Self {
            per_second,
            free_at: Duration::ZERO,
        }
    }

    /// Returns when this many dead letters may be sent. Times count from the beginning of the redrive.
    pub fn reserve(&mut self, now: Duration, dead_letters: usize) -> Duration {
        let start = self.free_at.max(now);
        let dead_letters = u32::try_from(dead_letters).unwrap_or(u32::MAX);
        self.free_at = start + Duration::from_secs(1).saturating_mul(dead_letters) / self.per_second.get();
        start
    }

    /// The most dead letters in one batch: fewer at a slow rate, so that it does not send in bursts.
    pub fn batch(&self) -> usize {
        usize::try_from(self.per_second.get()).map_or(BATCH, |rate| rate.min(BATCH))
    }
}

/// Splits items into batches, in order. An item larger than a batch gets a batch of its own.
pub fn batches<T>(items: Vec<T>, most: usize, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let more = size(&item);
        match batches.last_mut() {
            Some(batch) if batch.len() < most && bytes + more <= BATCH_BYTES => {
                bytes += more;
                batch.push(item);
            }
            _ => {
                bytes = more;
                batches.push(vec![item]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reserves batches of `(now_ms, dead_letters)` and checks the times that they are given.
    fn check_pace(per_second: u32, asked: &[(u64, usize)], expected_ms: &[u64]) {
        let mut pace = Pace::new(NonZeroU32::new(per_second).expect("a rate"));
        let given = asked.iter().map(|&(now_ms, dead_letters)| {
            pace.reserve(Duration::from_millis(now_ms), dead_letters)
                .as_millis()
        });
        let given: Vec<u128> = given.collect();
        let expected: Vec<u128> = expected_ms.iter().map(|&ms| ms.into()).collect();
        assert_eq!(given, expected, "{per_second}/s {asked:?}");
    }

    #[test]
    fn a_pace_is_kept_and_not_made_up_for() {
        check_pace(100, &[(0, 10), (0, 10), (0, 5), (0, 10)], &[0, 100, 200, 250]);
        check_pace(
            1,
            &[(0, 1), (0, 1), (5_000, 1), (5_000, 1)],
            &[0, 1_000, 5_000, 6_000],
        );
        check_pace(1_000, &[(3, 10), (4, 10)], &[3, 13]);
        check_pace(3, &[(0, 3), (0, 3)], &[0, 1_000]);
    }

    #[test]
    fn a_slow_pace_has_small_batches() {
        for (rate, expected) in [(1, 1), (9, 9), (10, 10), (1_000, 10)] {
            let pace = Pace::new(NonZeroU32::new(rate).expect("a rate"));
            assert_eq!(pace.batch(), expected);
        }
    }

    fn check_batches(sizes: &[usize], most: usize, expected: &[&[usize]]) {
        assert_eq!(batches(sizes.to_vec(), most, |size| *size), expected, "{sizes:?}");
    }

    #[test]
    fn batches_are_bounded_in_number_and_in_bytes() {
        const K: usize = 1024;
        check_batches(&[], 10, &[]);
        check_batches(&[1; 10], 10, &[&[1; 10]]);
        check_batches(&[1; 11], 10, &[&[1; 10], &[1]]);
        check_batches(&[1; 5], 2, &[&[1, 1], &[1, 1], &[1]]);
        check_batches(&[128 * K, 128 * K, 1], 10, &[&[128 * K, 128 * K], &[1]]);
        check_batches(&[1, 256 * K, 1], 10, &[&[1], &[256 * K], &[1]]);
        check_batches(&[1_024 * K, 1, 1], 10, &[&[1_024 * K], &[1, 1]]);
    }
}
