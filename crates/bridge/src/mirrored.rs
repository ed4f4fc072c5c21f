//! Podium's activities as items of the other system's table, so that its boards follow and going back loses nothing.
//!
//! Each is marked, so that it is not carried over again. That system knows an event by its id alone, whoever did it, so
//! the id is made of person and activity.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::DisplayErrorContext;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Activity, ActivityId, ScoringPolicy, UserId};
use jiff::fmt::strtime;
use sha2::{Digest as _, Sha256};

use crate::mapping::{Field, Mapping};
use crate::{Item, LEGACY};

/// The attribute that marks an item, and its value.
const MARK: (&str, &str) = ("origin", "podium");
/// The attribute that holds the activity's own id.
const ACTIVITY_ID: &str = "podium_activity_id";
/// Enough that no two activities get one id.
const ID_DIGITS: usize = 32;
/// As the other system writes times.
const TIME_FORMAT: &str = "%Y-%m-%dT%H:%M:%SZ";

/// Whether an item is one of Podium's activities.
pub fn is_marked(item: &Item) -> bool {
    matches!(item.get(MARK.0), Some(AttributeValue::S(origin)) if origin == MARK.1)
}

/// Whether an activity is to be mirrored: it does not come from the other system.
pub fn is_own(activity: &Activity) -> bool {
    activity
        .origin
        .as_ref()
        .is_none_or(|origin| origin.as_str() != LEGACY)
}

/// The id of an activity's event. A blank is in no id.
pub fn event_id(user: &UserId, activity: &ActivityId) -> String {
    let hash = format!("{:x}", Sha256::digest(format!("{user} {activity}")));
    format!("podium-{}", &hash[..ID_DIGITS])
}

/// Why an activity is not in the other system's table.
#[derive(Debug, thiserror::Error)]
pub enum NotPut {
    /// The scoring policy says nothing of it.
    #[error("{0}")]
    NotScored(String),
    #[error("{0}")]
    Unavailable(String),
}

/// Writes an activity into the other system's table, once.
pub async fn put(
    client: &Client,
    mapping: &Mapping,
    policy: &ScoringPolicy,
    activity: &Activity,
) -> Result<(), NotPut> {
    let points = policy
        .worth(&activity.kind, activity.occurred_at)
        .map_err(|unscored| NotPut::NotScored(format!("{} {unscored}", unscored.field())))?
        .points(activity.amount)
        .map_err(|without| NotPut::NotScored(format!("{} is missing", without.0)))?;
    let put = client
        .put_item()
        .table_name(&mapping.table)
        .set_item(Some(item(mapping, activity, points)))
        .condition_expression("attribute_not_exists(#id)")
        .expression_attribute_names("#id", mapping.attribute(Field::ActivityId));
    match put.send().await {
        Ok(_) => Ok(()),
        Err(error)
            if error
                .as_service_error()
                .is_some_and(PutItemError::is_conditional_check_failed_exception) =>
        {
            Ok(())
        }
        Err(error) => Err(NotPut::Unavailable(DisplayErrorContext(error).to_string())),
    }
}

/// The item of an activity that counts these points.
fn item(mapping: &Mapping, activity: &Activity, points: i64) -> Item {
    let text = |text: &str| AttributeValue::S(text.to_owned());
    let occurred_at = strtime::format(
        TIME_FORMAT,
        &activity.occurred_at.to_zoned(jiff::tz::TimeZone::UTC),
    )
    .expect("the format has only parts of a time");
    let former = mapping
        .kinds
        .iter()
        .find(|(_, kind)| *kind == activity.kind.as_str());
    let kind = former.map_or(activity.kind.as_str(), |(former, _)| former);
    let mut item: Item = mapping
        .map
        .iter()
        .map(|(field, name)| {
            let value = match field {
                Field::ActivityId => text(&event_id(&activity.user, &activity.id)),
                Field::UserId => text(activity.user.as_str()),
                Field::ProgramId => text(activity.program.as_str()),
                Field::Kind => text(kind),
                Field::OccurredAt => text(&occurred_at),
                Field::Points => AttributeValue::N(points.to_string()),
            };
            (name.clone(), value)
        })
        .collect();
    for (name, parts) in &mapping.joined {
        let parts = parts
            .iter()
            .filter_map(|part| item.get(part)?.as_s().ok().cloned());
        let joined = parts.collect::<Vec<_>>().join("#");
        item.insert(name.clone(), text(&joined));
    }
    item.insert(MARK.0.to_owned(), text(MARK.1));
    item.insert(ACTIVITY_ID.to_owned(), text(activity.id.as_str()));
    item
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activity_becomes_a_marked_item_that_is_no_other_persons() {
        let mapping = Mapping::published("edl-dev");
        let activity = Activity {
            id: "course-17".parse().unwrap(),
            user: "ann".parse().unwrap(),
            program: "p".parse().unwrap(),
            kind: "checkin".parse().unwrap(),
            occurred_at: "2026-11-21T09:00:00.25Z".parse().unwrap(),
            amount: None,
            metadata: None,
            origin: None,
        };
        let item = item(&mapping, &activity, 5);
        assert!(is_marked(&item) && is_own(&activity));
        let id = event_id(&activity.user, &activity.id);
        assert_ne!(id, event_id(&"bob".parse().unwrap(), &activity.id));
        let text = |name: &str| item[name].as_s().unwrap().as_str();
        assert_eq!(text("ts_event"), format!("2026-11-21T09:00:00Z#{id}"));
        assert_eq!(text("employee_id"), "ann");
        assert_eq!(text("podium_activity_id"), "course-17");
        assert_eq!(item["points_awarded"].as_n().unwrap(), "5");
        let carried = Activity {
            origin: Some(LEGACY.parse().unwrap()),
            ..activity
        };
        assert!(!is_own(&carried));
    }
}
