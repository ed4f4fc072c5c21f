//! Counts a group of activities exactly once.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, ReturnConsumedCapacity};
use domain::ActivityKey;
use jiff::Timestamp;
use rand::RngExt as _;
use tokio::time::Instant;

use crate::aws::required;
use crate::error::StoreError;
use crate::generations::{self, Generations};
use crate::keys::TOTALS_LANES;
use crate::plan::{Action, Group, PlanContext};
use crate::rules::Rules;

/// The names of the tables that activities are counted into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountTables {
    /// `DEDUP_TABLE`
    pub dedup: String,
    /// `STANDINGS_TABLE`
    pub standings: String,
}

impl CountTables {
    /// Reads the environment that `variable` looks into.
    pub fn from_environment(variable: &impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            dedup: required(variable, "DEDUP_TABLE")?,
            standings: required(variable, "STANDINGS_TABLE")?,
        })
    }
}

/// Counts activities into the markers, the standings and the totals.
#[derive(Clone, Debug)]
pub struct Counting {
    pub(crate) client: Client,
    pub(crate) tables: CountTables,
    rules: Rules,
}

/// The result of counting one activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    Applied,
    /// It was counted before.
    Duplicate,
    /// No retry can ever count it.
    Impossible(String),
    /// It was not counted now, but may be when it is delivered again.
    Later(String),
}

/// The results of the activities of a group, and the resources used.
#[derive(Clone, Debug, Default)]
pub struct GroupReport {
    pub results: Vec<(ActivityKey, Counted)>,
    pub transactions: u64,
    pub conflicts: u64,
    pub retries: u64,
    pub dedup_write_units: f64,
    pub standings_write_units: f64,
}

/// The answer to a transaction, reduced to what the decision needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// Nothing was written; one reason for each action.
    Cancelled(Vec<Reason>),
    /// It may or may not have been written. Sending it again tells.
    Unsure(String),
    /// The request itself is invalid.
    Invalid(String),
    /// A fault that lasts longer than one invocation, such as a missing permission.
    Refused(String),
}

/// Why an action cancelled its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    None,
    ConditionFailed,
    /// Another transaction holds the item, or the table is throttled.
    Busy,
    Invalid(String),
}

/// What to do with a group after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Applied,
    /// Take out the activities at these positions, which have these results, and retry the rest at once.
    TakeOut(Vec<(usize, Counted)>),
    /// Retry after a pause.
    Again(String),
    /// Try each half, to find the activity that is invalid.
    Halve,
    GiveUp(Counted),
}

/// Decides what follows from an answer. Pure, so that every case can be tested and simulated.
pub fn judge(group: &Group, actions: &[Action], context: &PlanContext, answer: Answer) -> Verdict {
    match answer {
        Answer::Done => Verdict::Applied,
        Answer::Unsure(cause) => Verdict::Again(cause),
        Answer::Refused(cause) => Verdict::GiveUp(Counted::Later(cause)),
        Answer::Invalid(_) if group.activities().len() > 1 => Verdict::Halve,
        Answer::Invalid(cause) => Verdict::GiveUp(Counted::Impossible(cause)),
        Answer::Cancelled(reasons) => {
            let mut out: Vec<(usize, Counted)> = Vec::new();
            for (action, reason) in actions.iter().zip(&reasons) {
                let counted = match reason {
                    Reason::ConditionFailed => Counted::Duplicate,
                    Reason::Invalid(cause) => Counted::Impossible(cause.clone()),
                    Reason::None | Reason::Busy => continue,
                };
                for at in group.activities_of_action(context, action) {
                    if out.iter().all(|(taken, _)| *taken != at) {
                        out.push((at, counted.clone()));
                    }
                }
            }
            if out.is_empty() {
                Verdict::Again("conflict or throttling".to_owned())
            } else {
                Verdict::TakeOut(out)
            }
        }
    }
}

/// Counts a group by one transaction after the other, until each activity has a result. It performs no
/// I/O and does not sleep, so the simulation runs the same code.
#[derive(Clone, Debug)]
pub struct Attempts {
    context: PlanContext,
    /// Groups still to be counted. The last is tried next.
    left: Vec<Group>,
    /// How often the next group has paused.
    pauses: u32,
    pub retries: u64,
    pub results: Vec<(ActivityKey, Counted)>,
}

impl Attempts {
    pub fn new(group: Group, context: PlanContext) -> Self {
        Self {
            context,
            left: vec![group],
            pauses: 0,
            retries: 0,
            results: Vec::new(),
        }
    }

    /// The next transaction, with its totals in this lane; `None` when every activity has a result.
    pub fn next(&self, lane: u16) -> Option<Vec<Action>> {
        let group = self.left.last()?;
        Some(group.actions(&self.context, lane))
    }

    /// Handles the answer to the last transaction. Returns how long to wait before the next one. Once no
    /// time is left, nothing more is tried. `random` is in 0..1.
    pub fn take(&mut self, actions: &[Action], answer: Answer, random: f64, time_left: Duration) -> Duration {
        let Some(group) = self.left.pop() else {
            return Duration::ZERO;
        };
        match judge(&group, actions, &self.context, answer) {
            Verdict::Applied => self.settle(&group, &Counted::Applied),
            Verdict::GiveUp(counted) => self.settle(&group, &counted),
            Verdict::Halve => {
                let (first, second) = group.halves().expect("a group of one activity is not halved");
                self.left.extend([first, second]);
            }
            Verdict::TakeOut(out) => {
                let (positions, results): (Vec<usize>, Vec<Counted>) = out.into_iter().unzip();
                let keys = positions.iter().map(|&at| group.activities()[at].key.clone());
                self.results.extend(keys.zip(results));
                self.left.extend(group.without(&positions));
            }
            Verdict::Again(cause) => {
                self.retries += 1;
                let pause = backoff(self.pauses, random);
                if pause < time_left {
                    self.pauses += 1;
                    self.left.push(group);
                    return pause;
                }
                self.settle(&group, &Counted::Later(cause));
            }
        }
        self.pauses = 0;
        if time_left.is_zero() {
            for group in std::mem::take(&mut self.left) {
                self.settle(
                    &group,
                    &Counted::Later("no time is left in this invocation".to_owned()),
                );
            }
        }
        Duration::ZERO
    }

    fn settle(&mut self, group: &Group, counted: &Counted) {
        let results = group.activities().iter().map(|activity| {
            let is_settled = self.results.iter().any(|(key, _)| *key == activity.key);
            debug_assert!(!is_settled, "{:?} has two results", activity.key);
            (activity.key.clone(), counted.clone())
        });
        let results: Vec<_> = results.collect();
        self.results.extend(results);
    }
}

/// Many processes may start at once, and each changes the item at most once.
const SETTLING_TRIES: u32 = 10;
const BACKOFF_BASE: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// The pause before retry number `attempt` (from 0): a random time up to a bound that doubles ("full
/// jitter"). Without jitter, transactions that conflicted would conflict again. `random` is in 0..1.
pub fn backoff(attempt: u32, random: f64) -> Duration {
    debug_assert!((0.0..=1.0).contains(&random), "{random} is not in 0..1");
    let bound = BACKOFF_BASE.saturating_mul(1 << attempt.min(16)).min(BACKOFF_MAX);
    bound.mul_f64(random)
}

impl Counting {
    pub fn new(client: Client, tables: CountTables, rules: Rules) -> Self {
        Self {
            client,
            tables,
            rules,
        }
    }

    /// The configured rules.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The generations that activities are counted into.
    pub async fn generations(&self) -> Result<Generations, StoreError> {
        generations::read(&self.client, &self.tables.standings).await
    }

    /// Notes the configured rules, and adopts in each generation what leaves its counts valid.
    pub async fn settle_rules(&self, now: Timestamp) -> Result<Generations, StoreError> {
        for _ in 0..SETTLING_TRIES {
            let known = self.generations().await?;
            let settled = known.settled(&self.rules, now);
            if settled == known {
                return Ok(known);
            }
            let replaced =
                generations::replace(&self.client, &self.tables.standings, &known, settled).await?;
            if let Some(settled) = replaced {
                return Ok(settled);
            }
        }
        Err(StoreError::unavailable(
            "settling the rules",
            "other processes changed the generations each time",
        ))
    }

    /// Counts a group into the generation of `context`. Retries transient failures until `deadline`, and then reports
    /// the remaining activities as [`Counted::Later`].
    pub async fn count(&self, group: Group, context: PlanContext, deadline: Instant) -> GroupReport {
        let mut report = GroupReport::default();
        let size = group.activities().len();
        let mut attempts = Attempts::new(group, context);
        let lane = || rand::rng().random_range(0..TOTALS_LANES);
        while let Some(actions) = attempts.next(lane()) {
            let answer = self.transact(&actions, &mut report).await;
            let time_left = deadline.saturating_duration_since(Instant::now());
            let pause = attempts.take(&actions, answer, rand::rng().random(), time_left);
            tokio::time::sleep(pause).await;
        }
        assert_eq!(
            attempts.results.len(),
            size,
            "every activity of a group has one result"
        );
        report.retries = attempts.retries;
        report.results = attempts.results;
        report
    }

    async fn transact(&self, actions: &[Action], report: &mut GroupReport) -> Answer {
        let CountTables { dedup, standings } = &self.tables;
        let items: Result<Vec<_>, _> = actions
            .iter()
            .map(|action| action.to_item(dedup, standings))
            .collect();
        let items = match items {
            Ok(items) => items,
            Err(error) => return Answer::Invalid(error.to_string()),
        };
        report.transactions += 1;
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .customize()
            // The caller retries itself: it knows the deadline, and takes out duplicates in between.
            .config_override(aws_sdk_dynamodb::config::Builder::new().retry_config(RetryConfig::disabled()))
            .send()
            .await;
        match sent {
            Ok(output) => {
                for consumed in output.consumed_capacity.unwrap_or_default() {
                    let units = consumed.capacity_units.unwrap_or_default();
                    if consumed.table_name.as_ref() == Some(dedup) {
                        report.dedup_write_units += units;
                    } else {
                        report.standings_write_units += units;
                    }
                }
                Answer::Done
            }
            Err(error) => {
                let answer = classify(error);
                if let Answer::Cancelled(reasons) = &answer
                    && reasons.contains(&Reason::Busy)
                {
                    report.conflicts += 1;
                }
                answer
            }
        }
    }
}

fn classify(error: SdkError<TransactWriteItemsError>) -> Answer {
    let SdkError::ServiceError(service) = &error else {
        return match error {
            SdkError::ConstructionFailure(_) => Answer::Invalid(DisplayErrorContext(error).to_string()),
            _ => Answer::Unsure(DisplayErrorContext(error).to_string()),
        };
    };
    let text = service.err().to_string();
    match service.err() {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            Answer::Cancelled(cancelled.cancellation_reasons().iter().map(reason).collect())
        }
        TransactWriteItemsError::IdempotentParameterMismatchException(_)
        | TransactWriteItemsError::InternalServerError(_)
        | TransactWriteItemsError::ProvisionedThroughputExceededException(_)
        | TransactWriteItemsError::RequestLimitExceeded(_)
        | TransactWriteItemsError::TransactionInProgressException(_) => Answer::Unsure(text),
        other => match other.code() {
            Some("ThrottlingException" | "ServiceUnavailable" | "InternalFailure") => Answer::Unsure(text),
            Some("ValidationException") => Answer::Invalid(DisplayErrorContext(error).to_string()),
            _ if service.raw().status().is_server_error() => Answer::Unsure(text),
            _ => Answer::Refused(DisplayErrorContext(error).to_string()),
        },
    }
}

fn reason(reason: &CancellationReason) -> Reason {
    match reason.code() {
        None | Some("None") => Reason::None,
        Some("ConditionalCheckFailed") => Reason::ConditionFailed,
        Some("ValidationError" | "ItemCollectionSizeLimitExceeded") => {
            Reason::Invalid(reason.message().unwrap_or("the write is not valid").to_owned())
        }
        // Conflicts, throttling and reasons that AWS may add say nothing about the activity itself.
        Some(_) => Reason::Busy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::CountGeneration;
    use crate::plan::{Countable, groups};

    fn group(ids: &str) -> Group {
        let activity = |id: &str| Countable {
            key: ActivityKey {
                user: id[..1].parse().unwrap(),
                id: id.parse().unwrap(),
            },
            program: "p".parse().unwrap(),
            points: 1,
            periods: Vec::new(),
        };
        groups(ids.split(' ').map(activity).collect()).remove(0)
    }

    fn check(ids: &str, answer: Answer, expected: &str) {
        let rules = Rules {
            standing_shards: "1".parse().unwrap(),
            marker_lifetime: "90".parse().unwrap(),
            calendar: "UTC".parse().unwrap(),
            scoring_policy: r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"a":1}}]"#
                .parse()
                .unwrap(),
        };
        let context = PlanContext::new(&rules, CountGeneration::FIRST, Timestamp::UNIX_EPOCH);
        let group = group(ids);
        let actions = group.actions(&context, 0);
        let got = match judge(&group, &actions, &context, answer) {
            Verdict::TakeOut(out) => format!("take out {out:?}"),
            other => format!("{other:?}"),
        };
        assert_eq!(got, expected);
    }

    /// One reason per action, by its initial: none, condition, busy or invalid.
    fn cancelled(reasons: &str) -> Answer {
        let reason = |initial| match initial {
            'n' => Reason::None,
            'c' => Reason::ConditionFailed,
            'b' => Reason::Busy,
            _ => Reason::Invalid("too large".to_owned()),
        };
        Answer::Cancelled(reasons.chars().map(reason).collect())
    }

    #[test]
    fn each_answer_has_its_consequence() {
        // Two activities of `a` and one of `b`: three markers, two standings, one total.
        let three = "a1 a2 b1";
        check(three, Answer::Done, "Applied");
        check(three, cancelled("nncnnn"), "take out [(2, Duplicate)]");
        check(
            three,
            cancelled("ccnnnb"),
            "take out [(0, Duplicate), (1, Duplicate)]",
        );
        check(three, cancelled("nnnbnn"), r#"Again("conflict or throttling")"#);
        check(
            three,
            cancelled("nnninn"),
            r#"take out [(0, Impossible("too large")), (1, Impossible("too large"))]"#,
        );
        check(three, Answer::Unsure("cut off".into()), r#"Again("cut off")"#);
        check(three, Answer::Invalid("4 MB".into()), "Halve");
        check(
            "a1",
            Answer::Invalid("4 MB".into()),
            r#"GiveUp(Impossible("4 MB"))"#,
        );
        check(
            three,
            Answer::Refused("no permission".into()),
            r#"GiveUp(Later("no permission"))"#,
        );
    }

    #[test]
    fn pauses_grow_to_a_bound_and_are_jittered() {
        assert_eq!(backoff(0, 1.0), BACKOFF_BASE);
        assert_eq!(backoff(3, 1.0), BACKOFF_BASE * 8);
        assert_eq!(backoff(3, 0.0), Duration::ZERO);
        assert_eq!(backoff(60, 1.0), BACKOFF_MAX);
        assert_eq!(backoff(u32::MAX, 0.5), BACKOFF_MAX / 2);
    }
}
