//! What is to be done with the messages of a batch, and what became of them. Nothing here sends or
//! waits, so that a simulation runs the same.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use aws_lambda_events::event::sqs::SqsMessage;
use domain::{ActivityId, Calendar, ScoringPolicy, UserId};
use jiff::Timestamp;
use store::apply::Counted;
use store::plan::Countable;
use store::stream::{Streamed, parse};

type Key = (UserId, ActivityId);

/// A batch, sorted by what is to be done with its messages.
#[derive(Debug, Default)]
pub struct Batch<'a> {
    /// Each once, however often it was delivered.
    pub countable: Vec<Countable>,
    /// The messages that ask for an activity to be counted, several where it was delivered twice,
    /// and when it was received.
    asking: HashMap<Key, (Vec<&'a SqsMessage>, Timestamp)>,
    pub heartbeats: Vec<(&'a SqsMessage, Timestamp)>,
    pub dead: Vec<DeadLetter<'a>>,
    /// To be delivered again.
    pub deferred: Vec<&'a SqsMessage>,
    pub applied: usize,
    pub duplicates: usize,
    /// When the first of those that were applied was received by ingestion.
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
    pub fn sort(
        records: &'a [SqsMessage],
        policy: &ScoringPolicy,
        calendar: &Calendar,
        now: Timestamp,
    ) -> Self {
        let mut batch = Self::default();
        for message in records {
            match parse(message.body.as_deref().unwrap_or_default()) {
                Ok(Streamed::Heartbeat { sent_at }) => batch.heartbeats.push((message, sent_at)),
                Ok(Streamed::Activity {
                    activity,
                    received_at,
                }) => match Countable::scored(&activity, policy, calendar, now) {
                    Ok(countable) => {
                        let key = (activity.user, activity.id);
                        let (messages, _) = batch
                            .asking
                            .entry(key)
                            .or_insert_with(|| (Vec::new(), received_at));
                        if messages.is_empty() {
                            batch.countable.push(countable);
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
        batch
    }

    /// Nothing can be counted for now.
    pub fn defer_all(&mut self, reason: &str) {
        let keys: Vec<_> = self.asking.keys().cloned().collect();
        for key in keys {
            self.conclude(&key, &Counted::Later(reason.to_owned()));
        }
        self.deferred
            .extend(self.heartbeats.iter().map(|(message, _)| *message));
    }

    /// Takes in what became of an activity, for all messages that asked for it.
    pub fn conclude(&mut self, key: &Key, counted: &Counted) {
        let Some((messages, received_at)) = self.asking.remove(key) else {
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
                let letter = |message| DeadLetter {
                    message,
                    code: "not_countable",
                    reason: reason.clone(),
                };
                self.dead.extend(messages.into_iter().map(letter));
            }
            Counted::Later(reason) => {
                tracing::warn!(
                    reason,
                    "An activity could not be counted now and will be delivered again."
                );
                self.deferred.extend(messages);
            }
        }
    }
}

/// What became of each activity in all generations that it was to be counted into; the results of the
/// live one come first. It is done with when it is counted in all of them, and what is told of it is what
/// became of it in the live one.
pub fn in_all_generations<'r>(
    results: impl IntoIterator<Item = &'r [(Key, Counted)]>,
) -> HashMap<Key, Counted> {
    let mut became: HashMap<Key, Counted> = HashMap::new();
    for (key, counted) in results.into_iter().flatten() {
        match became.entry(key.clone()) {
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
    became
}
