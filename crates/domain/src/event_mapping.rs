//! How the data of an event becomes an activity, by the type of the event.

use std::collections::BTreeMap;
use std::str::FromStr;

use serde::Deserialize;
use serde_json::Value;

use crate::field::Field;
use crate::id::{Kind, ProgramId, UserId};

/// What each type of event is mapped by. The data of types without an entry are activities.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventMapping(BTreeMap<String, TypeMapping>);

/// Where each field of an activity comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TypeMapping(BTreeMap<Field, TakenFrom>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TakenFrom {
    /// A member of the data, by its path.
    Data(String),
    Attribute(Attribute),
    /// The same in every event of the type: a value of JSON.
    Set(Value),
}

/// An attribute of an event that can become a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Attribute {
    Id,
    Source,
    Type,
    Subject,
    Time,
}

impl Attribute {
    const EVERY: [Self; 5] = [Self::Id, Self::Source, Self::Type, Self::Subject, Self::Time];

    pub fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Source => "source",
            Self::Type => "type",
            Self::Subject => "subject",
            Self::Time => "time",
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidEventMapping {
    #[error(
        "it must be a JSON object such as {{\"TYPE\": {{\"map\": {{\"FIELD\": \"data.PATH\"}}, \"set\": {{\"FIELD\": VALUE}}}}}}: {0}"
    )]
    Json(#[from] serde_json::Error),
    #[error("it has {0} types; at most {max} are allowed", max = EventMapping::MAX_TYPES)]
    TooManyTypes(usize),
    #[error("type {kind:?}: {detail}")]
    OfType { kind: String, detail: String },
}

/// As it is configured.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Configured {
    #[serde(default)]
    map: BTreeMap<String, String>,
    #[serde(default)]
    set: BTreeMap<String, Value>,
}

impl EventMapping {
    pub const MAX_TYPES: usize = 100;
    /// For each type.
    pub const MAX_FIELDS: usize = 20;

    pub(crate) fn of_type(&self, kind: &str) -> Option<&TypeMapping> {
        self.0.get(kind)
    }
}

impl FromStr for EventMapping {
    type Err = InvalidEventMapping;

    fn from_str(raw: &str) -> Result<Self, InvalidEventMapping> {
        let configured: BTreeMap<String, Configured> = serde_json::from_str(raw)?;
        if configured.len() > Self::MAX_TYPES {
            return Err(InvalidEventMapping::TooManyTypes(configured.len()));
        }
        let types = configured.into_iter().map(|(kind, configured)| {
            let mapping = TypeMapping::new(configured);
            match mapping {
                Ok(mapping) => Ok((kind, mapping)),
                Err(detail) => Err(InvalidEventMapping::OfType { kind, detail }),
            }
        });
        Ok(Self(types.collect::<Result<_, _>>()?))
    }
}

impl TypeMapping {
    /// Fails with the field that is wrong, and why.
    fn new(Configured { map, set }: Configured) -> Result<Self, String> {
        let count = map.len() + set.len();
        if count > EventMapping::MAX_FIELDS {
            let max = EventMapping::MAX_FIELDS;
            return Err(format!("it has {count} fields; at most {max} are allowed"));
        }
        let mut taken = BTreeMap::new();
        for (name, path) in map {
            taken.insert(field(&name)?, taken_from(&name, &path)?);
        }
        for (name, value) in set {
            let field = field(&name)?;
            check_set(&field, &value)?;
            if taken.insert(field, TakenFrom::Set(value)).is_some() {
                return Err(format!("{name} is both in \"map\" and in \"set\""));
            }
        }
        match Field::REQUIRED.iter().find(|field| !taken.contains_key(field)) {
            Some(missing) => Err(format!("{missing} is missing; add it to \"map\" or to \"set\"")),
            None => Ok(Self(taken)),
        }
    }

    pub fn fields(&self) -> impl Iterator<Item = (&Field, &TakenFrom)> {
        self.0.iter()
    }

    /// What the field of an activity with this name comes from, for a message.
    pub fn origin_of(&self, name: &str) -> String {
        let origin = self.0.iter().find(|(field, _)| field.to_string() == name);
        match origin {
            Some((_, TakenFrom::Data(path))) => format!("data.{path}"),
            Some((_, TakenFrom::Attribute(attribute))) => attribute.name().to_owned(),
            // The type decides what is set.
            Some((_, TakenFrom::Set(_))) => Attribute::Type.name().to_owned(),
            // The metadata as a whole are taken from many places.
            None => "data".to_owned(),
        }
    }
}

fn field(name: &str) -> Result<Field, String> {
    match name.parse() {
        Ok(Field::ActivityId) => Err("activity_id is made of the source and the id of the event".to_owned()),
        Ok(field) => Ok(field),
        Err(error) => Err(error.to_string()),
    }
}

fn taken_from(name: &str, path: &str) -> Result<TakenFrom, String> {
    if let Some(path) = path.strip_prefix("data.").filter(|path| !path.is_empty()) {
        return Ok(TakenFrom::Data(path.to_owned()));
    }
    let mut attributes = Attribute::EVERY.into_iter();
    let attribute = attributes.find(|attribute| attribute.name() == path);
    attribute.map(TakenFrom::Attribute).ok_or_else(|| {
        format!("{name} is {path:?}; it must begin with \"data.\", or be id, source, type, subject or time")
    })
}

/// Checks what is the same in every event, which would otherwise refuse all of them.
fn check_set(field: &Field, value: &Value) -> Result<(), String> {
    let text = match (field, value) {
        (_, Value::String(text)) => text.clone(),
        (_, Value::Number(number)) => number.to_string(),
        (Field::Metadata(_), Value::Bool(_)) => return Ok(()),
        (Field::Metadata(_), _) => return Err(format!("{field} must be a string, a number or a boolean")),
        _ => return Err(format!("{field} must be a string or a number")),
    };
    let checked = match field {
        Field::UserId => text.parse::<UserId>().err().map(|error| error.to_string()),
        Field::ProgramId => text.parse::<ProgramId>().err().map(|error| error.to_string()),
        Field::Kind => text.parse::<Kind>().err().map(|error| error.to_string()),
        Field::Quantity | Field::Points => {
            let is_whole = text.parse::<u64>().is_ok();
            (!is_whole).then(|| "must be a whole number".to_owned())
        }
        Field::ActivityId | Field::OccurredAt => {
            Some("differs from event to event; put it into \"map\"".to_owned())
        }
        Field::Metadata(_) => None,
    };
    checked.map_or(Ok(()), |detail| Err(format!("{field} {detail}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: &str) {
        let got = match raw.parse::<EventMapping>() {
            Ok(EventMapping(types)) => format!("{} types", types.len()),
            Err(error) => error.to_string(),
        };
        assert!(got.contains(expected), "{raw}: {got}");
    }

    /// A mapping of one type with these members.
    fn check_type(members: &str, expected: &str) {
        check(&format!(r#"{{"t":{{{members}}}}}"#), expected);
    }

    #[test]
    fn a_mapping_that_cannot_make_activities_is_refused_with_the_field() {
        let required = r#""map":{"user_id":"subject","program_id":"data.course.id"}"#;
        let kind = r#""kind":"learning_milestone""#;
        check("{}", "0 types");
        check_type(&format!(r#"{required},"set":{{{kind}}}"#), "1 types");
        check_type(
            &format!(r#"{required},"set":{{{kind},"points":"5","metadata.x":true}}"#),
            "1 types",
        );
        check("[]", "it must be a JSON object such as");
        check_type(r#""mapping":{}"#, "unknown field `mapping`");
        check_type(required, r#"type "t": kind is missing; add it"#);
        check_type(
            &format!(r#"{required},"set":{{{kind},"user_id":"ann"}}"#),
            "user_id is both in",
        );
        check_type(
            r#""map":{"user":"data.x"}"#,
            r#"there is no field "user"; the fields are"#,
        );
        check_type(
            r#""map":{"activity_id":"id"}"#,
            "activity_id is made of the source and the id",
        );
        check_type(
            r#""map":{"user_id":"learner.id"}"#,
            r#"user_id is "learner.id"; it must begin with "data.""#,
        );
        check_type(r#""map":{"user_id":"data."}"#, "user_id is");
        check_type(r#""set":{"kind":"Learning Milestone"}"#, "kind has the character");
        check_type(
            r#""set":{"user_id":true}"#,
            "user_id must be a string or a number",
        );
        check_type(r#""set":{"points":"many"}"#, "points must be a whole number");
        check_type(
            r#""set":{"occurred_at":"2026-11-21T09:30:00Z"}"#,
            "occurred_at differs from event to event",
        );
        check_type(
            r#""set":{"metadata.x":[1]}"#,
            "metadata.x must be a string, a number or a boolean",
        );
    }

    #[test]
    fn types_and_their_fields_are_bounded() {
        let of_type = |kind: usize, fields: usize| {
            let fields: Vec<_> = (3..fields).map(|at| format!(r#","metadata.m{at}":1"#)).collect();
            let fields = fields.concat();
            format!(r#""t{kind}":{{"set":{{"user_id":"u","program_id":"p","kind":"k"{fields}}}}}"#)
        };
        let types = |count: usize| {
            let types: Vec<_> = (0..count).map(|kind| of_type(kind, 3)).collect();
            format!("{{{}}}", types.join(","))
        };
        check(&types(100), "100 types");
        check(&types(101), "it has 101 types; at most 100");
        check(&format!("{{{}}}", of_type(0, 20)), "1 types");
        check(&format!("{{{}}}", of_type(0, 21)), "it has 21 fields; at most 20");
    }
}
