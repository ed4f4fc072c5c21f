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

/// One user's points in a window at the start of each kept period, oldest first, and then those of the
/// `snapshot`. Computed backwards from the counters as they are at `read_at`: points earned since the start
/// of a period are in the counters of that period and of later ones. `points_of` returns the points of a
/// period, or of all time.
///
/// The counters are newer than the snapshot. What occurred and was counted since then changes nothing, since
/// it is also in the counters of the latest periods. What occurred earlier and was counted since then already
/// shows in the past, but never with more points than the user has in the snapshot.
pub fn of_user(
    calendar: &Calendar,
    window: Window,
    snapshot: PointsAt,
    read_at: Timestamp,
    points_of: impl Fn(Option<Period>) -> u64,
) -> Vec<PointsAt> {
    let current = calendar.current(window, snapshot.at);
    let in_window = points_of(current);
    // After midnight, before the next snapshot, points arrive for the periods after its latest ones.
    let after_window = current.map_or(0, |current| points_of(Some(current.following())));
    // A write in a later period deletes the counters of those that expire with it.
    let expired = calendar.expired(read_at);
    let is_known = |period: Period| current == Some(period) || !expired.contains(&period);
    let mut history: Vec<PointsAt> = calendar
        .kept_pairs(snapshot.at)
        .into_iter()
        .flat_map(|(previous, latest)| {
            let since_latest = points_of(Some(latest)) + points_of(Some(latest.following()));
            [
                (latest, since_latest),
                (previous, since_latest + points_of(Some(previous))),
            ]
        })
        .filter(|(period, _)| current.is_none_or(|current| period.first_day() >= current.first_day()))
        .filter(|&(period, _)| is_known(period))
        .map(|(period, since)| PointsAt {
            at: calendar.beginning(period),
            points: (in_window + after_window).saturating_sub(since),
        })
        .collect();
    history.sort_unstable_by_key(|beginning| beginning.at);
    history.dedup_by_key(|beginning| beginning.at);
    history.push(snapshot);
    for later in (1..history.len()).rev() {
        history[later - 1].points = history[later - 1].points.min(history[later].points);
    }
    history
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

    const KEPT: [(&str, u64); 7] = [
        ("", 1_000),
        ("month 2026-10", 200),
        ("month 2026-11", 100),
        ("week 2026-W46", 20),
        ("week 2026-W47", 30),
        ("day 2026-11-20", 6),
        ("day 2026-11-21", 4),
    ];

    /// The history of a user with these counters, read at `read_at`, in a snapshot of Saturday 2026-11-21, in
    /// week 47.
    fn check_read(window: Window, counters: &[(&str, u64)], points: u64, read_at: &str, expected: &str) {
        let calendar: Calendar = "Europe/Berlin".parse().unwrap();
        let points_of = |period: Option<Period>| {
            let name = period.map(|period| period.to_string()).unwrap_or_default();
            let counter = counters.iter().find(|(counter, _)| *counter == name);
            counter.map_or(0, |&(_, points)| points)
        };
        let snapshot = PointsAt {
            at: "2026-11-21T22:59:00Z".parse().unwrap(),
            points,
        };
        let history = of_user(&calendar, window, snapshot, read_at.parse().unwrap(), points_of);
        let rendered: Vec<_> = history
            .iter()
            .map(|then| format!("{}={}", &then.at.to_string()[5..16], then.points))
            .collect();
        assert_eq!(rendered.join(" "), expected, "{window}");
    }

    fn check_user(window: Window, points: u64, expected: &str) {
        check_read(window, &KEPT, points, "2026-11-21T22:59:30Z", expected);
    }

    #[test]
    fn a_users_past_follows_from_the_counters() {
        check_user(
            Window::All,
            1_000,
            "09-30T22:00=700 10-31T23:00=900 11-08T23:00=950 11-15T23:00=970 11-19T23:00=990 11-20T23:00=996 11-21T22:59=1000",
        );
        check_user(
            Window::Month,
            100,
            "10-31T23:00=0 11-08T23:00=50 11-15T23:00=70 11-19T23:00=90 11-20T23:00=96 11-21T22:59=100",
        );
        check_user(
            Window::Week,
            30,
            "11-15T23:00=0 11-19T23:00=20 11-20T23:00=26 11-21T22:59=30",
        );
        check_user(Window::Day, 4, "11-20T23:00=0 11-21T22:59=4");
    }

    /// The counters after these points were added to those of some periods.
    fn added<'a>(added: &[(&'a str, u64)]) -> Vec<(&'a str, u64)> {
        let mut counters: Vec<(&str, u64)> = KEPT.into();
        for &(name, points) in added {
            match counters.iter_mut().find(|(counter, _)| *counter == name) {
                Some((_, counted)) => *counted += points,
                None => counters.push((name, points)),
            }
        }
        counters
    }

    #[test]
    fn what_is_counted_after_the_snapshot_does_not_make_the_past_exceed_it() {
        let week = "11-15T23:00=0 11-19T23:00=20 11-20T23:00=26 11-21T22:59=30";
        let on_time = added(&[
            ("", 9),
            ("month 2026-11", 9),
            ("week 2026-W47", 9),
            ("day 2026-11-21", 9),
        ]);
        check_read(Window::Week, &on_time, 30, "2026-11-21T22:59:30Z", week);
        let late = added(&[
            ("", 9),
            ("month 2026-11", 9),
            ("week 2026-W47", 9),
            ("day 2026-11-20", 9),
        ]);
        check_read(
            Window::Week,
            &late,
            30,
            "2026-11-21T22:59:30Z",
            "11-15T23:00=0 11-19T23:00=20 11-20T23:00=30 11-21T22:59=30",
        );
    }

    #[test]
    fn after_midnight_the_snapshot_of_the_day_before_keeps_its_past() {
        // Counted on Sunday, before the snapshot of Sunday. It deletes the counters of Friday.
        let mut sunday = added(&[
            ("", 9),
            ("month 2026-11", 9),
            ("week 2026-W47", 9),
            ("day 2026-11-22", 9),
        ]);
        sunday.retain(|(counter, _)| *counter != "day 2026-11-20");
        check_read(
            Window::Week,
            &sunday,
            30,
            "2026-11-21T23:00:30Z",
            "11-15T23:00=0 11-20T23:00=26 11-21T22:59=30",
        );
        check_read(
            Window::Day,
            &sunday,
            4,
            "2026-11-21T23:00:30Z",
            "11-20T23:00=0 11-21T22:59=4",
        );
        // Days later, only the window's own beginning is still certain.
        check_read(
            Window::Day,
            &[],
            4,
            "2026-11-25T12:00:00Z",
            "11-20T23:00=0 11-21T22:59=4",
        );
    }

    proptest! {
        #[test]
        fn a_users_past_never_falls(
            counters in vec(0..9_u64, 12),
            points in 0..40_u64,
            hours in 0..2_000_i64,
            window in 0..4_usize,
        ) {
            let calendar: Calendar = "Europe/Berlin".parse().unwrap();
            let snapshot = PointsAt { at: at(hours * 3_600), points };
            let points_of = |period: Option<Period>| {
                let day = period.map_or(0, |period| period.first_day().day());
                counters[usize::from(day.unsigned_abs()) % counters.len()]
            };
            let read_at = at(hours * 3_600 + 60);
            let history = of_user(&calendar, Window::EVERY[window], snapshot, read_at, points_of);
            prop_assert!(history.is_sorted_by_key(|then| then.points), "{history:?}");
            prop_assert!(history.is_sorted_by_key(|then| then.at), "{history:?}");
            prop_assert_eq!(history.last(), Some(&snapshot));
        }
    }
}
