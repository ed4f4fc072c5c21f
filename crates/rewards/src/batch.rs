//! Sorts the messages of a batch by what they need. It performs no I/O.

use std::collections::{BTreeMap, HashSet};

use aws_lambda_events::event::sqs::SqsMessage;
use domain::{Fact, FactKey, UserId};
use jiff::Timestamp;
use queue::Verdicts;
use store::RewardRules;
use store::erasures::Erasures;
use store::heartbeats::Lane;
use store::stream::{Streamed, parse_event};

/// The messages of a batch, by what they need.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    pub messages: usize,
    /// What to tell of each person.
    pub people: Vec<Person<'a>>,
    /// When each lane's latest heartbeat was sent.
    pub heartbeats: BTreeMap<Lane, Timestamp>,
    /// Messages that are not processed.
    pub verdicts: Verdicts<'a>,
    /// Messages with facts of people who were erased.
    pub erased: usize,
}

/// The facts of a batch that matter to quests, of one person.
#[derive(Debug)]
pub struct Person<'a> {
    pub user: UserId,
    /// Each once, however often it was delivered, and when ingestion received it.
    pub facts: Vec<(Fact, Timestamp)>,
    pub messages: Vec<&'a SqsMessage>,
}

impl<'a> Batch<'a> {
    /// What matters to no quest and what was erased is done. What cannot be read becomes a dead letter.
    pub fn sort(records: &'a [SqsMessage], rules: &RewardRules, erasures: &Erasures) -> Self {
        let mut batch = Self {
            messages: records.len(),
            ..Self::default()
        };
        let mut people: BTreeMap<UserId, Person<'a>> = BTreeMap::new();
        let mut seen: HashSet<FactKey> = HashSet::new();
        for message in records {
            match parse_event(message.body.as_deref().unwrap_or_default()) {
                Ok(Streamed::Heartbeat { lane, sent_at }) => {
                    let last = batch.heartbeats.entry(lane).or_insert(sent_at);
                    *last = (*last).max(sent_at);
                }
                Ok(Streamed::Fact { fact, received_at }) if erasures.cover(&fact, received_at) => {
                    batch.erased += 1;
                }
                Ok(Streamed::Fact { fact, received_at }) => {
                    if !rules.concern(&fact) {
                        continue;
                    }
                    let user = fact.user().clone();
                    let person = people.entry(user.clone()).or_insert_with(|| Person {
                        user,
                        facts: Vec::new(),
                        messages: Vec::new(),
                    });
                    person.messages.push(message);
                    if seen.insert(fact.key()) {
                        person.facts.push((fact, received_at));
                    }
                }
                Err(error) => batch.verdicts.give_up([message], error.code, &error.detail),
            }
        }
        batch.people = people.into_values().collect();
        batch
    }
}
