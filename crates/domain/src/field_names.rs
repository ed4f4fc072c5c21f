//! The fields of what clients send, and what a client probably meant by one that is not among them.

/// The fields of an activity.
pub(crate) const FIELDS: [&str; 10] = [
    "activity_id",
    "user_id",
    "program_id",
    "kind",
    "quantity",
    "points",
    "occurred_at",
    "metadata",
    "origin",
    "schema_version",
];

/// Those of a `CloudEvent`; others are extensions.
pub(crate) const OF_CLOUD_EVENTS: [&str; 10] = [
    "specversion",
    "id",
    "source",
    "type",
    "datacontenttype",
    "dataschema",
    "subject",
    "time",
    "data",
    "data_base64",
];

/// Those of an `EventBridge` event that matter; there are others.
pub(crate) const OF_BUS_EVENTS: [&str; 5] = ["id", "source", "detail-type", "time", "detail"];

/// Those of a correction, which either voids an activity or adds points.
pub(crate) const OF_CORRECTIONS: [&str; 7] = [
    "correction_id",
    "user_id",
    "voids",
    "program_id",
    "points",
    "occurred_at",
    "reason",
];

/// Those of a person.
pub const OF_PEOPLE: [&str; 4] = ["user_id", "display_name", "team", "visibility"];

/// Those of a team.
pub(crate) const OF_TEAMS: [&str; 2] = ["team_id", "title"];

/// Those of a program.
pub(crate) const OF_PROGRAMS: [&str; 4] = ["program_id", "title", "order", "archived"];

/// Those of a season.
pub(crate) const OF_SEASONS: [&str; 4] = ["id", "title", "first_day", "last_day"];

/// Those of a quest.
pub(crate) const OF_QUESTS: [&str; 10] = [
    "id",
    "version",
    "title",
    "coin",
    "starts_at",
    "ends_at",
    "per",
    "rule",
    "within",
    "supply",
];

/// Those of a coin.
pub(crate) const OF_COINS: [&str; 2] = ["name", "value"];

/// The forms of a rule. A rule has one of them.
pub(crate) const OF_RULES: [&str; 6] = ["all", "ordered", "count", "distinct", "points", "streak"];

/// Those of the rules `count` and `points`.
pub(crate) const OF_AMOUNTS: [&str; 2] = ["of", "at_least"];

/// Those of the rule `distinct`.
pub(crate) const OF_DISTINCT: [&str; 3] = ["of", "field", "at_least"];

/// Those of the rule `streak`.
pub(crate) const OF_STREAKS: [&str; 3] = ["of", "unit", "at_least"];

/// Those of a matcher.
pub(crate) const OF_MATCHERS: [&str; 3] = ["kind", "program_id", "metadata"];

/// The fields of an activity that clients must not send, and why.
pub(crate) const NOT_SENT: [(&str, &str); 2] = [
    (
        "received_at",
        "cannot be sent by clients; Podium sets it when it receives the activity",
    ),
    (
        "posted_by",
        "cannot be sent by clients; Podium knows it from the login",
    ),
];

/// Names that other systems use for the same thing, without case and punctuation.
#[rustfmt::skip]
const ALIASES: [(&str, &[&str]); 10] = [
    ("activity_id", &["id", "uuid", "guid", "key", "activity", "event", "eventid", "requestid", "messageid", "externalid", "idempotencykey"]),
    ("user_id", &["user", "username", "uid", "employee", "employeeid", "member", "memberid", "person", "personid", "actor", "actorid", "learner", "learnerid", "account", "accountid", "email"]),
    ("program_id", &["program", "programme", "programmeid", "programname", "programslug", "project", "projectid", "course", "courseid", "campaign", "campaignid"]),
    ("kind", &["type", "kindid", "activitytype", "activitykind", "eventtype", "category", "action", "verb"]),
    ("quantity", &["amount", "number", "howmany", "steps", "units", "value"]),
    ("points", &["score", "pointsawarded", "xp"]),
    ("occurred_at", &["timestamp", "time", "date", "datetime", "ts", "at", "when", "occurred", "occurredon", "happenedat", "createdat", "completedat", "performedat", "eventtime", "activitytime"]),
    ("metadata", &["meta", "data", "attributes", "properties", "props", "extra", "details", "tags", "context", "custom", "payload"]),
    ("origin", &["system", "sourcesystem"]),
    ("schema_version", &["version", "schema", "v"]),
];

/// Names of objects or arrays around activities.
const WRAPPERS: [&str; 14] = [
    "activities",
    "activity",
    "batch",
    "body",
    "data",
    "entries",
    "event",
    "events",
    "item",
    "items",
    "payload",
    "record",
    "records",
    "results",
];

/// Longer names are compared only up to here.
const COMPARED_MAX: usize = 64;
/// Shorter names resemble too many others.
const SIMILAR_MIN: usize = 3;

/// The field of an activity that a client probably meant by `name`: one [similar to](similar_to) it, or one for which
/// it is a usual name.
pub(crate) fn meant_by(name: &str) -> Option<&'static str> {
    let plain = without_style(name);
    let alias = ALIASES.iter().find(|(_, names)| names.contains(&plain.as_str()));
    same_as(name, &FIELDS)
        .or(alias.map(|(field, _)| *field))
        .or_else(|| similar_to(name, &FIELDS))
}

/// The field with this name but for case, punctuation and typing errors.
pub(crate) fn similar_to(name: &str, fields: &[&'static str]) -> Option<&'static str> {
    let plain = without_style(name);
    let similar = || {
        let distances = fields.iter().map(|field| {
            let field_name = without_style(field);
            let allowed = if field_name.len() < 6 { 1 } else { 2 };
            let distance = strsim::osa_distance(&field_name, &plain);
            (distance, allowed, *field)
        });
        let (_, _, field) = distances
            .filter(|(distance, allowed, _)| distance <= allowed)
            .min()?;
        (plain.len() >= SIMILAR_MIN).then_some(field)
    };
    same_as(name, fields).or_else(similar)
}

/// The field with this name but for case and punctuation.
fn same_as(name: &str, fields: &[&'static str]) -> Option<&'static str> {
    let plain = without_style(name);
    let mut fields = fields.iter();
    fields.find(|field| without_style(field) == plain).copied()
}

/// Whether objects around activities are often called so.
pub(crate) fn is_wrapper(name: &str) -> bool {
    WRAPPERS.contains(&without_style(name).as_str())
}

/// A name in lower case, without punctuation.
fn without_style(name: &str) -> String {
    name.chars()
        .take(COMPARED_MAX)
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_field_is_found_for_a_wrong_name() {
        for (field, names) in [
            (
                "user_id",
                "userId UserID USER_ID user-id user.id userid user employee_id usr_id user_ids uesr_id",
            ),
            (
                "program_id",
                "programId program-id program programme progam_id PROGRAM_ID",
            ),
            (
                "activity_id",
                "activityId id event_id idempotency-key Idempotency_Key activty_id",
            ),
            ("kind", "Kind type kid kinds activity_type"),
            (
                "occurred_at",
                "occurredAt occured_at ocurred_at timestamp time ts date occurred-at",
            ),
            ("metadata", "metaData meta_data meta data metdata"),
            ("schema_version", "schemaVersion version shema_version"),
        ] {
            for name in names.split(' ') {
                assert_eq!(meant_by(name), Some(field), "{name}");
            }
        }
        for name in ["", "x", "S", "N", "dynamodb", "eventName", "team", "🏆", "a b"] {
            assert_eq!(meant_by(name), None, "{name}");
        }
        assert!(is_wrapper("Activities") && is_wrapper("data") && !is_wrapper("metadata"));
    }
}
