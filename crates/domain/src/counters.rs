//! The counters of a standing: sums of all time, and of the last days, weeks and months.

use std::ops::AddAssign;

use jiff::Span;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::calendar::{PerWindow, Period, Window};
use crate::standing::{Tallies, Tally};

/// Points and activities. Corrections make them smaller, and in a single period even negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sum {
    pub points: i64,
    pub activities: i64,
}

/// The windows that have slots, and how many: the current period and those before it. A reader whose clock
/// is slightly behind asks for the day before the current one, and for the day before that.
const SLOTS: [(Window, usize); 3] = [(Window::Day, 3), (Window::Week, 2), (Window::Month, 2)];

/// The sums of one standing. Slots are relative to the day `as_of`, so an idle standing does not grow, and no
/// write is needed when a period ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    as_of: Date,
    sums: [Sum; Self::COUNT],
}

impl Counters {
    /// The sum of all time, then the slots of days, weeks and months, the current one of each first.
    pub const COUNT: usize = 1 + 3 + 2 + 2;

    pub fn new(as_of: Date) -> Self {
        Self {
            as_of,
            sums: [Sum::default(); Self::COUNT],
        }
    }

    /// From what [`Self::as_of`] and [`Self::sums`] returned.
    pub fn stored(as_of: Date, sums: [Sum; Self::COUNT]) -> Self {
        Self { as_of, sums }
    }

    /// The latest day that was counted in.
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    pub fn sums(&self) -> &[Sum; Self::COUNT] {
        &self.sums
    }

    /// Adds what occurred on a day, as it counts in each window. If that is later than `as_of`, the slots move on to it. Of earlier days,
    /// weeks and months only those that still have a slot are added to.
    pub fn add(&mut self, day: Date, sums: PerWindow<Sum>) {
        self.move_to(day);
        self.sums[0] += sums.all;
        for (window, first, slots) in slots() {
            if let Some(slot) = slot(window, self.as_of, day, slots) {
                self.sums[first + slot] += sums.get(window);
            }
        }
    }

    /// Makes `day` the current one. Slots never move back.
    fn move_to(&mut self, day: Date) {
        if day <= self.as_of {
            return;
        }
        let mut moved = Self::new(day);
        moved.sums[0] = self.sums[0];
        for (window, first, slots) in slots() {
            let passed = number(window, day) - number(window, self.as_of);
            let passed = usize::try_from(passed).expect("the day is later").min(slots);
            let kept = &self.sums[first..first + slots - passed];
            moved.sums[first + passed..first + slots].copy_from_slice(kept);
        }
        *self = moved;
    }

    /// The sum of the period that contains a day, or of all time. `None` if the period is so old that its
    /// slot was given up.
    pub fn sum(&self, window: Window, day: Date) -> Option<Sum> {
        let Some((_, first, slots)) = slots().find(|(of, ..)| *of == window) else {
            return Some(self.sums[0]);
        };
        if number(window, day) > number(window, self.as_of) {
            return Some(Sum::default());
        }
        Some(self.sums[first + slot(window, self.as_of, day, slots)?])
    }

    /// The sum of a period, or of all time; `None` as in [`Self::sum`].
    pub fn of_period(&self, period: Option<Period>) -> Option<Sum> {
        match period {
            None => Some(self.sums[0]),
            Some(Period::Month(day)) => self.sum(Window::Month, day),
            Some(Period::Week(day)) => self.sum(Window::Week, day),
            Some(Period::Day(day)) => self.sum(Window::Day, day),
        }
    }

    /// Each period that has a slot, with its sum; `None` is all time.
    pub fn periods(&self) -> impl Iterator<Item = (Option<Period>, Sum)> {
        let periods = SLOTS.into_iter().flat_map(|(window, slots)| {
            let current = Period::containing(window, self.as_of);
            (0..slots).map(move |back| {
                current.map(|current| current.earlier(i32::try_from(back).unwrap_or_default()))
            })
        });
        std::iter::once(None).chain(periods).zip(self.sums)
    }

    /// The tally of each window, for a reader on a day.
    pub fn tallies(&self, day: Date) -> Tallies {
        let mut tallies = Tallies::default();
        for window in Window::EVERY {
            *tallies.get_mut(window) = self.sum(window, day).unwrap_or_default().into();
        }
        tallies
    }

    /// The activities of the week of a day and of the week before.
    pub fn recent_activities(&self, day: Date) -> u64 {
        let weeks = [day, day.saturating_sub(Span::new().weeks(1))];
        let sums = weeks.map(|day| self.sum(Window::Week, day).unwrap_or_default());
        sums.map(|sum| Tally::from(sum).activities).iter().sum()
    }
}

/// What a board shows. A void may be counted before its activity; until then there are no fewer than none.
impl From<Sum> for Tally {
    fn from(sum: Sum) -> Self {
        Self {
            points: sum.points,
            activities: u64::try_from(sum.activities).unwrap_or_default(),
        }
    }
}

/// Each window with its first slot and their number.
fn slots() -> impl Iterator<Item = (Window, usize, usize)> {
    SLOTS.into_iter().scan(1, |next, (window, slots)| {
        let first = *next;
        *next += slots;
        Some((window, first, slots))
    })
}

/// How many periods the one of `day` is before that of `as_of`, if it has a slot.
fn slot(window: Window, as_of: Date, day: Date, slots: usize) -> Option<usize> {
    let before = number(window, as_of) - number(window, day);
    usize::try_from(before).ok().filter(|&before| before < slots)
}

/// Numbers the periods of a window from 1970 on.
fn number(window: Window, day: Date) -> i64 {
    match window {
        Window::All => 0,
        Window::Day => day_number(day),
        // 1970 began on a Thursday.
        Window::Week => (day_number(day) + 3).div_euclid(7),
        Window::Month => i64::from(day.year()) * 12 + i64::from(day.month()),
    }
}

/// Days since 1970-01-01.
pub fn day_number(day: Date) -> i64 {
    let seconds = day.at(0, 0, 0, 0).to_zoned(jiff::tz::TimeZone::UTC);
    let seconds = seconds.expect("UTC has every day").timestamp().as_second();
    seconds.div_euclid(24 * 60 * 60)
}

impl Sum {
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The same in every window.
    pub fn in_every_window(self) -> PerWindow<Self> {
        PerWindow::of_each(|_| self)
    }
}

impl AddAssign for Sum {
    fn add_assign(&mut self, other: Self) {
        self.points += other.points;
        self.activities += other.activities;
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn day(text: &str) -> Date {
        text.parse().unwrap()
    }

    /// The sums as `all day,day,day week,week month,month`, from `2026-11-21=5` and so on.
    fn check(counted: &str, expected: &str) {
        let mut counters = Counters::new(day("2026-11-21"));
        for counted in counted.split_whitespace() {
            let (on, points) = counted.split_once('=').unwrap();
            let points = points.parse().unwrap();
            counters.add(
                day(on),
                Sum {
                    points,
                    activities: 1,
                }
                .in_every_window(),
            );
        }
        let points: Vec<_> = counters.sums().iter().map(|sum| sum.points.to_string()).collect();
        let rendered = format!(
            "{} {} {} {}",
            points[0],
            points[1..4].join(","),
            points[4..6].join(","),
            points[6..].join(",")
        );
        assert_eq!(rendered, expected, "{counted}");
    }

    #[test]
    fn each_period_has_its_slot() {
        check("", "0 0,0,0 0,0 0,0");
        check("2026-11-21=5", "5 5,0,0 5,0 5,0");
        check("2026-11-20=5 2026-11-19=1", "6 0,5,1 6,0 6,0");
        check("2026-11-15=5 2026-11-09=1", "6 0,0,0 0,6 6,0");
        check("2026-10-31=5 2026-09-30=1", "6 0,0,0 0,0 0,5");
        // On the next Monday, and in the next month.
        check("2026-11-21=5 2026-11-23=1", "6 1,0,5 1,5 6,0");
        check("2026-11-21=5 2026-12-01=1", "6 1,0,0 1,0 1,5");
        check("2026-11-21=5 2027-02-01=1", "6 1,0,0 1,0 1,0");
        // A sum below zero.
        check("2026-11-21=5 2026-11-20=-7", "-2 5,-7,0 -2,0 -2,0");
    }

    #[test]
    fn each_sum_has_its_period() {
        let counters = Counters::new(day("2026-11-21"));
        let periods = counters.periods().map(|(period, _)| match period {
            None => "all".to_owned(),
            Some(period) => period.to_string(),
        });
        assert_eq!(
            periods.collect::<Vec<_>>().join(", "),
            "all, 2026-11-21, 2026-11-20, 2026-11-19, 2026-W47, 2026-W46, 2026-11, 2026-10"
        );
    }

    #[test]
    fn a_period_before_the_slots_is_unknown_and_a_later_one_is_empty() {
        let mut counters = Counters::new(day("2026-11-21"));
        counters.add(
            day("2026-11-21"),
            Sum {
                points: 5,
                activities: 1,
            }
            .in_every_window(),
        );
        let points = |window, on: &str| counters.sum(window, day(on)).map(|sum| sum.points);
        assert_eq!(points(Window::Day, "2026-11-19"), Some(0));
        assert_eq!(points(Window::Day, "2026-11-18"), None);
        assert_eq!(points(Window::Day, "2026-11-22"), Some(0));
        assert_eq!(points(Window::Week, "2026-11-08"), None);
        assert_eq!(points(Window::Month, "2026-10-01"), Some(0));
        assert_eq!(points(Window::All, "1999-01-01"), Some(5));
        assert_eq!(counters.tallies(day("2026-11-22")).week.points, 5);
        assert_eq!(counters.recent_activities(day("2026-11-29")), 1);
    }

    proptest! {
        #[test]
        fn slots_hold_what_occurred_in_their_periods_in_whatever_order(
            counted in vec((0..120_i64, -50..50_i64), 0..40),
            reader in 0..5_i64,
        ) {
            let first = day("2026-09-28");
            let on = |days: i64| first.checked_add(Span::new().days(days)).unwrap();
            let mut counters = Counters::new(first);
            for &(days, points) in &counted {
                counters.add(on(days), Sum { points, activities: 1 }.in_every_window());
            }
            let last = counted.iter().map(|&(days, _)| days).max().unwrap_or_default();
            // Readers up to a few days behind, as far as there are slots.
            for (window, slots) in SLOTS {
                let asked = on(last - reader);
                let expected: i64 = counted
                    .iter()
                    .filter(|&&(days, _)| number(window, on(days)) == number(window, asked))
                    .map(|&(_, points)| points)
                    .sum();
                if number(window, on(last)) - number(window, asked) < i64::try_from(slots).unwrap() {
                    prop_assert_eq!(counters.sum(window, asked).unwrap().points, expected, "{}", window);
                }
            }
            let all: i64 = counted.iter().map(|&(_, points)| points).sum();
            prop_assert_eq!(counters.sum(Window::All, first).unwrap().points, all);
        }
    }
}
