//! Parses the JSON that a client sends into an [`Activity`], or a [`Rejection`] that says why not.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::activity::{Activity, Amount, Metadata};
use crate::fields::{Fields, Form, epoch_hint};
use crate::id::{ActivityId, InvalidId, Kind, Origin, ProgramId, UserId};
use crate::json::{field_name, invalid, is_number, members};
pub use crate::json::{object, shorten, type_of};
use crate::policy::{ScoringPolicy, Unscored};
use crate::timestamp::{self, InvalidTime};
use crate::worth::{self, Worth};

/// The version of the activity schema that Podium reads and writes.
pub const SCHEMA_VERSION: u64 = 1;

/// Clocks differ, so an activity may be this far ahead of ours.
pub const MAX_AHEAD: SignedDuration = SignedDuration::from_mins(5);

/// What incoming activities are checked against.
#[derive(Clone, Debug)]
pub struct Intake {
    pub policy: ScoringPolicy,
    /// `None` accepts activities of any age.
    pub max_age: Option<SignedDuration>,
}

/// Why one activity of a request was rejected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejection {
    pub code: RejectionCode,
    /// The path of the wrong field, such as `metadata.team`. Empty if the whole item is wrong.
    pub field: String,
    /// What is wrong, and what is valid instead.
    pub detail: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RejectionCode {
    NotAnObject,
    Malformed,
    MissingField,
    UnknownField,
    DuplicateField,
    WrongType,
    Empty,
    TooLong,
    TooDeep,
    IllegalCharacter,
    Reserved,
    DotSegment,
    UnknownKind,
    InvalidTime,
    InTheFuture,
    TooOld,
    OutOfRange,
    UnsupportedSchemaVersion,
    /// The user has another activity with this id.
    Conflict,
    /// The caller may not post for this user.
    Forbidden,
    /// The user has no activity with the id that a correction names.
    UnknownActivity,
}

impl From<&InvalidId> for RejectionCode {
    fn from(error: &InvalidId) -> Self {
        match error {
            InvalidId::Empty { .. } => Self::Empty,
            InvalidId::TooLong { .. } => Self::TooLong,
            InvalidId::IllegalCharacter { .. } => Self::IllegalCharacter,
            InvalidId::Reserved => Self::Reserved,
            InvalidId::DotSegment(_) => Self::DotSegment,
        }
    }
}

impl Rejection {
    /// The detail continues a sentence that begins with the field, if there is one.
    pub fn new(code: RejectionCode, field: impl Into<String>, detail: impl fmt::Display) -> Self {
        let field = field.into();
        let detail = if field.is_empty() {
            detail.to_string()
        } else {
            format!("{field} {detail}")
        };
        Self { code, field, detail }
    }

    /// The same rejection, of what is in another field.
    pub(crate) fn within(self, outer: &str) -> Self {
        let Self { code, field, detail } = self;
        if field.is_empty() {
            let detail = format!("{outer}: {detail}");
            let field = outer.to_owned();
            return Self { code, field, detail };
        }
        Self {
            code,
            field: format!("{outer}.{field}"),
            detail: format!("{outer}.{detail}"),
        }
    }

    /// The same rejection, of a field that was taken from what `origin` names.
    pub(crate) fn of_origin(self, origin: String) -> Self {
        let detail = format!("{origin}: {}", self.detail);
        let field = origin;
        Self {
            code: self.code,
            field,
            detail,
        }
    }
}

impl Intake {
    /// Parses one activity. If the client sent no id, `new_id` creates one. If it sent no
    /// `occurred_at`, that is `received_at`.
    pub fn parse(
        &self,
        raw: &RawValue,
        received_at: Timestamp,
        new_id: impl FnOnce() -> ActivityId,
    ) -> Result<Activity, Rejection> {
        let mut fields = Fields::parse(raw, Form::Activity)?;
        let id = fields.parsed("activity_id")?;
        self.read(fields, received_at, received_at, || id.unwrap_or_else(new_id))
    }

    /// Reads all fields but the id. If `occurred_at` is not among them, it is `undated_at`.
    pub(crate) fn read(
        &self,
        mut fields: Fields<'_>,
        received_at: Timestamp,
        undated_at: Timestamp,
        id: impl FnOnce() -> ActivityId,
    ) -> Result<Activity, Rejection> {
        let user: UserId = fields.required("user_id")?;
        let program: ProgramId = fields.required("program_id")?;
        let kind: Kind = fields.required("kind")?;
        let occurred_at = match fields.text("occurred_at")? {
            Some(text) => time("occurred_at", &text, received_at, self.max_age)?,
            None => undated_at,
        };
        let quantity = fields.whole(Worth::QUANTITY, 0, QUANTITY_MAX)?;
        let points = fields.whole(Worth::POINTS, 0, Worth::POINTS_MAX.into())?;
        let metadata = fields.take("metadata").map(metadata).transpose()?;
        let origin: Option<Origin> = fields.parsed("origin")?;
        if let Some(version) = fields.take("schema_version") {
            schema_version(version)?;
        }
        fields.finish()?;
        let worth = self.policy.worth(&kind, occurred_at).map_err(unscored)?;
        let amount = amount(worth, &kind, quantity, points)?;
        Ok(Activity {
            id: id(),
            user,
            program,
            kind,
            occurred_at,
            amount,
            metadata,
            origin,
        })
    }
}

const QUANTITY_MAX: i64 = Amount::QUANTITY_MAX.cast_signed();

fn unscored(error: Unscored) -> Rejection {
    let code = match &error {
        Unscored::UnknownKind { .. } => RejectionCode::UnknownKind,
        Unscored::BeforePolicy { .. } => RejectionCode::TooOld,
        Unscored::NoAmount { .. } => RejectionCode::MissingField,
    };
    Rejection::new(code, error.field(), error)
}

/// What the activity is worth points by, which it must have, and nothing else.
fn amount(
    worth: &Worth,
    kind: &Kind,
    quantity: Option<i64>,
    points: Option<i64>,
) -> Result<Option<Amount>, Rejection> {
    let refused = |field, detail: String| Err(Rejection::new(RejectionCode::UnknownField, field, detail));
    if quantity.is_some() && !matches!(worth.form, worth::Form::PerQuantity { .. }) {
        let detail = format!("cannot be sent for {kind}, whose points do not depend on it");
        return refused(Worth::QUANTITY, detail);
    }
    if points.is_some() && !matches!(worth.form, worth::Form::Given { .. }) {
        let detail = format!("cannot be sent for {kind}; the scoring policy determines its points");
        return refused(Worth::POINTS, detail);
    }
    if let (worth::Form::Given { max }, Some(points)) = (worth.form, points)
        && points > max.into()
    {
        let detail = format!("is {points}; {kind} is worth at most {max}");
        return Err(Rejection::new(RejectionCode::OutOfRange, Worth::POINTS, detail));
    }
    let quantity = quantity.map(|quantity| Amount::Quantity(quantity.unsigned_abs()));
    let points = points
        .and_then(|points| u32::try_from(points).ok())
        .map(Amount::Points);
    let amount = quantity.or(points);
    match worth.points(amount) {
        Ok(_) => Ok(amount),
        Err(worth::NoAmount(field)) => {
            let kind = kind.clone();
            Err(unscored(Unscored::NoAmount { field, kind }))
        }
    }
}

/// Parses a time that is not in the future and not older than `max_age`.
pub(crate) fn time(
    field: &str,
    text: &str,
    received_at: Timestamp,
    max_age: Option<SignedDuration>,
) -> Result<Timestamp, Rejection> {
    let reject = |code, detail: String| Err(Rejection::new(code, field, detail));
    let ahead = || {
        format!(
            "is {}, more than {} minutes in the future (it is {received_at} now)",
            shorten(text),
            MAX_AHEAD.as_mins()
        )
    };
    let at = match timestamp::parse(text) {
        Ok(at) if at > received_at + MAX_AHEAD => return reject(RejectionCode::InTheFuture, ahead()),
        Ok(at) => at,
        Err(InvalidTime::TooLate) => return reject(RejectionCode::InTheFuture, ahead()),
        Err(error @ InvalidTime::NotRfc3339(_)) => {
            let detail = format!("{error}{}", epoch_hint(text));
            return reject(RejectionCode::InvalidTime, detail);
        }
    };
    if at < Timestamp::UNIX_EPOCH {
        return reject(
            RejectionCode::TooOld,
            format!("is {at}; it must not be before 1970-01-01T00:00:00Z"),
        );
    }
    match max_age {
        Some(max) if received_at.duration_since(at) > max => reject(
            RejectionCode::TooOld,
            format!(
                "is {at}, more than {} days ago (it is {received_at} now)",
                max.as_hours() / 24
            ),
        ),
        _ => Ok(at),
    }
}

pub(crate) fn metadata(raw: &RawValue) -> Result<Metadata, Rejection> {
    let text = raw.get();
    if !text.starts_with('{') {
        let detail = format!("must be a JSON object, not {}", type_of(raw));
        return Err(Rejection::new(RejectionCode::WrongType, "metadata", detail));
    }
    if text.len() > Metadata::MAX_BYTES {
        let detail = format!(
            "is {} bytes of JSON; at most {} are allowed",
            text.len(),
            Metadata::MAX_BYTES
        );
        return Err(Rejection::new(RejectionCode::TooLong, "metadata", detail));
    }
    check_value(raw, "metadata", 1)?;
    Ok(Metadata(text.to_owned()))
}

/// Checks what the JSON grammar allows but readers cannot handle: deep nesting, repeated keys, numbers
/// out of range and strings that are not valid text.
fn check_value(raw: &RawValue, path: &str, depth: usize) -> Result<(), Rejection> {
    let text = raw.get();
    let is_container = text.starts_with(['{', '[']);
    if is_container && depth > Metadata::MAX_DEPTH {
        let detail = format!("is nested more than {} levels deep", Metadata::MAX_DEPTH);
        return Err(Rejection::new(RejectionCode::TooDeep, "metadata", detail));
    }
    if text.starts_with('{') {
        for (name, value) in members(raw, path)? {
            check_value(value, &format!("{path}.{}", field_name(&name)), depth + 1)?;
        }
    } else if text.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(text).map_err(|error| invalid(path, &error))?;
        for (at, item) in items.into_iter().enumerate() {
            check_value(item, &format!("{path}[{at}]"), depth + 1)?;
        }
    } else if text.starts_with('"') {
        serde_json::from_str::<String>(text).map_err(|error| invalid(path, &error))?;
    } else if is_number(raw) && serde_json::from_str::<f64>(text).is_err() {
        let detail = "is a number outside the range of a 64-bit float (about ±1.8e308)";
        return Err(Rejection::new(RejectionCode::OutOfRange, path, detail));
    }
    Ok(())
}

fn schema_version(raw: &RawValue) -> Result<(), Rejection> {
    if !is_number(raw) {
        let detail = format!("must be a whole number, not {}", type_of(raw));
        return Err(Rejection::new(RejectionCode::WrongType, "schema_version", detail));
    }
    if raw.get() != SCHEMA_VERSION.to_string() {
        let detail = format!("is {}; only {SCHEMA_VERSION} is supported", shorten(raw.get()));
        return Err(Rejection::new(
            RejectionCode::UnsupportedSchemaVersion,
            "schema_version",
            detail,
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: &str = "2026-11-21T12:00:00Z";

    fn intake() -> Intake {
        let policy = r#"[{"effective_from":"2020-01-01T00:00:00Z","points":{"task_completed":10}}]"#;
        Intake {
            policy: policy.parse().unwrap(),
            max_age: Some(SignedDuration::from_hours(31 * 24)),
        }
    }

    fn parse(json: &str) -> Result<Activity, Rejection> {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        intake().parse(raw, NOW.parse().unwrap(), || "made".parse().unwrap())
    }

    /// A valid activity with `more` members, which must not repeat a key.
    fn check_with(more: &str, expected: &str) {
        check(
            &format!(r#"{{"user_id":"ann","program_id":"p","kind":"task_completed"{more}}}"#),
            expected,
        );
    }

    fn check(json: &str, expected: &str) {
        let got = match parse(json) {
            Ok(a) => format!("{} {} {} {} {}", a.user, a.id, a.program, a.kind, a.occurred_at),
            Err(r) => format!("{:?} [{}] {}", r.code, r.field, r.detail),
        };
        assert_eq!(got, expected, "{json}");
    }

    #[test]
    fn takes_what_is_right() {
        check_with("", "ann made p task_completed 2026-11-21T12:00:00Z");
        check_with(
            r#","activity_id":"a-1""#,
            "ann a-1 p task_completed 2026-11-21T12:00:00Z",
        );
        check_with(
            r#","activity_id":null,"metadata":null"#,
            "ann made p task_completed 2026-11-21T12:00:00Z",
        );
        check_with(
            r#","occurred_at":"2026-11-20T23:00:00+02:00""#,
            "ann made p task_completed 2026-11-20T21:00:00Z",
        );
        check_with(
            r#","occurred_at":"2026-11-21T12:05:00Z","schema_version":1"#,
            "ann made p task_completed 2026-11-21T12:05:00Z",
        );
        check_with(
            r#","occurred_at":"2026-10-21T12:00:00Z""#,
            "ann made p task_completed 2026-10-21T12:00:00Z",
        );
    }

    #[test]
    fn names_the_field_and_the_limit_of_what_is_wrong() {
        check(
            "7",
            "NotAnObject [] an activity must be a JSON object, not a number",
        );
        check("{}", "MissingField [user_id] user_id is missing");
        check(
            r#"{"user_id":7}"#,
            r#"WrongType [user_id] user_id must be a string, not a number; write "7""#,
        );
        check(
            r#"{"user_id":".."}"#,
            r#"DotSegment [user_id] user_id is "..", which has no address, since URLs use it for a directory; add another character"#,
        );
        check(
            r#"{"user_id":"~heartbeat"}"#,
            "Reserved [user_id] user_id begins with '~', which is reserved for Podium's own users",
        );
        check(
            r#"{"user_id":"a\u0000"}"#,
            r#"IllegalCharacter [user_id] user_id has the character '\0' at byte 1; use only ASCII letters, digits and punctuation except " \ < >"#,
        );
        check(
            r#"{"user_id":"a","user_id":"b"}"#,
            "DuplicateField [user_id] user_id appears more than once",
        );
        check(
            r#"{"user_id":"\ud800"}"#,
            "Malformed [user_id] user_id is not valid JSON text: unexpected end of hex escape at line 1 column 8",
        );
        check_with(
            r#","points":1000"#,
            "UnknownField [points] points cannot be sent for task_completed; the scoring policy determines its points",
        );
        check_with(
            r#","ocurred_at":"x""#,
            "UnknownField [ocurred_at] ocurred_at is not a field of an activity; its name is occurred_at",
        );
        check_with(
            r#","team":"blue""#,
            "UnknownField [team] team is not a field of an activity; its fields are activity_id, user_id, program_id, kind, quantity, points, occurred_at, metadata, origin, schema_version",
        );
        check_with(
            r#","schema_version":2"#,
            "UnsupportedSchemaVersion [schema_version] schema_version is 2; only 1 is supported",
        );
    }

    #[test]
    fn a_field_sent_under_another_name_is_named_with_the_right_one() {
        let unknown = |name: &str, hint: &str| {
            format!("UnknownField [{name}] {name} is not a field of an activity; {hint}")
        };
        for (sent, name, field) in [
            (r#"{"userId":"ann","program_id":"p"}"#, "userId", "user_id"),
            (r#"{"employee_id":"ann"}"#, "employee_id", "user_id"),
            (
                r#"{"user_id":"ann","program-id":"p"}"#,
                "program-id",
                "program_id",
            ),
            (r#"{"user_id":"ann","program_id":"p","type":"x"}"#, "type", "kind"),
            (r#"{"user":{"id":"ann"}}"#, "user", "user_id"),
        ] {
            check(sent, &unknown(name, &format!("its name is {field}")));
        }
        check_with(
            r#","timestamp":1795255200"#,
            &unknown("timestamp", "its name is occurred_at"),
        );
        check_with(r#","data":{}"#, &unknown("data", "its name is metadata"));
        check_with(
            r#","received_at":"x""#,
            "UnknownField [received_at] received_at cannot be sent by clients; Podium sets it when it receives the activity",
        );
        for (sent, name, what) in [
            (r#"{"activities":[{"user_id":"ann"}]}"#, "activities", "array"),
            (r#"{"data":{"user_id":"ann"}}"#, "data", "activity"),
            (r#"{"count":1,"Items":[]}"#, "Items", "array"),
            (r#"{"foo":[1]}"#, "foo", "array"),
        ] {
            let hint = format!("send the {what} itself, without an object around it");
            check(sent, &unknown(name, &hint));
        }
        check(r#"{"foo":1}"#, "MissingField [user_id] user_id is missing");
        check(
            r#"{"kind":"x","items":[]}"#,
            "MissingField [user_id] user_id is missing",
        );
    }

    #[test]
    fn a_number_for_a_time_is_answered_with_the_time_it_means() {
        check_with(
            r#","occurred_at":1795255200"#,
            r#"WrongType [occurred_at] occurred_at must be a string, not a number; 1795255200 is "2026-11-21T10:00:00Z""#,
        );
        check_with(
            r#","occurred_at":"1795255200250""#,
            r#"InvalidTime [occurred_at] occurred_at must be an RFC 3339 time with an offset, such as 2026-11-21T09:30:00Z; a - must follow the year; 1795255200250 is "2026-11-21T10:00:00.25Z""#,
        );
        check_with(
            r#","occurred_at":7"#,
            "WrongType [occurred_at] occurred_at must be a string, not a number",
        );
    }

    #[test]
    fn times_are_bounded_on_both_sides() {
        check_with(
            r#","occurred_at":"yesterday""#,
            "InvalidTime [occurred_at] occurred_at must be an RFC 3339 time with an offset, such as 2026-11-21T09:30:00Z; the year must have 4 digits",
        );
        check_with(
            r#","occurred_at":"9999-12-31T23:59:59Z""#,
            "InTheFuture [occurred_at] occurred_at is 9999-12-31T23:59:59Z, more than 5 minutes in the future (it is 2026-11-21T12:00:00Z now)",
        );
        check_with(
            r#","occurred_at":"2026-11-21T12:05:00.001Z""#,
            "InTheFuture [occurred_at] occurred_at is 2026-11-21T12:05:00.001Z, more than 5 minutes in the future (it is 2026-11-21T12:00:00Z now)",
        );
        check_with(
            r#","occurred_at":"2026-10-21T11:59:59Z""#,
            "TooOld [occurred_at] occurred_at is 2026-10-21T11:59:59Z, more than 31 days ago (it is 2026-11-21T12:00:00Z now)",
        );
        check_with(
            r#","occurred_at":"1969-12-31T23:59:59Z""#,
            "TooOld [occurred_at] occurred_at is 1969-12-31T23:59:59Z; it must not be before 1970-01-01T00:00:00Z",
        );
    }

    #[test]
    fn metadata_is_kept_to_the_letter_or_refused() {
        let kept = parse(
            r#"{"user_id":"a","program_id":"p","kind":"task_completed","metadata":{"n": 1.50, "t":["x",null]}}"#,
        );
        assert_eq!(
            kept.unwrap().metadata.unwrap().as_str(),
            r#"{"n": 1.50, "t":["x",null]}"#
        );
        check_with(
            r#","metadata":[]"#,
            "WrongType [metadata] metadata must be a JSON object, not an array",
        );
        check_with(
            r#","metadata":{"a":{"b":1,"b":2}}"#,
            "DuplicateField [metadata.a.b] metadata.a.b appears more than once",
        );
        check_with(
            r#","metadata":{"a":[1e999]}"#,
            "OutOfRange [metadata.a[0]] metadata.a[0] is a number outside the range of a 64-bit float (about ±1.8e308)",
        );
        let eight = format!(r#","metadata":{{"a":{}{}}}"#, "[".repeat(7), "]".repeat(7));
        check_with(&eight, "ann made p task_completed 2026-11-21T12:00:00Z");
        let nine = format!(r#","metadata":{{"a":{}{}}}"#, "[".repeat(8), "]".repeat(8));
        check_with(
            &nine,
            "TooDeep [metadata] metadata is nested more than 8 levels deep",
        );
        let full = format!(r#","metadata":{{"a":"{}"}}"#, "x".repeat(1024 - 8));
        check_with(&full, "ann made p task_completed 2026-11-21T12:00:00Z");
        let over = format!(r#","metadata":{{"a":"{}"}}"#, "x".repeat(1024 - 7));
        check_with(
            &over,
            "TooLong [metadata] metadata is 1025 bytes of JSON; at most 1024 are allowed",
        );
    }

    proptest! {
        #[test]
        fn any_json_gets_an_answer(text in r#"[{}\[\]",:0-9a-z\\ ]{0,60}"#) {
            let wrapped = format!(r#"{{"metadata":{text}}}"#);
            for json in [text, wrapped] {
                if let Ok(raw) = serde_json::from_str::<&RawValue>(&json) {
                    let _ = intake().parse(raw, NOW.parse().unwrap(), || "made".parse().unwrap());
                }
            }
        }
    }
}
