//! Identifiers. Each is created only by parsing, so its value is safe in a table key, a URL and a log.
//! Only ids from before dot-segments were refused can be `.` or `..`, which have no address of their own.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize};

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
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(into = "String")]
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

        impl From<$name> for String {
            fn from(id: $name) -> Self {
                id.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// Whether ids of users and programs may have this byte.
pub fn is_name_byte(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'@' | b'-')
}

identifier!(
    /// An employee: 1 to 64 bytes of `[A-Za-z0-9._@-]`.
    UserId,
    Rule {
        max: 64,
        allowed: "A-Z a-z 0-9 . _ @ -",
        allows: is_name_byte,
    }
);

identifier!(
    /// An engagement program: 1 to 64 bytes of `[A-Za-z0-9._@-]`.
    ProgramId,
    Rule {
        max: 64,
        allowed: "A-Z a-z 0-9 . _ @ -",
        allows: is_name_byte,
    }
);

identifier!(
    /// The client's idempotency key, unique within its user: 1 to 128 bytes of `[A-Za-z0-9._:@-]`.
    ActivityId,
    Rule {
        max: 128,
        allowed: "A-Z a-z 0-9 . _ : @ -",
        allows: |b| is_name_byte(b) || b == b':',
    }
);

identifier!(
    /// What was done, a slug such as `task_completed`: 1 to 64 bytes of `[a-z0-9_-]`.
    Kind,
    Rule {
        max: 64,
        allowed: "a-z 0-9 _ -",
        allows: |b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'_' | b'-'),
    }
);

#[cfg(test)]
mod tests {
    use super::*;

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
        check("", "! is empty; it must have 1 to 64 characters");
        check(&"a".repeat(64), &"a".repeat(64));
        check(&"a".repeat(65), "! is 65 bytes long; at most 64 are allowed");
        check(
            "a b",
            "! has the character ' ' at byte 1; use only A-Z a-z 0-9 . _ @ -",
        );
        check(
            "a#b",
            "! has the character '#' at byte 1; use only A-Z a-z 0-9 . _ @ -",
        );
        check(
            "zoë",
            "! has the character 'ë' at byte 2; use only A-Z a-z 0-9 . _ @ -",
        );
        check(
            "a\0",
            "! has the character '\\0' at byte 1; use only A-Z a-z 0-9 . _ @ -",
        );
        check("...", "...");
        check(".a", ".a");
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
    fn the_other_ids_have_rules_of_their_own() {
        assert!("2026:a@b".parse::<ActivityId>().is_ok());
        assert!("a".repeat(128).parse::<ActivityId>().is_ok());
        assert!("a".repeat(129).parse::<ActivityId>().is_err());
        assert!("task_completed".parse::<Kind>().is_ok());
        assert!("Task".parse::<Kind>().is_err());
        assert!("crates-io".parse::<ProgramId>().is_ok());
        assert!("a:b".parse::<ProgramId>().is_err());
        for segment in [".", ".."] {
            assert!(segment.parse::<ProgramId>().is_err(), "{segment}");
            assert!(segment.parse::<ActivityId>().is_err(), "{segment}");
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
