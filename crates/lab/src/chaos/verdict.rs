//! The verdict on a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use local::faults::Fault;
use serde::{Serialize, Serializer};
use serde_json::json;
use terminal::text::grouped;

use super::coins::CoinsFound;
use super::load::Posted;
use super::readers::BoardsRead;
use super::receiver::Told;
use crate::trial::audit::Difference;

pub struct Verdict {
    pub seed: u64,
    /// Activities and corrections sent; what was sent twice counts twice.
    pub sent: u64,
    pub posted: Posted,
    /// People with a profile.
    pub people: u64,
    pub erased: u64,
    /// Activities in the standings.
    pub counted: u64,
    pub differences: [Difference; 4],
    pub coins: CoinsFound,
    pub told: Told,
    pub dead_letters: u64,
    pub boards: BoardsRead,
    /// From the last answer until the board was exact. `None` if it was not exact in time.
    pub drained: Option<Duration>,
    pub kills: u64,
    pub faults: Vec<(Fault, u64)>,
}

impl Verdict {
    /// Accepted but not counted, according to the table that lacks the most.
    fn lost(&self) -> u64 {
        self.differences
            .iter()
            .map(|each| each.missing)
            .max()
            .unwrap_or_default()
    }

    /// Counted more than once, or counted without being sent.
    fn double(&self) -> u64 {
        self.differences
            .iter()
            .map(|each| each.excess)
            .max()
            .unwrap_or_default()
    }

    pub fn is_good(&self) -> bool {
        let bad = [self.lost(), self.double(), self.dead_letters, self.boards.torn];
        bad == [0; 4] && self.coins.is_exact() && self.told.missing == 0 && self.drained.is_some()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let posted = &self.posted;
        writeln!(f, "{:<20} {:>10}", "seed", self.seed)?;
        let mut row = |name: &str, number: u64, note: String| {
            writeln!(
                f,
                "{}",
                format!("{name:<20} {:>10}  {note}", grouped(number)).trim_end()
            )
        };
        row(
            "accepted",
            posted.accepted,
            format!(
                "sent {} times within {:.0} s in {} requests, {} of them again",
                grouped(self.sent),
                posted.span.as_secs_f64(),
                grouped(posted.requests + posted.repeats),
                grouped(posted.repeats)
            ),
        )?;
        row(
            "counted",
            self.counted,
            "activities that no void took out".to_owned(),
        )?;
        row(
            "people",
            self.people,
            format!(
                "renamed, moved and hidden; {} others erased, who came back",
                self.erased
            ),
        )?;
        row("lost", self.lost(), String::new())?;
        let differences: Vec<String> = self.differences.iter().map(Difference::to_string).collect();
        row("double", self.double(), differences.join(", "))?;
        let coins = &self.coins;
        row(
            "coins",
            coins.issued,
            format!(
                "{} revoked; {} lost, {} double, {} wrong serials",
                grouped(coins.revoked),
                coins.lost,
                coins.double,
                coins.wrong_serials
            ),
        )?;
        let told = &self.told;
        row(
            "webhook told",
            told.events,
            format!("{} missing, {} again", told.missing, told.again),
        )?;
        row("duplicates refused", posted.duplicates, String::new())?;
        row("dead letters", self.dead_letters, String::new())?;
        row(
            "boards read",
            self.boards.read,
            format!(
                "{} torn, {} without an answer",
                self.boards.torn, self.boards.failed
            ),
        )?;
        row("processes killed", self.kills, String::new())?;
        for (fault, count) in &self.faults {
            row(&fault.to_string(), *count, String::new())?;
        }
        match self.drained {
            Some(after) => writeln!(
                f,
                "time to drain        {:>10}",
                format!("{:.1} s", after.as_secs_f64())
            ),
            None => writeln!(
                f,
                "time to drain             never  the board was not exact in time"
            ),
        }
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let faults: BTreeMap<String, u64> = self
            .faults
            .iter()
            .map(|(fault, count)| (fault.to_string(), *count))
            .collect();
        json!({
            "seed": self.seed,
            "accepted": self.posted.accepted,
            "counted": self.counted,
            "people": self.people,
            "erased": self.erased,
            "lost": self.lost(),
            "double": self.double(),
            "differences": self.differences,
            "coins": self.coins,
            "told": self.told,
            "duplicates_refused": self.posted.duplicates,
            "dead_letters": self.dead_letters,
            "sent": self.sent,
            "requests": self.posted.requests,
            "repeats": self.posted.repeats,
            "post_seconds": self.posted.span.as_secs_f64(),
            "boards_read": self.boards.read,
            "boards_torn": self.boards.torn,
            "boards_failed": self.boards.failed,
            "drain_seconds": self.drained.map(|after| after.as_secs_f64()),
            "processes_killed": self.kills,
            "faults": faults,
        })
        .serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict() -> Verdict {
        let exact = |of| Difference {
            of,
            ..Difference::default()
        };
        Verdict {
            seed: 7,
            sent: 1_333,
            posted: Posted {
                accepted: 1_000,
                duplicates: 340,
                requests: 54,
                repeats: 3,
                span: Duration::from_secs(2),
            },
            people: 200,
            erased: 2,
            counted: 1_000,
            differences: ["facts", "keys", "standings", "board"].map(exact),
            coins: CoinsFound::default(),
            told: Told::default(),
            dead_letters: 0,
            boards: BoardsRead::default(),
            drained: Some(Duration::from_millis(3_260)),
            kills: 12,
            faults: vec![(Fault::Kill, 9)],
        }
    }

    fn check(change: impl FnOnce(&mut Verdict), expected: bool) {
        let mut changed = verdict();
        change(&mut changed);
        assert_eq!(changed.is_good(), expected, "{changed}");
    }

    #[test]
    fn a_run_is_good_only_if_everything_is() {
        check(|_| {}, true);
        check(|verdict| verdict.differences[1].missing = 1, false);
        check(|verdict| verdict.differences[3].excess = 1, false);
        check(|verdict| verdict.coins.revoked = 1, true);
        check(|verdict| verdict.coins.lost = 1, false);
        check(|verdict| verdict.coins.wrong_serials = 1, false);
        check(|verdict| verdict.told.again = 1, true);
        check(|verdict| verdict.told.missing = 1, false);
        check(|verdict| verdict.dead_letters = 1, false);
        check(|verdict| verdict.boards.torn = 1, false);
        check(|verdict| verdict.boards.failed = 1, true);
        check(|verdict| verdict.drained = None, false);
    }

    #[test]
    fn it_is_printed_in_rows() {
        let mut verdict = verdict();
        verdict.differences[2].excess = 2;
        let text = verdict.to_string();
        for row in [
            "accepted                  1,000  sent 1,333 times within 2 s in 57 requests, 3 of them again\n",
            "double                        2  facts exact, keys exact, standings: 0 missing, 2 too many, board",
            "kill                          9\n",
            "time to drain             3.3 s\n",
        ] {
            assert!(text.contains(row), "{text}");
        }
        let json = serde_json::to_value(&verdict).expect("JSON");
        assert_eq!((&json["double"], &json["faults"]["kill"]), (&json!(2), &json!(9)));
    }
}
