//! Event patterns, as `EventBridge` has them: which records a pipe sends on.

use std::str::FromStr;

use serde_json::{Map, Value};

/// The part of the pattern language that is understood here: nested fields, exact values,
/// `prefix`, `exists` and `anything-but`. Anything else is refused rather than ignored.
///
/// ```text
/// {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"user_id": {"S": [{"anything-but": "x"}]}}}}
/// ```
#[derive(Clone, Debug)]
pub struct FilterPattern {
    fields: Vec<(String, Test)>,
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidPattern {
    #[error("an event pattern is JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("an event pattern is a JSON object with at least one field")]
    NotAnObject,
    #[error("{field}: a field takes an array of values to match, or an object of fields")]
    NotATest { field: String },
    #[error("{field}: {matcher} is not understood here")]
    UnknownMatcher { field: String, matcher: String },
}

#[derive(Clone, Debug)]
enum Test {
    /// One of these must match.
    AnyOf(Vec<Matcher>),
    Fields(FilterPattern),
}

#[derive(Clone, Debug)]
enum Matcher {
    Equals(Value),
    Prefix(String),
    Exists(bool),
    AnythingBut(Vec<Value>),
}

impl FromStr for FilterPattern {
    type Err = InvalidPattern;

    fn from_str(pattern: &str) -> Result<Self, InvalidPattern> {
        match serde_json::from_str(pattern)? {
            Value::Object(fields) => Self::parse(fields),
            _ => Err(InvalidPattern::NotAnObject),
        }
    }
}

impl FilterPattern {
    fn parse(fields: Map<String, Value>) -> Result<Self, InvalidPattern> {
        if fields.is_empty() {
            return Err(InvalidPattern::NotAnObject);
        }
        let fields = fields
            .into_iter()
            .map(|(field, test)| {
                let test = Test::parse(&field, test)?;
                Ok((field, test))
            })
            .collect::<Result<_, InvalidPattern>>()?;
        Ok(Self { fields })
    }

    /// Whether every field of the pattern matches the event's.
    pub fn matches(&self, event: &Value) -> bool {
        self.fields
            .iter()
            .all(|(field, test)| test.matches(event.get(field)))
    }
}

impl Test {
    fn parse(field: &str, test: Value) -> Result<Self, InvalidPattern> {
        match test {
            // `$or` and its like are operators, not fields.
            _ if field.starts_with('$') => Err(InvalidPattern::UnknownMatcher {
                field: "the pattern".to_owned(),
                matcher: field.to_owned(),
            }),
            Value::Array(matchers) if !matchers.is_empty() => matchers
                .into_iter()
                .map(|matcher| Matcher::parse(field, matcher))
                .collect::<Result<_, _>>()
                .map(Self::AnyOf),
            Value::Object(fields) => FilterPattern::parse(fields).map(Self::Fields),
            _ => Err(InvalidPattern::NotATest {
                field: field.to_owned(),
            }),
        }
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        match self {
            Self::AnyOf(matchers) => matchers.iter().any(|matcher| matcher.matches(value)),
            // Through an absent object, so that `exists: false` holds below it.
            Self::Fields(pattern) => pattern.matches(value.unwrap_or(&Value::Null)),
        }
    }
}

impl Matcher {
    fn parse(field: &str, matcher: Value) -> Result<Self, InvalidPattern> {
        let unknown = |matcher: &Value| InvalidPattern::UnknownMatcher {
            field: field.to_owned(),
            matcher: matcher.to_string(),
        };
        let operator = match matcher {
            Value::Object(operator) => operator,
            Value::Array(_) => return Err(unknown(&matcher)),
            scalar => return Ok(Self::Equals(scalar)),
        };
        let mut operands = operator.iter();
        let parsed = match (operands.next(), operands.next()) {
            (Some((name, operand)), None) => Self::parse_operator(name, operand),
            _ => None,
        };
        parsed.ok_or_else(|| unknown(&Value::Object(operator)))
    }

    fn parse_operator(name: &str, operand: &Value) -> Option<Self> {
        match (name, operand) {
            ("prefix", Value::String(prefix)) => Some(Self::Prefix(prefix.clone())),
            ("exists", Value::Bool(exists)) => Some(Self::Exists(*exists)),
            ("anything-but", Value::Array(values)) if !values.is_empty() && values.iter().all(is_scalar) => {
                Some(Self::AnythingBut(values.clone()))
            }
            ("anything-but", value) if is_scalar(value) => Some(Self::AnythingBut(vec![value.clone()])),
            _ => None,
        }
    }

    fn matches(&self, value: Option<&Value>) -> bool {
        match (self, value) {
            // Only leaves exist: an object is a path, not a value.
            (Self::Exists(exists), value) => *exists == value.is_some_and(|value| !value.is_object()),
            (_, None) => false,
            (Self::AnythingBut(refused), Some(Value::Array(values))) => {
                !values.iter().any(|value| refused.contains(value))
            }
            (_, Some(Value::Array(values))) => values.iter().any(|value| self.matches(Some(value))),
            (Self::Equals(expected), Some(value)) => expected == value,
            (Self::Prefix(prefix), Some(value)) => {
                value.as_str().is_some_and(|text| text.starts_with(prefix))
            }
            (Self::AnythingBut(refused), Some(value)) => is_scalar(value) && !refused.contains(value),
        }
    }
}

fn is_scalar(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

#[cfg(test)]
mod tests {
    use super::FilterPattern;

    const EVENT: &str = r#"{
        "eventName": "INSERT",
        "count": 3,
        "flag": true,
        "nothing": null,
        "tags": ["red", "blue"],
        "dynamodb": { "NewImage": { "user_id": { "S": "~heartbeat" } } }
    }"#;

    #[track_caller]
    fn check(pattern: &str, expected: bool) {
        let event = serde_json::from_str(EVENT).expect("JSON");
        let pattern: FilterPattern = pattern.parse().expect("a pattern");
        assert_eq!(pattern.matches(&event), expected, "{pattern:?}");
    }

    #[test]
    fn matches_as_eventbridge_does() {
        check(r#"{"eventName": ["INSERT"]}"#, true);
        check(r#"{"eventName": ["MODIFY", "INSERT"]}"#, true);
        check(r#"{"eventName": ["MODIFY", "REMOVE"]}"#, false);
        check(r#"{"eventName": ["insert"]}"#, false);
        check(r#"{"eventName": ["INSERT"], "count": [4]}"#, false);
        check(r#"{"count": [3]}"#, true);
        check(r#"{"count": ["3"]}"#, false);
        check(r#"{"flag": [true], "nothing": [null]}"#, true);
        check(r#"{"absent": [null]}"#, false);

        check(r#"{"eventName": [{"prefix": "INS"}]}"#, true);
        check(r#"{"eventName": [{"prefix": "SERT"}]}"#, false);
        check(r#"{"count": [{"prefix": "3"}]}"#, false);

        check(r#"{"eventName": [{"exists": true}]}"#, true);
        check(r#"{"eventName": [{"exists": false}]}"#, false);
        check(r#"{"absent": [{"exists": false}]}"#, true);
        check(r#"{"absent": {"below": [{"exists": false}]}}"#, true);
        check(r#"{"absent": {"below": [{"exists": true}]}}"#, false);
        check(r#"{"dynamodb": [{"exists": true}]}"#, false);

        check(r#"{"eventName": [{"anything-but": "REMOVE"}]}"#, true);
        check(
            r#"{"eventName": [{"anything-but": ["REMOVE", "INSERT"]}]}"#,
            false,
        );
        check(r#"{"absent": [{"anything-but": "x"}]}"#, false);

        check(r#"{"tags": ["blue"]}"#, true);
        check(r#"{"tags": ["green"]}"#, false);
        check(r#"{"tags": [{"anything-but": "blue"}]}"#, false);

        check(
            r#"{"dynamodb": {"NewImage": {"user_id": {"S": ["~heartbeat"]}}}}"#,
            true,
        );
        check(
            r#"{"dynamodb": {"NewImage": {"user_id": {"S": [{"prefix": "~"}]}}}}"#,
            true,
        );
        check(
            r#"{"dynamodb": {"OldImage": {"user_id": {"S": ["~heartbeat"]}}}}"#,
            false,
        );
    }

    #[track_caller]
    fn check_refused(pattern: &str, reason: &str) {
        let error = pattern.parse::<FilterPattern>().expect_err(pattern);
        assert!(error.to_string().contains(reason), "{error}");
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        check_refused("eventName", "is JSON");
        check_refused("[]", "is a JSON object");
        check_refused("{}", "at least one field");
        check_refused(r#"{"eventName": "INSERT"}"#, "takes an array");
        check_refused(r#"{"eventName": []}"#, "takes an array");
        check_refused(r#"{"a": {"b": 1}}"#, "b: a field takes an array");
        check_refused(r#"{"a": [["x"]]}"#, "not understood");
        check_refused(
            r#"{"a": [{"suffix": "x"}]}"#,
            r#"{"suffix":"x"} is not understood"#,
        );
        check_refused(r#"{"a": [{"prefix": "x", "exists": true}]}"#, "not understood");
        check_refused(r#"{"a": [{"exists": "yes"}]}"#, "not understood");
        check_refused(r#"{"a": [{"anything-but": {"prefix": "x"}}]}"#, "not understood");
        check_refused(
            r#"{"$or": [{"a": ["x"]}, {"b": ["y"]}]}"#,
            "$or is not understood",
        );
    }
}
