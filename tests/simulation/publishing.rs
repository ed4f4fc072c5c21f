//! The runs of the snapshot and the readers of what they publish, driven by a seed.

use std::collections::BTreeMap;

use domain::{Board, Window};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use store::keys::CountGeneration;
use store::publication::{HISTORY, OLD_HEAD_LIFETIME, PageSizes, WindowHistory, Write, old_head};
use store::{Head, Rules, StoredFact};

use crate::people::People;
use crate::reader::Reader;
use crate::run::{RUN_TIME, Run, Step, Subject, past};
use crate::snapshots::Snapshots;
use crate::tables::Tables;
use crate::tell;
use crate::worker::Fault;

const RUNS: usize = 2;
const READERS: usize = 3;
/// The most steps that a run without faults takes.
const STEPS: usize = 100;
/// Longer than any page is kept.
const LONG_PAUSE: SignedDuration = SignedDuration::from_hours(10 * 24);
/// After this pause, the history is looked at again.
const SHORT_PAUSE: SignedDuration = SignedDuration::from_hours(2);

/// The live generation and its rules.
type Live<'a> = (CountGeneration, &'a Rules);

pub struct Publishing {
    subject: Subject,
    /// Whether points may be fewer than before, or than the facts'.
    may_have_fewer: bool,
    snapshots: Snapshots,
    people: People,
    runs: Vec<Run>,
    readers: Vec<Reader>,
    /// Each generation's head as it was published.
    published: BTreeMap<u64, String>,
    /// When the head of a generation was replaced.
    replaced: BTreeMap<u64, Timestamp>,
    /// How probable it is, in percent, that the next step goes to the newest run and not to a random one.
    overtaking_percent: u32,
    /// The latest time so far. The clock may jump back, but items that expired by this time may be gone.
    furthest: Timestamp,
}

impl Publishing {
    pub fn new(random: &mut StdRng) -> Self {
        let board = ["global", "program:p", "global", "program:p", "team:red"][random.random_range(0..5)];
        let subject = Subject {
            board: board.parse().expect("a board"),
            // Half of the schedules use all time, where points never shrink.
            window: match random.random_range(0..2) {
                0 => Window::All,
                _ => Window::EVERY[random.random_range(0..Window::EVERY.len())],
            },
            sizes: PageSizes {
                rows: random.random_range(1..=2),
                buckets: random.random_range(1..=2),
                inline_buckets: random.random_range(0..=2),
            },
        };
        let this = Self {
            // Points leave a team with its people.
            may_have_fewer: board.starts_with("team:"),
            subject,
            snapshots: Snapshots::default(),
            people: People::default(),
            runs: Vec::new(),
            readers: Vec::new(),
            published: BTreeMap::new(),
            replaced: BTreeMap::new(),
            overtaking_percent: random.random_range(0..=100),
            furthest: Timestamp::UNIX_EPOCH,
        };
        tell(format_args!("published is {:?}", this.subject));
        this
    }

    /// Points may be fewer than before, or than the facts': there are corrections, a generation of other rules took
    /// over, or an activity became a dead letter.
    pub fn expect_fewer(&mut self) {
        self.may_have_fewer = true;
    }

    pub fn any_move(
        &mut self,
        random: &mut StdRng,
        (tables, facts): (&Tables, &[StoredFact]),
        live: Live<'_>,
        now: &mut Timestamp,
        faults_percent: u32,
    ) {
        match random.random_range(0..100) {
            0..10 => self.start(tables, live, now),
            10..60 => self.step(random, (tables, facts), live, *now, faults_percent),
            60..62 => self.kill(random),
            62..72 => self.open(random),
            72..94 => self.read(random),
            94..97 => self.change_person(random, facts),
            _ => {
                tell("some or all expired items are deleted");
                self.snapshots.expire(*now, || random.random_range(0..2) == 0);
            }
        }
    }

    fn change_person(&mut self, random: &mut StdRng, facts: &[StoredFact]) {
        let Some(fact) = facts.choose(random) else {
            return;
        };
        if self.people.change(random, fact.fact.user()) {
            // The board closes up.
            self.expect_fewer();
        }
    }

    /// The scheduler starts a run every minute.
    fn start(&mut self, tables: &Tables, live: Live<'_>, now: &mut Timestamp) {
        if self.runs.len() >= RUNS {
            return;
        }
        *now += SignedDuration::from_mins(1);
        self.pass_time(*now);
        let run = Run::start(&self.subject, tables, &self.snapshots, &self.people, live, *now);
        tell(format_args!("a snapshot of {} begins at {now}", live.0));
        self.runs.push(run);
    }

    /// Runs that have taken too long are killed.
    pub fn pass_time(&mut self, now: Timestamp) {
        self.furthest = self.furthest.max(now);
        let is_running = |run: &Run| (SignedDuration::ZERO..RUN_TIME).contains(&now.duration_since(run.now));
        self.runs.retain(is_running);
    }

    fn step(
        &mut self,
        random: &mut StdRng,
        (tables, facts): (&Tables, &[StoredFact]),
        live: Live<'_>,
        now: Timestamp,
        faults_percent: u32,
    ) {
        if self.runs.is_empty() {
            return;
        }
        let at = if random.random_range(0..100) < self.overtaking_percent {
            self.runs.len() - 1
        } else {
            random.random_range(0..self.runs.len())
        };
        let count = random.random_range(1..=3);
        let read = (&self.snapshots, &self.people);
        let step = self.runs[at].step(&self.subject, tables, read, facts, live.0, count);
        let write = match step {
            Step::Read => return tell(format_args!("snapshot {at} reads")),
            Step::Outdated => {
                self.runs.remove(at);
                return tell(format_args!("snapshot {at} begins again: {} is live", live.0));
            }
            Step::Done => {
                self.runs.remove(at);
                return tell(format_args!("snapshot {at} is done"));
            }
            Step::Write(write) => write,
        };
        let fault = Fault::draw(random, faults_percent);
        tell(format_args!("snapshot {at} writes {}: {fault:?}", part(&write)));
        if matches!(fault, Fault::None | Fault::CutAfter)
            && !self.write(random, tables, live.0, now, at, &write)
        {
            self.runs.remove(at);
            return tell("and fails its condition: another run replaced the head first");
        }
        // A failed write is repeated with a probability of 2/3; otherwise the run fails.
        match fault {
            Fault::None => self.runs[at].advance(),
            Fault::Conflict | Fault::CutBefore | Fault::CutAfter if random.random_range(0..3) > 0 => {}
            _ => {
                self.runs.remove(at);
                tell("and fails");
            }
        }
    }

    /// Applies a write and returns whether its condition held. Checks that readers can read every page of a
    /// new head at once.
    fn write(
        &mut self,
        random: &mut StdRng,
        tables: &Tables,
        live: CountGeneration,
        now: Timestamp,
        at: usize,
        write: &Write,
    ) -> bool {
        let before = self.head();
        if !self.snapshots.write(write) {
            return false;
        }
        let Write::ReplaceHead { head: document, .. } = write else {
            self.check_lines();
            return true;
        };
        let head = self.head().expect("it was just written");
        if let Some(before) = before {
            assert!(
                head.generation > before.generation,
                "generation {} must exceed {}",
                head.generation,
                before.generation
            );
            assert!(
                self.may_have_fewer || self.subject.window != Window::All || head.points >= before.points,
                "the board goes back from {} to {} points",
                before.points,
                head.points
            );
            self.replaced.insert(before.generation, now);
        }
        // A generation that is no longer live may have been deleted since it was read, and corrections take points
        // while it is read.
        if self.runs[at].generation == live && !self.may_have_fewer {
            self.runs[at].check_sums(&self.subject, tables, &head);
        }
        let earlier = self.published.insert(head.generation, document.json.clone());
        assert_eq!(earlier, None, "generation {} is published twice", head.generation);
        self.read_at_once(random, head, self.runs[at].began);
        true
    }

    /// The lines of the history never fall.
    fn check_lines(&self) {
        if self.may_have_fewer {
            return;
        }
        let history: Option<WindowHistory> = self.snapshots.get(HISTORY);
        for user in history.iter().flat_map(|kept| &kept.history.users) {
            let known: Vec<_> = user.points.iter().flatten().collect();
            assert!(known.is_sorted(), "the line of {} falls: {known:?}", user.user_id);
        }
    }

    /// At the end, the history of all time begins with the first fact and has every fact when it occurred.
    fn check_history(&self, facts: &[StoredFact], rules: &Rules) {
        let Some(kept) = self.snapshots.get::<WindowHistory>(HISTORY) else {
            return;
        };
        if self.may_have_fewer || self.subject.window != Window::All {
            return;
        }
        let history = &kept.history;
        for user in &history.users {
            let past = past(facts, &user.user_id, &self.subject, rules, &kept.window);
            // Facts that earn nothing are read late, or never.
            if let Some(first) = past.iter().find(|then| then.points != 0) {
                assert!(
                    first.at.as_second() >= history.at[0].as_second(),
                    "the history begins at {}, after the first points of {} at {}",
                    history.at[0],
                    user.user_id,
                    first.at
                );
            }
            for (at, points) in history.at.iter().zip(&user.points) {
                let occurred = past.partition_point(|then| then.at <= *at);
                let earned = occurred.checked_sub(1).map_or(0, |last| past[last].points);
                assert!(
                    points.is_some_and(|points| points >= earned),
                    "{} has {points:?} at {at}, after having earned {earned}",
                    user.user_id
                );
            }
        }
    }

    fn head(&self) -> Option<Head> {
        let json = self.snapshots.latest()?;
        Some(serde_json::from_str(json).expect("a head"))
    }

    fn read_at_once(&self, random: &mut StdRng, head: Head, began: usize) {
        let mut reader = Reader::new(head);
        while reader.step(&self.snapshots, self.furthest) {}
        if reader.is_done() {
            reader.check(random);
            let rows = reader.rows(0, usize::MAX);
            self.people.check(&self.subject.board, began, &rows);
        }
    }

    fn kill(&mut self, random: &mut StdRng) {
        if !self.runs.is_empty() {
            let at = random.random_range(0..self.runs.len());
            self.runs.remove(at);
            tell(format_args!("snapshot {at} is killed"));
        }
    }

    /// A reader begins with the newest generation, or has a cursor of an earlier one.
    fn open(&mut self, random: &mut StdRng) {
        let Some(newest) = self.snapshots.generation else {
            return;
        };
        if self.readers.len() >= READERS {
            return;
        }
        let wanted = newest.saturating_sub(random.random_range(0..3)).max(1);
        tell(format_args!("a reader opens generation {wanted} of {newest}"));
        let kept = if wanted == newest {
            self.snapshots.latest()
        } else {
            self.snapshots.json(&old_head(wanted))
        };
        let Some(head) = kept else {
            let promised = self.replaced[&wanted] + OLD_HEAD_LIFETIME - RUN_TIME;
            assert!(
                self.furthest >= promised,
                "generation {wanted} is gone, although it is promised until {promised}"
            );
            return;
        };
        assert_eq!(head, self.published[&wanted], "generation {wanted} has changed");
        let head = serde_json::from_str(head).expect("a head");
        self.readers.push(Reader::new(head));
    }

    fn read(&mut self, random: &mut StdRng) {
        if self.readers.is_empty() {
            return;
        }
        let at = random.random_range(0..self.readers.len());
        let reader = &mut self.readers[at];
        if reader.step(&self.snapshots, self.furthest) {
            let generation = reader.head.generation;
            return tell(format_args!("a reader of generation {generation} reads a page"));
        }
        let reader = self.readers.swap_remove(at);
        if reader.is_done() {
            reader.check(random);
        }
    }

    /// Without faults, the next run publishes, even after a pause in which all pages have expired. Returns
    /// the points of the last head; `None` if there is no such board.
    pub fn check_end(
        &mut self,
        random: &mut StdRng,
        (tables, facts): (&Tables, &[StoredFact]),
        live: Live<'_>,
        mut now: Timestamp,
    ) -> Option<i64> {
        self.runs.clear();
        self.people.show_everyone();
        for pause in [SignedDuration::ZERO, LONG_PAUSE, SHORT_PAUSE] {
            now += pause;
            self.pass_time(now);
            self.snapshots.expire(now, || true);
            let before = self.snapshots.generation;
            self.start(tables, live, &mut now);
            for _ in 0..STEPS {
                self.step(random, (tables, facts), live, now, 0);
            }
            assert!(self.runs.is_empty(), "a run without faults does not end");
            let is_published = self.snapshots.generation > before;
            assert!(
                is_published || before.is_none(),
                "a run without faults publishes nothing"
            );
        }
        self.check_history(facts, live.1);
        self.head().map(|head| head.points)
    }

    pub fn is_all_time_of_everyone(&self) -> bool {
        (&self.subject.board, self.subject.window) == (&Board::Global, Window::All)
    }
}

fn part(write: &Write) -> &str {
    match write {
        Write::Put(document) | Write::ReplaceHead { head: document, .. } => &document.part,
    }
}
