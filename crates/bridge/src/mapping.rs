//! Which attributes of an item are which fields of an activity.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{ActivityId, Kind, ProgramId, UserId, timestamp};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{Item, LEGACY};

/// A field of an activity that an item may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Field {
    ActivityId,
    UserId,
    ProgramId,
    Kind,
    OccurredAt,
    Points,
}

impl Field {
    /// Those that every activity needs.
    const REQUIRED: [Self; 5] = [
        Self::ActivityId,
        Self::UserId,
        Self::ProgramId,
        Self::Kind,
        Self::OccurredAt,
    ];

    /// As the API names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::ActivityId => "activity_id",
            Self::UserId => "user_id",
            Self::ProgramId => "program_id",
            Self::Kind => "kind",
            Self::OccurredAt => "occurred_at",
            Self::Points => "points",
        }
    }
}

/// Where another system keeps what happened, and how its items become activities.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// The name of the table, which has an item for each event.
    pub table: String,
    /// The attribute that holds a field.
    pub map: BTreeMap<Field, String>,
    /// A field that is the same for all items.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<Field, String>,
    /// Kinds by what the other system calls them, where that is no kind of Podium.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<String, String>,
    /// Attributes that join others with `#`, such as a sort key of time and id. Mirroring writes them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub joined: BTreeMap<String, Vec<String>>,
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidMapping {
    #[error("it must be a JSON object with table, map, and perhaps set, kinds and joined: {0}")]
    Json(#[from] serde_json::Error),
    #[error("{} is neither in map nor in set", .0.name())]
    Missing(Field),
    #[error("{} is in map and in set", .0.name())]
    Twice(Field),
    #[error("{} must be in map, since each item has its own", .0.name())]
    Constant(Field),
    #[error("table is empty; name the table that has an item for each event")]
    NoTable,
}

impl FromStr for Mapping {
    type Err = InvalidMapping;

    fn from_str(raw: &str) -> Result<Self, InvalidMapping> {
        let mapping: Self = serde_json::from_str(raw)?;
        if mapping.table.is_empty() {
            return Err(InvalidMapping::NoTable);
        }
        for field in Field::REQUIRED {
            if !mapping.map.contains_key(&field) && !mapping.set.contains_key(&field) {
                return Err(InvalidMapping::Missing(field));
            }
        }
        if let Some((field, _)) = mapping
            .set
            .iter()
            .find(|(field, _)| mapping.map.contains_key(field))
        {
            return Err(InvalidMapping::Twice(*field));
        }
        for field in [Field::ActivityId, Field::UserId] {
            if mapping.set.contains_key(&field) {
                return Err(InvalidMapping::Constant(field));
            }
        }
        Ok(mapping)
    }
}

/// What an item says happened, as it says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub user: String,
    pub id: String,
    pub program: String,
    /// By the name that Podium has for it.
    pub kind: String,
    pub occurred_at: String,
    /// `None` if the scoring policy alone says what it is worth.
    pub points: Option<i64>,
}

/// Why an item is no activity.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Unfit {
    /// Whose it is and which, as far as the item says.
    pub key: String,
    /// The field of the activity, and what is wrong with it.
    pub reason: String,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.reason)
    }
}

impl Mapping {
    /// That of the published system whose tables have this prefix.
    pub fn published(prefix: &str) -> Self {
        let map = [
            (Field::ActivityId, "event_id"),
            (Field::UserId, "employee_id"),
            (Field::ProgramId, "program_id"),
            (Field::Kind, "activity_type"),
            (Field::OccurredAt, "ts"),
            (Field::Points, "points_awarded"),
        ];
        Self {
            table: format!("{prefix}-Activities"),
            map: map.map(|(field, name)| (field, name.to_owned())).into(),
            set: BTreeMap::new(),
            kinds: BTreeMap::new(),
            joined: [(
                "ts_event".to_owned(),
                vec!["ts".to_owned(), "event_id".to_owned()],
            )]
            .into(),
        }
    }

    /// The attribute that holds a field; empty if it is not mapped.
    pub fn attribute(&self, field: Field) -> &str {
        self.map.get(&field).map_or("", String::as_str)
    }

    /// Whether items say how many points they are worth.
    pub fn has_points(&self) -> bool {
        self.map.contains_key(&Field::Points) || self.set.contains_key(&Field::Points)
    }

    /// The event in an item.
    pub fn event(&self, item: &Item) -> Result<Event, Unfit> {
        let key = || {
            let part = |field| self.text(field, item).unwrap_or_else(|_| "?".to_owned());
            format!("{} {}", part(Field::UserId), part(Field::ActivityId))
        };
        let event = self.read(item);
        event.map_err(|reason| Unfit { key: key(), reason })
    }

    fn read(&self, item: &Item) -> Result<Event, String> {
        let kind = self.text(Field::Kind, item)?;
        Ok(Event {
            user: self.text(Field::UserId, item)?,
            id: self.text(Field::ActivityId, item)?,
            program: self.text(Field::ProgramId, item)?,
            kind: self.kinds.get(&kind).cloned().unwrap_or(kind),
            occurred_at: time(self.text(Field::OccurredAt, item)?),
            points: if self.has_points() {
                Some(self.points(item)?)
            } else {
                None
            },
        })
    }

    fn points(&self, item: &Item) -> Result<i64, String> {
        let text = self.text(Field::Points, item)?;
        let points = text.parse();
        points.map_err(|_| format!("points is {text:?}, which is no whole number"))
    }

    /// The value of a field in an item, whether it is a text or a number there.
    fn text(&self, field: Field, item: &Item) -> Result<String, String> {
        if let Some(text) = self.set.get(&field) {
            return Ok(text.clone());
        }
        let name = self.map.get(&field);
        let name = name.ok_or_else(|| format!("{} is not mapped", field.name()))?;
        match item.get(name) {
            Some(AttributeValue::S(text) | AttributeValue::N(text)) => Ok(text.clone()),
            Some(_) => Err(format!(
                "{} is in {name}, which must be a string or a number",
                field.name()
            )),
            None => Err(format!("{} is in {name}, which is missing", field.name())),
        }
    }
}

/// A time as the API takes it. Where it is a number of seconds or milliseconds, it is converted.
fn time(text: String) -> String {
    timestamp::of_epoch(&text).map_or(text, |time| time.to_string())
}

impl Event {
    /// Whose it is and which.
    pub fn key(&self) -> String {
        format!("{} {}", self.user, self.id)
    }

    /// When it occurred, if that is a time.
    pub fn at(&self) -> Option<Timestamp> {
        timestamp::parse(&self.occurred_at).ok()
    }

    /// The activity to post.
    pub fn activity(&self) -> Result<Value, Unfit> {
        self.check().map_err(|reason| Unfit {
            key: self.key(),
            reason,
        })?;
        let mut activity = json!({
            "activity_id": self.id,
            "user_id": self.user,
            "program_id": self.program,
            "kind": self.kind,
            "occurred_at": self.occurred_at,
            "origin": LEGACY,
        });
        if let Some(points) = self.points {
            activity["points"] = points.into();
        }
        Ok(activity)
    }

    fn check(&self) -> Result<(), String> {
        fits::<ActivityId>(Field::ActivityId, &self.id)?;
        fits::<UserId>(Field::UserId, &self.user)?;
        fits::<ProgramId>(Field::ProgramId, &self.program)?;
        fits::<Kind>(Field::Kind, &self.kind)?;
        timestamp::parse(&self.occurred_at)
            .map_err(|error| format!("occurred_at is {:?}; it {error}", self.occurred_at))?;
        Ok(())
    }
}

fn fits<T: FromStr<Err: fmt::Display>>(field: Field, text: &str) -> Result<(), String> {
    match text.parse::<T>() {
        Ok(_) => Ok(()),
        Err(error) => Err(format!("{} {error}", field.name())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(attributes: &[(&str, &str)]) -> Item {
        let value = |text: &str| match text.parse::<f64>() {
            Ok(_) => AttributeValue::N(text.to_owned()),
            Err(_) => AttributeValue::S(text.to_owned()),
        };
        attributes
            .iter()
            .map(|(name, text)| ((*name).to_owned(), value(text)))
            .collect()
    }

    fn check(mapping: &Mapping, attributes: &[(&str, &str)], expected: &str) {
        let activity = mapping
            .event(&item(attributes))
            .and_then(|event| event.activity());
        let got = match activity {
            Ok(activity) => activity.to_string(),
            Err(unfit) => unfit.to_string(),
        };
        assert_eq!(got, expected, "{attributes:?}");
    }

    const ITEM: [(&str, &str); 6] = [
        ("employee_id", "ann"),
        ("event_id", "evt-1"),
        ("program_id", "steps-2026"),
        ("activity_type", "checkin"),
        ("points_awarded", "5"),
        ("ts", "2026-11-21T09:00:00Z"),
    ];

    #[test]
    fn an_item_of_the_published_system_becomes_an_activity_or_says_why_not() {
        let published = Mapping::published("edl-dev");
        assert_eq!(published.table, "edl-dev-Activities");
        check(
            &published,
            &ITEM,
            r#"{"activity_id":"evt-1","kind":"checkin","occurred_at":"2026-11-21T09:00:00Z","origin":"legacy","points":5,"program_id":"steps-2026","user_id":"ann"}"#,
        );
        let with =
            |name: &str, value: &'static str| ITEM.map(|(n, v)| (n, if n == name { value } else { v }));
        check(
            &published,
            &with("activity_type", "Check In"),
            "ann evt-1: kind has the character 'C' at byte 0; use only a-z 0-9 _ -",
        );
        check(
            &published,
            &with("points_awarded", "2.5"),
            "ann evt-1: points is \"2.5\", which is no whole number",
        );
        check(
            &published,
            &with("ts", "yesterday"),
            "ann evt-1: occurred_at is \"yesterday\"; it must be an RFC 3339 time with an offset, such as 2026-11-21T09:30:00Z; the year must have 4 digits",
        );
        check(
            &published,
            &ITEM[1..],
            "? evt-1: user_id is in employee_id, which is missing",
        );
    }

    #[test]
    fn any_table_is_described_by_a_mapping() {
        let mapping: Mapping = r#"{"table": "kudos", "map": {"activity_id": "id", "user_id": "to", "kind": "what", "occurred_at": "time"},
            "set": {"program_id": "kudos"}, "kinds": {"Thank you": "thanks"}}"#
            .parse()
            .unwrap();
        let attributes = [
            ("id", "17"),
            ("to", "bob"),
            ("what", "Thank you"),
            ("time", "1795251600"),
        ];
        check(
            &mapping,
            &attributes,
            r#"{"activity_id":"17","kind":"thanks","occurred_at":"2026-11-21T09:00:00Z","origin":"legacy","program_id":"kudos","user_id":"bob"}"#,
        );
    }

    #[test]
    fn a_mapping_that_cannot_be_used_says_why() {
        let whole = r#"{"table":"t","map":{"activity_id":"i","user_id":"u","kind":"k","occurred_at":"t"},"set":{"program_id":"p"}}"#;
        assert!(whole.parse::<Mapping>().is_ok());
        for (raw, expected) in [
            (
                whole.replace(r#""set":{"program_id":"p"}"#, r#""set":{}"#),
                "program_id is neither in map nor in set",
            ),
            (
                whole.replace(r#""program_id":"p"}"#, r#""program_id":"p","kind":"x"}"#),
                "kind is in map and in set",
            ),
            (
                whole
                    .replace(r#""user_id":"u","#, "")
                    .replace(r#""program_id":"p""#, r#""program_id":"p","user_id":"x""#),
                "user_id must be in map, since each item has its own",
            ),
            (
                whole.replace(r#""table":"t""#, r#""table":"""#),
                "table is empty; name the table that has an item for each event",
            ),
            (
                whole.replace("activity_id", "nr"),
                "it must be a JSON object with table, map, and perhaps set, kinds and joined: unknown variant `nr`, expected one of `activity_id`, `user_id`, `program_id`, `kind`, `occurred_at`, `points` at line 1 column 24",
            ),
        ] {
            let error = raw.parse::<Mapping>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{raw}");
        }
    }
}
