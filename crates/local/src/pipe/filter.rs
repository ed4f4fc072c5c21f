//! Which records of its stream a pipe sends on.

use std::str::FromStr;

use serde_json::{Map, Value};

const EVENT_NAME: &str = "eventName";

/// The part of `EventBridge`'s pattern language that this project's pipe uses: a list of event names.
/// Anything else is refused rather than ignored.
///
/// ```text
/// {"eventName": ["INSERT"]}
/// ```
#[derive(Clone, Debug)]
pub struct FilterPattern {
    event_names: Vec<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidPattern {
    #[error("a filter pattern must be a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    #[error(r#"a filter pattern must list event names, as in {{"eventName": ["INSERT"]}}"#)]
    NoEventNames,
    #[error("{field} is not understood here: the local pipe filters by eventName only")]
    UnknownField { field: String },
    #[error("eventName: {matcher} is not understood here: the local pipe compares whole strings only")]
    UnknownMatcher { matcher: Value },
}

impl FromStr for FilterPattern {
    type Err = InvalidPattern;

    fn from_str(pattern: &str) -> Result<Self, InvalidPattern> {
        let mut fields: Map<String, Value> = serde_json::from_str(pattern)?;
        let event_names = fields.remove(EVENT_NAME);
        if let Some((field, _)) = fields.into_iter().next() {
            return Err(InvalidPattern::UnknownField { field });
        }
        let Some(Value::Array(event_names)) = event_names.filter(|names| *names != Value::Array(vec![]))
        else {
            return Err(InvalidPattern::NoEventNames);
        };
        let event_names = event_names.into_iter().map(|name| match name {
            Value::String(name) => Ok(name),
            matcher => Err(InvalidPattern::UnknownMatcher { matcher }),
        });
        Ok(Self {
            event_names: event_names.collect::<Result<_, _>>()?,
        })
    }
}

impl FilterPattern {
    /// Whether a record, as a pipe delivers it, is one of these events.
    pub fn matches(&self, record: &Value) -> bool {
        let name = record[EVENT_NAME].as_str();
        name.is_some_and(|name| self.event_names.iter().any(|listed| listed == name))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::FilterPattern;

    #[track_caller]
    fn check(pattern: &str, record: &Value, expected: bool) {
        let pattern: FilterPattern = pattern.parse().expect("a pattern");
        assert_eq!(pattern.matches(record), expected, "{pattern:?}");
    }

    #[test]
    fn matches_as_eventbridge_does() {
        let insert = json!({ "eventName": "INSERT", "dynamodb": {} });
        check(r#"{"eventName": ["INSERT"]}"#, &insert, true);
        check(r#"{"eventName": ["MODIFY", "INSERT"]}"#, &insert, true);
        check(r#"{"eventName": ["MODIFY", "REMOVE"]}"#, &insert, false);
        check(r#"{"eventName": ["insert"]}"#, &insert, false);
        check(r#"{"eventName": ["INSERT"]}"#, &json!({ "dynamodb": {} }), false);
        check(r#"{"eventName": ["3"]}"#, &json!({ "eventName": 3 }), false);
    }

    #[track_caller]
    fn check_refused(pattern: &str, reason: &str) {
        let error = pattern.parse::<FilterPattern>().expect_err(pattern);
        assert!(error.to_string().contains(reason), "{error}");
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        check_refused("eventName", "must be a JSON object");
        check_refused("[]", "must be a JSON object");
        check_refused("{}", "must list event names");
        check_refused(r#"{"eventName": "INSERT"}"#, "must list event names");
        check_refused(r#"{"eventName": []}"#, "must list event names");

        check_refused(
            r#"{"count": [3], "eventName": ["INSERT"]}"#,
            "count is not understood",
        );
        check_refused(
            r#"{"dynamodb": {"NewImage": {"user_id": {"S": ["ann"]}}}}"#,
            "dynamodb is not understood",
        );
        check_refused(
            r#"{"$or": [{"a": ["x"]}, {"b": ["y"]}]}"#,
            "$or is not understood",
        );

        for matcher in [
            "3",
            "true",
            "null",
            r#"["INSERT"]"#,
            r#"{"prefix":"INS"}"#,
            r#"{"suffix":"ERT"}"#,
            r#"{"exists":true}"#,
            r#"{"anything-but":"REMOVE"}"#,
            r#"{"anything-but":["REMOVE","INSERT"]}"#,
        ] {
            let pattern = format!(r#"{{"eventName": ["INSERT", {matcher}]}}"#);
            check_refused(&pattern, &format!("eventName: {matcher} is not understood"));
        }
    }
}
