//! Boards of periods that are over. They keep the ids and points of everyone who took part; names and visibility are
//! those of the day on which a board is read.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::board::{Board, BoardEntry};
use crate::calendar::Period;
use crate::counters::Sum;
use crate::documents::BoardSums;
use crate::id::{ProgramId, SMOKE_PROGRAM, UserId};
use crate::person::{Person, Visibility};
use crate::ranking::{BoardBuilder, Shown};
use crate::standing::Tally;
use crate::teams::{RankedTeams, TeamScore, TeamsBuilder};

/// How many users a closed board keeps, at most. Of the others it keeps the sums.
pub const ROWS_MAX: usize = 10_000;
/// Read units that one instance of serve spends on closed boards and on how far users are with quests, on average. Such an
/// answer may take hundreds, so without a bound whoever may read public boards could make them expensive.
pub const READ_UNITS_A_SECOND: f64 = 80.0;
/// How many programs and teams have a closed board of one period.
pub const BOARDS_MAX: usize = 10_000;

/// Whether the board of a period that is over may still change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// More may count in the period.
    Provisional,
    Closed,
}

/// What someone did in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InPeriod {
    pub counted: Tally,
    /// What was received too late to count.
    pub late: Sum,
    /// When the last counted activity occurred; `None` where equal points share a rank.
    pub last: Option<Timestamp>,
}

/// A row of a closed board as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
// Rows of published boards have more, and must not be taken for these.
#[serde(deny_unknown_fields)]
pub struct ClosedRow {
    pub user_id: UserId,
    pub points: i64,
    pub activities: u64,
    #[serde(default, skip_serializing_if = "Sum::is_nothing")]
    pub late: Sum,
    /// As in [`InPeriod`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<Timestamp>,
}

/// A closed board as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClosedBoard {
    /// In board order. Whoever has only late points comes last.
    pub rows: Vec<ClosedRow>,
    /// Those who are not in the rows, and were not hidden when it was closed.
    pub others: BoardSums,
}

/// A closed board as readers see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosedView {
    /// Without names.
    pub entries: Vec<BoardEntry>,
    pub sums: BoardSums,
    /// Of those who are in the entries or have late points only.
    pub late: Sum,
}

/// All boards of one period.
#[derive(Clone, Debug)]
pub struct ClosedPeriod {
    pub period: Period,
    pub boards: Vec<(Board, ClosedBoard)>,
    /// No participants where nobody is in a team.
    pub teams: RankedTeams,
}

/// Collects what users did in some periods into their boards.
#[derive(Debug)]
pub struct ClosedBoards {
    periods: Vec<Period>,
    rows: usize,
    boards: BTreeMap<Board, Vec<Builder>>,
    teams: TeamsBuilder,
}

#[derive(Debug)]
struct Builder {
    ranked: BoardBuilder,
    late: BTreeMap<UserId, Sum>,
    /// Those who were hidden by now.
    hidden: HashMap<UserId, Tally>,
}

impl ClosedBoards {
    /// At most `listed` users are kept in each board.
    pub fn new(periods: Vec<Period>, listed: usize, score: TeamScore) -> Self {
        let mut boards = Self {
            teams: TeamsBuilder::new(score, periods.len(), BOARDS_MAX),
            rows: listed.min(ROWS_MAX),
            boards: BTreeMap::new(),
            periods,
        };
        boards.board(Board::Global);
        boards
    }

    pub fn periods(&self) -> &[Period] {
        &self.periods
    }

    /// Adds someone whom the directory has. Each must be added once.
    pub fn add_person(&mut self, person: &Person) {
        if let Some(team) = &person.team {
            self.teams.add_member(team);
            self.board(Board::Team(team.clone()));
        }
    }

    /// Adds what a user did in each program, period by period.
    pub fn add(
        &mut self,
        user: &UserId,
        person: Option<&Person>,
        programs: impl IntoIterator<Item = (ProgramId, Vec<InPeriod>)>,
    ) {
        let is_hidden = person.is_some_and(|person| person.visibility == Visibility::Hidden);
        let mut sums = vec![InPeriod::default(); self.periods.len()];
        for (program, did) in programs {
            if program.as_str() == SMOKE_PROGRAM {
                continue;
            }
            debug_assert_eq!(did.len(), sums.len(), "a program has a sum for each period");
            for (sum, did) in sums.iter_mut().zip(&did) {
                sum.counted += did.counted;
                sum.late += did.late;
                sum.last = sum.last.max(did.last);
            }
            self.add_to(Board::Program(program), user, is_hidden, &did);
        }
        self.add_to(Board::Global, user, is_hidden, &sums);
        if let Some(team) = person.and_then(|person| person.team.as_ref()) {
            self.teams.add(team, sums.iter().map(|did| did.counted.points));
            self.add_to(Board::Team(team.clone()), user, is_hidden, &sums);
        }
    }

    fn add_to(&mut self, board: Board, user: &UserId, is_hidden: bool, did: &[InPeriod]) {
        let Some(builders) = self.board(board) else {
            return;
        };
        for (builder, did) in builders.iter_mut().zip(did) {
            builder
                .ranked
                .add(user, &Shown::Listed(None), did.counted, did.last);
            if is_hidden && !did.counted.is_nothing() {
                builder.hidden.insert(user.clone(), did.counted);
            }
            if !did.late.is_nothing() {
                builder.late.insert(user.clone(), did.late);
            }
        }
    }

    fn board(&mut self, board: Board) -> Option<&mut Vec<Builder>> {
        if self.boards.len() >= BOARDS_MAX && !self.boards.contains_key(&board) {
            return None;
        }
        let new = || self.periods.iter().map(|_| Builder::new(self.rows)).collect();
        Some(self.boards.entry(board).or_insert_with(new))
    }

    /// The boards of each period. Only teams with at least so many members are ranked.
    pub fn finish(self, min_members: u64) -> Vec<ClosedPeriod> {
        let teams = self.teams.finish(min_members, self.rows, |_| None);
        let mut periods: Vec<ClosedPeriod> = self
            .periods
            .into_iter()
            .zip(teams)
            .map(|(period, teams)| ClosedPeriod {
                period,
                boards: Vec::new(),
                teams,
            })
            .collect();
        for (board, builders) in self.boards {
            for (period, builder) in periods.iter_mut().zip(builders) {
                period.boards.push((board.clone(), builder.finish()));
            }
        }
        periods
    }
}

impl Builder {
    fn new(rows: usize) -> Self {
        Self {
            ranked: BoardBuilder::new(rows),
            late: BTreeMap::new(),
            hidden: HashMap::new(),
        }
    }

    fn finish(mut self) -> ClosedBoard {
        let limit = self.ranked.listed();
        let (ranked, lasts) = self.ranked.finish_with_lasts();
        let mut others = BoardSums {
            participants: ranked.histogram.participants(),
            points: ranked.sum.points,
            activities: ranked.sum.activities,
        };
        let mut rows: Vec<_> = ranked
            .entries
            .into_iter()
            .zip(lasts)
            .filter_map(|(entry, last)| {
                Some(ClosedRow {
                    last,
                    late: self.late.remove(entry.user_id.as_ref()?).unwrap_or_default(),
                    user_id: entry.user_id?,
                    points: entry.points,
                    activities: entry.activities,
                })
            })
            .collect();
        for row in &rows {
            others.take_out(row.points, row.activities);
            self.hidden.remove(&row.user_id);
        }
        for hidden in self.hidden.values() {
            others.take_out(hidden.points, hidden.activities);
        }
        let late_only = self.late.into_iter();
        let late_only = late_only.map(|(user, late)| ClosedRow::late_only(user, late));
        rows.extend(late_only.take(limit - rows.len()));
        ClosedBoard { rows, others }
    }
}

impl ClosedRow {
    fn late_only(user_id: UserId, late: Sum) -> Self {
        Self {
            user_id,
            points: 0,
            activities: 0,
            late,
            last: None,
        }
    }
}

impl BoardSums {
    fn take_out(&mut self, points: i64, activities: u64) {
        self.participants -= 1;
        self.points -= points;
        self.activities -= activities;
    }
}

impl ClosedBoard {
    /// The board with what came too late by now of these users.
    #[must_use]
    pub fn with_late(mut self, late: &BTreeMap<UserId, Sum>) -> Self {
        let mut others: BTreeMap<_, _> = late.iter().filter(|(_, late)| !late.is_nothing()).collect();
        for row in &mut self.rows {
            others.remove(&row.user_id);
            row.late = late.get(&row.user_id).copied().unwrap_or(row.late);
        }
        self.rows
            .retain(|row| row.points != 0 || row.activities != 0 || !row.late.is_nothing());
        let room = ROWS_MAX.saturating_sub(self.rows.len());
        let late_only = others
            .into_iter()
            .map(|(user, late)| ClosedRow::late_only(user.clone(), *late));
        self.rows.extend(late_only.take(room));
        self
    }

    /// The board without those who are hidden by now. `concealed` are those who are not listed, whether or not they are on
    /// this board.
    pub fn view(&self, concealed: &HashMap<UserId, Visibility>) -> ClosedView {
        let mut builder = BoardBuilder::new(usize::MAX);
        let mut late = Sum::default();
        for row in &self.rows {
            let shown = match concealed.get(&row.user_id) {
                Some(Visibility::Hidden) => continue,
                Some(Visibility::Anonymous) => Shown::Anonymous,
                Some(Visibility::Listed) | None => Shown::Listed(None),
            };
            let tally = Tally {
                points: row.points,
                activities: row.activities,
            };
            builder.add(&row.user_id, &shown, tally, row.last);
            late += row.late;
        }
        let ranked = builder.finish();
        ClosedView {
            sums: BoardSums {
                participants: ranked.entries.len() as u64 + self.others.participants,
                points: ranked.sum.points + self.others.points,
                activities: ranked.sum.activities + self.others.activities,
            },
            entries: ranked.entries,
            late,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn did(points: i64, late: i64) -> InPeriod {
        InPeriod {
            counted: Tally {
                points,
                activities: u64::from(points != 0),
            },
            late: Sum {
                points: late,
                activities: i64::from(late != 0),
            },
            last: None,
        }
    }

    fn person(team: Option<&str>, visibility: Visibility) -> Person {
        Person {
            display_name: Some("Somebody".parse().unwrap()),
            team: team.map(|team| team.parse().unwrap()),
            visibility,
        }
    }

    /// Ann, Bob, Cy and Dee in two weeks and two programs. Cy is hidden.
    fn closed(listed: usize) -> Vec<ClosedPeriod> {
        let weeks = ["2026-W46", "2026-W47"].map(|week| week.parse().unwrap());
        let mut boards = ClosedBoards::new(weeks.to_vec(), listed, TeamScore::Sum);
        for (user, person, programs) in [
            (
                "ann",
                Some(person(Some("red"), Visibility::Listed)),
                vec![("p", 5, 1), ("q", 2, 0)],
            ),
            ("bob", None, vec![("p", 9, 0), (SMOKE_PROGRAM, 50, 50)]),
            (
                "cy",
                Some(person(Some("red"), Visibility::Hidden)),
                vec![("p", 8, 8)],
            ),
            ("dee", None, vec![("q", 0, 3)]),
        ] {
            if let Some(person) = &person {
                boards.add_person(person);
            }
            let programs = programs.into_iter().map(|(program, first, second)| {
                (
                    program.parse().unwrap(),
                    vec![did(first, 0), did(second, i64::from(user == "dee"))],
                )
            });
            boards.add(&user.parse().unwrap(), person.as_ref(), programs);
        }
        boards.finish(1)
    }

    /// The rows and sums of a board, such as `1.bob=9 1 person 9`.
    fn render(closed: &[ClosedPeriod], week: usize, board: &str, concealed: &[(&str, Visibility)]) -> String {
        let concealed = concealed
            .iter()
            .map(|(user, visibility)| (user.parse().unwrap(), *visibility))
            .collect();
        let (_, board) = closed[week]
            .boards
            .iter()
            .find(|(of, _)| of.to_string() == board)
            .unwrap();
        let view = board.view(&concealed);
        let rows = view.entries.iter().map(|row| {
            let user = row.user_id.as_ref().map_or("?", UserId::as_str);
            format!("{}.{user}={}", row.rank, row.points)
        });
        let BoardSums {
            participants, points, ..
        } = view.sums;
        format!(
            "{} of {participants}/{points} late {}",
            rows.collect::<Vec<_>>().join(" "),
            view.late.points
        )
    }

    const HIDDEN: (&str, Visibility) = ("cy", Visibility::Hidden);

    #[test]
    fn each_period_has_the_boards_of_what_was_done_in_it() {
        let closed = closed(10);
        let check =
            |week, board, expected: &str| assert_eq!(render(&closed, week, board, &[HIDDEN]), expected);
        check(0, "global", "1.bob=9 2.ann=7 of 2/16 late 0");
        check(0, "program:p", "1.bob=9 2.ann=5 of 2/14 late 0");
        check(0, "program:q", "1.ann=2 of 1/2 late 0");
        check(0, "team:red", "1.ann=7 of 1/7 late 0");
        check(1, "global", "1.dee=3 2.ann=1 of 2/4 late 1");
        let boards: Vec<_> = closed[0]
            .boards
            .iter()
            .map(|(board, _)| board.to_string())
            .collect();
        assert_eq!(boards, ["global", "program:p", "program:q", "team:red"]);
        let teams = closed.iter().map(|closed| closed.teams.points);
        assert_eq!(teams.collect::<Vec<_>>(), [15, 9]);
    }

    #[test]
    fn visibility_is_that_of_the_reader_s_day() {
        let closed = closed(10);
        let check =
            |concealed: &[_], expected: &str| assert_eq!(render(&closed, 0, "global", concealed), expected);
        check(&[], "1.bob=9 2.cy=8 3.ann=7 of 3/24 late 0");
        check(&[HIDDEN, ("bob", Visibility::Hidden)], "1.ann=7 of 1/7 late 0");
        check(
            &[HIDDEN, ("bob", Visibility::Anonymous)],
            "1.?=9 2.ann=7 of 2/16 late 0",
        );
    }

    #[test]
    fn of_those_who_are_not_kept_the_sums_are() {
        let check =
            |listed, expected: &str| assert_eq!(render(&closed(listed), 0, "global", &[HIDDEN]), expected);
        check(2, "1.bob=9 of 2/16 late 0");
        check(1, "1.bob=9 of 2/16 late 0");
        check(0, " of 2/16 late 0");
    }

    #[test]
    fn what_comes_too_late_later_is_told_and_not_added() {
        let mut closed = closed(10);
        let (_, board) = &mut closed[1].boards[0];
        let late = [("ann", 7), ("dee", 0), ("eve", 4), ("fay", 0)];
        let late = late.map(|(user, points)| (user.parse().unwrap(), did(0, points).late));
        *board = board.clone().with_late(&late.into());
        let rows = board.rows.iter();
        let rows: Vec<_> = rows
            .map(|row| format!("{}={} late {}", row.user_id, row.points, row.late.points))
            .collect();
        assert_eq!(
            rows.join(", "),
            "cy=8 late 0, dee=3 late 0, ann=1 late 7, eve=0 late 4"
        );
        assert_eq!(
            render(&closed, 1, "global", &[HIDDEN]),
            "1.dee=3 2.ann=1 of 2/4 late 11"
        );
        // A void of what was late.
        let (_, board) = &closed[1].boards[0];
        let board = board
            .clone()
            .with_late(&[("eve".parse().unwrap(), Sum::default())].into());
        assert_eq!(board.rows.len(), 3);
    }

    #[test]
    fn a_row_is_kept_without_name_and_visibility() {
        let (_, board) = &closed(10)[1].boards[0];
        assert_eq!(
            serde_json::to_string(&board.rows).unwrap(),
            r#"[{"user_id":"cy","points":8,"activities":1},{"user_id":"dee","points":3,"activities":1,"late":{"points":1,"activities":1}},{"user_id":"ann","points":1,"activities":1}]"#
        );
    }
}
