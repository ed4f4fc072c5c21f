//! Reads the fields of one JSON object that a client sends, and names what is wrong with them.

use std::fmt::Display;
use std::str::FromStr;

use serde_json::value::RawValue;

use crate::field_names::{self, is_wrapper, meant_by, similar_to};
use crate::intake::{Rejection, RejectionCode};
use crate::json::{self, field_name, invalid, is_number, shorten, type_of};
use crate::timestamp;

/// An object may have many unknown members. So many are compared with the names of the fields.
const COMPARED_MEMBERS_MAX: usize = 32;

/// What the object should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Activity,
    CloudEvent,
    /// An event as an `EventBridge` bus delivers it.
    BusEvent,
    Correction,
    Person,
    Team,
    Program,
    Quest,
    Coin,
    Rule,
    /// What the rules `count` and `points` have.
    Amount,
    Distinct,
    Streak,
    Matcher,
    Season,
}

impl Form {
    fn name(self) -> &'static str {
        match self {
            Self::Activity => "an activity",
            Self::CloudEvent => "a CloudEvent",
            Self::BusEvent => "an EventBridge event",
            Self::Correction => "a correction",
            Self::Person => "a person",
            Self::Team => "a team",
            Self::Program => "a program",
            Self::Quest => "a quest",
            Self::Coin => "a coin",
            Self::Rule => "a rule",
            Self::Amount => "a rule of this form",
            Self::Distinct => "a rule of the form distinct",
            Self::Streak => "a rule of the form streak",
            Self::Matcher => "a matcher",
            Self::Season => "a season",
        }
    }

    fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Activity => &field_names::FIELDS,
            Self::CloudEvent => &field_names::OF_CLOUD_EVENTS,
            Self::BusEvent => &field_names::OF_BUS_EVENTS,
            Self::Correction => &field_names::OF_CORRECTIONS,
            Self::Person => &field_names::OF_PEOPLE,
            Self::Team => &field_names::OF_TEAMS,
            Self::Program => &field_names::OF_PROGRAMS,
            Self::Quest => &field_names::OF_QUESTS,
            Self::Coin => &field_names::OF_COINS,
            Self::Rule => &field_names::OF_RULES,
            Self::Amount => &field_names::OF_AMOUNTS,
            Self::Distinct => &field_names::OF_DISTINCT,
            Self::Streak => &field_names::OF_STREAKS,
            Self::Matcher => &field_names::OF_MATCHERS,
            Self::Season => &field_names::OF_SEASONS,
        }
    }

    /// The fields that clients must not send, and why.
    fn not_sent(self) -> &'static [(&'static str, &'static str)] {
        if self == Self::Activity {
            &field_names::NOT_SENT
        } else {
            &[]
        }
    }

    /// The field that a client probably meant.
    fn meant_by(self, name: &str) -> Option<&'static str> {
        if self == Self::Activity {
            meant_by(name)
        } else {
            similar_to(name, self.fields())
        }
    }
}

/// The fields that are still to be parsed, in their original order.
pub(crate) struct Fields<'a> {
    form: Form,
    rest: Vec<(String, &'a RawValue)>,
    /// Whether the object has any field of its form.
    has_any: bool,
}

impl<'a> Fields<'a> {
    pub fn parse(raw: &'a RawValue, form: Form) -> Result<Self, Rejection> {
        let mut rest = json::members_of_object(raw, form.name())?;
        // A null means the same as leaving the field out.
        rest.retain(|(_, value)| value.get() != "null");
        let has_any = rest
            .iter()
            .any(|(name, _)| form.fields().contains(&name.as_str()));
        Ok(Self { form, rest, has_any })
    }

    pub fn has(&self, name: &str) -> bool {
        self.rest.iter().any(|(found, _)| found == name)
    }

    pub fn take(&mut self, name: &str) -> Option<&'a RawValue> {
        let at = self.rest.iter().position(|(found, _)| found == name)?;
        Some(self.rest.remove(at).1)
    }

    pub fn required_value(&mut self, name: &str) -> Result<&'a RawValue, Rejection> {
        self.take(name).ok_or_else(|| self.missing(name))
    }

    pub fn text(&mut self, name: &str) -> Result<Option<String>, Rejection> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        if !value.get().starts_with('"') {
            return Err(not_a_string(name, value));
        }
        match serde_json::from_str(value.get()) {
            Ok(text) => Ok(Some(text)),
            Err(error) => Err(invalid(name, &error)),
        }
    }

    /// A whole number within these bounds.
    pub fn whole(&mut self, name: &str, min: i64, max: i64) -> Result<Option<i64>, Rejection> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        if !is_number(value) {
            let detail = format!("must be a whole number, not {}", type_of(value));
            return Err(Rejection::new(RejectionCode::WrongType, name, detail));
        }
        match value.get().parse::<i64>() {
            Ok(number) if (min..=max).contains(&number) => Ok(Some(number)),
            _ => {
                let detail = format!(
                    "is {}; it must be a whole number from {min} to {max}",
                    shorten(value.get())
                );
                Err(Rejection::new(RejectionCode::OutOfRange, name, detail))
            }
        }
    }

    pub fn flag(&mut self, name: &str) -> Result<Option<bool>, Rejection> {
        let Some(value) = self.take(name) else {
            return Ok(None);
        };
        let flag = value.get().parse().map(Some);
        flag.map_err(|_| {
            let detail = format!("must be true or false, not {}", type_of(value));
            Rejection::new(RejectionCode::WrongType, name, detail)
        })
    }

    /// A text that a type parses.
    pub fn parsed<T: FromStr>(&mut self, name: &str) -> Result<Option<T>, Rejection>
    where
        T::Err: Display,
        RejectionCode: for<'e> From<&'e T::Err>,
    {
        let Some(text) = self.text(name)? else {
            return Ok(None);
        };
        let parsed = text.parse().map(Some);
        parsed.map_err(|error: T::Err| Rejection::new((&error).into(), name, error))
    }

    /// A text that must be there, and that a type parses.
    pub fn required<T: FromStr>(&mut self, name: &str) -> Result<T, Rejection>
    where
        T::Err: Display,
        RejectionCode: for<'e> From<&'e T::Err>,
    {
        self.parsed(name)?.ok_or_else(|| self.missing(name))
    }

    /// A whole number that must be there, within these bounds.
    pub fn required_whole(&mut self, name: &str, min: u32, max: u32) -> Result<u32, Rejection> {
        let number = self.whole(name, min.into(), max.into())?;
        let number = number.ok_or_else(|| self.missing(name))?;
        Ok(u32::try_from(number).expect("it is within its bounds"))
    }

    /// The rejection for a missing field. If the client sent it under another name, or sent the object
    /// within another one, it names that.
    pub fn missing(&self, name: &str) -> Rejection {
        let compared = || self.rest.iter().take(COMPARED_MEMBERS_MAX);
        if let Some((found, _)) = compared().find(|(found, _)| self.form.meant_by(found) == Some(name))
            && (self.has_any || !is_wrapper(found))
        {
            return self.unknown(found);
        }
        let is_container = |value: &RawValue| value.get().starts_with(['{', '[']);
        let wrapper = match &self.rest[..] {
            _ if self.has_any => None,
            [only] => is_container(only.1).then_some(only),
            _ => compared().find(|(found, value)| is_wrapper(found) && is_container(value)),
        };
        match wrapper {
            Some((found, value)) => {
                let form = self.form.name();
                let what = if value.get().starts_with('[') {
                    "array"
                } else {
                    form.trim_start_matches("an ").trim_start_matches("a ")
                };
                let detail =
                    format!("is not a field of {form}; send the {what} itself, without an object around it");
                Rejection::new(RejectionCode::UnknownField, field_name(found), detail)
            }
            None => Rejection::new(RejectionCode::MissingField, name, "is missing"),
        }
    }

    /// What was not taken yet.
    pub fn rest(&self) -> &[(String, &'a RawValue)] {
        &self.rest
    }

    /// Rejects unknown fields. Otherwise, a misspelt optional field would be silently ignored.
    pub fn finish(self) -> Result<(), Rejection> {
        match self.rest.first() {
            Some((name, _)) => Err(self.unknown(name)),
            None => Ok(()),
        }
    }

    fn unknown(&self, name: &str) -> Rejection {
        let mut not_sent = self.form.not_sent().iter();
        let form = self.form.name();
        let detail = match (
            not_sent.find(|(field, _)| *field == name),
            self.form.meant_by(name),
        ) {
            (Some((_, detail)), _) => (*detail).to_owned(),
            (None, Some(field)) => format!("is not a field of {form}; its name is {field}"),
            (None, None) => format!(
                "is not a field of {form}; its fields are {}",
                self.form.fields().join(", ")
            ),
        };
        Rejection::new(RejectionCode::UnknownField, field_name(name), detail)
    }
}

fn not_a_string(name: &str, value: &RawValue) -> Rejection {
    let hint = match name {
        _ if !is_number(value) => String::new(),
        "occurred_at" => epoch_hint(value.get()),
        _ => format!("; write \"{}\"", shorten(value.get())),
    };
    let detail = format!("must be a string, not {}{hint}", type_of(value));
    Rejection::new(RejectionCode::WrongType, name, detail)
}

/// The time that a number since 1970 means, as the end of a sentence.
pub(crate) fn epoch_hint(number: &str) -> String {
    match timestamp::of_epoch(number) {
        Some(at) => format!("; {} is \"{at}\"", shorten(number)),
        None => String::new(),
    }
}
