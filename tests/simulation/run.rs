//! One run of the snapshot for one board in one window, step by step: its real ranking and planning.

use std::collections::{HashMap, VecDeque};
use std::ops::Bound;

use domain::history::PointsAt;
use domain::{
    Board, BoardEntry, CalendarDay, Freshness, Standing, Tally, TeamScore, UserId, Window, WindowSpan,
};
use jiff::{SignedDuration, Timestamp};
use snapshot::boards::{Boards, Chosen, Limits, Profiles, TeamRules, UserSum};
use snapshot::review::Review;
use store::head::{Mark, Rows};
use store::keys::{CountGeneration, ShardCount};
use store::pasts::{earned, on_board};
use store::publication::{HISTORY, LATEST, PageSizes, Publication, WindowHistory, Write};
use store::{Head, Rules, StoredFact};

use crate::people::People;
use crate::snapshots::Snapshots;
use crate::tables::Tables;

/// No run takes longer; it is Lambda's limit.
pub const RUN_TIME: SignedDuration = SignedDuration::from_mins(15);
/// More than there are programs, or teams.
const BOARDS: usize = 10;
/// More than there are users.
const LISTED: usize = 10;

/// The board and window to publish, and the sizes of its pages.
#[derive(Clone, Debug)]
pub struct Subject {
    pub board: Board,
    pub window: Window,
    pub sizes: PageSizes,
}

pub struct Run {
    pub now: Timestamp,
    /// The generation of the counts that it publishes, and the rules by which it reads it.
    pub generation: CountGeneration,
    rules: Rules,
    /// The sums that were counted before the run read anything.
    counted_before: Tally,
    /// How many changes of people there were when it began.
    pub began: usize,
    stage: Stage,
}

enum Stage {
    Reading(Box<Reading>),
    Writing(VecDeque<Write>),
}

struct Reading {
    previous: Option<Head>,
    boards: Boards,
    user_sum: UserSum,
    /// Those that were read before the standings of the current partition.
    profiles: Profiles,
    /// The partition and member of the last standing read.
    last: Option<(String, String)>,
}

/// The result of a step.
pub enum Step {
    Read,
    /// Another generation became live while this one was read.
    Outdated,
    /// The next write.
    Write(Write),
    Done,
}

impl Run {
    /// Begins with the newest head. The board of a program that the list does not have is found while the
    /// standings are read.
    pub fn start(
        subject: &Subject,
        tables: &Tables,
        snapshots: &Snapshots,
        people: &People,
        (generation, rules): (CountGeneration, &Rules),
        now: Timestamp,
    ) -> Self {
        let chosen = snapshots.generation.and(match &subject.board {
            Board::Program(program) => Some(Chosen {
                programs: vec![program.clone()],
                ..Chosen::default()
            }),
            Board::Team(team) => Some(Chosen {
                teams: vec![team.clone()],
                ..Chosen::default()
            }),
            Board::Global => None,
        });
        Self {
            now,
            generation,
            rules: rules.clone(),
            counted_before: match subject.board {
                Board::Team(_) => Tally::default(),
                _ => counted(subject, tables, generation, rules.calendar.day(now)),
            },
            began: people.changes(),
            stage: Stage::Reading(Box::new(Reading {
                previous: snapshots.get(LATEST),
                boards: boards(chosen.unwrap_or_default()),
                user_sum: UserSum::default(),
                profiles: Profiles::new(),
                last: None,
            })),
        }
    }

    /// Reads the next `count` standings, or returns the next write.
    pub fn step(
        &mut self,
        subject: &Subject,
        tables: &Tables,
        (snapshots, people): (&Snapshots, &People),
        facts: &[StoredFact],
        live: CountGeneration,
        count: usize,
    ) -> Step {
        match &mut self.stage {
            Stage::Writing(writes) => writes.front().cloned().map_or(Step::Done, Step::Write),
            Stage::Reading(reading) => {
                let day = self.rules.calendar.day(self.now);
                let read = (self.generation, self.rules.standing_shards);
                if !reading.read(tables, people, read, day, count) {
                    if live != self.generation {
                        return Step::Outdated;
                    }
                    let writes = reading.plan(subject, snapshots, facts, &self.rules, self.now);
                    self.stage = Stage::Writing(writes.unwrap_or_default());
                }
                Step::Read
            }
        }
    }

    /// Moves on to the next write.
    pub fn advance(&mut self) {
        if let Stage::Writing(writes) = &mut self.stage {
            writes.pop_front();
        }
    }

    /// The published sums include everything counted when the run began, and nothing that is not counted.
    pub fn check_sums(&self, subject: &Subject, tables: &Tables, head: &Head) {
        let counted = counted(
            subject,
            tables,
            self.generation,
            self.rules.calendar.day(self.now),
        );
        let before = self.counted_before;
        assert!(
            (before.points..=counted.points).contains(&head.points)
                && (before.activities..=counted.activities).contains(&head.activities),
            "generation {} has {} points of {} activities; before it there were {before:?}, and now {counted:?}",
            head.generation,
            head.points,
            head.activities
        );
    }
}

impl Reading {
    /// Returns whether any standing was left to read.
    fn read(
        &mut self,
        tables: &Tables,
        people: &People,
        (generation, shards): (CountGeneration, ShardCount),
        day: CalendarDay,
        count: usize,
    ) -> bool {
        let from = match &self.last {
            Some(last) => Bound::Excluded(last.clone()),
            None => Bound::Unbounded,
        };
        let standings = tables.of_generation(generation);
        let mut is_any = false;
        for (key, (standing, ledger)) in standings.range((from, Bound::Unbounded)).take(count) {
            if self.last.as_ref().is_none_or(|(last, _)| *last != key.0) {
                let user_sum = std::mem::take(&mut self.user_sum);
                self.boards.finish_shard(user_sum, &self.profiles);
                self.profiles = people.profiles();
                self.profiles
                    .retain(|user, _| shards.key_of(generation, user) == key.0);
                self.boards.add_people(&self.profiles);
            }
            let standing = Standing {
                user: standing.user.clone(),
                program: standing.program.clone(),
                tallies: ledger.counters.tallies(day),
                recent_activities: ledger.counters.recent_activities(day.date),
                past: Vec::new(),
                late: ledger.counters.late().clone(),
                lasts: ledger.counters.lasts_on(day),
            };
            self.boards.add(standing, &self.profiles, &mut self.user_sum);
            self.last = Some(key.clone());
            is_any = true;
        }
        is_any
    }

    /// `None` if the board has nothing to show.
    fn plan(
        &mut self,
        subject: &Subject,
        snapshots: &Snapshots,
        facts: &[StoredFact],
        rules: &Rules,
        now: Timestamp,
    ) -> Option<VecDeque<Write>> {
        let mut boards = std::mem::replace(&mut self.boards, boards(Chosen::default()));
        boards.finish_shard(std::mem::take(&mut self.user_sum), &self.profiles);
        let wanted = boards
            .finish(&HashMap::new())
            .boards
            .into_iter()
            .find(|board| (&board.board, board.window) == (&subject.board, subject.window));
        let span = rules.calendar.span(subject.window, now);
        let publication = Publication {
            span: span.clone(),
            day: rules.calendar.date(now),
            previous: self.previous.take(),
            ranked: wanted?.ranked,
            freshness: Freshness {
                generated_at: now,
                lag_seconds: None,
                backlog: 0,
            },
            sizes: subject.sizes,
        };
        let rows_left = |rows: Option<Rows<'_>>| {
            let cut = rows.map(|rows| {
                let pages = rows.pages.iter();
                let pages: Vec<Vec<BoardEntry>> =
                    pages.filter_map(|page| snapshots.get(&page.part())).collect();
                rows.cut(&pages)
            });
            cut.unwrap_or_default()
        };
        let before = rows_left(publication.first_before());
        let marks = publication.marks();
        let then = rows_left(marks.first().map(Mark::rows));
        let look = publication.needs_history(&before).then(|| {
            let kept: Option<WindowHistory> = snapshots.get(HISTORY);
            let history = kept.map_or_else(Default::default, |kept| kept.within(&span));
            let mut look = publication.look_at(history, &before);
            for user in look.outdated() {
                let past = past(facts, &user, subject, rules, &span);
                look = look.with(&user, Some(&past), now);
            }
            look
        });
        let planned = publication.plan(&then, look);
        Some(planned.expect("what is published can be encoded").writes.into())
    }
}

fn boards(chosen: Chosen) -> Boards {
    let limits = Limits {
        programs: BOARDS,
        teams: BOARDS,
        listed: LISTED,
    };
    let team_rules = TeamRules {
        score: TeamScore::Sum,
        min_size: 1,
    };
    let windows = Window::EVERY.to_vec();
    Boards::new(windows, chosen, limits, team_rules, Vec::new(), Review::default())
}

/// A user's points on the board after each accepted activity.
pub fn past(
    facts: &[StoredFact],
    user: &UserId,
    subject: &Subject,
    rules: &Rules,
    span: &WindowSpan,
) -> Vec<PointsAt> {
    let of_user = facts.iter().filter(|stored| stored.fact.user() == user);
    on_board(&rules.calendar, &subject.board, span, &earned(of_user, rules))
}

/// The sum of the standings on a board.
fn counted(subject: &Subject, tables: &Tables, generation: CountGeneration, day: CalendarDay) -> Tally {
    let standings = tables.of_generation(generation).into_values();
    let on_board = standings.filter(|(standing, _)| match &subject.board {
        Board::Global => true,
        Board::Program(program) => standing.program == *program,
        Board::Team(_) => unreachable!("people change teams, so nothing bounds the sum"),
    });
    on_board
        .map(|(_, ledger)| ledger.counters.tallies(day).get(subject.window))
        .fold(Tally::default(), |sum, tally| sum + tally)
}
