//! The counters of a standing: sums of all time, and of the last days, weeks and months.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};

use jiff::civil::{self, Date};
use jiff::{SignedDuration, Span};
use serde::{Deserialize, Serialize};

use crate::calendar::{PerWindow, Period, Window};
use crate::closed::InPeriod;
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

/// For how many periods of a window a standing knows what came too late for them: the current one and those before it.
/// Whoever imports years of activities has no more than these.
pub const LATE_KEPT: [(Window, usize); 3] = [(Window::Day, 9), (Window::Week, 6), (Window::Month, 4)];

/// The sums of one standing. Slots are relative to the day `as_of`, so an idle standing does not grow, and no
/// write is needed when a period ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    as_of: Date,
    sums: [Sum; Self::COUNT],
    late: Late,
}

/// What was received too late for a period, and counts in all time only. One that came to nothing again, by a void, stays.
pub type Late = BTreeMap<Period, Sum>;

impl Counters {
    /// The sum of all time, then the slots of days, weeks and months, the current one of each first.
    pub const COUNT: usize = 1 + 3 + 2 + 2;

    pub fn new(as_of: Date) -> Self {
        Self {
            as_of,
            sums: [Sum::default(); Self::COUNT],
            late: Late::new(),
        }
    }

    /// From what [`Self::as_of`], [`Self::sums`] and [`Self::late`] returned.
    pub fn stored(as_of: Date, sums: [Sum; Self::COUNT], late: Late) -> Self {
        Self { as_of, sums, late }
    }

    /// The latest day that was counted in.
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    pub fn sums(&self) -> &[Sum; Self::COUNT] {
        &self.sums
    }

    /// What came too late for each period of [`LATE_KEPT`].
    pub fn late(&self) -> &Late {
        &self.late
    }

    pub fn late_for(&self, period: Period) -> Sum {
        self.late.get(&period).copied().unwrap_or_default()
    }

    pub fn into_late(self) -> Late {
        self.late
    }

    /// Adds what occurred on a day, as it counts in each window; what counts in all time only was late for the others. If
    /// the day is later than `as_of`, the slots move on to it. Of earlier days, weeks and months only those that still have
    /// a slot are added to.
    pub fn add(&mut self, day: Date, sums: PerWindow<Sum>) {
        self.move_to(day);
        self.sums[0] += sums.all;
        for (window, first, slots) in slots() {
            if let Some(slot) = slot(window, self.as_of, day, slots) {
                self.sums[first + slot] += sums.get(window);
            }
        }
        for (window, kept) in LATE_KEPT {
            let late = sums.all - sums.get(window);
            let has_place = slot(window, self.as_of, day, kept).is_some();
            if let Some(period) = Period::containing(window, day)
                && has_place
                && !late.is_nothing()
            {
                *self.late.entry(period).or_default() += late;
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
        moved.late = std::mem::take(&mut self.late);
        moved.late.retain(|period, _| {
            let kept = LATE_KEPT
                .into_iter()
                .find(|(window, _)| *window == period.window());
            kept.is_some_and(|(window, kept)| slot(window, day, period.first_day(), kept).is_some())
        });
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
            Some(period) => self.sum(period.window(), period.first_day()),
        }
    }

    /// What was done in a period; `None` as in [`Self::sum`].
    pub fn in_period(&self, period: Period) -> Option<InPeriod> {
        Some(InPeriod {
            counted: self.of_period(Some(period))?.into(),
            late: self.late_for(period),
        })
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
    day.duration_since(civil::date(1970, 1, 1)).as_hours() / 24
}

/// The day of a number; `None` if no calendar has it.
pub fn day_of_number(number: i64) -> Option<Date> {
    let since = SignedDuration::try_from_hours(number.checked_mul(24)?)?;
    civil::date(1970, 1, 1).checked_add(since).ok()
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

impl Sub for Sum {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self {
            points: self.points - other.points,
            activities: self.activities - other.activities,
        }
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

    /// What was late as `period=points`, after activities such as `2026-11-21=5!` that are in time for no period.
    fn check_late(counted: &str, expected: &str) {
        let mut counters = Counters::new(day("2026-11-21"));
        for counted in counted.split_whitespace() {
            let (on, points) = counted.split_once('=').unwrap();
            let is_late = points.ends_with('!');
            let sum = Sum {
                points: points.trim_end_matches('!').parse().unwrap(),
                activities: 1,
            };
            let sums = if is_late {
                PerWindow {
                    all: sum,
                    ..PerWindow::default()
                }
            } else {
                sum.in_every_window()
            };
            counters.add(day(on), sums);
        }
        let late = counters.late().iter();
        let late = late.map(|(period, sum)| format!("{period}={}", sum.points));
        assert_eq!(late.collect::<Vec<_>>().join(" "), expected, "{counted}");
    }

    #[test]
    fn what_came_too_late_is_known_for_a_while() {
        check_late("2026-11-21=5", "");
        check_late("2026-11-20=5!", "2026-11=5 2026-W47=5 2026-11-20=5");
        check_late(
            "2026-11-20=5! 2026-11-19=2!",
            "2026-11=7 2026-W47=7 2026-11-19=2 2026-11-20=5",
        );
        // A void.
        check_late(
            "2026-11-20=5! 2026-11-20=-5!",
            "2026-11=0 2026-W47=0 2026-11-20=0",
        );
        check_late("2026-11-13=5! 2026-11-12=1!", "2026-11=6 2026-W46=6 2026-11-13=5");
        check_late("2026-11-13=5! 2026-11-22=1", "2026-11=5 2026-W46=5");
        check_late("2026-08-31=5! 2026-07-31=5!", "2026-08=5");
        check_late("2026-08-31=5! 2026-12-01=5", "");
    }

    #[test]
    fn days_have_numbers() {
        for (on, number) in [("1970-01-01", 0), ("1969-12-31", -1), ("2026-11-21", 20_778)] {
            assert_eq!(day_number(day(on)), number);
            assert_eq!(day_of_number(number), Some(day(on)));
        }
        assert_eq!(day_of_number(i64::MAX / 24), None);
        assert_eq!(day_of_number(4_000_000), None);
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
