//! Clients, the pipe, the queue and the invocations, driven by a seed. Every move is followed by a check
//! of the invariants.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use domain::counters::Sum;
use domain::{Activity, Fact, FactId, Kind, Period, UserId};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use store::caps::{Cap, CapName};
use store::count::{Countable, TOLD_APART};
use store::generations::State;
use store::keys::{CountGeneration, StandingKey};
use store::stream::{Streamed, parse};
use store::{Generations, Rules, StoredFact};

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
/// Enough activities of one standing at once that the ledger spills.
const BURST: usize = 20;
/// An ingestion whose clock is behind by up to so many seconds.
const SLOW_CLOCK: i64 = 100_000;
const GRACE_HOURS: u16 = 24;
const GRACE: SignedDuration = SignedDuration::from_hours(24);
const USERS: [&str; 3] = ["ann", "bob", "cy"];
const PROGRAMS: [&str; 2] = ["p", "q"];
const KINDS: [&str; 6] = [
    "task_completed",
    "program_check_in",
    "learning_milestone",
    "quiz",
    "walk",
    "award",
];
/// Shards, time zone and points of the configurations that a deployment may change to: with another kind,
/// with other points from a later day on, with other points in the past, without a kind, elsewhere. Walks are
/// worth points by their quantity and awards by what is given, both with a cap.
const CONFIGURATIONS: [(&str, &str, &str); 6] = [
    (
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30},"award":{"given":{"max":25},"max_per_day":40}}}]"#,
    ),
    (
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25,"quiz":3,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30},"award":{"given":{"max":25},"max_per_day":40}}}]"#,
    ),
    (
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30},"award":{"given":{"max":25},"max_per_day":40}}},
        {"effective_from":"2026-11-25T00:00:00Z","points":{"task_completed":11,"program_check_in":5,"learning_milestone":25,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30},"award":{"given":{"max":25},"max_per_day":40}}}]"#,
    ),
    (
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":20,"program_check_in":5,"learning_milestone":25,"quiz":4,"walk":{"per":1000,"points":5,"max":20,"max_per_day":20},"award":{"given":{"max":25}}}}]"#,
    ),
    (
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30}}}]"#,
    ),
    (
        "7",
        "America/New_York",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25,"walk":{"per":1000,"points":5,"max":20,"max_per_day":30},"award":{"given":{"max":25},"max_per_day":40}}}]"#,
    ),
];

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
    /// Activities and corrections.
    facts: Vec<StoredFact>,
    /// Half of the schedules have none, so that points never become fewer.
    has_corrections: bool,
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
            165..177 => self.step_repair(true),
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
        match self.random.random_range(0..6) {
            0 => self.pipe(false),
            1 => self.invoke(),
            2 => self.step_rebuild(false),
            3 => self.step_repair(false),
            // The messages of a killed invocation return after the visibility timeout.
            4 if self.workers.is_empty() => self.time_out_visibility(),
            _ => self.step(false),
        }
    }

    /// A client posts, sometimes many activities at once. The condition of the put prevents a repeat from
    /// becoming a fact and a stream record.
    fn post(&mut self) {
        let user = USERS[self.random.random_range(0..USERS.len())];
        let program = PROGRAMS[self.random.random_range(0..PROGRAMS.len())];
        let count = [1, 1, 3, BURST][self.random.random_range(0..4)];
        let behind = [0, 0, 0, self.random.random_range(0..SLOW_CLOCK)][self.random.random_range(0..4)];
        let received_at = self.now - SignedDuration::from_secs(behind);
        for _ in 0..count {
            let kind: Kind = KINDS[self.random.random_range(0..KINDS.len())]
                .parse()
                .expect("a kind");
            // Half of the activities are from the last 24 hours.
            let hours_max = [24, 1_500][self.random.random_range(0..2)];
            let occurred_at =
                received_at - SignedDuration::from_hours(self.random.random_range(0..hours_max));
            if self.configured.scoring_policy.worth(&kind, occurred_at).is_err() {
                tell(format_args!("{kind} is refused"));
                continue;
            }
            let id = format!("a{}", self.facts.len());
            let mut image = json!({
                "user_id": {"S": user},
                "activity_id": {"S": id},
                "program_id": {"S": program},
                "kind": {"S": kind.as_str()},
                "occurred_at": {"S": occurred_at.to_string()},
                "received_at": {"S": received_at.to_string()},
                "schema_version": {"N": "1"},
            });
            match kind.as_str() {
                "walk" => {
                    let steps = self.random.random_range(0..6_000);
                    image["quantity"] = json!({"N": steps.to_string()});
                }
                "award" => {
                    let points = self.random.random_range(0..=25);
                    image["points"] = json!({"N": points.to_string()});
                }
                _ => {}
            }
            self.accept(&image);
        }
        tell(format_args!(
            "{user} posts {count} for {program}, received at {received_at}"
        ));
    }

    /// A fact is stored, and the stream has its record.
    fn accept(&mut self, image: &serde_json::Value) {
        let record = json!({"eventName": "INSERT", "dynamodb": {"NewImage": image}}).to_string();
        let Ok(Streamed::Fact { fact, received_at }) = parse(&record) else {
            panic!("what is stored is no fact: {record}");
        };
        self.facts.push(StoredFact { fact, received_at });
        self.records.push(record);
    }

    /// An admin takes an activity out, of which there is one void, or adds points. Its record may overtake that of
    /// the activity.
    fn correct(&mut self) {
        if !self.has_corrections || self.facts.is_empty() {
            return;
        }
        self.publishing.expect_fewer();
        let behind = [0, 0, 0, self.random.random_range(0..SLOW_CLOCK)][self.random.random_range(0..4)];
        let received_at = self.now - SignedDuration::from_secs(behind);
        let at = self.random.random_range(0..self.facts.len());
        let number = self.facts.len();
        let voided = match &self.facts[at].fact {
            Fact::Activity(activity) if self.random.random_range(0..4) > 0 => Some(activity.id.clone()),
            _ => None,
        };
        let common = json!({
            "correction_id": {"S": format!("c{number}")},
            "reason": {"S": "agreed"},
            "received_at": {"S": received_at.to_string()},
        });
        let mut image = if let Some(activity) = voided {
            let id = FactId::of_void(&activity);
            let (user, record) = (self.facts[at].fact.user(), &self.records[at]);
            if self
                .facts
                .iter()
                .any(|stored| stored.fact.id() == id && stored.fact.user() == user)
            {
                return tell(format_args!("{activity} of {user} is void already"));
            }
            let record: serde_json::Value = serde_json::from_str(record).expect("a record");
            let mut image = record["dynamodb"]["NewImage"].clone();
            image["activity_received_at"] = image["received_at"].clone();
            image["activity_id"] = json!({"S": id.as_str()});
            tell(format_args!(
                "{activity} of {user} is void, received at {received_at}"
            ));
            image
        } else {
            let user = USERS[self.random.random_range(0..USERS.len())];
            let program = PROGRAMS[self.random.random_range(0..PROGRAMS.len())];
            let points = self.random.random_range(-50..50);
            let hours = self.random.random_range(0..200);
            let occurred_at = received_at - SignedDuration::from_hours(hours);
            tell(format_args!("{user} gets {points} in {program} at {occurred_at}"));
            json!({
                "user_id": {"S": user},
                "activity_id": {"S": format!("~adjust c{number}")},
                "program_id": {"S": program},
                "points": {"N": points.to_string()},
                "occurred_at": {"S": occurred_at.to_string()},
                "schema_version": {"N": "1"},
            })
        };
        for (name, value) in common.as_object().expect("an object") {
            image[name] = value.clone();
        }
        self.accept(&image);
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
        let fault = if may_fail {
            Fault::draw(&mut self.random, self.faults_percent)
        } else {
            Fault::None
        };
        let rules = &self.rules[&rebuild.generation];
        tell("the rebuild goes on");
        rebuild.step(
            &mut self.tables,
            &self.facts,
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

    /// Whether a fact is counted in a generation; `None` if its rules do not know the kind.
    fn is_included(&self, generation: CountGeneration, stored: &StoredFact) -> Option<bool> {
        let rules = &self.rules[&generation];
        let countable = Countable::scored(&stored.fact, stored.received_at, rules).ok()?;
        let standing = standing(generation, rules, &stored.fact);
        Some(self.tables.includes(&standing, countable.key))
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
        let fault = if may_fail {
            Fault::draw(&mut self.random, self.faults_percent)
        } else {
            Fault::None
        };
        let at = self.random.random_range(0..self.repairs.len());
        let is_killed = may_fail && self.random.random_range(0..20) == 0;
        let rules = &self.rules[&self.repairs[at].generation()];
        tell(format_args!("repair {at} goes on"));
        let goes_on = self.repairs[at].step(
            &mut self.tables,
            &self.facts,
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
        let fault = if may_fail {
            Fault::draw(&mut self.random, self.faults_percent)
        } else {
            Fault::None
        };
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
            && !is_rebuilding
    }

    /// Each standing is the sum, by the rules of its generation, of exactly those activities that it includes,
    /// in each of its periods, and holds no keys of others.
    fn check(&mut self) {
        for standing in std::mem::take(&mut self.tables.written) {
            let rules = &self.rules[&standing.generation];
            let ledger = &self.tables.current(&standing).expect("it was written").ledger;
            let of_standing = self.facts.iter().filter(|stored| {
                *stored.fact.user() == standing.user && *stored.fact.program() == standing.program
            });
            let scored = of_standing.filter_map(|stored| {
                let countable = Countable::scored(&stored.fact, stored.received_at, rules).ok()?;
                Some((stored, countable))
            });
            let included: Vec<_> = scored
                .filter(|(_, countable)| self.tables.includes(&standing, countable.key))
                .collect();
            let (facts, included): (Vec<_>, Vec<_>) = included.into_iter().unzip();
            let keys: BTreeSet<_> = included.iter().map(|countable| countable.key).collect();
            assert!(
                self.tables.included(&standing).eq(&keys),
                "{standing:?} includes what is no fact"
            );
            assert!(
                ledger.keys().iter().all(|key| keys.contains(key)),
                "{standing:?} has a key of no fact"
            );
            let latest = included.iter().map(|countable| countable.day).max();
            assert_eq!(Some(ledger.counters.as_of()), latest, "the day of {standing:?}");
            for (period, sum) in ledger.counters.periods() {
                assert_eq!(sum, expected(&facts, rules, period), "{standing:?} in {period:?}");
            }
            let epoch = ledger.epoch;
            let caps: BTreeSet<_> = included
                .iter()
                .filter_map(|countable| countable.cap.clone())
                .collect();
            for cap in caps {
                let of_cap = included
                    .iter()
                    .filter(|countable| countable.cap.as_ref() == Some(&cap));
                let all: i64 = of_cap.map(|countable| countable.sums.all.points).sum();
                let name = CapName::new(&standing, epoch, &cap);
                let kept = self.tables.caps(std::slice::from_ref(&name));
                assert_eq!(
                    kept.get(&name).map(|sums| sums.all),
                    Some(all),
                    "{}",
                    name.as_str()
                );
            }
        }
    }

    /// Every accepted activity is counted and published, and counted in each generation whose rules know
    /// its kind. Every message that can never be counted is a dead letter, and no other is.
    fn check_end(mut self) {
        let mut dead: BTreeSet<&str> = BTreeSet::new();
        dead.extend(self.dead.iter().filter_map(|message| message.body.as_deref()));
        for (record, stored) in self.records.iter().zip(&self.facts) {
            let StoredFact { fact, received_at } = stored;
            if dead.contains(record.as_str()) {
                let is_unscored = |rules: &Rules| Countable::scored(fact, *received_at, rules).is_err();
                assert!(
                    self.now - TOLD_APART > *received_at || self.first_rules.values().any(is_unscored),
                    "a countable message is a dead letter: {record}"
                );
                self.publishing.expect_fewer();
                continue;
            }
            for generation in self.generations.counted() {
                // A generation says that it lacks what its rules did not know from the beginning.
                let was_known = Countable::scored(fact, *received_at, &self.first_rules[&generation]).is_ok();
                let may_lack = !was_known && self.generations.lacks(generation);
                let is_included = self.is_included(generation, stored);
                assert!(
                    is_included.is_none_or(|is_included| is_included || may_lack),
                    "{fact:?} was accepted but is not counted in {generation}"
                );
            }
        }
        for number in 1..=self.unreadable {
            let body = format!("unreadable {number}");
            assert!(dead.contains(body.as_str()), "{body} is not a dead letter");
        }
        let live = self.generations.live;
        let rules = &self.rules[&live];
        let published = self.publishing.check_end(
            &mut self.random,
            (&self.tables, &self.facts),
            (live, rules),
            self.now,
        );
        if self.publishing.is_all_time_of_everyone() {
            let standings = self.tables.of_generation(live).into_values();
            let points: i64 = standings
                .map(|(_, ledger)| ledger.counters.sums()[0].points)
                .sum();
            assert_eq!(published.unwrap_or_default(), points, "counted and published");
        }
    }
}

/// What facts come to in a period by these rules, judged apart from the code under test: an activity and its void
/// come to nothing wherever both are in time, and no more than its cap counts of a kind and a day.
fn expected(facts: &[&StoredFact], rules: &Rules, period: Option<Period>) -> Sum {
    let mut expected = Sum::default();
    let mut capped: BTreeMap<Cap, i64> = BTreeMap::new();
    for StoredFact { fact, received_at } in facts {
        let (activity, sign): (Option<&Activity>, i64) = match fact {
            Fact::Activity(activity) => (Some(activity), 1),
            Fact::Void(void) => (Some(&void.activity), -1),
            Fact::Adjustment(_) => (None, 1),
        };
        let received_at = match fact {
            Fact::Void(void) => (*received_at).max(void.activity_received_at),
            _ => *received_at,
        };
        let day = rules.calendar.date(fact.occurred_at());
        let counts = period.is_none_or(|period| {
            let end = rules.calendar.beginning(period.following());
            (period.first_day()..=period.last_day()).contains(&day) && received_at < end + GRACE
        });
        if !counts {
            continue;
        }
        match (fact, activity) {
            (Fact::Adjustment(adjustment), _) => expected.points += i64::from(adjustment.points),
            (_, Some(activity)) => {
                let worth = rules.scoring_policy.worth(&activity.kind, activity.occurred_at);
                let worth = worth.expect("it is scored");
                let points = sign
                    * worth
                        .points(activity.amount)
                        .expect("it has what it is scored by");
                expected.activities += sign;
                match worth.max_per_day {
                    None => expected.points += points,
                    Some(max) => {
                        let kind = activity.kind.clone();
                        *capped.entry(Cap { kind, day, max }).or_default() += points;
                    }
                }
            }
            (_, None) => unreachable!("only an adjustment has no activity"),
        }
    }
    expected.points += capped
        .iter()
        .map(|(cap, sum)| (*sum).min(cap.max.into()))
        .sum::<i64>();
    expected
}

fn standing(generation: CountGeneration, rules: &Rules, fact: &Fact) -> StandingKey {
    let (user, program) = (fact.user().clone(), fact.program().clone());
    StandingKey::new(generation, rules.standing_shards, user, program)
}

fn configuration(number: usize) -> Rules {
    let (shards, time_zone, policy) = CONFIGURATIONS[number];
    Rules {
        standing_shards: shards.parse().expect("a number of shards"),
        calendar: time_zone.parse().expect("a time zone"),
        scoring_policy: policy.parse().expect("a policy"),
        period_grace: Some(GRACE_HOURS.try_into().expect("a grace")),
    }
}

fn ids(messages: &[SqsMessage]) -> Vec<&str> {
    messages
        .iter()
        .filter_map(|message| message.message_id.as_deref())
        .collect()
}
