//! Compares the facts of one user with the user's standings.

use std::collections::{BTreeMap, BTreeSet};

use domain::counters::{Counters, Sum};
use domain::{FactKey, ProgramId, UserId};
use jiff::Timestamp;
use store::Rules;
use store::StoredFact;
use store::caps::Caps;
use store::count::{Countable, TOLD_APART};
use store::ledger::{Ledger, LedgerKey};
use store::standings::Kept;

/// The terms by which a user's counts are judged.
#[derive(Clone, Debug)]
pub struct Terms<'a> {
    pub rules: &'a Rules,
    /// Everything accepted before this should be counted. `None` if no such time is known.
    pub watermark: Option<Timestamp>,
    pub now: Timestamp,
}

/// What is wrong with the counts of a user. Each finding is described for an operator.
#[derive(Clone, Debug, Default)]
pub struct Judgement {
    pub in_flight: u64,
    pub not_countable: u64,
    /// Activities that should be counted by now.
    pub uncounted: Vec<String>,
    /// Standings whose sums are not those of what they include.
    pub disagreeing: Vec<String>,
    /// What is counted without an activity.
    pub unfounded: Vec<String>,
}

impl Judgement {
    pub fn is_clean(&self) -> bool {
        self.uncounted.is_empty() && self.disagreeing.is_empty() && self.unfounded.is_empty()
    }
}

/// The keys of facts that left the ledgers, by program. A key that is in a block was counted.
pub type Spilled = BTreeMap<ProgramId, BTreeSet<LedgerKey>>;

/// The keys to look for in blocks before a user can be judged.
pub fn to_look_for(
    facts: &[StoredFact],
    standings: &BTreeMap<ProgramId, Kept>,
) -> BTreeMap<ProgramId, Vec<LedgerKey>> {
    let mut keys: BTreeMap<ProgramId, Vec<LedgerKey>> = BTreeMap::new();
    for fact in facts {
        let (StoredFact { fact, received_at }, program) = (fact, fact.fact.program());
        let key = LedgerKey::new(*received_at, &fact.id());
        let ledger = ledger_of(standings, program);
        if ledger.is_some_and(|ledger| !ledger.holds(key) && ledger.may_have_spilled(key)) {
            keys.entry(program.clone()).or_default().push(key);
        }
    }
    keys
}

/// The keys to look for, taken to be in blocks. If everything agrees then, no block needs to be read.
pub fn presumed(to_look_for: BTreeMap<ProgramId, Vec<LedgerKey>>) -> Spilled {
    let spilled = to_look_for.into_iter();
    spilled
        .map(|(program, keys)| (program, keys.into_iter().collect()))
        .collect()
}

/// Judges the counts of a user. `standings` are from before the facts and the blocks were read, and have not
/// changed since.
pub fn judge(
    user: &UserId,
    facts: &[StoredFact],
    standings: &BTreeMap<ProgramId, Kept>,
    spilled: &Spilled,
    terms: &Terms<'_>,
) -> Judgement {
    let mut judgement = Judgement::default();
    let mut programs: BTreeMap<ProgramId, Vec<(Countable, &StoredFact)>> = BTreeMap::new();
    for fact in facts {
        match Countable::scored(&fact.fact, fact.received_at, terms.rules) {
            Ok(countable) => programs
                .entry(countable.program.clone())
                .or_default()
                .push((countable, fact)),
            Err(_) => judgement.not_countable += 1,
        }
    }
    for (program, kept) in standings {
        let standing = format!("standing of {user} in {program}");
        match &kept.ledger {
            Err(error) => judgement.disagreeing.push(format!("{standing}: {error}")),
            Ok(ledger) => {
                let facts = programs.remove(program).unwrap_or_default();
                judgement.standing(&standing, ledger, &facts, spilled.get(program), terms);
            }
        }
    }
    for (countable, fact) in programs.into_values().flatten() {
        judgement.not_counted(&countable, fact, terms);
    }
    judgement
}

impl Judgement {
    fn standing(
        &mut self,
        standing: &str,
        ledger: &Ledger,
        facts: &[(Countable, &StoredFact)],
        spilled: Option<&BTreeSet<LedgerKey>>,
        terms: &Terms<'_>,
    ) {
        // The keys of older activities have expired.
        let told_since = terms.now - TOLD_APART;
        let mut expected = Counters::new(ledger.counters.as_of());
        let mut caps = Caps::default();
        let mut keys = BTreeSet::new();
        for (countable, fact) in facts {
            let Countable {
                key,
                day,
                sums,
                cap,
                activity_at,
                ..
            } = countable;
            let is_spilled = spilled.is_some_and(|spilled| spilled.contains(key));
            let is_expired = fact.received_at < told_since && ledger.may_have_spilled(*key);
            keys.insert(*key);
            if ledger.holds(*key) || is_spilled || is_expired {
                expected.add(*day, caps.counted(cap.as_ref(), *sums), *activity_at);
            } else {
                self.not_counted(countable, fact, terms);
            }
        }
        let without_fact = ledger.keys().iter().filter(|key| !keys.contains(key)).count();
        if without_fact > 0 || (facts.is_empty() && ledger.counters != expected) {
            let what = match without_fact {
                0 => "it has no activities".to_owned(),
                1 => "1 key without an activity".to_owned(),
                many => format!("{many} keys without an activity"),
            };
            self.unfounded.push(format!("{standing}: {what}"));
        } else if ledger.counters != expected {
            let differences = differences(&ledger.counters, &expected);
            self.disagreeing.push(format!("{standing}: {differences}"));
        }
    }

    fn not_counted(&mut self, countable: &Countable, fact: &StoredFact, terms: &Terms<'_>) {
        if terms
            .watermark
            .is_some_and(|watermark| fact.received_at < watermark)
        {
            let FactKey { id, user } = &countable.fact;
            self.uncounted.push(format!(
                "activity {id} of {user}, accepted at {:.0}",
                fact.received_at
            ));
        } else {
            self.in_flight += 1;
        }
    }
}

fn ledger_of<'a>(standings: &'a BTreeMap<ProgramId, Kept>, program: &ProgramId) -> Option<&'a Ledger> {
    standings.get(program)?.ledger.as_ref().ok()
}

/// Points and activities, found and expected, such as `all time 25/2 -> 30/3`.
fn differences(found: &Counters, expected: &Counters) -> String {
    let show = |sum: Sum| format!("{}/{}", sum.points, sum.activities);
    let sums = expected.periods().map(|(period, expected)| {
        let name = period.map_or_else(|| "all time".to_owned(), |period| period.to_string());
        (name, found.sum(period).unwrap_or_default(), expected)
    });
    let seasons = found.seasons().iter();
    let seasons = seasons.filter(|(season, _)| !expected.seasons().contains_key(season));
    let seasons = seasons.map(|(season, found)| (season.to_string(), *found, Sum::default()));
    let late: BTreeSet<_> = found.late().keys().chain(expected.late().keys()).collect();
    let late = late.into_iter().map(|&period| {
        let name = format!("too late for {period}");
        (name, found.late_for(period), expected.late_for(period))
    });
    let differing = sums
        .chain(seasons)
        .chain(late)
        .filter(|(_, found, expected)| found != expected);
    let differing =
        differing.map(|(name, found, expected)| format!("{name} {} -> {}", show(found), show(expected)));
    let mut differing: Vec<_> = differing.collect();
    if found.lasts() != expected.lasts() {
        differing.push("the time of the last activity".to_owned());
    }
    differing.join(", ")
}

#[cfg(test)]
mod tests {
    use domain::{Activity, Fact};
    use jiff::civil::Date;
    use store::ledger::Epoch;
    use store::rules::TieBreak;

    use super::*;

    const POLICY: &str = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10}}]"#;

    fn at(time: &str) -> Timestamp {
        time.parse().expect("a time")
    }

    fn fact(kind: &str, received_at: &str) -> StoredFact {
        StoredFact {
            fact: Fact::Activity(Activity {
                id: "a1".parse().expect("an id"),
                user: "ann".parse().expect("an id"),
                program: "p".parse().expect("an id"),
                kind: kind.parse().expect("a kind"),
                occurred_at: at(received_at),
                amount: None,
                metadata: None,
                origin: None,
            }),
            received_at: at(received_at),
        }
    }

    /// Judges ann by these facts and this ledger in the program p.
    fn check(facts: &[StoredFact], ledger: Option<Ledger>, spilled: &[LedgerKey], expected: &str) {
        let terms = Terms {
            rules: &Rules {
                standing_shards: "1".parse().expect("a number of shards"),
                calendar: "UTC".parse().expect("a time zone"),
                scoring_policy: POLICY.parse().expect("a policy"),
                period_grace: None,
                tie_break: TieBreak::Shared,
            },
            watermark: Some(at("2026-11-21T12:00:00Z")),
            now: at("2026-11-21T12:05:00Z"),
        };
        let program: ProgramId = "p".parse().expect("an id");
        let kept = ledger.map(|ledger| Kept {
            version: None,
            ledger: Ok(ledger),
        });
        let standings = kept.map(|kept| (program.clone(), kept)).into_iter().collect();
        let spilled = BTreeMap::from([(program, spilled.iter().copied().collect())]);
        let judgement = judge(
            &"ann".parse().expect("an id"),
            facts,
            &standings,
            &spilled,
            &terms,
        );
        let mut found = vec![
            format!("{} in flight", judgement.in_flight),
            format!("{} not countable", judgement.not_countable),
        ];
        for (rule, findings) in [
            ("uncounted", judgement.uncounted),
            ("unfounded", judgement.unfounded),
            ("disagreeing", judgement.disagreeing),
        ] {
            found.extend(findings.iter().map(|finding| format!("{rule} {finding}")));
        }
        assert_eq!(found.join("; "), expected);
    }

    /// A ledger that includes an activity with so many points under this key.
    fn ledger(received_at: &str, points: i64, key: LedgerKey) -> Ledger {
        let day = at(received_at).to_zoned(jiff::tz::TimeZone::UTC).date();
        let mut ledger = Ledger::new(day, Epoch([0; 8]));
        ledger.count(
            key,
            day.into(),
            Sum {
                points,
                activities: 1,
            }
            .in_every_window(),
            None,
        );
        ledger
    }

    fn key(fact: &StoredFact) -> LedgerKey {
        LedgerKey::new(fact.received_at, &fact.fact.id())
    }

    #[test]
    fn an_activity_is_missed_only_if_it_should_be_counted_by_now() {
        let (before, after) = ("2026-11-21T11:59:59Z", "2026-11-21T12:00:00Z");
        check(
            &[fact("task_completed", before)],
            None,
            &[],
            "0 in flight; 0 not countable; uncounted activity a1 of ann, accepted at 2026-11-21T11:59:59Z",
        );
        check(
            &[fact("task_completed", after)],
            None,
            &[],
            "1 in flight; 0 not countable",
        );
        check(
            &[fact("unheard_of", before)],
            None,
            &[],
            "0 in flight; 1 not countable",
        );
    }

    #[test]
    fn a_standing_is_the_sum_of_what_it_includes() {
        let clean = "0 in flight; 0 not countable";
        let now = "2026-11-21T11:00:00Z";
        let activity = fact("task_completed", now);
        let facts = std::slice::from_ref(&activity);
        let key = key(&activity);
        check(facts, Some(ledger(now, 10, key)), &[], clean);
        check(
            facts,
            Some(ledger(now, 25, key)),
            &[],
            &format!(
                "{clean}; disagreeing standing of ann in p: all time 25/1 -> 10/1, 2026-11-21 25/1 -> 10/1, \
                 2026-W47 25/1 -> 10/1, 2026-11 25/1 -> 10/1"
            ),
        );
        check(
            &[],
            Some(ledger(now, 10, key)),
            &[],
            &format!("{clean}; unfounded standing of ann in p: 1 key without an activity"),
        );
        // The key has left the ledger, and is in a block, or in none, or was in one that expired.
        let mut spilled = Ledger::new("2026-11-21".parse().expect("a day"), Epoch([0; 8]));
        spilled.counters.add(
            "2026-11-21".parse::<Date>().expect("a day").into(),
            Sum {
                points: 10,
                activities: 1,
            }
            .in_every_window(),
            None,
        );
        spilled.spilled_through = Some(key);
        check(facts, Some(spilled.clone()), &[key], clean);
        check(
            facts,
            Some(spilled.clone()),
            &[],
            "0 in flight; 0 not countable; uncounted activity a1 of ann, accepted at 2026-11-21T11:00:00Z; \
             disagreeing standing of ann in p: all time 10/1 -> 0/0, 2026-11-21 10/1 -> 0/0, \
             2026-W47 10/1 -> 0/0, 2026-11 10/1 -> 0/0",
        );
        let long_ago = fact("task_completed", "2026-08-01T12:00:00Z");
        let mut expired = Ledger::new("2026-08-01".parse().expect("a day"), Epoch([0; 8]));
        expired.counters.add(
            "2026-08-01".parse::<Date>().expect("a day").into(),
            Sum {
                points: 10,
                activities: 1,
            }
            .in_every_window(),
            None,
        );
        expired.spilled_through = Some(key);
        check(&[long_ago], Some(expired), &[], clean);
    }
}
