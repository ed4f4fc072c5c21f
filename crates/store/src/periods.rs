//! What the facts of a user come to in single periods.

use std::collections::BTreeMap;

use domain::closed::InPeriod;
use domain::counters::Sum;
use domain::{Period, ProgramId};
use jiff::Timestamp;

use crate::caps::Caps;
use crate::facts::StoredFact;
use crate::fold::Facts;
use crate::rules::Rules;

/// What the facts of a user come to in each period, by program. `erased_before` is as in [`Facts`].
pub fn in_periods(
    facts: &[StoredFact],
    rules: &Rules,
    erased_before: Option<Timestamp>,
    periods: &[Period],
) -> BTreeMap<ProgramId, Vec<InPeriod>> {
    let whenever_received = Rules {
        period_grace: None,
        ..rules.clone()
    };
    let in_time = counted(&Facts::counted(facts, rules, erased_before), periods);
    let all = counted(&Facts::counted(facts, &whenever_received, erased_before), periods);
    all.into_iter()
        .map(|(program, all)| {
            let in_time = in_time.get(&program);
            let periods = all.into_iter().enumerate().map(|(at, all)| {
                let counted = in_time.map(|counted| counted[at]).unwrap_or_default();
                InPeriod {
                    counted: counted.sum.into(),
                    late: all.sum - counted.sum,
                    last: counted.last,
                }
            });
            (program, periods.collect())
        })
        .collect()
}

/// What counts in a period.
#[derive(Clone, Copy, Default)]
struct Counted {
    sum: Sum,
    last: Option<Timestamp>,
}

/// What counts in each period, by program.
fn counted(facts: &Facts, periods: &[Period]) -> BTreeMap<ProgramId, Vec<Counted>> {
    let mut programs: BTreeMap<ProgramId, (Caps, Vec<Counted>)> = BTreeMap::new();
    for fact in &facts.countable {
        let (caps, of_periods) = programs
            .entry(fact.program.clone())
            .or_insert_with(|| (Caps::default(), vec![Counted::default(); periods.len()]));
        let sums = caps.counted(fact.cap.as_ref(), fact.sums);
        for (period, counted) in periods.iter().zip(of_periods) {
            let sum = sums.get(period.window());
            if period.contains(fact.day.date) && !sum.is_nothing() {
                counted.sum += sum;
                counted.last = counted.last.max(fact.activity_at);
            }
        }
    }
    programs
        .into_iter()
        .map(|(program, (_, counted))| (program, counted))
        .collect()
}

#[cfg(test)]
mod tests {
    use domain::correction::Reason;
    use domain::{Activity, Fact, Void};

    use crate::rules::TieBreak;

    use super::*;

    fn rules() -> Rules {
        let policy = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task":10,"walk":{"points":4,"max_per_day":10}}}]"#;
        Rules {
            standing_shards: "1".parse().unwrap(),
            calendar: "Europe/Berlin".parse().unwrap(),
            scoring_policy: policy.parse().unwrap(),
            period_grace: Some("24".parse().unwrap()),
            tie_break: TieBreak::Earlier,
        }
    }

    /// Activities of ann such as `p task 2026-11-20T12:00Z 2026-11-20T12:01Z`, with the times at which they occurred and
    /// were received, and perhaps a void. Renders the points and activities that count in each period, and those that are
    /// late.
    fn check(facts: &[&str], periods: &str, expected: &str) {
        let mut stored = Vec::new();
        for (at, fact) in facts.iter().enumerate() {
            let parts: Vec<_> = fact.split_whitespace().collect();
            let time = |at: usize| parts[at].parse::<Timestamp>().unwrap();
            let activity = Activity {
                id: format!("a{at}").parse().unwrap(),
                user: "ann".parse().unwrap(),
                program: parts[0].parse().unwrap(),
                kind: parts[1].parse().unwrap(),
                occurred_at: time(2),
                amount: None,
                metadata: None,
                origin: None,
            };
            if parts.len() > 4 {
                stored.push(StoredFact {
                    fact: Fact::Void(Void {
                        activity: activity.clone(),
                        activity_received_at: time(3),
                        correction: "c".parse().unwrap(),
                        reason: Reason::stored("wrong"),
                    }),
                    received_at: time(4),
                });
            }
            stored.push(StoredFact {
                fact: Fact::Activity(activity),
                received_at: time(3),
            });
        }
        let periods: Vec<Period> = periods
            .split_whitespace()
            .map(|period| period.parse().unwrap())
            .collect();
        let found = in_periods(&stored, &rules(), None, &periods);
        let found = found.into_iter().map(|(program, periods)| {
            let periods = periods.iter().map(|InPeriod { counted, late, .. }| {
                let late = format!("{}/{}", late.points, late.activities);
                format!("{}/{} late {late}", counted.points, counted.activities)
            });
            format!("{program} {}", periods.collect::<Vec<_>>().join(", "))
        });
        assert_eq!(found.collect::<Vec<_>>().join("; "), expected, "{facts:?}");
    }

    #[test]
    fn facts_count_in_the_periods_for_which_they_were_in_time() {
        let periods = "2026-11-20 2026-W47 2026-11";
        // Berlin is an hour ahead of UTC, and the week ends on the 22nd.
        let soon = "p task 2026-11-20T12:00Z 2026-11-20T12:01Z";
        check(&[soon], periods, "p 10/1 late 0/0, 10/1 late 0/0, 10/1 late 0/0");
        let last_moment = "p task 2026-11-20T12:00Z 2026-11-21T22:59:59Z";
        check(
            &[last_moment],
            periods,
            "p 10/1 late 0/0, 10/1 late 0/0, 10/1 late 0/0",
        );
        let too_late = "p task 2026-11-20T12:00Z 2026-11-21T23:00:00Z";
        check(
            &[soon, too_late],
            periods,
            "p 10/1 late 10/1, 20/2 late 0/0, 20/2 late 0/0",
        );
        let weeks_later = "p task 2026-11-20T12:00Z 2026-12-24T12:00:00Z";
        check(
            &[weeks_later],
            periods,
            "p 0/0 late 10/1, 0/0 late 10/1, 0/0 late 10/1",
        );
        let another_day = "q task 2026-11-19T12:00Z 2026-11-19T12:01Z";
        check(
            &[soon, another_day],
            periods,
            "p 10/1 late 0/0, 10/1 late 0/0, 10/1 late 0/0; q 0/0 late 0/0, 10/1 late 0/0, 10/1 late 0/0",
        );
    }

    #[test]
    fn a_void_of_a_closed_period_is_late_there() {
        let voided = "p task 2026-11-20T12:00Z 2026-11-20T12:01Z 2026-11-22T12:00Z";
        check(
            &[voided],
            "2026-11-20 2026-W47",
            "p 10/1 late -10/-1, 0/0 late 0/0",
        );
    }

    #[test]
    fn a_cap_holds_for_what_counts_and_for_all() {
        let walk = "p walk 2026-11-20T12:00Z 2026-11-20T12:01Z";
        let late = "p walk 2026-11-20T12:00Z 2026-12-24T12:01Z";
        check(&[walk, walk, walk], "2026-11-20", "p 10/3 late 0/0");
        check(&[walk, late, late], "2026-11-20", "p 4/1 late 6/2");
    }
}
