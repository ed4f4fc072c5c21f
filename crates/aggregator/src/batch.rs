//! Decides what to do with the messages of a batch, and the verdict of each. It performs no I/O and does
//! not sleep, so the simulation runs the same code.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};

use aws_lambda_events::event::sqs::SqsMessage;
use domain::{Activity, ActivityKey};
use jiff::Timestamp;
use store::Rules;
use store::apply::Counted;
use store::heartbeats::Lane;
use store::plan::{Countable, Group, groups};
use store::stream::{Streamed, parse};

/// The messages of a batch, by what they need.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    messages: usize,
    /// Each activity once, however often it was delivered.
    pub activities: Vec<Activity>,
    /// The messages of each activity that has no verdict yet, and when ingestion received it. An activity
    /// that was delivered twice has several messages.
    pending: HashMap<ActivityKey, (Vec<&'a SqsMessage>, Timestamp)>,
    /// Heartbeats that are counted or will be, each with its lane and when it was sent.
    pub heartbeats: Vec<(&'a SqsMessage, Lane, Timestamp)>,
    pub dead: Vec<DeadLetter<'a>>,
    /// Messages to be delivered again.
    pub deferred: Vec<&'a SqsMessage>,
    pub applied: usize,
    pub duplicates: usize,
    /// When ingestion received the earliest activity that was applied.
    pub received_first: Option<Timestamp>,
}

/// A message that can never be counted, and why.
#[derive(Clone, Debug)]
pub struct DeadLetter<'a> {
    pub message: &'a SqsMessage,
    pub code: &'static str,
    pub reason: String,
}

impl<'a> Batch<'a> {
    /// What the rules of the live generation cannot score becomes a dead letter.
    pub fn sort(records: &'a [SqsMessage], live: &Rules) -> Self {
        let mut batch = Self {
            messages: records.len(),
            ..Self::default()
        };
        for message in records {
            match parse(message.body.as_deref().unwrap_or_default()) {
                Ok(Streamed::Heartbeat { lane, sent_at }) => batch.heartbeats.push((message, lane, sent_at)),
                Ok(Streamed::Activity {
                    activity,
                    received_at,
                }) => match live.scoring_policy.points(&activity.kind, activity.occurred_at) {
                    Ok(_) => {
                        let (messages, _) = batch
                            .pending
                            .entry(activity.key())
                            .or_insert_with(|| (Vec::new(), received_at));
                        if messages.is_empty() {
                            batch.activities.push(activity);
                        }
                        messages.push(message);
                    }
                    Err(unscored) => batch.dead.push(DeadLetter {
                        message,
                        code: "not_scored",
                        reason: format!("{} {unscored}", unscored.field()),
                    }),
                },
                Err(error) => batch.dead.push(DeadLetter {
                    message,
                    code: error.code,
                    reason: error.detail,
                }),
            }
        }
        assert_eq!(
            batch.activities.len(),
            batch.pending.len(),
            "every activity of a batch is counted once"
        );
        batch
    }

    /// Plans how to count the activities into one generation. A rebuild by other rules may leave some out.
    pub fn groups(&self, rules: &Rules, now: Timestamp) -> Vec<Group> {
        let scored = |activity| Countable::scored(activity, rules, now).ok();
        groups(self.activities.iter().filter_map(scored).collect())
    }

    /// Defers everything, because nothing can be counted now.
    pub fn defer_all(&mut self, reason: &str) {
        let keys: Vec<_> = self.pending.keys().cloned().collect();
        for key in keys {
            self.conclude(&key, &Counted::Later(reason.to_owned()));
        }
        self.defer_heartbeats();
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

    pub fn defer_heartbeats(&mut self) {
        let messages = self.heartbeats.drain(..).map(|(message, ..)| message);
        self.deferred.extend(messages);
    }

    /// Gives every message its verdict, from the results in each generation. Those of the live one come
    /// first.
    ///
    /// # Panics
    ///
    /// If a message has no verdict, or two. Without one it would be deleted without being counted; a
    /// panic fails the invocation instead, and the queue delivers all messages again.
    pub fn conclude_all<'r>(&mut self, results: impl IntoIterator<Item = &'r [(ActivityKey, Counted)]>) {
        for (key, counted) in in_all_generations(results) {
            self.conclude(&key, &counted);
        }
        assert!(
            self.pending.is_empty(),
            "{} activities have no verdict",
            self.pending.len()
        );
        let counted = self.applied + self.duplicates + self.heartbeats.len();
        let verdicts = counted + self.deferred.len() + self.dead.len();
        assert_eq!(verdicts, self.messages, "every message has one verdict");
    }

    /// Gives all messages of an activity their verdict.
    fn conclude(&mut self, key: &ActivityKey, counted: &Counted) {
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
            Counted::Impossible(reason) => {
                let dead_letter = |message| DeadLetter {
                    message,
                    code: "not_countable",
                    reason: reason.clone(),
                };
                self.dead.extend(messages.into_iter().map(dead_letter));
            }
            Counted::Later(reason) => {
                tracing::warn!(
                    reason,
                    "An activity could not be counted now. It will be delivered again."
                );
                self.deferred.extend(messages);
            }
        }
    }
}

/// Combines the results of each activity in all generations that it is counted into. Those of the live
/// generation come first. An activity is settled only when it is counted in all of them. Its result is
/// then that in the live one.
fn in_all_generations<'r>(
    results: impl IntoIterator<Item = &'r [(ActivityKey, Counted)]>,
) -> HashMap<ActivityKey, Counted> {
    let mut combined: HashMap<ActivityKey, Counted> = HashMap::new();
    for (key, counted) in results.into_iter().flatten() {
        match combined.entry(key.clone()) {
            Entry::Vacant(entry) => {
                entry.insert(counted.clone());
            }
            Entry::Occupied(mut entry) => {
                if matches!(counted, Counted::Later(_)) {
                    entry.insert(counted.clone());
                }
            }
        }
    }
    combined
}
