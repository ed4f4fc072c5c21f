//! Compares the facts of one user with the counts.

use std::collections::{BTreeMap, HashSet};

use domain::{ActivityKey, Period, ProgramId, Tally, UserId};
use jiff::Timestamp;
use store::Rules;
use store::facts::Fact;
use store::plan::Countable;
use store::repair::Correction;
use store::standings::Counters;

/// The terms by which a user's counts are judged.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    pub rules: &'a Rules,
    /// Everything accepted before this should be counted.
    pub watermark: Option<Timestamp>,
    pub now: Timestamp,
}

/// What is wrong with the counts of a user.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    pub in_flight: u64,
    pub not_countable: u64,
    pub uncounted: Vec<Fact>,
    /// Standings whose sums are wrong.
    pub disagreeing: Vec<Correction>,
    /// Standings in programs in which the user has no counted activity.
    pub unfounded: Vec<Correction>,
}

impl Judgement {
    pub fn is_clean(&self) -> bool {
        self.uncounted.is_empty() && self.disagreeing.is_empty() && self.unfounded.is_empty()
    }
}

/// Judges the counts of a user. `facts`, `marked` and `standings` must be from the same moment.
pub fn judge(
    user: &UserId,
    facts: Vec<Fact>,
    marked: &HashSet<ActivityKey>,
    standings: &[(ProgramId, Counters)],
    terms: &Terms,
) -> Judgement {
    // Markers of facts accepted before this have expired.
    let markers_since = terms.now - terms.rules.marker_lifetime.duration();
    // An activity of one of these periods is in its counters, no matter when it was counted. For older
    // periods that depends on when it was counted, and no board shows them.
    let periods = terms.rules.calendar.kept_pairs(terms.now);
    let periods: Vec<Option<Period>> = std::iter::once(None)
        .chain(
            periods
                .into_iter()
                .flat_map(|(previous, running)| [Some(previous), Some(running)]),
        )
        .collect();

    let mut judgement = Judgement::default();
    let mut expected: BTreeMap<ProgramId, Vec<(Option<Period>, Tally)>> = BTreeMap::new();
    for fact in facts {
        let Ok(scored) = Countable::scored(&fact.activity, terms.rules, terms.now) else {
            judgement.not_countable += 1;
            continue;
        };
        let is_counted = marked.contains(&fact.key()) || fact.received_at < markers_since;
        if !is_counted {
            if terms
                .watermark
                .is_some_and(|watermark| fact.received_at < watermark)
            {
                judgement.uncounted.push(fact);
            } else {
                judgement.in_flight += 1;
            }
            continue;
        }
        let tallies = expected
            .entry(scored.program)
            .or_insert_with(|| periods.iter().map(|period| (*period, Tally::default())).collect());
        for (period, tally) in tallies {
            if period.is_none_or(|period| scored.periods.contains(&period)) {
                tally.points += u64::from(scored.points);
                tally.activities += 1;
            }
        }
    }
    for (program, counters) in standings {
        if !expected.contains_key(program) {
            let nothing: Vec<_> = periods.iter().map(|period| (*period, Tally::default())).collect();
            if nothing
                .iter()
                .any(|(period, _)| counters.tally(*period) != Tally::default())
            {
                judgement
                    .unfounded
                    .push(correction(user, program.clone(), Some(counters), nothing));
            }
        }
    }
    for (program, expected) in expected {
        let found = standings
            .iter()
            .find(|(of, _)| *of == program)
            .map(|(_, counters)| counters);
        let is_as_expected = |(period, tally): &(Option<Period>, Tally)| {
            found.map_or_else(Tally::default, |found| found.tally(*period)) == *tally
        };
        if !expected.iter().all(is_as_expected) {
            judgement
                .disagreeing
                .push(correction(user, program, found, expected));
        }
    }
    judgement
}

fn correction(
    user: &UserId,
    program: ProgramId,
    found: Option<&Counters>,
    expected: Vec<(Option<Period>, Tally)>,
) -> Correction {
    Correction::Standing {
        user: user.clone(),
        program,
        found: found.cloned(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use domain::Activity;

    use super::*;

    const POLICY: &str = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10}}]"#;

    /// Judges one activity of ann, received at this time.
    fn check(kind: &str, received_at: &str, is_marked: bool, expected: &str) {
        let at = |time: &str| -> Timestamp { time.parse().expect("a time") };
        let ann: UserId = "ann".parse().expect("an id");
        let fact = Fact {
            activity: Activity {
                id: "a1".parse().expect("an id"),
                user: ann.clone(),
                program: "p".parse().expect("an id"),
                kind: kind.parse().expect("a kind"),
                occurred_at: at(received_at),
                metadata: None,
            },
            received_at: at(received_at),
        };
        let marked = is_marked.then(|| fact.key()).into_iter().collect();
        let terms = Terms {
            rules: &Rules {
                standing_shards: "1".parse().expect("a number of shards"),
                marker_lifetime: "90".parse().expect("a number of days"),
                calendar: "UTC".parse().expect("a time zone"),
                scoring_policy: POLICY.parse().expect("a policy"),
            },
            watermark: Some(at("2026-11-21T12:00:00Z")),
            now: at("2026-11-21T12:05:00Z"),
        };
        let judgement = judge(&ann, vec![fact], &marked, &[], &terms);
        let found = format!(
            "{} in flight, {} not countable, {} uncounted, {} unfounded",
            judgement.in_flight,
            judgement.not_countable,
            judgement.uncounted.len(),
            judgement.unfounded.len()
        );
        let disagreeing = judgement
            .disagreeing
            .iter()
            .map(|correction| format!("; {correction}"));
        assert_eq!(
            found + &disagreeing.collect::<String>(),
            expected,
            "{kind} {received_at} {is_marked}"
        );
    }

    #[test]
    fn an_activity_is_missed_only_if_it_should_be_counted_by_now() {
        let (before, after) = ("2026-11-21T11:59:59Z", "2026-11-21T12:00:00Z");
        let nothing = "0 in flight, 0 not countable, 0 uncounted, 0 unfounded";
        check(
            "task_completed",
            before,
            false,
            "0 in flight, 0 not countable, 1 uncounted, 0 unfounded",
        );
        check(
            "task_completed",
            after,
            false,
            "1 in flight, 0 not countable, 0 uncounted, 0 unfounded",
        );
        check(
            "unheard_of",
            before,
            false,
            "0 in flight, 1 not countable, 0 uncounted, 0 unfounded",
        );
        // A marked activity must be in the sums of its periods.
        let today = "; standing of ann in p: all time 0/0 -> 10/1 month 2026-11 0/0 -> 10/1 \
                     week 2026-W47 0/0 -> 10/1 day 2026-11-21 0/0 -> 10/1";
        check("task_completed", after, true, &format!("{nothing}{today}"));
        // An activity older than the markers' lifetime must be in the sums, even without a marker.
        let long_ago = "; standing of ann in p: all time 0/0 -> 10/1";
        check(
            "task_completed",
            "2026-08-01T12:00:00Z",
            false,
            &format!("{nothing}{long_ago}"),
        );
    }
}
