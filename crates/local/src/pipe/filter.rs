//! Which records of its stream a pipe sends on.

use std::str::FromStr;

use serde_json::Value;

/// The part of `EventBridge`'s pattern language that this project's pipes use: members of a record, however deep, that
/// are one of several strings. Anything else is refused rather than ignored.
///
/// ```text
/// {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"state": {"S": ["issued"]}}}}
/// ```
#[derive(Clone, Debug)]
pub struct FilterPattern(Pattern);

#[derive(Clone, Debug)]
enum Pattern {
    All(Vec<(String, Pattern)>),
    OneOf(Vec<String>),
}

#[derive(Debug, thiserror::Error)]
pub enum InvalidPattern {
    #[error("a filter pattern must be a JSON object: {0}")]
    Json(#[from] serde_json::Error),
    #[error("a filter pattern must be a JSON object with at least one member")]
    NoObject,
    #[error("{member}: {pattern} is not understood here: the local pipe compares whole strings only")]
    NotUnderstood { member: String, pattern: Value },
}

impl FromStr for FilterPattern {
    type Err = InvalidPattern;

    fn from_str(pattern: &str) -> Result<Self, InvalidPattern> {
        let pattern: Value = serde_json::from_str(pattern)?;
        if !pattern.is_object() {
            return Err(InvalidPattern::NoObject);
        }
        Pattern::parse("", pattern).map(Self)
    }
}

impl FilterPattern {
    /// Whether a record, as a pipe delivers it, matches.
    pub fn matches(&self, record: &Value) -> bool {
        self.0.matches(record)
    }
}

impl Pattern {
    /// `member` names where the pattern stands.
    fn parse(member: &str, pattern: Value) -> Result<Self, InvalidPattern> {
        match pattern {
            Value::Object(members) if !members.is_empty() => {
                let members = members.into_iter().map(|(name, pattern)| {
                    let path = if member.is_empty() {
                        name.clone()
                    } else {
                        format!("{member}.{name}")
                    };
                    if name.starts_with('$') {
                        return Err(InvalidPattern::NotUnderstood {
                            member: path,
                            pattern,
                        });
                    }
                    Ok((name, Self::parse(&path, pattern)?))
                });
                Ok(Self::All(members.collect::<Result<_, _>>()?))
            }
            Value::Object(_) if member.is_empty() => Err(InvalidPattern::NoObject),
            Value::Array(strings) if !strings.is_empty() => {
                let strings = strings.into_iter().map(|string| match string {
                    Value::String(string) => Ok(string),
                    pattern => Err(InvalidPattern::NotUnderstood {
                        member: member.to_owned(),
                        pattern,
                    }),
                });
                Ok(Self::OneOf(strings.collect::<Result<_, _>>()?))
            }
            pattern => Err(InvalidPattern::NotUnderstood {
                member: member.to_owned(),
                pattern,
            }),
        }
    }

    fn matches(&self, value: &Value) -> bool {
        match self {
            Self::All(members) => members
                .iter()
                .all(|(name, pattern)| pattern.matches(&value[name])),
            Self::OneOf(strings) => {
                let value = value.as_str();
                value.is_some_and(|value| strings.iter().any(|string| string == value))
            }
        }
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

        let issued =
            r#"{"eventName": ["INSERT"], "dynamodb": {"NewImage": {"state": {"S": ["issued", "revoked"]}}}}"#;
        let record = |event: &str, state: &str| json!({ "eventName": event, "dynamodb": { "NewImage": { "state": { "S": state } } } });
        check(issued, &record("INSERT", "issued"), true);
        check(issued, &record("INSERT", "provisional"), false);
        check(issued, &record("REMOVE", "issued"), false);
        check(issued, &insert, false);
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
        check_refused("{}", "must be a JSON object with at least one member");
        check_refused(
            r#"{"eventName": "INSERT"}"#,
            r#"eventName: "INSERT" is not understood"#,
        );
        check_refused(r#"{"eventName": []}"#, "eventName: [] is not understood");
        check_refused(r#"{"dynamodb": {}}"#, "dynamodb: {} is not understood");
        check_refused(
            r#"{"dynamodb": {"NewImage": {"points": {"N": [{"numeric": [">", 3]}]}}}}"#,
            "dynamodb.NewImage.points.N: {",
        );
        check_refused(r#"{"$or": [{"a": ["x"]}, {"b": ["y"]}]}"#, "$or: [");

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
