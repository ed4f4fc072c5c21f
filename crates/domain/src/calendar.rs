//! Time windows in the deployment's time zone, and the counters they need.

use std::fmt;
use std::ops::{AddAssign, RangeInclusive};
use std::str::FromStr;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};

/// The time that a board covers: all time, or the current calendar month, ISO week or day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    All,
    Month,
    Week,
    Day,
}

impl Window {
    pub const EVERY: [Self; 4] = [Self::All, Self::Month, Self::Week, Self::Day];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
        }
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A value for each window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerWindow<T> {
    pub all: T,
    pub month: T,
    pub week: T,
    pub day: T,
}

impl<T: Copy> PerWindow<T> {
    pub fn of_each(value: impl Fn(Window) -> T) -> Self {
        Self {
            all: value(Window::All),
            month: value(Window::Month),
            week: value(Window::Week),
            day: value(Window::Day),
        }
    }

    pub fn get(&self, window: Window) -> T {
        match window {
            Window::All => self.all,
            Window::Month => self.month,
            Window::Week => self.week,
            Window::Day => self.day,
        }
    }

    pub fn get_mut(&mut self, window: Window) -> &mut T {
        match window {
            Window::All => &mut self.all,
            Window::Month => &mut self.month,
            Window::Week => &mut self.week,
            Window::Day => &mut self.day,
        }
    }
}

impl<T: Copy + AddAssign> AddAssign for PerWindow<T> {
    fn add_assign(&mut self, other: Self) {
        for window in Window::EVERY {
            *self.get_mut(window) += other.get(window);
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a window; use all, month, week or day")]
pub struct InvalidWindow;

impl FromStr for Window {
    type Err = InvalidWindow;
    fn from_str(raw: &str) -> Result<Self, InvalidWindow> {
        Self::EVERY
            .into_iter()
            .find(|w| w.as_str() == raw)
            .ok_or(InvalidWindow)
    }
}

/// One calendar month, ISO week or day. Displayed by its name: `2026-11`, `2026-W47`, `2026-11-21`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Period {
    /// Identified by its first day.
    Month(Date),
    /// Identified by its Monday.
    Week(Date),
    Day(Date),
}

impl Period {
    /// The years that a name can have.
    pub const YEARS: RangeInclusive<i16> = 1970..=9998;

    pub fn window(self) -> Window {
        match self {
            Self::Month(_) => Window::Month,
            Self::Week(_) => Window::Week,
            Self::Day(_) => Window::Day,
        }
    }

    /// The period that contains `date`; `None` for [`Window::All`].
    pub fn containing(window: Window, date: Date) -> Option<Self> {
        match window {
            Window::All => None,
            Window::Month => Some(Self::month(date)),
            Window::Week => Some(Self::week(date)),
            Window::Day => Some(Self::Day(date)),
        }
    }

    fn month(date: Date) -> Self {
        Self::Month(date.first_of_month())
    }

    fn week(date: Date) -> Self {
        let week = date.iso_week_date();
        let monday = ISOWeekDate::new(week.year(), week.week(), Weekday::Monday);
        Self::Week(monday.expect("the Monday of an existing ISO week exists").date())
    }

    pub fn first_day(self) -> Date {
        match self {
            Self::Month(first) | Self::Week(first) | Self::Day(first) => first,
        }
    }

    pub fn last_day(self) -> Date {
        match self {
            Self::Month(first) => first.last_of_month(),
            Self::Week(monday) => monday.saturating_add(Span::new().days(6)),
            Self::Day(day) => day,
        }
    }

    /// The next period of the same kind.
    pub fn following(self) -> Self {
        self.earlier(-1)
    }

    /// The period of the same kind that is `count` periods earlier.
    pub fn earlier(self, count: i32) -> Self {
        match self {
            Self::Month(first) => Self::Month(first.saturating_sub(Span::new().months(count))),
            Self::Week(monday) => Self::Week(monday.saturating_sub(Span::new().weeks(count))),
            Self::Day(day) => Self::Day(day.saturating_sub(Span::new().days(count))),
        }
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Month(first) => write!(f, "{:04}-{:02}", first.year(), first.month()),
            Self::Week(monday) => {
                let week = monday.iso_week_date();
                write!(f, "{:04}-W{:02}", week.year(), week.week())
            }
            Self::Day(day) => write!(f, "{day}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a period; use a day such as 2026-11-24, an ISO week such as 2026-W47, a month such as 2026-11, from {first} to \
     {last}, or yesterday, last-week or last-month",
    first = Period::YEARS.start(),
    last = Period::YEARS.end()
)]
pub struct InvalidPeriod;

impl FromStr for Period {
    type Err = InvalidPeriod;

    fn from_str(raw: &str) -> Result<Self, InvalidPeriod> {
        let digits = |text: &str, count: usize| {
            let is_number = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| text.parse::<i16>().ok()).flatten()
        };
        let two = |text: &str| digits(text, 2).and_then(|number| i8::try_from(number).ok());
        let (year, rest) = raw.split_once('-').ok_or(InvalidPeriod)?;
        let year = digits(year, 4).filter(|year| Self::YEARS.contains(year));
        let year = year.ok_or(InvalidPeriod)?;
        let period = if let Some(week) = rest.strip_prefix('W') {
            let week = two(week).and_then(|week| ISOWeekDate::new(year, week, Weekday::Monday).ok());
            week.map(|week| Self::Week(week.date()))
        } else if let Some((month, day)) = rest.split_once('-') {
            let day = two(month).zip(two(day));
            let day = day.and_then(|(month, day)| Date::new(year, month, day).ok());
            day.map(Self::Day)
        } else {
            let month = two(rest).and_then(|month| Date::new(year, month, 1).ok());
            month.map(Self::Month)
        };
        period.ok_or(InvalidPeriod)
    }
}

impl TryFrom<String> for Period {
    type Error = InvalidPeriod;
    fn try_from(raw: String) -> Result<Self, InvalidPeriod> {
        raw.parse()
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.to_string()
    }
}

/// A period as people ask for it: by its name, or as `yesterday`, `last-week` or `last-month`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedPeriod {
    Named(Period),
    /// The day, week or month before the current one.
    Last(Window),
}

impl AskedPeriod {
    pub fn window(self) -> Window {
        match self {
            Self::Named(period) => period.window(),
            Self::Last(window) => window,
        }
    }

    /// The period at `now`; `None` for [`Window::All`].
    pub fn at(self, calendar: &Calendar, now: Timestamp) -> Option<Period> {
        match self {
            Self::Named(period) => Some(period),
            Self::Last(window) => Some(calendar.current(window, now)?.earlier(1)),
        }
    }
}

impl FromStr for AskedPeriod {
    type Err = InvalidPeriod;

    fn from_str(raw: &str) -> Result<Self, InvalidPeriod> {
        match raw {
            "yesterday" => Ok(Self::Last(Window::Day)),
            "last-week" => Ok(Self::Last(Window::Week)),
            "last-month" => Ok(Self::Last(Window::Month)),
            _ => raw.parse().map(Self::Named),
        }
    }
}

/// A window as published: the days it covers, and the time zone of those days.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WindowSpan {
    pub name: Window,
    /// `null` for `all`, as is `last_day`.
    pub first_day: Option<Date>,
    pub last_day: Option<Date>,
    pub time_zone: String,
}

/// The deployment's calendar: an IANA time zone and ISO weeks. Stored as the name of the zone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Calendar {
    zone: TimeZone,
    name: String,
}

#[derive(Debug, thiserror::Error)]
#[error("{name:?} is not an IANA time zone; use a name such as Europe/Berlin")]
pub struct InvalidTimeZone {
    name: String,
    source: jiff::Error,
}

impl FromStr for Calendar {
    type Err = InvalidTimeZone;
    fn from_str(name: &str) -> Result<Self, InvalidTimeZone> {
        match TimeZone::get(name) {
            Ok(zone) => Ok(Self {
                zone,
                name: name.to_owned(),
            }),
            Err(source) => Err(InvalidTimeZone {
                name: name.to_owned(),
                source,
            }),
        }
    }
}

impl TryFrom<String> for Calendar {
    type Error = InvalidTimeZone;
    fn try_from(name: String) -> Result<Self, InvalidTimeZone> {
        name.parse()
    }
}

impl From<Calendar> for String {
    fn from(calendar: Calendar) -> Self {
        calendar.name
    }
}

impl Calendar {
    pub fn date(&self, at: Timestamp) -> Date {
        at.to_zoned(self.zone.clone()).date()
    }

    pub fn time_zone(&self) -> &str {
        &self.name
    }

    /// The current period at `now`; `None` for [`Window::All`].
    pub fn current(&self, window: Window, now: Timestamp) -> Option<Period> {
        Period::containing(window, self.date(now))
    }

    pub fn span(&self, window: Window, now: Timestamp) -> WindowSpan {
        let period = self.current(window, now);
        WindowSpan {
            name: window,
            first_day: period.map(Period::first_day),
            last_day: period.map(Period::last_day),
            time_zone: self.name.clone(),
        }
    }

    /// A period as a window.
    pub fn span_of(&self, period: Period) -> WindowSpan {
        WindowSpan {
            name: period.window(),
            first_day: Some(period.first_day()),
            last_day: Some(period.last_day()),
            time_zone: self.name.clone(),
        }
    }

    /// The months, weeks and days that have counters: the previous and the current one of each.
    pub fn kept_pairs(&self, now: Timestamp) -> [(Period, Period); 3] {
        let today = self.date(now);
        [Period::month(today), Period::week(today), Period::Day(today)]
            .map(|current| (current.earlier(1), current))
    }

    /// Whether a fact counts in the period of each window that it occurred in: it must be received before the
    /// end of the period and a time of grace after it. In all time it always counts.
    pub fn in_time(
        &self,
        occurred_at: Timestamp,
        received_at: Timestamp,
        grace: SignedDuration,
    ) -> PerWindow<bool> {
        // Every period ends after what occurred in it.
        if received_at.duration_since(occurred_at) <= grace {
            return PerWindow::of_each(|_| true);
        }
        let day = self.date(occurred_at);
        PerWindow::of_each(|window| match Period::containing(window, day) {
            None => true,
            Some(period) => received_at.duration_since(self.end(period)) < grace,
        })
    }

    /// The first moment after a period in this calendar's zone.
    pub fn end(&self, period: Period) -> Timestamp {
        self.beginning(period.following())
    }

    /// The first moment of a period in this calendar's zone.
    pub fn beginning(&self, period: Period) -> Timestamp {
        let midnight = period.first_day().to_zoned(self.zone.clone());
        midnight
            .expect("only dates at the limits of the calendar have no midnight")
            .timestamp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: &str) -> Calendar {
        zone.parse().unwrap()
    }

    fn names(periods: &[Period]) -> String {
        periods
            .iter()
            .map(Period::to_string)
            .collect::<Vec<_>>()
            .join(", ")
    }

    fn check_current(zone: &str, now: &str, expected: &str) {
        let now = now.parse().unwrap();
        let current: Vec<_> = Window::EVERY
            .into_iter()
            .filter_map(|w| calendar(zone).current(w, now))
            .collect();
        assert_eq!(names(&current), expected, "{zone} {now}");
    }

    #[test]
    fn the_day_begins_at_local_midnight_on_both_sides_of_daylight_saving() {
        // Berlin changes from UTC+1 to UTC+2 on 2026-03-29 and back on 2026-10-25, both Sundays.
        let berlin = "Europe/Berlin";
        check_current(berlin, "2026-03-28T22:59:59Z", "2026-03, 2026-W13, 2026-03-28");
        check_current(berlin, "2026-03-28T23:00:00Z", "2026-03, 2026-W13, 2026-03-29");
        check_current(berlin, "2026-03-29T21:59:59Z", "2026-03, 2026-W13, 2026-03-29");
        check_current(berlin, "2026-03-29T22:00:00Z", "2026-03, 2026-W14, 2026-03-30");
        check_current(berlin, "2026-10-24T22:00:00Z", "2026-10, 2026-W43, 2026-10-25");
        check_current(berlin, "2026-10-25T22:59:59Z", "2026-10, 2026-W43, 2026-10-25");
        check_current(berlin, "2026-10-25T23:00:00Z", "2026-10, 2026-W44, 2026-10-26");
    }

    #[test]
    fn iso_weeks_belong_to_the_year_of_their_thursday() {
        check_current("UTC", "2026-12-31T23:59:59Z", "2026-12, 2026-W53, 2026-12-31");
        check_current("UTC", "2027-01-01T00:00:00Z", "2027-01, 2026-W53, 2027-01-01");
        check_current("UTC", "2027-01-04T00:00:00Z", "2027-01, 2027-W01, 2027-01-04");
        check_current("UTC", "2024-12-30T00:00:00Z", "2024-12, 2025-W01, 2024-12-30");
        check_current(
            "Pacific/Kiritimati",
            "2026-12-31T10:00:00Z",
            "2027-01, 2026-W53, 2027-01-01",
        );
    }

    #[test]
    fn a_window_states_its_days() {
        let span = |window| {
            let span = calendar("Europe/Berlin").span(window, "2026-11-21T12:00:00Z".parse().unwrap());
            serde_json::to_string(&span).unwrap()
        };
        assert_eq!(
            span(Window::All),
            r#"{"name":"all","first_day":null,"last_day":null,"time_zone":"Europe/Berlin"}"#
        );
        assert_eq!(
            span(Window::Month),
            r#"{"name":"month","first_day":"2026-11-01","last_day":"2026-11-30","time_zone":"Europe/Berlin"}"#
        );
        assert_eq!(
            span(Window::Week),
            r#"{"name":"week","first_day":"2026-11-16","last_day":"2026-11-22","time_zone":"Europe/Berlin"}"#
        );
        assert_eq!(
            span(Window::Day),
            r#"{"name":"day","first_day":"2026-11-21","last_day":"2026-11-21","time_zone":"Europe/Berlin"}"#
        );
    }

    #[test]
    fn periods_are_found_by_their_names() {
        let check = |raw: &str, expected: &str| {
            let got = match raw.parse::<Period>() {
                Ok(period) => {
                    assert_eq!(period.to_string(), raw);
                    format!("{} {} {}", period.window(), period.first_day(), period.last_day())
                }
                Err(InvalidPeriod) => "-".to_owned(),
            };
            assert_eq!(got, expected, "{raw}");
        };
        check("2026-11-24", "day 2026-11-24 2026-11-24");
        check("2028-02-29", "day 2028-02-29 2028-02-29");
        check("2026-W47", "week 2026-11-16 2026-11-22");
        check("2026-W53", "week 2026-12-28 2027-01-03");
        check("2027-W01", "week 2027-01-04 2027-01-10");
        check("2025-W01", "week 2024-12-30 2025-01-05");
        check("2026-02", "month 2026-02-01 2026-02-28");
        let wrong = "2026 2026- 2026-W 2026-W00 2026-W54 2027-W53 2026-13 2026-00 2026-2 2026-11-31 2026-11- 2026-11-1 \
                     +026-11 26-11 2026-11-24T00:00 2026-w47 1969-12 9999-01 yesterday";
        for raw in wrong.split_whitespace().chain([""]) {
            check(raw, "-");
        }
    }

    #[test]
    fn the_last_period_is_the_one_before_the_current_one() {
        let check = |asked: &str, expected: &str| {
            let asked: AskedPeriod = asked.parse().unwrap();
            let now = "2026-12-31T23:30:00Z".parse().unwrap();
            let period = asked.at(&calendar("Europe/Berlin"), now).unwrap();
            assert_eq!(
                (period.window(), period.to_string().as_str()),
                (asked.window(), expected)
            );
        };
        check("yesterday", "2026-12-31");
        check("last-week", "2026-W52");
        check("last-month", "2026-12");
        check("2026-W40", "2026-W40");
    }

    #[test]
    fn a_period_ends_at_midnight_also_when_the_clocks_change() {
        let check = |zone: &str, period: &str, expected: &str| {
            let end = calendar(zone).end(period.parse().unwrap());
            assert_eq!(end.to_string(), expected, "{zone} {period}");
        };
        check("UTC", "2026-12-31", "2027-01-01T00:00:00Z");
        check("UTC", "2026-W53", "2027-01-04T00:00:00Z");
        check("UTC", "2026-12", "2027-01-01T00:00:00Z");
        // Days of 23 and of 25 hours.
        check("Europe/Berlin", "2026-03-29", "2026-03-29T22:00:00Z");
        check("Europe/Berlin", "2026-10-25", "2026-10-25T23:00:00Z");
        check("Europe/Berlin", "2026-W43", "2026-10-25T23:00:00Z");
        check("America/New_York", "2026-10", "2026-11-01T04:00:00Z");
        // Havana skips the hour after midnight, so the day of the change begins at one.
        check("America/Havana", "2026-03-07", "2026-03-08T05:00:00Z");
        // Lord Howe changes by half an hour.
        check("Australia/Lord_Howe", "2026-04-05", "2026-04-05T13:30:00Z");
    }

    #[test]
    fn an_unknown_zone_is_named() {
        let error = "Mars/Olympus".parse::<Calendar>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"Mars/Olympus\" is not an IANA time zone; use a name such as Europe/Berlin"
        );
    }
}
