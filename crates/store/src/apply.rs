//! Counting a group of activities, exactly once.

use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata as _, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{AttributeValue, CancellationReason, ReturnConsumedCapacity};
use domain::{ActivityId, Calendar, ScoringPolicy, UserId};
use jiff::{SignedDuration, Timestamp};
use rand::RngExt as _;
use tokio::time::Instant;

use crate::Unavailable;
use crate::activities::sortable;
use crate::generations::{self, Generations};
use crate::keys::{CountGeneration, ShardCount, TOTALS_LANES, attribute, heartbeat_key};
use crate::plan::{Action, Group, PlanContext};
use crate::rules::{self, Rules};

/// The tables and rules by which activities are counted.
#[derive(Clone, Debug)]
pub struct CountingConfig {
    pub dedup_table: String,
    pub standings_table: String,
    pub shards: ShardCount,
    /// How long a marker is kept: longer than any redelivery can take.
    pub marker_lifetime: SignedDuration,
    pub calendar: Calendar,
}

/// Counts activities into the markers, the standings and the totals.
#[derive(Clone, Debug)]
pub struct Counting {
    client: Client,
    config: CountingConfig,
}

/// What became of one activity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counted {
    Applied,
    /// It was counted before.
    Duplicate,
    /// No retry will ever count it.
    Impossible(String),
    /// It was not counted, and may be when it is delivered again.
    Later(String),
}

/// What became of the activities of a group, and what it took.
#[derive(Clone, Debug, Default)]
pub struct GroupReport {
    pub results: Vec<((UserId, ActivityId), Counted)>,
    pub transactions: u64,
    pub conflicts: u64,
    pub retries: u64,
    pub dedup_write_units: f64,
    pub standings_write_units: f64,
}

/// An answer to a transaction, reduced to what the decision needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// Nothing was written; one reason for each action.
    Cancelled(Vec<Reason>),
    /// It may have been written or not; asking again will tell.
    Unsure(String),
    /// The request itself is invalid.
    Invalid(String),
    /// Something that does not pass within one invocation, such as a missing permission.
    Refused(String),
}

/// Why an action cancelled its transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    None,
    ConditionFailed,
    /// Another transaction is at the item, or the table is throttled.
    Busy,
    Invalid(String),
}

/// What to do with a group after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Applied,
    /// Take these activities out, by position, with what became of them, and try the rest at once.
    TakeOut(Vec<(usize, Counted)>),
    /// Try the same again after a pause.
    Again(String),
    /// Try both halves, to find the one that is wrong.
    Halve,
    GiveUp(Counted),
}

/// Decides what follows from an answer. Pure, so that every case can be shown and simulated.
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
                let became = match reason {
                    Reason::ConditionFailed => Counted::Duplicate,
                    Reason::Invalid(cause) => Counted::Impossible(cause.clone()),
                    Reason::None | Reason::Busy => continue,
                };
                for at in group.activities_of_action(context, action) {
                    if out.iter().all(|(taken, _)| *taken != at) {
                        out.push((at, became.clone()));
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

/// The counting of a group, one transaction after the other, until each of its activities has a
/// result. It sends nothing and waits for nothing, so that a simulation runs the same.
#[derive(Clone, Debug)]
pub struct Attempts {
    context: PlanContext,
    /// Never empty groups; the last is tried next.
    left: Vec<Group>,
    /// Pauses that the next group has had.
    pauses: u32,
    pub retries: u64,
    pub results: Vec<((UserId, ActivityId), Counted)>,
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

    /// The next transaction, with its totals in a lane; `None` when nothing is left to be tried.
    pub fn next(&self, lane: u16) -> Option<Vec<Action>> {
        let group = self.left.last()?;
        Some(group.actions(&self.context, lane))
    }

    /// Takes in the answer to the last transaction, and returns how long to wait before the next one.
    /// Once no time is left, nothing more is tried. `random` is in 0..1.
    pub fn take(&mut self, actions: &[Action], answer: Answer, random: f64, time_left: Duration) -> Duration {
        let Some(group) = self.left.pop() else {
            return Duration::ZERO;
        };
        match judge(&group, actions, &self.context, answer) {
            Verdict::Applied => self.settle(&group, &Counted::Applied),
            Verdict::GiveUp(became) => self.settle(&group, &became),
            Verdict::Halve => {
                let (first, second) = group.halves().expect("a group of one activity is not halved");
                self.left.extend([first, second]);
            }
            Verdict::TakeOut(out) => {
                let (positions, became): (Vec<usize>, Vec<Counted>) = out.into_iter().unzip();
                let keys = positions.iter().map(|&at| group.key(at));
                self.results.extend(keys.zip(became));
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
                    &Counted::Later("the time of this invocation is up".to_owned()),
                );
            }
        }
        Duration::ZERO
    }

    fn settle(&mut self, group: &Group, became: &Counted) {
        let keys = (0..group.activities().len()).map(|at| group.key(at));
        self.results.extend(keys.map(|key| (key, became.clone())));
    }
}

const BACKOFF_BASE: Duration = Duration::from_millis(20);
const BACKOFF_MAX: Duration = Duration::from_secs(2);

/// The pause before retry number `attempt` (from 0): anything up to a bound that doubles ("full
/// jitter"), since those who collided once would otherwise collide again. `random` is in 0..1.
pub fn backoff(attempt: u32, random: f64) -> Duration {
    let bound = BACKOFF_BASE.saturating_mul(1 << attempt.min(16)).min(BACKOFF_MAX);
    bound.mul_f64(random)
}

impl Counting {
    pub fn new(client: Client, config: CountingConfig) -> Self {
        Self { client, config }
    }

    pub fn calendar(&self) -> &Calendar {
        &self.config.calendar
    }

    /// Which generations activities are to be counted into.
    pub async fn generations(&self) -> Result<Generations, Unavailable> {
        generations::read(&self.client, &self.config.standings_table).await
    }

    /// Notes by which rules this counts, for those who count anew.
    pub async fn note_rules(&self, scoring_policy: &ScoringPolicy) -> Result<(), Unavailable> {
        let rules = Rules {
            standing_shards: self.config.shards,
            marker_lifetime_days: self.config.marker_lifetime.as_hours() / 24,
            time_zone: self.config.calendar.time_zone().to_owned(),
            scoring_policy: scoring_policy.clone(),
        };
        rules::note(&self.client, &self.config.standings_table, &rules).await
    }

    /// Counts a group into one generation. Retries what may pass until `deadline`, and reports what is
    /// left then as [`Counted::Later`].
    pub async fn count(
        &self,
        group: Group,
        generation: CountGeneration,
        now: Timestamp,
        deadline: Instant,
    ) -> GroupReport {
        let mut report = GroupReport::default();
        let mut attempts = Attempts::new(group, self.context(generation, now));
        let lane = || rand::rng().random_range(0..TOTALS_LANES);
        while let Some(actions) = attempts.next(lane()) {
            let answer = self.transact(&actions, &mut report).await;
            let time_left = deadline.saturating_duration_since(Instant::now());
            let pause = attempts.take(&actions, answer, rand::rng().random(), time_left);
            tokio::time::sleep(pause).await;
        }
        report.retries = attempts.retries;
        report.results = attempts.results;
        report
    }

    fn context(&self, generation: CountGeneration, now: Timestamp) -> PlanContext {
        PlanContext {
            generation,
            shards: self.config.shards,
            long_past: self.config.calendar.long_past(now),
            markers_expire_at: (now + self.config.marker_lifetime).as_second(),
        }
    }

    async fn transact(&self, actions: &[Action], report: &mut GroupReport) -> Answer {
        let CountingConfig {
            dedup_table,
            standings_table,
            ..
        } = &self.config;
        let items: Result<Vec<_>, _> = actions
            .iter()
            .map(|action| action.to_item(dedup_table, standings_table))
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
            // The caller's own retries know the deadline, and take duplicates out in between.
            .config_override(aws_sdk_dynamodb::config::Builder::new().retry_config(RetryConfig::disabled()))
            .send()
            .await;
        match sent {
            Ok(output) => {
                for consumed in output.consumed_capacity.unwrap_or_default() {
                    let units = consumed.capacity_units.unwrap_or_default();
                    if consumed.table_name.as_ref() == Some(dedup_table) {
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

    /// Notes in a generation that a heartbeat has come through, unless a later one has. Not part of a
    /// transaction: doing it twice changes nothing.
    pub async fn count_heartbeat(
        &self,
        sent_at: Timestamp,
        generation: CountGeneration,
        now: Timestamp,
    ) -> Result<(), Unavailable> {
        let (shard, member) = heartbeat_key(generation);
        let update = self
            .client
            .update_item()
            .table_name(&self.config.standings_table)
            .key(attribute::SHARD, AttributeValue::S(shard))
            .key(attribute::MEMBER, AttributeValue::S(member))
            .update_expression("SET #sent = :sent, #counted = :counted")
            .condition_expression("attribute_not_exists(#sent) OR #sent < :sent")
            .expression_attribute_names("#sent", attribute::SENT_AT)
            .expression_attribute_names("#counted", attribute::COUNTED_AT)
            .expression_attribute_values(":sent", AttributeValue::S(sortable(sent_at)))
            .expression_attribute_values(":counted", AttributeValue::S(sortable(now)))
            .send()
            .await;
        match update {
            Ok(_) => Ok(()),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(())
            }
            Err(error) => Err(Unavailable::new("counting a heartbeat", error)),
        }
    }
}

impl Group {
    fn key(&self, at: usize) -> (UserId, ActivityId) {
        let activity = &self.activities()[at];
        (activity.user.clone(), activity.id.clone())
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
        // Conflicts, throttling, and whatever AWS adds: none is a verdict on the activity.
        Some(_) => Reason::Busy,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Countable, groups};

    fn group(ids: &str) -> Group {
        let activity = |id: &str| Countable {
            user: id[..1].parse().unwrap(),
            program: "p".parse().unwrap(),
            id: id.parse().unwrap(),
            points: 1,
            periods: Vec::new(),
        };
        groups(ids.split(' ').map(activity).collect()).remove(0)
    }

    fn check(ids: &str, answer: Answer, expected: &str) {
        let context = PlanContext {
            generation: CountGeneration::FIRST,
            shards: "1".parse().unwrap(),
            long_past: Vec::new(),
            markers_expire_at: 0,
        };
        let group = group(ids);
        let actions = group.actions(&context, 0);
        let got = match judge(&group, &actions, &context, answer) {
            Verdict::TakeOut(out) => format!("take out {out:?}"),
            other => format!("{other:?}"),
        };
        assert_eq!(got, expected);
    }

    /// Reasons, one letter an action: none, condition, busy, invalid.
    fn cancelled(reasons: &str) -> Answer {
        let reason = |letter| match letter {
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
