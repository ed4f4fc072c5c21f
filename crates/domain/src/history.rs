//! Points over time: of a board's top users from past snapshots, and of any single user from their
//! counters.

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::board::BoardEntry;
use crate::calendar::{Calendar, Period, Window};
use crate::id::UserId;

/// A chart cannot show more. At the end of a day, the window of that day has a sample per half hour.
pub const MAX_SAMPLES: u8 = 64;
/// More users than a chart shows, so that a user who rises into it already has a history.
pub const FOLLOWED_USERS: usize = 10;

/// Samples from past snapshots of one board in one window, oldest first. Stored by column, so that
/// each user id is written once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    pub at: Vec<Timestamp>,
    /// The board's points at each of these times.
    pub points: Vec<u64>,
    /// In board order at the last of these times.
    pub users: Vec<UserHistory>,
    /// Seconds between samples; 0 while every snapshot adds one.
    #[serde(default)]
    pub interval_seconds: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserHistory {
    pub user_id: UserId,
    /// One value for each time of the history. `None` when the user was not among the top users.
    pub points: Vec<Option<u64>>,
}

/// A user's points at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PointsAt {
    pub at: Timestamp,
    pub points: u64,
}

impl History {
    /// Adds a sample of the top users in `entries` at a time. Drops samples from that time on.
    pub fn followed_by(self, at: Timestamp, points: u64, entries: &[BoardEntry]) -> Self {
        // Whole seconds are precise enough for a chart and take less space.
        let at = Timestamp::from_second(at.as_second()).unwrap_or(at);
        let earlier = self.at.partition_point(|&sampled| sampled < at);
        let mut past: HashMap<UserId, Vec<Option<u64>>> = self
            .users
            .into_iter()
            .map(|user| (user.user_id, user.points))
            .collect();
        let users = entries.iter().take(FOLLOWED_USERS).map(|entry| {
            let past = past.remove(&entry.user_id);
            let past = past.unwrap_or_else(|| vec![None; earlier]).into_iter();
            UserHistory {
                user_id: entry.user_id.clone(),
                points: past.take(earlier).chain([Some(entry.points)]).collect(),
            }
        });
        let history = Self {
            users: users.collect(),
            at: self.at.into_iter().take(earlier).chain([at]).collect(),
            points: self.points.into_iter().take(earlier).chain([points]).collect(),
            interval_seconds: self.interval_seconds,
        };
        debug_assert!(
            history
                .users
                .iter()
                .all(|user| user.points.len() == history.at.len()),
            "every user has a value for each time"
        );
        history
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

/// Keeps the first value, and the last one if their number is odd.
fn every_second<T>(values: Vec<T>) -> Vec<T> {
    values.into_iter().step_by(2).collect()
}

/// One user's points in a window at the start of each kept period, oldest first. Computed backwards
/// from the current counters: points earned since the start of a period are in the counters of that
/// period and of later ones. `points_of` returns the points of a period, or of all time.
pub fn of_user(
    calendar: &Calendar,
    window: Window,
    now: Timestamp,
    points_of: impl Fn(Option<Period>) -> u64,
) -> Vec<PointsAt> {
    let current = calendar.current(window, now);
    let in_window = points_of(current);
    let mut beginnings: Vec<PointsAt> = calendar
        .kept_pairs(now)
        .into_iter()
        .flat_map(|(previous, latest)| {
            let since_latest = points_of(Some(latest));
            [
                (latest, since_latest),
                (previous, since_latest + points_of(Some(previous))),
            ]
        })
        .filter(|(period, _)| current.is_none_or(|current| period.first_day() >= current.first_day()))
        .map(|(period, since)| PointsAt {
            at: calendar.beginning(period),
            points: in_window.saturating_sub(since),
        })
        .collect();
    beginnings.sort_unstable_by_key(|beginning| beginning.at);
    beginnings.dedup_by_key(|beginning| beginning.at);
    beginnings
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
                user_id: user.parse().unwrap(),
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
        assert_eq!(history.points, [5, 9, 12]);
        let history = history.followed_by(at(1), 7, &entries("bob=7 ann=0"));
        assert_eq!(render(&history), "bob:-,7 ann:-,0");
        assert_eq!((history.at, history.points), (vec![at(0), at(1)], vec![5, 7]));
    }

    #[test]
    fn a_crowd_is_followed_by_its_first() {
        let crowd: Vec<String> = (0..100).map(|user| format!("u{user}={}", 100 - user)).collect();
        let history = History::default().followed_by(at(0), 5050, &entries(&crowd.join(" ")));
        assert_eq!(history.users.len(), FOLLOWED_USERS);
        assert_eq!(history.users[0].user_id.as_str(), "u0");
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

    proptest! {
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

    fn check_user(window: Window, expected: &str) {
        let calendar: Calendar = "Europe/Berlin".parse().unwrap();
        // Saturday 2026-11-21, in week 47.
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let points_of = |period: Option<Period>| match period.map(|period| period.to_string()).as_deref() {
            None => 1_000,
            Some("month 2026-10") => 200,
            Some("month 2026-11") => 100,
            Some("week 2026-W46") => 20,
            Some("week 2026-W47") => 30,
            Some("day 2026-11-20") => 6,
            Some("day 2026-11-21") => 4,
            Some(other) => panic!("{other} is not kept"),
        };
        let history = of_user(&calendar, window, now, points_of);
        let rendered: Vec<_> = history
            .iter()
            .map(|then| format!("{}={}", then.at, then.points))
            .collect();
        assert_eq!(rendered.join(" "), expected, "{window}");
    }

    #[test]
    fn a_users_past_follows_from_the_counters() {
        check_user(
            Window::All,
            "2026-09-30T22:00:00Z=700 2026-10-31T23:00:00Z=900 2026-11-08T23:00:00Z=950 2026-11-15T23:00:00Z=970 2026-11-19T23:00:00Z=990 2026-11-20T23:00:00Z=996",
        );
        check_user(
            Window::Month,
            "2026-10-31T23:00:00Z=0 2026-11-08T23:00:00Z=50 2026-11-15T23:00:00Z=70 2026-11-19T23:00:00Z=90 2026-11-20T23:00:00Z=96",
        );
        check_user(
            Window::Week,
            "2026-11-15T23:00:00Z=0 2026-11-19T23:00:00Z=20 2026-11-20T23:00:00Z=26",
        );
        check_user(Window::Day, "2026-11-20T23:00:00Z=0");
    }
}
