//! What users earned and when, read from the facts within the bounds of one run.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_dynamodb::Client;
use domain::history::{PointsAt, cumulated};
use domain::{Board, Calendar, PerWindow, ProgramId, UserId, WindowSpan};
use jiff::Timestamp;
use tokio::sync::Mutex;

use crate::caps::Caps;
use crate::count::Countable;
use crate::error::StoreError;
use crate::facts::StoredFact;
use crate::item::string;
use crate::keys::attribute;
use crate::rules::Rules;
use crate::stream::{Streamed, streamed};

/// What is read for the points over time of one user: some 30 MB, which cost 3,750 read units.
pub const FACTS_OF_A_USER_MAX: usize = 100_000;
/// After this many facts or users, a run leaves the rest to the next one. Keeps a run with many new users
/// below ten seconds on AWS.
pub const FACTS_OF_A_RUN_MAX: usize = 100_000;
pub const USERS_OF_A_RUN_MAX: usize = 250;

/// The facts of users, each read at most once. Concurrent callers wait for each other.
#[derive(Debug)]
pub struct Pasts {
    client: Client,
    table: String,
    rules: Rules,
    read: Mutex<Read>,
}

#[derive(Debug, Default)]
struct Read {
    facts: usize,
    /// `None` for a user with too many facts.
    users: HashMap<UserId, Option<Arc<Vec<Earned>>>>,
}

/// A user's past on a board.
#[derive(Clone, Debug)]
pub enum Past {
    /// The points after each activity, oldest first.
    Points(Vec<PointsAt>),
    /// The user has more than [`FACTS_OF_A_USER_MAX`].
    TooMany,
    /// This run has read its share.
    NextRun,
}

/// What one fact gave or took in each window, after the caps.
#[derive(Clone, Debug)]
pub struct Earned {
    pub at: Timestamp,
    pub program: ProgramId,
    pub points: PerWindow<i64>,
}

/// What the facts of a user earned, each after those that occurred before. A fact without points by the rules is never
/// counted.
pub fn earned<'a>(facts: impl IntoIterator<Item = &'a StoredFact>, rules: &Rules) -> Vec<Earned> {
    let scored = facts.into_iter().filter_map(|StoredFact { fact, received_at }| {
        let countable = Countable::scored(fact, *received_at, rules).ok()?;
        Some((fact.occurred_at(), countable))
    });
    let mut scored: Vec<_> = scored.collect();
    scored.sort_unstable_by_key(|(at, countable)| (*at, countable.key));
    let mut programs: HashMap<ProgramId, Caps> = HashMap::new();
    let earned = scored.into_iter().map(
        |(
            at,
            Countable {
                program, sums, cap, ..
            },
        )| {
            let caps = programs.entry(program.clone()).or_default();
            let counted = caps.counted(cap.as_ref(), sums);
            Earned {
                at,
                program,
                points: PerWindow::of_each(|window| counted.get(window).points),
            }
        },
    );
    earned.collect()
}

impl Pasts {
    /// `rules` are those of the generation whose boards have these pasts.
    pub fn new(client: Client, activities_table: String, rules: Rules) -> Self {
        Self {
            client,
            table: activities_table,
            rules,
            read: Mutex::default(),
        }
    }

    /// A user's past on a board in one window. After a failure, the run reads no more facts: a board must not
    /// wait for its history.
    pub async fn of(&self, user: &UserId, board: &Board, span: &WindowSpan) -> Past {
        let mut read = self.read.lock().await;
        let facts = if let Some(facts) = read.users.get(user) {
            facts.clone()
        } else if read.users.len() >= USERS_OF_A_RUN_MAX || read.facts >= FACTS_OF_A_RUN_MAX {
            return Past::NextRun;
        } else {
            match self.query(user).await {
                Ok(facts) => {
                    let facts = facts.map(Arc::new);
                    read.facts += facts.as_ref().map_or(FACTS_OF_A_USER_MAX, |facts| facts.len());
                    read.users.insert(user.clone(), facts.clone());
                    facts
                }
                Err(error) => {
                    tracing::warn!(
                        error = error.with_causes(),
                        "A user's facts could not be read. The boards are published without their past, which the next run reads."
                    );
                    read.facts = FACTS_OF_A_RUN_MAX;
                    return Past::NextRun;
                }
            }
        };
        drop(read);
        facts.map_or(Past::TooMany, |facts| {
            Past::Points(on_board(&self.rules.calendar, board, span, &facts))
        })
    }

    /// An eventually consistent read, at half the price: the newest facts are in a sample of the snapshot.
    async fn query(&self, user: &UserId) -> Result<Option<Vec<Earned>>, StoreError> {
        let mut items = self
            .client
            .query()
            .table_name(&self.table)
            .key_condition_expression("#user = :user")
            .expression_attribute_names("#user", attribute::USER_ID)
            .expression_attribute_values(":user", string(user.as_str()))
            .into_paginator()
            .items()
            .send();
        let mut facts = Vec::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| StoreError::unavailable("reading a user's past", error))?;
            if let Ok(Streamed::Fact { fact, received_at }) = streamed(&item) {
                facts.push(StoredFact { fact, received_at });
            }
            if facts.len() > FACTS_OF_A_USER_MAX {
                return Ok(None);
            }
        }
        Ok(Some(earned(&facts, &self.rules)))
    }
}

/// The points that facts are worth on a board in one window, after each of them.
pub fn on_board(calendar: &Calendar, board: &Board, span: &WindowSpan, facts: &[Earned]) -> Vec<PointsAt> {
    let counts = |fact: &&Earned| {
        let is_on_board = match board {
            Board::Global | Board::Team(_) => true,
            Board::Program(program) => *program == fact.program,
        };
        let is_in_window = || match (span.first_day, span.last_day) {
            (Some(first), Some(last)) => (first..=last).contains(&calendar.date(fact.at)),
            _ => true,
        };
        is_on_board && is_in_window()
    };
    let facts = facts.iter().filter(counts);
    cumulated(facts.map(|fact| (fact.at, fact.points.get(span.name))))
}
