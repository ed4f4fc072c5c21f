//! Calls that a table answers although it refuses a part of them: statements of a batch and keys of a read.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::plan::Draw;
use crate::answer::Answer;
use crate::dynamodb::written_table;

#[derive(Debug)]
pub(crate) struct PartlyRefused {
    /// The body of the call that takes effect. `None` if all of it is refused.
    pub(crate) rest: Option<Bytes>,
    refused: Refused,
}

#[derive(Debug)]
enum Refused {
    /// The answers to some statements, by place. If these statements took effect, the answers replace
    /// those of the table.
    Statements {
        answers: BTreeMap<usize, Value>,
        take_effect: bool,
    },
    /// The requests for the keys that are not read, by table.
    Keys(Map<String, Value>),
}

impl PartlyRefused {
    /// Refuses some statements of a `BatchExecuteStatement`, or all. `None` if the body has none.
    pub(super) fn statements(body: &[u8], code: &str, take_effect: bool, draw: &mut Draw) -> Option<Self> {
        let mut call: Value = serde_json::from_slice(body).ok()?;
        let statements = call.get_mut("Statements")?.as_array_mut()?;
        let chosen = some_of(statements.len(), draw)?;
        let answers = chosen
            .iter()
            .map(|&place| (place, refusal(&statements[place], code)))
            .collect();
        let rest = if take_effect {
            Some(Bytes::copy_from_slice(body))
        } else {
            let mut place = 0..;
            statements.retain(|_| place.next().is_some_and(|place| !chosen.contains(&place)));
            (!statements.is_empty()).then(|| Bytes::from(call.to_string()))
        };
        let refused = Refused::Statements { answers, take_effect };
        Some(Self { rest, refused })
    }

    /// Leaves some keys of a `BatchGetItem` unprocessed. `None` if that would be all: AWS refuses the call
    /// then.
    pub(super) fn keys(body: &[u8], draw: &mut Draw) -> Option<Self> {
        let mut call: Value = serde_json::from_slice(body).ok()?;
        let requests = call.get_mut("RequestItems")?.as_object_mut()?;
        let keys = |request: &Value| request["Keys"].as_array().map_or(0, Vec::len);
        let count = requests.values().map(keys).sum();
        let chosen = some_of(count, draw).filter(|chosen| chosen.len() < count)?;
        let mut unprocessed = Map::new();
        let mut place = 0..;
        for (table, request) in requests.iter_mut() {
            let Some(keys) = request["Keys"].as_array_mut() else {
                continue;
            };
            let (refused, kept): (Vec<_>, Vec<_>) = std::mem::take(keys)
                .into_iter()
                .partition(|_| place.next().is_some_and(|place| chosen.contains(&place)));
            *keys = kept;
            if !refused.is_empty() {
                let mut left = request.clone();
                left["Keys"] = Value::Array(refused);
                unprocessed.insert(table.clone(), left);
            }
        }
        requests.retain(|_, request| keys(request) > 0);
        Some(Self {
            rest: Some(Bytes::from(call.to_string())),
            refused: Refused::Keys(unprocessed),
        })
    }

    /// The answer to the whole call, from the answer to its rest.
    pub(crate) fn complete(self, answer: Option<Answer>) -> Answer {
        let Some(answer) = answer else {
            return self.merge(json!({}));
        };
        match serde_json::from_slice(&answer.body) {
            Ok(document) if answer.status == StatusCode::OK => self.merge(document),
            _ => answer,
        }
    }

    fn merge(self, mut document: Value) -> Answer {
        match self.refused {
            Refused::Statements { answers, take_effect } => {
                let mut responses = match document["Responses"].take() {
                    Value::Array(responses) => responses,
                    _ => Vec::new(),
                };
                // In ascending order, so each goes to its place in the whole call.
                for (place, refusal) in answers {
                    if take_effect {
                        responses[place] = refusal;
                    } else {
                        responses.insert(place, refusal);
                    }
                }
                document["Responses"] = Value::Array(responses);
            }
            Refused::Keys(keys) => document["UnprocessedKeys"] = Value::Object(keys),
        }
        Answer {
            status: StatusCode::OK,
            query_error: None,
            body: Bytes::from(document.to_string()),
        }
    }
}

/// Places in a list of this length: one, and each of the others in one of four cases. `None` if the list is
/// empty.
fn some_of(length: usize, draw: &mut Draw) -> Option<Vec<usize>> {
    if length == 0 {
        return None;
    }
    let surely = draw.below(length as u64);
    let chosen = (0..length).filter(|&place| place as u64 == surely || draw.below(4) == 0);
    Some(chosen.collect())
}

fn refusal(statement: &Value, code: &str) -> Value {
    let table = statement["Statement"].as_str().and_then(written_table);
    json!({
        "Error": { "Code": code, "Message": "The local stack injected a fault." },
        "TableName": table,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(count: usize) -> Vec<u8> {
        let statement = |at| json!({ "Statement": format!("INSERT INTO \"t\" VALUE {{'k': '{at}'}}") });
        let statements: Vec<Value> = (0..count).map(statement).collect();
        json!({ "Statements": statements }).to_string().into_bytes()
    }

    /// Answers as a table that executes each statement, by its text.
    fn execute(rest: &Bytes) -> Answer {
        let call: Value = serde_json::from_slice(rest).expect("JSON");
        let statements = call["Statements"].as_array().expect("statements");
        let done: Vec<Value> = statements
            .iter()
            .map(|statement| json!({ "TableName": statement["Statement"] }))
            .collect();
        ok(&json!({ "Responses": done, "ConsumedCapacity": [] }))
    }

    fn ok(document: &Value) -> Answer {
        Answer {
            status: StatusCode::OK,
            query_error: None,
            body: Bytes::from(document.to_string()),
        }
    }

    /// Checks that each statement is done or refused, at its place. Returns how many were refused.
    fn refused(count: usize, draw: u64) -> usize {
        let body = statements(count);
        let mut part = PartlyRefused::statements(&body, "ThrottlingError", false, &mut Draw(draw))
            .expect("there are statements");
        let answer = part.rest.take().map(|rest| execute(&rest));
        let document: Value = serde_json::from_slice(&part.complete(answer).body).expect("JSON");
        let answers = document["Responses"].as_array().expect("answers");
        assert_eq!(answers.len(), count);
        let mut refused = 0;
        for (at, answer) in answers.iter().enumerate() {
            match answer["Error"]["Code"].as_str() {
                Some(code) => {
                    assert_eq!((code, &answer["TableName"]), ("ThrottlingError", &json!("t")));
                    refused += 1;
                }
                None => assert!(
                    answer["TableName"]
                        .as_str()
                        .is_some_and(|text| text.contains(&format!("'{at}'"))),
                    "{document}"
                ),
            }
        }
        refused
    }

    #[test]
    fn a_part_of_the_statements_is_refused_each_at_its_place() {
        for count in [1, 2, 25] {
            let seen: Vec<usize> = (0..200).map(|draw| refused(count, draw)).collect();
            assert!(seen.iter().all(|seen| (1..=count).contains(seen)), "{seen:?}");
            assert!(count < 3 || seen.iter().any(|&seen| seen > 1), "{seen:?}");
        }
        assert!(PartlyRefused::statements(&statements(0), "c", false, &mut Draw(1)).is_none());
        assert!(PartlyRefused::statements(b"{", "c", false, &mut Draw(1)).is_none());
    }

    #[test]
    fn an_error_may_stand_for_a_statement_that_took_effect() {
        let body = statements(3);
        let mut part = PartlyRefused::statements(&body, "InternalServerError", true, &mut Draw(1))
            .expect("there are statements");
        let rest = part.rest.take().expect("all of it");
        assert_eq!(rest, body);
        let document: Value =
            serde_json::from_slice(&part.complete(Some(execute(&rest))).body).expect("JSON");
        let answers = document["Responses"].as_array().expect("answers");
        assert_eq!(answers.len(), 3);
        assert!(
            answers.iter().any(|answer| answer["Error"].is_object()),
            "{document}"
        );
    }

    #[test]
    fn what_the_table_refuses_as_a_whole_stays_refused() {
        let body = statements(9);
        let part = PartlyRefused::statements(&body, "ThrottlingError", false, &mut Draw(1))
            .expect("there are statements");
        let refused = Answer {
            status: StatusCode::BAD_REQUEST,
            ..ok(&json!({ "__type": "ValidationException" }))
        };
        assert_eq!(part.complete(Some(refused)).status, StatusCode::BAD_REQUEST);
    }

    #[test]
    fn each_key_is_read_or_unprocessed_and_never_all_are() {
        let keys = |count: usize| {
            (0..count)
                .map(|at| json!({ "k": { "S": at.to_string() } }))
                .collect()
        };
        let body = |counts: [usize; 2]| {
            let [a, b]: [Vec<Value>; 2] = counts.map(keys);
            let call = json!({ "RequestItems": {
                "a": { "Keys": a, "ConsistentRead": true }, "b": { "Keys": b } } });
            call.to_string()
        };
        let count = |requests: &Value| -> usize {
            let requests = requests.as_object().expect("requests");
            let keys = requests
                .values()
                .map(|request| request["Keys"].as_array().expect("keys"));
            keys.inspect(|keys| assert!(!keys.is_empty())).map(Vec::len).sum()
        };
        for draw in 0..200 {
            let Some(mut part) = PartlyRefused::keys(body([2, 3]).as_bytes(), &mut Draw(draw)) else {
                continue;
            };
            let rest = part.rest.take().expect("some");
            let call: Value = serde_json::from_slice(&rest).expect("JSON");
            let answer = part.complete(Some(ok(&json!({ "Responses": {}, "UnprocessedKeys": {} }))));
            let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
            let unprocessed = &answer["UnprocessedKeys"];
            assert_eq!(
                count(&call["RequestItems"]) + count(unprocessed),
                5,
                "{call} {answer}"
            );
            if let Some(request) = unprocessed.get("a") {
                assert_eq!(request["ConsistentRead"], true);
            }
        }
        assert!(PartlyRefused::keys(body([1, 0]).as_bytes(), &mut Draw(1)).is_none());
    }
}
