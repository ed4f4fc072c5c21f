//! Clients, the pipe, the queue and the invocations, driven by a seed. Every move is followed by a check
//! of the invariants.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::event::sqs::SqsMessage;
use domain::Kind;
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;
use store::generations::State;
use store::keys::CountGeneration;
use store::pasts::Earned;
use store::{Generations, Rules};

use crate::publishing::Publishing;
use crate::rebuild::Rebuild;
use crate::tables::Tables;
use crate::worker::{Fault, TIME, Worker};

const MOVES: usize = 240;
/// Without faults, everything is counted well before this.
const MOVES_TO_DRAIN: usize = 2_000;
const WORKERS: usize = 3;
const BATCH: usize = 10;
const USERS: [&str; 3] = ["ann", "bob", "cy"];
const PROGRAMS: [&str; 2] = ["p", "q"];
const KINDS: [&str; 4] = ["task_completed", "program_check_in", "learning_milestone", "quiz"];
/// Shards, time zone and points of the configurations that a deployment may change to: with another kind,
/// with other points from a later day on, with other points in the past, without a kind, elsewhere.
const CONFIGURATIONS: [(&str, &str, &str); 6] = [
    (
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25}}]"#,
    ),
    (
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25,"quiz":3}}]"#,
    ),
    (
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25}},
        {"effective_from":"2026-11-25T00:00:00Z","points":{"task_completed":11,"program_check_in":5,"learning_milestone":25}}]"#,
    ),
    (
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":20,"program_check_in":5,"learning_milestone":25,"quiz":4}}]"#,
    ),
    (
        "4",
        "Europe/Berlin",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5}}]"#,
    ),
    (
        "7",
        "America/New_York",
        r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10,"program_check_in":5,"learning_milestone":25}}]"#,
    ),
];

/// An accepted activity.
struct Fact {
    member: String,
    /// The part of its marker's key after the generation.
    key: String,
    kind: Kind,
    occurred_at: Timestamp,
    record: String,
}

impl Fact {
    /// Its points by these rules; `None` if they do not know its kind.
    fn points(&self, rules: &Rules) -> Option<u64> {
        let points = rules.scoring_policy.points(&self.kind, self.occurred_at);
        points.ok().map(u64::from)
    }
}

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
    /// By generation. The first one is live, and is published.
    tables: BTreeMap<CountGeneration, Tables>,
    generations: Generations,
    rebuild: Option<Rebuild>,
    facts: Vec<Fact>,
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
    is_verbose: bool,
}

impl World {
    /// If `is_verbose`, every move is printed.
    pub fn new(seed: u64, is_verbose: bool) -> Self {
        let configured = configuration(0);
        let now = "2026-11-21T22:30:00Z".parse().expect("a time");
        let mut random = StdRng::seed_from_u64(seed);
        Self {
            faults_percent: random.random_range(0..95),
            publishing: Publishing::new(&mut random, configured.calendar.clone(), is_verbose),
            random,
            generations: Generations::default().settled(&configured, now),
            rules: BTreeMap::from([(CountGeneration::FIRST, configured.clone())]),
            first_rules: BTreeMap::from([(CountGeneration::FIRST, configured.clone())]),
            configured,
            now,
            tables: BTreeMap::from([(CountGeneration::FIRST, Tables::default())]),
            rebuild: None,
            facts: Vec::new(),
            piped: 0,
            queue: Vec::new(),
            sent: 0,
            unreadable: 0,
            dead: Vec::new(),
            workers: Vec::new(),
            is_verbose,
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

    fn tell(&self, what: impl std::fmt::Display) {
        if self.is_verbose {
            println!("{what}");
        }
    }

    fn any_move(&mut self) {
        match self.random.random_range(0..222) {
            0..18 => self.post(),
            18..20 => self.send_unreadable(),
            20..40 => self.pipe(true),
            40..43 => self.rewind_pipe(),
            43..57 => self.invoke(),
            57..88 => self.step(true),
            88..92 => self.kill(),
            92..97 => self.time_out_visibility(),
            97..100 => self.jump_clock(),
            100..118 => self.step_rebuild(true),
            118..120 => self.stop_rebuild(),
            120..122 => self.configure(),
            _ => self.publishing.any_move(
                &mut self.random,
                &self.tables[&CountGeneration::FIRST],
                &mut self.now,
                self.faults_percent,
            ),
        }
    }

    fn good_move(&mut self) {
        match self.random.random_range(0..4) {
            0 => self.pipe(false),
            1 => self.invoke(),
            2 => {
                self.step(false);
                self.step_rebuild(false);
            }
            // The messages of a killed invocation return after the visibility timeout.
            _ if self.workers.is_empty() => self.time_out_visibility(),
            _ => self.step(false),
        }
    }

    /// A client posts. The condition of the put prevents a repeat from becoming a fact and a stream record.
    fn post(&mut self) {
        let id = format!("a{}", self.random.random_range(0..12));
        let user = USERS[self.random.random_range(0..USERS.len())];
        let program = PROGRAMS[self.random.random_range(0..PROGRAMS.len())];
        let kind = KINDS[self.random.random_range(0..KINDS.len())];
        let key = format!("{user}#{id}");
        if self.facts.iter().any(|fact| fact.key == key) {
            return self.tell(format_args!("{user} posts {id} again"));
        }
        self.tell(format_args!("{user} posts {id}"));
        // Half of the activities are from the last 24 hours.
        let hours_max = [24, 1_500][self.random.random_range(0..2)];
        let hours_ago = self.random.random_range(0..hours_max);
        let occurred_at = self.now - SignedDuration::from_hours(hours_ago);
        let kind: Kind = kind.parse().expect("a kind");
        if self.configured.scoring_policy.points(&kind, occurred_at).is_err() {
            return self.tell(format_args!("{kind} is refused"));
        }
        let image = json!({
            "user_id": {"S": user},
            "activity_id": {"S": id},
            "program_id": {"S": program},
            "kind": {"S": kind.as_str()},
            "occurred_at": {"S": occurred_at.to_string()},
            "received_at": {"S": self.now.to_string()},
            "schema_version": {"N": "1"},
        });
        let live = &self.rules[&CountGeneration::FIRST].scoring_policy;
        let earned = Earned {
            at: occurred_at,
            program: program.parse().expect("a program"),
            points: live
                .points(&kind, occurred_at)
                .expect("what is accepted is scored"),
        };
        self.publishing.accepted(user.parse().expect("a user"), earned);
        self.facts.push(Fact {
            member: format!("{user}#{program}"),
            key,
            kind,
            occurred_at,
            record: json!({"eventName": "INSERT", "dynamodb": {"NewImage": image}}).to_string(),
        });
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
        self.tell("something unreadable is sent");
    }

    /// The pipe delivers the next record, and may stop before it has noted the delivery.
    fn pipe(&mut self, may_stop: bool) {
        let Some(fact) = self.facts.get(self.piped) else {
            return;
        };
        let record = fact.record.clone();
        self.send(record);
        let is_stopped = may_stop && self.random.random_range(0..5) == 0;
        self.piped += usize::from(!is_stopped);
        self.tell(format_args!(
            "the pipe sends m{}{}",
            self.sent,
            if is_stopped { " and stops" } else { "" }
        ));
    }

    /// The pipe continues from an earlier position.
    fn rewind_pipe(&mut self) {
        self.piped = self.random.random_range(0..=self.piped);
        self.tell(format_args!("the pipe goes back to record {}", self.piped));
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
        self.tell(format_args!("an invocation receives {:?}", ids(&messages)));
        // Most start at once, some with little time left.
        let spent = match self.random.random_range(0..4) {
            0 => TIME.mul_f64(self.random.random()),
            _ => Duration::ZERO,
        };
        self.workers
            .push(Worker::receive(messages, &self.generations, self.now, spent));
    }

    /// A rebuild begins or goes on, and once it has seen all facts its generation is complete.
    fn step_rebuild(&mut self, may_fail: bool) {
        let Some(rebuild) = &mut self.rebuild else {
            if may_fail && self.random.random_range(0..4) == 0 {
                self.begin_rebuild();
            }
            return;
        };
        if rebuild.is_done() {
            if self
                .generations
                .building
                .as_ref()
                .is_some_and(|building| building.state == State::Incomplete)
            {
                self.generations = self.generations.completed().expect("it is being built");
                self.tell("the rebuild is complete");
            }
            return;
        }
        let fault = if may_fail {
            Fault::draw(&mut self.random, self.faults_percent)
        } else {
            Fault::None
        };
        let tables = self.tables.entry(rebuild.generation).or_default();
        let rules = &self.rules[&rebuild.generation];
        rebuild.step(tables, rules, self.now, fault, &mut self.random);
        self.tell(format_args!("the rebuild continues: {fault:?}"));
    }

    fn begin_rebuild(&mut self) {
        let (generations, generation) = self.generations.with_rebuild();
        self.generations = generations;
        self.note_rules();
        let facts = self.facts.iter().map(|fact| fact.record.clone()).collect();
        self.rebuild = Some(Rebuild::begin(generation, facts, &mut self.random));
        self.tell(format_args!("a rebuild of {generation} begins"));
    }

    /// A rebuild is killed and continues later, or is given up.
    fn stop_rebuild(&mut self) {
        let Some(rebuild) = &mut self.rebuild else {
            return;
        };
        if self.random.random_range(0..3) > 0 {
            rebuild.kill();
            return self.tell("the rebuild is killed");
        }
        let (alone, given_up) = self.generations.alone().expect("it is being built");
        self.generations = alone;
        self.rebuild = None;
        self.tell(format_args!("{given_up} is given up"));
    }

    /// An invocation sends a transaction, or reports the verdicts on its messages.
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
        if worker.step(&mut self.tables, fault, &mut self.random) {
            return self.tell(format_args!("invocation {at} sends a transaction: {fault:?}"));
        }
        let worker = self.workers.swap_remove(at);
        let verdicts = worker.conclude();
        self.tell(format_args!(
            "invocation {at} ends: {:?} done, {:?} deferred, {:?} dead",
            verdicts.done,
            verdicts.deferred,
            ids(&verdicts.dead)
        ));
        self.dead.extend(verdicts.dead);
        // It may die after sending its dead letters, or its answer may be lost.
        if may_fail && self.random.random_range(0..8) == 0 {
            return self.tell("and its answer is lost");
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
        self.tell(format_args!(
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
            self.tell(format_args!("invocation {at} is killed"));
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
            self.tell(format_args!("{} is visible again", self.queue[at].id));
        }
    }

    fn jump_clock(&mut self) {
        // Sometimes for longer than a page is kept.
        let hours_max = [48, 48, 240][self.random.random_range(0..3)];
        self.now += SignedDuration::from_hours(self.random.random_range(-2..hours_max));
        self.publishing.pass_time(self.now);
        self.tell(format_args!("it is {}", self.now));
    }

    fn is_drained(&self) -> bool {
        let is_rebuilding = self.rebuild.as_ref().is_some_and(|rebuild| !rebuild.is_done());
        self.piped == self.facts.len() && self.queue.is_empty() && self.workers.is_empty() && !is_rebuilding
    }

    /// In each generation, standings and totals are the sums, by its rules, of exactly those activities that
    /// have a marker.
    fn check(&self) {
        for (generation, tables) in &self.tables {
            let mut expected: BTreeMap<String, u64> = BTreeMap::new();
            let is_marked = |fact: &&Fact| tables.markers.contains(&format!("{generation}#{}", fact.key));
            let counted = self.facts.iter().filter(is_marked);
            let rules = &self.rules[generation];
            for fact in counted.clone() {
                let points = fact.points(rules).expect("what is counted has points");
                *expected.entry(fact.member.clone()).or_default() += points;
            }
            for (shard, member) in tables.standings.keys() {
                let (user, _) = member.split_once('#').expect("a user and a program");
                let user = user.parse().expect("a user");
                assert_eq!(
                    *shard,
                    rules.standing_shards.shard_of(*generation, &user),
                    "the shard of {user} in {generation}"
                );
            }
            assert_eq!(tables.points(), expected, "standings and markers of {generation}");
            let sum: u64 = expected.values().sum();
            assert_eq!(
                tables.total_points(),
                sum,
                "control totals and markers of {generation}"
            );
            assert_eq!(
                counted.count(),
                tables.markers.len(),
                "markers without a fact in {generation}"
            );
        }
    }

    /// Every accepted activity is counted and published, and counted in each generation whose rules know
    /// its kind. Every message that can never be
    /// counted is a dead letter.
    fn check_end(mut self) {
        for generation in self.generations.counted() {
            let nothing = Tables::default();
            let tables = self.tables.get(&generation).unwrap_or(&nothing);
            for fact in &self.facts {
                // A generation says that it lacks what its rules did not know from the beginning.
                let is_known = fact.points(&self.rules[&generation]).is_some();
                let was_known = fact.points(&self.first_rules[&generation]).is_some();
                let may_lack = !is_known || (!was_known && self.generations.lacks(generation));
                if generation != self.generations.live && may_lack {
                    continue;
                }
                let key = &fact.key;
                assert!(
                    tables.markers.contains(&format!("{generation}#{key}")),
                    "{key} was accepted but is not counted in {generation}"
                );
            }
        }
        for number in 1..=self.unreadable {
            let body = format!("unreadable {number}");
            assert!(
                self.dead
                    .iter()
                    .any(|message| message.body.as_deref() == Some(&body)),
                "{body} is not a dead letter"
            );
        }
        let is_unreadable = |message: &SqsMessage| {
            message
                .body
                .as_deref()
                .is_some_and(|body| body.starts_with("unreadable"))
        };
        assert!(
            self.dead.iter().all(is_unreadable),
            "a countable message is a dead letter"
        );
        let live = &self.tables[&CountGeneration::FIRST];
        let published = self.publishing.check_end(&mut self.random, live, self.now);
        if self.publishing.is_all_time_of_everyone() {
            let rules = &self.rules[&CountGeneration::FIRST];
            let points = self.facts.iter().map(|fact| fact.points(rules));
            let accepted: u64 = points
                .map(|points| points.expect("what is accepted is scored"))
                .sum();
            assert_eq!(published, Some(accepted), "accepted and published");
        }
    }
}

fn configuration(number: usize) -> Rules {
    let (shards, time_zone, policy) = CONFIGURATIONS[number];
    Rules {
        standing_shards: shards.parse().expect("a number of shards"),
        marker_lifetime: "90".parse().expect("a number of days"),
        calendar: time_zone.parse().expect("a time zone"),
        scoring_policy: policy.parse().expect("a policy"),
    }
}

fn ids(messages: &[SqsMessage]) -> Vec<&str> {
    messages
        .iter()
        .filter_map(|message| message.message_id.as_deref())
        .collect()
}
