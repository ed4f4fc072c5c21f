//! Reads JSON from outside more strictly than its grammar: in UTF-8 only, and without repeated members.

use std::fmt;
use std::str::Utf8Error;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::intake::{Rejection, RejectionCode};

/// Why bytes are no text in UTF-8.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotUtf8 {
    #[error("is in {0}; send JSON in UTF-8")]
    OtherEncoding(&'static str),
    #[error("begins with two byte order marks; send none")]
    TwoByteOrderMarks,
    #[error("is not valid UTF-8: {0}")]
    Invalid(#[from] Utf8Error),
}

/// The text of a JSON document, without the byte order mark that some editors write.
pub fn utf8(bytes: &[u8]) -> Result<&str, NotUtf8> {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    if let Some(encoding) = other_encoding(bytes) {
        return Err(NotUtf8::OtherEncoding(encoding));
    }
    let text = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(bytes);
    if text.starts_with(BYTE_ORDER_MARK) {
        return Err(NotUtf8::TwoByteOrderMarks);
    }
    Ok(std::str::from_utf8(text)?)
}

/// The encoding of a document that is not in UTF-8, by its byte order mark or by where its NULs are: JSON
/// begins with ASCII characters and contains no NUL (RFC 4627, section 3).
fn other_encoding(bytes: &[u8]) -> Option<&'static str> {
    const BIG_ENDIAN_32: &str = "UTF-32 (big-endian)";
    const LITTLE_ENDIAN_32: &str = "UTF-32 (little-endian)";
    const BIG_ENDIAN_16: &str = "UTF-16 (big-endian)";
    const LITTLE_ENDIAN_16: &str = "UTF-16 (little-endian)";
    match bytes {
        [0, 0, 0xfe, 0xff, ..] => return Some(BIG_ENDIAN_32),
        [0xff, 0xfe, 0, 0, ..] => return Some(LITTLE_ENDIAN_32),
        [0xfe, 0xff, ..] => return Some(BIG_ENDIAN_16),
        [0xff, 0xfe, ..] => return Some(LITTLE_ENDIAN_16),
        _ => {}
    }
    let first: Vec<bool> = bytes.iter().take(4).map(|byte| *byte == 0).collect();
    match first[..] {
        [true, true, true, false] => Some(BIG_ENDIAN_32),
        [false, true, true, true] => Some(LITTLE_ENDIAN_32),
        [true, false] | [true, false, true, false] => Some(BIG_ENDIAN_16),
        [false, true] | [false, true, false, true] => Some(LITTLE_ENDIAN_16),
        _ => None,
    }
}

/// Parses a document that must be one JSON object, such as a line of a file, as strictly as the API does.
/// Returns its members in their order, each value as it was written.
pub fn object(document: &[u8]) -> Result<Vec<(String, &RawValue)>, Rejection> {
    let text = utf8(document).map_err(|error| malformed("", &error))?;
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| invalid("", &error))?;
    members_of_object(raw, "an activity")
}

/// The members of a value that must be an object, and what it should be, for the error.
pub(crate) fn members_of_object<'a>(
    raw: &'a RawValue,
    what: &str,
) -> Result<Vec<(String, &'a RawValue)>, Rejection> {
    if raw.get().starts_with('{') {
        return members(raw, "");
    }
    let detail = format!("{what} must be a JSON object, not {}", type_of(raw));
    Err(Rejection::new(RejectionCode::NotAnObject, "", detail))
}

/// The members of an object. A repeated key is rejected, since readers differ in which value they use.
pub(crate) fn members<'a>(raw: &'a RawValue, path: &str) -> Result<Vec<(String, &'a RawValue)>, Rejection> {
    let Members(members) = serde_json::from_str(raw.get()).map_err(|error| invalid(path, &error))?;
    let mut names: Vec<_> = members.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    match names.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => {
            let name = field_name(pair[0]);
            let field = if path.is_empty() {
                name
            } else {
                format!("{path}.{name}")
            };
            Err(Rejection::new(
                RejectionCode::DuplicateField,
                field,
                "appears more than once",
            ))
        }
        None => Ok(members),
    }
}

struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}

pub(crate) fn invalid(path: &str, error: &serde_json::Error) -> Rejection {
    malformed(path, &format_args!("is not valid JSON text: {error}"))
}

fn malformed(path: &str, error: &dyn fmt::Display) -> Rejection {
    let detail = if path.is_empty() {
        format!("the activity {error}")
    } else {
        error.to_string()
    };
    Rejection::new(RejectionCode::Malformed, path, detail)
}

/// A field's name for a rejection. An empty name is quoted, since an empty field means the whole item.
pub(crate) fn field_name(name: &str) -> String {
    if name.is_empty() {
        r#""""#.to_owned()
    } else {
        shorten(name)
    }
}

/// A text that a client sent, cut to a length that suits an answer and a log.
pub fn shorten(text: &str) -> String {
    const MAX_CHARS: usize = 64;
    match text.char_indices().nth(MAX_CHARS) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

/// `application/json` or any type with the suffix `+json`. JSON has no parameters (RFC 8259, section 11), so
/// they are ignored. The text itself shows whether it is in UTF-8.
pub fn is_media_type(content_type: &str) -> bool {
    let media_type = media_type(content_type);
    let is_token = |text: &str| {
        let mut bytes = text.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
            && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte))
    };
    match media_type.split_once('/') {
        Some(("application", "json")) => true,
        Some((kind, subtype)) => is_token(kind) && is_token(subtype) && subtype.ends_with("+json"),
        None => false,
    }
}

/// A content type without its parameters, in lower case.
pub fn media_type(content_type: &str) -> String {
    let media_type = content_type.split(';').next().unwrap_or_default();
    media_type.trim_ascii().to_ascii_lowercase()
}

/// The type of a JSON value, by its first character.
pub fn type_of(raw: &RawValue) -> &'static str {
    match raw.get().as_bytes().first() {
        Some(b'{') => "an object",
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "a boolean",
        Some(b'n') => "null",
        _ => "a number",
    }
}

/// Whether a JSON value is a number.
pub(crate) fn is_number(raw: &RawValue) -> bool {
    raw.get().starts_with(|c: char| c == '-' || c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(document: &[u8], expected: &str) {
        let got = match object(document) {
            Ok(members) => {
                let members = members
                    .iter()
                    .map(|(name, value)| format!("{name}={}", value.get()));
                members.collect::<Vec<_>>().join(" ")
            }
            Err(Rejection { code, field, detail }) => format!("{code:?} [{field}] {detail}"),
        };
        assert_eq!(got, expected, "{document:?}");
    }

    #[test]
    fn an_object_has_each_member_once_as_it_was_written() {
        check(br#" {"b": 1.10, "a":[ ]} "#, "b=1.10 a=[ ]");
        check(b"\xef\xbb\xbf{}", "");
        check(
            br#"{"a":1,"\u0061":2}"#,
            "DuplicateField [a] a appears more than once",
        );
        check(
            b"[{}]",
            "NotAnObject [] an activity must be a JSON object, not an array",
        );
        check(
            b"{} {}",
            "Malformed [] the activity is not valid JSON text: trailing characters at line 1 column 4",
        );
        check(
            br#"{"\ud800":1}"#,
            "Malformed [] the activity is not valid JSON text: unexpected end of hex escape at line 1 column 9",
        );
    }

    #[test]
    fn other_encodings_are_named() {
        let json = r#"{"user_id":"ann"}"#;
        let utf16 = |to_bytes: fn(u16) -> [u8; 2]| json.encode_utf16().flat_map(to_bytes).collect::<Vec<_>>();
        let utf32 = |to_bytes: fn(u32) -> [u8; 4]| {
            json.chars()
                .flat_map(|c| to_bytes(u32::from(c)))
                .collect::<Vec<_>>()
        };
        let named = |mark: &[u8], text: Vec<u8>, name: &str| {
            let expected = format!("Malformed [] the activity is in {name}; send JSON in UTF-8");
            check(&text, &expected);
            check(&[mark, &text].concat(), &expected);
        };
        named(b"\xfe\xff", utf16(u16::to_be_bytes), "UTF-16 (big-endian)");
        named(b"\xff\xfe", utf16(u16::to_le_bytes), "UTF-16 (little-endian)");
        named(b"\0\0\xfe\xff", utf32(u32::to_be_bytes), "UTF-32 (big-endian)");
        named(b"\xff\xfe\0\0", utf32(u32::to_le_bytes), "UTF-32 (little-endian)");
        check(
            b"7\0",
            "Malformed [] the activity is in UTF-16 (little-endian); send JSON in UTF-8",
        );
        check(
            b"\xef\xbb\xbf\xef\xbb\xbf{}",
            "Malformed [] the activity begins with two byte order marks; send none",
        );
        check(
            b"{\xff}",
            "Malformed [] the activity is not valid UTF-8: invalid utf-8 sequence of 1 bytes from index 1",
        );
        // A NUL in the wrong place is no other encoding.
        check(
            b"\0{}",
            "Malformed [] the activity is not valid JSON text: expected value at line 1 column 1",
        );
    }
}
