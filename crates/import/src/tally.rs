//! The results of an import.

use std::{collections::BTreeMap, fmt};

use domain::intake;
use serde::{Deserialize, Serialize};
use terminal::text::{grouped, printable};

/// Rejections kept in full. The rest are counted by code.
const SHOWN_MAX: usize = 10;

/// Codes counted separately. All further codes count as [`OTHER_CODES`], so that a faulty server cannot grow
/// the tally without bound.
const CODES_MAX: usize = 32;
const OTHER_CODES: &str = "other codes";

/// Where an activity was read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    Line(u64),
    /// An element of an array, from 1.
    Record(u64),
    Commit(String),
    Tag(String),
    /// An item of a table.
    Item(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(number) => write!(f, "line {number}"),
            Self::Record(number) => write!(f, "record {number}"),
            Self::Commit(hash) => write!(f, "commit {hash}"),
            Self::Tag(name) => write!(f, "tag {}", printable(name)),
            Self::Item(key) => write!(f, "item {}", printable(key)),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rejection {
    pub place: Place,
    pub code: String,
    pub field: Option<String>,
    pub detail: String,
}

impl Rejection {
    /// What the API's parser refuses.
    pub fn refused(place: Place, rejection: intake::Rejection) -> Self {
        let code = serde_json::to_value(rejection.code).ok();
        let code = code.and_then(|code| Some(code.as_str()?.to_owned()));
        Self {
            place,
            code: code.unwrap_or_default(),
            field: Some(rejection.field).filter(|field| !field.is_empty()),
            detail: rejection.detail,
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, printable(&self.code))?;
        if let Some(field) = &self.field {
            write!(f, " ({})", printable(field))?;
        }
        write!(f, ": {}", printable(&self.detail))
    }
}

/// Counts of verdicts. An activity whose first answer was lost is sent again and counts as a duplicate.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub accepted: u64,
    pub duplicate: u64,
    rejected_by_code: BTreeMap<String, u64>,
    shown: Vec<Rejection>,
    pub notes: Notes,
}

/// What a user should know of records that were read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    pub without_id: u64,
    pub without_time: u64,
    /// By `--only`.
    pub left_out: u64,
}

impl Tally {
    pub fn rejected(&self) -> u64 {
        self.rejected_by_code.values().sum()
    }

    pub fn first_rejection(&self) -> Option<&Rejection> {
        self.shown.first()
    }

    pub fn reject(&mut self, rejection: Rejection) {
        self.count_code(&rejection.code, 1);
        if self.shown.len() < SHOWN_MAX {
            self.shown.push(rejection);
        }
    }

    pub fn add(&mut self, later: Self) {
        self.accepted += later.accepted;
        self.duplicate += later.duplicate;
        self.notes.without_id += later.notes.without_id;
        self.notes.without_time += later.notes.without_time;
        self.notes.left_out += later.notes.left_out;
        for (code, count) in later.rejected_by_code {
            self.count_code(&code, count);
        }
        let room = SHOWN_MAX.saturating_sub(self.shown.len());
        self.shown.extend(later.shown.into_iter().take(room));
    }

    fn count_code(&mut self, code: &str, count: u64) {
        let is_counted_apart =
            self.rejected_by_code.contains_key(code) || self.rejected_by_code.len() < CODES_MAX;
        let code = if is_counted_apart { code } else { OTHER_CODES };
        *self.rejected_by_code.entry(code.to_owned()).or_default() += count;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rejected = self.rejected();
        writeln!(f, "accepted  {:>12}", grouped(self.accepted))?;
        writeln!(f, "duplicate {:>12}", grouped(self.duplicate))?;
        write!(f, "rejected  {:>12}", grouped(rejected))?;
        if self.notes.left_out > 0 {
            write!(f, "\nleft out  {:>12}", grouped(self.notes.left_out))?;
        }
        for rejection in &self.shown {
            write!(f, "\n  {rejection}")?;
        }
        if rejected > u64::try_from(self.shown.len()).unwrap_or(u64::MAX) {
            write!(f, "\n  total")?;
            for (place, (code, count)) in self.rejected_by_code.iter().enumerate() {
                let comma = if place == 0 { "" } else { "," };
                write!(f, "{comma} {} {}", grouped(*count), printable(code))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejection(line: u64, code: &str) -> Rejection {
        let field = Some("kind".to_owned());
        Rejection {
            place: Place::Line(line),
            code: code.to_owned(),
            field,
            detail: "no".to_owned(),
        }
    }

    #[test]
    fn shows_the_first_rejections_and_counts_the_rest_by_code() {
        let mut tally = Tally {
            accepted: 1_234,
            duplicate: 5,
            ..Tally::default()
        };
        tally.reject(rejection(3, "unknown_kind"));
        assert_eq!(
            tally.to_string(),
            "accepted         1,234\n\
             duplicate            5\n\
             rejected             1\n  \
             line 3: unknown_kind (kind): no"
        );
        let mut later = Tally::default();
        for line in 10..30 {
            later.reject(rejection(line, "invalid_json"));
        }
        tally.add(later);
        let text = tally.to_string();
        assert!(text.contains("line 18: "), "the tenth is shown: {text}");
        assert!(!text.contains("line 19: "), "the eleventh is not: {text}");
        assert!(text.ends_with("total 20 invalid_json, 1 unknown_kind"), "{text}");
    }

    #[test]
    fn codes_without_end_stay_bounded() {
        let mut tally = Tally::default();
        for line in 0..1_000 {
            tally.reject(rejection(line, &format!("code {line}")));
        }
        assert_eq!(tally.rejected(), 1_000);
        assert_eq!(tally.rejected_by_code.len(), CODES_MAX + 1);
    }
}
