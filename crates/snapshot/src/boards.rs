//! Builds all boards in one pass over the standings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap, HashSet};

use domain::documents::BoardSums;
use domain::id::SMOKE_PROGRAM;
use domain::standing::Tallies;
use domain::{
    Board, BoardBuilder, BoardEntry, Person, ProgramId, RankedBoard, Shown, Standing, Tally, UserId, Window,
};
use store::overview::BoardOverview;

/// How many programs are compared to choose those that get a board in the next run. Each takes about 150
/// bytes of memory.
pub const MAX_COMPARED: usize = 100_000;

/// Collects standings into one board per program and the global board.
#[derive(Debug)]
pub struct Boards {
    global: Builders,
    of_programs: HashMap<ProgramId, Builders>,
    /// How many programs may have a board.
    limit: usize,
    /// How many users a board lists.
    listed: usize,
    standings: u64,
    sum: Tally,
    has_profiles: bool,
    /// What was done in the programs that are compared: the first [`MAX_COMPARED`] that occur.
    programs: HashMap<ProgramId, Done>,
}

/// One for each window.
type Builders = [BoardBuilder; Window::EVERY.len()];

/// The activities of a program.
#[derive(Clone, Copy, Debug, Default)]
struct Done {
    all: u64,
    /// In this week and the previous one.
    recent: u64,
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
            entries, histogram, ..
        } = &ranked;
        assert!(
            entries.is_sorted_by_key(BoardEntry::place),
            "{board} {window} is out of order"
        );
        assert!(
            entries.is_sorted_by_key(|entry| Reverse(entry.points)),
            "{board} {window} ranks more points below fewer"
        );
        let participants = histogram.participants();
        assert!(
            entries.len() as u64 <= participants,
            "{board} {window} lists {} of {participants} users",
            entries.len()
        );
        Self {
            board,
            window,
            ranked,
        }
    }
}

/// The profiles of the users whose standings are read together.
pub type Profiles = HashMap<UserId, Person>;

/// Sums a user's standings for the global board. They must arrive one after the other.
#[derive(Debug, Default)]
pub struct UserSum {
    current: Option<(UserId, Shown, Tallies)>,
}

impl Boards {
    /// Empty boards: the global one, and those of the programs that the previous run chose. Other programs
    /// get one when they occur, as long as there are fewer than `limit`.
    pub fn new(chosen: impl IntoIterator<Item = ProgramId>, limit: usize, listed: usize) -> Self {
        let boards = chosen.into_iter().map(|program| (program, builders(listed)));
        Self {
            global: builders(listed),
            of_programs: boards.collect(),
            limit,
            listed,
            standings: 0,
            sum: Tally::default(),
            has_profiles: false,
            programs: HashMap::new(),
        }
    }

    /// How many programs occurred, up to [`MAX_COMPARED`].
    pub fn programs(&self) -> usize {
        self.programs.len()
    }

    /// The programs that have a board in the next run: at most as many as may have one, and that of smoke
    /// tests. Half of them have the most recent activities, the others the most of all time.
    pub fn chosen(&self) -> Vec<ProgramId> {
        let is_smoke_test = |program: &ProgramId| program.as_str() == SMOKE_PROGRAM;
        let best = |of: fn(Done) -> u64, but: &HashSet<ProgramId>, count: usize| {
            let programs = self.programs.iter();
            let mut best: Vec<_> = programs
                .filter(|(program, done)| {
                    of(**done) > 0 && !but.contains(*program) && !is_smoke_test(program)
                })
                .map(|(program, done)| (Reverse(of(*done)), program))
                .collect();
            best.sort_unstable();
            best.into_iter()
                .take(count)
                .map(|(_, program)| program.clone())
                .collect::<Vec<_>>()
        };
        let mut chosen: HashSet<_> = HashSet::new();
        chosen.extend(best(|done| done.recent, &chosen, self.limit.div_ceil(2)));
        let of_all_time = best(|done| done.all, &chosen, self.limit - chosen.len());
        chosen.extend(of_all_time);
        chosen.extend(
            self.programs
                .keys()
                .filter(|program| is_smoke_test(program))
                .cloned(),
        );
        let mut chosen: Vec<_> = chosen.into_iter().collect();
        chosen.sort_unstable();
        chosen
    }

    /// Every board in every window.
    pub fn each(&self) -> Vec<(Board, Window)> {
        let boards = self.of_programs.keys().cloned().map(Board::Program);
        boards
            .chain([Board::Global])
            .flat_map(|board| Window::EVERY.map(|window| (board.clone(), window)))
            .collect()
    }

    /// Adds a standing. Whoever is hidden is on no board.
    pub fn add(&mut self, standing: Standing, profiles: &Profiles, user_sum: &mut UserSum) {
        self.standings += 1;
        self.sum += standing.tallies.all;
        self.has_profiles |= !profiles.is_empty();
        let Standing {
            user,
            program,
            tallies,
            recent_activities,
        } = standing;
        let is_smoke_test = program.as_str() == SMOKE_PROGRAM;
        // A program without a board has had none of its standings left out so far, since boards are never taken
        // away.
        if !self.of_programs.contains_key(&program) && (is_smoke_test || self.of_programs.len() < self.limit)
        {
            self.of_programs.insert(program.clone(), builders(self.listed));
        }
        let shown = match profiles.get(&user) {
            Some(person) => person.shown(),
            None => Some(Shown::Listed(None)),
        };
        if let (Some(board), Some(shown)) = (self.of_programs.get_mut(&program), &shown) {
            add(board, &user, shown, &tallies);
        }
        let done = if self.programs.len() < MAX_COMPARED {
            Some(self.programs.entry(program).or_default())
        } else {
            self.programs.get_mut(&program)
        };
        if let Some(done) = done {
            done.all += tallies.all.activities;
            done.recent += recent_activities;
        }
        let Some(shown) = shown.filter(|_| !is_smoke_test) else {
            return;
        };
        match &mut user_sum.current {
            Some((current, _, sum)) if *current == user => *sum += tallies,
            current => {
                if let Some((done, shown, sum)) = current.replace((user, shown, tallies)) {
                    add(&mut self.global, &done, &shown, &sum);
                }
            }
        }
    }

    /// Adds the last user of a shard to the global board.
    pub fn finish_shard(&mut self, user_sum: UserSum) {
        if let Some((user, shown, sum)) = user_sum.current {
            add(&mut self.global, &user, &shown, &sum);
        }
    }

    /// The number of standings added, and their sum.
    pub fn taken(&self) -> (u64, Tally) {
        (self.standings, self.sum)
    }

    /// Ranks every board, the global one first.
    pub fn finish(self) -> Vec<WindowBoard> {
        let mut programs: Vec<_> = self.of_programs.into_iter().collect();
        programs.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        let programs = programs
            .into_iter()
            .map(|(program, builders)| (Board::Program(program), builders));
        let boards = [(Board::Global, self.global)].into_iter().chain(programs);
        let boards = boards.flat_map(|(board, builders)| {
            Window::EVERY
                .into_iter()
                .zip(builders)
                .map(move |(window, builder)| {
                    let ranked = RankedBoard {
                        has_profiles: self.has_profiles,
                        ..builder.finish()
                    };
                    WindowBoard::new(board.clone(), window, ranked)
                })
        });
        boards.collect()
    }
}

fn builders(listed: usize) -> Builders {
    Window::EVERY.map(|_| BoardBuilder::new(listed))
}

fn add(builders: &mut Builders, user: &UserId, shown: &Shown, tallies: &Tallies) {
    for (window, builder) in Window::EVERY.into_iter().zip(builders) {
        builder.add(user, shown, tallies.get(window));
    }
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
    use domain::Visibility;

    use super::*;

    fn standing(user: &str, program: &str, points: i64) -> Standing {
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

    /// The rows of every board, such as `1.ann(Ann)=11`; `?` is anonymous.
    fn rendered(boards: Boards) -> Vec<String> {
        let mut rendered: Vec<String> = Vec::new();
        for WindowBoard {
            board,
            window,
            ranked,
        } in boards.finish()
        {
            let row = |row: &BoardEntry| {
                let user = row.user_id.as_ref().map_or("?", UserId::as_str);
                let name = row
                    .name
                    .as_ref()
                    .map(|name| format!("({name})"))
                    .unwrap_or_default();
                format!("{}.{user}{name}={}", row.rank, row.points)
            };
            let rows: Vec<_> = ranked.entries.iter().map(row).collect();
            rendered.push(format!("{board} {window}: {}", rows.join(" ")));
        }
        rendered.sort();
        rendered
    }

    #[test]
    fn profiles_decide_how_users_are_shown_and_who_is_not() {
        let person = |name: &str, visibility: Visibility| Person {
            display_name: Some(name.parse().unwrap()),
            team: None,
            visibility,
        };
        let profiles = [
            ("ann", person("Ann", Visibility::Listed)),
            ("bob", person("Bob", Visibility::Anonymous)),
            ("cy", person("Cy", Visibility::Hidden)),
        ];
        let profiles: Profiles = profiles.map(|(id, person)| (id.parse().unwrap(), person)).into();
        let mut boards = Boards::new([], 10, 10);
        let mut users = UserSum::default();
        for (user, program, points) in [
            ("ann", "p", 5),
            ("ann", "q", 2),
            ("bob", "p", 5),
            ("bob", "q", 2),
            ("cy", "p", 9),
            ("dee", "p", 5),
            ("dee", "q", 2),
        ] {
            boards.add(standing(user, program, points), &profiles, &mut users);
        }
        boards.finish_shard(users);
        assert_eq!(boards.taken().1.points, 30);
        let rendered = rendered(boards);
        assert_eq!(
            rendered
                .iter()
                .filter(|board| board.contains(" all"))
                .collect::<Vec<_>>(),
            [
                "global all: 1.ann(Ann)=7 1.dee=7 1.?=7",
                "program:p all: 1.ann(Ann)=5 1.dee=5 1.?=5",
                "program:q all: 1.ann(Ann)=2 1.dee=2 1.?=2",
            ]
        );
    }

    #[test]
    fn a_user_of_two_programs_is_one_on_the_global_board() {
        let mut boards = Boards::new([], 10, 10);
        let mut users = UserSum::default();
        for standing in [
            standing("ann", "p", 5),
            standing("ann", "q", 6),
            standing("bob", "q", 20),
        ] {
            boards.add(standing, &Profiles::new(), &mut users);
        }
        boards.finish_shard(users);
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
        assert_eq!(
            rendered(boards),
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
        let mut boards = Boards::new([], 1, 10);
        let mut users = UserSum::default();
        for standing in [
            standing("ann", "p", 5),
            standing("ann", SMOKE_PROGRAM, 6),
            standing(SMOKE_PROGRAM, SMOKE_PROGRAM, 7),
        ] {
            boards.add(standing, &Profiles::new(), &mut users);
        }
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

    /// The boards of a run over these standings, such as `p=9/1` for 9 activities and 1 recent one, and the
    /// programs that it chooses for the next run.
    fn check_chosen(standings: &str, before: &str, limit: usize, expected: &str) {
        let before = before.split_whitespace().map(|program| program.parse().unwrap());
        let mut boards = Boards::new(before, limit, 10);
        let mut users = UserSum::default();
        for (at, standing_of) in standings.split_whitespace().enumerate() {
            let (program, done) = standing_of.split_once('=').unwrap();
            let (all, recent) = done.split_once('/').unwrap();
            let mut standing = standing(&format!("u{at}"), program, 1);
            standing.tallies.all.activities = all.parse().unwrap();
            standing.recent_activities = recent.parse().unwrap();
            boards.add(standing, &Profiles::new(), &mut users);
        }
        let programs = |ids: Vec<&ProgramId>| ids.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" ");
        let chosen = programs(boards.chosen().iter().collect());
        let mut published: Vec<_> = boards.of_programs.keys().collect();
        published.sort_unstable();
        assert_eq!(
            format!("{} -> {chosen}", programs(published)),
            expected,
            "{standings}, {limit}"
        );
    }

    #[test]
    fn half_of_the_boards_go_to_recently_active_programs() {
        let standings = "old=90/0 older=80/0 oldest=70/0 new=2/2 newer=1/9";
        check_chosen(
            standings,
            "",
            9,
            "new newer old older oldest -> new newer old older oldest",
        );
        check_chosen(standings, "", 4, "new old older oldest -> new newer old older");
        check_chosen(
            standings,
            "new newer old older",
            4,
            "new newer old older -> new newer old older",
        );
        check_chosen(standings, "newer", 3, "newer old older -> new newer old");
        check_chosen(standings, "", 1, "old -> newer");
        check_chosen("b=1/0 a=1/0 c=1/0", "b c", 2, "b c -> a b");
        check_chosen(
            "b=1/1 podium-smoke=9/9 a=1/1",
            "b",
            1,
            "b podium-smoke -> a podium-smoke",
        );
        // A board whose program has nothing any more is published empty once, and then no more.
        check_chosen("a=1/1", "gone", 2, "a gone -> a");
    }
}
