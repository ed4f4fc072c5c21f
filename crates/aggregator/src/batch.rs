//! Decides what to do with the messages of a batch, and the verdict of each. It performs no I/O and does
//! not sleep, so the simulation runs the same code.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use aws_lambda_events::event::sqs::SqsMessage;
use domain::{Fact, FactKey};
use jiff::Timestamp;
use queue::Verdicts;
use store::Rules;
use store::count::{Countable, Counted, StandingCount, TOLD_APART};
use store::erasures::Erasures;
use store::heartbeats::Lane;
use store::keys::CountGeneration;
use store::stream::{Streamed, parse};

/// The messages of a batch, by what they need.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    messages: usize,
    /// Each fact once, however often it was delivered, and when ingestion received it.
    pub facts: Vec<(Fact, Timestamp)>,
    /// The messages of each fact that has no verdict yet, and when ingestion received it. A fact that was
    /// delivered twice has several messages.
    pending: HashMap<FactKey, (Vec<&'a SqsMessage>, Timestamp)>,
    /// Heartbeats that are counted or will be, each with its lane and when it was sent.
    pub heartbeats: Vec<(&'a SqsMessage, Lane, Timestamp)>,
    /// Messages that are not counted.
    pub verdicts: Verdicts<'a>,
    pub applied: usize,
    pub duplicates: usize,
    /// Messages with facts of people who were erased.
    pub erased: usize,
    /// When ingestion received the earliest activity that was applied.
    pub received_first: Option<Timestamp>,
}

impl<'a> Batch<'a> {
    /// What the rules of the live generation cannot score becomes a dead letter. What was erased is done.
    pub fn sort(records: &'a [SqsMessage], live: &Rules, erasures: &Erasures) -> Self {
        let mut batch = Self {
            messages: records.len(),
            ..Self::default()
        };
        for message in records {
            match parse(message.body.as_deref().unwrap_or_default()) {
                Ok(Streamed::Heartbeat { lane, sent_at }) => batch.heartbeats.push((message, lane, sent_at)),
                Ok(Streamed::Fact { fact, received_at }) if erasures.cover(&fact, received_at) => {
                    batch.erased += 1;
                }
                Ok(Streamed::Fact { fact, received_at }) => match Countable::scored(&fact, received_at, live)
                {
                    Ok(_) => {
                        let (messages, _) = batch
                            .pending
                            .entry(fact.key())
                            .or_insert_with(|| (Vec::new(), received_at));
                        if messages.is_empty() {
                            batch.facts.push((fact, received_at));
                        }
                        messages.push(message);
                    }
                    Err(unscored) => {
                        let reason = format!("{} {unscored}", unscored.field());
                        batch.verdicts.give_up([message], "not_scored", &reason);
                    }
                },
                Err(error) => batch.verdicts.give_up([message], error.code, &error.detail),
            }
        }
        assert_eq!(
            batch.facts.len(),
            batch.pending.len(),
            "every fact of a batch is counted once"
        );
        batch
    }

    /// What to count into each standing of a generation. A rebuild by other rules may leave some out.
    pub fn counts(&self, generation: CountGeneration, rules: &Rules) -> Vec<StandingCount> {
        let facts = self.facts.iter();
        let scored =
            facts.filter_map(|(fact, received_at)| Countable::scored(fact, *received_at, rules).ok());
        StandingCount::of_batch(scored, generation, rules)
    }

    /// Defers everything, because nothing can be counted now.
    pub fn defer_all(&mut self, reason: &str) {
        let keys: Vec<_> = self.pending.keys().cloned().collect();
        for key in keys {
            self.conclude(&key, &Counted::Later(reason.to_owned()));
        }
        self.defer_heartbeats(reason);
    }

    /// When each lane's latest heartbeat was sent. Only that one matters.
    pub fn latest_heartbeats(&self) -> BTreeMap<Lane, Timestamp> {
        let mut latest = BTreeMap::new();
        for (_, lane, sent_at) in &self.heartbeats {
            let last = latest.entry(*lane).or_insert(*sent_at);
            *last = (*last).max(*sent_at);
        }
        latest
    }

    pub fn defer_heartbeats(&mut self, reason: &str) {
        let messages: Vec<_> = self.heartbeats.drain(..).map(|(message, ..)| message).collect();
        self.verdicts.defer(messages, reason);
    }

    /// Gives every message its verdict, from the results in each generation. Those of the live one come
    /// first.
    ///
    /// # Panics
    ///
    /// If a message has no verdict, or two. Without one it would be deleted without being counted; a
    /// panic fails the invocation instead, and the queue delivers all messages again.
    pub fn conclude_all<'r>(&mut self, results: impl IntoIterator<Item = &'r [(FactKey, Counted)]>) {
        for (key, counted) in in_all_generations(results) {
            self.conclude(&key, &counted);
        }
        assert!(
            self.pending.is_empty(),
            "{} facts have no verdict",
            self.pending.len()
        );
        let done = self.applied + self.duplicates + self.erased + self.heartbeats.len();
        let verdicts = done + self.verdicts.len();
        assert_eq!(verdicts, self.messages, "every message has one verdict");
    }

    /// Gives all messages of an activity their verdict.
    fn conclude(&mut self, key: &FactKey, counted: &Counted) {
        let Some((messages, received_at)) = self.pending.remove(key) else {
            return;
        };
        match counted {
            Counted::Applied => {
                self.applied += 1;
                self.duplicates += messages.len() - 1;
                self.received_first = Some(
                    self.received_first
                        .map_or(received_at, |first| first.min(received_at)),
                );
            }
            Counted::Duplicate => self.duplicates += messages.len(),
            Counted::TooOld => {
                let days = TOLD_APART.as_hours() / 24;
                self.verdicts.give_up(
                    messages,
                    "too_old_to_tell",
                    &format!(
                        "ingestion received it at {received_at}, more than {days} days ago. Keys of counted activities \
                         are kept for so long, so nobody can tell whether it was counted. A rebuild counts it once"
                    ),
                );
            }
            Counted::Impossible(reason) => self.verdicts.give_up(messages, "not_countable", reason),
            Counted::Later(reason) => self.verdicts.defer(messages, reason),
        }
    }
}

/// Combines the results of each activity in all generations that it is counted into. Those of the live one
/// come first. An activity is settled only when it has a final result in all of them, and counted only when it
/// is counted in all of them. Its result is then that in the live one.
fn in_all_generations<'r>(
    results: impl IntoIterator<Item = &'r [(FactKey, Counted)]>,
) -> HashMap<FactKey, Counted> {
    let gravity = |counted: &Counted| match counted {
        Counted::Applied | Counted::Duplicate => 0,
        Counted::TooOld | Counted::Impossible(_) => 1,
        Counted::Later(_) => 2,
    };
    let mut combined: HashMap<FactKey, Counted> = HashMap::new();
    for (key, counted) in results.into_iter().flatten() {
        match combined.entry(key.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(counted.clone());
            }
            Entry::Occupied(mut entry) => {
                if gravity(counted) > gravity(entry.get()) {
                    entry.insert(counted.clone());
                }
            }
        }
    }
    combined
}
