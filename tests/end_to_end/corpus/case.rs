//! The stored form of the cases: one readable line of JSON each.

use std::fmt;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::outcome::{NamedError, Outcome};

/// A parser of input from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parser {
    /// Of a whole request: lines of headers, an empty line, and the body.
    HttpRequest,
    /// Of a body of JSON.
    HttpBody,
    /// Of an id, sent as the id of a user, of a program and of an activity.
    Id,
    /// Of the time of an activity.
    OccurredAt,
    QueueMessage,
    StreamRecord,
}

impl Parser {
    pub const EVERY: [Self; 6] = [
        Self::HttpRequest,
        Self::HttpBody,
        Self::Id,
        Self::OccurredAt,
        Self::QueueMessage,
        Self::StreamRecord,
    ];
    /// Those of what a client sends to ingestion.
    pub const OF_INGESTION: [Self; 4] = [Self::HttpRequest, Self::HttpBody, Self::Id, Self::OccurredAt];

    fn path(self) -> PathBuf {
        let name = match self {
            Self::HttpRequest => "http_request",
            Self::HttpBody => "http_body",
            Self::Id => "id",
            Self::OccurredAt => "occurred_at",
            Self::QueueMessage => "queue_message",
            Self::StreamRecord => "stream_record",
        };
        let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
        directory.join(format!("{name}.jsonl"))
    }

    pub fn corpus(self) -> Vec<Case> {
        let lines = std::fs::read_to_string(self.path()).unwrap_or_default();
        let cases = lines.lines().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line} is not a case: {error}"))
        });
        cases.collect()
    }

    pub fn corpus_bytes(self) -> u64 {
        self.path().metadata().map_or(0, |file| file.len())
    }

    pub fn write_corpus(self, mut cases: Vec<Case>) {
        cases.sort_by(|a, b| (&a.errors, &a.input).cmp(&(&b.errors, &b.input)));
        cases.dedup_by(|a, b| a.input == b.input);
        let lines = cases
            .iter()
            .map(|case| serde_json::to_string(case).expect("a case is JSON"));
        let text = lines.fold(String::new(), |text, line| text + &line + "\n");
        std::fs::write(self.path(), text).expect("the corpus is written");
    }
}

/// JSON with only printable ASCII characters: nothing invisible, and no change of writing direction.
fn ascii(value: &impl Serialize) -> String {
    let json = serde_json::to_string(value).expect("a case is JSON");
    let mut units = [0; 2];
    json.chars().fold(String::new(), |text, c| match c {
        ' '..='~' => text + c.encode_utf8(&mut [0; 4]),
        _ => c
            .encode_utf16(&mut units)
            .iter()
            .fold(text, |text, unit| text + &format!("\\u{unit:04x}")),
    })
}

/// An input and the errors it must produce.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Case {
    pub input: Input,
    /// The status of the answer, for HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub errors: Vec<NamedError>,
}

impl Case {
    pub fn new(input: Input, outcome: Outcome) -> Self {
        Self {
            input,
            status: outcome.status,
            errors: outcome.errors,
        }
    }

    pub fn named(&self) -> (Option<u16>, &[NamedError]) {
        (self.status, &self.errors)
    }
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Kept", into = "Kept")]
pub struct Input(Vec<u8>);

impl Input {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(bytes.into())
    }

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0).expect("an input of text")
    }

    /// Its length in the file.
    pub fn kept_len(&self) -> usize {
        ascii(self).len()
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

/// An input as stored in the file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Kept {
    Text(String),
    Pieces(Vec<Piece>),
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Piece {
    Text(String),
    Repeated {
        text: String,
        times: usize,
    },
    /// The rest of an input, from the first byte that is no text.
    Base64 {
        base64: String,
    },
}

/// Shorter repetitions are written out.
const REPETITION_MIN: usize = 48;
/// The longest text whose repetition is detected.
const UNIT_MAX: usize = 8;

impl From<Input> for Kept {
    fn from(Input(bytes): Input) -> Self {
        let text_len = std::str::from_utf8(&bytes).map_or_else(|error| error.valid_up_to(), str::len);
        let (text, rest) = bytes.split_at(text_len);
        let text = std::str::from_utf8(text).expect("this part is text");
        let mut pieces = Vec::new();
        let (mut done, mut at) = (0, 0);
        while at < text.len() {
            if let Some((unit, times)) = repetition(&text[at..]) {
                pieces.extend((done < at).then(|| Piece::Text(text[done..at].to_owned())));
                at += unit.len() * times;
                done = at;
                let text = unit.to_owned();
                pieces.push(Piece::Repeated { text, times });
            } else {
                at += text[at..].chars().next().map_or(1, char::len_utf8);
            }
        }
        if pieces.is_empty() && rest.is_empty() {
            return Self::Text(text.to_owned());
        }
        pieces.extend((done < at).then(|| Piece::Text(text[done..].to_owned())));
        let base64 = STANDARD.encode(rest);
        pieces.extend((!rest.is_empty()).then_some(Piece::Base64 { base64 }));
        Self::Pieces(pieces)
    }
}

/// The shortest text whose repetition `text` begins with, and how often.
fn repetition(text: &str) -> Option<(&str, usize)> {
    (1..=UNIT_MAX.min(text.len())).find_map(|length| {
        let unit = text.get(..length)?;
        let bytes = text.as_bytes().chunks_exact(length);
        let times = bytes.take_while(|chunk| *chunk == unit.as_bytes()).count();
        (times * length >= REPETITION_MIN).then_some((unit, times))
    })
}

impl From<Kept> for Input {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Text(text) => Self::new(text),
            Kept::Pieces(pieces) => {
                let pieces = pieces.into_iter().flat_map(|piece| match piece {
                    Piece::Text(text) => text.into_bytes(),
                    Piece::Repeated { text, times } => text.repeat(times).into_bytes(),
                    Piece::Base64 { base64 } => STANDARD.decode(base64).expect("base64"),
                });
                Self::new(pieces.collect::<Vec<u8>>())
            }
        }
    }
}
