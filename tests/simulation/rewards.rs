//! Rewards: clients, the second pipe, its queue and the invocations of the function, driven by a seed. Every write is
//! checked, and at the end each coin is compared with the facts.

mod coins;
mod erase;
mod invocation;
mod judge;
mod supply;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use aws_lambda_events::event::sqs::SqsMessage;
use domain::{Fact, FactId, UserId, quest};
use jiff::{SignedDuration, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};
use store::erasures::Erasures;
use store::quests::QuestVersion;
use store::reward::Proved;
use store::stream::{FACT_RECORDED, Streamed, parse_event};
use store::{RewardRules, StoredFact};

use crate::tell;
use crate::worker::Fault;
use coins::Tables;
use erase::Erasure;
use invocation::Invocation;
use supply::Pass;

const MOVES: usize = 250;
/// Without faults, everything is done well before this.
const MOVES_TO_DRAIN: usize = 20_000;
const INVOCATIONS: usize = 3;
/// Each has a memory of its own.
const PROCESSES: usize = 2;
const BATCH: usize = 12;
const USERS: [&str; 4] = ["ann", "bob", "cy", "dee"];
const PROGRAMS: [&str; 2] = ["p", "q"];
const KINDS: [&str; 4] = ["task", "walk", "read", "other"];
/// From its receipt until an activity is stored. Coins and facts are final later than this.
const STORED_AFTER_MAX: SignedDuration = SignedDuration::from_secs(40);
/// When coins and facts are final.
const FINAL_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// All forms and periods, and two with a supply. A schedule has all of a line, or one of them.
const QUESTS: [&[&str]; 3] = [
    &[
        r#"{"id":"three","version":1,"title":"Q","coin":{"name":"C","value":1},"per":"once",
            "rule":{"count":{"of":{"kind":"task"},"at_least":3}}}"#,
        r#"{"id":"each","version":1,"title":"Q","coin":{"name":"C","value":1},"per":"program","within":"36h",
            "rule":{"count":{"of":{},"at_least":4}}}"#,
        r#"{"id":"tour","version":1,"title":"Q","coin":{"name":"C","value":1},"per":"once","within":"7d",
            "rule":{"all":[{"kind":"task"},{"kind":"walk"},{"program_id":"q","kind":"read"}]}}"#,
    ],
    &[
        r#"{"id":"ladder","version":1,"title":"Q","coin":{"name":"C","value":1},"per":"week",
            "rule":{"ordered":[{"kind":"task"},{"kind":"walk"},{}]}}"#,
        r#"{"id":"days","version":2,"title":"Q","coin":{"name":"C","value":1},"per":"once",
            "rule":{"streak":{"of":{},"unit":"day","at_least":3}}}"#,
        r#"{"id":"sum","version":1,"title":"Q","coin":{"name":"C","value":1},"per":"day",
            "rule":{"points":{"of":{},"at_least":40}}}"#,
        r#"{"id":"kinds","version":1,"title":"Q","coin":{"name":"C","value":1},"per":"month",
            "rule":{"distinct":{"of":{},"field":"kind","at_least":3}}}"#,
    ],
    &[
        r#"{"id":"first","version":1,"title":"Q","coin":{"name":"C","value":1},"per":"once","supply":2,
            "rule":{"count":{"of":{"kind":"task"},"at_least":2}}}"#,
        r#"{"id":"many","version":1,"title":"Q","coin":{"name":"C","value":1},"per":"program","supply":3,
            "rule":{"count":{"of":{},"at_least":3}}}"#,
    ],
];
const POLICY: &str =
    r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task":10,"walk":5,"read":20,"other":1}}]"#;

static RULES: LazyLock<Vec<RewardRules>> = LazyLock::new(|| {
    let all = QUESTS.iter().map(|quests| quests.join(","));
    let single = QUESTS.iter().copied().flatten().map(|quest| (*quest).to_owned());
    let rules = all.chain(single).map(|quests| {
        let quests = quest::parse(format!("[{quests}]").as_bytes()).expect("quests");
        let calendar = "Europe/Berlin".parse().expect("a zone");
        RewardRules::new(quests, calendar, POLICY.parse().expect("a policy"))
    });
    rules.collect()
});

/// A message in the queue.
struct Message {
    id: String,
    body: String,
    is_visible: bool,
}

pub struct World {
    random: StdRng,
    rules: &'static RewardRules,
    now: Timestamp,
    tables: Tables,
    /// The activities and corrections that are stored, in the order of the table.
    facts: BTreeMap<(UserId, FactId), StoredFact>,
    /// Activities that were erased. The same ids may be posted again.
    gone: Vec<(UserId, FactId)>,
    /// The events of all facts that were ever stored.
    events: Vec<String>,
    /// Events that the pipe has noted as delivered.
    piped: usize,
    queue: Vec<Message>,
    sent: u64,
    processes: [Proved; PROCESSES],
    invocations: Vec<Invocation>,
    passes: Vec<Pass>,
    /// Until when facts were looked at to settle a supply, and when it was settled.
    settled: BTreeMap<QuestVersion, (Timestamp, Timestamp)>,
    /// The quests that nobody looks for provisional coins of any more.
    applied: BTreeSet<QuestVersion>,
    /// Who was erased, as invocations read it. It never goes while one has it.
    erasures: &'static Erasures,
    erasure: Option<Erasure>,
    /// Most schedules have no erasure. Those with a supply have none, since what is erased makes nobody move up.
    has_erasures: bool,
    /// How often the tables fail, from never to nearly always.
    faults_percent: u32,
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let rules = &RULES[random.random_range(0..RULES.len())];
        let has_supply = rules.quests.iter().any(|quest| quest.supply.is_some());
        Self {
            faults_percent: random.random_range(0..95),
            has_erasures: !has_supply && random.random_range(0..4) == 0,
            random,
            rules,
            // The night in which a week and a month end.
            now: "2026-05-31T21:30:00Z".parse().expect("a time"),
            tables: Tables::default(),
            facts: BTreeMap::new(),
            gone: Vec::new(),
            events: Vec::new(),
            piped: 0,
            queue: Vec::new(),
            sent: 0,
            processes: Default::default(),
            invocations: Vec::new(),
            passes: Vec::new(),
            settled: BTreeMap::new(),
            applied: BTreeSet::new(),
            erasures: Box::leak(Box::default()),
            erasure: None,
        }
    }

    /// Makes random moves for a while, then only moves without faults until nothing is left to be done.
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
            self.invocations.len()
        );
    }

    fn any_move(&mut self) {
        match self.random.random_range(0..160) {
            0..16 => self.post(),
            16..22 => self.void(),
            22..42 => self.pipe(true),
            42..45 => self.rewind_pipe(),
            45..60 => self.invoke(),
            60..130 => self.step(true),
            130..133 => self.kill(),
            133..138 => self.time_out_visibility(),
            138..143 => self.jump_clock(),
            143..155 => self.step_pass(true),
            _ => self.step_erasure(true),
        }
    }

    fn good_move(&mut self) {
        match self.random.random_range(0..8) {
            0 => self.pipe(false),
            1 => self.invoke(),
            // The messages of a killed invocation return after the visibility timeout.
            2 if self.invocations.is_empty() => self.time_out_visibility(),
            3 => self.step_erasure(false),
            4 if self.is_quiet() => self.now += FINAL_AFTER,
            4 | 5 => self.step_pass(false),
            _ => self.step(false),
        }
    }

    /// Whether every fact was told.
    fn is_quiet(&self) -> bool {
        self.piped == self.events.len() && self.queue.is_empty() && self.invocations.is_empty()
    }

    fn is_drained(&self) -> bool {
        self.is_quiet() && self.erasure.is_none() && self.passes.is_empty() && self.is_settled()
    }

    fn fault(&mut self, may_fail: bool) -> Fault {
        if may_fail {
            Fault::draw(&mut self.random, self.faults_percent)
        } else {
            Fault::None
        }
    }

    fn user(&mut self) -> &'static str {
        USERS[self.random.random_range(0..USERS.len())]
    }

    /// When what is stored now was received: what is erased since cannot be stored.
    fn received_at(&mut self, user: &str) -> Timestamp {
        let before = self.erasures.before(&user.parse().expect("a user"));
        let stored_after = self.random.random_range(0..=STORED_AFTER_MAX.as_millis());
        let received_at =
            self.now - SignedDuration::from_millis(i64::try_from(stored_after).expect("it is short"));
        before.map_or(received_at, |before| received_at.max(before))
    }

    /// Activities of one person are stored, most of them of the last days.
    fn post(&mut self) {
        let user = self.user();
        for _ in 0..[1, 1, 2, 6][self.random.random_range(0..4)] {
            let received_at = self.received_at(user);
            let hours = [0..30, 0..120][self.random.random_range(0..2)].clone();
            let occurred_at = received_at - SignedDuration::from_hours(self.random.random_range(hours));
            let (kind, program) = (
                KINDS[self.random.random_range(0..KINDS.len())],
                PROGRAMS[self.random.random_range(0..PROGRAMS.len())],
            );
            let id = self.id(user);
            tell(format_args!(
                "{user} posts {id} in {program}: {kind} of {occurred_at}, received at {received_at}"
            ));
            self.store(&json!({
                "user_id": {"S": user},
                "activity_id": {"S": id},
                "program_id": {"S": program},
                "kind": {"S": kind},
                "occurred_at": {"S": occurred_at.to_string()},
                "received_at": {"S": received_at.to_string()},
                "schema_version": {"N": "1"},
            }));
        }
    }

    /// A new id, or one that was erased.
    fn id(&mut self, user: &str) -> String {
        let erased = self.gone.iter().position(|(of, _)| of.as_str() == user);
        match erased {
            Some(at) if self.random.random_range(0..2) == 0 => self.gone.swap_remove(at).1.to_string(),
            _ => format!("a{}", self.events.len()),
        }
    }

    /// An admin takes an activity out, of which there is one void. Its event may overtake that of the activity.
    fn void(&mut self) {
        let activities = self
            .facts
            .iter()
            .filter_map(|((user, _), stored)| match &stored.fact {
                Fact::Activity(activity) => Some((user, activity, stored.received_at)),
                _ => None,
            });
        let activities = activities.filter(|(user, activity, _)| {
            let void = ((*user).clone(), FactId::of_void(&activity.id));
            !self.facts.contains_key(&void)
        });
        let activities: Vec<_> = activities.collect();
        if activities.is_empty() {
            return;
        }
        let (user, activity, activity_received_at) =
            activities[self.random.random_range(0..activities.len())];
        let image = json!({
            "user_id": {"S": user.as_str()},
            "activity_id": {"S": FactId::of_void(&activity.id).as_str()},
            "program_id": {"S": activity.program.as_str()},
            "kind": {"S": activity.kind.as_str()},
            "occurred_at": {"S": activity.occurred_at.to_string()},
            "activity_received_at": {"S": activity_received_at.to_string()},
            "correction_id": {"S": format!("c{}", self.events.len())},
            "reason": {"S": "twice"},
            "schema_version": {"N": "1"},
        });
        let (user, activity) = (user.to_string(), activity.id.clone());
        let received_at = self.received_at(&user).max(activity_received_at);
        tell(format_args!(
            "{activity} of {user} is void, received at {received_at}"
        ));
        let mut image = image;
        image["received_at"] = json!({"S": received_at.to_string()});
        self.store(&image);
    }

    /// A fact is stored, and the stream has its event.
    fn store(&mut self, image: &Value) {
        let body = FACT_RECORDED
            .event(&json!(format!("e{}", self.events.len())), image)
            .to_string();
        let Ok(Streamed::Fact { fact, received_at }) = parse_event(&body) else {
            panic!("what is stored is no fact: {body}");
        };
        let key = (fact.user().clone(), fact.id());
        self.facts.insert(key, StoredFact { fact, received_at });
        self.events.push(body);
    }

    /// The pipe delivers the next events, and may stop before it has noted the last delivery.
    fn pipe(&mut self, may_stop: bool) {
        for _ in 0..self.random.random_range(1..=BATCH) {
            let Some(body) = self.events.get(self.piped).cloned() else {
                return;
            };
            self.sent += 1;
            let id = format!("m{}", self.sent);
            tell(format_args!("the pipe sends {id}"));
            self.queue.push(Message {
                id,
                body,
                is_visible: true,
            });
            if may_stop && self.random.random_range(0..10) == 0 {
                return tell("the pipe stops");
            }
            self.piped += 1;
        }
    }

    /// The pipe continues from an earlier position.
    fn rewind_pipe(&mut self) {
        self.piped = self.random.random_range(0..=self.piped);
        tell(format_args!("the pipe goes back to event {}", self.piped));
    }

    /// Some of the visible messages, in any order, go to a new invocation.
    fn invoke(&mut self) {
        if self.invocations.len() >= INVOCATIONS {
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
        let process = self.random.random_range(0..PROCESSES);
        let is_slow = self.random.random_range(0..4) == 0;
        let proved = &mut self.processes[process];
        let of = (process, is_slow);
        let invocation = Invocation::receive(&messages, of, self.rules, self.erasures, proved);
        tell(format_args!(
            "process {process} receives {:?}",
            invocation.messages()
        ));
        self.invocations.push(invocation);
    }

    /// An invocation goes on for one of its people, and reports once it is done with all.
    fn step(&mut self, may_fail: bool) {
        if self.invocations.is_empty() {
            return;
        }
        let at = self.random.random_range(0..self.invocations.len());
        if may_fail && self.invocations[at].is_slow && self.random.random_range(0..20) > 0 {
            return;
        }
        let fault = self.fault(may_fail);
        let invocation = &mut self.invocations[at];
        let proved = &mut self.processes[invocation.process];
        if invocation.step(&mut self.tables, &self.facts, proved, fault, &mut self.random) {
            return;
        }
        let invocation = self.invocations.swap_remove(at);
        let deferred = invocation.deferred();
        tell(format_args!("an invocation ends, and defers {deferred:?}"));
        for id in invocation.messages() {
            if deferred.contains(&id) {
                self.show(&id);
            } else {
                self.queue.retain(|message| message.id != id);
            }
        }
    }

    fn show(&mut self, id: &str) {
        for message in &mut self.queue {
            message.is_visible |= message.id == id;
        }
    }

    /// A process is killed, with its memory. The messages of its invocation stay hidden.
    fn kill(&mut self) {
        let process = self.random.random_range(0..PROCESSES);
        tell(format_args!("process {process} is killed"));
        self.processes[process] = Proved::default();
        self.invocations
            .retain(|invocation| invocation.process != process);
    }

    /// Messages that are still being processed return, too.
    fn time_out_visibility(&mut self) {
        tell("hidden messages return");
        for message in &mut self.queue {
            message.is_visible = true;
        }
    }

    fn jump_clock(&mut self) {
        let seconds = [1..60, 60..20_000][self.random.random_range(0..2)].clone();
        self.now += SignedDuration::from_secs(self.random.random_range(seconds));
        tell(format_args!("it is {}", self.now));
    }
}
