//! The overview of all boards.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use domain::documents::{BoardSummary, BoardSums, Status};
use domain::id::SMOKE_PROGRAM;
use domain::{Board, Freshness, ProgramId, Window};
use serde::{Deserialize, Serialize};

/// The list of boards and the status. A run writes it last.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    /// One more than that of the overview it replaced.
    #[serde(default)]
    pub generation: u64,
    pub boards: Vec<BoardOverview>,
    /// How many programs there are, with and without a board.
    #[serde(default)]
    pub programs: u64,
    /// The programs that have a board in the next run.
    #[serde(default)]
    pub chosen_programs: Vec<ProgramId>,
    pub status: Status,
    pub freshness: Freshness,
}

/// The sums of one board in each window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardOverview {
    pub board: Board,
    #[serde(default)]
    pub windows: BTreeMap<Window, BoardSums>,
}

impl Overview {
    /// The programs that have a board in the next run. An overview of an earlier version chooses none; its
    /// boards go on.
    pub fn next_programs(&self) -> Vec<ProgramId> {
        if !self.chosen_programs.is_empty() {
            return self.chosen_programs.clone();
        }
        let boards = self.boards.iter().filter_map(|overview| match &overview.board {
            Board::Program(program) => Some(program.clone()),
            Board::Global => None,
        });
        boards.collect()
    }

    pub fn lists(&self, board: &Board) -> bool {
        self.boards.iter().any(|listed| listed.board == *board)
    }

    /// Whether every program has a board.
    pub fn is_complete(&self) -> bool {
        let programs = self
            .boards
            .iter()
            .filter(|overview| overview.board != Board::Global);
        self.programs <= programs.count() as u64
    }

    /// The global board first, then the programs by points in a window, most first. Without that of smoke
    /// tests.
    pub fn boards_in(&self, window: Window) -> Vec<BoardSummary> {
        let mut boards: Vec<_> = self
            .boards
            .iter()
            .filter(|overview| !matches!(&overview.board, Board::Program(program) if program.as_str() == SMOKE_PROGRAM))
            .map(|BoardOverview { board, windows }| BoardSummary {
                board: board.clone(),
                sums: windows.get(&window).copied().unwrap_or_default(),
            })
            .collect();
        boards.sort_unstable_by(|a, b| {
            let place =
                |summary: &BoardSummary| (summary.board != Board::Global, Reverse(summary.sums.points));
            (place(a), &a.board).cmp(&(place(b), &b.board))
        });
        boards
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn the_list_begins_with_the_global_board_and_goes_on_by_points_in_the_window() {
        let board = |(board, all, day): (&str, i64, i64)| {
            let sums = |points| BoardSums {
                points,
                ..BoardSums::default()
            };
            BoardOverview {
                board: board.parse().unwrap(),
                windows: [(Window::All, sums(all)), (Window::Day, sums(day))].into(),
            }
        };
        let boards = [
            ("program:r", 5, 1),
            ("program:q", 9, 2),
            ("global", 19, 10),
            ("program:p", 5, 7),
        ];
        let overview = Overview {
            generation: 1,
            boards: boards.map(board).to_vec(),
            programs: 3,
            chosen_programs: Vec::new(),
            status: Status {
                counted: domain::Tally::default(),
                dead_letters: 0,
                snapshot_seconds: 0.0,
                pending_rules: Vec::new(),
            },
            freshness: Freshness {
                generated_at: Timestamp::UNIX_EPOCH,
                lag_seconds: None,
                backlog: 0,
            },
        };
        let check = |window, expected: &[&str]| {
            let list = overview.boards_in(window).into_iter();
            let list: Vec<_> = list.map(|s| format!("{}={}", s.board, s.sums.points)).collect();
            assert_eq!(list, expected);
        };
        check(
            Window::All,
            &["global=19", "program:q=9", "program:p=5", "program:r=5"],
        );
        check(
            Window::Day,
            &["global=10", "program:p=7", "program:q=2", "program:r=1"],
        );
        check(
            Window::Week,
            &["global=0", "program:p=0", "program:q=0", "program:r=0"],
        );
    }
}
