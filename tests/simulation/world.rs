//! Clients, the pipe, the queue and the invocations, driven by a seed. Every move is followed by a check
//! of the invariants.

mod clients;
mod erase;
mod judge;

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use domain::{Calendar, Season, Seasons, UserId};
use jiff::civil::Date;
use jiff::{SignedDuration, Span, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use store::generations::State;
use store::keys::CountGeneration;
use store::rules::TieBreak;
use store::{Generations, Rules, StoredFact};

use crate::erasure::Erasure;
use crate::folds::{Fold, Rebuild};
use crate::publishing::Publishing;
use crate::tables::Tables;
use crate::tell;
use crate::worker::{Fault, TIME, Worker};

const MOVES: usize = 300;
/// Without faults, everything is counted well before this.
const MOVES_TO_DRAIN: usize = 20_000;
const WORKERS: usize = 3;
const BATCH: usize = 30;
const REPAIRS: usize = 2;
const GRACE_HOURS: u16 = 24;
const USERS: [&str; 3] = ["ann", "bob", "cy"];
/// The first days of seasons that follow one another. The world begins on the last day of the first one.
const SEASONS: [&str; 4] = ["2026-11-01", "2026-11-22", "2026-11-26", "2026-12-11"];
/// One more, which can be adopted before it begins.
const MORE_SEASONS: [&str; 5] = [
    "2026-11-01",
    "2026-11-22",
    "2026-11-26",
    "2026-12-11",
    "2026-12-25",
];
const OTHER_SEASONS: [&str; 3] = ["2026-11-01", "2026-11-24", "2027-01-01"];
/// The seasons, shards, time zone and points of the configurations that a deployment may change to: with another kind,
/// with other points from a later day on, with other points in the past, without a kind, elsewhere. Walks are
/// worth points by their quantity and awards by what is given, both with a cap.
const CONFIGURATIONS: [(&[&str], &str, &str, &str); 6] = [
    (
        &SEASONS,
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30},"award":{"given":{"max":25},"max_per_day":40}}}]"#,
    ),
    (
        &MORE_SEASONS,
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25,"quiz":3,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30},"award":{"given":{"max":25},"max_per_day":40}}}]"#,
    ),
    (
        &SEASONS,
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30},"award":{"given":{"max":25},"max_per_day":40}}},
        {"effective_from":"2026-11-25T00:00:00Z","points":{"task_completed":11,"program_check_in":5,"learning_milestone":25,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30},"award":{"given":{"max":25},"max_per_day":40}}}]"#,
    ),
    (
        &OTHER_SEASONS,
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":20,"program_check_in":5,"learning_milestone":25,"quiz":4,"walk":{"per":1000,"points":5,"max":20,"max_per_day":20},"award":{"given":{"max":25}}}}]"#,
    ),
    (
        &SEASONS,
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30}}}]"#,
    ),
    (
        &SEASONS,
        "7",
        "America/New_York",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30},"award":{"given":{"max":25},"max_per_day":40}}}]"#,
    ),
];

/// The configurations in which the last activity decides between equal points.
const EARLIER_AHEAD: [usize; 2] = [3, 5];

/// A message in the queue.
struct Message {
    id: String,
    body: String,
    is_visible: bool,
}

pub struct World {
    random: StdRng,
    /// What ingestion accepts by, and what a generation takes over as far as it can.
    configured: Rules,
    /// The rules of all generations so far.
    rules: BTreeMap<CountGeneration, Rules>,
    /// The rules that they were begun with.
    first_rules: BTreeMap<CountGeneration, Rules>,
    now: Timestamp,
    tables: Tables,
    generations: Generations,
    rebuild: Option<Rebuild>,
    repairs: Vec<Fold>,
    /// The activities and corrections that are stored.
    facts: Vec<StoredFact>,
    /// All that were ever accepted, each with its record.
    accepted: Vec<StoredFact>,
    /// Half of the schedules have none, so that points never become fewer.
    has_corrections: bool,
    /// Most schedules have none.
    has_erasures: bool,
    erasure: Option<Erasure>,
    /// Whoever is gone from facts and standings: what was received before this time.
    erased: BTreeMap<UserId, Timestamp>,
    records: Vec<String>,
    /// Records that the pipe has noted as delivered.
    piped: usize,
    queue: Vec<Message>,
    sent: u64,
    unreadable: u64,
    dead: Vec<SqsMessage>,
    workers: Vec<Worker>,
    publishing: Publishing,
    /// How often the tables fail, from never to nearly always.
    faults_percent: u32,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let configured = configuration(0);
        let now = "2026-11-21T22:30:00Z".parse().expect("a time");
        let mut random = StdRng::seed_from_u64(seed);
        Self {
            faults_percent: random.random_range(0..95),
            publishing: Publishing::new(&mut random),
            has_corrections: random.random_range(0..2) == 0,
            has_erasures: random.random_range(0..4) == 0,
            erasure: None,
            erased: BTreeMap::new(),
            random,
            generations: Generations::default().settled(&configured, now),
            rules: BTreeMap::from([(CountGeneration::FIRST, configured.clone())]),
            first_rules: BTreeMap::from([(CountGeneration::FIRST, configured.clone())]),
            configured,
            now,
            tables: Tables::default(),
            rebuild: None,
            repairs: Vec::new(),
            facts: Vec::new(),
            accepted: Vec::new(),
            records: Vec::new(),
            piped: 0,
            queue: Vec::new(),
            sent: 0,
            unreadable: 0,
            dead: Vec::new(),
            workers: Vec::new(),
        }
    }

    /// Makes random moves for a while, then only moves without faults until everything is counted.
    pub fn run(mut self) {
        for _ in 0..MOVES {
            self.any_move();
            self.check();
        }
        for _ in 0..MOVES_TO_DRAIN {
            if self.is_drained() {
                return self.check_end();
            }
            self.good_move();
            self.check();
        }
        panic!(
            "{} messages and {} invocations never finish",
            self.queue.len(),
            self.workers.len()
        );
    }

    fn any_move(&mut self) {
        match self.random.random_range(0..280) {
            0..12 => self.post(),
            12..14 => self.correct(),
            14..16 => self.send_unreadable(),
            16..40 => self.pipe(true),
            40..43 => self.rewind_pipe(),
            43..57 => self.invoke(),
            57..118 => self.step(true),
            118..121 => self.kill(),
            121..126 => self.time_out_visibility(),
            126..130 => self.jump_clock(),
            130..158 => self.step_rebuild(true),
            158..160 => self.stop_rebuild(),
            160..163 => self.switch(),
            163..165 => self.configure(),
            165..175 => self.step_repair(true),
            175..180 => self.step_erasure(true),
            _ => {
                let live = self.generations.live;
                self.publishing.any_move(
                    &mut self.random,
                    (&self.tables, &self.facts),
                    (live, &self.rules[&live]),
                    &mut self.now,
                    self.faults_percent,
                );
            }
        }
    }

    fn good_move(&mut self) {
        match self.random.random_range(0..7) {
            0 => self.pipe(false),
            1 => self.invoke(),
            2 => self.step_rebuild(false),
            3 => self.step_repair(false),
            // The messages of a killed invocation return after the visibility timeout.
            4 if self.workers.is_empty() => self.time_out_visibility(),
            5 => self.step_erasure(false),
            _ => self.step(false),
        }
    }

    /// How the tables answer the next call.
    fn fault(&mut self, may_fail: bool) -> Fault {
        if may_fail {
            Fault::draw(&mut self.random, self.faults_percent)
        } else {
            Fault::None
        }
    }

    fn send(&mut self, body: String) {
        self.sent += 1;
        let id = format!("m{}", self.sent);
        self.queue.push(Message {
            id,
            body,
            is_visible: true,
        });
    }

    fn send_unreadable(&mut self) {
        self.unreadable += 1;
        self.send(format!("unreadable {}", self.unreadable));
        tell("something unreadable is sent");
    }

    /// The pipe delivers the next records, and may stop before it has noted the last delivery.
    fn pipe(&mut self, may_stop: bool) {
        for _ in 0..self.random.random_range(1..=BATCH) {
            let Some(record) = self.records.get(self.piped).cloned() else {
                return;
            };
            self.send(record);
            if may_stop && self.random.random_range(0..10) == 0 {
                return tell(format_args!("the pipe sends m{} and stops", self.sent));
            }
            self.piped += 1;
            tell(format_args!("the pipe sends m{}", self.sent));
        }
    }

    /// The pipe continues from an earlier position.
    fn rewind_pipe(&mut self) {
        self.piped = self.random.random_range(0..=self.piped);
        tell(format_args!("the pipe goes back to record {}", self.piped));
    }

    /// Some of the visible messages, in any order, go to a new invocation.
    fn invoke(&mut self) {
        if self.workers.len() >= WORKERS {
            return;
        }
        let mut visible: Vec<usize> = (0..self.queue.len())
            .filter(|&at| self.queue[at].is_visible)
            .collect();
        let wanted = self.random.random_range(1..=BATCH);
        let mut messages = Vec::new();
        while messages.len() < wanted && !visible.is_empty() {
            let at = visible.swap_remove(self.random.random_range(0..visible.len()));
            let taken = &mut self.queue[at];
            taken.is_visible = false;
            let mut message = SqsMessage::default();
            message.message_id = Some(taken.id.clone());
            message.body = Some(taken.body.clone());
            messages.push(message);
        }
        if messages.is_empty() {
            return;
        }
        tell(format_args!("an invocation receives {:?}", ids(&messages)));
        // Most start at once, some with little time left.
        let spent = match self.random.random_range(0..4) {
            0 => TIME.mul_f64(self.random.random()),
            _ => Duration::ZERO,
        };
        self.workers
            .push(Worker::receive(messages, &self.generations, spent));
    }

    /// A rebuild begins or goes on, and once it has folded everyone its generation is complete.
    fn step_rebuild(&mut self, may_fail: bool) {
        let fault = self.fault(may_fail);
        let Some(rebuild) = &mut self.rebuild else {
            if may_fail && self.random.random_range(0..4) == 0 {
                self.begin_rebuild();
            }
            return;
        };
        if rebuild.is_done {
            let building = self.generations.building.as_ref();
            if building.is_some_and(|building| building.state == State::Incomplete) {
                self.generations = self.generations.completed().expect("it is being built");
                tell("the rebuild is complete");
            }
            return;
        }
        let rules = &self.rules[&rebuild.generation];
        tell("the rebuild goes on");
        rebuild.step(
            &mut self.tables,
            (&self.facts, &self.generations.erasures),
            rules,
            self.now,
            fault,
            &mut self.random,
        );
    }

    fn begin_rebuild(&mut self) {
        let (generations, generation) = self.generations.with_rebuild();
        self.generations = generations;
        self.note_rules();
        let users = self.facts.iter().map(|stored| stored.fact.user().clone());
        self.rebuild = Some(Rebuild::begin(generation, users.collect(), &mut self.random));
        tell(format_args!("a rebuild of {generation} begins"));
    }

    /// A process of the rebuild is killed, or its generation is given up.
    fn stop_rebuild(&mut self) {
        let Some(rebuild) = &mut self.rebuild else {
            return;
        };
        if self.random.random_range(0..3) > 0 {
            rebuild.kill(&mut self.random);
            return tell("a process of the rebuild is killed");
        }
        self.give_up_the_other();
    }

    fn give_up_the_other(&mut self) {
        let (alone, given_up) = self.generations.alone().expect("there is another");
        self.generations = alone;
        self.rebuild = None;
        let is_partial = self.random.random_range(0..2) == 0;
        let random = &mut self.random;
        self.tables
            .delete(given_up, || !is_partial || random.random_range(0..2) == 0);
        tell(format_args!("{given_up} is given up"));
    }

    /// The other generation takes over once it has everything that the live one has, or goes back, or is
    /// given up.
    fn switch(&mut self) {
        let building = self.generations.building.as_ref();
        let Some(other) = building.filter(|building| building.state == State::Complete) else {
            return;
        };
        if self.random.random_range(0..4) == 0 {
            return self.give_up_the_other();
        }
        let (live, other) = (self.generations.live, other.generation);
        let is_ahead = |stored: &StoredFact| {
            self.is_included(live, stored) == Some(true) && self.is_included(other, stored) == Some(false)
        };
        if self.facts.iter().any(is_ahead) {
            return tell(format_args!("{other} lacks something that {live} has"));
        }
        if self.rules[&live] != self.rules[&other] {
            self.publishing.expect_fewer();
        }
        self.generations = self.generations.switched().expect("it is complete");
        tell(format_args!("{other} is live"));
    }

    /// An operator repairs a user.
    fn step_repair(&mut self, may_fail: bool) {
        if may_fail && self.repairs.len() < REPAIRS && self.random.random_range(0..8) == 0 {
            let live = self.generations.live;
            let user: UserId = USERS[self.random.random_range(0..USERS.len())]
                .parse()
                .expect("a user");
            tell(format_args!("a repair of {user} in {live} begins"));
            self.repairs.push(Fold::begin(live, &self.rules[&live], user));
        }
        if self.repairs.is_empty() {
            return;
        }
        let fault = self.fault(may_fail);
        let at = self.random.random_range(0..self.repairs.len());
        let is_killed = may_fail && self.random.random_range(0..20) == 0;
        let rules = &self.rules[&self.repairs[at].generation()];
        tell(format_args!("repair {at} goes on"));
        let goes_on = self.repairs[at].step(
            &mut self.tables,
            (&self.facts, &self.generations.erasures),
            rules,
            self.now,
            fault,
            &mut self.random,
        );
        if goes_on && !is_killed {
            return;
        }
        self.repairs.swap_remove(at);
        tell(format_args!("repair {at} ends"));
    }

    /// An invocation makes a call, or reports the verdicts on its messages.
    fn step(&mut self, may_fail: bool) {
        if self.workers.is_empty() {
            return;
        }
        let at = self.random.random_range(0..self.workers.len());
        let fault = self.fault(may_fail);
        let worker = &mut self.workers[at];
        tell(format_args!("invocation {at} goes on"));
        if worker.step(&mut self.tables, fault, self.now, &mut self.random) {
            return;
        }
        let worker = self.workers.swap_remove(at);
        let verdicts = worker.conclude();
        tell(format_args!(
            "invocation {at} ends: {:?} done, {:?} deferred, {:?} dead",
            verdicts.done,
            verdicts.deferred,
            ids(&verdicts.dead)
        ));
        self.dead.extend(verdicts.dead);
        // It may die after sending its dead letters, or its answer may be lost.
        if may_fail && self.random.random_range(0..8) == 0 {
            return tell("and its answer is lost");
        }
        self.queue.retain(|message| !verdicts.done.contains(&message.id));
        for message in &mut self.queue {
            message.is_visible |= verdicts.deferred.contains(&message.id);
        }
    }

    /// A deployment changes the configuration, and the first of its invocations settles the rules. Earlier
    /// invocations go on with what they have read.
    fn configure(&mut self) {
        let number = self.random.random_range(0..CONFIGURATIONS.len());
        self.configured = configuration(number);
        self.generations = self.generations.settled(&self.configured, self.now);
        self.note_rules();
        tell(format_args!(
            "configuration {number}; waiting for a rebuild: {:?}",
            self.generations.pending()
        ));
    }

    fn note_rules(&mut self) {
        for generation in self.generations.counted() {
            let rules = self.generations.rules(generation).expect("rules are settled");
            self.rules.insert(generation, rules.clone());
            self.first_rules
                .entry(generation)
                .or_insert_with(|| rules.clone());
        }
    }

    fn kill(&mut self) {
        if !self.workers.is_empty() {
            let at = self.random.random_range(0..self.workers.len());
            self.workers.swap_remove(at);
            tell(format_args!("invocation {at} is killed"));
        }
    }

    /// A message becomes visible again, even if its invocation is still working on it.
    fn time_out_visibility(&mut self) {
        let hidden: Vec<usize> = (0..self.queue.len())
            .filter(|&at| !self.queue[at].is_visible)
            .collect();
        if !hidden.is_empty() {
            let at = hidden[self.random.random_range(0..hidden.len())];
            self.queue[at].is_visible = true;
            tell(format_args!("{} is visible again", self.queue[at].id));
        }
    }

    fn jump_clock(&mut self) {
        // Sometimes for longer than a page is kept, or than the keys in a block.
        let hours_max = [48, 48, 48, 240, 24 * 70][self.random.random_range(0..5)];
        self.now += SignedDuration::from_hours(self.random.random_range(-2..hours_max));
        self.publishing.pass_time(self.now);
        let random = &mut self.random;
        self.tables.expire(self.now, || random.random_range(0..2) == 0);
        tell(format_args!("it is {}", self.now));
    }

    fn is_drained(&self) -> bool {
        let is_rebuilding = self.rebuild.as_ref().is_some_and(|rebuild| !rebuild.is_done);
        self.piped == self.records.len()
            && self.queue.is_empty()
            && self.workers.is_empty()
            && self.repairs.is_empty()
            && self.erasure.is_none()
            && !is_rebuilding
    }
}

fn configuration(number: usize) -> Rules {
    let (seasons, shards, time_zone, policy) = CONFIGURATIONS[number];
    let calendar: Calendar = time_zone.parse().expect("a time zone");
    Rules {
        standing_shards: shards.parse().expect("a number of shards"),
        calendar: calendar.with_seasons(one_after_the_other(seasons)),
        scoring_policy: policy.parse().expect("a policy"),
        period_grace: Some(GRACE_HOURS.try_into().expect("a grace")),
        tie_break: if EARLIER_AHEAD.contains(&number) {
            TieBreak::Earlier
        } else {
            TieBreak::Shared
        },
    }
}

/// Seasons that begin on these days, the last one of ten years.
fn one_after_the_other(first_days: &[&str]) -> Seasons {
    let first_days: Vec<Date> = first_days.iter().map(|day| day.parse().expect("a day")).collect();
    let seasons = first_days.iter().enumerate().map(|(at, first_day)| {
        let last_day = match first_days.get(at + 1) {
            Some(next) => next.saturating_sub(Span::new().days(1)),
            None => first_day.saturating_add(Span::new().years(10)),
        };
        Season {
            id: format!("season-{at}").parse().expect("an id"),
            title: "A season".parse().expect("a title"),
            first_day: *first_day,
            last_day,
        }
    });
    seasons
        .collect::<Vec<_>>()
        .try_into()
        .expect("they do not overlap")
}

fn ids(messages: &[SqsMessage]) -> Vec<&str> {
    messages
        .iter()
        .filter_map(|message| message.message_id.as_deref())
        .collect()
}
