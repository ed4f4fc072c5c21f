//! Boards and their rows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::details::Subject;
use crate::id::{InvalidId, ProgramId, TeamId, UserId};
use crate::person::DisplayName;
use crate::teams::TEAMS;

/// A leaderboard of people: with the points of all programs together or those of one program, or of the members of
/// one team with the points of all programs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Board {
    Global,
    Program(ProgramId),
    Team(TeamId),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBoard {
    #[error("is not a board; use \"global\", \"program:<program_id>\" or \"team:<team_id>\"")]
    Unknown,
    #[error("lists teams; it has neither users nor a history")]
    Teams,
    #[error("names a program id that {0}")]
    Program(InvalidId),
    #[error("names a team id that {0}")]
    Team(InvalidId),
}

impl Board {
    pub(crate) const GLOBAL: &str = "global";
    pub(crate) const PROGRAM: &str = "program:";
    pub(crate) const TEAM: &str = "team:";
}

impl Board {
    /// The program or team that it is of.
    pub fn subject(&self) -> Option<Subject> {
        match self {
            Self::Global => None,
            Self::Program(program) => Some(Subject::Program(program.clone())),
            Self::Team(team) => Some(Subject::Team(team.clone())),
        }
    }
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str(Self::GLOBAL),
            Self::Program(program) => write!(f, "{}{program}", Self::PROGRAM),
            Self::Team(team) => write!(f, "{}{team}", Self::TEAM),
        }
    }
}

impl FromStr for Board {
    type Err = InvalidBoard;
    fn from_str(raw: &str) -> Result<Self, InvalidBoard> {
        if let Some(team) = raw.strip_prefix(Self::TEAM) {
            return TeamId::stored(team).map(Self::Team).map_err(InvalidBoard::Team);
        }
        // The board of any program that has been counted has an address, also that of `.`.
        if let Some(program) = raw.strip_prefix(Self::PROGRAM) {
            return ProgramId::stored(program)
                .map(Self::Program)
                .map_err(InvalidBoard::Program);
        }
        match raw {
            Self::GLOBAL => Ok(Self::Global),
            TEAMS => Err(InvalidBoard::Teams),
            _ => Err(InvalidBoard::Unknown),
        }
    }
}

impl TryFrom<String> for Board {
    type Error = InvalidBoard;
    fn try_from(raw: String) -> Result<Self, InvalidBoard> {
        raw.parse()
    }
}

impl From<Board> for String {
    fn from(board: Board) -> Self {
        board.to_string()
    }
}

/// One row of a board.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardEntry {
    /// Competition rank: equal points share it, and the next rank is skipped.
    pub rank: u64,
    /// `None` if the person is anonymous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// `None` for someone without a profile, or anonymous.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DisplayName>,
    /// Corrections may make them negative.
    pub points: i64,
    pub activities: u64,
    /// Places gained since the day began, and on the board of the day since about an hour ago. Negative if places were
    /// lost, `null` if the user was not listed then.
    pub change: Option<i64>,
}

impl BoardEntry {
    /// Its place on the board: by rank, then by user id, with those who are anonymous last.
    pub fn place(&self) -> impl Ord + '_ {
        (self.rank, self.user_id.is_none(), &self.user_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected: &str) {
        let got = match raw.parse::<Board>() {
            Ok(board) => format!("{board:?} {board}"),
            Err(error) => error.to_string(),
        };
        assert_eq!(got, expected);
    }

    #[test]
    fn boards() {
        check("global", "Global global");
        check(
            "program:crates-io",
            r#"Program(ProgramId("crates-io")) program:crates-io"#,
        );
        check("program:..", r#"Program(ProgramId("..")) program:.."#);
        check(
            "program:course-v1:Org+Course+Run",
            r#"Program(ProgramId("course-v1:Org+Course+Run")) program:course-v1:Org+Course+Run"#,
        );
        // Base64url is for addresses only.
        check(
            "program:~YW5u",
            "names a program id that begins with '~', which is reserved for Podium's own users",
        );
        check(
            "program:",
            "names a program id that is empty; it must have 1 to 128 characters",
        );
        check("team:red", r#"Team(TeamId("red")) team:red"#);
        check(
            "team:",
            "names a team id that is empty; it must have 1 to 128 characters",
        );
        check("teams", "lists teams; it has neither users nor a history");
        check(
            "galaxy",
            r#"is not a board; use "global", "program:<program_id>" or "team:<team_id>""#,
        );
    }
}
