//! What must hold after every move and at the end, judged apart from the code under test.

use std::collections::{BTreeMap, BTreeSet};

use domain::counters::{LATE_KEPT, Sum};
use domain::{Activity, Fact, Period, Season, UserId, Window};
use jiff::{SignedDuration, Timestamp};
use store::caps::{Cap, CapName};
use store::count::{Countable, TOLD_APART};
use store::keys::{CountGeneration, StandingKey};
use store::rules::TieBreak;
use store::{Rules, StoredFact};

use super::{GRACE_HOURS, World};

impl World {
    /// Each standing is the sum, by the rules of its generation, of exactly those activities that it includes,
    /// in each of its periods, and holds no keys of others.
    pub(super) fn check(&mut self) {
        // Nobody reads a generation that was given up, and an erasure deletes its caps beside a repair.
        let counted: BTreeSet<_> = self.generations.counted().collect();
        let mut written = std::mem::take(&mut self.tables.written);
        written.retain(|standing| counted.contains(&standing.generation));
        for standing in written {
            let rules = &self.rules[&standing.generation];
            let ledger = &self.tables.current(&standing).expect("it was written").ledger;
            let of_standing = self.accepted.iter().filter(|stored| {
                *stored.fact.user() == standing.user && *stored.fact.program() == standing.program
            });
            let scored = of_standing.filter_map(|stored| {
                let countable = Countable::scored(&stored.fact, stored.received_at, rules).ok()?;
                Some((stored, countable))
            });
            let included: Vec<_> = scored
                .filter(|(_, countable)| self.tables.includes(&standing, countable.key))
                .collect();
            let (facts, included): (Vec<_>, Vec<_>) = included.into_iter().unzip();
            let keys: BTreeSet<_> = included.iter().map(|countable| countable.key).collect();
            assert!(
                self.tables.included(&standing).eq(&keys),
                "{standing:?} includes what is no fact"
            );
            assert!(
                ledger.keys().iter().all(|key| keys.contains(key)),
                "{standing:?} has a key of no fact"
            );
            assert!(
                !facts.iter().any(|stored| self.is_erased(stored)),
                "{standing:?} includes what was erased"
            );
            let latest = included.iter().map(|countable| countable.day.date).max();
            assert_eq!(Some(ledger.counters.as_of()), latest, "the day of {standing:?}");
            for (period, sum) in ledger.counters.periods() {
                assert_eq!(sum, expected(&facts, rules, period), "{standing:?} in {period:?}");
                let lasts = ledger.counters.lasts();
                let last = match period {
                    None => lasts.all,
                    Some(period) => lasts.periods.get(&period).copied(),
                };
                assert_eq!(
                    last,
                    last_activity(&facts, rules, period),
                    "the last activity of {standing:?} in {period:?}"
                );
            }
            let seasons = rules.calendar.seasons().iter().map(Season::period);
            for season in seasons.collect::<Vec<_>>() {
                // It is given up once later ones have sums.
                if let Some(sum) = ledger.counters.sum(Some(season)) {
                    assert_eq!(
                        sum,
                        expected(&facts, rules, Some(season)),
                        "{standing:?} in {season}"
                    );
                }
            }
            let periods = included.iter().flat_map(|countable| {
                LATE_KEPT.map(|(window, kept)| (Period::containing(window, countable.day.date), kept))
            });
            for (period, kept) in periods.collect::<BTreeSet<_>>() {
                let period = period.expect("only all time is no period");
                let oldest = Period::containing(period.window(), ledger.counters.as_of())
                    .and_then(|current| current.earlier(i32::try_from(kept).expect("few are kept") - 1));
                let late = if Some(period) >= oldest {
                    whenever_received(&facts, rules, period) - expected(&facts, rules, Some(period))
                } else {
                    Sum::default()
                };
                let found = ledger.counters.late_for(period);
                assert_eq!(found, late, "{standing:?} too late for {period}");
            }
            for (season, found) in ledger.counters.late() {
                if season.window() == Window::Season {
                    let late =
                        whenever_received(&facts, rules, *season) - expected(&facts, rules, Some(*season));
                    assert_eq!(*found, late, "{standing:?} too late for {season}");
                }
            }
            let epoch = ledger.epoch;
            let caps: BTreeSet<_> = included
                .iter()
                .filter_map(|countable| countable.cap.clone())
                .collect();
            for cap in caps {
                let of_cap = included
                    .iter()
                    .filter(|countable| countable.cap.as_ref() == Some(&cap));
                let all: i64 = of_cap.map(|countable| countable.sums.all.points).sum();
                let name = CapName::new(&standing, epoch, &cap);
                let kept = self.tables.caps(std::slice::from_ref(&name));
                assert_eq!(
                    kept.get(&name).map(|sums| sums.all),
                    Some(all),
                    "{}",
                    name.as_str()
                );
            }
        }
    }

    /// No standing of the user includes what was erased.
    pub(super) fn check_erased(&self, user: &UserId) {
        for stored in self.accepted.iter().filter(|stored| stored.fact.user() == user) {
            for generation in self.generations.counted().filter(|_| self.is_erased(stored)) {
                assert_ne!(
                    self.is_included(generation, stored),
                    Some(true),
                    "{stored:?} was erased but is counted in {generation}"
                );
            }
        }
    }

    /// Every accepted activity is counted and published, and counted in each generation whose rules know
    /// its kind. Every message that can never be counted is a dead letter, and no other is.
    pub(super) fn check_end(mut self) {
        let mut dead: BTreeSet<&str> = BTreeSet::new();
        dead.extend(self.dead.iter().filter_map(|message| message.body.as_deref()));
        for (record, stored) in self.records.iter().zip(&self.accepted) {
            let StoredFact { fact, received_at } = stored;
            if dead.contains(record.as_str()) {
                let is_unscored = |rules: &Rules| Countable::scored(fact, *received_at, rules).is_err();
                assert!(
                    self.now - TOLD_APART > *received_at || self.first_rules.values().any(is_unscored),
                    "a countable message is a dead letter: {record}"
                );
                self.publishing.expect_fewer();
                continue;
            }
            if self.is_erased(stored) {
                assert!(!self.facts.contains(stored), "{fact:?} was erased but is stored");
                continue;
            }
            for generation in self.generations.counted() {
                // A generation says that it lacks what its rules did not know from the beginning.
                let was_known = Countable::scored(fact, *received_at, &self.first_rules[&generation]).is_ok();
                let may_lack = !was_known && self.generations.lacks(generation);
                let is_included = self.is_included(generation, stored);
                assert!(
                    is_included.is_none_or(|is_included| is_included || may_lack),
                    "{fact:?} was accepted but is not counted in {generation}"
                );
            }
        }
        for number in 1..=self.unreadable {
            let body = format!("unreadable {number}");
            assert!(dead.contains(body.as_str()), "{body} is not a dead letter");
        }
        let live = self.generations.live;
        let rules = &self.rules[&live];
        let published = self.publishing.check_end(
            &mut self.random,
            (&self.tables, &self.facts),
            (live, rules),
            self.now,
        );
        if self.publishing.is_all_time_of_everyone() {
            let standings = self.tables.of_generation(live).into_values();
            let points: i64 = standings
                .map(|(_, ledger)| ledger.counters.sums()[0].points)
                .sum();
            assert_eq!(published.unwrap_or_default(), points, "counted and published");
        }
    }

    /// Whether a fact is counted in a generation; `None` if its rules do not know the kind.
    pub(super) fn is_included(&self, generation: CountGeneration, stored: &StoredFact) -> Option<bool> {
        let rules = &self.rules[&generation];
        let countable = Countable::scored(&stored.fact, stored.received_at, rules).ok()?;
        let standing = standing(generation, rules, &stored.fact);
        Some(self.tables.includes(&standing, countable.key))
    }
}

/// What facts come to in a period by these rules, judged apart from the code under test: an activity and its void
/// come to nothing wherever both are in time, and no more than its cap counts of a kind and a day.
fn expected(facts: &[&StoredFact], rules: &Rules, period: Option<Period>) -> Sum {
    come_to(facts, rules, period, is_before_grace_ends)
}

fn is_before_grace_ends(received_at: Timestamp, end: Timestamp) -> bool {
    received_at < end + SignedDuration::from_hours(GRACE_HOURS.into())
}

/// What they come to in a period, late or not.
fn whenever_received(facts: &[&StoredFact], rules: &Rules, period: Period) -> Sum {
    come_to(facts, rules, Some(period), |_, _| true)
}

fn come_to(
    facts: &[&StoredFact],
    rules: &Rules,
    period: Option<Period>,
    is_in_time: impl Fn(Timestamp, Timestamp) -> bool,
) -> Sum {
    let mut expected = Sum::default();
    let mut capped: BTreeMap<Cap, i64> = BTreeMap::new();
    for StoredFact { fact, received_at } in facts {
        let (activity, sign): (Option<&Activity>, i64) = match fact {
            Fact::Activity(activity) => (Some(activity), 1),
            Fact::Void(void) => (Some(&void.activity), -1),
            Fact::Adjustment(_) => (None, 1),
        };
        let received_at = match fact {
            Fact::Void(void) => (*received_at).max(void.activity_received_at),
            _ => *received_at,
        };
        let day = rules.calendar.date(fact.occurred_at());
        let is_in = |period| is_in(fact, rules, period) && is_in_time(received_at, end(rules, period));
        if !period.is_none_or(is_in) {
            continue;
        }
        match (fact, activity) {
            (Fact::Adjustment(adjustment), _) => expected.points += i64::from(adjustment.points),
            (_, Some(activity)) => {
                let worth = rules.scoring_policy.worth(&activity.kind, activity.occurred_at);
                let worth = worth.expect("it is scored");
                let points = sign
                    * worth
                        .points(activity.amount)
                        .expect("it has what it is scored by");
                expected.activities += sign;
                match worth.max_per_day {
                    None => expected.points += points,
                    Some(max) => {
                        let kind = activity.kind.clone();
                        *capped.entry(Cap { kind, day, max }).or_default() += points;
                    }
                }
            }
            (_, None) => unreachable!("only an adjustment has no activity"),
        }
    }
    expected.points += capped
        .iter()
        .map(|(cap, sum)| (*sum).min(cap.max.into()))
        .sum::<i64>();
    expected
}

/// When the last activity occurred that counts in a period, or in all time, if that decides between equal points.
fn last_activity(facts: &[&StoredFact], rules: &Rules, period: Option<Period>) -> Option<Timestamp> {
    if rules.tie_break == TieBreak::Shared {
        return None;
    }
    let activities = facts
        .iter()
        .filter(|stored| matches!(stored.fact, Fact::Activity(_)));
    let counted = activities.filter(|StoredFact { fact, received_at }| {
        period.is_none_or(|period| {
            is_in(fact, rules, period) && is_before_grace_ends(*received_at, end(rules, period))
        })
    });
    counted.map(|stored| stored.fact.occurred_at()).max()
}

fn is_in(fact: &Fact, rules: &Rules, period: Period) -> bool {
    let day = rules.calendar.date(fact.occurred_at());
    (period.first_day()..=period.last_day()).contains(&day)
}

fn end(rules: &Rules, period: Period) -> Timestamp {
    let next_day = Period::Day(period.last_day()).following();
    rules
        .calendar
        .beginning(next_day.expect("days follow one another"))
}

fn standing(generation: CountGeneration, rules: &Rules, fact: &Fact) -> StandingKey {
    let (user, program) = (fact.user().clone(), fact.program().clone());
    StandingKey::new(generation, rules.standing_shards, user, program)
}
