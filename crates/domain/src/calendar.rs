//! Time windows in the deployment's time zone, and the periods in them.

use std::fmt;
use std::ops::{AddAssign, RangeInclusive};
use std::str::FromStr;

use jiff::civil::{Date, ISOWeekDate, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::id::SeasonId;
use crate::person::DisplayName;
use crate::season::{Season, Seasons};

/// The time that a board covers: all time, or the current calendar month, ISO week, day or season.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    All,
    Month,
    Week,
    Day,
    Season,
}

impl Window {
    /// A standing's ledger names a window by its place in this list.
    pub const EVERY: [Self; 5] = [Self::All, Self::Month, Self::Week, Self::Day, Self::Season];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Month => "month",
            Self::Week => "week",
            Self::Day => "day",
            Self::Season => "season",
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
    pub season: T,
}

impl<T: Copy> PerWindow<T> {
    pub fn of_each(value: impl Fn(Window) -> T) -> Self {
        Self {
            all: value(Window::All),
            month: value(Window::Month),
            week: value(Window::Week),
            day: value(Window::Day),
            season: value(Window::Season),
        }
    }

    pub fn get(&self, window: Window) -> T {
        match window {
            Window::All => self.all,
            Window::Month => self.month,
            Window::Week => self.week,
            Window::Day => self.day,
            Window::Season => self.season,
        }
    }

    pub fn get_mut(&mut self, window: Window) -> &mut T {
        match window {
            Window::All => &mut self.all,
            Window::Month => &mut self.month,
            Window::Week => &mut self.week,
            Window::Day => &mut self.day,
            Window::Season => &mut self.season,
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
#[error("is not a window; use all, month, week, day or season")]
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

/// One calendar month, ISO week, day or season. Displayed by its name: `2026-11`, `2026-W47`, `2026-11-21`; a season
/// by its days, `2026-09-01..2026-11-30`, so that another id or title makes no other season of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Period {
    /// Identified by its first day.
    Month(Date),
    /// Identified by its Monday.
    Week(Date),
    Day(Date),
    Season {
        first_day: Date,
        last_day: Date,
    },
}

impl Period {
    /// The years that a name can have.
    pub const YEARS: RangeInclusive<i16> = 1970..=9998;

    pub fn window(self) -> Window {
        match self {
            Self::Month(_) => Window::Month,
            Self::Week(_) => Window::Week,
            Self::Day(_) => Window::Day,
            Self::Season { .. } => Window::Season,
        }
    }

    /// The month, week or day that contains `date`; `None` for the other windows. A [`CalendarDay`] knows its season.
    pub fn containing(window: Window, date: Date) -> Option<Self> {
        match window {
            Window::All | Window::Season => None,
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
            Self::Season { first_day, .. } => first_day,
        }
    }

    pub fn last_day(self) -> Date {
        match self {
            Self::Month(first) => first.last_of_month(),
            Self::Week(monday) => monday.saturating_add(Span::new().days(6)),
            Self::Day(day) => day,
            Self::Season { last_day, .. } => last_day,
        }
    }

    pub fn contains(self, date: Date) -> bool {
        (self.first_day()..=self.last_day()).contains(&date)
    }

    /// The next month, week or day; `None` of a season, which [`Calendar::after`] knows.
    pub fn following(self) -> Option<Self> {
        self.earlier(-1)
    }

    /// The period of the same kind that is `count` periods earlier; `None` of a season.
    pub fn earlier(self, count: i32) -> Option<Self> {
        match self {
            Self::Month(first) => Some(Self::Month(first.saturating_sub(Span::new().months(count)))),
            Self::Week(monday) => Some(Self::Week(monday.saturating_sub(Span::new().weeks(count)))),
            Self::Day(day) => Some(Self::Day(day.saturating_sub(Span::new().days(count)))),
            Self::Season { .. } => None,
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
            Self::Season { first_day, last_day } => write!(f, "{first_day}..{last_day}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "is not a period; use a day such as 2026-11-24, an ISO week such as 2026-W47, a month such as 2026-11, from {first} to \
     {last}, or yesterday, last-week, last-month or last-season",
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
        if let Some((first_day, last_day)) = raw.split_once("..") {
            return match (first_day.parse()?, last_day.parse()?) {
                (Self::Day(first_day), Self::Day(last_day)) if first_day <= last_day => {
                    Ok(Self::Season { first_day, last_day })
                }
                _ => Err(InvalidPeriod),
            };
        }
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

/// A period as people ask for it: by its name, or as `yesterday`, `last-week`, `last-month` or `last-season`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AskedPeriod {
    Named(Period),
    /// The latest one that is over.
    Last(Window),
}

impl AskedPeriod {
    pub fn window(self) -> Window {
        match self {
            Self::Named(period) => period.window(),
            Self::Last(window) => window,
        }
    }

    /// Parses a period, or the id of a season.
    pub fn parse(raw: &str, seasons: &Seasons) -> Result<Self, InvalidPeriod> {
        match seasons.get(raw) {
            Some(season) => Ok(Self::Named(season.period())),
            None => raw.parse(),
        }
    }

    /// The period at `now`; `None` for [`Window::All`], and if no season is over.
    pub fn at(self, calendar: &Calendar, now: Timestamp) -> Option<Period> {
        match self {
            Self::Named(period) => Some(period),
            Self::Last(window) => calendar.last_over(window, now),
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
            "last-season" => Ok(Self::Last(Window::Season)),
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
    /// Only of a season.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub season: Option<Named>,
}

/// What a season is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    pub id: SeasonId,
    pub title: DisplayName,
}

/// A day, and the season that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CalendarDay {
    pub date: Date,
    /// [`Period::Season`]
    pub season: Option<Period>,
}

/// A day in no season.
impl From<Date> for CalendarDay {
    fn from(date: Date) -> Self {
        Self { date, season: None }
    }
}

impl CalendarDay {
    /// The period of a window that contains the day; `None` for [`Window::All`], and between two seasons.
    pub fn period(self, window: Window) -> Option<Period> {
        match window {
            Window::Season => self.season,
            _ => Period::containing(window, self.date),
        }
    }
}

/// The deployment's calendar: an IANA time zone, ISO weeks, and seasons.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Settings", into = "Settings")]
pub struct Calendar {
    zone: TimeZone,
    name: String,
    seasons: Seasons,
}

/// A calendar as it is stored.
#[derive(Serialize, Deserialize)]
struct Settings {
    time_zone: String,
    #[serde(default, skip_serializing_if = "Seasons::is_empty")]
    seasons: Seasons,
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
                seasons: Seasons::default(),
            }),
            Err(source) => Err(InvalidTimeZone {
                name: name.to_owned(),
                source,
            }),
        }
    }
}

impl TryFrom<Settings> for Calendar {
    type Error = InvalidTimeZone;
    fn try_from(settings: Settings) -> Result<Self, InvalidTimeZone> {
        let calendar: Self = settings.time_zone.parse()?;
        Ok(calendar.with_seasons(settings.seasons))
    }
}

impl From<Calendar> for Settings {
    fn from(calendar: Calendar) -> Self {
        Self {
            time_zone: calendar.name,
            seasons: calendar.seasons,
        }
    }
}

impl Calendar {
    #[must_use]
    pub fn with_seasons(self, seasons: Seasons) -> Self {
        Self { seasons, ..self }
    }

    pub fn seasons(&self) -> &Seasons {
        &self.seasons
    }

    pub fn day(&self, at: Timestamp) -> CalendarDay {
        self.day_of(self.date(at))
    }

    pub fn day_of(&self, date: Date) -> CalendarDay {
        CalendarDay {
            date,
            season: self.seasons.containing(date).map(Season::period),
        }
    }

    pub fn date(&self, at: Timestamp) -> Date {
        at.to_zoned(self.zone.clone()).date()
    }

    pub fn time_zone(&self) -> &str {
        &self.name
    }

    /// The current period at `now`; `None` for [`Window::All`], and if no season runs.
    pub fn current(&self, window: Window, now: Timestamp) -> Option<Period> {
        self.day(now).period(window)
    }

    /// The windows that have boards at `now`: that of seasons only while one runs.
    pub fn windows(&self, now: Timestamp) -> impl Iterator<Item = Window> {
        let has_season = self.current(Window::Season, now).is_some();
        let every = Window::EVERY.into_iter();
        every.filter(move |window| *window != Window::Season || has_season)
    }

    /// The latest period of a window that is over at `now`.
    pub fn last_over(&self, window: Window, now: Timestamp) -> Option<Period> {
        match window {
            Window::Season => self.seasons.last_before(self.date(now)).map(Season::period),
            _ => self.current(window, now)?.earlier(1),
        }
    }

    /// The period before another one of its window; `None` before the first season.
    pub fn before(&self, period: Period) -> Option<Period> {
        match period {
            Period::Season { first_day, .. } => self.seasons.last_before(first_day).map(Season::period),
            _ => period.earlier(1),
        }
    }

    /// The next period of the same window; `None` after the last season.
    pub fn after(&self, period: Period) -> Option<Period> {
        match period {
            Period::Season { last_day, .. } => self.seasons.first_after(last_day).map(Season::period),
            _ => period.following(),
        }
    }

    pub fn span(&self, window: Window, now: Timestamp) -> WindowSpan {
        match self.current(window, now) {
            Some(period) => self.span_of(period),
            None => WindowSpan {
                name: window,
                first_day: None,
                last_day: None,
                time_zone: self.name.clone(),
                season: None,
            },
        }
    }

    /// A period as a window.
    pub fn span_of(&self, period: Period) -> WindowSpan {
        WindowSpan {
            name: period.window(),
            first_day: Some(period.first_day()),
            last_day: Some(period.last_day()),
            time_zone: self.name.clone(),
            season: self.seasons.of(period).map(|season| Named {
                id: season.id.clone(),
                title: season.title.clone(),
            }),
        }
    }

    /// The months, weeks and days that have counters: the previous and the current one of each.
    pub fn kept_pairs(&self, now: Timestamp) -> [(Period, Period); 3] {
        let today = self.date(now);
        [Period::month(today), Period::week(today), Period::Day(today)]
            .map(|current| (current.earlier(1).unwrap_or(current), current))
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
        let day = self.day(occurred_at);
        PerWindow::of_each(|window| match day.period(window) {
            None => true,
            Some(period) => received_at.duration_since(self.end(period)) < grace,
        })
    }

    /// The first moment after a period in this calendar's zone.
    pub fn end(&self, period: Period) -> Timestamp {
        self.midnight(period.last_day().saturating_add(Span::new().days(1)))
    }

    /// The first moment of a period in this calendar's zone.
    pub fn beginning(&self, period: Period) -> Timestamp {
        self.midnight(period.first_day())
    }

    fn midnight(&self, date: Date) -> Timestamp {
        let midnight = date.to_zoned(self.zone.clone());
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
        check("2026-09-01..2026-11-30", "season 2026-09-01 2026-11-30");
        check("2026-09-01..2026-09-01", "season 2026-09-01 2026-09-01");
        check("2026-02", "month 2026-02-01 2026-02-28");
        let wrong = "2026 2026- 2026-W 2026-W00 2026-W54 2027-W53 2026-13 2026-00 2026-2 2026-11-31 2026-11- 2026-11-1 \
                     +026-11 26-11 2026-11-24T00:00 2026-w47 1969-12 9999-01 yesterday \
                     2026-09-02..2026-09-01 2026-09..2026-10 2026-09-01.. 2026-09-01..2026-09-02..2026-09-03";
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

    fn with_seasons() -> Calendar {
        let seasons = r#"[
            {"id":"spring","title":"Spring","first_day":"2026-03-01","last_day":"2026-05-31"},
            {"id":"autumn","title":"Autumn","first_day":"2026-09-01","last_day":"2026-11-30"},
            {"id":"winter","title":"Winter","first_day":"2026-12-01","last_day":"2027-02-28"}
        ]"#;
        calendar("Europe/Berlin").with_seasons(seasons.parse().unwrap())
    }

    #[test]
    fn a_season_is_a_window_while_it_runs() {
        let check = |now: &str, expected: &str| {
            let (calendar, now) = (with_seasons(), now.parse().unwrap());
            let ids = [
                calendar.current(Window::Season, now),
                calendar.last_over(Window::Season, now),
            ]
            .map(|period| {
                let season = period.and_then(|period| calendar.seasons().of(period));
                season.map_or("-".to_owned(), |season| season.id.to_string())
            });
            let has_window = calendar.windows(now).any(|window| window == Window::Season);
            assert_eq!(has_window, ids[0] != "-");
            assert_eq!(ids.join(" "), expected, "{now}");
        };
        check("2026-02-28T22:59:59Z", "- -");
        check("2026-02-28T23:00:00Z", "spring -");
        // Summer time.
        check("2026-05-31T21:59:59Z", "spring -");
        check("2026-05-31T22:00:00Z", "- spring");
        check("2026-11-30T22:59:59Z", "autumn spring");
        check("2026-11-30T23:00:00Z", "winter autumn");
        check("2027-03-01T00:00:00Z", "- winter");
    }

    #[test]
    fn seasons_follow_one_another_with_or_without_a_gap() {
        let calendar = with_seasons();
        let [spring, autumn, winter] =
            ["spring", "autumn", "winter"].map(|id| calendar.seasons().get(id).unwrap().period());
        assert_eq!(calendar.after(spring), Some(autumn));
        assert_eq!(calendar.after(autumn), Some(winter));
        assert_eq!(calendar.after(winter), None);
        assert_eq!(calendar.before(winter), Some(autumn));
        assert_eq!(calendar.before(autumn), Some(spring));
        assert_eq!(calendar.before(spring), None);
        assert_eq!(calendar.end(spring).to_string(), "2026-05-31T22:00:00Z");
    }

    #[test]
    fn the_span_of_a_season_has_its_name() {
        let span = |now: &str| {
            let span = with_seasons().span(Window::Season, now.parse().unwrap());
            serde_json::to_string(&span).unwrap()
        };
        assert_eq!(
            span("2026-11-21T12:00:00Z"),
            r#"{"name":"season","first_day":"2026-09-01","last_day":"2026-11-30","time_zone":"Europe/Berlin","season":{"id":"autumn","title":"Autumn"}}"#
        );
        assert_eq!(
            span("2026-08-21T12:00:00Z"),
            r#"{"name":"season","first_day":null,"last_day":null,"time_zone":"Europe/Berlin"}"#
        );
    }

    #[test]
    fn calendars_are_stored_with_their_seasons() {
        let stored = serde_json::to_string(&calendar("UTC")).unwrap();
        assert_eq!(stored, r#"{"time_zone":"UTC"}"#);
        let stored = serde_json::to_string(&with_seasons()).unwrap();
        assert_eq!(serde_json::from_str::<Calendar>(&stored).unwrap(), with_seasons());
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
