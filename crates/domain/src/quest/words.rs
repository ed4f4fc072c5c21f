//! Quests and progress in English.

use std::fmt::Write as _;

use jiff::civil::Date;

use super::evaluate::Progress;
use super::rule::{Matcher, Property, Rule, Unit};
use super::{CoinPeriod, Per, Quest};
use crate::calendar::{Period, Window};

impl Quest {
    /// What one has to do for the coin, as one sentence.
    pub fn in_words(&self) -> String {
        let scope = match self.per {
            Per::Once => "Once",
            Per::Day => "Each day",
            Per::Week => "Each week",
            Per::Month => "Each month",
            Per::Program => "In each program",
        };
        let mut words = format!("{scope}: {}", self.rule.in_words());
        // Writing to a string cannot fail.
        if let Some(within) = self.within {
            let _ = write!(words, ", within {within}");
        }
        if let Some(from) = self.starts_at {
            let _ = write!(words, ", from {from} on");
        }
        if let Some(until) = self.ends_at {
            let _ = write!(words, ", before {until}");
        }
        if let Some(supply) = self.supply {
            let _ = write!(words, "; for the first {}", counted(supply, "finder"));
        }
        words + "."
    }
}

impl Rule {
    fn in_words(&self) -> String {
        match self {
            Self::All(matchers) => format!("in any order {}", list(matchers, ", ", " and ")),
            Self::Ordered(matchers) => format!("one after the other {}", list(matchers, ", ", ", then ")),
            Self::Count { of, at_least: 1 } => one(of),
            Self::Count { of, at_least } => format!("{at_least} {}", many(of)),
            Self::Points { of, at_least } => format!("{} from {}", counted(*at_least, "point"), many(of)),
            Self::Distinct {
                of,
                property,
                at_least,
            } => {
                let preposition = match property {
                    Property::Program => "in",
                    Property::Kind => "of",
                    Property::Day => "on",
                };
                let noun = format!("different {}", property.noun());
                format!("{} {preposition} {}", many(of), counted(*at_least, &noun))
            }
            Self::Streak { of, unit, at_least } => {
                let preposition = match unit {
                    Unit::Day => "on",
                    Unit::Week => "in",
                };
                let units = counted(*at_least, unit.noun());
                format!("{} {preposition} {units} in a row", many(of))
            }
        }
    }
}

impl Property {
    fn noun(self) -> &'static str {
        match self {
            Self::Program => "program",
            Self::Kind => "kind",
            Self::Day => "day",
        }
    }
}

impl Unit {
    fn noun(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Week => "week",
        }
    }
}

impl Progress {
    /// How far the quest is done, such as `4 of 5 days in a row: 2026-03-01 … 2026-03-04`.
    pub fn in_words(&self, quest: &Quest) -> String {
        let unit = match &quest.rule {
            Rule::All(_) => "conditions",
            Rule::Ordered(_) => "steps",
            Rule::Count { .. } => "activities",
            Rule::Points { .. } => "points",
            Rule::Distinct { property, .. } => match property {
                Property::Program => "programs",
                Property::Kind => "kinds",
                Property::Day => "days",
            },
            Rule::Streak { unit, .. } => match unit {
                Unit::Day => "days in a row",
                Unit::Week => "weeks in a row",
            },
        };
        let Self { reached, needed, .. } = self;
        let mut words = format!("{reached} of {needed} {unit}");
        if self.period != CoinPeriod::Once {
            words = format!("{}: {words}", self.period);
        }
        let week = |day: Date| {
            Period::containing(Window::Week, day).map_or_else(String::new, |week| week.to_string())
        };
        let (first, last) = match quest.rule {
            Rule::Streak { unit: Unit::Week, .. } => (week(self.days.0), week(self.days.1)),
            _ => (self.days.0.to_string(), self.days.1.to_string()),
        };
        words = if first == last {
            format!("{words}: {first}")
        } else {
            format!("{words}: {first} … {last}")
        };
        if !self.lacking.is_empty() {
            words = format!("{words}; lacking {}", list(&self.lacking, ", ", " and "));
        }
        words
    }

    /// What is lacking, each such as `an activity of the kind mentoring`.
    pub fn lacking_in_words(&self) -> Vec<String> {
        self.lacking.iter().map(one).collect()
    }
}

/// A matcher as one activity.
fn one(matcher: &Matcher) -> String {
    format!("an activity{}", qualities(matcher))
}

/// A matcher as activities.
fn many(matcher: &Matcher) -> String {
    format!("activities{}", qualities(matcher))
}

fn qualities(matcher: &Matcher) -> String {
    let Matcher {
        kind,
        program,
        metadata,
    } = matcher;
    let kind = kind.iter().map(|kind| format!(" of the kind {kind}"));
    let program = program.iter().map(|program| format!(" in the program {program}"));
    let metadata: Vec<_> = metadata
        .iter()
        .map(|(key, value)| format!("{key} {value}"))
        .collect();
    let metadata = (!metadata.is_empty()).then(|| format!(" with {}", metadata.join(" and ")));
    kind.chain(program).chain(metadata).collect()
}

fn list(matchers: &[Matcher], comma: &str, before_last: &str) -> String {
    let matchers: Vec<_> = matchers.iter().map(one).collect();
    match matchers.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => [&rest.join(comma), before_last, last].concat(),
        None => String::new(),
    }
}

fn counted(number: u32, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::quest;

    #[test]
    fn a_quest_is_told_in_words() {
        for (fields, expected) in [
            (
                r#""per":"once","rule":{"count":{"of":{"kind":"mentoring"},"at_least":1}}"#,
                "Once: an activity of the kind mentoring.",
            ),
            (
                r#""per":"day","rule":{"count":{"of":{"kind":"k","program_id":"p","metadata":{"level":2,"team":"x"}},"at_least":10}}"#,
                r#"Each day: 10 activities of the kind k in the program p with level 2 and team "x"."#,
            ),
            (
                r#""per":"month","rule":{"all":[{"kind":"a"},{"kind":"b"},{"program_id":"p"}]}"#,
                "Each month: in any order an activity of the kind a, an activity of the kind b and an activity in the program p.",
            ),
            (
                r#""per":"program","within":"7d","rule":{"ordered":[{"kind":"a"},{},{"kind":"b"}]}"#,
                "In each program: one after the other an activity of the kind a, an activity, then an activity of the kind b, within 7 days.",
            ),
            (
                r#""per":"once","within":"36h","supply":10,"rule":{"distinct":{"of":{},"field":"program_id","at_least":3}}"#,
                "Once: activities in 3 different programs, within 36 hours; for the first 10 finders.",
            ),
            (
                r#""per":"once","rule":{"distinct":{"of":{},"field":"kind","at_least":2}}"#,
                "Once: activities of 2 different kinds.",
            ),
            (
                r#""per":"month","starts_at":"2024-01-01T00:00:00Z","ends_at":"2025-01-01T00:00:00Z","rule":{"distinct":{"of":{},"field":"day","at_least":3}}"#,
                "Each month: activities on 3 different days, from 2024-01-01T00:00:00Z on, before 2025-01-01T00:00:00Z.",
            ),
            (
                r#""per":"week","rule":{"points":{"of":{"kind":"k"},"at_least":100}}"#,
                "Each week: 100 points from activities of the kind k.",
            ),
            (
                r#""per":"once","rule":{"streak":{"of":{},"unit":"day","at_least":5}}"#,
                "Once: activities on 5 days in a row.",
            ),
            (
                r#""per":"once","rule":{"streak":{"of":{"kind":"k"},"unit":"week","at_least":4}}"#,
                "Once: activities of the kind k in 4 weeks in a row.",
            ),
        ] {
            assert_eq!(quest(fields).in_words(), expected);
        }
    }
}
