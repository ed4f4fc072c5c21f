//! One run of the snapshot for one board in one window, step by step: its real ranking and planning.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::Bound;

use domain::history::PointsAt;
use domain::standing::Tallies;
use domain::{
    Board, BoardEntry, Calendar, Freshness, ProgramId, Standing, Tally, UserId, Window, WindowSpan,
};
use jiff::{SignedDuration, Timestamp};
use snapshot::boards::{Boards, UserSum, published_programs};
use store::Head;
use store::pasts::{Earned, on_board};
use store::publication::{HISTORY, LATEST, PageSizes, Publication, WindowHistory, Write};

use crate::snapshots::Snapshots;
use crate::tables::Tables;

/// No run takes longer; it is Lambda's limit.
pub const RUN_TIME: SignedDuration = SignedDuration::from_mins(15);
/// More than there are programs.
const PROGRAM_BOARDS: usize = 10;
/// More than there are users.
const LISTED: usize = 10;

/// The board and window to publish, and the sizes of its pages.
#[derive(Clone, Debug)]
pub struct Subject {
    pub board: Board,
    pub window: Window,
    pub sizes: PageSizes,
}

/// The names of a window's counters.
type Names = (Window, String, String);

pub struct Run {
    pub now: Timestamp,
    names: Vec<Names>,
    /// The sums that were counted before the run read anything.
    counted_before: Tally,
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
    /// The shard and member of the last standing read.
    last: Option<(String, String)>,
}

/// The result of a step.
pub enum Step {
    Read,
    /// The next write.
    Write(Write),
    Done,
}

impl Run {
    /// Begins with the totals and the newest head; `None` if the board has nothing to show.
    pub fn start(
        subject: &Subject,
        tables: &Tables,
        snapshots: &Snapshots,
        calendar: &Calendar,
        now: Timestamp,
    ) -> Option<Self> {
        let mut totals: HashMap<ProgramId, Tally> = HashMap::new();
        for ((_, program), tally) in &tables.totals {
            *totals.entry(program.clone()).or_default() += *tally;
        }
        let programs = published_programs(&totals, &[], PROGRAM_BOARDS);
        if let Board::Program(program) = &subject.board
            && !programs.contains(program)
        {
            return None;
        }
        let names = names(calendar, now);
        Some(Self {
            now,
            counted_before: counted(subject, tables, &names),
            names,
            stage: Stage::Reading(Box::new(Reading {
                previous: snapshots.get(LATEST),
                boards: Boards::new(programs, LISTED),
                user_sum: UserSum::default(),
                last: None,
            })),
        })
    }

    /// Reads the next `count` standings, or returns the next write.
    pub fn step(
        &mut self,
        subject: &Subject,
        tables: &Tables,
        snapshots: &Snapshots,
        facts: &[(UserId, Earned)],
        calendar: &Calendar,
        count: usize,
    ) -> Step {
        match &mut self.stage {
            Stage::Writing(writes) => writes.front().cloned().map_or(Step::Done, Step::Write),
            Stage::Reading(reading) => {
                if !reading.read(tables, &self.names, count) {
                    let writes = reading.plan(subject, snapshots, facts, calendar, self.now);
                    self.stage = Stage::Writing(writes);
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
        let counted = counted(subject, tables, &self.names);
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
    fn read(&mut self, tables: &Tables, names: &[Names], count: usize) -> bool {
        let from = match &self.last {
            Some(last) => Bound::Excluded(last.clone()),
            None => Bound::Unbounded,
        };
        let standings = tables.standings.range((from, Bound::Unbounded)).take(count);
        let mut is_any = false;
        for (key, counters) in standings {
            let (shard, member) = key;
            if self.last.as_ref().is_some_and(|(last, _)| last != shard) {
                self.boards.finish_shard(std::mem::take(&mut self.user_sum));
            }
            let (user, program) = member.split_once('#').expect("a member of a user and a program");
            let standing = Standing {
                user: user.parse().expect("a user"),
                program: program.parse().expect("a program"),
                tallies: tallies(counters, names),
                recent_activities: 0,
            };
            self.boards.add(standing, &mut self.user_sum);
            self.last = Some(key.clone());
            is_any = true;
        }
        is_any
    }

    fn plan(
        &mut self,
        subject: &Subject,
        snapshots: &Snapshots,
        facts: &[(UserId, Earned)],
        calendar: &Calendar,
        now: Timestamp,
    ) -> VecDeque<Write> {
        let mut boards = std::mem::replace(&mut self.boards, Boards::new([], 0));
        boards.finish_shard(std::mem::take(&mut self.user_sum));
        let wanted = boards
            .finish()
            .into_iter()
            .find(|board| (&board.board, board.window) == (&subject.board, subject.window));
        let span = calendar.span(subject.window, now);
        let publication = Publication {
            span: span.clone(),
            previous: self.previous.take(),
            ranked: wanted.expect("the board is published").ranked,
            freshness: Freshness {
                generated_at: now,
                lag_seconds: None,
                backlog: 0,
            },
            sizes: subject.sizes,
        };
        let before = publication.compared_with().map(|rows| {
            let pages = rows.pages.iter();
            let pages: Vec<Vec<BoardEntry>> = pages.filter_map(|page| snapshots.get(&page.part())).collect();
            rows.cut(&pages)
        });
        let before = before.unwrap_or_default();
        let look = publication.needs_history(&before).then(|| {
            let kept: Option<WindowHistory> = snapshots.get(HISTORY);
            let history = kept.map_or_else(Default::default, |kept| kept.within(&span));
            let mut look = publication.look_at(history, &before);
            for user in look.outdated() {
                let past = past(facts, &user, subject, calendar, &span);
                look = look.with(&user, Some(&past), now);
            }
            look
        });
        let planned = publication.plan(&before, look);
        planned.expect("what is published can be encoded").writes.into()
    }
}

/// A user's points on the board after each accepted activity.
pub fn past(
    facts: &[(UserId, Earned)],
    user: &UserId,
    subject: &Subject,
    calendar: &Calendar,
    span: &WindowSpan,
) -> Vec<PointsAt> {
    let earned = facts.iter().filter(|(of, _)| of == user);
    let earned: Vec<_> = earned.map(|(_, earned)| earned.clone()).collect();
    on_board(calendar, &subject.board, span, &earned)
}

fn names(calendar: &Calendar, now: Timestamp) -> Vec<Names> {
    let names = Window::EVERY
        .into_iter()
        .map(|window| match calendar.current(window, now) {
            None => (window, "points".to_owned(), "activities".to_owned()),
            Some(period) => (window, period.to_string(), format!("{period} activities")),
        });
    names.collect()
}

fn tallies(counters: &BTreeMap<String, u64>, names: &[Names]) -> Tallies {
    let counter = |name| counters.get(name).copied().unwrap_or_default();
    let mut tallies = Tallies::default();
    for (window, points, activities) in names {
        *tallies.get_mut(*window) = Tally {
            points: counter(points),
            activities: counter(activities),
        };
    }
    tallies
}

/// The sum of the standings on a board.
fn counted(subject: &Subject, tables: &Tables, names: &[Names]) -> Tally {
    let standings = tables
        .standings
        .iter()
        .filter(|((_, member), _)| match &subject.board {
            Board::Global => true,
            Board::Program(program) => member.ends_with(&format!("#{program}")),
        });
    standings
        .map(|(_, counters)| tallies(counters, names).get(subject.window))
        .fold(Tally::default(), |sum, tally| sum + tally)
}
