//! Which periods a run closes, and of which it publishes provisional boards.

use std::collections::BTreeMap;

use domain::closed::State;
use domain::{Calendar, Period, Window};
use jiff::{SignedDuration, Span, Timestamp};
use store::overview::{Again, Closings};

/// Provisional boards are made again after this long.
pub const PROVISIONAL_EVERY: SignedDuration = SignedDuration::from_hours(1);
/// Under steady load the queue is never empty. A period waits this long for that, once everything that was received in time
/// went past.
pub const BACKLOG_PATIENCE: SignedDuration = SignedDuration::from_hours(1);

/// A fact is recorded this long after it was received at the latest: ingest ends sooner.
pub const RECORDED_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// How far the pipeline is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// What was received before this went past all messages that were delivered at once; `None` if it is not known.
    pub counted_until: Option<Timestamp>,
    pub backlog: u64,
    pub dead_letters: u64,
}

/// A period whose boards a run makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Due {
    pub period: Period,
    pub state: State,
}

/// The periods that are due at `now`: of each window, those that are made again, the first one that is not closed, if it can
/// be, and the last one that is over. `grace` is how long after its end a period takes facts.
pub fn due(
    calendar: &Calendar,
    grace: SignedDuration,
    now: Timestamp,
    progress: Progress,
    closings: &BTreeMap<Window, Closings>,
) -> Vec<Due> {
    let mut due = Vec::new();
    for window in Window::EVERY {
        let Some(last) = calendar.last_over(window, now) else {
            continue;
        };
        let closings = closings.get(&window);
        let kept = closings.iter().flat_map(|closings| &closings.kept);
        let again = kept.filter(|kept| kept.again == Some(Again::Counted));
        due.extend(again.map(|kept| Due {
            period: kept.period,
            state: State::Closed,
        }));
        let next = closings.map_or(Some(last), |closings| calendar.after(closings.through));
        let Some(next) = next.filter(|next| *next <= last) else {
            continue;
        };
        let closes = can_close(calendar.end(next) + grace, now, progress);
        due.extend(closes.then_some(Due {
            period: next,
            state: State::Closed,
        }));
        let made = closings.and_then(|closings| closings.provisional);
        let is_new =
            made.is_some_and(|(period, at)| period == last && now.duration_since(at) < PROVISIONAL_EVERY);
        let is_closed = closes && next == last;
        let is_due = !is_new && !is_closed;
        due.extend(is_due.then_some(Due {
            period: last,
            state: State::Provisional,
        }));
    }
    due
}

/// Whether everything is counted that was received before `closes_at`.
fn can_close(closes_at: Timestamp, now: Timestamp, progress: Progress) -> bool {
    let went_past = progress
        .counted_until
        .is_some_and(|until| until >= closes_at + RECORDED_WITHIN);
    let is_empty = progress.backlog == 0 || now.duration_since(closes_at) >= BACKLOG_PATIENCE;
    went_past && is_empty && progress.dead_letters == 0
}

/// What is closed after a run has made the boards of a period.
#[must_use]
pub fn closed(calendar: &Calendar, closings: Option<Closings>, due: Due, now: Timestamp) -> Closings {
    let Due { period, state } = due;
    let closings = closings.unwrap_or_else(|| Closings {
        through: before(calendar, period),
        provisional: None,
        kept: Vec::new(),
    });
    match state {
        State::Closed => Closings {
            through: closings.through.max(period),
            provisional: closings
                .provisional
                .filter(|(provisional, _)| *provisional > period),
            ..closings
        },
        State::Provisional => Closings {
            provisional: Some((period, now)),
            ..closings
        },
    }
}

/// What counts as closed before anything is. The day before the first season stands for one.
fn before(calendar: &Calendar, period: Period) -> Period {
    calendar.before(period).unwrap_or_else(|| {
        let day = period.first_day().saturating_sub(Span::new().days(1));
        Period::Season {
            first_day: day,
            last_day: day,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The periods that are due at each of these times, one run after the other, with the backlog and the dead letters.
    fn check(zone: &str, grace: i64, runs: &[(&str, u64, u64, &str)]) {
        let calendar: Calendar = zone.parse().unwrap();
        let mut closings = BTreeMap::new();
        for (now, backlog, dead_letters, expected) in runs {
            let now: Timestamp = now.parse().unwrap();
            let progress = Progress {
                counted_until: Some(now - SignedDuration::from_mins(1)),
                backlog: *backlog,
                dead_letters: *dead_letters,
            };
            let due = due(
                &calendar,
                SignedDuration::from_hours(grace),
                now,
                progress,
                &closings,
            );
            assert_eq!(rendered(&due), *expected, "{zone} {now}");
            make(&calendar, due, now, &mut closings);
        }
    }

    fn rendered(due: &[Due]) -> String {
        let rendered = due.iter().map(|Due { period, state }| match state {
            State::Closed => format!("{period}"),
            State::Provisional => format!("({period})"),
        });
        rendered.collect::<Vec<_>>().join(" ")
    }

    fn make(calendar: &Calendar, due: Vec<Due>, now: Timestamp, closings: &mut BTreeMap<Window, Closings>) {
        for due in due {
            let window = due.period.window();
            let after = closed(calendar, closings.remove(&window), due, now);
            closings.insert(window, after);
        }
    }

    #[test]
    fn a_period_is_provisional_until_the_grace_is_over() {
        check(
            "Europe/Berlin",
            24,
            &[
                // Saturday, the 28th.
                ("2026-11-28T12:00:00Z", 0, 0, "2026-10 2026-W47 (2026-11-27)"),
                ("2026-11-28T12:01:00Z", 0, 0, ""),
                ("2026-11-28T13:00:00Z", 0, 0, "(2026-11-27)"),
                ("2026-11-28T23:00:30Z", 0, 0, "(2026-11-28)"),
                ("2026-11-28T23:01:29Z", 0, 0, ""),
                ("2026-11-28T23:01:30Z", 0, 0, "2026-11-27"),
                ("2026-11-28T23:02:00Z", 0, 0, ""),
                // Monday.
                ("2026-11-29T23:01:30Z", 0, 0, "(2026-W48) 2026-11-28 (2026-11-29)"),
                ("2026-11-29T23:02:30Z", 0, 0, ""),
                (
                    "2026-11-30T23:01:30Z",
                    0,
                    0,
                    "(2026-11) 2026-W48 2026-11-29 (2026-11-30)",
                ),
                ("2026-12-01T23:01:30Z", 0, 0, "2026-11 2026-11-30 (2026-12-01)"),
            ],
        );
    }

    #[test]
    fn a_period_waits_for_dead_letters_and_a_while_for_the_backlog() {
        check(
            "UTC",
            24,
            &[
                ("2026-11-28T12:00:00Z", 0, 0, "2026-10 2026-W47 (2026-11-27)"),
                ("2026-11-29T00:30:00Z", 7, 0, "(2026-11-28)"),
                ("2026-11-29T01:00:00Z", 7, 0, "2026-11-27"),
                ("2026-11-30T00:10:00Z", 0, 1, "(2026-W48) (2026-11-29)"),
                ("2026-12-01T05:00:00Z", 0, 1, "(2026-11) (2026-W48) (2026-11-30)"),
                ("2026-12-01T05:01:00Z", 0, 0, "2026-W48 2026-11-28"),
                ("2026-12-01T05:02:00Z", 0, 0, "2026-11-29"),
                ("2026-12-01T05:03:00Z", 0, 0, ""),
            ],
        );
    }

    #[test]
    fn periods_that_ended_while_the_stack_was_off_are_closed_one_after_the_other() {
        check(
            "UTC",
            24,
            &[
                ("2026-12-26T12:00:00Z", 0, 0, "2026-11 2026-W51 (2026-12-25)"),
                (
                    "2027-01-05T12:00:00Z",
                    0,
                    0,
                    "2026-12 2026-W52 (2026-W53) 2026-12-25 (2027-01-04)",
                ),
                ("2027-01-05T12:01:00Z", 0, 0, "2026-W53 2026-12-26"),
                ("2027-01-05T12:02:00Z", 0, 0, "2026-12-27"),
            ],
        );
    }

    #[test]
    fn seasons_are_closed_one_after_the_other_also_across_a_gap() {
        let seasons = r#"[
            {"id":"one","title":"One","first_day":"2026-11-01","last_day":"2026-11-08"},
            {"id":"two","title":"Two","first_day":"2026-11-09","last_day":"2026-11-10"},
            {"id":"three","title":"Three","first_day":"2026-11-20","last_day":"2026-11-24"}
        ]"#;
        let [one, two, three] = [
            "2026-11-01..2026-11-08",
            "2026-11-09..2026-11-10",
            "2026-11-20..2026-11-24",
        ];
        let calendar: Calendar = "Europe/Berlin".parse().unwrap();
        let calendar = calendar.with_seasons(seasons.parse().unwrap());
        let mut closings = BTreeMap::new();
        for (now, dead_letters, expected) in [
            ("2026-10-15T00:00:00Z", 0, String::new()),
            ("2026-11-08T22:59:00Z", 0, String::new()),
            ("2026-11-08T23:01:00Z", 0, format!("({one})")),
            ("2026-11-08T23:02:00Z", 0, String::new()),
            // A dead letter keeps it open until the next one is over.
            ("2026-11-10T23:01:00Z", 1, format!("({two})")),
            ("2026-11-10T23:02:00Z", 0, one.to_owned()),
            ("2026-11-11T23:01:00Z", 0, two.to_owned()),
            ("2026-11-19T23:01:00Z", 0, String::new()),
            // The stack was off.
            ("2027-01-01T00:00:00Z", 0, three.to_owned()),
            ("2027-01-01T00:01:00Z", 0, String::new()),
        ] {
            let now: Timestamp = now.parse().unwrap();
            let progress = Progress {
                counted_until: Some(now),
                backlog: 0,
                dead_letters,
            };
            let grace = SignedDuration::from_hours(24);
            let mut due = due(&calendar, grace, now, progress, &closings);
            due.retain(|due| due.period.window() == Window::Season);
            assert_eq!(rendered(&due), expected, "{now}");
            make(&calendar, due, now, &mut closings);
        }
    }

    #[test]
    fn days_end_with_the_clock_of_the_zone() {
        for (zone, end) in [
            ("America/New_York", "2026-11-02T05:00:00Z"),
            ("America/Havana", "2026-11-02T05:00:00Z"),
            ("Asia/Dubai", "2026-11-01T20:00:00Z"),
            ("Australia/Lord_Howe", "2026-11-01T13:00:00Z"),
        ] {
            let end: Timestamp = end.parse().unwrap();
            let before = (end - SignedDuration::from_secs(1)).to_string();
            let at_close = (end + SignedDuration::from_mins(2)).to_string();
            check(
                zone,
                0,
                &[
                    (&before, 0, 0, "2026-10 2026-W43 2026-10-31"),
                    (&at_close, 0, 0, "2026-W44 2026-11-01"),
                ],
            );
        }
    }
}
