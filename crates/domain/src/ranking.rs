//! Turns tallies, in any order, into a ranked board.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;

use crate::board::BoardEntry;
use crate::histogram::Histogram;
use crate::id::UserId;
use crate::person::DisplayName;
use crate::standing::Tally;

/// How a board shows one of its users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    /// By id, and by name if there is one.
    Listed(Option<DisplayName>),
    /// Without id and name, the last among equal points.
    Anonymous,
}

/// Builds one board from a stream of tallies, one per user. It keeps only the best `listed` users and
/// a count of users by points, so memory does not grow with the number of users.
#[derive(Debug)]
pub struct BoardBuilder {
    listed: usize,
    /// The best so far, and some more that came since others were dropped, in any order.
    best: Vec<Member>,
    /// The first of those that were dropped last. Nobody from there on is listed.
    last: Option<Member>,
    users_by_points: HashMap<i64, u64>,
    sum: Tally,
    breaks_ties: bool,
}

/// A user of a board. The order of the fields is that of the rows; no two members have one user.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Member {
    points: Reverse<i64>,
    /// When the last activity occurred, if that decides between equal points.
    last_at: Option<Timestamp>,
    is_anonymous: bool,
    user: UserId,
    activities: u64,
    name: Option<DisplayName>,
}

/// A whole board, before it is split into pages.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedBoard {
    /// The listed users: most points first, then whose last activity is earlier if that decides, then by user id, then those
    /// who are anonymous. What nothing decides shares a rank.
    pub entries: Vec<BoardEntry>,
    pub histogram: Histogram,
    pub sum: Tally,
    /// Whether the time of the last activity decided between equal points.
    pub breaks_ties: bool,
    /// Whether someone has a profile. Whoever is not listed may then be concealed.
    pub has_profiles: bool,
    /// What an admin calls the program or the team.
    pub title: Option<DisplayName>,
}

impl BoardBuilder {
    pub fn new(listed: usize) -> Self {
        Self {
            listed,
            best: Vec::new(),
            last: None,
            users_by_points: HashMap::new(),
            sum: Tally::default(),
            breaks_ties: false,
        }
    }

    /// How many users it lists.
    pub fn listed(&self) -> usize {
        self.listed
    }

    /// Adds one user. A user with neither points nor activities in the window does not take part. `last_at` is when the last
    /// activity occurred, if that decides between equal points.
    pub fn add(&mut self, user: &UserId, shown: &Shown, tally: Tally, last_at: Option<Timestamp>) {
        if tally.is_nothing() {
            return;
        }
        self.sum += tally;
        *self.users_by_points.entry(tally.points).or_default() += 1;
        self.breaks_ties |= last_at.is_some();
        let points = Reverse(tally.points);
        let is_anonymous = matches!(shown, Shown::Anonymous);
        let is_listed = self.last.as_ref().is_none_or(|last| {
            (points, last_at, is_anonymous, user) < (last.points, last.last_at, last.is_anonymous, &last.user)
        });
        if !is_listed {
            return;
        }
        self.best.push(Member {
            points,
            last_at,
            is_anonymous,
            user: user.clone(),
            activities: tally.activities,
            name: match shown {
                Shown::Listed(name) => name.clone(),
                Shown::Anonymous => None,
            },
        });
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
            self.last = self.best.pop();
        }
    }

    pub fn finish(self) -> RankedBoard {
        self.finish_with_lasts().0
    }

    /// Also returns when the last activity of each entry occurred.
    pub fn finish_with_lasts(mut self) -> (RankedBoard, Vec<Option<Timestamp>>) {
        self.drop_others();
        self.best.sort_unstable();
        let lasts = self.best.iter().map(|member| member.last_at).collect();
        let ranked = RankedBoard {
            entries: rank(self.best),
            histogram: self.users_by_points.into(),
            sum: self.sum,
            breaks_ties: self.breaks_ties,
            has_profiles: false,
            title: None,
        };
        (ranked, lasts)
    }
}

impl RankedBoard {
    /// Sets how many places each listed user moved up since the ranks were `then`. A user who was not listed then has no
    /// change.
    pub fn compare(&mut self, then: &HashMap<UserId, u64>) {
        for entry in &mut self.entries {
            let before = entry.user_id.as_ref().and_then(|user| then.get(user));
            entry.change = before.map(|&before| before.cast_signed() - entry.rank.cast_signed());
        }
    }
}

/// Competition ranking ("1224") of members in board order.
fn rank(members: Vec<Member>) -> Vec<BoardEntry> {
    let mut entries: Vec<BoardEntry> = Vec::with_capacity(members.len());
    let mut above = None;
    for (position, member) in (1..).zip(members) {
        let Reverse(points) = member.points;
        let place = Some((points, member.last_at));
        let rank = match entries.last() {
            Some(entry) if above == place => entry.rank,
            _ => position,
        };
        above = place;
        entries.push(BoardEntry {
            rank,
            user_id: (!member.is_anonymous).then_some(member.user),
            name: member.name,
            points,
            activities: member.activities,
            change: None,
        });
    }
    debug_assert!(
        entries.is_sorted_by_key(BoardEntry::place),
        "entries are sorted by rank, then by user, and the anonymous ones are last"
    );
    entries
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_map;
    use proptest::prelude::*;

    use super::*;

    /// `ann?` is anonymous, and the last activity of `ann=5@7` occurred at second 7.
    fn ranked(listed: usize, users: &str) -> RankedBoard {
        let mut builder = BoardBuilder::new(listed);
        for user in users.split_whitespace() {
            let (user, points) = user.split_once('=').unwrap();
            let (points, last_at) = points.split_once('@').unwrap_or((points, ""));
            let last_at = last_at
                .parse()
                .ok()
                .map(|second| Timestamp::from_second(second).unwrap());
            let tally = Tally {
                points: points.parse().unwrap(),
                activities: 1,
            };
            let shown = if user.ends_with('?') {
                Shown::Anonymous
            } else {
                Shown::Listed(None)
            };
            builder.add(&user.parse().unwrap(), &shown, tally, last_at);
        }
        builder.finish()
    }

    fn render(board: &RankedBoard) -> String {
        let entries = board.entries.iter().map(|e| {
            format!(
                "{}.{}={}",
                e.rank,
                e.user_id.as_ref().map_or("?", UserId::as_str),
                e.points
            )
        });
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
    fn the_earlier_last_activity_decides_between_equal_points() {
        check(9, "ann=5@7 bob=5@3 cy=9@9", "1.cy=9 2.bob=5 3.ann=5");
        check(
            9,
            "b=5@3 a=5@3 c?=5@3 d?=5@2 e=5@4",
            "1.?=5 2.a=5 2.b=5 2.?=5 5.e=5",
        );
        check(2, "a=5@9 b=5@8 c=5@7", "1.c=5 2.b=5");
        // Points without an activity are there before it.
        check(9, "a=5@0 b=5", "1.b=5 2.a=5");
        assert!(ranked(9, "a=5@0 b=5").breaks_ties && !ranked(9, "b=5").breaks_ties);
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
    fn who_is_anonymous_is_the_last_of_a_rank_without_id_and_name() {
        check(9, "a?=5 b=5 c=5 d?=9 e=9", "1.e=9 1.?=9 3.b=5 3.c=5 3.?=5");
        check(2, "a?=5 b=5 c=5", "1.b=5 1.c=5");
        check(2, "a?=5 b=5 c?=5", "1.b=5 1.?=5");
        let mut builder = BoardBuilder::new(9);
        let name = Shown::Listed(Some("Ann".parse().unwrap()));
        let tally = Tally {
            points: 1,
            activities: 1,
        };
        builder.add(&"ann".parse().unwrap(), &name, tally, None);
        builder.add(&"bob".parse().unwrap(), &Shown::Anonymous, tally, None);
        let rows = serde_json::to_string(&builder.finish().entries).unwrap();
        assert_eq!(
            rows,
            r#"[{"rank":1,"user_id":"ann","name":"Ann","points":1,"activities":1,"change":null},{"rank":1,"points":1,"activities":1,"change":null}]"#
        );
    }

    #[test]
    fn only_those_with_points_or_activities_take_part() {
        let mut builder = BoardBuilder::new(9);
        for (user, points, activities) in [("idle", 0, 0), ("adjusted", -5, 0), ("worthless", 0, 2)] {
            let shown = Shown::Listed(None);
            builder.add(&user.parse().unwrap(), &shown, Tally { points, activities }, None);
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
            users in btree_map("[a-d]{1,3}[?]?", -3..3_i64, 0..40),
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
