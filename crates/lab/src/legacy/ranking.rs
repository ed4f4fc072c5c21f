//! Who is on the leaderboard.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

/// How many employees the leaderboard has.
pub const TOP_SIZE: usize = 20;

/// What the leaderboard reads of an item of `EmployeeTotals`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Totals {
    pub employee_id: String,
    pub total_points: i64,
    pub total_completed: i64,
}

/// A row of the leaderboard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    pub rank: usize,
    pub employee_id: String,
    pub total_points: i64,
    pub total_completed: i64,
}

/// Of equal points, more completed activities come first. No rank is shared. The id makes the order
/// complete.
pub fn top(mut totals: Vec<Totals>) -> Vec<Placed> {
    totals.sort_unstable_by(|a, b| {
        let order = |of: &Totals| Reverse((of.total_points, of.total_completed));
        (order(a), &a.employee_id).cmp(&(order(b), &b.employee_id))
    });
    let placed = (1..).zip(totals).take(TOP_SIZE);
    placed
        .map(|(rank, totals)| Placed {
            rank,
            employee_id: totals.employee_id,
            total_points: totals.total_points,
            total_completed: totals.total_completed,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Employees as `id=points/completed`.
    fn check(totals: &str, expected: &str) {
        let totals = totals.split_whitespace().map(|employee| {
            let (employee_id, counts) = employee.split_once('=').expect("an id");
            let (points, completed) = counts.split_once('/').expect("two counts");
            Totals {
                employee_id: employee_id.to_owned(),
                total_points: points.parse().expect("points"),
                total_completed: completed.parse().expect("a number"),
            }
        });
        let placed = top(totals.collect());
        let placed: Vec<_> = placed
            .iter()
            .map(|placed| format!("{}.{}", placed.rank, placed.employee_id))
            .collect();
        assert_eq!(placed.join(" "), expected);
    }

    #[test]
    fn ranks_by_points_and_then_by_completed_activities() {
        check("", "");
        check("ann=5/1 bob=9/1", "1.bob 2.ann");
        check("ann=5/1 bob=5/2 cy=5/1", "1.bob 2.ann 3.cy");
    }

    #[test]
    fn has_twenty_rows_at_most() {
        let totals: Vec<_> = (10..40).map(|number| format!("e{number}={number}/1")).collect();
        let expected: Vec<_> = (1..=20).map(|rank| format!("{rank}.e{}", 40 - rank)).collect();
        check(&totals.join(" "), &expected.join(" "));
    }
}
