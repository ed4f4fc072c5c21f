//! Turns tallies, in any order, into a ranked board.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::board::BoardEntry;
use crate::histogram::Histogram;
use crate::id::UserId;
use crate::standing::Tally;

/// Builds one board from a stream of tallies, one per user. It keeps only the best `listed` users and
/// a count of users by points, so memory does not grow with the number of users.
#[derive(Debug)]
pub struct BoardBuilder {
    listed: usize,
    /// The best so far, and some more that came since others were dropped, in any order.
    best: Vec<(Reverse<i64>, UserId, u64)>,
    /// The first of those that were dropped last. Nobody from there on is listed.
    last: Option<(Reverse<i64>, UserId)>,
    users_by_points: HashMap<i64, u64>,
    sum: Tally,
}

/// A whole board, before it is split into pages.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedBoard {
    /// The listed users: most points first, then by user id. Equal points share a rank.
    pub entries: Vec<BoardEntry>,
    pub histogram: Histogram,
    pub sum: Tally,
}

impl BoardBuilder {
    pub fn new(listed: usize) -> Self {
        Self {
            listed,
            best: Vec::new(),
            last: None,
            users_by_points: HashMap::new(),
            sum: Tally::default(),
        }
    }

    /// Adds one user. A user with neither points nor activities in the window does not take part.
    pub fn add(&mut self, user: &UserId, tally: Tally) {
        if tally.is_nothing() {
            return;
        }
        self.sum += tally;
        *self.users_by_points.entry(tally.points).or_default() += 1;
        let place = (Reverse(tally.points), user);
        if self
            .last
            .as_ref()
            .is_some_and(|(points, last)| place >= (*points, last))
        {
            return;
        }
        self.best
            .push((Reverse(tally.points), user.clone(), tally.activities));
        // Dropping many at once takes fewer comparisons than a heap does.
        if self.best.len() > self.listed.saturating_add(self.listed / 4) {
            self.drop_others();
        }
    }

    /// Drops all but the best.
    fn drop_others(&mut self) {
        if self.best.len() > self.listed {
            self.best.select_nth_unstable(self.listed);
            self.best.truncate(self.listed + 1);
            self.last = self.best.pop().map(|(points, user, _)| (points, user));
        }
    }

    pub fn finish(mut self) -> RankedBoard {
        self.drop_others();
        self.best.sort_unstable();
        let tallies = self
            .best
            .into_iter()
            .map(|(Reverse(points), user, activities)| (user, Tally { points, activities }));
        RankedBoard {
            entries: rank(tallies),
            histogram: self.users_by_points.into(),
            sum: self.sum,
        }
    }
}

impl RankedBoard {
    /// Sets how many places each listed user moved up since `previous`, the ranks of the previous
    /// snapshot. A user who was not listed then has no change.
    pub fn compare(&mut self, previous: &HashMap<UserId, u64>) {
        for entry in &mut self.entries {
            entry.change = previous
                .get(&entry.user_id)
                .map(|&before| before.cast_signed() - entry.rank.cast_signed());
        }
    }
}

/// Competition ranking ("1224") of tallies in board order.
fn rank(tallies: impl Iterator<Item = (UserId, Tally)>) -> Vec<BoardEntry> {
    let mut entries: Vec<BoardEntry> = Vec::with_capacity(tallies.size_hint().0);
    for (position, (user_id, Tally { points, activities })) in (1..).zip(tallies) {
        let rank = match entries.last() {
            Some(above) if above.points == points => above.rank,
            _ => position,
        };
        entries.push(BoardEntry {
            rank,
            user_id,
            points,
            activities,
            change: None,
        });
    }
    debug_assert!(
        entries.is_sorted_by_key(|entry| (entry.rank, &entry.user_id)),
        "entries are sorted by rank, then by user"
    );
    entries
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    fn ranked(listed: usize, users: &str) -> RankedBoard {
        let mut builder = BoardBuilder::new(listed);
        for user in users.split_whitespace() {
            let (user, points) = user.split_once('=').unwrap();
            let tally = Tally {
                points: points.parse().unwrap(),
                activities: 1,
            };
            builder.add(&user.parse().unwrap(), tally);
        }
        builder.finish()
    }

    fn render(board: &RankedBoard) -> String {
        let entries = board
            .entries
            .iter()
            .map(|e| format!("{}.{}={}", e.rank, e.user_id, e.points));
        entries.collect::<Vec<_>>().join(" ")
    }

    fn check(listed: usize, users: &str, expected: &str) {
        assert_eq!(render(&ranked(listed, users)), expected, "{users}");
    }

    #[test]
    fn ranks() {
        check(9, "", "");
        check(9, "ann=5 bob=9", "1.bob=9 2.ann=5");
        check(9, "bob=5 ann=5 cy=1", "1.ann=5 1.bob=5 3.cy=1");
        check(9, "d=1 c=2 b=2 a=3", "1.a=3 2.b=2 2.c=2 4.d=1");
        check(9, "zero=0", "1.zero=0");
        check(9, "low=-7 b=0 a=0 lowest=-9", "1.a=0 1.b=0 3.low=-7 4.lowest=-9");
    }

    #[test]
    fn equal_points_at_the_cut_are_decided_by_user_id_and_still_share_the_rank() {
        check(2, "d=5 c=5 b=5 a=9", "1.a=9 2.b=5");
        check(2, "a=5 b=5 c=5", "1.a=5 1.b=5");
        check(0, "a=5", "");
        let cut = ranked(1, "b=5 a=5 c=4");
        assert_eq!(cut.histogram.buckets, [(5, 2), (4, 1)]);
        assert_eq!(
            cut.sum,
            Tally {
                points: 14,
                activities: 3
            }
        );
    }

    #[test]
    fn only_those_with_points_or_activities_take_part() {
        let mut builder = BoardBuilder::new(9);
        for (user, points, activities) in [("idle", 0, 0), ("adjusted", -5, 0), ("worthless", 0, 2)] {
            builder.add(&user.parse().unwrap(), Tally { points, activities });
        }
        let board = builder.finish();
        assert_eq!(render(&board), "1.worthless=0 2.adjusted=-5");
        assert_eq!(
            board.sum,
            Tally {
                points: -5,
                activities: 2
            }
        );
    }

    #[test]
    fn change_is_places_gained_since_the_snapshot_before() {
        let mut board = ranked(9, "ann=9 bob=5 new=1");
        let previous = [("ann", 2), ("bob", 1)].map(|(user, rank)| (user.parse().unwrap(), rank));
        board.compare(&previous.into());
        let changes: Vec<_> = board.entries.iter().map(|entry| entry.change).collect();
        assert_eq!(changes, [Some(1), Some(-1), None]);
    }

    proptest! {
        #[test]
        fn a_cut_board_is_the_beginning_of_the_whole_one(
            users in btree_map("[a-d]{1,3}", -3..3_i64, 0..40),
            listed in 0..12_usize,
            reversed: bool,
        ) {
            let mut order: Vec<_> = users.iter().map(|(user, points)| format!("{user}={points}")).collect();
            if reversed {
                order.reverse();
            }
            let (cut, whole) = (ranked(listed, &order.join(" ")), ranked(usize::MAX, &order.join(" ")));
            prop_assert_eq!(&cut.entries[..], &whole.entries[..listed.min(users.len())]);
            prop_assert_eq!(&cut.histogram, &whole.histogram);
            for entry in &whole.entries {
                prop_assert_eq!(entry.rank, whole.histogram.rank(entry.points));
            }
        }
    }
}
