//! Builds all boards in one pass over the standings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::BuildHasher;

use domain::documents::BoardSums;
use domain::id::SMOKE_PROGRAM;
use domain::standing::Tallies;
use domain::{Board, BoardBuilder, ProgramId, RankedBoard, Standing, Tally, UserId, Window};
use store::overview::BoardOverview;

/// How many programs are compared to choose those that get a board. Each takes about 100 bytes of memory while
/// the standings are read, and those of nine lanes of totals before.
pub const MAX_COMPARED: usize = 100_000;

/// Collects standings into one board per program and the global board.
#[derive(Debug)]
pub struct Boards {
    builders: HashMap<Board, [BoardBuilder; Window::EVERY.len()]>,
    standings: u64,
    sum: Tally,
    /// The recent activities of each program that is compared.
    recent: HashMap<ProgramId, u64>,
}

/// One board in one window, ranked.
#[derive(Debug)]
pub struct WindowBoard {
    pub board: Board,
    pub window: Window,
    pub ranked: RankedBoard,
}

impl WindowBoard {
    /// Asserts what every reader relies on: a wrong board must not be published.
    fn new(board: Board, window: Window, ranked: RankedBoard) -> Self {
        let RankedBoard {
            entries,
            histogram,
            sum,
        } = &ranked;
        assert!(
            entries.is_sorted_by_key(|entry| (entry.rank, &entry.user_id)),
            "{board} {window} is out of order"
        );
        assert!(
            entries.is_sorted_by_key(|entry| Reverse(entry.points)),
            "{board} {window} ranks more points below fewer"
        );
        let participants = histogram.participants();
        assert!(
            entries.len() as u64 <= participants && participants <= sum.activities,
            "{board} {window} lists {} of {participants} users with {} activities",
            entries.len(),
            sum.activities
        );
        Self {
            board,
            window,
            ranked,
        }
    }
}

/// Sums a user's standings for the global board. They must arrive one after the other.
#[derive(Debug, Default)]
pub struct UserSum {
    current: Option<(UserId, Tallies)>,
}

impl Boards {
    /// Empty boards: the global one, and those of the given programs.
    pub fn new(programs: impl IntoIterator<Item = ProgramId>, listed: usize) -> Self {
        let boards = programs.into_iter().map(Board::Program).chain([Board::Global]);
        Self {
            builders: boards
                .map(|board| (board, Window::EVERY.map(|_| BoardBuilder::new(listed))))
                .collect(),
            standings: 0,
            sum: Tally::default(),
            recent: HashMap::new(),
        }
    }

    /// Also counts the recent activities of each of these programs.
    #[must_use]
    pub fn comparing(mut self, programs: impl IntoIterator<Item = ProgramId>) -> Self {
        self.recent = programs.into_iter().map(|program| (program, 0)).collect();
        assert!(
            self.recent.len() <= MAX_COMPARED,
            "{} programs are compared",
            self.recent.len()
        );
        self
    }

    /// At most `limit` of the compared programs with recent activities, most first.
    pub fn recent_programs(&mut self, limit: usize) -> Vec<ProgramId> {
        let recent = std::mem::take(&mut self.recent).into_iter();
        let recent = recent.filter(|&(_, activities)| activities > 0);
        let mut recent: Vec<_> = recent
            .map(|(program, activities)| (Reverse(activities), program))
            .collect();
        recent.sort_unstable();
        recent.truncate(limit);
        recent.into_iter().map(|(_, program)| program).collect()
    }

    /// Every board in every window.
    pub fn each(&self) -> Vec<(Board, Window)> {
        let boards = self.builders.keys();
        boards
            .flat_map(|board| Window::EVERY.map(|window| (board.clone(), window)))
            .collect()
    }

    pub fn add(&mut self, standing: Standing, user_sum: &mut UserSum) {
        self.standings += 1;
        self.sum += standing.tallies.all;
        let Standing {
            user,
            program,
            tallies,
            recent_activities,
        } = standing;
        if let Some(recent) = self.recent.get_mut(&program) {
            *recent += recent_activities;
        }
        let is_smoke_test = program.as_str() == SMOKE_PROGRAM;
        self.add_to(&Board::Program(program), &user, &tallies);
        if is_smoke_test {
            return;
        }
        match &mut user_sum.current {
            Some((current, sum)) if *current == user => *sum += tallies,
            current => {
                if let Some((done, sum)) = current.replace((user, tallies)) {
                    self.add_to(&Board::Global, &done, &sum);
                }
            }
        }
    }

    /// Adds the last user of a shard to the global board.
    pub fn finish_shard(&mut self, user_sum: UserSum) {
        if let Some((user, sum)) = user_sum.current {
            self.add_to(&Board::Global, &user, &sum);
        }
    }

    fn add_to(&mut self, board: &Board, user: &UserId, tallies: &Tallies) {
        if let Some(builders) = self.builders.get_mut(board) {
            for (window, builder) in Window::EVERY.into_iter().zip(builders) {
                builder.add(user, tallies.get(window));
            }
        }
    }

    /// The number of standings added, and their sum.
    pub fn taken(&self) -> (u64, Tally) {
        (self.standings, self.sum)
    }

    /// Ranks every board, the global one first.
    pub fn finish(self) -> Vec<WindowBoard> {
        let mut builders: Vec<_> = self.builders.into_iter().collect();
        builders.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let boards = builders.into_iter().flat_map(|(board, builders)| {
            Window::EVERY
                .into_iter()
                .zip(builders)
                .map(move |(window, builder)| WindowBoard::new(board.clone(), window, builder.finish()))
        });
        boards.collect()
    }
}

/// The programs that have a board: at most `limit`, and that of smoke tests. The first half of them have the
/// most recent activities, as the previous run found; the others have the most activities of all time.
pub fn published_programs<S: BuildHasher>(
    totals: &HashMap<ProgramId, Tally, S>,
    recent: &[ProgramId],
    limit: usize,
) -> HashSet<ProgramId> {
    let is_smoke_test = |program: &ProgramId| program.as_str() == SMOKE_PROGRAM;
    let recent = recent
        .iter()
        .filter(|program| totals.contains_key(*program) && !is_smoke_test(program));
    let mut published: HashSet<_> = recent.take(half_of(limit)).cloned().collect();
    let mut others: Vec<_> = totals
        .iter()
        .filter(|(program, _)| !published.contains(*program) && !is_smoke_test(program))
        .map(|(program, tally)| (Reverse(tally.activities), program))
        .collect();
    others.sort_unstable();
    let others = others.into_iter().take(limit - published.len());
    published.extend(others.map(|(_, program)| program.clone()));
    published.extend(totals.keys().filter(|program| is_smoke_test(program)).cloned());
    published
}

/// How many of the programs with a board are chosen by their recent activities.
pub fn half_of(limit: usize) -> usize {
    limit.div_ceil(2)
}

/// The sums of every board in each window.
pub fn overview(boards: &[WindowBoard]) -> Vec<BoardOverview> {
    let mut windows_of: BTreeMap<&Board, BTreeMap<Window, BoardSums>> = BTreeMap::new();
    for WindowBoard {
        board,
        window,
        ranked,
    } in boards
    {
        let sums = BoardSums {
            participants: ranked.histogram.participants(),
            points: ranked.sum.points,
            activities: ranked.sum.activities,
        };
        windows_of.entry(board).or_default().insert(*window, sums);
    }
    let overviews = windows_of.into_iter().map(|(board, windows)| BoardOverview {
        board: board.clone(),
        windows,
    });
    overviews.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing(user: &str, program: &str, points: u64) -> Standing {
        let tally = Tally {
            points,
            activities: 1,
        };
        let tallies = Tallies {
            all: tally,
            day: tally,
            ..Tallies::default()
        };
        Standing {
            user: user.parse().unwrap(),
            program: program.parse().unwrap(),
            tallies,
            recent_activities: 1,
        }
    }

    #[test]
    fn a_user_of_two_programs_is_one_on_the_global_board() {
        let mut boards = Boards::new(["p", "q"].map(|program| program.parse().unwrap()), 10);
        let mut ann = UserSum::default();
        boards.add(standing("ann", "p", 5), &mut ann);
        boards.add(standing("ann", "q", 6), &mut ann);
        boards.add(standing("bob", "q", 20), &mut ann);
        boards.finish_shard(ann);
        assert_eq!(
            boards.taken(),
            (
                3,
                Tally {
                    points: 31,
                    activities: 3
                }
            )
        );

        let mut rendered: Vec<String> = Vec::new();
        for WindowBoard {
            board,
            window,
            ranked,
        } in boards.finish()
        {
            let rows: Vec<_> = ranked
                .entries
                .iter()
                .map(|e| format!("{}.{}={}", e.rank, e.user_id, e.points))
                .collect();
            rendered.push(format!("{board} {window}: {}", rows.join(" ")));
        }
        rendered.sort();
        assert_eq!(
            rendered,
            [
                "global all: 1.bob=20 2.ann=11",
                "global day: 1.bob=20 2.ann=11",
                "global month: ",
                "global week: ",
                "program:p all: 1.ann=5",
                "program:p day: 1.ann=5",
                "program:p month: ",
                "program:p week: ",
                "program:q all: 1.bob=20 2.ann=6",
                "program:q day: 1.bob=20 2.ann=6",
                "program:q month: ",
                "program:q week: ",
            ]
        );
    }

    #[test]
    fn smoke_tests_are_on_no_board_but_their_own() {
        let programs = ["p", SMOKE_PROGRAM].map(|program| program.parse().unwrap());
        let mut boards = Boards::new(programs, 10);
        let mut users = UserSum::default();
        boards.add(standing("ann", "p", 5), &mut users);
        boards.add(standing("ann", SMOKE_PROGRAM, 6), &mut users);
        boards.add(standing(SMOKE_PROGRAM, SMOKE_PROGRAM, 7), &mut users);
        boards.finish_shard(users);
        assert_eq!(boards.taken().1.points, 18);
        let of_all_time = boards
            .finish()
            .into_iter()
            .filter(|board| board.window == Window::All);
        let points = of_all_time.map(|board| (board.board.to_string(), board.ranked.sum.points));
        assert_eq!(
            points.collect::<Vec<_>>(),
            [
                ("global".to_owned(), 5),
                ("program:p".to_owned(), 5),
                (format!("program:{SMOKE_PROGRAM}"), 13)
            ]
        );
    }

    fn check_published(totals: &str, recent: &str, limit: usize, expected: &str) {
        let totals = totals.split_whitespace().map(|total| {
            let (program, activities) = total.split_once('=').unwrap();
            let tally = Tally {
                points: 0,
                activities: activities.parse().unwrap(),
            };
            (program.parse().unwrap(), tally)
        });
        let recent = recent.split_whitespace().map(|program| program.parse().unwrap());
        let totals: HashMap<_, _> = totals.collect();
        let published = published_programs(&totals, &recent.collect::<Vec<_>>(), limit);
        let mut published: Vec<_> = published.iter().map(ProgramId::as_str).collect();
        published.sort_unstable();
        assert_eq!(published.join(" "), expected, "{limit}");
    }

    #[test]
    fn half_of_the_boards_go_to_recently_active_programs() {
        let totals = "old=90 older=80 oldest=70 new=2 newer=1 unused=0";
        check_published(totals, "newer new", 9, "new newer old older oldest unused");
        check_published(totals, "newer new", 4, "new newer old older");
        check_published(totals, "newer new", 3, "new newer old");
        check_published(totals, "newer new", 2, "newer old");
        check_published(totals, "newer new", 1, "newer");
        check_published(totals, "old", 2, "old older");
        check_published(totals, "gone", 2, "old older");
        check_published(totals, "", 2, "old older");
        check_published("b=1 a=1 c=1", "", 2, "a b");
        check_published("b=1 podium-smoke=9 a=1", "podium-smoke", 1, "a podium-smoke");
    }

    #[test]
    fn only_compared_programs_are_found_active() {
        let mut boards =
            Boards::new([], 10).comparing(["p", "q", "r"].map(|program| program.parse().unwrap()));
        let mut users = UserSum::default();
        for (user, program) in [("ann", "q"), ("ann", "r"), ("bob", "r"), ("bob", "s")] {
            boards.add(standing(user, program, 1), &mut users);
        }
        assert_eq!(boards.recent_programs(9).len(), 2);
        let mut boards = Boards::new([], 10).comparing(["p", "q"].map(|program| program.parse().unwrap()));
        boards.add(standing("ann", "q", 1), &mut users);
        boards.add(standing("ann", "p", 1), &mut users);
        assert_eq!(boards.recent_programs(1)[0].as_str(), "p");
    }
}
