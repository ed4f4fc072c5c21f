//! Pure arithmetic of a redrive: when the next batch may be sent, and what goes into one.

use std::{num::NonZeroU32, time::Duration};

/// SQS's limit for one batch.
pub const BATCH: usize = 10;

/// Bytes of the bodies of one batch at most. SQS takes four times as much since 2025; emulators and
/// older endpoints do not.
pub const BATCH_BYTES: usize = 256 * 1024;

/// Gives out times such that no more than so many letters a second are sent, whatever was not used
/// before.
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

    /// When `letters` may be sent; times count from the beginning of the redrive.
    pub fn reserve(&mut self, now: Duration, letters: usize) -> Duration {
        let start = self.free_at.max(now);
        let letters = u32::try_from(letters).unwrap_or(u32::MAX);
        self.free_at = start + Duration::from_secs(1).saturating_mul(letters) / self.per_second.get();
        start
    }

    /// How many letters may go at once, so that a slow pace is not a burst every ten seconds.
    pub fn batch(&self) -> usize {
        usize::try_from(self.per_second.get()).map_or(BATCH, |rate| rate.min(BATCH))
    }
}

/// Cuts things of these sizes into batches, in order; what is larger than a batch goes alone.
pub fn batches<T>(things: Vec<T>, most: usize, size: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut batches: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for thing in things {
        let more = size(&thing);
        match batches.last_mut() {
            Some(batch) if batch.len() < most && bytes + more <= BATCH_BYTES => {
                bytes += more;
                batch.push(thing);
            }
            _ => {
                bytes = more;
                batches.push(vec![thing]);
            }
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Batches as `AT_MS+LETTERS`, with the times that they were given.
    fn check_pace(per_second: u32, asked: &[(u64, usize)], expected_ms: &[u64]) {
        let mut pace = Pace::new(NonZeroU32::new(per_second).expect("a rate"));
        let given = asked
            .iter()
            .map(|&(now_ms, letters)| pace.reserve(Duration::from_millis(now_ms), letters).as_millis());
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
