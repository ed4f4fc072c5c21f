//! Gates: what a person still lacks at least before a proof can change anything. They spare reading all facts of a
//! person for each activity.
//!
//! A gate may say that a rule could be met when it cannot. It never says that it cannot be met when it can: each
//! number here is a lower bound of the further facts that it takes, over all periods that may be completed and all
//! windows within them. A fact that is told twice only makes it too low.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::Value;

use super::coin::Coin;
use super::evaluate::{Activities, groups};
use super::reach::Match;
use super::rule::{self, Matcher, Rule, Unit};
use super::{Per, Quest};
use crate::activity::Activity;
use crate::calendar::{Period, Window};
use crate::fact::Fact;
use crate::policy::ScoringPolicy;

/// What a person lacks in one quest, as of an evaluation and the facts that were told since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gate {
    /// It takes at least so many further facts for a new coin. `None` if there can be none.
    pub lacking: Option<u32>,
    /// Facts that meet none of these matchers do not count for that. A bit for each matcher.
    pub unmet: u32,
    /// When the last coin was found. What was received until then may change a coin.
    pub found_until: Option<Timestamp>,
}

/// What a fact can be to a quest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Touch {
    /// It meets these matchers, with a bit for each.
    Meets(u32),
    /// It takes out an activity that meets some.
    Voids,
}

impl Touch {
    /// `None` if the fact matters nothing to the quest.
    pub fn of(fact: &Fact, quest: &Quest) -> Option<Self> {
        match fact {
            Fact::Activity(activity) => Some(meets(activity, quest))
                .filter(|meets| *meets != 0)
                .map(Self::Meets),
            Fact::Void(void) => (meets(&void.activity, quest) != 0).then_some(Self::Voids),
            Fact::Adjustment(_) => None,
        }
    }
}

fn meets(activity: &Activity, quest: &Quest) -> u32 {
    if !quest.is_in_time(activity.occurred_at) {
        return 0;
    }
    let metadata: OnceLock<BTreeMap<String, Value>> = OnceLock::new();
    let read = || activity.metadata.as_ref().map(rule::members);
    rule::met(quest.rule.matchers(), activity, || {
        metadata.get_or_init(|| read().unwrap_or_default())
    })
}

impl Gate {
    /// The gate after an evaluation of all these activities, which gave these coins.
    pub fn new(quest: &Quest, activities: &Activities<'_>, coins: &[Coin], policy: &ScoringPolicy) -> Self {
        let met: BTreeSet<_> = coins.iter().map(|coin| &coin.period).collect();
        let groups = groups(quest, activities);
        // Another period may begin, unless there is only one.
        let begins_empty = quest.per != Per::Once || groups.is_empty();
        let empty: &[Match<'_>] = &[];
        let open = groups.iter().filter(|(period, _)| !met.contains(period));
        let open = open.map(|(_, matches)| matches.as_slice());
        let (mut lacking, mut unmet) = (None, 0);
        for matches in open.chain(begins_empty.then_some(empty)) {
            let (of_period, unmet_in_period) = lacking_in(quest, matches, policy);
            unmet |= unmet_in_period;
            lacking = match (lacking, of_period) {
                (Some(least), Some(of_period)) => Some(of_period.min(least)),
                (least, of_period) => least.or(of_period),
            };
        }
        Self {
            lacking,
            unmet,
            found_until: coins.iter().map(|coin| coin.found_at).max(),
        }
    }

    /// Tells of a further fact, which may have been told before. Returns whether a proof may change anything now.
    pub fn raise(&mut self, touch: Touch, received_at: Timestamp) -> bool {
        let Touch::Meets(meets) = touch else {
            return true;
        };
        if meets & self.unmet != 0 {
            self.lacking = self.lacking.map(|lacking| lacking.saturating_sub(1));
        }
        self.lacking == Some(0) || self.found_until.is_some_and(|until| received_at <= until)
    }

    /// Whether this would stay closed for a fact that opens `evaluated`, the gate of an evaluation of facts that were all
    /// told. So one of them was not.
    pub fn hides(&self, evaluated: &Self) -> bool {
        let is_further = match (self.lacking, evaluated.lacking) {
            (_, None) => false,
            (None, Some(_)) => true,
            (Some(lacking), Some(evaluated)) => lacking > evaluated,
        };
        let is_narrower = evaluated.lacking.is_some() && evaluated.unmet & !self.unmet != 0;
        is_further || is_narrower || self.found_until < evaluated.found_until
    }
}

/// How many facts a period lacks at least in which the rule is not met, and the matchers that these must meet.
fn lacking_in(quest: &Quest, seen: &[Match<'_>], policy: &ScoringPolicy) -> (Option<u32>, u32) {
    const ANY: u32 = u32::MAX;
    let needed = quest.rule.needed();
    let reached = || quest.rule.reached(quest.within, seen).amount;
    let (lacking, unmet) = match &quest.rule {
        Rule::All(matchers) => {
            // With a bound of time, an activity may be needed again that another window has.
            let met = seen.iter().fold(0, |met, of| met | of.meets);
            let met = if quest.within.is_some() { 0 } else { met };
            let unmet = matchers.iter().enumerate().filter(|(at, _)| met & (1 << at) == 0);
            let bits = unmet.clone().fold(0, |bits, (at, _)| bits | 1 << at);
            let lacking = if quest.within.is_some() {
                1
            } else {
                activities_for(unmet.map(|(_, matcher)| matcher))
            };
            (Some(lacking), bits)
        }
        Rule::Ordered(matchers) => (Some(needed - steps_in_order(matchers.len(), seen)), ANY),
        Rule::Count { .. } | Rule::Distinct { .. } => (Some(needed - reached()), ANY),
        Rule::Points { of, .. } => {
            let most = u64::from(policy.most(of.kind.as_ref()));
            let missing = needed - reached();
            ((most > 0).then(|| missing.div_ceil(most)), ANY)
        }
        Rule::Streak { unit, at_least, .. } => {
            let most = most_units(*unit, *at_least, seen);
            (Some(needed - most.min(needed)), ANY)
        }
    };
    // The rule is not met, so it takes one.
    let lacking = lacking.map(|lacking| u32::try_from(lacking.max(1)).unwrap_or(u32::MAX));
    (lacking, unmet)
}

/// How many activities it takes at least to meet matchers: one activity has one kind and one program.
fn activities_for<'m>(matchers: impl Iterator<Item = &'m Matcher> + Clone) -> u64 {
    let kinds: BTreeSet<_> = matchers
        .clone()
        .filter_map(|matcher| matcher.kind.as_ref())
        .collect();
    let programs: BTreeSet<_> = matchers.filter_map(|matcher| matcher.program.as_ref()).collect();
    kinds.len().max(programs.len()) as u64
}

/// The most steps, not necessarily the first ones, that activities meet in their order, each step another one. A
/// further activity may come before the others and complete what they began in the middle.
fn steps_in_order(count: usize, matches: &[Match<'_>]) -> u64 {
    // The most of the first 0, 1, ... steps.
    let mut most = vec![0; count + 1];
    for activity in matches {
        for step in (0..count).rev().filter(|step| activity.meets(*step)) {
            most[step + 1] = most[step + 1].max(most[step] + 1);
        }
        for step in 0..count {
            most[step + 1] = most[step + 1].max(most[step]);
        }
    }
    most[count]
}

/// The most days or weeks with an activity among so many consecutive ones. A further activity may close a gap.
fn most_units(unit: Unit, at_least: u32, matches: &[Match<'_>]) -> u64 {
    let (window, days) = match unit {
        Unit::Day => (Window::Day, 1),
        Unit::Week => (Window::Week, 7),
    };
    let units: BTreeSet<_> = matches
        .iter()
        .filter_map(|of| Some(Period::containing(window, of.seen.day)?.first_day()))
        .collect();
    let units: Vec<_> = units.into_iter().collect();
    let span = i64::from(at_least) * days;
    let (mut most, mut first) = (0, 0);
    for (last, day) in units.iter().enumerate() {
        while i64::from((*day - units[first]).get_days()) >= span {
            first += 1;
        }
        most = most.max(last - first + 1);
    }
    most as u64
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{activities, calendar, policy, quest, received};
    use super::super::{Activities, coins};
    use super::*;

    /// The gate as `LACKING [UNMET]`, after activities as [`activities`] reads them.
    #[track_caller]
    fn check(fields: &str, given: &str, expected: &str) {
        let quest = quest(fields);
        let facts = received(activities(given).into_iter().map(Fact::Activity));
        let facts = facts.iter().map(|(fact, at)| (fact, *at));
        let seen = Activities::new(facts, &calendar("UTC"), &policy());
        let gate = Gate::new(&quest, &seen, &coins(&quest, &seen), &policy());
        let unmet = if gate.unmet == u32::MAX {
            String::new()
        } else {
            format!(" {:b}", gate.unmet)
        };
        let lacking = gate
            .lacking
            .map_or_else(|| "never".to_owned(), |lacking| lacking.to_string());
        assert_eq!(format!("{lacking}{unmet}"), expected, "{fields}: {given}");
    }

    #[test]
    fn a_gate_says_what_it_takes_at_least() {
        let day = |id: &str, day: u8| format!("{id} 2026-03-{day:02}T09:00:00Z;");
        let count = r#""per":"once","rule":{"count":{"of":{},"at_least":3}}"#;
        check(count, "", "3");
        check(count, &[day("a", 1), day("b", 2)].concat(), "1");
        check(
            count,
            &[day("a", 1), day("b", 2), day("c", 3)].concat(),
            "never 0",
        );
        // Another day may begin, and the best of those that began is two short of none.
        let daily = r#""per":"day","rule":{"count":{"of":{},"at_least":3}}"#;
        check(daily, &[day("a", 1), day("b", 1), day("c", 1)].concat(), "3");
        check(daily, &[day("a", 1), day("b", 1), day("c", 2)].concat(), "1");
        // The third day closes the gap, so three days of five are lacking nothing but one.
        let streak = r#""per":"once","rule":{"streak":{"of":{},"unit":"day","at_least":5}}"#;
        check(
            streak,
            &[day("a", 1), day("b", 2), day("d", 4), day("e", 5)].concat(),
            "1",
        );
        check(streak, &[day("a", 1), day("b", 20)].concat(), "4");
        // The first step may come last.
        let ordered = r#""per":"once","rule":{"ordered":[{"kind":"a"},{"kind":"b"},{"kind":"c"}]}"#;
        check(ordered, "1 2026-03-02T09:00:00Z b; 2 2026-03-03T09:00:00Z c", "1");
        check(ordered, "1 2026-03-02T09:00:00Z c; 2 2026-03-03T09:00:00Z b", "2");
        let all = r#""per":"once","rule":{"all":[{"kind":"a"},{"kind":"b"},{"kind":"c"}]}"#;
        check(all, "1 2026-03-02T09:00:00Z b", "2 101");
        let near = r#""per":"once","within":"1d","rule":{"all":[{"kind":"a"},{"kind":"b"}]}"#;
        check(near, "1 2026-03-02T09:00:00Z b", "1 11");
        let points = r#""per":"once","rule":{"points":{"of":{"kind":"k"},"at_least":35}}"#;
        check(points, "1 2026-03-02T09:00:00Z k", "3");
        let nothing = r#""per":"once","rule":{"points":{"of":{"kind":"free"},"at_least":1}}"#;
        check(nothing, "1 2026-03-02T09:00:00Z free", "never");
    }

    #[test]
    fn a_gate_hides_what_opens_a_lower_one() {
        let gate = |lacking, unmet, second: Option<i64>| Gate {
            lacking,
            unmet,
            found_until: second.map(|second| Timestamp::from_second(second).unwrap()),
        };
        let known = gate(Some(2), 0b11, Some(5));
        for evaluated in [known, gate(Some(3), 0b01, None), gate(None, 0, Some(5))] {
            assert!(!known.hides(&evaluated), "{evaluated:?}");
        }
        for evaluated in [
            gate(Some(1), 0b11, Some(5)),
            gate(Some(2), 0b111, Some(5)),
            gate(Some(2), 0b11, Some(6)),
        ] {
            assert!(known.hides(&evaluated), "{evaluated:?}");
        }
        assert!(gate(None, 0, None).hides(&known));
    }
}
