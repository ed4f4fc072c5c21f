//! How users and boards are named in the paths of the API: by their id, or by `~` and the base64url of the id, as
//! in `/v1/boards/program:~b3duZXIvcmVwbw/users/~YXV0aDB8NWY3Yw`. Proxies may decode, rewrite or refuse a path with
//! `%2F` or `%23`, but none changes the characters of base64url. No id begins with `~`, so each form is told from
//! the other.

use std::borrow::Cow;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::board::{Board, InvalidBoard};
use crate::details::{Subject, SubjectKind};
use crate::id::{InvalidId, QuestId, UserId};
use crate::intake::shorten;

const ENCODED: char = '~';

/// Why a segment of a path names no user or no board.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSegment<E: std::error::Error + 'static> {
    #[error("is not base64url without padding after the '~'")]
    NotBase64Url,
    #[error("is not UTF-8 in the base64url after the '~'")]
    NotUtf8,
    #[error("stands for {name:?}, which {error}")]
    Encoded { name: String, error: E },
    #[error(transparent)]
    Plain(E),
}

/// Parses a percent-decoded segment that names a user.
pub fn parse_user(segment: &str) -> Result<UserId, InvalidSegment<InvalidId>> {
    parse(segment, "", segment)
}

/// Parses a percent-decoded segment that names a quest.
pub fn parse_quest(segment: &str) -> Result<QuestId, InvalidSegment<InvalidId>> {
    parse(segment, "", segment)
}

/// Parses a percent-decoded segment that names a team or a program.
pub fn parse_subject(kind: SubjectKind, segment: &str) -> Result<Subject, InvalidSegment<InvalidId>> {
    Ok(match kind {
        SubjectKind::Team => Subject::Team(parse(segment, "", segment)?),
        SubjectKind::Program => Subject::Program(parse(segment, "", segment)?),
    })
}

/// Parses a percent-decoded segment that names a board.
pub fn parse_board(segment: &str) -> Result<Board, InvalidSegment<InvalidBoard>> {
    for prefix in [Board::PROGRAM, Board::TEAM] {
        if let Some(id) = segment.strip_prefix(prefix) {
            return parse(segment, prefix, id);
        }
    }
    segment.parse().map_err(InvalidSegment::Plain)
}

fn parse<T: FromStr<Err: std::error::Error + 'static>>(
    segment: &str,
    prefix: &str,
    id: &str,
) -> Result<T, InvalidSegment<T::Err>> {
    let Some(encoded) = id.strip_prefix(ENCODED) else {
        return segment.parse().map_err(InvalidSegment::Plain);
    };
    let bytes = URL_SAFE_NO_PAD.decode(encoded);
    let bytes = bytes.map_err(|_| InvalidSegment::NotBase64Url)?;
    let id = String::from_utf8(bytes).map_err(|_| InvalidSegment::NotUtf8)?;
    let name = format!("{prefix}{id}");
    name.parse().map_err(|error| InvalidSegment::Encoded {
        name: shorten(&name),
        error,
    })
}

/// The segment of a path that names this user.
pub fn user_segment(user: &UserId) -> Cow<'_, str> {
    segment(user.as_str())
}

/// The segment of a path that names this board.
pub fn board_segment(board: &Board) -> Cow<'static, str> {
    match board {
        Board::Global => Cow::Borrowed(Board::GLOBAL),
        Board::Program(program) => format!("{}{}", Board::PROGRAM, segment(program.as_str())).into(),
        Board::Team(team) => format!("{}{}", Board::TEAM, segment(team.as_str())).into(),
    }
}

/// An id of characters that mean nothing in a path stays readable.
fn segment(id: &str) -> Cow<'_, str> {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b':' | b'@' | b'-');
    if id.bytes().all(is_plain) && !matches!(id, "." | "..") {
        id.into()
    } else {
        format!("{ENCODED}{}", URL_SAFE_NO_PAD.encode(id)).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_user(segment: &str, expected: &str) {
        let got = match parse_user(segment) {
            Ok(user) => user.to_string(),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(got, expected, "{segment:?}");
    }

    fn check_board(segment: &str, expected: &str) {
        let got = match parse_board(segment) {
            Ok(board) => board.to_string(),
            Err(error) => format!("! {error}"),
        };
        assert_eq!(got, expected, "{segment:?}");
    }

    /// Each id, and the segment that names its user, from `printf %s ID | basenc --base64url`.
    const SEGMENTS: [(&str, &str); 13] = [
        ("ann", "ann"),
        ("Ann.Lee_2@example.com", "Ann.Lee_2@example.com"),
        ("us-east-1:12ab", "us-east-1:12ab"),
        ("...", "..."),
        ("auth0|5f7c", "~YXV0aDB8NWY3Yw"),
        ("guest_corp#EXT#@tenant", "~Z3Vlc3RfY29ycCNFWFQjQHRlbmFudA"),
        (
            "jane.o'neil+hr@corp.example",
            "~amFuZS5vJ25laWwraHJAY29ycC5leGFtcGxl",
        ),
        ("owner/repo", "~b3duZXIvcmVwbw"),
        ("course-v1:Org+Course+Run", "~Y291cnNlLXYxOk9yZytDb3Vyc2UrUnVu"),
        ("%2e%2e", "~JTJlJTJl"),
        ("a~", "~YX4"),
        ("ab~", "~YWJ-"),
        ("{}?", "~e30_"),
    ];

    #[test]
    fn an_id_is_read_from_its_segment() {
        for (id, segment) in SEGMENTS {
            let user: UserId = id.parse().unwrap();
            assert_eq!(user_segment(&user), segment, "{id}");
            check_user(segment, id);
            check_user(id, id);
            let board: Board = format!("program:{id}").parse().unwrap();
            assert_eq!(board_segment(&board), format!("program:{segment}"), "{id}");
            check_board(&format!("program:{segment}"), &board.to_string());
            check_board(&format!("program:{id}"), &board.to_string());
            let board: Board = format!("team:{id}").parse().unwrap();
            assert_eq!(board_segment(&board), format!("team:{segment}"), "{id}");
            check_board(&format!("team:{segment}"), &board.to_string());
        }
    }

    #[test]
    fn both_forms_name_an_id_of_plain_characters() {
        check_user("~YW5u", "ann");
        check_board("program:~YW5u", "program:ann");
        check_board("global", "global");
        assert_eq!(board_segment(&Board::Global), "global");
    }

    #[test]
    fn the_board_of_a_dot_segment_has_an_address() {
        let board: Board = "program:..".parse().unwrap();
        assert_eq!(board_segment(&board), "program:~Li4");
        check_board("program:~Li4", "program:..");
        check_board("program:..", "program:..");
    }

    #[test]
    fn what_names_nothing_has_a_reason() {
        for segment in ["~YW5", "~YW5u=", "~a/b+", "~YW 5u", "~YQ==", "~é"] {
            check_user(segment, "! is not base64url without padding after the '~'");
            check_board(
                &format!("program:{segment}"),
                "! is not base64url without padding after the '~'",
            );
        }
        // Of three bytes ff; and of `ann` with a surrogate.
        for segment in ["~____", "~YW5u7aCA"] {
            check_user(segment, "! is not UTF-8 in the base64url after the '~'");
        }
        check_user(
            "~",
            "! stands for \"\", which is empty; it must have 1 to 128 characters",
        );
        check_user(
            "~YSBi",
            r#"! stands for "a b", which has the character ' ' at byte 1; use only ASCII letters, digits and punctuation except " \ < >"#,
        );
        check_user(
            "~fmE",
            "! stands for \"~a\", which begins with '~', which is reserved for Podium's own users",
        );
        check_user(
            "~Li4",
            "! stands for \"..\", which is \"..\", which has no address, since URLs use it for a directory; add another character",
        );
        check_user(
            "..",
            "! is \"..\", which has no address, since URLs use it for a directory; add another character",
        );
        check_board(
            "program:~YSBi",
            r#"! stands for "program:a b", which names a program id that has the character ' ' at byte 1; use only ASCII letters, digits and punctuation except " \ < >"#,
        );
        let long = URL_SAFE_NO_PAD.encode("a".repeat(129));
        let shown = format!("{}…", "a".repeat(64));
        check_user(
            &format!("~{long}"),
            &format!("! stands for \"{shown}\", which is 129 bytes long; at most 128 are allowed"),
        );
        for board in ["~Z2xvYmFs", "~dGVhbTph", "~cHJvZ3JhbTph", ""] {
            check_board(
                board,
                r#"! is not a board; use "global", "program:<program_id>" or "team:<team_id>""#,
            );
        }
    }
}
