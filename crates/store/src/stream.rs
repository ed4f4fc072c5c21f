//! Records of the stream of activities, as the pipe puts them into the queue.

use std::str::FromStr;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::correction::Reason;
use domain::id::InvalidId;
use domain::intake::shorten;
use domain::{
    Activity, ActivityId, Adjustment, Amount, CorrectionId, Fact, FactId, Kind, Metadata, Origin, ProgramId,
    UserId, Void, timestamp,
};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::coins::KeptCoin;
use crate::heartbeats::Lane;
use crate::item::{Item, text};
use crate::keys::attribute;
use crate::versions;

/// What a message of the queue asks to be counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Streamed {
    Fact { fact: Fact, received_at: Timestamp },
    Heartbeat { lane: Lane, sent_at: Timestamp },
}

/// Why a message can never be counted. The code groups dead letters; the detail helps to repair one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Unreadable {
    pub code: &'static str,
    pub detail: String,
}

#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    event_name: String,
    dynamodb: Change,
}

#[derive(Deserialize)]
struct Change {
    #[serde(rename = "NewImage")]
    new_image: Option<serde_dynamo::Item>,
}

/// Parses the body of a message.
pub fn parse(body: &str) -> Result<Streamed, Unreadable> {
    let unreadable = |code, detail: String| Unreadable { code, detail };
    let record: Record =
        serde_json::from_str(body).map_err(|error| unreadable("not_a_stream_record", error.to_string()))?;
    if record.event_name != "INSERT" {
        let name = shorten(&record.event_name);
        let detail = format!("eventName is {name:?}; it must be INSERT");
        return Err(unreadable("not_an_insert", detail));
    }
    let image = record.dynamodb.new_image.ok_or_else(|| {
        unreadable(
            "no_new_image",
            "dynamodb.NewImage is missing; the stream must have the view type NEW_IMAGE".to_owned(),
        )
    })?;
    streamed(&image.into()).map_err(|detail| unreadable("not_an_activity", detail))
}

/// A kind of `CloudEvents` that a pipe makes of a stream's records, whose data is the new image as it is. An `EventBridge`
/// pipe makes them by the same template, where `<$.eventID>` and the like stand for parts of the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventKind {
    pub source: &'static str,
    pub name: &'static str,
}

/// The topic of facts has these.
pub const FACT_RECORDED: EventKind = EventKind {
    source: "podium/activities",
    name: "podium.fact.recorded",
};
/// The topic of coins has these.
pub const COIN_CHANGED: EventKind = EventKind {
    source: "podium/coins",
    name: "podium.coin.changed",
};
const EVENT_VERSION: &str = "1.0";

#[derive(Deserialize)]
struct Event {
    specversion: String,
    #[serde(rename = "type")]
    kind: String,
    data: serde_dynamo::Item,
}

impl EventKind {
    /// Makes the event of a record, whose id and new image are given as JSON.
    pub fn event(self, event_id: &Value, new_image: &Value) -> Value {
        json!({
            "specversion": EVENT_VERSION,
            "id": event_id,
            "source": self.source,
            "type": self.name,
            "data": new_image,
        })
    }

    /// The new image in the body of a message.
    fn image(self, body: &str) -> Result<Item, Unreadable> {
        let unreadable = |code, detail: String| Unreadable { code, detail };
        let event: Event =
            serde_json::from_str(body).map_err(|error| unreadable("not_an_event", error.to_string()))?;
        if (event.specversion.as_str(), event.kind.as_str()) != (EVENT_VERSION, self.name) {
            let (version, name) = (shorten(&event.specversion), shorten(&event.kind));
            let detail = format!(
                "specversion is {version:?} and type is {name:?}; they must be {EVENT_VERSION:?} and {:?}",
                self.name
            );
            return Err(unreadable("unknown_event", detail));
        }
        Ok(event.data.into())
    }
}

/// Parses the body of a message with an event of a fact.
pub fn parse_event(body: &str) -> Result<Streamed, Unreadable> {
    let unreadable = |detail| Unreadable {
        code: "not_an_activity",
        detail,
    };
    streamed(&FACT_RECORDED.image(body)?).map_err(unreadable)
}

/// Parses the body of a message with an event of a coin.
pub fn parse_coin(body: &str) -> Result<KeptCoin, Unreadable> {
    let coin = serde_dynamo::from_item(COIN_CHANGED.image(body)?);
    coin.map_err(|error| Unreadable {
        code: "not_a_coin",
        detail: error.to_string(),
    })
}

/// Parses an item of the table of activities, or says which of its attributes is wrong.
pub fn streamed(image: &Item) -> Result<Streamed, String> {
    if let Some(lane) = Lane::of_user(text(image, attribute::USER_ID)?) {
        return Ok(Streamed::Heartbeat {
            lane,
            sent_at: time(image, attribute::ACTIVITY_ID)?,
        });
    }
    let image = &*versions::newest(image)?;
    let id = text(image, attribute::ACTIVITY_ID)?;
    let fact = match FactId::voided(id) {
        Some(activity) => Fact::Void(Void {
            correction: correction_id(image)?,
            reason: reason(image)?,
            activity: activity_in(image, activity)?,
            activity_received_at: time(image, attribute::ACTIVITY_RECEIVED_AT)?,
        }),
        None if FactId::is_adjustment(id) => Fact::Adjustment(Adjustment {
            correction: correction_id(image)?,
            reason: reason(image)?,
            user: parsed(image, attribute::USER_ID, UserId::stored)?,
            program: parsed(image, "program_id", ProgramId::stored)?,
            points: whole(image, "points")?,
            occurred_at: time(image, "occurred_at")?,
        }),
        None => Fact::Activity(activity_in(image, id)?),
    };
    Ok(Streamed::Fact {
        fact,
        received_at: time(image, "received_at")?,
    })
}

/// The activity in an item: what was posted, or a void's copy.
fn activity_in(image: &Item, id: &str) -> Result<Activity, String> {
    Ok(Activity {
        id: ActivityId::stored(id).map_err(|error| format!("activity_id {error}"))?,
        user: parsed(image, attribute::USER_ID, UserId::stored)?,
        program: parsed(image, "program_id", ProgramId::stored)?,
        kind: parsed(image, "kind", Kind::stored)?,
        occurred_at: time(image, "occurred_at")?,
        amount: if image.contains_key("quantity") {
            Some(Amount::Quantity(whole(image, "quantity")?))
        } else if image.contains_key("points") {
            Some(Amount::Points(whole(image, "points")?))
        } else {
            None
        },
        metadata: match image.get("metadata") {
            Some(_) => Some(Metadata::stored(text(image, "metadata")?.to_owned())),
            None => None,
        },
        origin: match image.get("origin") {
            Some(_) => Some(parsed(image, "origin", Origin::stored)?),
            None => None,
        },
    })
}

fn correction_id(image: &Item) -> Result<CorrectionId, String> {
    parsed(image, attribute::CORRECTION_ID, CorrectionId::stored)
}

fn reason(image: &Item) -> Result<Reason, String> {
    Ok(Reason::stored(text(image, attribute::REASON)?))
}

fn whole<T: FromStr>(image: &Item, name: &str) -> Result<T, String> {
    let Some(AttributeValue::N(number)) = image.get(name) else {
        return Err(format!("{name} must be a number (N)"));
    };
    number
        .parse()
        .map_err(|_| format!("{name} is {}, which is out of range", shorten(number)))
}

fn parsed<T>(image: &Item, name: &str, stored: fn(&str) -> Result<T, InvalidId>) -> Result<T, String> {
    stored(text(image, name)?).map_err(|error| format!("{name} {error}"))
}

fn time(image: &Item, name: &str) -> Result<Timestamp, String> {
    let text = text(image, name)?;
    timestamp::parse(text).map_err(|error| format!("{name} is {:?}; it {error}", shorten(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        let got = match parse(body) {
            Ok(Streamed::Fact { fact, received_at }) => {
                format!(
                    "{} {} {} {received_at}",
                    fact.user(),
                    fact.id(),
                    fact.occurred_at()
                )
            }
            Ok(Streamed::Heartbeat { lane, sent_at }) => format!("heartbeat {lane} {sent_at}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{body}");
    }

    #[test]
    fn an_event_has_what_the_record_has_and_says_why_it_cannot_be_read() {
        let heartbeat = r#"{"user_id":{"S":"~heartbeat-07"},"activity_id":{"S":"2026-11-21T09:00:00.250Z"}}"#;
        let image: Value = serde_json::from_str(heartbeat).unwrap();
        let body = FACT_RECORDED.event(&"e1".into(), &image).to_string();
        assert_eq!(parse_event(&body), parse(&record("INSERT", heartbeat)));
        for (body, expected) in [
            (
                record("INSERT", heartbeat),
                "not_an_event: missing field `specversion`",
            ),
            (
                body.replace("recorded", "forgotten"),
                r#"unknown_event: specversion is "1.0" and type is "podium.fact.forgotten"; they must be "1.0" and "podium.fact.recorded""#,
            ),
            (
                FACT_RECORDED.event(&"e1".into(), &json!({})).to_string(),
                "not_an_activity: user_id is missing",
            ),
        ] {
            let error = parse_event(&body).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    fn record(event: &str, image: &str) -> String {
        format!(r#"{{"eventName":"{event}","dynamodb":{{"NewImage":{image}}}}}"#)
    }

    #[test]
    fn reads_activities_and_heartbeats_and_says_why_it_cannot_read_the_rest() {
        let activity = r#"{"user_id":{"S":"ann"},"activity_id":{"S":"a1"},"program_id":{"S":"p"},"kind":{"S":"task_completed"},
            "occurred_at":{"S":"2026-11-21T09:00:00Z"},"received_at":{"S":"2026-11-21T09:00:01Z"},"schema_version":{"N":"1"}}"#;
        check(
            &record("INSERT", activity),
            "ann a1 2026-11-21T09:00:00Z 2026-11-21T09:00:01Z",
        );
        let amounts = activity.replace(r#""kind""#, r#""quantity":{"N":"7"},"kind""#);
        check(
            &record("INSERT", &amounts),
            "ann a1 2026-11-21T09:00:00Z 2026-11-21T09:00:01Z",
        );
        let void = activity.replace(r#""a1""#, r#""~void a1""#).replace(
            r#""kind""#,
            r#""correction_id":{"S":"c1"},"reason":{"S":"twice"},"activity_received_at":{"S":"2026-11-21T08:00:00Z"},"kind""#,
        );
        check(
            &record("INSERT", &void),
            "ann ~void a1 2026-11-21T09:00:00Z 2026-11-21T09:00:01Z",
        );
        check(
            &record("INSERT", &void.replace("activity_received_at", "x")),
            "not_an_activity: activity_received_at is missing",
        );
        let adjustment = activity.replace(r#""a1""#, r#""~adjust c1""#).replace(
            r#""kind":{"S":"task_completed"}"#,
            r#""correction_id":{"S":"c1"},"reason":{"S":"agreed"},"points":{"N":"-5"}"#,
        );
        check(
            &record("INSERT", &adjustment),
            "ann ~adjust c1 2026-11-21T09:00:00Z 2026-11-21T09:00:01Z",
        );
        check(
            &record("INSERT", &adjustment.replace("-5", "5000000000")),
            "not_an_activity: points is 5000000000, which is out of range",
        );
        let heartbeat = r#"{"user_id":{"S":"~heartbeat-07"},"activity_id":{"S":"2026-11-21T09:00:00.250Z"},"expires_at":{"N":"1"}}"#;
        check(
            &record("INSERT", heartbeat),
            "heartbeat 07 2026-11-21T09:00:00.25Z",
        );
        check(
            "",
            "not_a_stream_record: EOF while parsing a value at line 1 column 0",
        );
        check(
            "[]",
            "not_a_stream_record: invalid length 0, expected struct Record with 2 elements at line 1 column 2",
        );
        check(
            &record("REMOVE", activity),
            r#"not_an_insert: eventName is "REMOVE"; it must be INSERT"#,
        );
        check(
            r#"{"eventName":"INSERT","dynamodb":{}}"#,
            "no_new_image: dynamodb.NewImage is missing; the stream must have the view type NEW_IMAGE",
        );
        check(&record("INSERT", "{}"), "not_an_activity: user_id is missing");
        check(
            &record("INSERT", &activity.replace("task_completed", "Task!")),
            "not_an_activity: kind has the character 'T' at byte 0; use only a-z 0-9 _ -",
        );
        check(
            &record("INSERT", &activity.replace(r#"{"S":"ann"}"#, r#"{"N":"1"}"#)),
            "not_an_activity: user_id must be a string (S)",
        );
        check(
            &record("INSERT", &activity.replace("2026-11-21T09:00:01Z", "today")),
            r#"not_an_activity: received_at is "today"; it must be an RFC 3339 time with an offset, such as 2026-11-21T09:30:00Z; the year must have 4 digits"#,
        );
        // Accepted before dot-segments were refused, and still to be counted.
        check(
            &record("INSERT", &activity.replace(r#"{"S":"ann"}"#, r#"{"S":".."}"#)),
            ".. a1 2026-11-21T09:00:00Z 2026-11-21T09:00:01Z",
        );
    }
}
