//! Faults of the calls that functions make to tables and queues, in the shapes that AWS uses.

use std::time::Duration;

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use bytes::Bytes;
use local_lambda::ACCESS_KEY_ID;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::{Value, json};

use super::kind::Fault;
use super::partial::PartlyRefused;
use super::plan::{Draw, Faults};
use crate::answer::Answer;
use crate::dynamodb::written_table;

/// Whether a call is signed with the functions' key. Faults affect only such calls, not those of the
/// stack itself or of `podium chaos` when it checks the result.
pub(crate) fn calls_from_function(headers: &HeaderMap) -> bool {
    let credential = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once("Credential="));
    credential
        .and_then(|(_, scope)| scope.split_once('/'))
        .is_some_and(|(key_id, _)| key_id == ACCESS_KEY_ID)
}

#[derive(Debug)]
pub(crate) enum CallFault {
    Refused(Answer),
    /// The rest of the call takes effect.
    PartlyRefused(PartlyRefused),
    CutBefore,
    CutAfter,
    /// One pause before the call takes effect, and one before it is answered.
    Slow {
        before: Duration,
        after: Duration,
    },
}

const TRANSACTION: &str = "TransactWriteItems";
const STATEMENTS: &str = "BatchExecuteStatement";
const KEYS: &str = "BatchGetItem";

/// The operations that can conflict: nothing else writes the items that transactions write.
const CONFLICTING: [&str; 2] = [TRANSACTION, STATEMENTS];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Service {
    DynamoDb,
    Sqs,
}

/// Most slow answers are still in time.
const SLOW: std::ops::Range<Duration> = Duration::from_millis(50)..Duration::from_millis(800);
/// The others exceed the 3 s that a function waits.
const TOO_SLOW: std::ops::Range<Duration> = Duration::from_millis(3_000)..Duration::from_millis(4_500);
/// One in this many slow answers is too slow.
const TOO_SLOW_ONE_IN: u64 = 8;

/// The faults of calls, in the order in which they are drawn. The first one drawn is injected.
const OF_CALLS: [Fault; 6] = [
    Fault::Throttle,
    Fault::ServerError,
    Fault::Conflict,
    Fault::Slow,
    Fault::CutBefore,
    Fault::CutAfter,
];

impl Faults {
    /// Draws the fault of a function's call. `service` is the part of `X-Amz-Target` before the operation.
    pub(crate) fn of_call(&self, service: &str, operation: &str, body: &[u8]) -> Option<CallFault> {
        let service = match service {
            "DynamoDB_20120810" => Service::DynamoDb,
            "AmazonSQS" => Service::Sqs,
            _ => return None,
        };
        let (fault, draw) = OF_CALLS.into_iter().find_map(|fault| {
            let can_affect = fault != Fault::Conflict || CONFLICTING.contains(&operation);
            let draw = can_affect.then(|| self.draw_for_call(fault, operation, body))?;
            Some((fault, draw?))
        })?;
        self.count(fault);
        Some(call_fault(fault, draw, service, operation, body))
    }

    fn draw_for_call(&self, fault: Fault, operation: &str, body: &[u8]) -> Option<Draw> {
        let written = || {
            if writes(operation) {
                tables(body)
            } else {
                Vec::new()
            }
        };
        self.draw_for_write(fault, written)
    }
}

fn call_fault(fault: Fault, mut draw: Draw, service: Service, operation: &str, body: &[u8]) -> CallFault {
    match fault {
        Fault::CutBefore => CallFault::CutBefore,
        Fault::CutAfter => CallFault::CutAfter,
        Fault::Slow => {
            let range = if draw.below(TOO_SLOW_ONE_IN) == 0 {
                TOO_SLOW
            } else {
                SLOW
            };
            let pause = draw.within(range);
            if draw.below(2) == 0 {
                CallFault::Slow {
                    before: pause,
                    after: Duration::ZERO,
                }
            } else {
                CallFault::Slow {
                    before: Duration::ZERO,
                    after: pause,
                }
            }
        }
        _ => match service {
            Service::DynamoDb => match refused_in_part(fault, &mut draw, operation, body) {
                Some(part) => CallFault::PartlyRefused(part),
                None => CallFault::Refused(refused_by_table(fault, draw, operation, body)),
            },
            Service::Sqs => CallFault::Refused(refused_by_queue(fault)),
        },
    }
}

fn writes(operation: &str) -> bool {
    let others = ["PutItem", "UpdateItem", "DeleteItem", "BatchWriteItem"];
    CONFLICTING.contains(&operation) || others.contains(&operation)
}

/// Refuses a part of a call that AWS does not refuse as a whole. A table throttles whole calls as often.
fn refused_in_part(fault: Fault, draw: &mut Draw, operation: &str, body: &[u8]) -> Option<PartlyRefused> {
    match (operation, fault) {
        (STATEMENTS, Fault::Conflict) => PartlyRefused::statements(body, "TransactionConflict", false, draw),
        (STATEMENTS, Fault::Throttle) if draw.below(2) == 0 => {
            let codes = ["ThrottlingError", "ProvisionedThroughputExceeded"];
            let code = codes[usize::from(draw.below(2) == 0)];
            PartlyRefused::statements(body, code, false, draw)
        }
        (STATEMENTS, Fault::ServerError) if draw.below(2) == 0 => {
            let take_effect = draw.below(2) == 0;
            PartlyRefused::statements(body, "InternalServerError", take_effect, draw)
        }
        (KEYS, Fault::Throttle) if draw.below(2) == 0 => PartlyRefused::keys(body, draw),
        _ => None,
    }
}

fn refused_by_table(fault: Fault, mut draw: Draw, operation: &str, body: &[u8]) -> Answer {
    const MODEL: &str = "com.amazonaws.dynamodb.v20120810";
    let is_transaction = operation == TRANSACTION;
    let (status, shape) = match fault {
        Fault::ServerError => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError"),
        Fault::Conflict if draw.below(4) == 0 => (StatusCode::BAD_REQUEST, "TransactionInProgressException"),
        Fault::Conflict => return cancelled(body, "TransactionConflict", draw),
        _ if is_transaction && draw.below(2) == 0 => return cancelled(body, "ThrottlingError", draw),
        _ if draw.below(2) == 0 => {
            let shape = "com.amazon.coral.availability#ThrottlingException";
            let message = "Rate of requests exceeds the allowed throughput.";
            return refusal(
                StatusCode::BAD_REQUEST,
                &json!({ "__type": shape, "message": message }),
            );
        }
        _ if operation == STATEMENTS => (StatusCode::BAD_REQUEST, "RequestLimitExceeded"),
        _ => (StatusCode::BAD_REQUEST, "ProvisionedThroughputExceededException"),
    };
    let message = format!("The local stack injected a fault: {fault}.");
    refusal(
        status,
        &json!({ "__type": format!("{MODEL}#{shape}"), "message": message }),
    )
}

/// A transaction that is cancelled because of one of its actions.
fn cancelled(body: &[u8], code: &str, mut draw: Draw) -> Answer {
    #[derive(Deserialize)]
    struct Transaction {
        #[serde(rename = "TransactItems")]
        items: Vec<IgnoredAny>,
    }
    let actions =
        serde_json::from_slice::<Transaction>(body).map_or(0, |transaction| transaction.items.len());
    let chosen = draw.below(actions.max(1) as u64);
    let reasons: Vec<Value> = (0..actions as u64)
        .map(|at| {
            if at == chosen {
                json!({ "Code": code, "Message": "The local stack injected a fault." })
            } else {
                json!({ "Code": "None" })
            }
        })
        .collect();
    refusal(
        StatusCode::BAD_REQUEST,
        &json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "Message": format!("Transaction cancelled, please refer cancellation reasons for specific reasons [{code}]"),
            "CancellationReasons": reasons,
        }),
    )
}

fn refused_by_queue(fault: Fault) -> Answer {
    let (status, shape, code, blame) = match fault {
        Fault::ServerError => (
            StatusCode::INTERNAL_SERVER_ERROR,
            "com.amazon.coral.service#InternalFailure",
            "InternalFailure",
            "Receiver",
        ),
        _ => (
            StatusCode::BAD_REQUEST,
            "com.amazonaws.sqs#RequestThrottled",
            "RequestThrottled",
            "Sender",
        ),
    };
    let message = format!("The local stack injected a fault: {fault}.");
    Answer {
        query_error: Some(format!("{code};{blame}")),
        ..refusal(status, &json!({ "__type": shape, "message": message }))
    }
}

fn refusal(status: StatusCode, document: &Value) -> Answer {
    Answer {
        status,
        query_error: None,
        body: Bytes::from(document.to_string()),
    }
}

/// The tables that a write names, at any depth of its document.
fn tables(body: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![serde_json::from_slice::<Value>(body).unwrap_or_default()];
    while let Some(value) = left.pop() {
        match value {
            Value::Object(fields) => {
                for (name, value) in fields {
                    match (name.as_str(), value) {
                        ("TableName", Value::String(table)) => found.push(table),
                        ("Statement", Value::String(statement)) => {
                            found.extend(written_table(&statement).map(str::to_owned));
                        }
                        // User data, which may contain the same names.
                        ("Item" | "Key" | "ExpressionAttributeValues" | "Parameters", _) => {}
                        ("RequestItems", Value::Object(tables)) => {
                            found.extend(tables.into_iter().map(|(table, _)| table));
                        }
                        (_, value) => left.push(value),
                    }
                }
            }
            Value::Array(values) => left.extend(values),
            _ => {}
        }
    }
    found.sort_unstable();
    found.dedup();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRITES: &[u8] = br#"{"TransactItems":[
        {"Put":{"TableName":"dedup","Item":{"TableName":{"S":"no"}}}},
        {"Update":{"TableName":"standings","Key":{"shard":{"S":"1"}}}}]}"#;

    const STATEMENTS_TO_DEDUP: &[u8] = br#"{"Statements":[
        {"Statement":"INSERT INTO \"dedup\" VALUE {'a': ?}","Parameters":[{"S":"UPDATE \"standings\" SET"}]},
        {"Statement":"UPDATE \"dedup\" SET n = ? WHERE a = ?","Parameters":[{"N":"1"},{"S":"b"}]}]}"#;
    const READS: &[u8] =
        br#"{"RequestItems":{"standings":{"Keys":[{"a":{"S":"1"}},{"a":{"S":"2"}}],"ConsistentRead":true}}}"#;

    fn refused(fault: Fault, draw: u64, service: Service, operation: &str) -> String {
        let body = match operation {
            STATEMENTS => STATEMENTS_TO_DEDUP,
            KEYS => READS,
            _ => WRITES,
        };
        let answer = match call_fault(fault, Draw(draw), service, operation, body) {
            CallFault::Refused(answer) => answer,
            CallFault::PartlyRefused(_) => return "200 in part".to_owned(),
            injected => panic!("{injected:?}"),
        };
        let document: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let shape = document["__type"].as_str().expect("a type");
        let reasons = document["CancellationReasons"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let codes: Vec<&str> = reasons
            .iter()
            .filter_map(|reason| reason["Code"].as_str())
            .collect();
        let shape = shape.rsplit('#').next().unwrap_or_default();
        format!("{} {shape} {}", answer.status.as_u16(), codes.join(","))
            .trim_end()
            .to_owned()
    }

    /// Checks all forms of a fault.
    fn check(fault: Fault, service: Service, operation: &str, expected: &[&str]) {
        let mut forms: Vec<String> = (0..64)
            .map(|draw| refused(fault, draw, service, operation))
            .collect();
        forms.sort_unstable();
        forms.dedup();
        assert_eq!(forms, expected, "{fault} of {operation}");
    }

    #[test]
    fn refusals_have_the_shapes_of_aws() {
        use Service::{DynamoDb, Sqs};
        check(
            Fault::Throttle,
            DynamoDb,
            "PutItem",
            &[
                "400 ProvisionedThroughputExceededException",
                "400 ThrottlingException",
            ],
        );
        check(
            Fault::Throttle,
            DynamoDb,
            "TransactWriteItems",
            &[
                "400 ProvisionedThroughputExceededException",
                "400 ThrottlingException",
                "400 TransactionCanceledException None,ThrottlingError",
                "400 TransactionCanceledException ThrottlingError,None",
            ],
        );
        check(
            Fault::Conflict,
            DynamoDb,
            "TransactWriteItems",
            &[
                "400 TransactionCanceledException None,TransactionConflict",
                "400 TransactionCanceledException TransactionConflict,None",
                "400 TransactionInProgressException",
            ],
        );
        check(
            Fault::Throttle,
            DynamoDb,
            STATEMENTS,
            &[
                "200 in part",
                "400 RequestLimitExceeded",
                "400 ThrottlingException",
            ],
        );
        check(
            Fault::Throttle,
            DynamoDb,
            KEYS,
            &[
                "200 in part",
                "400 ProvisionedThroughputExceededException",
                "400 ThrottlingException",
            ],
        );
        check(Fault::Conflict, DynamoDb, STATEMENTS, &["200 in part"]);
        check(
            Fault::ServerError,
            DynamoDb,
            STATEMENTS,
            &["200 in part", "500 InternalServerError"],
        );
        check(Fault::ServerError, DynamoDb, KEYS, &["500 InternalServerError"]);
        check(
            Fault::ServerError,
            DynamoDb,
            "Query",
            &["500 InternalServerError"],
        );
        check(
            Fault::ServerError,
            Sqs,
            "SendMessageBatch",
            &["500 InternalFailure"],
        );
        check(
            Fault::Throttle,
            Sqs,
            "SendMessageBatch",
            &["400 RequestThrottled"],
        );
    }

    #[test]
    fn a_raised_fault_strikes_the_writes_to_its_tables_and_nothing_else() {
        let faults = Faults::from_seed(1, []);
        faults.raise(Fault::Throttle, ["standings", "other"], 1.0);
        let is_affected = |operation, body| faults.of_call("DynamoDB_20120810", operation, body).is_some();
        for _ in 0..100 {
            assert!(is_affected(TRANSACTION, WRITES));
            assert!(!is_affected("PutItem", br#"{"TableName":"activities"}"#));
            assert!(!is_affected("Query", br#"{"TableName":"standings"}"#));
        }
        faults.lower(Fault::Throttle);
        assert!(!is_affected(TRANSACTION, WRITES));
        // Statements name their table in their text.
        for (table, expected) in [("dedup", true), ("standings", false)] {
            faults.raise(Fault::Throttle, [table], 1.0);
            assert_eq!(is_affected(STATEMENTS, STATEMENTS_TO_DEDUP), expected, "{table}");
            assert!(!is_affected(KEYS, READS), "{table}");
            faults.lower(Fault::Throttle);
        }
    }

    #[test]
    fn conflicts_strike_transactions_and_statements_alone() {
        let faults = Faults::from_seed(1, [Fault::Conflict]);
        faults.raise(Fault::Conflict, [], 1.0);
        assert!(faults.of_call("DynamoDB_20120810", TRANSACTION, WRITES).is_some());
        let struck = faults.of_call("DynamoDB_20120810", STATEMENTS, STATEMENTS_TO_DEDUP);
        assert!(struck.is_some());
        assert!(faults.of_call("DynamoDB_20120810", "PutItem", b"{}").is_none());
        assert!(faults.of_call("AmazonSQS", "SendMessageBatch", b"{}").is_none());
    }

    #[test]
    fn a_call_is_a_functions_by_the_key_that_signs_it() {
        let signed_by = |key_id: &str| {
            let value =
                format!("AWS4-HMAC-SHA256 Credential={key_id}/20261121/us-east-1/dynamodb/aws4_request");
            HeaderMap::from_iter([(AUTHORIZATION, value.parse().expect("a header"))])
        };
        assert!(calls_from_function(&signed_by(ACCESS_KEY_ID)));
        assert!(!calls_from_function(&signed_by("local")));
        assert!(!calls_from_function(&HeaderMap::new()));
    }
}
