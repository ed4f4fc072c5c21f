//! What a function that fails leaves for whoever looks for the reason.

use std::fs;

use local::lambda::{FunctionConfig, InvokeError, Lambda};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stack::{TestStack, bin_dir};

const MAPPING: &str = r#"{"table": "Activities", "map": {
    "activity_id": "id", "user_id": "user", "program_id": "program", "kind": "type", "occurred_at": "at"}}"#;

/// Invokes a function once, and returns the type and the message of its failure, which the only error in its log has, too.
async fn failure_of(mut function: FunctionConfig, payload: &Value) -> (String, String) {
    let directory = TempDir::new().expect("a temporary directory");
    let log = directory.path().join("log");
    function.log_file = Some(log.clone());
    let lambda = Lambda::start(vec![function.clone()]).expect("a Lambda service");
    let started = lambda.function(&function.name).expect("the function");
    let answer = started.invoke(payload.to_string().into()).await;
    lambda.stop().await;
    let Err(InvokeError::Unhandled { error_type, message }) = answer else {
        panic!("{}: {answer:?}", function.name)
    };
    let log = fs::read_to_string(&log).expect("a log");
    let lines = log
        .lines()
        .map(|line| serde_json::from_str(line).expect("a line of JSON"));
    let errors: Vec<Value> = lines.filter(|line: &Value| line["level"] == "ERROR").collect();
    let [error] = errors.as_slice() else {
        panic!("{}: {log}", function.name)
    };
    let logged = error["fields"]["message"].as_str().expect("a text");
    assert!(
        logged.contains(&error_type) && logged.contains(&message),
        "{logged}"
    );
    (error_type, message)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_fails_says_why_in_its_log_and_to_lambda() {
    let stack = TestStack::start(|_| {}).await;
    let snapshot = stack.stack.lambda.function("snapshot").expect("the function");
    let mut snapshot = snapshot.config().clone();
    let missing = ("STANDINGS_TABLE".to_owned(), "missing".to_owned());
    snapshot.environment.extend([missing]);
    let (error_type, message) = failure_of(snapshot.clone(), &json!({})).await;
    assert_eq!(error_type, "SnapshotFailed");
    assert!(message.contains("ResourceNotFoundException"), "{message}");

    let mut bridge = snapshot;
    "bridge".clone_into(&mut bridge.name);
    bridge.binary = bin_dir().join(format!("bridge{}", std::env::consts::EXE_SUFFIX));
    let queues = ["EVENT_QUEUE_URL", "QUEUE_URL", "DEAD_LETTER_QUEUE_URL"];
    let queues = queues.map(|name| (name.to_owned(), stack.stack.events_queue.url()));
    bridge.environment.extend(queues);
    let mapping = ("LEGACY_MAPPING".to_owned(), MAPPING.to_owned());
    bridge.environment.extend([mapping]);
    let record = json!({ "Records": [{ "eventSource": "aws:dynamodb", "eventName": "INSERT" }] });
    let (error_type, message) = failure_of(bridge, &record).await;
    assert_eq!(error_type, "BatchUnreadable");
    assert_eq!(message, "missing field `dynamodb`");
    stack.stop().await;
}
