//! The outcome in each system, as a table.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use client::wire::Activity;
use domain::FactKey;
use terminal::text::{grouped, latency};

use super::Throttle;
use super::load::{ATTEMPTS, Load, Posted, key};
use super::watch::Watch;
use crate::trial::audit::Counts;

/// The outcome in one system.
#[derive(Debug)]
pub struct Outcome {
    pub posted: Posted,
    pub fates: Fates,
    /// From the end of the throttling until the board was right. `None` if it never was, or was not exact
    /// in the end.
    pub right_again: Option<Duration>,
}

/// The fate of the activities.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fates {
    pub acknowledged: u64,
    /// Counted in the standings.
    pub counted: u64,
    /// Acknowledged but not counted.
    pub lost: u64,
    /// Stored as a fact but not counted, and its client gave up.
    pub stranded: u64,
    /// Neither stored nor counted, and its client gave up.
    pub refused: u64,
    /// Counted more than once.
    pub double: u64,
}

pub struct Comparison {
    pub seed: u64,
    pub activities: u64,
    pub throttle: Throttle,
    pub coupled: Outcome,
    pub podium: Outcome,
}

impl Outcome {
    pub fn new(load: &Load, posted: Posted, there: &Counts, watch: &Watch, throttle: Throttle) -> Self {
        let sent: Vec<&Activity> = load.activities().collect();
        let is_exact = Counts::of(sent.iter().copied()).board == there.board;
        Self {
            fates: Fates::of(&sent, &posted.acknowledged, there),
            right_again: watch.right_again_after(throttle.until, load).filter(|_| is_exact),
            posted,
        }
    }
}

impl Fates {
    fn of(sent: &[&Activity], acknowledged: &HashSet<FactKey>, there: &Counts) -> Self {
        let mut fates = Self {
            acknowledged: acknowledged.len() as u64,
            counted: there.activities(),
            ..Self::default()
        };
        let mut included = Vec::new();
        for activity in sent {
            let key = key(activity);
            let is_counted = there.keys.contains(&key);
            if is_counted {
                included.push(*activity);
            }
            match (
                acknowledged.contains(&key),
                there.facts.contains(&key),
                is_counted,
            ) {
                (_, true, true) => {}
                (true, ..) => fates.lost += 1,
                (false, true, false) => fates.stranded += 1,
                (false, false, _) => fates.refused += 1,
            }
        }
        // Every activity with a key must be in the sums once.
        let [.., standings, _] = Counts::of(included).differences(there);
        fates.lost += standings.missing;
        fates.double = standings.excess;
        fates
    }
}

impl Comparison {
    pub fn is_good(&self) -> bool {
        let is_exact = |outcome: &Outcome| (outcome.fates.lost, outcome.fates.double) == (0, 0);
        is_exact(&self.coupled) && is_exact(&self.podium) && self.podium.right_again.is_some()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            seed,
            activities,
            throttle,
            coupled,
            podium,
        } = self;
        writeln!(
            f,
            "seed {seed}: {} activities; no counts could be written from second {:.0} to second {:.0}\n",
            grouped(*activities),
            throttle.from.as_secs_f64(),
            throttle.until.as_secs_f64()
        )?;
        let mut line = |name: &str, coupled: String, podium: String| {
            writeln!(f, "{name:<40} {coupled:>12} {podium:>12}")
        };
        line("", "coupled".to_owned(), "Podium".to_owned())?;
        let mut row = |name: &str, of: &dyn Fn(&Outcome) -> String| line(name, of(coupled), of(podium));
        row("posts", &|it| grouped(it.posted.posts))?;
        row("  taken at the first attempt", &|it| {
            share(it.posted.at_first, it.posted.posts)
        })?;
        row("  taken later", &|it| share(it.posted.later, it.posted.posts))?;
        row(&format!("  given up after {ATTEMPTS} attempts"), &|it| {
            let posted = &it.posted;
            share(posted.posts - posted.at_first - posted.later, posted.posts)
        })?;
        row("first answer, p50", &|it| latency(it.posted.first_answers.p50))?;
        row("first answer, p99", &|it| latency(it.posted.first_answers.p99))?;
        row("activities acknowledged", &|it| grouped(it.fates.acknowledged))?;
        row("activities counted", &|it| grouped(it.fates.counted))?;
        row("lost: acknowledged, not counted", &|it| grouped(it.fates.lost))?;
        row("lost: kept, not counted, given up", &|it| {
            grouped(it.fates.stranded)
        })?;
        row("lost: not even kept, given up", &|it| grouped(it.fates.refused))?;
        row("double", &|it| grouped(it.fates.double))?;
        row("board right again after the throttling", &|it| {
            it.right_again.map_or_else(
                || "never".to_owned(),
                |after| format!("{:.1} s", after.as_secs_f64()),
            )
        })
    }
}

fn share(number: u64, of: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    let percent = number as f64 * 100.0 / of as f64;
    format!("{percent:.1} %")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::figures::Percentiles;
    use client::wire::Kind;

    /// One activity for each of these one-character users, all in one program.
    fn activities(ids: &str) -> Vec<Activity> {
        let activity = |id: char| Activity {
            activity_id: "1".parse().expect("an id"),
            user_id: id.to_string().parse().expect("an id"),
            program_id: "p".parse().expect("an id"),
            kind: Kind::TaskCompleted,
            occurred_at: None,
        };
        ids.chars().map(activity).collect()
    }

    fn keys(ids: &str) -> HashSet<FactKey> {
        activities(ids).iter().map(key).collect()
    }

    /// Posts the activities a, b, c and d; the tables hold these facts and these counts.
    fn check(acknowledged: &str, facts: &str, counted: &str, expected: &str) {
        let sent = activities("abcd");
        let sent: Vec<&Activity> = sent.iter().collect();
        let mut there = Counts::of(&activities(counted));
        there.facts = keys(facts);
        let fates = Fates::of(&sent, &keys(acknowledged), &there);
        let Fates {
            lost,
            stranded,
            refused,
            double,
            ..
        } = fates;
        let found = format!("lost {lost}, stranded {stranded}, refused {refused}, double {double}");
        assert_eq!(found, expected, "{fates:?}");
        assert_eq!(fates.counted, counted.len() as u64);
    }

    #[test]
    fn every_activity_that_is_not_counted_has_one_fate() {
        check("abcd", "abcd", "abcd", "lost 0, stranded 0, refused 0, double 0");
        check("", "abcd", "abcd", "lost 0, stranded 0, refused 0, double 0");
        check("ab", "abc", "ab", "lost 0, stranded 1, refused 1, double 0");
        check("abcd", "abcd", "abc", "lost 1, stranded 0, refused 0, double 0");
        check("abcd", "abc", "abcd", "lost 1, stranded 0, refused 0, double 0");
        // The total is right; only the counts of each user show the fault.
        check("abcd", "abcd", "abcc", "lost 1, stranded 0, refused 0, double 1");
    }

    fn outcome(lost: u64, double: u64, right_again: Option<u64>) -> Outcome {
        Outcome {
            posted: Posted {
                posts: 200,
                at_first: 150,
                later: 49,
                first_answers: Percentiles::default(),
                acknowledged: HashSet::new(),
            },
            fates: Fates {
                lost,
                double,
                ..Fates::default()
            },
            right_again: right_again.map(Duration::from_secs),
        }
    }

    #[test]
    fn a_comparison_is_good_if_both_hold_what_they_say_and_podium_comes_back() {
        let throttle = Throttle {
            from: Duration::from_secs(3),
            until: Duration::from_secs(7),
        };
        let compare = |coupled, podium| Comparison {
            seed: 7,
            activities: 1_000,
            throttle,
            coupled,
            podium,
        };
        let good = compare(outcome(0, 0, None), outcome(0, 0, Some(2)));
        assert!(good.is_good());
        assert!(!compare(outcome(0, 1, None), outcome(0, 0, Some(2))).is_good());
        assert!(!compare(outcome(0, 0, None), outcome(1, 0, Some(2))).is_good());
        assert!(!compare(outcome(0, 0, Some(1)), outcome(0, 0, None)).is_good());
        let table = good.to_string();
        for line in [
            "seed 7: 1,000 activities; no counts could be written from second 3 to second 7\n",
            "  given up after 3 attempts                     0.5 %        0.5 %\n",
            "board right again after the throttling          never        2.0 s\n",
        ] {
            assert!(table.contains(line), "{table}");
        }
    }
}
