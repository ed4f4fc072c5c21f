//! People: what they are called, which team they are in, and how boards show them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

use crate::board::BoardEntry;
use crate::fields::{Fields, Form};
use crate::id::{TeamId, UserId};
use crate::intake::{Rejection, RejectionCode};
use crate::ranking::Shown;

/// What a person is called: 1 to [`DisplayName::CHARS_MAX`] characters of any script, in normalization form C
/// and without blanks around them. None of them is a control character or invisible.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DisplayName(Arc<str>);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    #[error("is empty; it must have 1 to {max} characters", max = DisplayName::CHARS_MAX)]
    Empty,
    #[error("has {0} characters; at most {max} are allowed", max = DisplayName::CHARS_MAX)]
    TooLong(usize),
    #[error("has the control character {0:?}; write one line of text")]
    ControlCharacter(char),
    #[error("has the invisible character U+{:04X}; leave it out", u32::from(*.0))]
    Invisible(char),
}

impl DisplayName {
    pub const CHARS_MAX: usize = 80;

    /// Reads back what was checked when it was accepted.
    pub fn stored(text: &str) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for DisplayName {
    type Err = InvalidName;

    fn from_str(raw: &str) -> Result<Self, InvalidName> {
        let raw = raw.trim();
        if let Some(control) = raw.chars().find(|c| c.is_control()) {
            return Err(InvalidName::ControlCharacter(control));
        }
        if let Some(invisible) = raw.chars().find(|c| is_invisible(*c)) {
            return Err(InvalidName::Invisible(invisible));
        }
        let name: String = raw.nfc().collect();
        match name.chars().count() {
            0 => Err(InvalidName::Empty),
            chars if chars > Self::CHARS_MAX => Err(InvalidName::TooLong(chars)),
            _ => Ok(Self(name.into())),
        }
    }
}

impl fmt::Display for DisplayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Characters that take no room, separate lines, or turn the direction of what follows. With them, two names
/// could look alike, or a name could rearrange the row around it. Variation selectors are not among them, since
/// they belong to many emoji.
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{3164}'
            | '\u{feff}' | '\u{ffa0}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// How boards show a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Visibility {
    #[default]
    Listed,
    /// The row is there, the last of its rank, without id and name.
    Anonymous,
    /// On no board. The others close up.
    Hidden,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not a visibility; use listed, anonymous or hidden")]
pub struct InvalidVisibility;

impl Visibility {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Listed => "listed",
            Self::Anonymous => "anonymous",
            Self::Hidden => "hidden",
        }
    }
}

impl FromStr for Visibility {
    type Err = InvalidVisibility;

    fn from_str(raw: &str) -> Result<Self, InvalidVisibility> {
        match raw {
            "listed" => Ok(Self::Listed),
            "anonymous" => Ok(Self::Anonymous),
            "hidden" => Ok(Self::Hidden),
            _ => Err(InvalidVisibility),
        }
    }
}

/// The profile of a person, apart from the id. One without any of it shows as someone without a profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    pub display_name: Option<DisplayName>,
    pub team: Option<TeamId>,
    #[serde(default)]
    pub visibility: Visibility,
}

impl Person {
    /// Parses the profile that an admin sends for a user. A field that is missing, `null` or an empty text is not
    /// set, and `user_id` may repeat whom it is for.
    pub fn parse(raw: &RawValue, of: &UserId) -> Result<Self, Rejection> {
        let mut fields = Fields::parse(raw, Form::Person)?;
        if let Some(user) = fields.text("user_id")?
            && user != of.as_str()
        {
            let detail = format!("is not {of}, whom the address names");
            return Err(Rejection::new(RejectionCode::Conflict, "user_id", detail));
        }
        let person = Self {
            display_name: set(&mut fields, "display_name")?,
            team: set(&mut fields, "team")?,
            visibility: set(&mut fields, "visibility")?.unwrap_or_default(),
        };
        fields.finish()?;
        Ok(person)
    }

    /// How boards show this person; `None` if they do not.
    pub fn shown(&self) -> Option<Shown> {
        match self.visibility {
            Visibility::Listed => Some(Shown::Listed(self.display_name.clone())),
            Visibility::Anonymous => Some(Shown::Anonymous),
            Visibility::Hidden => None,
        }
    }

    /// Whether only admins and the person may know that this person takes part.
    pub fn is_concealed(&self) -> bool {
        self.visibility != Visibility::Listed
    }
}

/// The value of a field, unless it is missing or empty.
fn set<T: FromStr>(fields: &mut Fields<'_>, name: &str) -> Result<Option<T>, Rejection>
where
    T::Err: fmt::Display,
    RejectionCode: for<'a> From<&'a T::Err>,
{
    let text = fields.text(name)?.filter(|text| !text.is_empty());
    let rejected = |error: T::Err| Rejection::new((&error).into(), name, error);
    text.map(|text| text.parse().map_err(rejected)).transpose()
}

impl From<&InvalidName> for RejectionCode {
    fn from(error: &InvalidName) -> Self {
        match error {
            InvalidName::Empty => Self::Empty,
            InvalidName::TooLong(_) => Self::TooLong,
            InvalidName::ControlCharacter(_) | InvalidName::Invisible(_) => Self::IllegalCharacter,
        }
    }
}

impl From<&InvalidVisibility> for RejectionCode {
    fn from(_: &InvalidVisibility) -> Self {
        Self::OutOfRange
    }
}

/// What someone searches for: a part of a name or of a user id, in any case and without accents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchText(String);

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSearch {
    #[error("is empty; it must have 1 to {max} characters", max = SearchText::CHARS_MAX)]
    Empty,
    #[error("has {0} characters; at most {max} are allowed", max = SearchText::CHARS_MAX)]
    TooLong(usize),
    #[error("has a control character; write one line of text")]
    ControlCharacter,
}

impl SearchText {
    /// The longest id has as many.
    pub const CHARS_MAX: usize = UserId::MAX_BYTES;

    /// Whether it finds the user of a row. It finds nobody who is anonymous.
    pub fn finds(&self, row: &BoardEntry) -> bool {
        let id = row.user_id.as_ref().map(UserId::as_str);
        let name = row.name.as_ref().map(DisplayName::as_str);
        id.into_iter()
            .chain(name)
            .any(|text| folded(text).contains(&self.0))
    }
}

impl FromStr for SearchText {
    type Err = InvalidSearch;

    fn from_str(raw: &str) -> Result<Self, InvalidSearch> {
        let text = raw.trim();
        if text.chars().any(char::is_control) {
            return Err(InvalidSearch::ControlCharacter);
        }
        match text.chars().count() {
            0 => Err(InvalidSearch::Empty),
            chars if chars > Self::CHARS_MAX => Err(InvalidSearch::TooLong(chars)),
            _ => Ok(Self(folded(text))),
        }
    }
}

/// A text for comparison, without case and accents: `Ólafur`, `OLAFUR` and `olafur` are the same.
fn folded(text: &str) -> String {
    let bare = text.nfkd().filter(|c| !is_combining_mark(*c));
    bare.flat_map(char::to_lowercase)
        .flat_map(without_stroke)
        .collect()
}

/// The letters that Unicode does not take apart, though those who search leave their strokes out.
fn without_stroke(c: char) -> impl Iterator<Item = char> {
    let (first, second) = match c {
        'ø' => ('o', None),
        'ł' => ('l', None),
        'đ' | 'ð' => ('d', None),
        'ħ' => ('h', None),
        'ŧ' => ('t', None),
        'ı' => ('i', None),
        'æ' => ('a', Some('e')),
        'œ' => ('o', Some('e')),
        'ß' => ('s', Some('s')),
        'þ' => ('t', Some('h')),
        other => (other, None),
    };
    [Some(first), second].into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_name(raw: &str, expected: &str) {
        let got = match raw.parse::<DisplayName>() {
            Ok(name) => name.to_string(),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(got, expected, "{raw:?}");
    }

    #[test]
    fn names_are_of_any_script_and_normalized() {
        for name in [
            "Ann Smith",
            "O'Neil",
            "María José Nuñez-Ibáñez",
            "Ólafur Ólafsdóttir",
            "Иван Петров",
            "يوسف حداد",
            "महेश शर्मा",
            "新 人研",
            "Nguyễn Văn A",
            "山田 ❤\u{fe0f}",
            "<b>Ann</b>",
            "ann",
        ] {
            check_name(name, name);
        }
        check_name("  Ann\u{a0}", "Ann");
        check_name("Zoe\u{308}", "Zoë");
        check_name("\u{1100}\u{1161}", "가");
        // Two characters that are one when normalized count as one.
        check_name(&"e\u{301}".repeat(80), &"é".repeat(80));
        check_name(&"新".repeat(80), &"新".repeat(80));
    }

    #[test]
    fn what_cannot_be_a_name_is_told() {
        check_name("", "! is empty; it must have 1 to 80 characters");
        check_name(" \u{3000}", "! is empty; it must have 1 to 80 characters");
        check_name(&"é".repeat(81), "! has 81 characters; at most 80 are allowed");
        check_name(
            "a\nb",
            r"! has the control character '\n'; write one line of text",
        );
        check_name(
            "a\u{0}",
            r"! has the control character '\0'; write one line of text",
        );
        check_name(
            "a\u{85}b",
            r"! has the control character '\u{85}'; write one line of text",
        );
        for c in [
            '\u{ad}',
            '\u{61c}',
            '\u{200b}',
            '\u{200d}',
            '\u{200e}',
            '\u{2028}',
            '\u{202e}',
            '\u{2066}',
            '\u{feff}',
            '\u{3164}',
            '\u{e0041}',
        ] {
            let expected = format!(
                "! has the invisible character U+{:04X}; leave it out",
                u32::from(c)
            );
            check_name(&format!("a{c}b"), &expected);
        }
    }

    fn check(json: &str, expected: &str) {
        let got = match Person::parse(serde_json::from_str(json).unwrap(), &"ann".parse().unwrap()) {
            Ok(person) => serde_json::to_string(&person).unwrap(),
            Err(Rejection { code, field, detail }) => format!("{code:?} [{field}] {detail}"),
        };
        assert_eq!(got, expected, "{json}");
    }

    #[test]
    fn a_profile_has_what_is_set() {
        check("{}", r#"{"display_name":null,"team":null,"visibility":"listed"}"#);
        check(
            r#"{"user_id":"ann","display_name":"Ann Lee","team":"ops","visibility":"anonymous"}"#,
            r#"{"display_name":"Ann Lee","team":"ops","visibility":"anonymous"}"#,
        );
        check(
            r#"{"display_name":"","team":"","visibility":null}"#,
            r#"{"display_name":null,"team":null,"visibility":"listed"}"#,
        );
    }

    #[test]
    fn the_field_that_is_wrong_is_named() {
        check(
            "[]",
            "NotAnObject [] a person must be a JSON object, not an array",
        );
        check(
            r#"{"user_id":"bob"}"#,
            "Conflict [user_id] user_id is not ann, whom the address names",
        );
        check(
            r#"{"display_name":"a\u202eb"}"#,
            "IllegalCharacter [display_name] display_name has the invisible character U+202E; leave it out",
        );
        check(
            r#"{"display_name":5}"#,
            r#"WrongType [display_name] display_name must be a string, not a number; write "5""#,
        );
        check(
            r#"{"team":"a b"}"#,
            r#"IllegalCharacter [team] team has the character ' ' at byte 1; use only ASCII letters, digits and punctuation except " \ < >"#,
        );
        check(
            r#"{"visibility":"secret"}"#,
            "OutOfRange [visibility] visibility is not a visibility; use listed, anonymous or hidden",
        );
        check(
            r#"{"name":"Ann"}"#,
            "UnknownField [name] name is not a field of a person; its fields are user_id, display_name, team, visibility",
        );
    }

    #[test]
    fn a_search_ignores_case_and_accents() {
        for (text, expected) in [
            ("Ólafur Øst", "olafur ost"),
            ("ŁUKASZ", "lukasz"),
            ("Nuñez-Ibáñez", "nunez-ibanez"),
            ("Straße", "strasse"),
            ("İstanbul Yılmaz", "istanbul yilmaz"),
            ("ИВАН Й", "иван и"),
            ("Ａｎｎ", "ann"),
            ("新 人研", "新 人研"),
        ] {
            assert_eq!(folded(text), expected, "{text}");
        }
    }
}
