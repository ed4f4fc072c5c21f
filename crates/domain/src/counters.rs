//! The counters of a standing: sums of all time, and of the last days, weeks, months and seasons.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};

use jiff::civil::{self, Date};
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::calendar::{Calendar, CalendarDay, PerWindow, Period, Window};
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

/// Whether every standing still knows what came too late for a period that is over, also one that is a period ahead.
pub fn knows_late(period: Period, calendar: &Calendar, now: Timestamp) -> bool {
    let window = period.window();
    let kept = LATE_KEPT.iter().find(|(kept, _)| *kept == window);
    let oldest = match kept {
        Some((_, kept)) => {
            let before = i32::try_from(*kept).unwrap_or_default() - 2;
            calendar
                .current(window, now)
                .and_then(|current| current.earlier(before))
        }
        // Nothing is late for a season that is not over.
        None => calendar
            .last_over(window, now)
            .map(|last| calendar.before(last).unwrap_or(last)),
    };
    oldest.is_some_and(|oldest| period >= oldest)
}

/// Of how many seasons a standing has sums: the latest ones in which something occurred. It also knows what came too late for
/// as many.
pub const SEASONS_KEPT: usize = 2;

/// The sums of one standing. Slots are relative to the day `as_of`, so an idle standing does not grow, and no
/// write is needed when a period ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    as_of: Date,
    sums: [Sum; Self::COUNT],
    seasons: BySeason,
    late: Late,
    lasts: Lasts,
}

/// When the last counted activity occurred: of all time, and in each period that has a sum. Empty where equal points share a
/// rank.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lasts {
    pub all: Option<Timestamp>,
    pub periods: BTreeMap<Period, Timestamp>,
}

/// The sums of the last [`SEASONS_KEPT`] seasons in which something occurred.
pub type BySeason = BTreeMap<Period, Sum>;

/// What was received too late for a period, and counts in all time only. One that came to nothing again, by a void, stays.
pub type Late = BTreeMap<Period, Sum>;

impl Counters {
    /// The sum of all time, then the slots of days, weeks and months, the current one of each first.
    pub const COUNT: usize = 1 + 3 + 2 + 2;

    pub fn new(as_of: Date) -> Self {
        Self {
            as_of,
            sums: [Sum::default(); Self::COUNT],
            seasons: BySeason::new(),
            late: Late::new(),
            lasts: Lasts::default(),
        }
    }

    /// From what [`Self::as_of`], [`Self::sums`], [`Self::seasons`], [`Self::late`] and [`Self::lasts`] returned.
    pub fn stored(
        as_of: Date,
        sums: [Sum; Self::COUNT],
        seasons: BySeason,
        late: Late,
        lasts: Lasts,
    ) -> Self {
        Self {
            as_of,
            sums,
            seasons,
            late,
            lasts,
        }
    }

    /// The latest day that was counted in.
    pub fn as_of(&self) -> Date {
        self.as_of
    }

    pub fn sums(&self) -> &[Sum; Self::COUNT] {
        &self.sums
    }

    pub fn seasons(&self) -> &BySeason {
        &self.seasons
    }

    /// What came too late for each period of [`LATE_KEPT`], and for seasons.
    pub fn late(&self) -> &Late {
        &self.late
    }

    pub fn lasts(&self) -> &Lasts {
        &self.lasts
    }

    pub fn late_for(&self, period: Period) -> Sum {
        self.late.get(&period).copied().unwrap_or_default()
    }

    pub fn into_late(self) -> Late {
        self.late
    }

    /// Adds what occurred on a day, as it counts in each window; what counts in all time only was late for the others. If
    /// the day is later than `as_of`, the slots move on to it. Of earlier days, weeks and months only those that still have
    /// a slot are added to. `activity_at` is when an activity occurred, if that decides between equal points.
    pub fn add(&mut self, on: CalendarDay, sums: PerWindow<Sum>, activity_at: Option<Timestamp>) {
        let day = on.date;
        self.move_to(day);
        self.sums[0] += sums.all;
        for (window, first, slots) in slots() {
            if let Some(slot) = slot(window, self.as_of, day, slots) {
                self.sums[first + slot] += sums.get(window);
            }
        }
        let late = |window| sums.all - sums.get(window);
        for (window, kept) in LATE_KEPT {
            let has_place = slot(window, self.as_of, day, kept).is_some();
            if let Some(period) = on.period(window)
                && has_place
            {
                add_something(&mut self.late, period, late(window));
            }
        }
        if let Some(season) = on.season {
            add_something(&mut self.seasons, season, sums.season);
            add_something(&mut self.late, season, late(Window::Season));
            keep_latest_seasons(&mut self.seasons);
            keep_latest_seasons(&mut self.late);
        }
        if let Some(at) = activity_at {
            self.occurred(on, sums, at);
        }
    }

    /// Notes when an activity occurred, in each window in which it counts.
    fn occurred(&mut self, on: CalendarDay, sums: PerWindow<Sum>, at: Timestamp) {
        self.lasts.all = self.lasts.all.max(Some(at));
        let with_slot = SLOTS
            .into_iter()
            .filter(|(window, slots)| slot(*window, self.as_of, on.date, *slots).is_some());
        let windows = with_slot.map(|(window, _)| window).chain([Window::Season]);
        for window in windows.filter(|window| !sums.get(*window).is_nothing()) {
            if let Some(period) = on.period(window) {
                let last = self.lasts.periods.entry(period).or_insert(at);
                *last = at.max(*last);
            }
        }
        keep_latest_seasons(&mut self.lasts.periods);
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
        moved.seasons = std::mem::take(&mut self.seasons);
        moved.late = std::mem::take(&mut self.late);
        moved.late.retain(|period, _| {
            let mut kept = LATE_KEPT.into_iter();
            let kept = kept.find(|(window, _)| *window == period.window());
            kept.is_none_or(|(window, kept)| slot(window, day, period.first_day(), kept).is_some())
        });
        moved.lasts = std::mem::take(&mut self.lasts);
        moved.lasts.periods.retain(|period, _| {
            let slots = SLOTS.into_iter().find(|(window, _)| *window == period.window());
            slots.is_none_or(|(window, slots)| slot(window, day, period.first_day(), slots).is_some())
        });
        *self = moved;
    }

    /// The sum of a period, or of all time. `None` if the period is so old that its sum was given up.
    pub fn sum(&self, period: Option<Period>) -> Option<Sum> {
        let Some(period) = period else {
            return Some(self.sums[0]);
        };
        let (window, day) = (period.window(), period.first_day());
        let Some((_, first, slots)) = slots().find(|(of, ..)| *of == window) else {
            return self.of_season(period);
        };
        if number(window, day) > number(window, self.as_of) {
            return Some(Sum::default());
        }
        Some(self.sums[first + slot(window, self.as_of, day, slots)?])
    }

    fn of_season(&self, season: Period) -> Option<Sum> {
        let first_kept = self.seasons.keys().next();
        let is_given_up =
            self.seasons.len() == SEASONS_KEPT && first_kept.is_some_and(|first| season < *first);
        (!is_given_up).then(|| self.seasons.get(&season).copied().unwrap_or_default())
    }

    /// The sum of the period of a window that contains a day, or of all time; nothing if the day is in no season. `None` as in
    /// [`Self::sum`].
    pub fn in_window(&self, window: Window, on: CalendarDay) -> Option<Sum> {
        match (window, on.period(window)) {
            (Window::Season, None) => Some(Sum::default()),
            (_, period) => self.sum(period),
        }
    }

    /// What was done in a period; `None` as in [`Self::sum`].
    pub fn in_period(&self, period: Period) -> Option<InPeriod> {
        Some(InPeriod {
            counted: self.sum(Some(period))?.into(),
            late: self.late_for(period),
            last: self.lasts.periods.get(&period).copied(),
        })
    }

    /// Each period that has a sum; `None` is all time.
    pub fn periods(&self) -> impl Iterator<Item = (Option<Period>, Sum)> {
        let periods = SLOTS.into_iter().flat_map(|(window, slots)| {
            let current = Period::containing(window, self.as_of);
            (0..slots).map(move |back| {
                let back = i32::try_from(back).unwrap_or_default();
                current.and_then(|current| current.earlier(back))
            })
        });
        let seasons = self.seasons.iter().map(|(season, sum)| (Some(*season), *sum));
        std::iter::once(None).chain(periods).zip(self.sums).chain(seasons)
    }

    /// The tally of each window, for a reader on a day.
    pub fn tallies(&self, on: CalendarDay) -> Tallies {
        Tallies::of_each(|window| self.in_window(window, on).unwrap_or_default().into())
    }

    /// When the last counted activity of each window occurred, for a reader on a day.
    pub fn lasts_on(&self, on: CalendarDay) -> PerWindow<Option<Timestamp>> {
        PerWindow::of_each(|window| match on.period(window) {
            Some(period) => self.lasts.periods.get(&period).copied(),
            None if window == Window::All => self.lasts.all,
            None => None,
        })
    }

    /// The activities of the week of a day and of the week before.
    pub fn recent_activities(&self, day: Date) -> u64 {
        let weeks = [day, day.saturating_sub(Span::new().weeks(1))];
        let sums = weeks.map(|day| self.sum(Period::containing(Window::Week, day)));
        sums.map(|sum| Tally::from(sum.unwrap_or_default()).activities)
            .iter()
            .sum()
    }
}

/// Adds to the sum of a period, which begins with the first thing in it.
fn add_something(sums: &mut BTreeMap<Period, Sum>, period: Period, added: Sum) {
    if !added.is_nothing() {
        *sums.entry(period).or_default() += added;
    }
}

/// Leaves what is kept of the latest [`SEASONS_KEPT`] seasons, and of other periods.
fn keep_latest_seasons<T>(periods: &mut BTreeMap<Period, T>) {
    let seasons = periods.keys().filter(|period| period.window() == Window::Season);
    if let Some(oldest) = seasons.rev().nth(SEASONS_KEPT).copied() {
        periods.remove(&oldest);
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
        Window::All | Window::Season => 0,
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

    fn calendar() -> Calendar {
        let seasons = r#"[
            {"id":"summer","title":"Summer","first_day":"2026-06-01","last_day":"2026-08-31"},
            {"id":"autumn","title":"Autumn","first_day":"2026-10-01","last_day":"2026-11-30"},
            {"id":"winter","title":"Winter","first_day":"2026-12-01","last_day":"2027-02-28"}
        ]"#;
        let calendar: Calendar = "UTC".parse().unwrap();
        calendar.with_seasons(seasons.parse().unwrap())
    }

    fn on(text: &str) -> CalendarDay {
        calendar().day_of(day(text))
    }

    /// The sums as `all day,day,day week,week month,month`, from `2026-11-21=5` and so on.
    fn check(counted: &str, expected: &str) {
        let mut counters = Counters::new(day("2026-11-21"));
        for counted in counted.split_whitespace() {
            let (on, points) = counted.split_once('=').unwrap();
            let points = points.parse().unwrap();
            counters.add(
                self::on(on),
                Sum {
                    points,
                    activities: 1,
                }
                .in_every_window(),
                None,
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
            on("2026-11-21"),
            Sum {
                points: 5,
                activities: 1,
            }
            .in_every_window(),
            None,
        );
        let points = |window, day: &str| counters.sum(on(day).period(window)).map(|sum| sum.points);
        assert_eq!(points(Window::Day, "2026-11-19"), Some(0));
        assert_eq!(points(Window::Day, "2026-11-18"), None);
        assert_eq!(points(Window::Day, "2026-11-22"), Some(0));
        assert_eq!(points(Window::Week, "2026-11-08"), None);
        assert_eq!(points(Window::Month, "2026-10-01"), Some(0));
        assert_eq!(points(Window::All, "1999-01-01"), Some(5));
        assert_eq!(counters.tallies(on("2026-11-22")).week.points, 5);
        assert_eq!(counters.recent_activities(day("2026-11-29")), 1);
    }

    /// Counts activities such as `2026-11-21=5`, or `2026-11-21=5!` that is in time for no period.
    fn counted(calendar: &Calendar, activities: &str) -> Counters {
        let mut counters = Counters::new(day("2026-11-21"));
        for counted in activities.split_whitespace() {
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
            let at = calendar.beginning(Period::Day(day(on)));
            counters.add(calendar.day_of(day(on)), sums, Some(at));
        }
        counters
    }

    fn rendered(sums: &BTreeMap<Period, Sum>) -> String {
        let sums = sums.iter();
        let sums = sums.map(|(period, sum)| format!("{period}={}", sum.points));
        sums.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_came_too_late_is_known_for_a_while() {
        let check = |activities: &str, expected: &str| {
            let counters = counted(&"UTC".parse().unwrap(), activities);
            assert_eq!(rendered(counters.late()), expected, "{activities}");
        };
        check("2026-11-21=5", "");
        check("2026-11-20=5!", "2026-11=5 2026-W47=5 2026-11-20=5");
        check(
            "2026-11-20=5! 2026-11-19=2!",
            "2026-11=7 2026-W47=7 2026-11-19=2 2026-11-20=5",
        );
        // A void.
        check(
            "2026-11-20=5! 2026-11-20=-5!",
            "2026-11=0 2026-W47=0 2026-11-20=0",
        );
        check("2026-11-13=5! 2026-11-12=1!", "2026-11=6 2026-W46=6 2026-11-13=5");
        check("2026-11-13=5! 2026-11-22=1", "2026-11=5 2026-W46=5");
        check("2026-08-31=5! 2026-07-31=5!", "2026-08=5");
        check("2026-08-31=5! 2026-12-01=5", "");
    }

    #[test]
    fn the_latest_two_seasons_have_sums() {
        let check = |activities: &str, seasons: &str, late: &str| {
            let counters = counted(&calendar(), activities);
            let mut late_seasons = counters.late().clone();
            late_seasons.retain(|period, _| period.window() == Window::Season);
            let found = [counters.seasons(), &late_seasons].map(rendered);
            let name = |sums: &str| {
                sums.replace("summer", "2026-06-01..2026-08-31")
                    .replace("autumn", "2026-10-01..2026-11-30")
                    .replace("winter", "2026-12-01..2027-02-28")
            };
            assert_eq!(found, [name(seasons), name(late)], "{activities}");
        };
        check("2026-09-15=5", "", "");
        check("2026-11-21=5 2026-10-01=1", "autumn=6", "");
        check("2026-11-21=5 2026-07-01=1", "summer=1 autumn=5", "");
        check("2026-07-01=1 2026-11-21=5 2027-01-01=2", "autumn=5 winter=2", "");
        // In another order it comes to the same.
        check("2027-01-01=2 2026-11-21=5 2026-07-01=1", "autumn=5 winter=2", "");
        check("2027-03-01=2 2026-07-01=1", "summer=1", "");
        check("2026-11-21=5! 2026-11-20=1", "autumn=1", "autumn=5");
        check(
            "2026-11-21=5! 2027-01-01=2! 2026-07-01=1!",
            "",
            "autumn=5 winter=2",
        );
    }

    #[test]
    fn the_last_activity_of_each_period_with_a_sum_is_known() {
        let check = |activities: &str, reader: &str, expected: &str| {
            let lasts = counted(&calendar(), activities).lasts_on(on(reader));
            let day = |last: Option<Timestamp>| {
                last.map_or("-".to_owned(), |last| calendar().date(last).to_string())
            };
            let rendered = Window::EVERY.map(|window| day(lasts.get(window)));
            assert_eq!(rendered.join(" "), expected, "{activities}");
        };
        // Of all time, the month, the week, the day and the season.
        check("", "2026-11-21", "- - - - -");
        check(
            "2026-11-20=5 2026-11-02=1",
            "2026-11-21",
            "2026-11-20 2026-11-20 2026-11-20 - 2026-11-20",
        );
        // In whatever order, and also with a void.
        check(
            "2026-11-02=1 2026-11-20=5 2026-11-20=-5",
            "2026-11-20",
            "2026-11-20 2026-11-20 2026-11-20 2026-11-20 2026-11-20",
        );
        // What was too late counts in all time only.
        check(
            "2026-11-19=5 2026-11-20=5!",
            "2026-11-20",
            "2026-11-20 2026-11-19 2026-11-19 - 2026-11-19",
        );
        check(
            "2026-11-20=5 2027-01-31=1",
            "2026-11-20",
            "2027-01-31 - - - 2026-11-20",
        );
    }

    #[test]
    fn a_season_before_those_with_sums_is_unknown() {
        let counters = counted(&calendar(), "2026-11-21=5 2027-01-01=2");
        let points = |on: &str| {
            let season = calendar().day_of(day(on)).season;
            counters.sum(season).map(|sum| sum.points)
        };
        assert_eq!(points("2026-07-01"), None);
        assert_eq!(points("2026-10-01"), Some(5));
        let only_winter = counted(&calendar(), "2027-01-01=2");
        assert_eq!(only_winter.sum(on("2026-07-01").season), Some(Sum::default()));
        assert_eq!(counters.tallies(on("2027-01-31")).season.points, 2);
        // Between two seasons there is none.
        assert_eq!(counters.tallies(on("2026-09-15")).season.points, 0);
    }

    #[test]
    fn what_came_too_late_for_two_seasons_is_known() {
        let seasons = [
            "2026-06-01..2026-08-31",
            "2026-10-01..2026-11-30",
            "2026-12-01..2027-02-28",
        ];
        let check = |now: &str, expected: &str| {
            let now = now.parse().unwrap();
            let known = seasons.map(|season| {
                let is_known = knows_late(season.parse().unwrap(), &calendar(), now);
                if is_known { "+" } else { "-" }
            });
            assert_eq!(known.concat(), expected, "{now}");
        };
        check("2026-09-15T00:00:00Z", "+++");
        check("2026-12-15T00:00:00Z", "+++");
        check("2027-03-01T00:00:00Z", "-++");
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
            let on = |days: i64| calendar().day_of(first.checked_add(Span::new().days(days)).unwrap());
            let mut counters = Counters::new(first);
            for &(days, points) in &counted {
                counters.add(on(days), Sum { points, activities: 1 }.in_every_window(), None);
            }
            let last = counted.iter().map(|&(days, _)| days).max().unwrap_or_default();
            let sum_of = |period: Option<Period>| -> i64 {
                let of_period = counted.iter().filter(|&&(days, _)| {
                    period.is_none_or(|period| period.contains(on(days).date))
                });
                of_period.map(|&(_, points)| points).sum()
            };
            // Readers up to a few days behind, as far as there are slots.
            for (window, slots) in SLOTS {
                let asked = on(last - reader);
                if number(window, on(last).date) - number(window, asked.date) < i64::try_from(slots).unwrap() {
                    let period = asked.period(window);
                    prop_assert_eq!(counters.sum(period).unwrap().points, sum_of(period), "{}", window);
                }
            }
            if let Some(season) = on(last - reader).season {
                prop_assert_eq!(counters.sum(Some(season)).unwrap().points, sum_of(Some(season)));
            }
            prop_assert_eq!(counters.sum(None).unwrap().points, sum_of(None));
        }
    }
}
