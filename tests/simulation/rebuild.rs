//! A rebuild: its pass over the facts, in pages with checkpoints, into the generation being built.

use rand::RngExt as _;
use rand::rngs::StdRng;
use rand::seq::SliceRandom as _;
use std::time::Duration;
use store::Rules;
use store::apply::{Attempts, Counted};
use store::keys::{CountGeneration, TOTALS_LANES};
use store::plan::{Countable, PlanContext, groups};
use store::stream::{Streamed, parse};

use crate::tables::Tables;
use crate::worker::Fault;

const PAGE: usize = 3;
/// Long enough that only a refusal ends a page.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Rebuild {
    pub generation: CountGeneration,
    /// The records of the facts that the pass reads, in order: those stored before it began. It reads none
    /// of the later ones, which is the worst case.
    facts: Vec<String>,
    /// How many facts are before the checkpoint.
    done: usize,
    /// The page that is being counted, and where it ends. Lost if the process dies.
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

    /// The process dies. Another one continues from the checkpoint.
    pub fn kill(&mut self) {
        self.page = None;
    }

    /// Reads a page, sends one of its transactions, or writes the checkpoint after it.
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
        let countable = self.facts[self.done..until].iter().filter_map(|record| {
            let Ok(Streamed::Activity { activity, .. }) = parse(record) else {
                panic!("a fact is not an activity: {record}");
            };
            Countable::scored(&activity, rules, now).ok()
        });
        let context = PlanContext::new(rules, self.generation, now);
        let groups = groups(countable.collect()).into_iter();
        (
            groups
                .map(|group| Attempts::new(group, context.clone()))
                .collect(),
            until,
        )
    }
}
