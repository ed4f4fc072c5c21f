//! Changes inputs at random, and keeps those that produce new errors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use domain::RejectionCode;
use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::Value;

use super::case::{Case, Input, Parser};
use super::law;
use super::mutation::{mutate, seeds};
use super::outcome::{NamedError, Outcome, is_message};

/// Inputs to try if `PODIUM_FUZZ_SECONDS` is not set.
const INPUTS: u64 = 10_000;
/// Cases with the same code and field, but different details.
const OF_A_NAME_MAX: usize = 16;
/// Cases whose details differ only in what they quote.
const OF_A_TEXT_MAX: usize = 3;
/// Cases with several errors at once.
const OF_SEVERAL_MAX: usize = 24;
/// Longer inputs are not written to the file.
const KEPT_BYTES_MAX: usize = 600;
/// An input whose errors depend on the time is not kept.
const TIMES: [&str; 2] = ["2026-06-01T00:00:00Z", "2126-06-01T00:00:00Z"];

const CODES: [&str; 15] = [
    "unsupported_media_type",
    "malformed_gzip",
    "malformed_json",
    "empty_batch",
    "not_an_activity",
    "too_many_activities",
    "body_too_large",
    "not_a_stream_record",
    "not_an_insert",
    "no_new_image",
    "not_scored",
    "not_json",
    "not_a_record",
    "filtered_out",
    "not_countable",
];
/// Codes that can concern the whole input, and then have no field.
const WHOLE: [&str; 4] = ["not_an_object", "malformed", "not_a_stream_record", "not_json"];

#[derive(Default)]
struct Found {
    cases: Vec<Case>,
    inputs: HashSet<Input>,
    of_a_name: BTreeMap<String, usize>,
    of_a_text: HashMap<String, usize>,
    /// Violations, one example of each kind.
    faults: BTreeMap<String, String>,
}

impl Found {
    /// Runs the parser, and returns whether the input is kept.
    fn judge(&mut self, parser: Parser, input: Input) -> bool {
        let Ok(outcome) = catch_unwind(AssertUnwindSafe(|| parser.judge(&input))) else {
            self.faults
                .insert("it crashes".to_owned(), format!("{parser:?} {input:?}"));
            return false;
        };
        for (error, detail) in outcome.errors.iter().zip(&outcome.details) {
            if !is_named(error) || detail.is_empty() {
                let fault = format!("{error:?} is not a named error: {}", normalised(detail));
                self.faults.insert(fault, format!("{parser:?} {input:?}"));
                return false;
            }
        }
        if let Some(fault) = law::broken(parser, &input, &outcome) {
            self.faults.insert(fault, format!("{parser:?} {input:?}"));
            return false;
        }
        is_kept(parser, &input, &outcome) && self.take(input, outcome)
    }

    /// Judges a case of the corpus again. It stays, however many others have the same error.
    fn renew(&mut self, parser: Parser, input: Input) {
        if self.judge(parser, input.clone()) || self.inputs.contains(&input) {
            return;
        }
        let outcome = parser.judge(&input);
        if is_kept(parser, &input, &outcome) {
            self.inputs.insert(input.clone());
            self.cases.push(Case::new(input, outcome));
        }
    }

    /// Keeps an input whose errors are new, or not yet frequent.
    fn take(&mut self, input: Input, outcome: Outcome) -> bool {
        let mut names: Vec<String> = outcome.errors.iter().map(NamedError::kind).collect();
        names.dedup();
        let (name, name_max) = match &names[..] {
            [name] => (name.clone(), OF_A_NAME_MAX),
            _ => ("several".to_owned(), OF_SEVERAL_MAX),
        };
        let texts: Vec<_> = outcome.details.iter().map(|detail| normalised(detail)).collect();
        let text = format!("{:?} {names:?} {texts:?}", outcome.status);
        let of_a_name = self.of_a_name.entry(name).or_default();
        let of_a_text = self.of_a_text.entry(text).or_default();
        let is_new = *of_a_name < name_max && *of_a_text < OF_A_TEXT_MAX && self.inputs.insert(input.clone());
        if is_new {
            *of_a_name += 1;
            *of_a_text += 1;
            self.cases.push(Case::new(input, outcome));
        }
        is_new
    }
}

/// Whether the code is known and, unless the error concerns the whole input, the field is given.
fn is_named(NamedError { code, field }: &NamedError) -> bool {
    let is_code = CODES.contains(&code.as_str())
        || serde_json::from_value::<RejectionCode>(Value::from(code.as_str())).is_ok();
    is_code && (!field.is_empty() || WHOLE.contains(&code.as_str()))
}

pub fn run(parser: Parser) {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|raw| raw.parse::<u64>().expect("a number"))
    };
    let seconds = number("PODIUM_FUZZ_SECONDS");
    let is_written = number("PODIUM_WRITE_CORPUS") == Some(1);
    let seed = number("PODIUM_FUZZ_SEED").unwrap_or(1);
    let mut random = StdRng::seed_from_u64(seed);
    let until = Instant::now() + Duration::from_secs(seconds.unwrap_or_default());

    let mut found = Found::default();
    let mut parents = seeds(parser);
    let seeds = parents.len();
    for case in parser.corpus() {
        parents.push(case.input.clone());
        found.renew(parser, case.input);
    }
    let mut tried = 0;
    while seconds.map_or(tried < INPUTS, |_| Instant::now() < until) {
        tried += 1;
        // Many start from valid inputs, to find errors close to them.
        let last = if random.random_range(0..4) == 0 {
            seeds
        } else {
            parents.len()
        };
        let parent = &parents[random.random_range(0..last)];
        let other = &parents[random.random_range(0..parents.len())];
        let input = mutate(parser, parent, other, &mut random);
        if found.judge(parser, input.clone()) {
            parents.push(input);
        }
    }
    println!(
        "{parser:?}: {tried} inputs, {} cases, seed {seed}",
        found.cases.len()
    );
    assert!(found.faults.is_empty(), "{:#?}", found.faults);
    if is_written {
        parser.write_corpus(found.cases);
    }
}

fn is_kept(parser: Parser, input: &Input, outcome: &Outcome) -> bool {
    let at = |time: &str| {
        let time: Timestamp = time.parse().expect("a time");
        parser.judge_at(input, time)
    };
    let is_carried = Parser::OF_INGESTION.contains(&parser) || is_message(input.text());
    let is_told = match outcome.errors.first() {
        Some(error) => error.code != "not_json",
        None => parser == Parser::Id,
    };
    is_told
        && is_carried
        && input.kept_len() <= KEPT_BYTES_MAX
        && TIMES.iter().all(|time| at(time).named() == outcome.named())
}

/// A text without its quotations and numbers.
fn normalised(detail: &str) -> String {
    let mut quote = None;
    let mut text = String::new();
    for c in detail.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if matches!(c, '"' | '\'' | '`') => {
                quote = Some(c);
                text.push('…');
            }
            None if c.is_ascii_digit() => {
                if !text.ends_with('#') {
                    text.push('#');
                }
            }
            None => text.push(c),
        }
    }
    text
}
