//! What differs between the other system's sums and its own facts, and why it probably does. Pure.
//!
//! That system counts each event by two updates, one of the sums of person and program and one of the person's total. A
//! crash before both loses the event, one between them splits it, and an update that is sent twice doubles it.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::source::Sums;

/// Why a sum probably differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Neither sum has it.
    Lost,
    /// One of the two sums lacks it.
    Split,
    /// It was counted twice.
    Doubled,
    /// Two readings do not agree: it is being counted.
    UnderWay,
}

impl Cause {
    pub const EVERY: [Self; 4] = [Self::Lost, Self::Split, Self::Doubled, Self::UnderWay];

    pub fn name(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Split => "split",
            Self::Doubled => "doubled",
            Self::UnderWay => "under way",
        }
    }
}

/// By how much a sum of a person in a program is more than its facts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct InProgram {
    pub employee_id: String,
    pub program_id: String,
    pub points: i64,
    pub count: i64,
    pub cause: Cause,
}

/// By how much a person's total is more than its facts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct InTotal {
    pub employee_id: String,
    pub points: i64,
    pub count: i64,
    pub cause: Cause,
}

/// The facts of a person summed up by program, and what the other system has summed up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    pub facts: BTreeMap<String, Sums>,
    pub progress: BTreeMap<String, Sums>,
    pub total: Sums,
}

impl std::ops::Sub for Sums {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            points: self.points - other.points,
            count: self.count - other.count,
        }
    }
}

impl std::ops::AddAssign for Sums {
    fn add_assign(&mut self, other: Self) {
        self.points += other.points;
        self.count += other.count;
    }
}

impl Person {
    /// What differs, by program and in all: the other system's sums less the facts.
    fn differences(&self) -> (BTreeMap<&str, Sums>, Sums) {
        let of =
            |sums: &BTreeMap<String, Sums>, program: &str| sums.get(program).copied().unwrap_or_default();
        let programs: BTreeSet<_> = self.facts.keys().chain(self.progress.keys()).collect();
        let programs = programs.into_iter().map(|program| {
            let difference = of(&self.progress, program) - of(&self.facts, program);
            (program.as_str(), difference)
        });
        let programs = programs.filter(|(_, difference)| *difference != Sums::default());
        (programs.collect(), self.total - sum(self.facts.values()))
    }

    pub fn differs(&self) -> bool {
        let (programs, total) = self.differences();
        !programs.is_empty() || total != Sums::default()
    }

    /// The differences with their likely causes. `is_settled` says that two readings agree.
    pub fn explained(&self, employee_id: &str, is_settled: bool) -> (Vec<InProgram>, Option<InTotal>) {
        let (programs, total) = self.differences();
        // What only one of the two sums has.
        let one_sided = total - sum(programs.values());
        let is_whole = one_sided == Sums::default();
        let by_sign = |difference: Sums| {
            if difference.count < 0 {
                Cause::Lost
            } else {
                Cause::Doubled
            }
        };
        let in_programs = programs.iter().map(|(program, &difference)| {
            // The total knows nothing of it.
            let is_split = !is_whole && one_sided == Sums::default() - difference;
            InProgram {
                employee_id: employee_id.to_owned(),
                program_id: (*program).to_owned(),
                points: difference.points,
                count: difference.count,
                cause: match (is_settled, is_split) {
                    (false, _) => Cause::UnderWay,
                    (true, true) => Cause::Split,
                    (true, false) => by_sign(difference),
                },
            }
        });
        let in_total = InTotal {
            employee_id: employee_id.to_owned(),
            points: total.points,
            count: total.count,
            cause: match (is_settled, is_whole) {
                (false, _) => Cause::UnderWay,
                (true, false) => Cause::Split,
                (true, true) => by_sign(total),
            },
        };
        (
            in_programs.collect(),
            (total != Sums::default()).then_some(in_total),
        )
    }
}

fn sum<'a>(sums: impl IntoIterator<Item = &'a Sums>) -> Sums {
    let mut all = Sums::default();
    for sum in sums {
        all += *sum;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums such as `p 10 2, q 5 1`: a program, points and events.
    fn sums(text: &str) -> BTreeMap<String, Sums> {
        let sums = text.split(", ").filter(|text| !text.is_empty()).map(|text| {
            let mut words = text.split(' ');
            let program = words.next().unwrap().to_owned();
            let mut number = || words.next().unwrap().parse().unwrap();
            let (points, count) = (number(), number());
            (program, Sums { points, count })
        });
        sums.collect()
    }

    fn check(facts: &str, progress: &str, (points, count): (i64, i64), expected: &str) {
        let person = Person {
            facts: sums(facts),
            progress: sums(progress),
            total: Sums { points, count },
        };
        let (programs, total) = person.explained("ann", true);
        let programs = programs.iter().map(|found| {
            let InProgram {
                program_id,
                points,
                count,
                cause,
                ..
            } = found;
            format!("{program_id} {points} {count} {}", cause.name())
        });
        let total = total.map(|found| format!("all {} {} {}", found.points, found.count, found.cause.name()));
        let got: Vec<_> = programs.chain(total).collect();
        assert_eq!(
            got.join(", "),
            expected,
            "{facts} | {progress} | {points} {count}"
        );
        assert_eq!(person.differs(), !got.is_empty());
    }

    #[test]
    fn a_difference_has_the_cause_that_the_two_sums_tell() {
        check("p 10 2", "p 10 2", (10, 2), "");
        check("p 10 2", "p 5 1", (5, 1), "p -5 -1 lost, all -5 -1 lost");
        check("p 10 2", "", (0, 0), "p -10 -2 lost, all -10 -2 lost");
        check("p 10 2", "p 15 3", (15, 3), "p 5 1 doubled, all 5 1 doubled");
        // One of the two updates was not made.
        check("p 10 2", "p 5 1", (10, 2), "p -5 -1 split");
        check("p 10 2", "p 10 2", (5, 1), "all -5 -1 split");
        // An update of one sum was made twice.
        check("p 10 2", "p 15 3", (10, 2), "p 5 1 split");
        // One event was lost, and another one in another program split.
        check(
            "p 10 2, q 4 1",
            "p 5 1, q 4 1",
            (5, 1),
            "p -5 -1 lost, all -9 -2 split",
        );
        check(
            "p 10 2, q 4 1",
            "p 5 1",
            (9, 2),
            "p -5 -1 lost, q -4 -1 split, all -5 -1 split",
        );
        // The other system has what it has no event of.
        check("", "p 3 1", (3, 1), "p 3 1 doubled, all 3 1 doubled");
    }

    #[test]
    fn what_two_readings_do_not_agree_on_is_under_way() {
        let person = Person {
            facts: sums("p 5 1"),
            ..Person::default()
        };
        let (programs, total) = person.explained("ann", false);
        assert_eq!(programs[0].cause, Cause::UnderWay);
        assert_eq!(total.unwrap().cause, Cause::UnderWay);
    }
}
