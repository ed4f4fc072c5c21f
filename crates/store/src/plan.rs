//! Plans the transactions that count a batch of activities.

use std::collections::{BTreeMap, HashSet};

use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::builders::UpdateBuilder;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem, Update};
use domain::policy::Unscored;
use domain::{Activity, ActivityKey, Period, ProgramId, Tally, UserId};
use jiff::Timestamp;

use crate::item::{number, string};
use crate::keys::{self, CountGeneration, ShardCount, attribute};
use crate::rules::Rules;

/// `DynamoDB`'s limit for one transaction.
pub const MAX_ACTIONS: usize = 100;

/// An activity with everything needed to count it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Countable {
    pub key: ActivityKey,
    pub program: ProgramId,
    pub points: u32,
    /// The periods whose counters it is added to, besides that of all time.
    pub periods: Vec<Period>,
}

/// Activities that one transaction counts: all of them or none. Never empty, sorted by program and user,
/// without repeats, and with at most [`MAX_ACTIONS`] actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group(Vec<Countable>);

/// What every transaction of a batch shares: the rules, applied to one generation at one time.
#[derive(Clone, Debug)]
pub struct PlanContext {
    generation: CountGeneration,
    shards: ShardCount,
    /// Periods whose counters are removed, since no board shows them any more.
    expired: Vec<Period>,
    /// In seconds since the epoch.
    markers_expire_at: i64,
}

impl PlanContext {
    pub fn new(rules: &Rules, generation: CountGeneration, now: Timestamp) -> Self {
        Self {
            generation,
            shards: rules.standing_shards,
            expired: rules.calendar.expired(now),
            markers_expire_at: (now + rules.marker_lifetime.duration()).as_second(),
        }
    }
}

/// One write of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Puts the marker of an activity. The transaction fails if the marker exists.
    Mark { marker: String, expires_at: i64 },
    /// Adds to the counters of one user in one program.
    AddToStanding {
        shard: String,
        member: String,
        all: Tally,
        periods: BTreeMap<String, Tally>,
        remove: Vec<String>,
    },
    /// Adds to the control totals of one program.
    AddToTotal {
        lane: String,
        program: ProgramId,
        tally: Tally,
    },
}

/// Plans the transactions of a batch. Activities are sorted by program and user, so that those of one
/// standing share its write, and few transactions write the same program's total. An activity that
/// occurs several times in the batch is counted once.
pub fn groups(mut batch: Vec<Countable>) -> Vec<Group> {
    batch.sort_unstable_by(|a, b| a.key.cmp(&b.key));
    batch.dedup_by(|a, b| a.key == b.key);
    batch.sort_by(|a, b| a.standing().cmp(&b.standing()));

    let mut groups = Vec::new();
    let mut group: Vec<Countable> = Vec::new();
    let mut programs: HashSet<ProgramId> = HashSet::new();
    let mut actions = 0;
    for activity in batch {
        let is_standing_new = group
            .last()
            .is_none_or(|last| last.standing() != activity.standing());
        let is_total_new = !programs.contains(&activity.program);
        let more = 1 + usize::from(is_standing_new) + usize::from(is_total_new);
        if actions + more > MAX_ACTIONS {
            groups.push(Group::new(std::mem::take(&mut group)));
            programs.clear();
            // A new group begins with a marker, a standing and a total.
            actions = 3;
        } else {
            actions += more;
        }
        programs.insert(activity.program.clone());
        group.push(activity);
    }
    if !group.is_empty() {
        groups.push(Group::new(group));
    }
    groups
}

impl Countable {
    /// Scores an activity that is counted at `now`.
    pub fn scored(activity: &Activity, rules: &Rules, now: Timestamp) -> Result<Self, Unscored> {
        Ok(Self {
            key: activity.key(),
            program: activity.program.clone(),
            points: rules
                .scoring_policy
                .points(&activity.kind, activity.occurred_at)?,
            periods: rules.calendar.counted_in(activity.occurred_at, now),
        })
    }

    /// The standing that it is added to. Groups are in this order.
    fn standing(&self) -> (&ProgramId, &UserId) {
        (&self.program, &self.key.user)
    }
}

impl Group {
    fn new(activities: Vec<Countable>) -> Self {
        assert!(!activities.is_empty(), "a group is not empty");
        // Unsorted activities would write a standing twice, which no transaction may.
        assert!(
            activities.is_sorted_by_key(Countable::standing),
            "a group is sorted by program and user"
        );
        Self(activities)
    }

    pub fn activities(&self) -> &[Countable] {
        &self.0
    }

    /// This group without the activities at `positions`; `None` if nothing is left.
    pub fn without(self, positions: &[usize]) -> Option<Self> {
        let left: Vec<_> = (0..)
            .zip(self.0)
            .filter_map(|(at, activity)| (!positions.contains(&at)).then_some(activity))
            .collect();
        (!left.is_empty()).then(|| Self::new(left))
    }

    /// Two groups of half the size; `None` for a single activity.
    pub fn halves(&self) -> Option<(Self, Self)> {
        let (first, second) = self.0.split_at(self.0.len() / 2);
        (!first.is_empty()).then(|| (Self::new(first.to_vec()), Self::new(second.to_vec())))
    }

    /// The writes of the transaction: a marker for each activity, in order, then the standings, then the
    /// totals.
    pub fn actions(&self, context: &PlanContext, lane: u16) -> Vec<Action> {
        let PlanContext {
            generation, shards, ..
        } = *context;
        let remove: Vec<_> = context
            .expired
            .iter()
            .flat_map(|period| keys::counter_names(Some(*period)))
            .collect();
        let markers = self.0.iter().map(|activity| Action::Mark {
            marker: keys::marker_key(generation, &activity.key),
            expires_at: context.markers_expire_at,
        });
        let mut totals: BTreeMap<&ProgramId, Tally> = BTreeMap::new();
        let mut standings = Vec::new();
        for of_standing in self.0.chunk_by(|a, b| a.standing() == b.standing()) {
            let (program, user) = of_standing[0].standing();
            let mut all = Tally::default();
            let mut periods: BTreeMap<String, Tally> = BTreeMap::new();
            for activity in of_standing {
                let tally = Tally {
                    points: activity.points.into(),
                    activities: 1,
                };
                all += tally;
                for period in &activity.periods {
                    *periods.entry(period.to_string()).or_default() += tally;
                }
            }
            *totals.entry(program).or_default() += all;
            standings.push(Action::AddToStanding {
                shard: shards.shard_of(generation, user),
                member: keys::member_key(user, program),
                all,
                periods,
                remove: remove.clone(),
            });
        }
        let totals = totals.into_iter().map(|(program, tally)| Action::AddToTotal {
            lane: keys::totals_key(generation, lane),
            program: program.clone(),
            tally,
        });
        let actions: Vec<_> = markers.chain(standings).chain(totals).collect();
        assert!(
            actions.len() <= MAX_ACTIONS,
            "a transaction of {} actions",
            actions.len()
        );
        actions
    }

    /// The positions of the activities that an action writes for.
    pub(crate) fn activities_of_action(&self, context: &PlanContext, action: &Action) -> Vec<usize> {
        let concerns = |activity: &Countable| match action {
            Action::Mark { marker, .. } => *marker == keys::marker_key(context.generation, &activity.key),
            Action::AddToStanding { member, .. } => {
                *member == keys::member_key(&activity.key.user, &activity.program)
            }
            Action::AddToTotal { program, .. } => activity.program == *program,
        };
        (0..self.0.len()).filter(|&at| concerns(&self.0[at])).collect()
    }
}

impl Action {
    /// This action as part of a request.
    pub(crate) fn to_item(
        &self,
        dedup_table: &str,
        standings_table: &str,
    ) -> Result<TransactWriteItem, BuildError> {
        match self {
            Self::Mark { marker, expires_at } => {
                let put = Put::builder()
                    .table_name(dedup_table)
                    .item(attribute::ACTIVITY, string(marker.as_str()))
                    .item(attribute::EXPIRES_AT, number(expires_at))
                    .condition_expression("attribute_not_exists(#activity)")
                    .expression_attribute_names("#activity", attribute::ACTIVITY);
                Ok(TransactWriteItem::builder().put(put.build()?).build())
            }
            Self::AddToStanding {
                shard,
                member,
                all,
                periods,
                remove,
            } => {
                let mut adds = vec![
                    (attribute::POINTS.to_owned(), all.points),
                    (attribute::ACTIVITIES.to_owned(), all.activities),
                ];
                for (period, tally) in periods {
                    adds.push((period.clone(), tally.points));
                    adds.push((keys::activities_of(period), tally.activities));
                }
                let update = add(standings_table, shard, member, &adds, remove);
                Ok(TransactWriteItem::builder().update(update.build()?).build())
            }
            Self::AddToTotal { lane, program, tally } => {
                let adds = [
                    (attribute::POINTS.to_owned(), tally.points),
                    (attribute::ACTIVITIES.to_owned(), tally.activities),
                ];
                let update = add(standings_table, lane, program.as_str(), &adds, &[]);
                Ok(TransactWriteItem::builder().update(update.build()?).build())
            }
        }
    }
}

/// An update that adds to some counters and removes others. Uses placeholders, because the name of a
/// period contains a space, and `points` might become a reserved word.
fn add(table: &str, shard: &str, member: &str, adds: &[(String, u64)], remove: &[String]) -> UpdateBuilder {
    let mut update = Update::builder()
        .table_name(table)
        .key(attribute::SHARD, string(shard))
        .key(attribute::MEMBER, string(member));
    let mut added = Vec::with_capacity(adds.len());
    for (at, (name, value)) in adds.iter().enumerate() {
        update = update
            .expression_attribute_names(format!("#a{at}"), name)
            .expression_attribute_values(format!(":a{at}"), number(value));
        added.push(format!("#a{at} :a{at}"));
    }
    let mut expression = format!("ADD {}", added.join(", "));
    if !remove.is_empty() {
        let mut removed = Vec::with_capacity(remove.len());
        for (at, name) in remove.iter().enumerate() {
            update = update.expression_attribute_names(format!("#r{at}"), name);
            removed.push(format!("#r{at}"));
        }
        expression.push_str(" REMOVE ");
        expression.push_str(&removed.join(", "));
    }
    update.update_expression(expression)
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn activity(user: &str, program: &str, id: &str) -> Countable {
        Countable {
            key: ActivityKey {
                user: user.parse().unwrap(),
                id: id.parse().unwrap(),
            },
            program: program.parse().unwrap(),
            points: 10,
            periods: vec![Period::Day("2026-11-21".parse().unwrap())],
        }
    }

    fn context() -> PlanContext {
        PlanContext {
            generation: CountGeneration::FIRST,
            shards: "1".parse().unwrap(),
            expired: vec![Period::Day("2026-11-01".parse().unwrap())],
            markers_expire_at: 99,
        }
    }

    fn render(action: &Action) -> String {
        match action {
            Action::Mark { marker, expires_at } => format!("mark {marker} until {expires_at}"),
            Action::AddToStanding {
                shard,
                member,
                all,
                periods,
                remove,
            } => {
                let periods: Vec<_> = periods
                    .iter()
                    .map(|(name, t)| format!("{name} +{}/{}", t.points, t.activities))
                    .collect();
                format!(
                    "{shard} {member} +{}/{} [{}] -[{}]",
                    all.points,
                    all.activities,
                    periods.join(", "),
                    remove.join(", ")
                )
            }
            Action::AddToTotal { lane, program, tally } => {
                format!("{lane} {program} +{}/{}", tally.points, tally.activities)
            }
        }
    }

    #[test]
    fn one_transaction_marks_and_counts_what_belongs_together() {
        let batch = vec![
            activity("bob", "p", "b1"),
            activity("ann", "p", "a2"),
            activity("ann", "p", "a1"),
            activity("ann", "p", "a2"),
        ];
        let groups = groups(batch);
        assert_eq!(groups.len(), 1);
        let actions: Vec<_> = groups[0].actions(&context(), 7).iter().map(render).collect();
        assert_eq!(
            actions,
            [
                "mark g1#ann#a1 until 99",
                "mark g1#ann#a2 until 99",
                "mark g1#bob#b1 until 99",
                "g1#000 ann#p +20/2 [day 2026-11-21 +20/2] -[day 2026-11-01, day 2026-11-01 activities]",
                "g1#000 bob#p +10/1 [day 2026-11-21 +10/1] -[day 2026-11-01, day 2026-11-01 activities]",
                "g1#totals#07 p +30/3",
            ]
        );
    }

    #[test]
    fn the_same_id_of_two_users_is_two_activities() {
        let groups = groups(vec![activity("ann", "p", "1"), activity("bob", "p", "1")]);
        assert_eq!(groups[0].activities().len(), 2);
    }

    proptest! {
        #[test]
        fn every_activity_is_in_one_group_and_no_group_is_too_large(
            batch in vec((0..30_u8, 0..4_u8, 0..60_u8), 0..400),
        ) {
            let batch: Vec<_> = batch
                .into_iter()
                .map(|(user, program, id)| activity(&format!("u{user}"), &format!("p{program}"), &format!("a{id}")))
                .collect();
            let mut expected: Vec<_> = batch.iter().map(|activity| activity.key.clone()).collect();
            expected.sort();
            expected.dedup();
            let groups = groups(batch);
            for group in &groups {
                prop_assert!(group.actions(&context(), 0).len() <= MAX_ACTIONS);
            }
            let mut grouped: Vec<_> = groups
                .iter()
                .flat_map(|group| group.activities().iter().map(|activity| activity.key.clone()))
                .collect();
            grouped.sort();
            prop_assert_eq!(grouped, expected);
        }
    }
}
