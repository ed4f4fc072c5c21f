//! Which coins the facts of a person earn.

use std::collections::{BTreeMap, HashSet};
use std::sync::OnceLock;

use jiff::Timestamp;
use jiff::civil::Date;
use serde_json::Value;

use super::coin::{Coin, CoinId, CoinPeriod};
use super::reach::{Match, Reached};
use super::rule::{self, Matcher, Rule};
use super::{Per, Quest};
use crate::activity::Activity;
use crate::calendar::{Calendar, Period, Window};
use crate::correction::Void;
use crate::fact::Fact;
use crate::id::ActivityId;
use crate::policy::ScoringPolicy;

/// The activities of one person, in order of (`occurred_at`, `activity_id`), without those that were voided. Made
/// once and used for all quests.
pub struct Activities<'a>(Vec<Seen<'a>>);

/// An activity, with what quests look at.
pub(super) struct Seen<'a> {
    pub activity: &'a Activity,
    pub received_at: Timestamp,
    /// When it occurred, in the deployment's time zone.
    pub day: Date,
    /// Those that the activity is worth by the policy, before any cap; none where the policy does not know its kind.
    /// They are never negative, since no worth is: otherwise, more activities could undo a coin.
    pub points: u64,
    /// Read only where a quest asks for it.
    metadata: OnceLock<BTreeMap<String, Value>>,
}

/// How far a person is with a quest, in the period in which the most of it is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    pub period: CoinPeriod,
    /// Of `needed` matchers, activities, values, points, days or weeks.
    pub reached: u64,
    pub needed: u64,
    /// The activities that come to this.
    pub evidence: Vec<ActivityId>,
    /// When the first and the last of them occurred.
    pub days: (Date, Date),
    /// The matchers of `all` that nothing meets yet, or the next one of `ordered`.
    pub lacking: Vec<Matcher>,
}

impl<'a> Activities<'a> {
    /// Takes all facts of one person, each with the time when it was received, in any order. What is given twice
    /// counts once. Corrections match nothing, but an activity that has a void is left out.
    pub fn new(
        facts: impl IntoIterator<Item = (&'a Fact, Timestamp)>,
        calendar: &Calendar,
        policy: &ScoringPolicy,
    ) -> Self {
        let mut voided: HashSet<&ActivityId> = HashSet::new();
        let mut received: Vec<(&Activity, Timestamp)> = Vec::new();
        for (fact, received_at) in facts {
            match fact {
                Fact::Activity(activity) => received.push((activity, received_at)),
                Fact::Void(Void { activity, .. }) => {
                    voided.insert(&activity.id);
                }
                Fact::Adjustment(_) => {}
            }
        }
        received.retain(|(activity, _)| !voided.contains(&activity.id));
        // The first with an id wins.
        received.sort_by(|(a, a_at), (b, b_at)| (&a.id, a_at).cmp(&(&b.id, b_at)));
        received.dedup_by(|(later, _), (first, _)| later.id == first.id);
        received.sort_by_key(|(activity, _)| activity.occurred_at);
        debug_assert!(
            received.windows(2).all(|pair| pair[0].0.user == pair[1].0.user),
            "the facts are those of one person"
        );
        let seen = received.into_iter().map(|(activity, received_at)| Seen {
            activity,
            received_at,
            day: calendar.date(activity.occurred_at),
            points: points(activity, policy),
            metadata: OnceLock::new(),
        });
        Self(seen.collect())
    }
}

fn points(activity: &Activity, policy: &ScoringPolicy) -> u64 {
    let worth = policy.worth(&activity.kind, activity.occurred_at).ok();
    let points = worth.and_then(|worth| worth.points(activity.amount).ok());
    points.map_or(0, |points| points.max(0).unsigned_abs())
}

impl Seen<'_> {
    fn metadata(&self) -> &BTreeMap<String, Value> {
        let read = || self.activity.metadata.as_ref().map(rule::members);
        self.metadata.get_or_init(|| read().unwrap_or_default())
    }

    /// A bit for each matcher.
    fn meets(&self, matchers: &[Matcher]) -> u32 {
        rule::met(matchers, self.activity, || self.metadata())
    }
}

impl<'a> Match<'a> {
    /// The place of the activity in the order of receipt.
    fn receipt(&self) -> (Timestamp, &'a ActivityId) {
        (self.seen.received_at, &self.seen.activity.id)
    }

    fn id(&self) -> ActivityId {
        self.seen.activity.id.clone()
    }
}

/// The coins that a person's activities earn, in order of their periods.
///
/// It depends on nothing but the set of facts: not on their order, and not on when it is called. More activities
/// never undo a coin. They may change `found_at` and the evidence, if they were received before the coin was found.
pub fn coins(quest: &Quest, activities: &Activities<'_>) -> Vec<Coin> {
    let groups = groups(quest, activities).into_iter();
    groups
        .filter_map(|(period, matches)| coin(quest, period, &matches))
        .collect()
}

/// How far a person is who has not fulfilled a quest: in the period in which the most is done, the latest of those.
/// `None` if no activity matches, or if there is a coin for every period that has one.
pub fn closest(quest: &Quest, activities: &Activities<'_>) -> Option<Progress> {
    let groups = groups(quest, activities).into_iter();
    let reached = groups.map(|(period, matches)| (period, quest.rule.reached(quest.within, &matches)));
    let unmet = reached.filter(|(_, reached)| reached.amount < quest.rule.needed());
    let (period, Reached { amount, evidence }) = unmet.max_by_key(|(_, reached)| reached.amount)?;
    let matchers = quest.rule.matchers();
    let lacking = match &quest.rule {
        Rule::All(_) => {
            let is_lacking = |matcher: &usize| !evidence.iter().any(|activity| activity.meets(*matcher));
            let lacking = (0..matchers.len()).filter(is_lacking);
            lacking.map(|matcher| matchers[matcher].clone()).collect()
        }
        Rule::Ordered(_) => matchers.get(evidence.len()).cloned().into_iter().collect(),
        Rule::Count { .. } | Rule::Distinct { .. } | Rule::Points { .. } | Rule::Streak { .. } => Vec::new(),
    };
    Some(Progress {
        period,
        reached: amount,
        needed: quest.rule.needed(),
        days: (evidence.first()?.seen.day, evidence.last()?.seen.day),
        evidence: evidence.iter().map(Match::id).collect(),
        lacking,
    })
}

/// The activities that the rule is applied to: those that match, by what there is a coin for.
pub(super) fn groups<'a>(
    quest: &Quest,
    activities: &'a Activities<'a>,
) -> BTreeMap<CoinPeriod, Vec<Match<'a>>> {
    let mut groups: BTreeMap<CoinPeriod, Vec<Match<'a>>> = BTreeMap::new();
    for seen in &activities.0 {
        if !quest.is_in_time(seen.activity.occurred_at) {
            continue;
        }
        let meets = seen.meets(quest.rule.matchers());
        if meets != 0 {
            let group = groups.entry(period(quest.per, seen)).or_default();
            group.push(Match { seen, meets });
        }
    }
    groups
}

fn period(per: Per, seen: &Seen<'_>) -> CoinPeriod {
    let calendar =
        |window| Period::containing(window, seen.day).map_or(CoinPeriod::Once, CoinPeriod::Calendar);
    match per {
        Per::Once => CoinPeriod::Once,
        Per::Day => calendar(Window::Day),
        Per::Week => calendar(Window::Week),
        Per::Month => calendar(Window::Month),
        Per::Program => CoinPeriod::Program(seen.activity.program.clone()),
    }
}

/// The coin of one period. The rule stays met once it is met, so the first activity in order of receipt with which
/// it is met is found by binary search: for n activities, log n passes over them.
fn coin(quest: &Quest, period: CoinPeriod, matches: &[Match<'_>]) -> Option<Coin> {
    let is_met = |matches: &[Match<'_>]| quest.rule.is_met(quest.within, matches);
    if !is_met(matches) {
        return None;
    }
    let received_until = |last| -> Vec<Match<'_>> {
        let matches = matches.iter().filter(|activity| activity.receipt() <= last);
        matches.copied().collect()
    };
    let mut receipts: Vec<_> = matches.iter().map(Match::receipt).collect();
    receipts.sort_unstable();
    let found = receipts.partition_point(|last| !is_met(&received_until(*last)));
    let (found_at, found_by) = receipts[found];
    let Reached { evidence, .. } = quest
        .rule
        .reached(quest.within, &received_until((found_at, found_by)));
    let user = &matches[0].seen.activity.user;
    Some(Coin {
        id: CoinId::new(&quest.id, quest.version, user, &period),
        quest: quest.id.clone(),
        version: quest.version,
        user: user.clone(),
        period,
        found_at,
        found_by: found_by.clone(),
        evidence: evidence.iter().map(Match::id).collect(),
    })
}

#[cfg(test)]
mod tests;
