//! How far activities meet a rule, and which of them show it.
//!
//! A window is all activities from one on that occurred within the quest's `within` of it, or all activities without
//! a `within`. A rule is met if it is met in a window. The evidence is taken from the first window in which it is met:
//! - `all`: for each matcher the first activity that meets it;
//! - `ordered`: the first activity that meets the first matcher, then the first one after it that meets the second,
//!   and so on;
//! - `count`: the first activities, as many as are needed;
//! - `distinct`: for each of the first values, as many as are needed, the first activity that has it;
//! - `points`: the first activities that come to the points, without those that are worth none;
//! - `streak`: of the first days or weeks in a row, as many as are needed, the first activity of each.
//!
//! First is always by (`occurred_at`, `activity_id`), and each function here takes activities in that order. All of
//! them pass once over the activities.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use jiff::civil::Date;

use super::Within;
use super::evaluate::Seen;
use super::rule::{Property, Rule, Unit};
use crate::calendar::{Period, Window};
use crate::id::{Kind, ProgramId};

/// An activity that meets a matcher of the quest.
#[derive(Clone, Copy)]
pub(super) struct Match<'a> {
    pub seen: &'a Seen<'a>,
    /// A bit for each matcher, the lowest for the first.
    pub meets: u32,
}

impl Match<'_> {
    pub fn meets(&self, matcher: usize) -> bool {
        self.meets & (1 << matcher) != 0
    }
}

/// How far a rule is met. If it is not, the evidence is that of the first window in which most of it is.
pub(super) struct Reached<'a> {
    /// Of what [`Rule::needed`] counts. More points than needed may be reached.
    pub amount: u64,
    pub evidence: Vec<Match<'a>>,
}

impl Rule {
    /// How many matchers, activities, values, points, days or weeks it takes.
    pub(super) fn needed(&self) -> u64 {
        match self {
            Self::All(matchers) | Self::Ordered(matchers) => matchers.len() as u64,
            Self::Count { at_least, .. }
            | Self::Distinct { at_least, .. }
            | Self::Points { at_least, .. }
            | Self::Streak { at_least, .. } => (*at_least).into(),
        }
    }

    pub(super) fn is_met(&self, within: Option<Within>, activities: &[Match<'_>]) -> bool {
        self.reached(within, activities).amount >= self.needed()
    }

    pub(super) fn reached<'a>(&self, within: Option<Within>, activities: &[Match<'a>]) -> Reached<'a> {
        match self {
            Self::Ordered(matchers) => {
                let window = window_of_steps(matchers.len(), within, activities);
                steps(matchers.len(), &activities[window])
            }
            Self::Streak { unit, at_least, .. } => longest_run(*unit, *at_least, activities),
            Self::All(_) | Self::Count { .. } | Self::Distinct { .. } | Self::Points { .. } => {
                let window = best_window(self, within, activities);
                first_that_add(self, &activities[window])
            }
        }
    }
}

fn is_within(first: &Match<'_>, last: &Match<'_>, within: Option<Within>) -> bool {
    let span = last
        .seen
        .activity
        .occurred_at
        .duration_since(first.seen.activity.occurred_at);
    within.is_none_or(|within| span <= within.duration())
}

/// What counts once for `all` and `distinct`.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Value<'a> {
    Matcher(usize),
    Program(&'a ProgramId),
    Kind(&'a Kind),
    Day(Date),
}

/// The values that an activity adds to a rule that counts values.
fn values<'a>(rule: &Rule, of: Match<'a>) -> impl Iterator<Item = Value<'a>> + use<'a> {
    let activity = of.seen.activity;
    let (matchers, property) = match rule {
        Rule::All(matchers) => (matchers.len(), None),
        Rule::Distinct { property, .. } => {
            let value = match property {
                Property::Program => Value::Program(&activity.program),
                Property::Kind => Value::Kind(&activity.kind),
                Property::Day => Value::Day(of.seen.day),
            };
            (0, Some(value))
        }
        Rule::Ordered(_) | Rule::Count { .. } | Rule::Points { .. } | Rule::Streak { .. } => (0, None),
    };
    let met = (0..matchers).filter(move |matcher| of.meets(*matcher));
    met.map(Value::Matcher).chain(property)
}

/// What an activity adds to a rule that adds up.
fn weight(rule: &Rule, of: Match<'_>) -> u64 {
    match rule {
        Rule::Points { .. } => of.seen.points,
        Rule::Count { .. } => 1,
        Rule::All(_) | Rule::Ordered(_) | Rule::Distinct { .. } | Rule::Streak { .. } => 0,
    }
}

/// What the activities of a window come to: a sum, or so many values.
struct Content<'r, 'a> {
    rule: &'r Rule,
    sum: u64,
    /// How many activities have each value.
    values: HashMap<Value<'a>, usize>,
}

impl<'r, 'a> Content<'r, 'a> {
    fn new(rule: &'r Rule) -> Self {
        let values = HashMap::new();
        Self { rule, sum: 0, values }
    }

    fn amount(&self) -> u64 {
        self.sum + self.values.len() as u64
    }

    fn add(&mut self, added: Match<'a>) {
        self.sum += weight(self.rule, added);
        for value in values(self.rule, added) {
            *self.values.entry(value).or_default() += 1;
        }
    }

    /// Takes out what was added before.
    fn remove(&mut self, removed: Match<'a>) {
        self.sum -= weight(self.rule, removed);
        for value in values(self.rule, removed) {
            if let Some(count) = self.values.get_mut(&value) {
                *count -= 1;
                if *count == 0 {
                    self.values.remove(&value);
                }
            }
        }
    }
}

/// The first window in which the rule is met, or in which most of it is.
fn best_window(rule: &Rule, within: Option<Within>, activities: &[Match<'_>]) -> Range<usize> {
    let mut content = Content::new(rule);
    let (mut best, mut window, mut end) = (0, 0..0, 0);
    for (start, first) in activities.iter().enumerate() {
        while content.amount() < rule.needed()
            && let Some(last) = activities.get(end)
            && is_within(first, last, within)
        {
            content.add(*last);
            end += 1;
        }
        if content.amount() > best {
            best = content.amount();
            window = start..end;
        }
        // It is met, or later windows have nothing that this one lacks.
        if best >= rule.needed() || end == activities.len() {
            break;
        }
        content.remove(*first);
    }
    window
}

/// The activities that add something, until the rule is met.
fn first_that_add<'a>(rule: &Rule, window: &[Match<'a>]) -> Reached<'a> {
    let mut content = Content::new(rule);
    let mut evidence = Vec::new();
    for activity in window {
        let before = content.amount();
        if before >= rule.needed() {
            break;
        }
        content.add(*activity);
        if content.amount() > before {
            evidence.push(*activity);
        }
    }
    Reached {
        amount: content.amount(),
        evidence,
    }
}

/// The first window that has all steps, or else most of them. It begins with the first activity that may belong to
/// it, so it need not begin with a step.
///
/// Of all ways to take the steps until an activity, the one that began last fits a window if any does. So it is
/// enough to keep the latest begin for each number of steps.
fn window_of_steps(count: usize, within: Option<Within>, activities: &[Match<'_>]) -> Range<usize> {
    let mut latest_begins: Vec<Option<usize>> = vec![None; count];
    let (mut reached, mut window) = (0, 0..0);
    for (at, last) in activities.iter().enumerate() {
        // From the last step to the first, since an activity is one step only.
        for step in (0..count).rev().filter(|step| last.meets(*step)) {
            let begin = match step.checked_sub(1) {
                None => Some(at),
                Some(before) => latest_begins[before],
            };
            latest_begins[step] = begin;
            if step >= reached
                && let Some(begin) = begin
                && is_within(&activities[begin], last, within)
            {
                reached = step + 1;
                window = activities.partition_point(|first| !is_within(first, last, within))..at + 1;
            }
        }
        if reached == count {
            break;
        }
    }
    window
}

/// The first steps in a window.
fn steps<'a>(count: usize, window: &[Match<'a>]) -> Reached<'a> {
    let mut evidence: Vec<Match<'a>> = Vec::new();
    for activity in window {
        if evidence.len() < count && activity.meets(evidence.len()) {
            evidence.push(*activity);
        }
    }
    Reached {
        amount: evidence.len() as u64,
        evidence,
    }
}

/// The first run of so many days or weeks, or the longest one.
fn longest_run<'a>(unit: Unit, needed: u32, activities: &[Match<'a>]) -> Reached<'a> {
    let window = match unit {
        Unit::Day => Window::Day,
        Unit::Week => Window::Week,
    };
    let mut firsts: BTreeMap<Period, Match<'a>> = BTreeMap::new();
    for activity in activities {
        if let Some(period) = Period::containing(window, activity.seen.day) {
            firsts.entry(period).or_insert(*activity);
        }
    }
    let (mut run, mut longest) = (Vec::new(), Vec::new());
    let mut next = None;
    for (period, first) in firsts {
        if next != Some(period) {
            run.clear();
        }
        run.push(first);
        next = period.following();
        if run.len() > longest.len() {
            longest.clone_from(&run);
        }
        if longest.len() as u64 >= needed.into() {
            break;
        }
    }
    Reached {
        amount: longest.len() as u64,
        evidence: longest,
    }
}
