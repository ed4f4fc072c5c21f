//! Boards and the documents that readers get.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::calendar::WindowSpan;
use crate::freshness::FreshnessDocument;
use crate::history::{PointsAt, UserHistory};
use crate::id::{InvalidId, ProgramId, UserId};
use crate::standing::Tally;

/// A leaderboard: everyone's points together, or those of one program.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Board {
    Global,
    Program(ProgramId),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidBoard {
    #[error("is not a board; boards are \"global\" and \"program:<program_id>\"")]
    Unknown,
    #[error("names a program whose id {0}")]
    Program(#[from] InvalidId),
}

impl fmt::Display for Board {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Global => f.write_str("global"),
            Self::Program(program) => write!(f, "program:{program}"),
        }
    }
}

impl FromStr for Board {
    type Err = InvalidBoard;
    fn from_str(raw: &str) -> Result<Self, InvalidBoard> {
        match raw.split_once(':') {
            None if raw == "global" => Ok(Self::Global),
            Some(("program", program)) => Ok(Self::Program(program.parse()?)),
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
    pub user_id: UserId,
    pub points: u64,
    pub activities: u64,
    /// Places gained since the previous snapshot; negative when lost, `null` when not listed then.
    pub change: Option<i64>,
}

/// What all documents about one board in one window begin with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoardHeading {
    pub board: Board,
    pub window: WindowSpan,
    pub generation: u64,
    pub participants: u64,
    pub points: u64,
    pub activities: u64,
}

/// `GET /v1/boards/{board}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoardDocument {
    #[serde(flatten)]
    pub heading: BoardHeading,
    /// How many entries there are to page through; less than `participants` on a large board.
    pub listed: u64,
    /// The number of the first of `entries`, counted from 1.
    pub from: u64,
    pub entries: Vec<BoardEntry>,
    pub next_cursor: Option<String>,
    pub freshness: FreshnessDocument,
}

/// `GET /v1/boards/{board}/users/{user}`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UserDocument {
    #[serde(flatten)]
    pub heading: BoardHeading,
    pub entry: BoardEntry,
    /// The listed users directly above, best first.
    pub above: Vec<BoardEntry>,
    pub below: Vec<BoardEntry>,
    /// The share of participants, in percent, with no more points than this user.
    pub percentile: f64,
    /// The user's points at the beginnings of days, weeks and the month within the window, and at
    /// last those of `entry`.
    pub history: Vec<PointsAt>,
    pub freshness: FreshnessDocument,
}

/// `GET /v1/boards/{board}/users`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchDocument {
    #[serde(flatten)]
    pub heading: BoardHeading,
    /// The listed users who were looked for, best first.
    pub entries: Vec<BoardEntry>,
    pub freshness: FreshnessDocument,
}

/// `GET /v1/boards/{board}/history`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryDocument {
    #[serde(flatten)]
    pub heading: BoardHeading,
    /// When each of the points was so; the last is the time of this generation.
    pub at: Vec<Timestamp>,
    /// Points of the whole board.
    pub total: Vec<u64>,
    /// The first users, in the order of the board.
    pub users: Vec<UserHistory>,
    pub freshness: FreshnessDocument,
}

/// One row of the list of boards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardSummary {
    pub board: Board,
    #[serde(flatten)]
    pub sums: BoardSums,
}

/// What a board comes to in one window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardSums {
    pub participants: u64,
    pub points: u64,
    pub activities: u64,
}

/// `GET /v1/boards`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BoardsDocument {
    pub window: WindowSpan,
    /// The global board, then the programs with the most points in the window first.
    pub boards: Vec<BoardSummary>,
    pub freshness: FreshnessDocument,
}

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatusDocument {
    #[serde(flatten)]
    pub status: Status,
    pub freshness: FreshnessDocument,
}

/// What the last snapshot run found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// All that is counted, by the control totals.
    pub counted: Tally,
    /// The sum of all standings as this run read them. The same as `counted` while nothing arrives;
    /// under load the two are read some moments apart.
    pub standings: Tally,
    /// Messages that could not be counted and wait for an operator.
    pub dead_letters: u64,
    /// How long the run took, in seconds.
    pub snapshot_seconds: f64,
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
        check(
            "program:",
            "names a program whose id is empty; it must have 1 to 64 characters",
        );
        check(
            "galaxy",
            r#"is not a board; boards are "global" and "program:<program_id>""#,
        );
        check(
            "team:a",
            r#"is not a board; boards are "global" and "program:<program_id>""#,
        );
    }
}
