//! Identifiers. Each is created only by parsing, so its value is safe in a table key and a log. In a path of a URL
//! it is written by [`crate::address`].
//! Only ids from before dot-segments were refused can be `.` or `..`, which have no address of their own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How the users of heartbeats begin. No client can send one, since ids may not begin with `~`.
pub const HEARTBEAT_USER: &str = "~heartbeat";

/// The program of smoke tests. Its board is published at its own address, but is on no list, and its
/// activities are left out of the global board.
pub const SMOKE_PROGRAM: &str = "podium-smoke";

/// Why a text is not a valid identifier.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidId {
    #[error("is empty; it must have 1 to {max} characters")]
    Empty { max: usize },
    #[error("is {len} bytes long; at most {max} are allowed")]
    TooLong { len: usize, max: usize },
    #[error("has the character {found:?} at byte {at}; use only {allowed}")]
    IllegalCharacter {
        found: char,
        at: usize,
        allowed: &'static str,
    },
    #[error("begins with '~', which is reserved for Podium's own users")]
    Reserved,
    /// A dot-segment (RFC 3986, section 5.2.4): clients remove it from the path of a URL.
    #[error("is {0:?}, which has no address, since URLs use it for a directory; add another character")]
    DotSegment(&'static str),
}

/// What one type of identifier allows.
struct Rule {
    max: usize,
    allowed: &'static str,
    allows: fn(u8) -> bool,
}

impl Rule {
    fn check(&self, raw: &str) -> Result<(), InvalidId> {
        let Self { max, allowed, .. } = *self;
        if raw.is_empty() {
            return Err(InvalidId::Empty { max });
        }
        if raw.len() > max {
            return Err(InvalidId::TooLong { len: raw.len(), max });
        }
        if raw.starts_with('~') {
            return Err(InvalidId::Reserved);
        }
        match raw
            .char_indices()
            .find(|&(_, c)| !u8::try_from(c).is_ok_and(self.allows))
        {
            Some((at, found)) => Err(InvalidId::IllegalCharacter { found, at, allowed }),
            None => Ok(()),
        }
    }
}

fn dot_segment(raw: &str) -> Result<(), InvalidId> {
    match raw {
        "." => Err(InvalidId::DotSegment(".")),
        ".." => Err(InvalidId::DotSegment("..")),
        _ => Ok(()),
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $rule:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            const RULE: Rule = $rule;
            pub const MAX_BYTES: usize = Self::RULE.max;

            pub fn as_str(&self) -> &str {
                &self.0
            }

            /// Parses an id that Podium stored. Ids are stricter now than they were, so this also takes
            /// the dot-segments that were accepted then.
            pub fn stored(raw: &str) -> Result<Self, InvalidId> {
                Self::RULE.check(raw)?;
                Ok(Self(raw.into()))
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;
            fn from_str(raw: &str) -> Result<Self, InvalidId> {
                dot_segment(raw)?;
                Self::stored(raw)
            }
        }

        /// Reads what Podium stored, in documents and items.
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let raw = String::deserialize(deserializer)?;
                Self::stored(&raw).map_err(serde::de::Error::custom)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// What identity providers and learning systems put into their ids, such as `auth0|5f7c`, `guest_corp#EXT#@tenant`
/// and `course-v1:Org+Course+Run`. The four exceptions have meanings in JSON and HTML. A blank is in no id, so keys
/// of tables can have one between two ids.
const NAME: Rule = Rule {
    max: 128,
    allowed: r#"ASCII letters, digits and punctuation except " \ < >"#,
    allows: |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\' | b'<' | b'>'),
};

identifier!(
    /// An employee: 1 to 128 printable ASCII characters without space, `"`, `\`, `<` and `>`, the first not `~`.
    UserId,
    NAME
);

identifier!(
    /// An engagement program, of the same characters as a [`UserId`].
    ProgramId,
    NAME
);

identifier!(
    /// A team of people, of the same characters as a [`UserId`].
    TeamId,
    NAME
);

identifier!(
    /// The client's idempotency key, unique within its user, of the same characters as a [`UserId`].
    ActivityId,
    NAME
);

identifier!(
    /// The admin's idempotency key of a correction, of the same characters as a [`UserId`].
    CorrectionId,
    NAME
);

identifier!(
    /// A quest, of the same characters as a [`UserId`].
    QuestId,
    NAME
);

identifier!(
    /// A season, a slug such as `autumn-2026`: 1 to 32 bytes of `[a-z0-9_-]`.
    SeasonId,
    Rule {
        max: 32,
        allowed: "a-z 0-9 _ -",
        allows: is_slug,
    }
);

identifier!(
    /// What was done, a slug such as `task_completed`: 1 to 64 bytes of `[a-z0-9_-]`.
    Kind,
    Rule {
        max: 64,
        allowed: "a-z 0-9 _ -",
        allows: is_slug,
    }
);

identifier!(
    /// The system that an activity was first recorded in, a slug such as `legacy`: 1 to 32 bytes of `[a-z0-9_-]`.
    Origin,
    Rule {
        max: 32,
        allowed: "a-z 0-9 _ -",
        allows: is_slug,
    }
);

fn is_slug(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Auth0, Cognito, Entra, mail systems, GitHub and Open edX give them.
    const GIVEN: [&str; 6] = [
        "auth0|5f7c",
        "us-east-1:12ab",
        "guest_corp#EXT#@tenant",
        "jane.o'neil+hr@corp.example",
        "owner/repo",
        "course-v1:Org+Course+Run",
    ];

    fn check(raw: &str, expected: &str) {
        let got = match raw.parse::<UserId>() {
            Ok(id) => id.to_string(),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(got, expected, "user id {raw:?}");
    }

    #[test]
    fn users() {
        check("u-1", "u-1");
        check("Ann.Lee@example.com", "Ann.Lee@example.com");
        for id in GIVEN {
            check(id, id);
        }
        check("", "! is empty; it must have 1 to 128 characters");
        check(&"a".repeat(128), &"a".repeat(128));
        check(&"a".repeat(129), "! is 129 bytes long; at most 128 are allowed");
        check(
            "a b",
            r#"! has the character ' ' at byte 1; use only ASCII letters, digits and punctuation except " \ < >"#,
        );
        for (raw, found, at) in [
            (" ann", "' '", 0),
            ("\"ann\"", "'\"'", 0),
            (r"CORP\ann", r"'\\'", 4),
            ("Ann<ann@corp.example>", "'<'", 3),
            ("ann>", "'>'", 3),
            ("zoë", "'ë'", 2),
            ("a\0", r"'\0'", 1),
            ("ann\n", r"'\n'", 3),
            ("a\x7f", r"'\u{7f}'", 1),
            ("ann\u{a0}", r"'\u{a0}'", 3),
        ] {
            let refused = format!(
                r#"! has the character {found} at byte {at}; use only ASCII letters, digits and punctuation except " \ < >"#
            );
            check(raw, &refused);
        }
        check("...", "...");
        check(".a", ".a");
        check("a~", "a~");
        check("%2e%2e", "%2e%2e");
        for segment in [".", ".."] {
            let refused = format!(
                "! is {segment:?}, which has no address, since URLs use it for a directory; add another character"
            );
            check(segment, &refused);
        }
        check(
            HEARTBEAT_USER,
            "! begins with '~', which is reserved for Podium's own users",
        );
    }

    #[test]
    fn ids_of_users_programs_and_activities_are_alike() {
        let (longest, too_long) = ("a".repeat(128), "a".repeat(129));
        let all = (0..=0xff).map(|byte| format!("a{}", char::from(byte)));
        let others = ["", ".", "..", "~a", &longest, &too_long].map(str::to_owned);
        for raw in GIVEN.map(str::to_owned).into_iter().chain(all).chain(others) {
            let as_user = raw.parse::<UserId>().map(|id| id.as_str().to_owned());
            assert_eq!(
                raw.parse::<ProgramId>().map(|id| id.as_str().to_owned()),
                as_user,
                "{raw:?}"
            );
            assert_eq!(
                raw.parse::<ActivityId>().map(|id| id.as_str().to_owned()),
                as_user,
                "{raw:?}"
            );
        }
    }

    #[test]
    fn every_byte_is_allowed_or_refused_as_documented() {
        let allowed: String = (0..=0xff)
            .map(char::from)
            .filter(|c| format!("a{c}").parse::<UserId>().is_ok())
            .collect();
        assert_eq!(
            allowed,
            "!#$%&'()*+,-./0123456789:;=?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[]^_`abcdefghijklmnopqrstuvwxyz{|}~"
        );
    }

    #[test]
    fn a_kind_is_a_slug() {
        assert!("task_completed".parse::<Kind>().is_ok());
        assert!("a".repeat(64).parse::<Kind>().is_ok());
        for raw in ["", "Task", "a:b", "a.b", "~a", &"a".repeat(65)] {
            assert!(raw.parse::<Kind>().is_err(), "{raw}");
        }
    }

    #[test]
    fn what_was_stored_before_dot_segments_were_refused_is_still_read() {
        for segment in [".", ".."] {
            assert_eq!(UserId::stored(segment).unwrap().as_str(), segment);
            assert_eq!(ActivityId::stored(segment).unwrap().as_str(), segment);
            let read: ProgramId = serde_json::from_str(&format!("{segment:?}")).unwrap();
            assert_eq!(read.as_str(), segment);
        }
        assert!(UserId::stored("a b").is_err());
        assert!(serde_json::from_str::<UserId>("\"~x\"").is_err());
    }
}
