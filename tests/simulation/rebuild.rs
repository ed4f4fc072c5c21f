//! A rebuild: its pass over the facts, in pages with checkpoints, into a generation beside the live one.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use std::time::Duration;
use store::apply::{Attempts, Counted};
use store::keys::{CountGeneration, TOTALS_LANES};
use store::plan::{Countable, groups};
use store::stream::{Streamed, parse};

use crate::tables::Tables;
use crate::worker::{Fault, Rules};

const PAGE: usize = 3;
/// So long that only a refusal ends a page.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Rebuild {
    pub generation: CountGeneration,
    /// The records of the facts that the pass meets, in its order: those that were there as it began. Of
    /// later ones it meets none, which is the worst that can be.
    facts: Vec<String>,
    /// How many of them are behind the checkpoint.
    done: usize,
    /// The page that is being counted, by a process that may die.
    page: Option<(Vec<Attempts>, usize)>,
}

impl Rebuild {
    pub fn begin(generation: CountGeneration, mut facts: Vec<String>, random: &mut StdRng) -> Self {
        facts.shuffle(random);
        Self {
            generation,
            facts,
            done: 0,
            page: None,
        }
    }

    pub fn is_done(&self) -> bool {
        self.done == self.facts.len()
    }

    /// The process dies, and another one goes on from the checkpoint.
    pub fn kill(&mut self) {
        self.page = None;
    }

    /// Reads a page, sends a transaction of it, or keeps the checkpoint behind it.
    pub fn step(
        &mut self,
        tables: &mut Tables,
        rules: &Rules,
        now: jiff::Timestamp,
        fault: Fault,
        random: &mut StdRng,
    ) {
        let Some((page, until)) = &mut self.page else {
            self.page = Some(self.read(rules, now, random));
            return;
        };
        let lane = random.random_range(0..TOTALS_LANES);
        let open = page
            .iter_mut()
            .find_map(|attempts| Some((attempts.next(lane)?, attempts)));
        if let Some((actions, attempts)) = open {
            let answer = fault.answer(tables, &actions, random);
            attempts.take(&actions, answer, random.random(), PATIENCE);
            return;
        }
        let mut results = page.iter().flat_map(|attempts| &attempts.results);
        let is_counted = results.all(|(_, counted)| matches!(counted, Counted::Applied | Counted::Duplicate));
        if is_counted {
            self.done = *until;
        }
        self.page = None;
    }

    fn read(&self, rules: &Rules, now: jiff::Timestamp, random: &mut StdRng) -> (Vec<Attempts>, usize) {
        let until = (self.done + random.random_range(1..=PAGE)).min(self.facts.len());
        let countable = self.facts[self.done..until].iter().map(|record| {
            let Ok(Streamed::Activity { activity, .. }) = parse(record) else {
                panic!("a fact is no activity: {record}");
            };
            Countable::scored(&activity, &rules.policy, &rules.calendar, now).expect("it has points")
        });
        let context = rules.context_of(self.generation);
        let groups = groups(countable.collect()).into_iter();
        (
            groups
                .map(|group| Attempts::new(group, context.clone()))
                .collect(),
            until,
        )
    }
}
