//! Builds all boards in one pass over the standings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use domain::documents::BoardSums;
use domain::standing::Tallies;
use domain::{Board, BoardBuilder, ProgramId, RankedBoard, Standing, Tally, UserId, Window};
use store::overview::BoardOverview;

/// The most programs that get a board. Each board costs memory for its listed users, and one write
/// per minute and window. The programs with the fewest activities get none.
pub const MAX_PROGRAMS: usize = 500;

/// Collects standings into one board per program and the global board.
#[derive(Debug)]
pub struct Boards {
    builders: HashMap<Board, [BoardBuilder; Window::EVERY.len()]>,
    standings: u64,
    sum: Tally,
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
        }
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
        } = standing;
        self.add_to(&Board::Program(program), &user, &tallies);
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

    /// Ranks every board.
    pub fn finish(self) -> Vec<WindowBoard> {
        let boards = self.builders.into_iter().flat_map(|(board, builders)| {
            Window::EVERY
                .into_iter()
                .zip(builders)
                .map(move |(window, builder)| WindowBoard::new(board.clone(), window, builder.finish()))
        });
        boards.collect()
    }
}

/// The programs that have a board: those with the most activities.
pub fn published_programs<'a>(
    totals: impl IntoIterator<Item = (&'a ProgramId, &'a Tally)>,
) -> Vec<ProgramId> {
    let mut programs: Vec<_> = totals.into_iter().collect();
    programs.sort_unstable_by_key(|&(program, tally)| (Reverse(tally.activities), program));
    programs.truncate(MAX_PROGRAMS);
    programs.into_iter().map(|(program, _)| program.clone()).collect()
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
    fn no_more_programs_than_the_bound_have_a_board() {
        let totals = (0..MAX_PROGRAMS as u64 + 5).map(|n| {
            let tally = Tally {
                points: 0,
                activities: n,
            };
            (format!("p{n}").parse().unwrap(), tally)
        });
        let programs = published_programs(&totals.collect::<HashMap<_, _>>());
        assert_eq!(programs.len(), MAX_PROGRAMS);
        assert_eq!(programs[0].as_str(), format!("p{}", MAX_PROGRAMS + 4));
    }
}
