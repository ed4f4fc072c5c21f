//! A user's points over time, from the counters of the kept periods.

use super::PointsAt;
use crate::calendar::{Calendar, Period, Window};

/// One user's points in a window at the start of each kept period, oldest first, and then those of the
/// `snapshot`. Computed backwards from the counters as they are now: points earned since the start of a
/// period are in the counters of that period and of later ones. `points_of` returns the points of a period,
/// or of all time; `None` if they are no longer kept.
///
/// The counters are newer than the snapshot. What occurred and was counted since then changes nothing, since
/// it is also in the counters of the latest periods. What occurred earlier and was counted since then already
/// shows in the past, but never with more points than the user has in the snapshot.
pub fn of_user(
    calendar: &Calendar,
    window: Window,
    snapshot: PointsAt,
    points_of: impl Fn(Option<Period>) -> Option<i64>,
) -> Vec<PointsAt> {
    let current = calendar.current(window, snapshot.at);
    if window == Window::Season && current.is_none() {
        return vec![snapshot];
    }
    // After midnight, before the next snapshot, points arrive for the periods after its latest ones.
    let after = |period: Period| {
        calendar
            .after(period)
            .map_or(Some(0), |next| points_of(Some(next)))
    };
    let after_window = current.map_or(Some(0), after);
    let in_window = points_of(current)
        .zip(after_window)
        .map(|(within, after)| within + after);
    let since = |(previous, latest): (Period, Period)| {
        let since_latest = points_of(Some(latest))
            .zip(after(latest))
            .map(|(in_latest, later)| in_latest + later);
        let since_previous = since_latest
            .zip(points_of(Some(previous)))
            .map(|(since, points)| since + points);
        [(latest, since_latest), (previous, since_previous)]
    };
    let kept = calendar.kept_pairs(snapshot.at);
    let periods = kept
        .iter()
        .flat_map(|(previous, latest)| [Some(*previous), Some(*latest), latest.following()]);
    // Unless corrections took points, there were never more of them than later.
    let only_rises = periods
        .flatten()
        .map(Some)
        .filter_map(&points_of)
        .all(|points| points >= 0);
    let mut history: Vec<PointsAt> = kept
        .into_iter()
        .flat_map(since)
        .filter(|(period, _)| current.is_none_or(|current| period.first_day() >= current.first_day()))
        .filter_map(|(period, since)| {
            let points = if current == Some(period) {
                0
            } else {
                let points = in_window? - since?;
                if only_rises { points.max(0) } else { points }
            };
            let at = calendar.beginning(period);
            Some(PointsAt { at, points })
        })
        .collect();
    history.sort_unstable_by_key(|beginning| beginning.at);
    history.dedup_by_key(|beginning| beginning.at);
    history.push(snapshot);
    if only_rises {
        for later in (1..history.len()).rev() {
            history[later - 1].points = history[later - 1].points.min(history[later].points);
        }
    }
    history
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use jiff::Timestamp;

    const KEPT: [(&str, i64); 7] = [
        ("", 1_000),
        ("2026-10", 200),
        ("2026-11", 100),
        ("2026-W46", 20),
        ("2026-W47", 30),
        ("2026-11-20", 6),
        ("2026-11-21", 4),
    ];

    /// The history of a user with these counters, without those that are `lost`, in a snapshot of Saturday
    /// 2026-11-21, in week 47.
    fn check_read(window: Window, counters: &[(&str, i64)], points: i64, lost: &[&str], expected: &str) {
        let calendar: Calendar = "Europe/Berlin".parse().unwrap();
        let points_of = |period: Option<Period>| {
            let name = period.map(|period| period.to_string()).unwrap_or_default();
            let counter = counters.iter().find(|(counter, _)| *counter == name);
            let points = counter.map_or(0, |&(_, points)| points);
            (!lost.contains(&name.as_str())).then_some(points)
        };
        let snapshot = PointsAt {
            at: "2026-11-21T22:59:00Z".parse().unwrap(),
            points,
        };
        let history = of_user(&calendar, window, snapshot, points_of);
        let rendered: Vec<_> = history
            .iter()
            .map(|then| format!("{}={}", &then.at.to_string()[5..16], then.points))
            .collect();
        assert_eq!(rendered.join(" "), expected, "{window}");
    }

    fn check_user(window: Window, points: i64, expected: &str) {
        check_read(window, &KEPT, points, &[], expected);
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
    fn added<'a>(added: &[(&'a str, i64)]) -> Vec<(&'a str, i64)> {
        let mut counters: Vec<(&str, i64)> = KEPT.into();
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
        let on_time = added(&[("", 9), ("2026-11", 9), ("2026-W47", 9), ("2026-11-21", 9)]);
        check_read(Window::Week, &on_time, 30, &[], week);
        let late = added(&[("", 9), ("2026-11", 9), ("2026-W47", 9), ("2026-11-20", 9)]);
        check_read(
            Window::Week,
            &late,
            30,
            &[],
            "11-15T23:00=0 11-19T23:00=20 11-20T23:00=30 11-21T22:59=30",
        );
    }

    #[test]
    fn after_midnight_the_snapshot_of_the_day_before_keeps_its_past() {
        // Counted on Sunday, before the snapshot of Sunday.
        let sunday = added(&[("", 9), ("2026-11", 9), ("2026-W47", 9), ("2026-11-22", 9)]);
        check_read(
            Window::Week,
            &sunday,
            30,
            &["2026-11-20"],
            "11-15T23:00=0 11-20T23:00=26 11-21T22:59=30",
        );
        check_read(
            Window::Day,
            &sunday,
            4,
            &["2026-11-20"],
            "11-20T23:00=0 11-21T22:59=4",
        );
        // Days later, only the window's own beginning is still certain.
        check_read(
            Window::Day,
            &KEPT,
            4,
            &["2026-11-20", "2026-11-21"],
            "11-20T23:00=0 11-21T22:59=4",
        );
    }

    #[test]
    fn a_correction_lets_the_past_fall() {
        let counters = [
            ("", 10),
            ("2026-11", 10),
            ("2026-W47", 10),
            ("2026-11-20", 60),
            ("2026-11-21", -50),
        ];
        check_read(
            Window::Week,
            &counters,
            10,
            &[],
            "11-15T23:00=0 11-19T23:00=0 11-20T23:00=60 11-21T22:59=10",
        );
    }

    proptest! {
        #[test]
        fn a_users_past_never_falls(
            counters in vec(0..9_i64, 12),
            points in 0..40_i64,
            lost in proptest::option::of(0..9_i64),
            hours in 0..2_000_i64,
            window in 0..4_usize,
        ) {
            let calendar: Calendar = "Europe/Berlin".parse().unwrap();
            let at = Timestamp::from_second(1_800_000_000 + hours * 3_600).unwrap();
            let snapshot = PointsAt { at, points };
            let points_of = |period: Option<Period>| {
                let day = period.map_or(0, |period| period.first_day().day());
                counters[usize::from(day.unsigned_abs()) % counters.len()]
            };
            let points_of = |period| (lost != Some(points_of(period))).then_some(points_of(period));
            let history = of_user(&calendar, Window::EVERY[window], snapshot, points_of);
            prop_assert!(history.is_sorted_by_key(|then| then.points), "{history:?}");
            prop_assert!(history.is_sorted_by_key(|then| then.at), "{history:?}");
            prop_assert_eq!(history.last(), Some(&snapshot));
        }
    }
}
