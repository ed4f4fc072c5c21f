//! The distribution of points: how many users have each number of points. Enough to rank any user without storing an item per user.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

/// Buckets of `[points, users]`, from the most points to the fewest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Histogram {
    pub buckets: Vec<(i64, u64)>,
}

impl Histogram {
    /// The competition rank ("1224") of a user with `points`: one more than the number of users ahead.
    pub fn rank(&self, points: i64) -> u64 {
        let ahead = self.buckets.partition_point(|&(bucket, _)| bucket > points);
        1 + self.buckets[..ahead].iter().map(|&(_, users)| users).sum::<u64>()
    }

    pub fn participants(&self) -> u64 {
        self.buckets.iter().map(|&(_, users)| users).sum()
    }
}

/// The share of participants, in percent, that have no more points than a user with this rank. 100 for the
/// top user.
pub fn percentile(rank: u64, participants: u64) -> f64 {
    if participants == 0 {
        return 100.0;
    }
    let ahead = rank - 1;
    #[expect(clippy::cast_precision_loss, reason = "counts of users are far below 2^52")]
    let share = (participants - ahead) as f64 / participants as f64;
    (share * 10_000.0).round() / 100.0
}

impl From<HashMap<i64, u64>> for Histogram {
    fn from(counts: HashMap<i64, u64>) -> Self {
        let mut buckets: Vec<_> = counts.into_iter().collect();
        buckets.sort_unstable_by(|a, b| b.cmp(a));
        Self { buckets }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_any_number_of_points() {
        let histogram = Histogram {
            buckets: vec![(90, 1), (50, 2), (0, 3), (-10, 1)],
        };
        let ranks: Vec<_> = [91, 90, 70, 50, 49, 0, -9, -10, -11]
            .map(|points| histogram.rank(points))
            .into();
        assert_eq!(ranks, [1, 1, 2, 2, 4, 4, 7, 7, 8]);
        let percentiles: Vec<_> = [90, 50, 0, -10, -11]
            .map(|points| percentile(histogram.rank(points), histogram.participants()))
            .into();
        assert_eq!(percentiles, [100.0, 85.71, 57.14, 14.29, 0.0]);
    }
}
