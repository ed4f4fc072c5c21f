//! Builds all boards in one pass over the standings.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use domain::closed::{ClosedBoards, ClosedPeriod, InPeriod};
use domain::documents::BoardSums;
use domain::id::SMOKE_PROGRAM;
use domain::standing::Tallies;
use domain::{
    Board, BoardEntry, Details, PerWindow, Period, Person, ProgramId, RankedBoard, RankedTeams, Shown,
    Standing, Subject, Tally, TeamId, TeamScore, TeamsBuilder, UserId, Visibility, Window,
};
use jiff::Timestamp;
use store::overview::BoardOverview;

use crate::limited::{Builders, Done, Limited, MAX_COMPARED, builders};
use crate::review::Review;

/// A run reads the facts of so many users whose counters of a period that is over were given up.
pub const LOST_MAX: usize = 1_000;

/// How many boards there may be, and what is on them.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How many programs have a board.
    pub programs: usize,
    /// How many teams have one.
    pub teams: usize,
    /// How many users, or teams, a board lists.
    pub listed: usize,
}

/// How teams are ranked.
#[derive(Clone, Copy, Debug)]
pub struct TeamRules {
    pub score: TeamScore,
    /// Smaller teams do not take part.
    pub min_size: u64,
}

/// The boards that a run chose for the next one.
#[derive(Clone, Debug, Default)]
pub struct Chosen {
    pub programs: Vec<ProgramId>,
    pub teams: Vec<TeamId>,
}

/// Collects standings into the global board, one for each program, one for each team, and that of teams.
#[derive(Debug)]
pub struct Boards {
    /// Those that have boards.
    windows: Vec<Window>,
    global: Builders,
    of_programs: Limited<ProgramId>,
    of_teams: Limited<TeamId>,
    teams: TeamsBuilder,
    team_rules: TeamRules,
    listed: usize,
    standings: u64,
    sum: Tally,
    has_profiles: bool,
    concealed: Vec<(UserId, Visibility)>,
    past: Past,
    review: Review,
}

/// The boards of periods that are over.
#[derive(Debug)]
struct Past {
    boards: ClosedBoards,
    /// Users of whom a counter was given up, with their profiles. Their facts tell.
    lost: Vec<(UserId, Option<Person>)>,
    /// The periods of which the counters of more users were given up.
    incomplete: BTreeSet<Period>,
}

/// One board in one window, ranked.
#[derive(Debug)]
pub struct WindowBoard {
    pub board: Board,
    pub window: Window,
    pub ranked: RankedBoard,
}

/// All boards of a run, ranked.
#[derive(Debug)]
pub struct Ranked {
    pub boards: Vec<WindowBoard>,
    pub teams: Vec<(Window, RankedTeams)>,
    /// The boards of the periods that were asked for, apart from those that are incomplete.
    pub past: Vec<ClosedPeriod>,
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

/// When the last activity of each window occurred, if that decides between equal points.
type Lasts = PerWindow<Option<Timestamp>>;

/// The profiles of the users whose standings are read together.
pub type Profiles = HashMap<UserId, Person>;

/// Sums a user's standings over all programs. They must arrive one after the other.
#[derive(Debug, Default)]
pub struct UserSum {
    current: Option<User>,
}

/// What a user has in the programs that arrived.
#[derive(Debug)]
struct User {
    id: UserId,
    sum: Tallies,
    lasts: Lasts,
    done: Done,
    /// Empty if the run makes no boards of periods that are over.
    past: Vec<(ProgramId, Vec<Option<InPeriod>>)>,
}

impl Boards {
    /// Empty boards: the global one, and those that the previous run chose. Other programs and teams get one when
    /// they occur, as long as there are fewer than their limit. `past` are periods whose boards are made, too; `review` asks
    /// for them first.
    pub fn new(
        windows: Vec<Window>,
        chosen: Chosen,
        limits: Limits,
        team_rules: TeamRules,
        past: Vec<Period>,
        review: Review,
    ) -> Self {
        let Limits {
            programs,
            teams,
            listed,
        } = limits;
        Self {
            windows,
            global: builders(listed),
            of_programs: Limited::new(chosen.programs, programs, listed),
            of_teams: Limited::new(chosen.teams, teams, listed),
            teams: TeamsBuilder::new(team_rules.score, Window::EVERY.len(), MAX_COMPARED),
            team_rules,
            listed,
            standings: 0,
            sum: Tally::default(),
            has_profiles: false,
            concealed: Vec::new(),
            past: Past {
                boards: ClosedBoards::new(past, listed, team_rules.score),
                lost: Vec::new(),
                incomplete: BTreeSet::new(),
            },
            review,
        }
    }

    /// How many programs occurred, up to [`MAX_COMPARED`].
    pub fn programs(&self) -> usize {
        self.of_programs.compared.len()
    }

    /// How many teams have members, up to [`MAX_COMPARED`].
    pub fn teams(&self) -> usize {
        self.teams.count()
    }

    /// The programs and teams that have a board in the next run.
    pub fn chosen(&self) -> Chosen {
        Chosen {
            programs: self.of_programs.chosen(is_smoke_test),
            teams: self.of_teams.chosen(|_| false),
        }
    }

    /// Every board in every window.
    pub fn each(&self) -> Vec<(Board, Window)> {
        let programs = self.of_programs.boards.keys().cloned().map(Board::Program);
        let teams = self.of_teams.boards.keys().cloned().map(Board::Team);
        programs
            .chain(teams)
            .chain([Board::Global])
            .flat_map(|board| self.windows.iter().map(move |window| (board.clone(), *window)))
            .collect()
    }

    /// Adds the people whom the directory has, whether they have standings or not. Each must be added once.
    pub fn add_people(&mut self, profiles: &Profiles) {
        self.has_profiles |= !profiles.is_empty();
        for (user, person) in profiles {
            if person.is_concealed() {
                self.concealed.push((user.clone(), person.visibility));
            }
            if self.makes_past() {
                self.past.boards.add_person(person);
            }
        }
        for team in profiles.values().filter_map(|person| person.team.as_ref()) {
            self.teams.add_member(team);
            self.of_teams.board(team, false);
        }
    }

    /// Adds a standing. Whoever is hidden is on no board, and counts for the team.
    pub fn add(&mut self, standing: Standing, profiles: &Profiles, user_sum: &mut UserSum) {
        self.standings += 1;
        self.sum += standing.tallies.all;
        let Standing {
            user,
            program,
            tallies,
            recent_activities,
            mut past,
            late,
            lasts,
        } = standing;
        let is_smoke_test = is_smoke_test(&program);
        let person = profiles.get(&user);
        if !is_smoke_test {
            let team = person.and_then(|person| person.team.as_ref());
            self.review.add(&user, &program, team, &past, &late);
        }
        past.truncate(self.past.boards.periods().len());
        let board = self.of_programs.board(&program, is_smoke_test);
        if let (Some(board), Some(shown)) = (board, shown(person)) {
            add(board, &user, &shown, &tallies, &lasts);
        }
        let done = Done {
            all: tallies.all.activities,
            recent: recent_activities,
        };
        let past = (!past.is_empty() && !is_smoke_test).then(|| (program.clone(), past));
        self.of_programs.compare(program, done);
        if is_smoke_test {
            return;
        }
        match &mut user_sum.current {
            Some(current) if current.id == user => {
                current.sum += tallies;
                current.lasts = PerWindow::of_each(|window| current.lasts.get(window).max(lasts.get(window)));
                current.done.all += done.all;
                current.done.recent += done.recent;
                current.past.extend(past);
            }
            current => {
                let user = User {
                    id: user,
                    sum: tallies,
                    lasts,
                    done,
                    past: past.into_iter().collect(),
                };
                if let Some(complete) = current.replace(user) {
                    self.add_user(complete, profiles);
                }
            }
        }
    }

    /// Adds the last user of a shard to the boards of all programs together.
    pub fn finish_shard(&mut self, user_sum: UserSum, profiles: &Profiles) {
        if let Some(complete) = user_sum.current {
            self.add_user(complete, profiles);
        }
    }

    fn add_user(&mut self, complete: User, profiles: &Profiles) {
        let User {
            id: user,
            sum,
            lasts,
            done,
            past,
        } = complete;
        let person = profiles.get(&user);
        if self.makes_past() {
            self.past.add(&user, person, past);
        }
        let shown = shown(person);
        if let Some(shown) = &shown {
            add(&mut self.global, &user, shown, &sum, &lasts);
        }
        let Some(team) = person.and_then(|person| person.team.as_ref()) else {
            return;
        };
        self.teams
            .add(team, Window::EVERY.map(|window| sum.get(window).points));
        if let (Some(board), Some(shown)) = (self.of_teams.board(team, false), &shown) {
            add(board, &user, shown, &sum, &lasts);
        }
        self.of_teams.compare(team.clone(), done);
    }

    fn makes_past(&self) -> bool {
        !self.past.boards.periods().is_empty()
    }

    /// Takes those of whom a counter was given up, with their profiles. What their facts come to in each period must be
    /// added by [`Self::add_past`].
    pub fn take_lost(&mut self) -> Vec<(UserId, Option<Person>)> {
        std::mem::take(&mut self.past.lost)
    }

    /// Adds what a user did in the periods.
    pub fn add_past(
        &mut self,
        user: &UserId,
        person: Option<&Person>,
        programs: impl IntoIterator<Item = (ProgramId, Vec<InPeriod>)>,
    ) {
        self.past.boards.add(user, person, programs);
    }

    /// The periods of which too many counters were given up.
    pub fn incomplete(&self) -> &BTreeSet<Period> {
        &self.past.incomplete
    }

    /// Takes what the standings came to in periods that are over.
    pub fn take_review(&mut self) -> Review {
        std::mem::take(&mut self.review)
    }

    /// Takes those who are not listed.
    pub fn take_concealed(&mut self) -> Vec<(UserId, Visibility)> {
        std::mem::take(&mut self.concealed)
    }

    /// The number of standings added, and their sum.
    pub fn taken(&self) -> (u64, Tally) {
        (self.standings, self.sum)
    }

    /// Ranks every board, the global one first. `details` are those of teams and programs.
    pub fn finish(self, details: &HashMap<Subject, Details>) -> Ranked {
        debug_assert!(self.past.lost.is_empty(), "lost counters are made up for");
        let title = |subject: &Subject| details.get(subject).and_then(|details| details.title.clone());
        let boards = [(Board::Global, self.global)]
            .into_iter()
            .chain(self.of_programs.into_boards(Board::Program))
            .chain(self.of_teams.into_boards(Board::Team));
        let boards = boards.flat_map(|(board, builders)| {
            let title = board.subject().and_then(|subject| title(&subject));
            let windows = Window::EVERY.into_iter().zip(builders);
            windows
                .filter(|(window, _)| self.windows.contains(window))
                .map(move |(window, builder)| {
                    let ranked = RankedBoard {
                        has_profiles: self.has_profiles,
                        title: title.clone(),
                        ..builder.finish()
                    };
                    WindowBoard::new(board.clone(), window, ranked)
                })
        });
        let team_title = |team: &TeamId| title(&Subject::Team(team.clone()));
        let boards: Vec<_> = boards.collect();
        let published: HashSet<&Board> = boards.iter().map(|board| &board.board).collect();
        let mut past = self.past.boards.finish(self.team_rules.min_size);
        past.retain(|closed| !self.past.incomplete.contains(&closed.period));
        for closed in &mut past {
            closed.boards.retain(|(board, _)| published.contains(board));
        }
        let teams = self
            .teams
            .finish(self.team_rules.min_size, self.listed, team_title);
        Ranked {
            teams: Window::EVERY
                .into_iter()
                .zip(teams)
                .filter(|(window, _)| self.windows.contains(window))
                .collect(),
            past,
            boards,
        }
    }
}

impl Past {
    fn add(
        &mut self,
        user: &UserId,
        person: Option<&Person>,
        programs: Vec<(ProgramId, Vec<Option<InPeriod>>)>,
    ) {
        let periods = self.boards.periods().iter().enumerate();
        let lost: Vec<_> = periods
            .filter(|(at, _)| programs.iter().any(|(_, past)| past[*at].is_none()))
            .map(|(_, period)| *period)
            .collect();
        if !lost.is_empty() {
            if self.lost.len() < LOST_MAX {
                self.lost.push((user.clone(), person.cloned()));
                return;
            }
            self.incomplete.extend(lost);
        }
        let programs = programs.into_iter().map(|(program, past)| {
            let past = past.into_iter().map(Option::unwrap_or_default);
            (program, past.collect())
        });
        self.boards.add(user, person, programs);
    }
}

impl Ranked {
    /// The sums of the boards of programs and the global one in each window, with their details.
    pub fn overview(&self, details: &HashMap<Subject, Details>) -> Vec<BoardOverview> {
        let mut windows_of: BTreeMap<&Board, BTreeMap<Window, BoardSums>> = BTreeMap::new();
        for WindowBoard {
            board,
            window,
            ranked,
        } in &self.boards
        {
            // The board of teams lists these.
            if matches!(board, Board::Team(_)) {
                continue;
            }
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
            details: board
                .subject()
                .and_then(|subject| details.get(&subject).cloned())
                .unwrap_or_default(),
        });
        overviews.collect()
    }

    /// How many teams are ranked: those that are large enough.
    pub fn ranked_teams(&self) -> u64 {
        self.teams.first().map_or(0, |(_, ranked)| ranked.participants)
    }

    /// The teams that have a board.
    pub fn team_boards(&self) -> Vec<TeamId> {
        let boards = self.boards.iter().filter(|board| board.window == Window::All);
        boards
            .filter_map(|board| match &board.board {
                Board::Team(team) => Some(team.clone()),
                Board::Global | Board::Program(_) => None,
            })
            .collect()
    }
}

fn is_smoke_test(program: &ProgramId) -> bool {
    program.as_str() == SMOKE_PROGRAM
}

/// How boards show someone with this profile; `None` if they do not.
fn shown(person: Option<&Person>) -> Option<Shown> {
    person.map_or(Some(Shown::Listed(None)), Person::shown)
}

fn add(builders: &mut Builders, user: &UserId, shown: &Shown, tallies: &Tallies, lasts: &Lasts) {
    for (window, builder) in Window::EVERY.into_iter().zip(builders) {
        builder.add(user, shown, tallies.get(window), lasts.get(window));
    }
}

#[cfg(test)]
mod tests {
    use domain::counters::Late;

    use super::*;

    fn boards(programs: usize, teams: usize) -> Boards {
        chosen_boards(Chosen::default(), programs, teams)
    }

    fn chosen_boards(chosen: Chosen, programs: usize, teams: usize) -> Boards {
        let limits = Limits {
            programs,
            teams,
            listed: 10,
        };
        let rules = TeamRules {
            score: TeamScore::Sum,
            min_size: 1,
        };
        let windows = Window::EVERY.to_vec();
        Boards::new(windows, chosen, limits, rules, Vec::new(), Review::default())
    }

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
            past: Vec::new(),
            late: Late::new(),
            lasts: Lasts::default(),
        }
    }

    /// The rows of every board, such as `1.ann(Ann)=11`; `?` is anonymous.
    fn rendered(boards: Boards) -> Vec<String> {
        let mut rendered: Vec<String> = Vec::new();
        for WindowBoard {
            board,
            window,
            ranked,
        } in boards.finish(&HashMap::new()).boards
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

    fn person(name: &str, team: Option<&str>, visibility: Visibility) -> Person {
        Person {
            display_name: Some(name.parse().unwrap()),
            team: team.map(|team| team.parse().unwrap()),
            visibility,
        }
    }

    /// Ann, Bob, Cy, Dee and Eve, of whom some are in teams. Dee has no profile, and Eve no standings.
    fn with_people(programs: usize, teams: usize) -> Boards {
        let profiles = [
            ("ann", person("Ann", Some("red"), Visibility::Listed)),
            ("bob", person("Bob", Some("blue"), Visibility::Anonymous)),
            ("cy", person("Cy", Some("red"), Visibility::Hidden)),
            ("eve", person("Eve", Some("green"), Visibility::Listed)),
        ];
        let profiles: Profiles = profiles.map(|(id, person)| (id.parse().unwrap(), person)).into();
        let mut boards = boards(programs, teams);
        let mut users = UserSum::default();
        boards.add_people(&profiles);
        for (user, program, points) in [
            ("ann", "p", 5),
            ("ann", "q", 2),
            ("ann", SMOKE_PROGRAM, 50),
            ("bob", "p", 5),
            ("bob", "q", 2),
            ("cy", "p", 9),
            ("dee", "p", 5),
            ("dee", "q", 2),
        ] {
            boards.add(standing(user, program, points), &profiles, &mut users);
        }
        boards.finish_shard(users, &profiles);
        boards
    }

    #[test]
    fn profiles_decide_how_users_are_shown_and_who_is_not() {
        let boards = with_people(10, 10);
        assert_eq!(boards.taken().1.points, 80);
        let rendered = rendered(boards);
        assert_eq!(
            rendered
                .iter()
                .filter(|board| board.contains(" all"))
                .collect::<Vec<_>>(),
            [
                "global all: 1.ann(Ann)=7 1.dee=7 1.?=7",
                "program:p all: 1.ann(Ann)=5 1.dee=5 1.?=5",
                "program:podium-smoke all: 1.ann(Ann)=50",
                "program:q all: 1.ann(Ann)=2 1.dee=2 1.?=2",
                "team:blue all: 1.?=7",
                "team:green all: ",
                "team:red all: 1.ann(Ann)=7",
            ]
        );
    }

    #[test]
    fn all_members_count_for_their_team_and_titles_are_shown() {
        let boards = with_people(10, 10);
        assert_eq!(boards.teams(), 3);
        let team = |id: &str| Subject::Team(id.parse().unwrap());
        let program = Subject::Program("p".parse().unwrap());
        let details = |title: &str| Details {
            title: Some(title.parse().unwrap()),
            ..Details::default()
        };
        let details = [(team("red"), details("The Reds")), (program, details("Walk"))].into();
        let ranked = boards.finish(&details);
        let titles = ranked.boards.iter().filter(|board| board.window == Window::All);
        let titles =
            titles.filter_map(|board| Some(format!("{}={}", board.board, board.ranked.title.as_ref()?)));
        assert_eq!(
            titles.collect::<Vec<_>>(),
            ["program:p=Walk", "team:red=The Reds"]
        );
        let overview = ranked.overview(&details);
        let overview = overview.iter().map(|board| {
            let title = board.details.title.as_ref();
            format!("{} {}", board.board, title.map_or("-", |title| title.as_str()))
        });
        assert_eq!(
            overview.collect::<Vec<_>>(),
            [
                "global -",
                "program:p Walk",
                "program:podium-smoke -",
                "program:q -"
            ]
        );
        let (_, teams) = ranked
            .teams
            .iter()
            .find(|(window, _)| *window == Window::All)
            .unwrap();
        let teams = teams.entries.iter().map(|row| {
            let title = row.title.as_ref().map_or("-", |title| title.as_str());
            format!(
                "{}.{} {title} {}/{}",
                row.rank, row.team_id, row.score, row.members
            )
        });
        assert_eq!(
            teams.collect::<Vec<_>>(),
            ["1.red The Reds 16/2", "2.blue - 7/1", "3.green - 0/1"]
        );
        assert_eq!(ranked.ranked_teams(), 3);
        for (min_size, expected) in [(2, 1), (3, 0)] {
            let mut boards = with_people(10, 10);
            boards.team_rules.min_size = min_size;
            assert_eq!(boards.finish(&HashMap::new()).ranked_teams(), expected);
        }
    }

    #[test]
    fn teams_beyond_the_limit_have_no_board_and_are_chosen_by_what_they_did() {
        let boards = with_people(10, 2);
        assert_eq!(boards.chosen().teams.len(), 2);
        assert_eq!(boards.teams(), 3);
        assert_eq!(boards.finish(&HashMap::new()).team_boards().len(), 2);
        let of_one = with_people(10, 1);
        let chosen: Vec<_> = of_one.chosen().teams.iter().map(ToString::to_string).collect();
        assert_eq!(chosen, ["red"]);
    }

    #[test]
    fn a_user_of_two_programs_is_one_on_the_global_board() {
        let mut boards = boards(10, 10);
        let mut users = UserSum::default();
        for standing in [
            standing("ann", "p", 5),
            standing("ann", "q", 6),
            standing("bob", "q", 20),
        ] {
            boards.add(standing, &Profiles::new(), &mut users);
        }
        boards.finish_shard(users, &Profiles::new());
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
                "global season: ",
                "global week: ",
                "program:p all: 1.ann=5",
                "program:p day: 1.ann=5",
                "program:p month: ",
                "program:p season: ",
                "program:p week: ",
                "program:q all: 1.bob=20 2.ann=6",
                "program:q day: 1.bob=20 2.ann=6",
                "program:q month: ",
                "program:q season: ",
                "program:q week: ",
            ]
        );
    }

    #[test]
    fn smoke_tests_are_on_no_board_but_their_own() {
        let mut boards = boards(1, 10);
        let mut users = UserSum::default();
        for standing in [
            standing("ann", "p", 5),
            standing("ann", SMOKE_PROGRAM, 6),
            standing(SMOKE_PROGRAM, SMOKE_PROGRAM, 7),
        ] {
            boards.add(standing, &Profiles::new(), &mut users);
        }
        boards.finish_shard(users, &Profiles::new());
        assert_eq!(boards.taken().1.points, 18);
        let of_all_time = boards
            .finish(&HashMap::new())
            .boards
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
        let before = Chosen {
            programs: before.collect(),
            ..Chosen::default()
        };
        let mut boards = chosen_boards(before, limit, 10);
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
        let chosen = programs(boards.chosen().programs.iter().collect());
        let mut published: Vec<_> = boards.of_programs.boards.keys().collect();
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
