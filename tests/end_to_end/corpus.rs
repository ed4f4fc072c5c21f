//! Bad inputs that a fuzzer has found: none crashes a function, and each has its named error.
//!
//! The fuzzer runs for a moment with the other tests, and `PODIUM_FUZZ_SECONDS` long if that is set.
//! With `PODIUM_WRITE_CORPUS=1` what it finds is added to `tests/corpus`, and what is there is renewed.

mod case;
mod fuzz;
mod json;
mod mutation;
mod outcome;

use std::collections::BTreeSet;

use case::{Case, Parser};
use local::sqs::AttributeValue;
use outcome::{NamedError, Outcome, is_message, message_of};
use serde_json::Value;

use crate::stack::TestStack;
use crate::tables::Functions;

const CASES_MIN: usize = 500;
const BYTES_MAX: u64 = 400 * 1024;

#[test]
fn every_bad_input_has_its_named_error() {
    let mut cases = 0;
    let mut bytes = 0;
    for parser in Parser::EVERY {
        let corpus = parser.corpus();
        for case in &corpus {
            assert!(!case.errors.is_empty(), "{case:?} has no error");
            assert_eq!(
                parser.judge(&case.input).named(),
                case.named(),
                "{parser:?} {:?}",
                case.input
            );
        }
        let inputs: BTreeSet<_> = corpus.iter().map(|case| &case.input).collect();
        assert_eq!(inputs.len(), corpus.len(), "an input is there twice");
        cases += corpus.len();
        bytes += parser.corpus_bytes();
    }
    assert!(cases >= CASES_MIN, "only {cases} cases");
    assert!(bytes <= BYTES_MAX, "{bytes} bytes");
}

#[test]
fn no_input_crashes_a_parser_or_has_an_error_without_a_name() {
    for parser in Parser::EVERY {
        fuzz::run(parser);
    }
}

fn good_message() -> String {
    let image = r#"{"user_id":{"S":"good"},"activity_id":{"S":"1"},"program_id":{"S":"p"},"kind":{"S":"task_completed"},"occurred_at":{"S":"2026-11-21T09:00:00Z"},"received_at":{"S":"2026-11-21T09:00:01Z"},"schema_version":{"N":"1"}}"#;
    format!(r#"{{"eventName":"INSERT","dynamodb":{{"NewImage":{image}}}}}"#)
}

/// Delivers all messages at once, with a good one in their midst. The bad ones are dead letters with
/// their reasons, the good one is counted, and none is delivered again.
async fn check_dead_letters(cases: Vec<(String, NamedError)>) {
    let functions = Functions::start("Europe/Berlin").await;
    let now = "2026-11-21T10:00:00Z".parse().expect("a time");
    let (before, after) = cases.split_at(cases.len() / 2);
    let body = |(body, _): &(String, NamedError)| body.clone();
    let bodies = before
        .iter()
        .map(body)
        .chain([good_message()])
        .chain(after.iter().map(body));
    let again = functions.deliver(bodies.collect(), now).await;
    assert!(again.is_empty(), "to be delivered again: {again:?}");

    functions.publish(now).await;
    let board = functions.board("/v1/boards/global", now).await;
    assert_eq!(crate::tables::render(&board), "1.good=10/1");

    let letters = functions.all_dead_letters().await;
    let letters = letters.iter().map(|letter| {
        let attribute = |name: &str| match letter.attributes()[name].value() {
            AttributeValue::Text(text) => text.clone(),
            AttributeValue::Binary(_) => panic!("{name} is no text"),
        };
        (
            letter.body().to_owned(),
            NamedError::of(&attribute("reason_code"), &attribute("reason")),
        )
    });
    let expected = cases.into_iter().map(|(body, error)| {
        let body = if body.is_empty() {
            "(empty)".to_owned()
        } else {
            body
        };
        (body, error)
    });
    let (mut letters, mut expected): (Vec<_>, Vec<_>) = (letters.collect(), expected.collect());
    letters.sort();
    expected.sort();
    assert_eq!(letters, expected);
}

#[tokio::test]
async fn every_bad_message_is_a_dead_letter_and_the_good_one_between_them_counts() {
    let corpus = Parser::QueueMessage.corpus().into_iter();
    let cases = corpus.map(|case| (case.input.text().to_owned(), case.errors[0].clone()));
    check_dead_letters(cases.collect()).await;
}

/// As far as the pipe sends them on.
#[tokio::test]
async fn every_bad_record_is_a_dead_letter_and_the_good_one_between_them_counts() {
    let corpus = Parser::StreamRecord.corpus().into_iter();
    let cases = corpus.filter_map(|case| {
        let message = message_of(case.input.text()).ok()?;
        is_message(&message).then(|| (message, case.errors[0].clone()))
    });
    let cases: Vec<_> = cases.collect();
    assert!(!cases.is_empty());
    check_dead_letters(cases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_body_is_refused_by_a_running_function_that_goes_on_running() {
    let stack = TestStack::start(|config| config.max_activity_age = "31".into()).await;
    let stats = |stack: &TestStack| stack.stack.lambda.stats("ingest").expect("there is ingestion");
    for Case {
        input,
        status,
        errors,
    } in Parser::HttpBody.corpus()
    {
        let request = stack.http.post(format!("{}/v1/activities", stack.stack.web_url));
        let request = request
            .header("content-type", "application/json")
            .body(input.bytes().to_vec());
        let response = request.send().await.expect("the stack answers");
        let answered = response.status().as_u16();
        let answer: Value = response.json().await.expect("JSON");
        let got = Outcome::of_answer(answered, &answer);
        assert_eq!(
            (got.status, got.errors),
            (status, errors),
            "{input:?} gave {answer}"
        );
    }
    let stats = stats(&stack);
    assert_eq!(
        (stats.errors, stats.timeouts, stats.crashes),
        (0, 0, 0),
        "{stats:?}"
    );
    stack.stop().await;
}
