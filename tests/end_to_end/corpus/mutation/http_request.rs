//! Changes of the headers of a request, and of the encoding of its body.

use rand::RngExt as _;
use rand::rngs::StdRng;

use super::super::case::Input;
use super::super::law::gzip;
use super::{damage, pick};

const BODY: &str = r#"{"user_id":"ann","program_id":"p","kind":"task_completed"}"#;

pub fn seeds() -> Vec<Input> {
    let head = "content-type: application/json\n\n";
    let encoded = "content-type: application/json\ncontent-encoding: gzip\n\n";
    vec![
        Input::new(format!("{head}{BODY}")),
        Input::new(format!(
            "content-type: application/vnd.x+json; charset=utf8\n\n\u{feff}[{BODY}]"
        )),
        Input::new([encoded.as_bytes(), &gzip(BODY.as_bytes())].concat()),
    ]
}

const TYPES: [&str; 24] = [
    "application/json",
    "APPLICATION/JSON; charset=utf8",
    "application/json; charset=utf-16",
    "application/json;;",
    "application/vnd.x+json",
    "application/cloudevents-batch+json; charset=utf-8",
    "application/problem+json",
    "application/+json",
    "+json",
    "json",
    "text/json",
    "text/plain",
    "text/plain; charset=utf-8",
    "text/plain;charset=application/json",
    "application/jsonp",
    "application/json5",
    "application/json-seq",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/octet-stream",
    "application/json, text/plain",
    "*/*",
    "",
];
const ENCODINGS: [&str; 20] = [
    "gzip",
    "GZip",
    "x-gzip",
    "identity",
    "",
    ",",
    "gzip, identity",
    "gzip, gzip",
    "gzip,br",
    "br",
    "zstd",
    "deflate",
    "compress",
    "*",
    "gzip;q=1.0",
    "gzip;q=0",
    "\"gzip\"",
    "utf-8",
    "none",
    "aws-chunked",
];
/// Put into the value of a header.
const PIECES: [&str; 16] = [
    ";",
    ",",
    "/",
    " ",
    "+",
    "+json",
    "json",
    "x",
    "q=1",
    "\"",
    "=",
    "*",
    "\t",
    "é",
    "gzip",
    "application/",
];

struct Request {
    content_type: Option<String>,
    encoding: Option<String>,
    body: Vec<u8>,
}

impl Request {
    fn parse(input: &[u8]) -> Self {
        let (headers, body) = super::super::outcome::split_head(input);
        let value = |name: &str| {
            let value = headers.get(name)?;
            Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
        };
        Self {
            content_type: value("content-type"),
            encoding: value("content-encoding"),
            body,
        }
    }

    fn render(self) -> Input {
        let headers = [
            ("content-type", self.content_type),
            ("content-encoding", self.encoding),
        ];
        let mut request = Vec::new();
        for (name, value) in headers {
            request.extend(
                value
                    .map(|value| format!("{name}: {value}\n"))
                    .unwrap_or_default()
                    .into_bytes(),
            );
        }
        request.push(b'\n');
        request.extend(self.body);
        Input::new(request)
    }
}

pub fn mutate(input: &Input, other: &Input, random: &mut StdRng) -> Input {
    let mut request = Request::parse(input.bytes());
    let other = Request::parse(other.bytes());
    for _ in 0..random.random_range(1..=2) {
        match random.random_range(0..10) {
            0 | 1 => request.content_type = Some(pick(&TYPES, random).to_owned()),
            2 => change(&mut request.content_type, random),
            3 | 4 => request.encoding = Some(pick(&ENCODINGS, random).to_owned()),
            5 => change(&mut request.encoding, random),
            6 => {
                request.body = gzip(&request.body);
                request.encoding = Some("gzip".to_owned());
            }
            7 => request.body = in_other_encoding(&request.body, random),
            _ => damage(&mut request.body, &other.body, random),
        }
    }
    request.render()
}

/// Changes the value of a header, or removes the header.
fn change(value: &mut Option<String>, random: &mut StdRng) {
    let mut chars: Vec<char> = value.take().unwrap_or_default().chars().collect();
    let at = random.random_range(0..=chars.len());
    match random.random_range(0..4) {
        0 => return,
        1 => chars.truncate(at),
        _ => drop(chars.splice(at..at, pick(&PIECES, random).chars())),
    }
    *value = Some(chars.into_iter().collect());
}

/// A text in UTF-16 or UTF-32, or with a byte order mark.
fn in_other_encoding(body: &[u8], random: &mut StdRng) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let marked = match random.random_range(0..3) {
        0 => text.into_owned(),
        1 => format!("\u{feff}{text}"),
        _ => format!("\u{feff}\u{feff}{text}"),
    };
    match random.random_range(0..5) {
        0 => marked.encode_utf16().flat_map(u16::to_le_bytes).collect(),
        1 => marked.encode_utf16().flat_map(u16::to_be_bytes).collect(),
        2 => marked.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect(),
        3 => marked.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect(),
        _ => marked.into_bytes(),
    }
}
