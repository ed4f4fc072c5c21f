//! Seasons: windows that a deployment names itself, such as `autumn-2026` from September to November.

use std::str::FromStr;
use std::sync::Arc;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::calendar::{Period, Window};
use crate::fields::{Fields, Form};
use crate::id::SeasonId;
use crate::intake::{Rejection, RejectionCode};
use crate::json::{self, shorten};
use crate::person::DisplayName;

/// A season, with its first and its last day in the time zone of the deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Season {
    pub id: SeasonId,
    pub title: DisplayName,
    pub first_day: Date,
    pub last_day: Date,
}

/// The seasons of a deployment in order of time. They do not overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Season>", into = "Vec<Season>")]
pub struct Seasons(Arc<[Season]>);

/// Why a list of seasons is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}")]
pub struct InvalidSeasons {
    place: String,
    detail: String,
}

impl Season {
    pub fn period(&self) -> Period {
        Period::Season {
            first_day: self.first_day,
            last_day: self.last_day,
        }
    }

    pub fn id(&self) -> &str {
        self.id.as_str()
    }

    fn parse(raw: &RawValue) -> Result<Self, Rejection> {
        let mut fields = Fields::parse(raw, Form::Season)?;
        let id: SeasonId = fields.required("id")?;
        let title = match fields.parsed("title")? {
            Some(title) => title,
            None => id.as_str().parse().expect("an id is a title"),
        };
        let season = Self {
            id,
            title,
            first_day: day(&mut fields, "first_day")?,
            last_day: day(&mut fields, "last_day")?,
        };
        fields.finish()?;
        Ok(season)
    }
}

fn day(fields: &mut Fields<'_>, name: &str) -> Result<Date, Rejection> {
    let text = fields.text(name)?.ok_or_else(|| fields.missing(name))?;
    if let Ok(Period::Day(day)) = text.parse() {
        return Ok(day);
    }
    let detail = format!("is {:?}; use a day such as 2026-11-24", shorten(&text));
    Err(Rejection::new(RejectionCode::InvalidTime, name, detail))
}

impl Seasons {
    /// Functions get the list in an environment variable, and all of those together have 4 KB.
    pub const MAX: usize = 20;

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Season> {
        self.0.iter()
    }

    pub fn get(&self, id: &str) -> Option<&Season> {
        self.iter().find(|season| season.id.as_str() == id)
    }

    /// The one with these days.
    pub fn of(&self, period: Period) -> Option<&Season> {
        self.iter().find(|season| season.period() == period)
    }

    pub fn containing(&self, date: Date) -> Option<&Season> {
        self.iter().find(|season| season.period().contains(date))
    }

    /// The one that runs on a day, or the next one.
    pub fn current_or_next(&self, date: Date) -> Option<&Season> {
        self.iter().find(|season| season.last_day >= date)
    }

    /// The latest one that ended before a day.
    pub fn last_before(&self, date: Date) -> Option<&Season> {
        self.0.iter().rev().find(|season| season.last_day < date)
    }

    /// The first one that begins after a day.
    pub fn first_after(&self, date: Date) -> Option<&Season> {
        self.iter().find(|season| season.first_day > date)
    }

    /// Whether what was counted with these seasons until a day is the same with others: those that began by then have the
    /// same days. Their names may differ.
    pub fn count_alike(&self, other: &Self, until: Date) -> bool {
        let begun = |seasons: &Self| {
            let begun = seasons.iter().filter(|season| season.first_day <= until);
            begun.map(Season::period).collect::<Vec<_>>()
        };
        begun(self) == begun(other)
    }
}

impl TryFrom<Vec<Season>> for Seasons {
    type Error = InvalidSeasons;

    fn try_from(mut seasons: Vec<Season>) -> Result<Self, InvalidSeasons> {
        if seasons.len() > Self::MAX {
            return Err(InvalidSeasons {
                place: "the seasons".to_owned(),
                detail: format!("there are {}; at most {} are allowed", seasons.len(), Self::MAX),
            });
        }
        seasons.sort_by_key(|season| season.first_day);
        for (at, season) in seasons.iter().enumerate() {
            let Season {
                id,
                first_day,
                last_day,
                ..
            } = season;
            let fault = |detail: String| InvalidSeasons {
                place: format!("season {id}"),
                detail,
            };
            if id.as_str().parse::<Window>().is_ok() {
                return Err(fault(format!(
                    "id is {id}, which is the name of a window; use another one"
                )));
            }
            if first_day > last_day {
                let detail =
                    format!("last_day is {last_day}; it must not be before first_day, which is {first_day}");
                return Err(fault(detail));
            }
            if seasons[..at].iter().any(|other| other.id == *id) {
                return Err(fault("id is that of two seasons; each needs its own".to_owned()));
            }
            if let Some(other) = seasons[..at].iter().find(|other| other.last_day >= *first_day) {
                return Err(fault(format!(
                    "first_day is {first_day}; it must be after the last_day of {}, which is {}, since seasons do not overlap",
                    other.id, other.last_day
                )));
            }
        }
        Ok(Self(seasons.into()))
    }
}

impl From<Seasons> for Vec<Season> {
    fn from(seasons: Seasons) -> Self {
        seasons.0.to_vec()
    }
}

/// Parses a JSON array of objects.
impl FromStr for Seasons {
    type Err = InvalidSeasons;

    fn from_str(document: &str) -> Result<Self, InvalidSeasons> {
        let of_list = |detail: String| InvalidSeasons {
            place: "the seasons".to_owned(),
            detail,
        };
        let raw: &RawValue = serde_json::from_str(document)
            .map_err(|error| of_list(format!("the text is not valid JSON: {error}")))?;
        if !raw.get().starts_with('[') {
            let found = json::type_of(raw);
            return Err(of_list(format!(
                "they must be a JSON array of objects, not {found}"
            )));
        }
        let items: Vec<&RawValue> =
            serde_json::from_str(raw.get()).map_err(|error| of_list(error.to_string()))?;
        let seasons = (1..).zip(items).map(|(number, item)| {
            Season::parse(item).map_err(|rejection| InvalidSeasons {
                place: format!("season number {number}"),
                detail: rejection.detail,
            })
        });
        seasons.collect::<Result<Vec<_>, _>>()?.try_into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lists such as `a 2026-01-01 2026-01-31, b 2026-02-10 2026-02-20`.
    fn seasons(list: &str) -> Result<Seasons, InvalidSeasons> {
        let seasons = list.split(',').filter(|season| !season.trim().is_empty());
        let seasons = seasons.map(|season| {
            let parts: Vec<_> = season.split_whitespace().collect();
            let [id, first_day, last_day] = parts[..] else {
                panic!("{season}")
            };
            format!(r#"{{"id":"{id}","title":"The {id}","first_day":"{first_day}","last_day":"{last_day}"}}"#)
        });
        format!("[{}]", seasons.collect::<Vec<_>>().join(",")).parse()
    }

    #[test]
    fn lists_are_in_order_of_time() {
        let parsed = seasons("b 2026-02-01 2026-02-20, a 2026-01-01 2026-01-31").unwrap();
        let ids: Vec<_> = parsed.iter().map(|season| season.id.as_str()).collect();
        assert_eq!(ids, ["a", "b"]);
        let stored = serde_json::to_string(&parsed).unwrap();
        assert_eq!(serde_json::from_str::<Seasons>(&stored).unwrap(), parsed);
        assert!(seasons("").unwrap().is_empty());
        let untitled = r#"[{"id":"a","title":null,"first_day":"2026-01-01","last_day":"2026-01-31"}]"#;
        let untitled: Seasons = untitled.parse().unwrap();
        assert_eq!(untitled.get("a").unwrap().title.as_str(), "a");
    }

    #[test]
    fn faults_name_the_season_and_the_field() {
        let check = |list: &str, expected: &str| assert_eq!(seasons(list).unwrap_err().to_string(), expected);
        check(
            "a 2026-02-01 2026-01-31",
            "season a: last_day is 2026-01-31; it must not be before first_day, which is 2026-02-01",
        );
        check(
            "a 2026-01-01 2026-01-31, b 2026-01-31 2026-02-01",
            "season b: first_day is 2026-01-31; it must be after the last_day of a, which is 2026-01-31, since seasons do \
             not overlap",
        );
        check(
            "a 2026-01-01 2026-01-31, a 2026-02-01 2026-02-02",
            "season a: id is that of two seasons; each needs its own",
        );
        check(
            "week 2026-01-01 2026-01-31",
            "season week: id is week, which is the name of a window; use another one",
        );
        check(
            "a 2026-01-01 2026-02-30",
            "season number 1: last_day is \"2026-02-30\"; use a day such as 2026-11-24",
        );
        check(
            "A 2026-01-01 2026-02-28",
            "season number 1: id has the character 'A' at byte 0; use only a-z 0-9 _ -",
        );
        let many = |count: u32| {
            let seasons = (0..count).map(|at| format!("s{at} {}-01-01 {}-12-31", 2000 + at, 2000 + at));
            seasons.collect::<Vec<_>>().join(",")
        };
        assert!(seasons(&many(20)).is_ok());
        check(&many(21), "the seasons: there are 21; at most 20 are allowed");
        for (document, expected) in [
            (
                "{}",
                "the seasons: they must be a JSON array of objects, not an object",
            ),
            (
                r#"[{"id":"a","first_day":"2026-01-01"}]"#,
                "season number 1: last_day is missing",
            ),
            (
                r#"[{"id":"a","title":"A","first_day":"2026-01-01","last_day":"2026-01-02","name":"A"}]"#,
                "season number 1: name is not a field of a season; its fields are id, title, first_day, last_day",
            ),
        ] {
            assert_eq!(document.parse::<Seasons>().unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn seasons_are_found_by_day() {
        let parsed = seasons("a 2026-01-01 2026-01-31, b 2026-02-10 2026-02-20").unwrap();
        let check = |on: &str, expected: &str| {
            let date: Date = on.parse().unwrap();
            let id = |season: Option<&Season>| season.map_or("-".to_owned(), |season| season.id.to_string());
            let found = [
                parsed.last_before(date),
                parsed.containing(date),
                parsed.current_or_next(date),
                parsed.first_after(date),
            ];
            assert_eq!(found.map(id).join(" "), expected, "{on}");
        };
        check("2025-12-31", "- - a a");
        check("2026-01-01", "- a a b");
        check("2026-01-31", "- a a b");
        check("2026-02-01", "a - b b");
        check("2026-02-10", "a b b -");
        check("2026-02-21", "b - - -");
    }

    #[test]
    fn only_the_days_of_what_has_begun_must_stay() {
        let check = |before: &str, after: &str, expected: bool| {
            let until = "2026-02-10".parse().unwrap();
            let (before, after) = (seasons(before).unwrap(), seasons(after).unwrap());
            assert_eq!(before.count_alike(&after, until), expected, "{after:?}");
        };
        check("", "", true);
        check("", "a 2026-02-10 2026-02-20", false);
        check("", "a 2026-02-11 2026-02-20", true);
        check("a 2026-02-01 2026-02-20", "renamed 2026-02-01 2026-02-20", true);
        check("a 2026-02-01 2026-02-20", "a 2026-02-01 2026-02-21", false);
        check("a 2026-02-11 2026-02-20", "a 2026-02-12 2026-02-21", true);
        check("a 2026-01-01 2026-01-02", "", false);
    }
}
