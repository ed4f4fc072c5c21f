//! The overview of all boards.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use domain::counters::Sum;
use domain::documents::{BoardSummary, BoardSums, Status};
use domain::id::SMOKE_PROGRAM;
use domain::{Board, Details, Freshness, Period, ProgramId, Tally, TeamId, Window};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::head::PageRef;

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
    /// How many teams are ranked.
    #[serde(default)]
    pub teams: u64,
    /// The teams that have a board.
    #[serde(default)]
    pub team_boards: Vec<TeamId>,
    /// Those that have one in the next run; `None` if they are the same, so that the list is not stored twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen_teams: Option<Vec<TeamId>>,
    /// Whether someone has a profile.
    #[serde(default)]
    pub has_people: bool,
    /// The pages that name who is not listed by now, for the boards of periods that are over.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub concealed: Vec<PageRef>,
    /// How far the periods of each window are closed.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub closings: BTreeMap<Window, Closings>,
    pub status: Status,
    pub freshness: Freshness,
}

/// How far the days, weeks or months are closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closings {
    /// The last one that is closed.
    pub through: Period,
    /// The last one of which there are provisional boards, and when they were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisional: Option<(Period, Timestamp)>,
    /// The last ones that are closed, the latest first, as long as standings know what came too late for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<Kept>,
}

/// What the standings came to in a closed period when its boards were made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    pub period: Period,
    /// `None` if counters were given up, so that it cannot be compared any more.
    pub counted: Option<Tally>,
    /// What came too late.
    pub late: Sum,
    pub as_of: Timestamp,
    /// Why the next run makes them again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub again: Option<Again>,
}

/// Why the boards of a closed period are made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Again {
    /// Something in time was counted afterwards.
    Counted,
    /// Something came too late. That is told, and not added.
    Late,
}

/// The sums of one board in each window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardOverview {
    pub board: Board,
    #[serde(default)]
    pub windows: BTreeMap<Window, BoardSums>,
    #[serde(flatten)]
    pub details: Details,
}

impl Overview {
    /// The teams that have a board in the next run.
    pub fn next_teams(&self) -> &[TeamId] {
        self.chosen_teams.as_deref().unwrap_or(&self.team_boards)
    }

    pub fn lists(&self, board: &Board) -> bool {
        match board {
            Board::Team(team) => self.team_boards.contains(team),
            _ => self.boards.iter().any(|listed| listed.board == *board),
        }
    }

    /// Whether every program has a board.
    pub fn is_complete(&self) -> bool {
        let programs = self
            .boards
            .iter()
            .filter(|overview| overview.board != Board::Global);
        self.programs <= programs.count() as u64
    }

    /// The global board first, then the programs that are not archived: those with an order, and the others by points
    /// in a window, most first. Without that of smoke tests.
    pub fn boards_in(&self, window: Window) -> Vec<BoardSummary> {
        let is_smoke_test =
            |board: &Board| matches!(board, Board::Program(program) if program.as_str() == SMOKE_PROGRAM);
        let listed = self
            .boards
            .iter()
            .filter(|overview| !overview.details.archived && !is_smoke_test(&overview.board));
        let mut boards: Vec<_> = listed
            .map(|overview| {
                let sums = overview.windows.get(&window).copied().unwrap_or_default();
                let order = overview.details.order;
                let place = (order.is_none(), order, Reverse(sums.points));
                let place = (overview.board != Board::Global, place, &overview.board);
                let summary = BoardSummary {
                    board: overview.board.clone(),
                    title: overview.details.title.clone(),
                    sums,
                };
                (place, summary)
            })
            .collect();
        boards.sort_unstable_by_key(|(place, _)| *place);
        boards.into_iter().map(|(_, summary)| summary).collect()
    }
}

#[cfg(test)]
mod tests {
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
                details: Details::default(),
            }
        };
        let boards = [
            ("program:r", 5, 1),
            ("program:q", 9, 2),
            ("global", 19, 10),
            ("program:p", 5, 7),
        ];
        let mut overview = Overview {
            generation: 1,
            boards: boards.map(board).to_vec(),
            programs: 3,
            chosen_programs: Vec::new(),
            teams: 0,
            team_boards: Vec::new(),
            chosen_teams: None,
            has_people: false,
            concealed: Vec::new(),
            closings: BTreeMap::new(),
            status: Status {
                counted: Tally::default(),
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
        let check = |overview: &Overview, window, expected: &[&str]| {
            let list = overview.boards_in(window).into_iter();
            let list: Vec<_> = list.map(|s| format!("{}={}", s.board, s.sums.points)).collect();
            assert_eq!(list, expected);
        };
        check(
            &overview,
            Window::All,
            &["global=19", "program:q=9", "program:p=5", "program:r=5"],
        );
        check(
            &overview,
            Window::Day,
            &["global=10", "program:p=7", "program:q=2", "program:r=1"],
        );
        check(
            &overview,
            Window::Week,
            &["global=0", "program:p=0", "program:q=0", "program:r=0"],
        );
        // The boards are r, q, global and p.
        overview.boards[0].details.order = Some(2);
        overview.boards[1].details.archived = true;
        overview.boards[3].details.order = Some(1);
        check(
            &overview,
            Window::All,
            &["global=19", "program:p=5", "program:r=5"],
        );
        overview.boards[3].details.order = None;
        check(
            &overview,
            Window::Day,
            &["global=10", "program:r=1", "program:p=7"],
        );
    }
}
