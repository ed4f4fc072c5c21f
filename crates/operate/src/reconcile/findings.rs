//! The findings of a comparison, by rule.

use std::fmt;

use terminal::text::{counted, grouped, printable};

/// The most findings listed for each rule. The rest are only counted.
const EXAMPLES: usize = 10;

/// How often a rule is broken, with examples.
#[derive(Clone, Debug, Default)]
pub struct Broken {
    pub found: u64,
    pub repaired: u64,
    examples: Vec<String>,
}

#[derive(Clone, Debug, Default)]
pub struct Findings {
    pub facts: u64,
    pub users: u64,
    pub in_flight: u64,
    pub not_countable: u64,
    /// Completeness.
    pub uncounted: Broken,
    /// Uniqueness.
    pub unfounded: Broken,
    /// Agreement.
    pub disagreeing: Broken,
}

impl Broken {
    pub fn note(&mut self, what: &impl fmt::Display, is_repaired: bool) {
        self.found += 1;
        self.repaired += u64::from(is_repaired);
        if self.examples.len() < EXAMPLES {
            self.examples.push(what.to_string());
        }
    }

    /// How many findings are not repaired.
    pub fn left(&self) -> u64 {
        debug_assert!(self.repaired <= self.found);
        self.found - self.repaired
    }

    fn merge(&mut self, other: Self) {
        self.found += other.found;
        self.repaired += other.repaired;
        self.examples.extend(other.examples);
        self.examples.truncate(EXAMPLES);
    }
}

impl Findings {
    pub fn merge(&mut self, other: Self) {
        self.facts += other.facts;
        self.users += other.users;
        self.in_flight += other.in_flight;
        self.not_countable += other.not_countable;
        self.uncounted.merge(other.uncounted);
        self.unfounded.merge(other.unfounded);
        self.disagreeing.merge(other.disagreeing);
    }

    /// Whether every rule is kept or repaired.
    pub fn is_clean(&self) -> bool {
        [&self.uncounted, &self.unfounded, &self.disagreeing]
            .iter()
            .all(|rule| rule.left() == 0)
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} of {}: {} in flight, {} that cannot be counted.",
            counted(self.facts, "activity", "activities"),
            counted(self.users, "user", "users"),
            grouped(self.in_flight),
            grouped(self.not_countable)
        )?;
        let rules = [
            ("completeness", &self.uncounted, "not counted"),
            ("uniqueness", &self.unfounded, "counted without an activity"),
            ("agreement", &self.disagreeing, "different from the activities"),
        ];
        for (rule, broken, what) in rules {
            let state = if broken.found == 0 {
                "kept".to_owned()
            } else if broken.left() == 0 {
                format!("repaired: {} {what}", grouped(broken.found))
            } else {
                format!("broken: {} {what}", grouped(broken.left()))
            };
            writeln!(f, "{rule:<13} {state}")?;
            for example in &broken.examples {
                writeln!(f, "  {}", printable(example))?;
            }
            if broken.found > broken.examples.len() as u64 && !broken.examples.is_empty() {
                writeln!(
                    f,
                    "  ... and {} more",
                    grouped(broken.found - broken.examples.len() as u64)
                )?;
            }
        }
        Ok(())
    }
}
