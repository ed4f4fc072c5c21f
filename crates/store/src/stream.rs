//! Records of the activities' stream, as the pipe puts them into the queue.

use domain::id::HEARTBEAT_USER;
use domain::{Activity, Metadata};
use jiff::Timestamp;
use serde::Deserialize;

use crate::activities::{ActivityItem, HeartbeatItem};

/// What a message of the queue asks to be counted.
#[derive(Clone, Debug, PartialEq)]
pub enum Streamed {
    Activity {
        activity: Activity,
        received_at: Timestamp,
    },
    Heartbeat {
        sent_at: Timestamp,
    },
}

/// Why a message can never be counted. The code is for grouping, the detail for whoever mends it.
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

#[derive(Deserialize)]
struct Owner {
    user_id: String,
}

/// Parses the body of a message.
pub fn parse(body: &str) -> Result<Streamed, Unreadable> {
    let unreadable = |code, detail: String| Unreadable { code, detail };
    let record: Record =
        serde_json::from_str(body).map_err(|error| unreadable("not_a_stream_record", error.to_string()))?;
    if record.event_name != "INSERT" {
        let detail = format!("the event is {:?}; only INSERT is counted", record.event_name);
        return Err(unreadable("not_an_insert", detail));
    }
    let image = record.dynamodb.new_image.ok_or_else(|| {
        unreadable(
            "no_new_image",
            "the stream must have the view type NEW_IMAGE".to_owned(),
        )
    })?;
    let not_an_activity = |error: serde_dynamo::Error| unreadable("not_an_activity", error.to_string());
    let owner: Owner = serde_dynamo::from_item(image.clone()).map_err(not_an_activity)?;
    if owner.user_id == HEARTBEAT_USER {
        let heartbeat: HeartbeatItem = serde_dynamo::from_item(image).map_err(not_an_activity)?;
        let sent_at = heartbeat.activity_id.parse();
        let sent_at =
            sent_at.map_err(|error: jiff::Error| unreadable("not_an_activity", error.to_string()))?;
        return Ok(Streamed::Heartbeat { sent_at });
    }
    let item: ActivityItem = serde_dynamo::from_item(image).map_err(not_an_activity)?;
    let received_at = item.received_at;
    let activity = Activity {
        id: item.activity_id,
        user: item.user_id,
        program: item.program_id,
        kind: item.kind,
        occurred_at: item.occurred_at,
        metadata: item.metadata.map(Metadata::stored),
    };
    Ok(Streamed::Activity {
        activity,
        received_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: &str, expected: &str) {
        let got = match parse(body) {
            Ok(Streamed::Activity {
                activity,
                received_at,
            }) => {
                format!(
                    "{} {} {} {received_at}",
                    activity.user, activity.id, activity.occurred_at
                )
            }
            Ok(Streamed::Heartbeat { sent_at }) => format!("heartbeat {sent_at}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected, "{body}");
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
        let heartbeat = r#"{"user_id":{"S":"~heartbeat"},"activity_id":{"S":"2026-11-21T09:00:00.250Z"},"expires_at":{"N":"1"}}"#;
        check(&record("INSERT", heartbeat), "heartbeat 2026-11-21T09:00:00.25Z");
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
            r#"not_an_insert: the event is "REMOVE"; only INSERT is counted"#,
        );
        check(
            r#"{"eventName":"INSERT","dynamodb":{}}"#,
            "no_new_image: the stream must have the view type NEW_IMAGE",
        );
        check(
            &record("INSERT", "{}"),
            "not_an_activity: missing field `user_id`",
        );
        check(
            &record("INSERT", &activity.replace("task_completed", "Task!")),
            "not_an_activity: has the character 'T' at byte 0; allowed are a-z 0-9 _ -",
        );
    }
}
