//! How far a person is with the quests: one item each, with the gates and a version that is new with every write.
//!
//! Each fact that matters to a quest raises it before the facts are read. So an evaluation that is under way elsewhere
//! and may have missed the fact cannot be written any more, since it is written on condition of the version.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::quest::{Gate, Touch};
use domain::{Calendar, Fact, Quest, ScoringPolicy, UserId};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::item::{Item, string, text};
use crate::keys::attribute;
use crate::ledger::Version;
use crate::quests::QuestVersion;

const RULES: &str = "rules";
const GATES: &str = "gates";
/// A gate that no fact can open.
const NEVER: &str = "never";

/// The quests of a deployment, and what else decides who earns a coin.
#[derive(Clone, Debug)]
pub struct RewardRules {
    pub quests: Vec<Quest>,
    pub calendar: Calendar,
    pub policy: ScoringPolicy,
    /// Of the time zone and the policy. What a version of a quest says never changes.
    pub(crate) fingerprint: String,
}

impl RewardRules {
    const FINGERPRINT_DIGITS: usize = 16;

    pub fn new(quests: Vec<Quest>, calendar: Calendar, policy: ScoringPolicy) -> Self {
        let policy_json = serde_json::to_string(&policy).expect("a policy has string keys only");
        let hash = Sha256::digest(format!("{} {policy_json}", calendar.time_zone()));
        let fingerprint = format!("{hash:x}")[..Self::FINGERPRINT_DIGITS].to_owned();
        Self {
            quests,
            calendar,
            policy,
            fingerprint,
        }
    }

    /// Names what decides who earns a coin: the versions of the quests, the time zone and the policy.
    pub(crate) fn name(&self) -> String {
        let mut quests: Vec<_> = self.quests.iter().map(QuestVersion::of).collect();
        quests.sort_unstable();
        let quests = quests.iter().map(|quest| format!("{quest}\n"));
        format!(
            "{:x}",
            Sha256::digest(format!("{}{}", quests.collect::<String>(), self.fingerprint))
        )
    }

    /// Whether a fact matters to any quest.
    pub fn concern(&self, fact: &Fact) -> bool {
        self.quests.iter().any(|quest| Touch::of(fact, quest).is_some())
    }
}

/// How far a person is, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    pub version: Version,
    gates: Gates,
    /// The fingerprint of the rules that the gates were made by.
    rules: String,
}

/// What is to be written of a person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates(pub BTreeMap<QuestVersion, Gate>);

/// Tells a person's progress of facts. Returns the gates to be written, and whether the quests have to be proved
/// then. A gate that no evaluation has made by these rules counts for nothing.
pub fn raise<'f>(
    progress: Option<&Progress>,
    facts: impl IntoIterator<Item = &'f (Fact, Timestamp)>,
    rules: &RewardRules,
) -> (Gates, bool) {
    let mut gates = progress.map_or_else(Gates::default, |known| known.clone().into_gates(rules));
    let mut must_prove = false;
    for (fact, received_at) in facts {
        for quest in &rules.quests {
            let Some(touch) = Touch::of(fact, quest) else {
                continue;
            };
            let gate = gates.0.get_mut(&QuestVersion::of(quest));
            must_prove |= gate.is_none_or(|gate| gate.raise(touch, *received_at));
        }
    }
    (gates, must_prove)
}

impl Gates {
    /// Whether one of these would stay closed for a fact that opens the same gate of an evaluation.
    pub(crate) fn hide(&self, evaluated: &Self) -> bool {
        let evaluated = evaluated.0.iter();
        let mut pairs = evaluated.filter_map(|(quest, gate)| Some((self.0.get(quest)?, gate)));
        pairs.any(|(known, evaluated)| known.hides(evaluated))
    }
}

impl Progress {
    pub fn new(version: Version, gates: Gates, rules: &RewardRules) -> Self {
        Self {
            version,
            gates,
            rules: rules.fingerprint.clone(),
        }
    }

    /// The item of a person.
    pub(crate) fn item(&self, user: &UserId) -> Item {
        let gates = self.gates.0.iter();
        let gates = gates.map(|(quest, gate)| (quest.to_string(), string(shown(gate))));
        Item::from([
            (attribute::USER_ID.to_owned(), string(user.as_str())),
            (attribute::VERSION.to_owned(), self.version.attribute()),
            (RULES.to_owned(), string(self.rules.as_str())),
            (GATES.to_owned(), AttributeValue::M(gates.collect())),
        ])
    }

    /// What an item has. Gates that cannot be read count for nothing.
    pub(crate) fn of_item(item: &Item) -> Option<Self> {
        let gates = match item.get(GATES) {
            Some(AttributeValue::M(gates)) => gates
                .iter()
                .filter_map(|(quest, gate)| Some((QuestVersion::stored(quest)?, parse(gate.as_s().ok()?)?))),
            _ => return None,
        };
        Some(Self {
            version: Version::of_item(item)?,
            gates: Gates(gates.collect()),
            rules: text(item, RULES).ok()?.to_owned(),
        })
    }

    /// Its gates, if they were made by these rules.
    pub(crate) fn into_gates(self, rules: &RewardRules) -> Gates {
        if self.rules == rules.fingerprint {
            self.gates
        } else {
            Gates::default()
        }
    }
}

/// A gate as text: what it lacks, the matchers that count in hexadecimal, and until when coins may change, such as
/// `3 ffffffff` or `never 0 2026-11-21T09:00:00Z`.
fn shown(gate: &Gate) -> String {
    let Gate {
        lacking,
        unmet,
        found_until,
    } = gate;
    let lacking = lacking.map_or_else(|| NEVER.to_owned(), |lacking| lacking.to_string());
    let found_until = found_until.map_or_else(String::new, |until| format!(" {until}"));
    format!("{lacking} {unmet:x}{found_until}")
}

fn parse(text: &str) -> Option<Gate> {
    let mut parts = text.split(' ');
    let lacking = match parts.next()? {
        NEVER => None,
        lacking => Some(lacking.parse().ok()?),
    };
    Some(Gate {
        lacking,
        unmet: u32::from_str_radix(parts.next()?, 16).ok()?,
        found_until: parts.next().map(str::parse).transpose().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: &str = r#"[{"effective_from":"1970-01-01T00:00:00Z","points":{"task_completed":10}}]"#;

    fn rules(policy: &str) -> RewardRules {
        let quests = br#"[{"id":"q","version":1,"title":"Q","coin":{"name":"C","value":1},"per":"once",
            "rule":{"count":{"of":{"kind":"task_completed"},"at_least":3}}}]"#;
        let quests = domain::quest::parse(quests).unwrap();
        RewardRules::new(quests, "UTC".parse().unwrap(), policy.parse().unwrap())
    }

    fn task(id: &str, kind: &str) -> (Fact, Timestamp) {
        let activity = domain::Activity {
            id: id.parse().unwrap(),
            user: "ann".parse().unwrap(),
            program: "p".parse().unwrap(),
            kind: kind.parse().unwrap(),
            occurred_at: Timestamp::UNIX_EPOCH,
            amount: None,
            metadata: None,
            origin: None,
        };
        (Fact::Activity(activity), Timestamp::from_second(60).unwrap())
    }

    #[test]
    fn a_gate_opens_when_enough_is_told_and_counts_for_nothing_by_other_rules() {
        let rules = rules(POLICY);
        let task = task("a", "task_completed");
        let (gates, must_prove) = raise(None, [&task], &rules);
        assert!(must_prove && gates.0.is_empty(), "raising makes no gate");
        let gate = Gate {
            lacking: Some(2),
            unmet: u32::MAX,
            found_until: None,
        };
        let gates = Gates([(QuestVersion::of(&rules.quests[0]), gate)].into());
        let item = Progress::new(Version([7; 8]), gates, &rules).item(&"ann".parse().unwrap());
        let progress = Progress::of_item(&item).unwrap();
        let (raised, must_prove) = raise(Some(&progress), [&task], &rules);
        assert_eq!(raised.0.values().next().unwrap().lacking, Some(1));
        assert!(!must_prove);
        assert!(raise(Some(&progress), [&task, &task], &rules).1);
        let changed = RewardRules::new(
            rules.quests.clone(),
            "Europe/Berlin".parse().unwrap(),
            rules.policy.clone(),
        );
        assert!(
            raise(Some(&progress), [&task], &changed).1,
            "days may be others there"
        );
    }

    #[test]
    fn a_stored_gate_keeps_its_form() {
        for text in ["3 ffffffff", "never 0 2026-11-21T09:00:00.25Z", "1 5"] {
            assert_eq!(shown(&parse(text).unwrap()), text);
        }
        for text in ["", "3", "x 1", "3 g", "3 1 today"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
