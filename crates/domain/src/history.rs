//! Points over time: of a board's top users from their facts and past snapshots, and of any single user from
//! their counters.

mod from_counters;

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::board::BoardEntry;
use crate::id::UserId;

pub use from_counters::of_user;

/// A chart cannot show more. At the end of a day, the window of that day has a sample per half hour.
pub const MAX_SAMPLES: u8 = 64;
/// More users than a chart shows, so that a user who rises into it already has a history.
pub const FOLLOWED_USERS: usize = 10;

/// A past that is read from facts has a point a minute at most, like one that is sampled by snapshots.
const PAST_INTERVAL_SECONDS_MIN: i64 = 60;
/// A user's line is read again at once if the points have changed by this share since it was read.
const LARGE_SHARE: u64 = 8;

/// Points over time of one board in one window, oldest first: before the first snapshot from the users'
/// facts, then from samples of snapshots. Stored by column, so that each user id is written once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub at: Vec<Timestamp>,
    /// The board's points at each of these times; `None` before its first snapshot.
    pub points: Vec<Option<i64>>,
    /// In board order at the last of these times.
    pub users: Vec<UserHistory>,
    /// Seconds between samples; 0 while every snapshot adds one.
    #[serde(default)]
    pub interval_seconds: i64,
    /// The users whose facts were read, and the points that they had then; `None` for a user with too many.
    #[serde(default)]
    pub read: BTreeMap<UserId, Option<i64>>,
}

/// Whether a user's line agrees with the user's facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    Current,
    /// The user's facts must be read.
    Outdated,
    /// The user's points are changing. The facts are read when they rest, or have changed much.
    Changing,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserHistory {
    pub user_id: UserId,
    /// One value for each time of the history. `None` where it is unknown: the user has too many facts to
    /// read, and was not among the top users.
    pub points: Vec<Option<i64>>,
}

/// A user's points at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsAt {
    pub at: Timestamp,
    pub points: i64,
}

impl History {
    /// Adds a sample of the top users in `entries` at a time. Drops samples from that time on.
    pub fn followed_by(mut self, at: Timestamp, points: i64, entries: &[BoardEntry]) -> Self {
        let at = whole_seconds(at);
        let earlier = self.at.partition_point(|&sampled| sampled < at);
        if earlier < self.at.len() {
            // The clock went back. What the dropped times knew is read again.
            self.read.clear();
        }
        self.at.truncate(earlier);
        self.points.truncate(earlier);
        for user in &mut self.users {
            user.points.truncate(earlier);
        }
        self = self.following(entries);
        self.at.push(at);
        self.points.push(Some(points));
        for (user, (_, now)) in self.users.iter_mut().zip(followed(entries)) {
            // A correction or a repair has lowered the points, or a newer run has drawn the line.
            if user.points.last().is_some_and(|last| *last > Some(now)) {
                for points in user.points.iter_mut().flatten() {
                    *points = (*points).min(now);
                }
            }
            user.points.push(Some(now));
        }
        self.checked()
    }

    /// A line for each of the top users in `entries`, in their order. A new line is unknown at all times.
    #[must_use]
    pub fn following(mut self, entries: &[BoardEntry]) -> Self {
        let users = self.users.into_iter();
        let mut past: HashMap<UserId, Vec<Option<i64>>> =
            users.map(|user| (user.user_id, user.points)).collect();
        let mut read = std::mem::take(&mut self.read);
        let users = followed(entries).map(|(user_id, _)| {
            self.read.extend(read.remove_entry(user_id));
            let points = past.remove(user_id);
            UserHistory {
                points: points.unwrap_or_else(|| vec![None; self.at.len()]),
                user_id: user_id.clone(),
            }
        });
        self.users = users.collect();
        self
    }

    /// Takes out a user's line. Returns whether there was one.
    pub fn forget(&mut self, user: &UserId) -> bool {
        let lines = self.users.len();
        self.users.retain(|line| line.user_id != *user);
        self.read.remove(user).is_some() || self.users.len() < lines
    }

    /// Whether the facts of a user with `points` must be read. `before` are the points of the user in the
    /// previous snapshot.
    pub fn line(&self, user: &UserId, points: i64, before: Option<i64>) -> Line {
        match self.read.get(user) {
            None => Line::Outdated,
            Some(None) => Line::Current,
            Some(&Some(read)) if read == points => Line::Current,
            Some(&Some(read)) if before == Some(points) || is_large(read, points) => Line::Outdated,
            Some(Some(_)) => Line::Changing,
        }
    }

    /// Draws the line of a user with `points` at the time `now` by when their activities occurred. `past` are
    /// the points after each activity, oldest first. Points that were sampled or drawn before never become
    /// fewer, and none exceed those of now, unless corrections took points later than others were earned.
    #[must_use]
    pub fn with_past(mut self, user: &UserId, points: i64, past: &[PointsAt], now: Timestamp) -> Self {
        if let Some(first) = past.first() {
            self = self.beginning_at(whole_seconds(first.at), whole_seconds(now));
        }
        if let Some(line) = self.users.iter_mut().find(|line| line.user_id == *user) {
            let only_rises = past.is_sorted_by_key(|then| then.points);
            for (at, value) in self.at.iter().zip(&mut line.points) {
                let occurred = past.partition_point(|then| whole_seconds(then.at) <= *at);
                let earned = occurred.checked_sub(1).map_or(0, |last| past[last].points);
                *value = Some(match *value {
                    Some(known) if only_rises => earned.max(known).min(points),
                    None if only_rises => earned.min(points),
                    _ => earned,
                });
            }
            self.read.insert(user.clone(), Some(points));
        }
        self.checked()
    }

    /// Keeps the samples of a user with too many facts to read.
    #[must_use]
    pub fn without_past(mut self, user: &UserId) -> Self {
        self.read.insert(user.clone(), None);
        self
    }

    /// Adds times before the first one. Over a longer past, samples are taken more seldom.
    fn beginning_at(mut self, first: Timestamp, now: Timestamp) -> Self {
        let begin = self.at.first().map_or(now, |&begin| begin.min(now));
        if first >= begin {
            return self;
        }
        let even = now.duration_since(first).as_secs() / i64::from(MAX_SAMPLES / 2);
        let interval = even.max(PAST_INTERVAL_SECONDS_MIN);
        let earlier = (0..=i64::from(MAX_SAMPLES / 2))
            .filter_map(|step| Timestamp::from_second(first.as_second() + step * interval).ok());
        let earlier: Vec<_> = earlier.take_while(|&at| at < begin).collect();
        for user in &mut self.users {
            let unknown = !matches!(self.read.get(&user.user_id), Some(Some(_)));
            // Whose facts were read had no points before the history began.
            let points = if unknown { None } else { Some(0) };
            user.points.splice(0..0, vec![points; earlier.len()]);
        }
        self.points.splice(0..0, vec![None; earlier.len()]);
        self.at.splice(0..0, earlier);
        if even > self.interval_seconds {
            self.interval_seconds = even;
            self.space_out(even * 9 / 10);
        }
        self.thinned()
    }

    /// Drops times that are nearer to the one before than `seconds`.
    fn space_out(&mut self, seconds: i64) {
        let mut last: Option<Timestamp> = None;
        let kept = self.at.iter().map(|at| {
            let is_kept = last.is_none_or(|last| at.duration_since(last).as_secs() >= seconds);
            if is_kept {
                last = Some(*at);
            }
            is_kept
        });
        let kept: Vec<bool> = kept.collect();
        keep(&mut self.at, &kept);
        keep(&mut self.points, &kept);
        for user in &mut self.users {
            keep(&mut user.points, &kept);
        }
    }

    fn checked(self) -> Self {
        debug_assert!(
            self.points.len() == self.at.len()
                && self.users.iter().all(|user| user.points.len() == self.at.len()),
            "the board and every user have a value for each time"
        );
        debug_assert!(self.at.is_sorted(), "times are in order");
        self
    }

    /// Drops every second sample once there are more than [`MAX_SAMPLES`]. Sampling then runs at half
    /// the rate, so samples stay evenly spaced and a longer history costs fewer writes.
    pub fn thinned(mut self) -> Self {
        if self.at.len() <= usize::from(MAX_SAMPLES) {
            return self;
        }
        self.at = every_second(self.at);
        self.points = every_second(self.points);
        for user in &mut self.users {
            user.points = every_second(std::mem::take(&mut user.points));
        }
        if let [first, .., last] = self.at[..] {
            self.interval_seconds = last.duration_since(first).as_secs() / i64::from(MAX_SAMPLES / 2);
        }
        self
    }

    /// When the next sample is due. Slightly early, since snapshots do not run at exact intervals.
    pub fn next_due(&self) -> Option<Timestamp> {
        let last = self.at.last()?;
        Timestamp::from_second(last.as_second() + self.interval_seconds * 9 / 10).ok()
    }
}

/// The users among the first rows who are not anonymous, with their points.
pub fn followed(entries: &[BoardEntry]) -> impl Iterator<Item = (&UserId, i64)> {
    let first = entries.iter().take(FOLLOWED_USERS);
    first.filter_map(|entry| Some((entry.user_id.as_ref()?, entry.points)))
}

/// Whole seconds are precise enough for a chart and take less space.
fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Whether points have changed so much that a chart shows it.
pub fn is_large(before: i64, points: i64) -> bool {
    before != points && before.abs_diff(points).saturating_mul(LARGE_SHARE) >= before.unsigned_abs()
}

/// The points after each activity or correction, oldest first, from when each occurred and what it gave or took.
pub fn cumulated(earned: impl IntoIterator<Item = (Timestamp, i64)>) -> Vec<PointsAt> {
    let mut earned: Vec<_> = earned.into_iter().collect();
    earned.sort_unstable();
    let mut sum: i64 = 0;
    let past = earned.into_iter().map(|(at, points)| {
        sum = sum.saturating_add(points);
        PointsAt { at, points: sum }
    });
    past.collect()
}

fn keep<T>(values: &mut Vec<T>, kept: &[bool]) {
    let mut kept = kept.iter();
    values.retain(|_| kept.next().is_none_or(|&kept| kept));
}

/// Keeps the first value, and the last one if their number is odd.
fn every_second<T>(values: Vec<T>) -> Vec<T> {
    values.into_iter().step_by(2).collect()
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    const START: i64 = 1_800_000_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(START + second).unwrap()
    }

    /// From `ann=5 bob=3`.
    fn entries(board: &str) -> Vec<BoardEntry> {
        let entry = |(rank, row): (u64, &str)| {
            let (user, points) = row.split_once('=').unwrap();
            BoardEntry {
                rank,
                user_id: Some(user.parse().unwrap()),
                name: None,
                points: points.parse().unwrap(),
                activities: 1,
                change: None,
            }
        };
        (1..).zip(board.split_whitespace()).map(entry).collect()
    }

    fn render(history: &History) -> String {
        let users = history.users.iter().map(|user| {
            let points = user
                .points
                .iter()
                .map(|points| points.map_or("-".to_owned(), |points| points.to_string()));
            format!("{}:{}", user.user_id, points.collect::<Vec<_>>().join(","))
        });
        users.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn whoever_comes_later_has_no_past_and_whoever_falls_out_is_forgotten() {
        let history = History::default().followed_by(at(0), 5, &entries("ann=5"));
        let history = history.followed_by(at(1), 9, &entries("bob=6 ann=5"));
        assert_eq!(render(&history), "bob:-,6 ann:5,5");
        let history = history.followed_by(at(2), 12, &entries("bob=6 cy=6"));
        assert_eq!(render(&history), "bob:-,6,6 cy:-,-,6");
        assert_eq!(history.points, [5, 9, 12].map(Some));
        let history = history.followed_by(at(1), 7, &entries("bob=7 ann=0"));
        assert_eq!(render(&history), "bob:-,7 ann:-,0");
        assert_eq!(
            (history.at, history.points),
            (vec![at(0), at(1)], vec![Some(5), Some(7)])
        );
    }

    #[test]
    fn a_crowd_is_followed_by_its_first() {
        let crowd: Vec<String> = (0..100).map(|user| format!("u{user}={}", 100 - user)).collect();
        let history = History::default().followed_by(at(0), 5050, &entries(&crowd.join(" ")));
        assert_eq!(history.users.len(), FOLLOWED_USERS);
        assert_eq!(history.users[0].user_id.as_str(), "u0");
    }

    #[test]
    fn who_is_anonymous_has_no_line() {
        let mut board = entries("ann=9 bob=5 cy=1");
        let history = History::default().followed_by(at(0), 15, &board);
        board[1].user_id = None;
        let history = history.followed_by(at(1), 15, &board);
        assert_eq!(render(&history), "ann:9,9 cy:1,1");
    }

    /// Takes a snapshot every `every` seconds and records those that are due.
    fn record(every: i64, snapshots: i64) -> (History, usize) {
        let mut history = History::default();
        let mut recorded = 0;
        for now in (0..snapshots).map(|n| at(n * every)) {
            if history.next_due().is_none_or(|due| now >= due) {
                recorded += 1;
                history = history.followed_by(now, 1, &entries("ann=1")).thinned();
            }
        }
        (history, recorded)
    }

    #[test]
    fn a_day_of_minutes_is_evenly_sampled_and_seldom_written() {
        let (history, recorded) = record(60, 24 * 60);
        let gaps = history
            .at
            .windows(2)
            .map(|pair| pair[1].duration_since(pair[0]).as_secs() / 60);
        let gaps: std::collections::BTreeSet<i64> = gaps.collect();
        assert_eq!((recorded, history.at.len()), (208, 48));
        assert_eq!(gaps, [28, 30, 32].into());
    }

    /// From `0=10 60=30`: seconds after the start, and the points after an activity then.
    fn past(text: &str) -> Vec<PointsAt> {
        let then = text.split_whitespace().map(|then| {
            let (second, points) = then.split_once('=').unwrap();
            PointsAt {
                at: at(second.parse().unwrap()),
                points: points.parse().unwrap(),
            }
        });
        then.collect()
    }

    fn user(id: &str) -> UserId {
        id.parse().unwrap()
    }

    fn times(history: &History) -> Vec<i64> {
        history.at.iter().map(|at| at.as_second() - START).collect()
    }

    #[test]
    fn a_past_begins_with_the_first_fact_and_later_users_join_it() {
        let now = at(150);
        let first = entries("ann=30 bob=9");
        let history = History::default().following(&first);
        let history = history.with_past(&user("ann"), 30, &past("0=10 61=30"), now);
        assert_eq!(times(&history), [0, 60, 120]);
        assert_eq!(render(&history), "ann:10,10,30 bob:-,-,-");
        // Bob's line is not read yet, and his first fact is older.
        let history = history.with_past(&user("bob"), 9, &past("-100=4 119=9"), now);
        assert_eq!(times(&history), [-100, -40, 0, 60, 120]);
        assert_eq!(render(&history), "ann:0,0,10,10,30 bob:4,4,4,4,9");
        let history = history.followed_by(now, 39, &first);
        assert_eq!(render(&history), "ann:0,0,10,10,30,30 bob:4,4,4,4,9,9");
        assert_eq!(history.points, [None, None, None, None, None, Some(39)]);
        assert_eq!(history.interval_seconds, 250 / 32);
    }

    #[test]
    fn a_past_of_years_spaces_samples_out() {
        let first = entries("ann=1000");
        let year = 365 * 24 * 3_600;
        let mut history = History::default();
        for minute in 0..30 {
            history = history.followed_by(at(minute * 60), 1_000, &first);
        }
        let past: Vec<_> = (0..100)
            .map(|n| format!("{}={}", -year + n * year / 100, 10 + n * 10))
            .collect();
        let history = history.with_past(&user("ann"), 1_000, &self::past(&past.join(" ")), at(1_800));
        assert_eq!(history.interval_seconds, (year + 1_800) / 32);
        assert!(history.at.len() <= 34, "{}", history.at.len());
        assert_eq!(times(&history)[0], -year);
        let points: Vec<_> = history.users[0]
            .points
            .iter()
            .map(|points| points.unwrap())
            .collect();
        let halfway = points[history.at.len() / 2];
        assert!((450..=550).contains(&halfway), "{points:?}");
        assert!(history.next_due().unwrap() > at(3_600 * 24));
    }

    #[test]
    fn late_facts_show_when_they_occurred_and_no_point_ever_falls() {
        let history = History::default().followed_by(at(0), 10, &entries("ann=10"));
        let history = history.followed_by(at(60), 40, &entries("ann=40"));
        // The fact of 30 points occurred at 0, and those of 20 more are not counted yet.
        let late = history.with_past(&user("ann"), 40, &past("0=30 30=40 59=60"), at(60));
        assert_eq!(render(&late), "ann:30,40");
        // A read that misses facts changes nothing.
        let missed = late.with_past(&user("ann"), 40, &past("30=10"), at(61));
        assert_eq!(render(&missed), "ann:30,40");
    }

    #[test]
    fn a_line_falls_only_where_corrections_took_points() {
        let history = History::default().followed_by(at(0), 60, &entries("ann=60"));
        let history = history.with_past(&user("ann"), 60, &past("0=60"), at(0));
        // Taken at 30, and read later than sampled.
        let history = history.followed_by(at(60), 10, &entries("ann=10"));
        assert_eq!(render(&history), "ann:10,10");
        let drawn = history.with_past(&user("ann"), 10, &past("0=60 30=10"), at(60));
        assert_eq!(render(&drawn), "ann:60,10");
        let drawn = drawn.followed_by(at(120), 10, &entries("ann=10"));
        assert_eq!(render(&drawn), "ann:60,10,10");
    }

    #[test]
    fn a_line_is_read_once_and_again_when_points_rest_or_change_much() {
        let first = entries("ann=80");
        let mut history = History::default().followed_by(at(0), 80, &first);
        let line = |history: &History, points: i64, before| history.line(&user("ann"), points, before);
        assert_eq!(line(&history, 80, None), Line::Outdated);
        history = history.with_past(&user("ann"), 80, &past("0=80"), at(0));
        assert_eq!(line(&history, 80, Some(80)), Line::Current);
        assert_eq!(line(&history, 89, Some(85)), Line::Changing);
        assert_eq!(line(&history, 89, Some(89)), Line::Outdated);
        assert_eq!(line(&history, 90, Some(85)), Line::Outdated);
        assert_eq!(line(&history, 70, Some(80)), Line::Outdated);
        history = history.without_past(&user("ann"));
        assert_eq!(line(&history, 1_000, None), Line::Current);
        // Whoever falls out is read again on the way back.
        let history = history.following(&entries("bob=90")).following(&first);
        assert_eq!(line(&history, 80, Some(80)), Line::Outdated);
    }

    proptest! {
        #[test]
        fn lines_from_facts_are_bounded_never_fall_and_end_at_the_points_of_now(
            facts in vec((-400_000_i64..0, 0_i64..50, 0..3_usize), 1..60),
            looks in vec(1..9_000_i64, 1..80),
        ) {
            let names = ["ann", "bob", "cy"];
            let mut history = History::default();
            let mut now = -300_000;
            for gap in looks {
                now += gap;
                // Facts are counted in any order; each look sees more of them.
                let seen = usize::try_from((now + 300_000) / 3_000).unwrap().min(facts.len());
                let of = |name: usize| {
                    let facts = facts[..seen].iter().filter(move |fact| fact.2 == name && fact.0 <= now);
                    cumulated(facts.map(|fact| (at(fact.0), fact.1)))
                };
                let rows: Vec<_> = (0..3).map(|name| (names[name], of(name).last().map_or(0, |last| last.points))).collect();
                let rows: Vec<_> = rows.iter().map(|(name, points)| format!("{name}={points}")).collect();
                let first = entries(&rows.join(" "));
                history = history.following(&first);
                for (name, (user, points)) in followed(&first).enumerate() {
                    if history.line(user, points, None) == Line::Outdated {
                        history = history.with_past(user, points, &of(name), at(now));
                    }
                }
                if history.next_due().is_none_or(|due| at(now) >= due) {
                    history = history.followed_by(at(now), 1, &first).thinned();
                }
                prop_assert!(history.at.len() <= usize::from(MAX_SAMPLES));
                prop_assert!(history.at.is_sorted_by(|a, b| a < b));
                for (line, entry) in history.users.iter().zip(&first) {
                    prop_assert_eq!(Some(&line.user_id), entry.user_id.as_ref());
                    let known: Vec<_> = line.points.iter().flatten().collect();
                    prop_assert!(known.is_sorted() && known.last().is_none_or(|&&last| last <= entry.points), "{:?}", line);
                    prop_assert_eq!(known.len(), history.at.len());
                }
            }
        }

        #[test]
        fn it_is_bounded_keeps_its_beginning_and_has_a_value_for_each_time(gaps in vec(1..5_000_i64, 1..400)) {
            let mut history = History::default();
            let mut now = 0;
            for gap in gaps {
                now += gap;
                history = history.followed_by(at(now), 1, &entries("ann=1 bob=1")).thinned();
                prop_assert!(history.at.len() <= usize::from(MAX_SAMPLES));
                prop_assert!(history.at.is_sorted());
                prop_assert_eq!(history.at.last(), Some(&at(now)));
                prop_assert!(history.users.iter().all(|user| user.points.len() == history.at.len()));
                prop_assert_eq!(history.points.len(), history.at.len());
            }
        }
    }
}
