//! Bad inputs, found by the fuzzer or written by hand, each with the error it must produce, and ids that must be
//! accepted. None may crash a function.
//!
//! With the other tests, the fuzzer runs briefly. `PODIUM_FUZZ_SECONDS` sets a longer time. With
//! `PODIUM_WRITE_CORPUS=1` it adds the inputs it finds to `tests/corpus`, and renews those already there.

mod case;
mod fuzz;
mod json;
mod law;
mod mutation;
mod outcome;

use std::collections::BTreeSet;

use case::{Case, Parser};
use outcome::{NamedError, Outcome, is_message, message_of};
use serde_json::Value;

use crate::stack::TestStack;
use crate::tables::{Functions, reason_of};

const CASES_MIN: usize = 1_500;
const BYTES_MAX: u64 = 640 * 1024;

#[test]
fn every_bad_input_has_its_named_error() {
    let mut cases = 0;
    let mut bytes = 0;
    for parser in Parser::EVERY {
        let corpus = parser.corpus();
        for case in &corpus {
            assert!(
                !case.errors.is_empty() || parser == Parser::Id,
                "{case:?} has no error"
            );
            assert_eq!(
                parser.judge(&case.input).named(),
                case.named(),
                "{parser:?} {:?}",
                case.input
            );
        }
        let inputs: BTreeSet<_> = corpus.iter().map(|case| &case.input).collect();
        assert_eq!(inputs.len(), corpus.len(), "an input occurs twice");
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

/// Delivers all messages in one batch, with a good one in the middle. The bad ones become dead letters with
/// their reasons, the good one is counted, and none is deferred.
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
    assert!(again.is_empty(), "deferred: {again:?}");

    functions.publish(now).await;
    let board = functions.board("/v1/boards/global", now).await;
    assert_eq!(crate::tables::render(&board), "1.good=10/1");

    let dead_letters = functions.all_dead_letters().await;
    let dead_letters = dead_letters.iter().map(|dead_letter| {
        let [code, reason] = reason_of(dead_letter);
        (dead_letter.body().to_owned(), NamedError::of(&code, &reason))
    });
    let expected = cases.into_iter().map(|(body, error)| {
        let body = if body.is_empty() {
            "(empty)".to_owned()
        } else {
            body
        };
        (body, error)
    });
    let (mut dead_letters, mut expected): (Vec<_>, Vec<_>) = (dead_letters.collect(), expected.collect());
    dead_letters.sort();
    expected.sort();
    assert_eq!(dead_letters, expected);
}

#[tokio::test]
async fn every_bad_message_is_a_dead_letter_and_the_good_one_between_them_counts() {
    let corpus = Parser::QueueMessage.corpus().into_iter();
    let cases = corpus.map(|case| (case.input.text().to_owned(), case.errors[0].clone()));
    Box::pin(check_dead_letters(cases.collect())).await;
}

/// Only those records that the pipe forwards.
#[tokio::test]
async fn every_bad_record_is_a_dead_letter_and_the_good_one_between_them_counts() {
    let corpus = Parser::StreamRecord.corpus().into_iter();
    let cases = corpus.filter_map(|case| {
        let message = message_of(case.input.text()).ok()?;
        is_message(&message).then(|| (message, case.errors[0].clone()))
    });
    let cases: Vec<_> = cases.collect();
    assert!(!cases.is_empty());
    Box::pin(check_dead_letters(cases)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_body_is_refused_by_a_running_function_that_goes_on_running() {
    let stack = TestStack::start(|config| config.max_activity_age = "31".into()).await;
    let stats = |stack: &TestStack| stack.stack.lambda.stats("ingest").expect("there is ingestion");
    let cases = Parser::OF_INGESTION.into_iter();
    let cases = cases.flat_map(|parser| parser.corpus().into_iter().map(move |case| (parser, case)));
    for (
        parser,
        Case {
            input,
            status,
            errors,
        },
    ) in cases
    {
        let (headers, body) = parser.request(&input);
        let request = stack.http.post(format!("{}/v1/activities", stack.stack.web_url));
        let response = request
            .headers(headers)
            .body(body)
            .send()
            .await
            .expect("the stack answers");
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
