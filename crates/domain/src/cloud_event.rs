//! Makes activities of events: of `CloudEvents` 1.0 in their JSON format, and of what an `EventBridge` bus delivers.
//!
//! An activity gets an id that is made of the source and the id of its event, so an event that is sent again is a
//! duplicate.

use jiff::Timestamp;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::activity::Activity;
use crate::compose::{object, quoted};
use crate::event_mapping::{Attribute, EventMapping, TakenFrom, TypeMapping};
use crate::field::{Field, at_path};
use crate::fields::{Fields, Form};
use crate::id::ActivityId;
use crate::intake::{self, Intake, Rejection, RejectionCode};
use crate::json::{self, field_name, is_media_type, is_number, shorten, type_of};
use crate::timestamp::{self, InvalidTime};

/// The version of the specification that Podium reads.
pub const SPEC_VERSION: &str = "1.0";
/// The longest text of an attribute.
pub const ATTRIBUTE_BYTES_MAX: usize = 1_024;

/// Hexadecimal digits of the hash in the id of an activity.
const HASH_DIGITS: usize = 32;

/// An event whose data are an activity, or are mapped to one.
#[derive(Clone, Debug)]
pub struct Event<'a> {
    id: String,
    source: String,
    kind: String,
    subject: Option<String>,
    /// RFC 3339.
    time: Option<String>,
    data: &'a RawValue,
    /// What the data are called where the event comes from.
    data_field: &'static str,
}

/// The activity that a message of a queue has: a `CloudEvent`, an `EventBridge` event, or an activity as the API takes it,
/// with the id by which a message that is delivered again counts once.
pub fn activity_of_message(
    body: &str,
    mapping: &EventMapping,
    intake: &Intake,
    received_at: Timestamp,
) -> Result<Activity, Rejection> {
    let raw: &RawValue = serde_json::from_str(body).map_err(|error| json::invalid("", &error))?;
    let members = json::members_of_object(raw, "a message")?;
    let has = |name: &str| members.iter().any(|(found, _)| found == name);
    if has("specversion") {
        Event::of_cloud_event(raw)?.activity(mapping, intake, received_at)
    } else if has("detail-type") {
        Event::of_bus_event(raw)?.activity(mapping, intake, received_at)
    } else {
        let mut fields = Fields::parse(raw, Form::Activity)?;
        let id = fields.required("activity_id")?;
        intake.read(fields, received_at, received_at, || id)
    }
}

impl<'a> Event<'a> {
    /// Parses a `CloudEvent`. Its data are not judged yet.
    pub fn of_cloud_event(raw: &'a RawValue) -> Result<Self, Rejection> {
        let mut fields = Fields::parse(raw, Form::CloudEvent)?;
        let version = required_text(&mut fields, "specversion")?;
        if version != SPEC_VERSION {
            let detail = format!("is {:?}; only {SPEC_VERSION:?} is supported", shorten(&version));
            return Err(Rejection::new(
                RejectionCode::UnsupportedSchemaVersion,
                "specversion",
                detail,
            ));
        }
        let id = required_text(&mut fields, "id")?;
        let source = required_text(&mut fields, "source")?;
        check_reference("source", &source)?;
        let kind = required_text(&mut fields, "type")?;
        let subject = text(&mut fields, "subject")?;
        let time = time(&mut fields)?;
        if let Some(schema) = text(&mut fields, "dataschema")? {
            check_reference("dataschema", &schema)?;
        }
        check_content_type(&mut fields)?;
        if fields.has("data_base64") {
            let detail = "cannot be sent, since an activity is JSON; send it as an object in data";
            return Err(Rejection::new(RejectionCode::UnknownField, "data_base64", detail));
        }
        let data = fields.required_value("data")?;
        for (name, value) in fields.rest() {
            check_extension(name, value)?;
        }
        Ok(Self {
            id,
            source,
            kind,
            subject,
            time,
            data,
            data_field: "data",
        })
    }

    /// Parses an event that a bus of `EventBridge` has made of what was put there.
    pub fn of_bus_event(raw: &'a RawValue) -> Result<Self, Rejection> {
        let mut fields = Fields::parse(raw, Form::BusEvent)?;
        Ok(Self {
            id: required_text(&mut fields, "id")?,
            source: required_text(&mut fields, "source")?,
            kind: required_text(&mut fields, "detail-type")?,
            subject: None,
            time: time(&mut fields)?,
            data: fields.required_value("detail")?,
            data_field: "detail",
        })
    }

    /// The activity that the data are, or are mapped to. It occurred at its `occurred_at`, or else at the time of the
    /// event, or else at `received_at`.
    pub fn activity(
        &self,
        mapping: &EventMapping,
        intake: &Intake,
        received_at: Timestamp,
    ) -> Result<Activity, Rejection> {
        match mapping.of_type(&self.kind) {
            None => self.read(self.data, intake, received_at, |rejection| {
                rejection.within(self.data_field)
            }),
            Some(mapping) => self.read(&self.mapped(mapping)?, intake, received_at, |rejection| {
                let origin = mapping.origin_of(&rejection.field);
                rejection.of_origin(origin)
            }),
        }
    }

    /// Reads the fields of the activity. `named` names what is wrong with one as the event does.
    fn read(
        &self,
        raw: &RawValue,
        intake: &Intake,
        received_at: Timestamp,
        named: impl Fn(Rejection) -> Rejection,
    ) -> Result<Activity, Rejection> {
        let fields = Fields::parse(raw, Form::Activity).map_err(&named)?;
        if fields.has("activity_id") {
            let detail = "cannot be sent; Podium makes it of the source and the id of the event";
            return Err(named(Rejection::new(
                RejectionCode::UnknownField,
                "activity_id",
                detail,
            )));
        }
        let undated_at = match &self.time {
            Some(time) if !fields.has("occurred_at") => {
                intake::time("time", time, received_at, intake.max_age)?
            }
            _ => received_at,
        };
        let read = intake.read(fields, received_at, undated_at, || self.activity_id());
        read.map_err(named)
    }

    /// The fields of an activity, as JSON. What the event does not have is left out.
    fn mapped(&self, mapping: &TypeMapping) -> Result<Box<RawValue>, Rejection> {
        let data =
            json::members_of_object(self.data, "the data").map_err(|error| error.within(self.data_field))?;
        let mut fields = Vec::new();
        let mut metadata = Vec::new();
        for (field, from) in mapping.fields() {
            let value = match from {
                TakenFrom::Data(path) => at_path(&data, path).map(|value| value.get().to_owned()),
                TakenFrom::Attribute(attribute) => self.attribute(*attribute).map(quoted),
                TakenFrom::Set(value) => Some(value.to_string()),
            };
            let Some(value) = value.filter(|value| value != "null") else {
                continue;
            };
            match field {
                Field::Metadata(name) => metadata.push((name.clone(), value)),
                _ => fields.push((field.to_string(), converted(field, value))),
            }
        }
        if !metadata.is_empty() {
            fields.push(("metadata".to_owned(), object(&metadata)));
        }
        Ok(RawValue::from_string(object(&fields)).expect("parts of JSON make JSON"))
    }

    fn attribute(&self, attribute: Attribute) -> Option<&str> {
        match attribute {
            Attribute::Id => Some(&self.id),
            Attribute::Source => Some(&self.source),
            Attribute::Type => Some(&self.kind),
            Attribute::Subject => self.subject.as_deref(),
            Attribute::Time => self.time.as_deref(),
        }
    }

    /// Changing this counts again what was counted before.
    fn activity_id(&self) -> ActivityId {
        // As JSON, since no two pairs of texts have the same.
        let pair = format!("[{},{}]", quoted(&self.source), quoted(&self.id));
        let hash = format!("{:x}", Sha256::digest(pair));
        format!("ce-{}", &hash[..HASH_DIGITS])
            .parse()
            .expect("a valid id")
    }
}

/// A mapped value as a client would send it. Other systems have ids that are numbers, and amounts that are text.
fn converted(field: &Field, value: String) -> String {
    let is_id = matches!(field, Field::UserId | Field::ProgramId | Field::Kind);
    if is_id && value.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return quoted(&value);
    }
    match value.trim_matches('"').parse::<i64>() {
        Ok(number) if field.is_number() => number.to_string(),
        _ => value,
    }
}

/// The text of an attribute, which is neither empty nor too long and has no control characters.
fn text(fields: &mut Fields<'_>, name: &str) -> Result<Option<String>, Rejection> {
    let Some(text) = fields.text(name)? else {
        return Ok(None);
    };
    match text.len() {
        0 => Err(Rejection::new(
            RejectionCode::Empty,
            name,
            format!("is empty; it must be 1 to {ATTRIBUTE_BYTES_MAX} bytes"),
        )),
        1..=ATTRIBUTE_BYTES_MAX => {
            check_characters(name, &text)?;
            Ok(Some(text))
        }
        length => Err(Rejection::new(
            RejectionCode::TooLong,
            name,
            format!("is {length} bytes; at most {ATTRIBUTE_BYTES_MAX} are allowed"),
        )),
    }
}

fn required_text(fields: &mut Fields<'_>, name: &str) -> Result<String, Rejection> {
    text(fields, name)?.ok_or_else(|| fields.missing(name))
}

/// A string of a `CloudEvent` has no control characters (section 3.2 of the specification).
fn check_characters(name: &str, text: &str) -> Result<(), Rejection> {
    match text.char_indices().find(|(_, c)| c.is_control()) {
        Some((at, c)) => {
            let detail = format!("has the control character {c:?} at byte {at}");
            Err(Rejection::new(RejectionCode::IllegalCharacter, name, detail))
        }
        None => Ok(()),
    }
}

/// A reference (RFC 3986) has no spaces.
fn check_reference(name: &str, text: &str) -> Result<(), Rejection> {
    match text.find(char::is_whitespace) {
        Some(at) => {
            let detail = format!("has a space at byte {at}; it must be a URI reference, such as /sensors/7");
            Err(Rejection::new(RejectionCode::IllegalCharacter, name, detail))
        }
        None => Ok(()),
    }
}

/// The time of an event may be in another age: it is only judged if it becomes that of the activity.
fn time(fields: &mut Fields<'_>) -> Result<Option<String>, Rejection> {
    let Some(time) = fields.text("time")? else {
        return Ok(None);
    };
    match timestamp::parse(&time) {
        Ok(_) | Err(InvalidTime::TooLate) => Ok(Some(time)),
        Err(error @ InvalidTime::NotRfc3339(_)) => {
            Err(Rejection::new(RejectionCode::InvalidTime, "time", error))
        }
    }
}

fn check_content_type(fields: &mut Fields<'_>) -> Result<(), Rejection> {
    match fields.text("datacontenttype")? {
        Some(other) if !is_media_type(&other) => {
            let detail = format!(
                "is {:?}; it must be application/json or end in +json, since an activity is JSON",
                shorten(&other)
            );
            Err(Rejection::new(
                RejectionCode::WrongType,
                "datacontenttype",
                detail,
            ))
        }
        _ => Ok(()),
    }
}

/// An extension is checked and left out. Its name has lower-case letters and digits, and its value is a string, a
/// boolean or an integer of 32 bits (sections 3.1 and 3.2 of the specification).
fn check_extension(name: &str, value: &RawValue) -> Result<(), Rejection> {
    let is_allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let field = field_name(name);
    if name.is_empty() || !name.chars().all(is_allowed) {
        let detail = "is no name of an attribute: use only lower-case letters and digits";
        return Err(Rejection::new(RejectionCode::UnknownField, field, detail));
    }
    let raw = value.get();
    match raw.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(raw) {
            Ok(text) => check_characters(&field, &text),
            Err(error) => Err(json::invalid(&field, &error)),
        },
        Some(b't' | b'f') => Ok(()),
        _ if !is_number(value) => {
            let detail = format!(
                "must be a string, an integer or a boolean, not {}",
                type_of(value)
            );
            Err(Rejection::new(RejectionCode::WrongType, field, detail))
        }
        _ if raw.parse::<i32>().is_ok() => Ok(()),
        _ => {
            let detail = format!("is {}; a number must be an integer of 32 bits", shorten(raw));
            Err(Rejection::new(RejectionCode::OutOfRange, field, detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;

    const MAPPING: &str = r#"{"course.done":{
        "map":{"user_id":"data.learner.id","program_id":"data.course","quantity":"data.hours","metadata.from":"source",
            "metadata.grade":"data.grade","occurred_at":"data.at"},
        "set":{"kind":"hours_learned","metadata.via":"lms"}}}"#;

    fn now() -> Timestamp {
        "2026-11-21T12:00:00Z".parse().unwrap()
    }

    fn intake() -> Intake {
        let policy = r#"[{"effective_from":"2020-01-01T00:00:00Z","points":{"task_completed":10,"hours_learned":{"per":1,"points":2}}}]"#;
        Intake {
            policy: policy.parse().unwrap(),
            max_age: Some(SignedDuration::from_hours(31 * 24)),
        }
    }

    fn judged(activity: Result<Activity, Rejection>) -> String {
        match activity {
            Ok(a) => {
                let metadata = a.metadata.as_ref().map_or("", |metadata| metadata.as_str());
                format!(
                    "{} {} {} {} {} {:?} {metadata}",
                    a.id, a.user, a.program, a.kind, a.occurred_at, a.amount
                )
            }
            Err(Rejection { code, field, detail }) => format!("{code:?} [{field}] {detail}"),
        }
    }

    /// An event with these members besides those that it must have.
    fn check(more: &str, expected: &str) {
        let event = format!(r#"{{"specversion":"1.0","id":"1","source":"/lms",{more}}}"#);
        let raw: &RawValue = serde_json::from_str(&event).unwrap();
        let mapping = MAPPING.parse().unwrap();
        let activity =
            Event::of_cloud_event(raw).and_then(|event| event.activity(&mapping, &intake(), now()));
        assert_eq!(judged(activity), expected, "{event}");
        // A message of a queue may be the same event.
        assert_eq!(
            judged(activity_of_message(&event, &mapping, &intake(), now())),
            expected,
            "{event}"
        );
    }

    const DATA: &str = r#""type":"t","data":{"user_id":"ann","program_id":"p","kind":"task_completed"}"#;
    // printf '["/lms","1"]' | sha256sum
    const ID: &str = "ce-a02d035d7fefee26c1298aa0a3322192";

    #[test]
    fn the_data_are_an_activity_of_the_time_of_the_event() {
        check(
            DATA,
            &format!("{ID} ann p task_completed 2026-11-21T12:00:00Z None "),
        );
        check(
            &format!(r#"{DATA},"time":"2026-11-20T09:00:00+01:00","anextension":7"#),
            &format!("{ID} ann p task_completed 2026-11-20T08:00:00Z None "),
        );
        // The time of the event does not matter where the data have one.
        let dated = DATA.replace('}', r#","occurred_at":"2026-11-19T00:00:00Z"}"#);
        check(
            &format!(r#"{dated},"time":"1999-01-01T00:00:00Z""#),
            &format!("{ID} ann p task_completed 2026-11-19T00:00:00Z None "),
        );
    }

    #[test]
    fn data_are_mapped_by_the_type_of_the_event() {
        check(
            r#""type":"course.done","data":{"learner":{"id":4711},"course":"rust","hours":"3","grade":1.50,"more":[]}"#,
            &format!(
                "{ID} 4711 rust hours_learned 2026-11-21T12:00:00Z Some(Quantity(3)) {}",
                r#"{"from":"/lms","grade":1.50,"via":"lms"}"#
            ),
        );
    }

    #[test]
    fn what_is_wrong_is_named_as_the_event_names_it() {
        check(r#""type":"t""#, "MissingField [data] data is missing");
        check(
            &DATA.replace("ann", "a b"),
            r#"IllegalCharacter [data.user_id] data.user_id has the character ' ' at byte 1; use only ASCII letters, digits and punctuation except " \ < >"#,
        );
        check(
            &DATA.replace('}', r#","activity_id":"a"}"#),
            "UnknownField [data.activity_id] data.activity_id cannot be sent; Podium makes it of the source and the id of the event",
        );
        check(
            &format!(r#"{DATA},"time":"2026-10-01T00:00:00Z""#),
            "TooOld [time] time is 2026-10-01T00:00:00Z, more than 31 days ago (it is 2026-11-21T12:00:00Z now)",
        );
        let mapped = |data: &str| format!(r#""type":"course.done","data":{data}"#);
        check(
            &mapped(r#"{"course":"rust","hours":3}"#),
            "MissingField [data.learner.id] data.learner.id: user_id is missing",
        );
        check(
            &mapped(r#"{"learner":{"id":"ann"},"course":"rust","hours":3,"at":"today"}"#),
            "InvalidTime [data.at] data.at: occurred_at must be an RFC 3339 time with an offset, such as 2026-11-21T09:30:00Z; the year must have 4 digits",
        );
        check(
            &mapped(r#"{"learner":{"id":"ann"},"course":"rust","hours":3,"grade":1e400}"#),
            "OutOfRange [data.grade] data.grade: metadata.grade is a number outside the range of a 64-bit float (about ±1.8e308)",
        );
        check(
            &mapped("[]"),
            "NotAnObject [data] data: the data must be a JSON object, not an array",
        );
    }

    #[test]
    fn an_event_of_a_bus_has_its_data_in_its_detail() {
        let judge = |detail: &str| {
            let event = format!(
                r#"{{"version":"0","id":"1","detail-type":"t","source":"/lms","account":"1","time":"2026-11-21T09:00:00Z",
                    "region":"eu-central-1","resources":[],"detail":{detail}}}"#
            );
            judged(activity_of_message(
                &event,
                &MAPPING.parse().unwrap(),
                &intake(),
                now(),
            ))
        };
        assert_eq!(
            judge(r#"{"user_id":"ann","program_id":"p","kind":"task_completed"}"#),
            format!("{ID} ann p task_completed 2026-11-21T09:00:00Z None ")
        );
        assert_eq!(
            judge("{}"),
            "MissingField [detail.user_id] detail.user_id is missing"
        );
    }

    #[test]
    fn an_activity_in_a_message_has_an_id_of_its_own() {
        let judge = |body: &str| {
            judged(activity_of_message(
                body,
                &EventMapping::default(),
                &intake(),
                now(),
            ))
        };
        assert_eq!(
            judge(r#"{"activity_id":"a-1","user_id":"ann","program_id":"p","kind":"task_completed"}"#),
            "a-1 ann p task_completed 2026-11-21T12:00:00Z None "
        );
        assert_eq!(
            judge(r#"{"user_id":"ann","program_id":"p","kind":"task_completed"}"#),
            "MissingField [activity_id] activity_id is missing"
        );
        assert_eq!(
            judge("[]"),
            "NotAnObject [] a message must be a JSON object, not an array"
        );
        assert_eq!(
            judge("{"),
            "Malformed [] the activity is not valid JSON text: EOF while parsing an object at line 1 column 1"
        );
    }

    #[test]
    fn no_two_pairs_of_source_and_id_have_one_activity_id() {
        let id = |source: &str, id: &str| {
            let event = serde_json::json!({"specversion": "1.0", "id": id, "source": source, "type": "t", "data": {}});
            let raw = RawValue::from_string(event.to_string()).unwrap();
            Event::of_cloud_event(&raw).unwrap().activity_id()
        };
        assert_eq!(id("/lms", "1"), id("/lms", "1"));
        assert_ne!(id("a\",\"b", "c"), id("a", "b\",\"c"));
        assert_ne!(id("ab", "c"), id("a", "bc"));
    }
}
