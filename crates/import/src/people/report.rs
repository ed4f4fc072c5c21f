//! What an import of people did, or would do.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use client::wire::Outcome;
use domain::UserId;
use terminal::text::grouped;

use crate::tally::Rejection;

/// Refused rows that are named. The rest are counted.
const REFUSED_SHOWN: usize = 20;

/// Groups of ids that differ only in case that are named, and ids of a group.
const GROUPS_SHOWN: usize = 20;
const IDS_SHOWN: usize = 5;

#[derive(Debug, Default)]
pub struct Report {
    new: u64,
    changed: u64,
    unchanged: u64,
    refused: u64,
    shown: Vec<Rejection>,
    pub cases: Cases,
}

impl Report {
    pub fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Created => self.new += 1,
            Outcome::Changed => self.changed += 1,
            Outcome::Unchanged => self.unchanged += 1,
        }
    }

    pub fn refuse(&mut self, rejection: Rejection) {
        self.refused += 1;
        if self.shown.len() < REFUSED_SHOWN {
            self.shown.push(rejection);
        }
    }

    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// The rows of which it is known what became of them.
    pub fn rows(&self) -> u64 {
        self.new + self.changed + self.unchanged + self.refused
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "new       {:>12}", grouped(self.new))?;
        writeln!(f, "changed   {:>12}", grouped(self.changed))?;
        writeln!(f, "unchanged {:>12}", grouped(self.unchanged))?;
        write!(f, "refused   {:>12}", grouped(self.refused))?;
        for rejection in &self.shown {
            write!(f, "\n  {rejection}")?;
        }
        write_more(f, "\n  ", self.refused, self.shown.len())?;
        self.cases.fmt(f)
    }
}

fn write_more(f: &mut fmt::Formatter<'_>, before: &str, all: u64, shown: usize) -> fmt::Result {
    match all.saturating_sub(shown as u64) {
        0 => Ok(()),
        more => write!(f, "{before}and {} more", grouped(more)),
    }
}

/// The ids of the file by their lower case, each with those that differ from it only in case.
#[derive(Debug, Default)]
pub struct Cases(BTreeMap<String, BTreeSet<UserId>>);

impl Cases {
    /// Notes an id of the file.
    pub fn note(&mut self, user: &UserId) {
        let lower = user.as_str().to_ascii_lowercase();
        self.0.entry(lower).or_default().insert(user.clone());
    }

    /// Notes an id of the directory, if it differs from one of the file only in case.
    pub fn note_other(&mut self, user: &UserId) {
        if let Some(group) = self.0.get_mut(&user.as_str().to_ascii_lowercase()) {
            group.insert(user.clone());
        }
    }
}

impl fmt::Display for Cases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups = self.0.values().filter(|group| group.len() > 1);
        let all = groups.clone().count();
        for group in groups.take(GROUPS_SHOWN) {
            let people = match group.len() {
                2 => "two people".to_owned(),
                people => format!("{} people", grouped(people as u64)),
            };
            // In lower case first.
            let ids: Vec<_> = group.iter().rev().map(UserId::as_str).collect();
            let (shown, rest) = ids.split_at(ids.len().min(IDS_SHOWN));
            match (shown, rest) {
                ([first @ .., last], []) => write!(f, "\n{} and {last}", first.join(", "))?,
                (shown, rest) => write!(
                    f,
                    "\n{} and {} more",
                    shown.join(", "),
                    grouped(rest.len() as u64)
                )?,
            }
            write!(f, " differ only in case: they are {people}")?;
        }
        write_more(f, "\n", all as u64, all.min(GROUPS_SHOWN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::Place;

    /// The report of so many refused rows, and of these ids of the file and of the directory.
    #[track_caller]
    fn check(refused: u64, of_file: &[&str], of_directory: &[&str], expected: &str) {
        let mut report = Report {
            new: 1_234,
            ..Report::default()
        };
        for outcome in [
            Outcome::Created,
            Outcome::Changed,
            Outcome::Unchanged,
            Outcome::Unchanged,
        ] {
            report.add(outcome);
        }
        for line in 1..=refused {
            report.refuse(Rejection {
                place: Place::Line(line),
                code: "empty".to_owned(),
                field: None,
                detail: "no".to_owned(),
            });
        }
        for id in of_file {
            report.cases.note(&id.parse().expect("an id"));
        }
        for id in of_directory {
            report.cases.note_other(&id.parse().expect("an id"));
        }
        assert_eq!(report.rows(), 1_238 + refused);
        let counts = format!(
            "new              1,235\nchanged              1\nunchanged            2\nrefused   {:>12}",
            grouped(refused)
        );
        assert_eq!(
            report.to_string().strip_prefix(&counts),
            Some(expected),
            "{report}"
        );
    }

    #[test]
    fn refused_rows_are_named_up_to_a_bound() {
        check(0, &[], &[], "");
        check(2, &[], &[], "\n  line 1: empty: no\n  line 2: empty: no");
        let lines = |count: u64| {
            let lines = (1..=count).map(|line| format!("\n  line {line}: empty: no"));
            lines.collect::<Vec<_>>().concat()
        };
        check(20, &[], &[], &lines(20));
        check(1_025, &[], &[], &(lines(20) + "\n  and 1,005 more"));
    }

    #[test]
    fn ids_that_differ_only_in_case_are_named() {
        check(0, &["u-ann", "u-bob"], &["u-ann", "U-Cy", "u-cy"], "");
        check(
            0,
            &["u-ann", "U-Ann", "u-bob"],
            &["U-BOB"],
            "\nu-ann and U-Ann differ only in case: they are two people\
             \nu-bob and U-BOB differ only in case: they are two people",
        );
        check(
            0,
            &["ann", "Ann"],
            &["ANN", "anN"],
            "\nann, anN, Ann and ANN differ only in case: they are 4 people",
        );
        check(
            0,
            &["ann", "Ann", "ANN", "anN", "aNN", "AnN", "aNn"],
            &[],
            "\nann, anN, aNn, aNN, Ann and 2 more differ only in case: they are 7 people",
        );
        let ids: Vec<_> = (10..35)
            .flat_map(|n| [format!("u{n}"), format!("U{n}")])
            .collect();
        let ids: Vec<_> = ids.iter().map(String::as_str).collect();
        let lines = (10..30).map(|n| format!("\nu{n} and U{n} differ only in case: they are two people"));
        let lines = lines.collect::<Vec<_>>().concat();
        check(0, &ids, &[], &(lines + "\nand 5 more"));
    }
}
