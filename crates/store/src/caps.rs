//! Caps: at most so many points count of one person, program, kind and day.
//!
//! What counts is the smaller of the cap and the sum of the day, so neither order nor late arrival matters, and
//! a void revives what the cap had suppressed. The sums are an item of the dedup table for each kind and day, which is
//! written in one transaction with the standing. Its name has the standing's epoch, so whoever reads it after
//! the standing, and then writes the standing on the condition of its version, has read what belongs to it.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::counters::Sum;
use domain::{Kind, PerWindow, Window};
use jiff::civil::Date;

use crate::item::{Item, number, string};
use crate::keys::{StandingKey, attribute};
use crate::ledger::Epoch;

/// The cap of a kind on one day. Where a policy changes during a day, each of its caps has a sum of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cap {
    pub kind: Kind,
    pub day: Date,
    pub max: u32,
}

/// The key of the sums of a cap in the dedup table, such as `g2 ann chess 0f3a5b7c9d1e2f40 cap walk 2026-11-21 50`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CapName(String);

impl CapName {
    pub fn new(standing: &StandingKey, epoch: Epoch, cap: &Cap) -> Self {
        let StandingKey {
            generation,
            user,
            program,
            ..
        } = standing;
        let Cap { kind, day, max } = cap;
        Self(format!(
            "{generation} {user} {program} {epoch} cap {kind} {day} {max}"
        ))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The points of a kind on a day before the cap: of what counts in all time, and in the day, week, month and season. A
/// late fact is in some of them and not in others.
pub type CapSums = PerWindow<i64>;

/// Adds to the sums of a cap, and returns by how much that changes what counts.
pub fn add(sums: &mut CapSums, max: u32, added: PerWindow<Sum>) -> PerWindow<Sum> {
    let counted = |sums: &CapSums, window| sums.get(window).min(i64::from(max));
    let before = *sums;
    for window in Window::EVERY {
        *sums.get_mut(window) += added.get(window).points;
    }
    PerWindow::of_each(|window| Sum {
        points: counted(sums, window) - counted(&before, window),
        activities: added.get(window).activities,
    })
}

/// The item of these sums.
pub(crate) fn item(name: &CapName, sums: &CapSums) -> Item {
    let sums = Window::EVERY.map(|window| (window.as_str().to_owned(), number(sums.get(window))));
    let mut item = Item::from(sums);
    item.insert(attribute::ACTIVITY.to_owned(), string(name.as_str()));
    item
}

/// The sums in an item. `None` if it has none.
pub(crate) fn of_item(item: &Item) -> Option<CapSums> {
    let sum = |window: Window| match item.get(window.as_str()) {
        Some(AttributeValue::N(sum)) => sum.parse().ok(),
        _ => None,
    };
    Some(CapSums {
        all: sum(Window::All)?,
        month: sum(Window::Month)?,
        week: sum(Window::Week)?,
        day: sum(Window::Day)?,
        // Missing from before there were seasons, when the day was in none.
        season: sum(Window::Season).unwrap_or_default(),
    })
}

/// The sums of all caps of a standing, as its facts come in.
#[derive(Clone, Debug, Default)]
pub struct Caps(BTreeMap<Cap, CapSums>);

impl Caps {
    /// What a fact counts for after those before it.
    pub fn counted(&mut self, cap: Option<&Cap>, sums: PerWindow<Sum>) -> PerWindow<Sum> {
        match cap {
            None => sums,
            Some(cap) => add(self.0.entry(cap.clone()).or_default(), cap.max, sums),
        }
    }

    pub fn into_sums(self) -> impl Iterator<Item = (Cap, CapSums)> {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sums_are_read_as_they_were_written() {
        let sums = CapSums {
            all: 70,
            month: -5,
            week: 0,
            day: 10,
            season: 30,
        };
        let name = CapName("g1 ann p 0001020304050607 cap walk 2026-11-21 50".to_owned());
        assert_eq!(of_item(&item(&name, &sums)), Some(sums));
        assert_eq!(of_item(&Item::new()), None);
    }

    proptest! {
        /// Activities of one day with their points, whether each is in time for each window, and whether a void
        /// takes it out.
        #[test]
        fn what_counts_is_the_sum_up_to_the_cap_in_every_order(
            activities in vec((0..30_i64, any::<[bool; 5]>(), any::<bool>()), 0..12),
            order in vec(any::<prop::sample::Index>(), 24),
            max in 1..60_u32,
        ) {
            let sums = |sign: i64, (points, is_in, _): &(i64, [bool; 5], bool)| {
                PerWindow::of_each(|window| {
                    let at = Window::EVERY.iter().position(|each| *each == window).unwrap();
                    let counts = if is_in[at] { sign } else { 0 };
                    Sum { points: counts * points, activities: counts }
                })
            };
            let mut facts: Vec<_> = activities.iter().map(|activity| sums(1, activity)).collect();
            facts.extend(activities.iter().filter(|activity| activity.2).map(|activity| sums(-1, activity)));
            let left: Vec<_> = activities.iter().filter(|activity| !activity.2).map(|activity| sums(1, activity)).collect();
            let cap = Cap { kind: "walk".parse().unwrap(), day: "2026-11-21".parse().unwrap(), max };
            let mut caps = Caps::default();
            let mut counted = PerWindow::<Sum>::default();
            for index in order {
                if facts.is_empty() {
                    break;
                }
                counted += caps.counted(Some(&cap), facts.swap_remove(index.index(facts.len())));
            }
            for fact in facts {
                counted += caps.counted(Some(&cap), fact);
            }
            for window in Window::EVERY {
                let points: i64 = left.iter().map(|sums| sums.get(window).points).sum();
                let activities: i64 = left.iter().map(|sums| sums.get(window).activities).sum();
                prop_assert_eq!(counted.get(window), Sum { points: points.min(max.into()), activities });
            }
        }
    }
}
