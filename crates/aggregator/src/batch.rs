//! What is to be done with the messages of a batch, and what became of them. Nothing here sends or
//! waits, so that a simulation runs the same.

use std::collections::HashMap;

use aws_lambda_events::event::sqs::SqsMessage;
use domain::{Activity, ActivityId, Calendar, ScoringPolicy, UserId};
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
                }) => match score(&activity, policy, calendar, now) {
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
                    Err(reason) => batch.dead.push(DeadLetter {
                        message,
                        code: "not_scored",
                        reason,
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

fn score(
    activity: &Activity,
    policy: &ScoringPolicy,
    calendar: &Calendar,
    now: Timestamp,
) -> Result<Countable, String> {
    let points = policy
        .points(&activity.kind, activity.occurred_at)
        .map_err(|error| format!("{} {error}", error.field()))?;
    Ok(Countable {
        user: activity.user.clone(),
        program: activity.program.clone(),
        id: activity.id.clone(),
        points,
        periods: calendar.counted_in(activity.occurred_at, now),
    })
}
