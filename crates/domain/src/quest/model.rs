//! Compares the evaluation with a model that follows the definitions by trying all subsets of a few activities, and
//! checks what must hold for any delivery.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::fixtures::{calendar, evaluated, policy, quest};
use super::{Activities, Coin, Gate, Quest, Touch, coins};
use crate::activity::{Activity, Metadata};
use crate::correction::{Reason, Void};
use crate::fact::Fact;

/// The Monday of 2026-W13. Activities occur within the [`HOURS`] after it.
const BEGIN: &str = "2026-03-23T00:00:00Z";
const HOURS: i64 = 24 * 16;
const DAYS_LEFT_IN_MARCH: i64 = 9;

/// An activity in numbers.
#[derive(Clone, Debug)]
struct Act {
    id: String,
    /// Since [`BEGIN`].
    hour: i64,
    /// Since 1970, so that the order of receipt has nothing to do with that of occurrence.
    received_minute: i64,
    kind: &'static str,
    program: &'static str,
    level: Option<u8>,
}

impl Act {
    fn points(&self) -> u64 {
        match self.kind {
            "k" => 10,
            "other" => 5,
            _ => 0,
        }
    }

    fn place(&self) -> (i64, String) {
        (self.hour, self.id.clone())
    }

    fn receipt(&self) -> (i64, &str) {
        (self.received_minute, &self.id)
    }

    fn fact(&self) -> (Fact, Timestamp) {
        let begin: Timestamp = BEGIN.parse().unwrap();
        let activity = Activity {
            id: self.id.parse().unwrap(),
            user: "ann".parse().unwrap(),
            program: self.program.parse().unwrap(),
            kind: self.kind.parse().unwrap(),
            occurred_at: begin + SignedDuration::from_hours(self.hour),
            amount: None,
            metadata: self
                .level
                .map(|level| Metadata::stored(format!(r#"{{"level":{level}}}"#))),
            origin: None,
        };
        let received_at = Timestamp::UNIX_EPOCH + SignedDuration::from_mins(self.received_minute);
        (Fact::Activity(activity), received_at)
    }
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    kind: Option<&'static str>,
    program: Option<&'static str>,
    level: Option<u8>,
}

impl Wanted {
    fn is_met_by(self, act: &Act) -> bool {
        self.kind.is_none_or(|kind| kind == act.kind)
            && self.program.is_none_or(|program| program == act.program)
            && self.level.is_none_or(|level| act.level == Some(level))
    }

    fn json(self) -> String {
        let text = |name: &str, value: &str| format!(r#""{name}":"{value}""#);
        let kind = self.kind.map(|kind| text("kind", kind));
        let program = self.program.map(|program| text("program_id", program));
        let level = self
            .level
            .map(|level| format!(r#""metadata":{{"level":{level}}}"#));
        let members: Vec<_> = kind.into_iter().chain(program).chain(level).collect();
        format!("{{{}}}", members.join(","))
    }
}

#[derive(Clone, Debug)]
enum Asked {
    All(Vec<Wanted>),
    Ordered(Vec<Wanted>),
    Count(Wanted, usize),
    Distinct(Wanted, &'static str, usize),
    Points(Wanted, u64),
    Streak(Wanted, &'static str, i64),
}

#[derive(Clone, Debug)]
struct Model {
    rule: Asked,
    per: &'static str,
    within_hours: Option<i64>,
    /// Hours since [`BEGIN`].
    from: Option<i64>,
    until: Option<i64>,
}

impl Model {
    fn quest(&self) -> Quest {
        let list = |wanted: &[Wanted]| {
            wanted
                .iter()
                .map(|wanted| wanted.json())
                .collect::<Vec<_>>()
                .join(",")
        };
        let rule = match &self.rule {
            Asked::All(wanted) => format!(r#""all":[{}]"#, list(wanted)),
            Asked::Ordered(wanted) => format!(r#""ordered":[{}]"#, list(wanted)),
            Asked::Count(of, n) => format!(r#""count":{{"of":{},"at_least":{n}}}"#, of.json()),
            Asked::Points(of, n) => format!(r#""points":{{"of":{},"at_least":{n}}}"#, of.json()),
            Asked::Distinct(of, field, n) => {
                format!(
                    r#""distinct":{{"of":{},"field":"{field}","at_least":{n}}}"#,
                    of.json()
                )
            }
            Asked::Streak(of, unit, n) => {
                format!(
                    r#""streak":{{"of":{},"unit":"{unit}","at_least":{n}}}"#,
                    of.json()
                )
            }
        };
        let begin: Timestamp = BEGIN.parse().unwrap();
        let time =
            |name: &str, hour: i64| format!(r#""{name}":"{}""#, begin + SignedDuration::from_hours(hour));
        let mut fields = vec![format!(r#""per":"{}","rule":{{{rule}}}"#, self.per)];
        fields.extend(self.within_hours.map(|hours| format!(r#""within":"{hours}h""#)));
        fields.extend(self.from.map(|from| time("starts_at", from)));
        fields.extend(self.until.map(|until| time("ends_at", until)));
        quest(&fields.join(","))
    }

    /// Whether exactly these activities, in order of occurrence, meet the rule.
    fn is_met_by(&self, acts: &[&Act]) -> bool {
        let of = |wanted: &Wanted| {
            acts.iter()
                .copied()
                .filter(|act| wanted.is_met_by(act))
                .collect::<Vec<_>>()
        };
        match &self.rule {
            Asked::All(wanted) => wanted.iter().all(|wanted| !of(wanted).is_empty()),
            Asked::Ordered(wanted) => {
                wanted.len() == acts.len()
                    && wanted.iter().zip(acts).all(|(wanted, act)| wanted.is_met_by(act))
            }
            Asked::Count(wanted, n) => of(wanted).len() >= *n,
            Asked::Points(wanted, n) => of(wanted).iter().map(|act| act.points()).sum::<u64>() >= *n,
            Asked::Distinct(wanted, field, n) => {
                let values: BTreeSet<_> = of(wanted).iter().map(|act| value(act, field)).collect();
                values.len() >= *n
            }
            Asked::Streak(wanted, unit, n) => {
                let units: BTreeSet<_> = of(wanted).iter().map(|act| number(act, unit)).collect();
                let is_run = |first: &i64| (0..*n).all(|more| units.contains(&(first + more)));
                units.iter().any(is_run)
            }
        }
    }

    fn is_short(&self, acts: &[&Act]) -> bool {
        let (Some(first), Some(last), Some(hours)) = (acts.first(), acts.last(), self.within_hours) else {
            return true;
        };
        last.hour - first.hour <= hours
    }

    /// All subsets that meet the rule and are short enough.
    fn proofs<'a>(&self, acts: &[&'a Act]) -> Vec<Vec<&'a Act>> {
        let subsets = (1_u32..1 << acts.len()).map(|bits| {
            let chosen = acts.iter().enumerate().filter(|(at, _)| bits & (1 << at) != 0);
            chosen.map(|(_, act)| *act).collect::<Vec<_>>()
        });
        subsets
            .filter(|subset| self.is_short(subset) && self.is_met_by(subset))
            .collect()
    }

    /// The evidence in the first window that has a proof.
    fn evidence(&self, acts: &[&Act]) -> Option<Vec<String>> {
        let windows = acts.iter().map(|first| -> Vec<&Act> {
            let is_in = |act: &&&Act| {
                self.within_hours
                    .is_none_or(|hours| (first.hour..=first.hour + hours).contains(&act.hour))
            };
            acts.iter().filter(is_in).copied().collect()
        });
        let mut windows = windows.filter(|window| !self.proofs(window).is_empty());
        let window = windows.next();
        assert_eq!(window.is_some(), !self.proofs(acts).is_empty());
        let evidence = self.first_in(&window?)?;
        assert!(self.is_met_by(&evidence) && self.is_short(&evidence));
        Some(evidence.iter().map(|act| act.id.clone()).collect())
    }

    /// The evidence in a window, as it is documented.
    fn first_in<'a>(&self, window: &[&'a Act]) -> Option<Vec<&'a Act>> {
        let of = |wanted: &Wanted| {
            window
                .iter()
                .copied()
                .filter(|act| wanted.is_met_by(act))
                .collect::<Vec<_>>()
        };
        match &self.rule {
            Asked::All(wanted) => {
                let mut firsts: Vec<&Act> = wanted
                    .iter()
                    .filter_map(|wanted| of(wanted).first().copied())
                    .collect();
                firsts.sort_by_key(|act| act.place());
                firsts.dedup_by_key(|act| act.id.clone());
                Some(firsts)
            }
            Asked::Ordered(_) => self
                .proofs(window)
                .into_iter()
                .min_by_key(|proof| proof.iter().map(|act| act.place()).collect::<Vec<_>>()),
            Asked::Count(wanted, n) => Some(of(wanted)[..*n].to_vec()),
            Asked::Points(wanted, n) => {
                let mut worth = of(wanted);
                worth.retain(|act| act.points() > 0);
                let sum = |acts: &[&Act]| acts.iter().map(|act| act.points()).sum::<u64>();
                let enough = (0..=worth.len()).find(|len| sum(&worth[..*len]) >= *n)?;
                Some(worth[..enough].to_vec())
            }
            Asked::Distinct(wanted, field, n) => {
                let mut firsts: BTreeMap<String, &Act> = BTreeMap::new();
                for act in of(wanted).into_iter().rev() {
                    firsts.insert(value(act, field), act);
                }
                let mut firsts: Vec<&Act> = firsts.into_values().collect();
                firsts.sort_by_key(|act| act.place());
                firsts.truncate(*n);
                Some(firsts)
            }
            Asked::Streak(wanted, unit, n) => {
                let mut firsts: BTreeMap<i64, &Act> = BTreeMap::new();
                for act in of(wanted).into_iter().rev() {
                    firsts.insert(number(act, unit), act);
                }
                let run = |first: &i64| -> Option<Vec<&'a Act>> {
                    (0..*n).map(|more| firsts.get(&(first + more)).copied()).collect()
                };
                firsts.keys().find_map(run)
            }
        }
    }

    /// Coins as (period, found by, evidence).
    fn coins(&self, acts: &[Act]) -> Vec<(String, String, Vec<String>)> {
        let mut acts: Vec<&Act> = acts
            .iter()
            .filter(|act| self.from.is_none_or(|from| from <= act.hour))
            .filter(|act| self.until.is_none_or(|until| act.hour < until))
            .collect();
        acts.sort_by_key(|act| act.place());
        let mut periods: BTreeMap<String, Vec<&Act>> = BTreeMap::new();
        for act in acts {
            periods.entry(self.period(act)).or_default().push(act);
        }
        let coins = periods.into_iter().filter_map(|(period, acts)| {
            let mut receipts: Vec<_> = acts.iter().map(|act| act.receipt()).collect();
            receipts.sort_unstable();
            receipts.into_iter().find_map(|last| {
                let until: Vec<&Act> = acts.iter().copied().filter(|act| act.receipt() <= last).collect();
                let evidence = self.evidence(&until)?;
                Some((period.clone(), last.1.to_owned(), evidence))
            })
        });
        coins.collect()
    }

    fn period(&self, act: &Act) -> String {
        match self.per {
            "once" => String::new(),
            "program" => act.program.to_owned(),
            "month" if number(act, "day") < DAYS_LEFT_IN_MARCH => "2026-03".to_owned(),
            "month" => "2026-04".to_owned(),
            "week" => format!("2026-W{}", 13 + number(act, "week")),
            _ => match number(act, "day") {
                day if day < DAYS_LEFT_IN_MARCH => format!("2026-03-{:02}", 23 + day),
                day => format!("2026-04-{:02}", day - DAYS_LEFT_IN_MARCH + 1),
            },
        }
    }
}

fn number(act: &Act, unit: &str) -> i64 {
    act.hour.div_euclid(if unit == "week" { 24 * 7 } else { 24 })
}

fn value(act: &Act, field: &str) -> String {
    match field {
        "program_id" => act.program.to_owned(),
        "kind" => act.kind.to_owned(),
        _ => number(act, "day").to_string(),
    }
}

fn shown(coins: &[Coin]) -> Vec<(String, String, Vec<String>)> {
    let coins = coins.iter().map(|coin| {
        let evidence = coin.evidence.iter().map(ToString::to_string).collect();
        (coin.period.to_string(), coin.found_by.to_string(), evidence)
    });
    coins.collect()
}

fn wanted() -> impl Strategy<Value = Wanted> {
    let kind = select(vec![None, None, Some("k"), Some("other"), Some("free")]);
    let program = select(vec![None, None, None, Some("p"), Some("q")]);
    let level = select(vec![None, None, None, None, Some(1)]);
    (kind, program, level).prop_map(|(kind, program, level)| Wanted { kind, program, level })
}

fn asked() -> impl Strategy<Value = Asked> {
    let fields = select(vec!["program_id", "kind", "day"]);
    prop_oneof![
        vec(wanted(), 1..4).prop_map(Asked::All),
        vec(wanted(), 1..4).prop_map(Asked::Ordered),
        (wanted(), 1..4_usize).prop_map(|(of, n)| Asked::Count(of, n)),
        (wanted(), fields, 1..4_usize).prop_map(|(of, field, n)| Asked::Distinct(of, field, n)),
        (wanted(), 1..40_u64).prop_map(|(of, n)| Asked::Points(of, n)),
        (wanted(), select(vec!["day", "week"]), 1..4_i64)
            .prop_map(|(of, unit, n)| Asked::Streak(of, unit, n)),
    ]
}

fn model() -> impl Strategy<Value = Model> {
    let per = select(vec!["once", "once", "once", "day", "week", "month", "program"]);
    let within = select(vec![None, Some(1), Some(5), Some(24), Some(72)]);
    let from = select(vec![None, None, None, Some(30)]);
    let until = select(vec![None, None, None, Some(HOURS - 30)]);
    (asked(), per, within, from, until).prop_map(|(rule, per, within_hours, from, until)| Model {
        within_hours: within_hours.filter(|_| !matches!(rule, Asked::Streak(..))),
        rule,
        per,
        from,
        until,
    })
}

/// Activities that are close together or far apart, some at the same moment, received in any order.
fn acts(count: usize) -> impl Strategy<Value = Vec<Act>> {
    let hour = prop_oneof![0..8_i64, 0..80_i64, 0..HOURS];
    let kind = select(vec!["k", "other", "free"]);
    let program = select(vec!["p", "q", "r"]);
    let level = select(vec![None, Some(1), Some(2)]);
    let act = (hour, 0..6_i64, kind, program, level);
    vec(act, 0..=count).prop_map(|acts| {
        let acts = acts.into_iter().zip('a'..);
        let acts = acts.map(|((hour, received_minute, kind, program, level), id)| Act {
            id: id.to_string(),
            hour,
            received_minute,
            kind,
            program,
            level,
        });
        acts.collect()
    })
}

fn facts(acts: &[Act]) -> Vec<(Fact, Timestamp)> {
    acts.iter().map(Act::fact).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn the_evaluation_agrees_with_trying_everything(model in model(), acts in acts(7)) {
        let coins = evaluated(&model.quest(), "UTC", &facts(&acts));
        prop_assert_eq!(shown(&coins), model.coins(&acts));
    }

    #[test]
    fn any_delivery_gives_the_same_coins_in_the_end(
        model in model(),
        acts in acts(14),
        deliveries in vec(any::<Index>(), 0..40),
    ) {
        let quest = model.quest();
        let all = facts(&acts);
        let coins = evaluated(&quest, "UTC", &all);
        // Each activity at least once, in any order.
        let repeated = deliveries.iter().filter(|_| !all.is_empty()).map(|index| index.get(&all));
        let delivered: Vec<_> = repeated.chain(&all).cloned().collect();
        prop_assert_eq!(&evaluated(&quest, "UTC", &delivered), &coins);
        // With more activities, there are never fewer coins.
        let ids = |coins: &[Coin]| coins.iter().map(|coin| coin.id.clone()).collect::<BTreeSet<_>>();
        let mut before = BTreeSet::new();
        for end in 0..=delivered.len() {
            let now = ids(&evaluated(&quest, "UTC", &delivered[..end]));
            prop_assert!(before.is_subset(&now));
            before = now;
        }
        prop_assert_eq!(before, ids(&coins));
    }

    #[test]
    fn a_coin_does_not_change_by_what_is_received_later(model in model(), mut acts in acts(14)) {
        let quest = model.quest();
        acts.sort_by_key(|act| (act.received_minute, act.id.clone()));
        let all = facts(&acts);
        let coins = evaluated(&quest, "UTC", &all);
        for end in 0..=all.len() {
            for coin in evaluated(&quest, "UTC", &all[..end]) {
                prop_assert!(coins.contains(&coin));
            }
        }
    }

    /// Facts are recorded before they are told, in another order, some twice, and some activities are voided.
    #[test]
    fn nothing_changes_while_the_gate_says_so(
        model in model(),
        acts in acts(12),
        voided in vec(any::<Index>(), 0..3),
        recorded_early in vec(any::<Index>(), 0..6),
        told_twice in vec(any::<Index>(), 0..12),
    ) {
        let quest = model.quest();
        let activities = facts(&acts);
        let voids = voided.iter().filter(|_| !acts.is_empty()).map(|index| void(index.get(&acts)));
        let all: Vec<_> = activities.iter().cloned().chain(voids).collect();
        let repeated = told_twice.iter().filter(|_| !all.is_empty()).map(|index| index.get(&all));
        let told: Vec<_> = repeated.chain(&all).collect();
        let early: BTreeSet<usize> =
            recorded_early.iter().filter(|_| !all.is_empty()).map(|index| index.index(all.len())).collect();
        let mut recorded: Vec<_> = early.iter().map(|at| all[*at].clone()).collect();
        // What was proved or told: the gate must know of all of it.
        let mut known = Vec::new();
        let (mut gate, mut coins) = (None::<Gate>, Vec::new());
        for (fact, received_at) in told {
            recorded.push((fact.clone(), *received_at));
            known.push((fact.clone(), *received_at));
            let Some(touch) = Touch::of(fact, &quest) else { continue };
            if gate.as_mut().is_none_or(|gate| gate.raise(touch, *received_at)) {
                let (proved, after) = proved(&quest, &recorded);
                (coins, gate) = (proved, Some(after));
                known.clone_from(&recorded);
            } else {
                prop_assert_eq!(&evaluated(&quest, "UTC", &known), &coins);
            }
        }
        prop_assert_eq!(coins, evaluated(&quest, "UTC", &all));
    }
}

fn void(act: &Act) -> (Fact, Timestamp) {
    let (Fact::Activity(activity), activity_received_at) = act.fact() else {
        unreachable!("it is an activity");
    };
    let void = Void {
        correction: "c".parse().unwrap(),
        reason: Reason::parse("twice").unwrap(),
        activity,
        activity_received_at,
    };
    (Fact::Void(void), activity_received_at)
}

fn proved(quest: &Quest, facts: &[(Fact, Timestamp)]) -> (Vec<Coin>, Gate) {
    let facts = facts.iter().map(|(fact, received_at)| (fact, *received_at));
    let activities = Activities::new(facts, &calendar("UTC"), &policy());
    let coins = coins(quest, &activities);
    let gate = Gate::new(quest, &activities, &coins, &policy());
    (coins, gate)
}
