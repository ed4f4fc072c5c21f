//! From the records of the other system's stream to the messages that ingest reads.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::{Item, Mapping, mirrored};

/// What becomes of one record.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// An activity, as the body of a message.
    Activity(String),
    /// It is none: why, and the item as the stream has it.
    Unfit { reason: String, image: String },
    /// It is deleted, or Podium's own.
    LeftOut,
}

/// A record of a stream, by what is read of it.
#[derive(Deserialize)]
struct Record {
    #[serde(rename = "eventName")]
    event_name: String,
    dynamodb: Change,
}

#[derive(Deserialize)]
struct Change {
    #[serde(rename = "SequenceNumber")]
    sequence_number: String,
    #[serde(rename = "NewImage")]
    new_image: Option<Value>,
}

/// The sequence number of a record, and what becomes of it.
pub fn outcome(mapping: &Mapping, record: &Value) -> Result<(String, Outcome), serde_json::Error> {
    let Record {
        event_name,
        dynamodb: Change {
            sequence_number,
            new_image,
        },
    } = Record::deserialize(record)?;
    let Some(image) = new_image.filter(|_| event_name != "REMOVE") else {
        return Ok((sequence_number, Outcome::LeftOut));
    };
    let item: serde_dynamo::Item = serde_json::from_value(image.clone())?;
    let item: Item = item.into();
    if mirrored::is_marked(&item) {
        return Ok((sequence_number, Outcome::LeftOut));
    }
    let activity = mapping.event(&item).and_then(|event| event.activity());
    let outcome = match activity {
        Ok(activity) => Outcome::Activity(activity.to_string()),
        Err(unfit) => Outcome::Unfit {
            reason: unfit.to_string(),
            image: image.to_string(),
        },
    };
    Ok((sequence_number, outcome))
}

/// What tells the stream's mapping to go on with this record, or with the next ones.
pub fn response(first_failed: Option<&str>) -> Value {
    let failures = first_failed.map(|sequence_number| json!({ "itemIdentifier": sequence_number }));
    json!({ "batchItemFailures": failures.into_iter().collect::<Vec<_>>() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(name: &str, image: &Value) -> Value {
        json!({"eventName": name, "dynamodb": {"SequenceNumber": "17", "NewImage": image}})
    }

    #[test]
    fn a_record_becomes_an_activity_unless_it_is_none_or_podiums_own() {
        let mapping = Mapping::published("edl");
        let image = json!({"employee_id": {"S": "ann"}, "ts_event": {"S": "2026-11-21T09:00:00Z#e1"}, "event_id": {"S": "e1"},
            "program_id": {"S": "p"}, "activity_type": {"S": "checkin"}, "points_awarded": {"N": "5"}, "ts": {"S": "2026-11-21T09:00:00Z"}});
        let got = |record: &Value| outcome(&mapping, record).unwrap();
        let (sequence_number, Outcome::Activity(body)) = got(&record("INSERT", &image)) else {
            panic!("it is an activity");
        };
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(
            (sequence_number.as_str(), &body["activity_id"], &body["origin"]),
            ("17", &json!("e1"), &json!("legacy"))
        );

        let mut marked = image.clone();
        marked["origin"] = json!({"S": "podium"});
        assert_eq!(got(&record("INSERT", &marked)).1, Outcome::LeftOut);
        assert_eq!(
            got(&json!({"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "17"}})).1,
            Outcome::LeftOut
        );

        let mut unfit = image;
        unfit["activity_type"] = json!({"S": "Nap!"});
        let (_, Outcome::Unfit { reason, image }) = got(&record("INSERT", &unfit)) else {
            panic!("a kind has no capital letters");
        };
        assert!(
            reason.starts_with("ann e1: kind has the character 'N'"),
            "{reason}"
        );
        assert!(image.contains("Nap!"));
    }
}
