//! Random changes that turn a valid input into an invalid one, or an invalid one into a worse one.

mod http_request;
mod text;

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;

use super::case::{Input, Parser};
use super::json::Node;

/// Valid inputs, from which all others are derived.
pub fn seeds(parser: Parser) -> Vec<Input> {
    let seeds: &[&str] = match parser {
        Parser::HttpBody => &[
            r#"{"user_id":"ann","program_id":"p","kind":"task_completed"}"#,
            r#"{"activity_id":"a1","user_id":"ann","program_id":"p","kind":"program_check_in","metadata":{"team":"blue","tags":["x",1,true,null,{"y":1.5}]},"schema_version":1}"#,
            r#"[{"user_id":"ann","program_id":"p","kind":"task_completed"},{"user_id":"bob","program_id":"q","kind":"learning_milestone"}]"#,
        ],
        Parser::HttpRequest => return http_request::seeds(),
        Parser::Id => &[
            "ann",
            "Ann.Lee@example.com",
            "2026-11-21_a",
            "lms:17",
            "task-4711",
            "auth0|5f7c",
            "us-east-1:12ab",
            "guest_corp#EXT#@tenant",
            "jane.o'neil+hr@corp.example",
            "owner/repo",
            "course-v1:Org+Course+Run",
        ],
        Parser::OccurredAt => &[
            "2026-11-21T09:30:00Z",
            "2026-11-20T23:59:59.123456789+05:30",
            "2016-12-31T23:59:60Z",
            "2024-02-29t00:00:00.5z",
            "1990-12-31T15:59:60-08:00",
        ],
        Parser::QueueMessage => &[
            r#"{"eventName":"INSERT","dynamodb":{"NewImage":{"user_id":{"S":"ann"},"activity_id":{"S":"a1"},"program_id":{"S":"p"},"kind":{"S":"task_completed"},"occurred_at":{"S":"2026-11-21T09:00:00Z"},"received_at":{"S":"2026-11-21T09:00:01Z"},"schema_version":{"N":"1"},"metadata":{"S":"{}"}}}}"#,
            r#"{"eventName":"INSERT","dynamodb":{"NewImage":{"user_id":{"S":"~heartbeat"},"activity_id":{"S":"2026-11-21T09:00:00.250Z"},"expires_at":{"N":"1"}}}}"#,
        ],
        Parser::StreamRecord => &[
            r#"{"eventName":"INSERT","dynamodb":{"ApproximateCreationDateTime":1795255200.0,"Keys":{"user_id":{"S":"ann"},"activity_id":{"S":"a1"}},"NewImage":{"user_id":{"S":"ann"},"activity_id":{"S":"a1"},"program_id":{"S":"p"},"kind":{"S":"task_completed"},"occurred_at":{"S":"2026-11-21T09:00:00Z"},"received_at":{"S":"2026-11-21T09:00:01Z"},"schema_version":{"N":"1"}},"SequenceNumber":"000000000000000000001"}}"#,
            r#"{"eventName":"INSERT","dynamodb":{"ApproximateCreationDateTime":1795255200,"NewImage":{"user_id":{"S":"~heartbeat"},"activity_id":{"S":"2026-11-21T09:00:00.250Z"},"expires_at":{"N":"1"}},"SequenceNumber":"000000000000000000002"}}"#,
        ],
    };
    seeds.iter().map(|seed| Input::new(*seed)).collect()
}

/// Written as they appear in JSON.
const SCALARS: [&str; 72] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "2",
    "-1",
    "1.0",
    "1.5",
    "1e3",
    "1e400",
    "-1e400",
    "1e-400",
    "9007199254740993",
    "18446744073709551616",
    "99999999999999999999999999999999",
    "01",
    "+1",
    ".5",
    "1.",
    "NaN",
    "Infinity",
    "0x10",
    "undefined",
    "''",
    r#""""#,
    r#"" ""#,
    r#""a b""#,
    r#""a#b""#,
    r#""a/b""#,
    r#""a<b""#,
    r#""a\\b""#,
    r#""<script>""#,
    r#""zoë""#,
    r#""🏆""#,
    r#""e\u0301""#,
    r#""\u0000""#,
    r#""a\u202eb""#,
    r#""\ufeffann""#,
    r#""\uffff""#,
    r#""\ud800""#,
    r#""\ud83c\udfc6""#,
    r#""\x41""#,
    r#""\u12""#,
    r#""~heartbeat""#,
    r#""~x""#,
    r#"".""#,
    r#""..""#,
    r#""...""#,
    "1795255200",
    "1795255200250",
    r#""2016-12-31T23:59:60Z""#,
    r#""9999-12-31T23:59:59Z""#,
    r#""2026-11-21T10:00:00+25:59""#,
    r#""INSERT""#,
    r#""REMOVE""#,
    r#""MODIFY""#,
    r#""Task Completed""#,
    r#""task_completed""#,
    r#""nap_taken""#,
    r#""2026-11-21T10:00:00""#,
    r#""2026-11-21""#,
    r#""2026-02-30T10:00:00Z""#,
    r#""2999-01-01T00:00:00Z""#,
    r#""1969-07-20T20:17:00Z""#,
    r#""-009999-01-02T01:59:59Z""#,
    r#""9999-12-30T22:00:00Z""#,
    r#""99999-01-01T00:00:00Z""#,
    r#""2020-01-01T00:00:60Z""#,
    r#""1795255200""#,
    r#""today""#,
];
const STRUCTURES: [&str; 22] = [
    "{}",
    "[]",
    "[[]]",
    "[{}]",
    r#"{"x":1}"#,
    r#"{"S":"ann"}"#,
    r#"{"S":""}"#,
    r#"{"S":7}"#,
    r#"{"S":null}"#,
    r#"{"N":"1"}"#,
    r#"{"N":"2"}"#,
    r#"{"N":"one"}"#,
    r#"{"N":1}"#,
    r#"{"BOOL":true}"#,
    r#"{"BOOL":"true"}"#,
    r#"{"NULL":true}"#,
    r#"{"B":"!!!"}"#,
    r#"{"B":"YW5u"}"#,
    r#"{"M":{}}"#,
    r#"{"L":[]}"#,
    r#"{"SS":["ann"]}"#,
    r#"{"X":"ann"}"#,
];
const KEYS: [&str; 40] = [
    "activity_id",
    "user_id",
    "program_id",
    "kind",
    "occurred_at",
    "received_at",
    "metadata",
    "schema_version",
    "points",
    "expires_at",
    "eventName",
    "dynamodb",
    "NewImage",
    "OldImage",
    "Keys",
    "SequenceNumber",
    "ApproximateCreationDateTime",
    "S",
    "N",
    "",
    "userId",
    "user",
    "employee_id",
    "User-Id",
    "usr_id",
    "programId",
    "program",
    "type",
    "Kind",
    "timestamp",
    "occuredAt",
    "id",
    "meta",
    "activities",
    "data",
    "items",
    "records",
    "__proto__",
    r"a\u0000b",
    "🏆",
];
const SNIPPETS: [&str; 20] = [
    "{", "}", "[", "]", ",", ":", "\"", "\\", "\\u", "\0", "\n", "\t", " ", "'", "//", "null", "\u{feff}",
    "é", "\u{2028}", "1e999",
];
/// Lengths just below and above every limit.
const LENGTHS: [usize; 8] = [63, 64, 65, 127, 128, 129, 1_023, 1_100];
const DEPTHS: [usize; 7] = [1, 7, 8, 9, 130, 200, 30_000];

pub fn mutate(parser: Parser, input: &Input, other: &Input, random: &mut StdRng) -> Input {
    match parser {
        Parser::HttpRequest => return http_request::mutate(input, other, random),
        Parser::Id => return text::mutate(input, other, &text::OF_IDS, random),
        Parser::OccurredAt => return text::mutate(input, other, &text::OF_TIMES, random),
        Parser::HttpBody | Parser::QueueMessage | Parser::StreamRecord => {}
    }
    let parsed = std::str::from_utf8(input.bytes()).ok().and_then(Node::parse);
    let mut bytes = match parsed {
        // Stream records are always valid JSON.
        Some(mut node) if parser == Parser::StreamRecord || random.random_range(0..5) > 0 => {
            let other = std::str::from_utf8(other.bytes()).ok().and_then(Node::parse);
            for _ in 0..random.random_range(1..=3) {
                change(&mut node, other.clone(), random);
            }
            node.render().into_bytes()
        }
        _ => input.bytes().to_vec(),
    };
    if parser != Parser::StreamRecord && random.random_range(0..4) == 0 {
        for _ in 0..random.random_range(1..=2) {
            damage(&mut bytes, other.bytes(), random);
        }
    }
    match parser {
        Parser::HttpRequest | Parser::HttpBody | Parser::Id | Parser::OccurredAt => {
            if random.random_range(0..1_000) == 0 {
                bytes.resize(problem::body::MAX_BODY_BYTES + random.random_range(0..2), b' ');
            }
            Input::new(bytes)
        }
        // Queue messages and stream records are text.
        Parser::QueueMessage | Parser::StreamRecord => {
            Input::new(String::from_utf8_lossy(&bytes).into_owned())
        }
    }
}

pub(super) fn pick<'a>(from: &[&'a str], random: &mut StdRng) -> &'a str {
    from.choose(random).expect("there are some")
}

fn any_value(random: &mut StdRng) -> Node {
    match random.random_range(0..8) {
        0..5 => Node::Scalar(pick(&SCALARS, random).to_owned()),
        5..7 => Node::parse(pick(&STRUCTURES, random)).expect("they are JSON"),
        _ => Node::Scalar(long_text(random)),
    }
}

fn any_key(random: &mut StdRng) -> String {
    match random.random_range(0..8) {
        0 => long_text(random),
        _ => format!("\"{}\"", pick(&KEYS, random)),
    }
}

/// A string about as long as one of the limits. A multi-byte character may straddle the limit.
fn long_text(random: &mut StdRng) -> String {
    let first = pick(&["", "x"], random);
    let unit = pick(&["x", "x", "é", " ", "1"], random);
    let length = LENGTHS.choose(random).expect("there are some");
    format!("\"{first}{}\"", unit.repeat(*length))
}

fn change(tree: &mut Node, other: Option<Node>, random: &mut StdRng) {
    let node = tree.any(random);
    match random.random_range(0..10) {
        0..4 => *node = any_value(random),
        4 => wrap(node, random),
        5 => {
            if let Some(mut other) = other {
                *node = other.any(random).clone();
            }
        }
        _ => match node {
            Node::Scalar(text) => change_scalar(text, random),
            Node::Array(items) => change_array(items, random),
            Node::Object(members) => change_object(members, random),
        },
    }
}

fn wrap(node: &mut Node, random: &mut StdRng) {
    let inner = node.clone();
    *node = match random.random_range(0..4) {
        0 => Node::Array(vec![inner]),
        1 => Node::Object(vec![(any_key(random), inner)]),
        // The JSON as a string.
        2 => Node::Scalar(serde_json::Value::from(inner.render()).to_string()),
        _ => {
            let depth = *DEPTHS.choose(random).expect("there are some");
            let is_array = random.random_range(0..2) == 0;
            let (open, close) = if is_array { ("[", "]") } else { ("{\"x\":", "}") };
            Node::Scalar(format!(
                "{}{}{}",
                open.repeat(depth),
                inner.render(),
                close.repeat(depth)
            ))
        }
    };
}

fn change_scalar(text: &mut String, random: &mut StdRng) {
    let is_string = text.len() >= 2 && text.starts_with('"');
    match random.random_range(0..4) {
        // Into a string, or out of one.
        0 if is_string => *text = text.trim_matches('"').to_owned(),
        0 => *text = format!("\"{text}\""),
        1 => *text = text.to_uppercase(),
        _ => {
            let places: Vec<usize> = text
                .char_indices()
                .map(|(at, _)| at)
                .skip(usize::from(is_string))
                .collect();
            let at = places.choose(random).copied().unwrap_or(0);
            let snippet = pick(
                &[
                    "#", " ", "/", "é", "\\n", "\\u0000", "\u{202e}", "-", "Z", "9", "~", "\u{7f}",
                ],
                random,
            );
            text.insert_str(at, snippet);
        }
    }
}

fn change_array(items: &mut Vec<Node>, random: &mut StdRng) {
    let at = random.random_range(0..=items.len());
    match random.random_range(0..5) {
        0 if at < items.len() => {
            items.remove(at);
        }
        1 if at < items.len() => items.insert(at, items[at].clone()),
        // More items than a request may have.
        2 if at < items.len() && items.len() < 101 => {
            let item = items[at].clone();
            items.resize(*[100, 101].choose(random).expect("two"), item);
        }
        3 => items.clear(),
        _ => items.insert(at, any_value(random)),
    }
}

fn change_object(members: &mut Vec<(String, Node)>, random: &mut StdRng) {
    let at = random.random_range(0..=members.len());
    match random.random_range(0..6) {
        0..2 if at < members.len() => {
            members.remove(at);
        }
        2 if at < members.len() => members.push(members[at].clone()),
        3 if at < members.len() => members[at].0 = any_key(random),
        4 if at < members.len() => change_scalar(&mut members[at].0, random),
        _ => members.insert(at, (any_key(random), any_value(random))),
    }
}

pub(super) fn damage(bytes: &mut Vec<u8>, other: &[u8], random: &mut StdRng) {
    let from = random.random_range(0..=bytes.len());
    let to = random.random_range(from..=bytes.len()).min(from + 16);
    match random.random_range(0..7) {
        0 if from < bytes.len() => bytes[from] ^= 1 << random.random_range(0..8),
        1 => {
            bytes.drain(from..to);
        }
        2 => bytes.truncate(from),
        3 => {
            let doubled = bytes[from..to].to_vec();
            bytes.splice(to..to, doubled);
        }
        4 => {
            let start = random.random_range(0..=other.len());
            bytes.truncate(from);
            bytes.extend_from_slice(&other[start..]);
        }
        5 => bytes.insert(from, random.random_range(0x80..=0xff)),
        _ => {
            let snippet = pick(&SNIPPETS, random).bytes();
            bytes.splice(from..from, snippet);
        }
    }
}
