//! Which generations of the counts exist, and the rules by which each is counted. One item, which every
//! invocation of the aggregator reads when it starts.
//!
//! This is enough for a rebuild to miss nothing. An activity recorded after a second generation was begun
//! can only be in a later invocation, which counts it into both. An activity recorded before is found by
//! the rebuild's pass over the facts, which begins later. If both count an activity, its key in the ledger
//! makes it count once.
//!
//! Earlier versions of Podium counted without ledgers. Their generations are kept until a rebuild has replaced them, but nothing
//! counts into them any more and nothing reads them: the last board that it published stands, and becomes
//! stale. Invocations of that version that still run cannot decode the item once a generation with ledgers
//! is being built, so they return their messages to the queue.
//!
//! A generation keeps its rules, since counts by two rules would add up to neither. Configured rules that
//! differ wait for a rebuild, whose generation is counted by them from the beginning.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use domain::Kind;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::control;
use crate::erasures::Erasures;
use crate::error::StoreError;
use crate::item::number;
use crate::keys::CountGeneration;
use crate::rules::{Rules, SCORING_POLICY};

const GENERATIONS: &str = "generations";
/// All attributes of the item.
const ATTRIBUTES: [&str; 10] = [
    "live",
    "ledgers_from",
    "rules",
    "lacks",
    "configured",
    "kinds",
    "beside",
    "newest",
    "erasures",
    "version",
];

/// The live generation, which readers see, and possibly one being built. The aggregator counts into both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    pub live: CountGeneration,
    /// The first generation that is counted with ledgers. `None` in an item of an earlier
    /// version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ledgers_from: Option<CountGeneration>,
    /// The rules of the live generation; `None` before the first aggregator has run.
    #[serde(rename = "rules", default, skip_serializing_if = "Option::is_none")]
    live_rules: Option<Rules>,
    /// Whether the live generation lacks facts that its rules know by now.
    #[serde(rename = "lacks", default, skip_serializing_if = "is_false")]
    live_lacks: bool,
    /// The rules of the aggregator that started last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    configured: Option<Rules>,
    /// All kinds that were ever configured. There may be facts of these.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    kinds: BTreeSet<Kind>,
    #[serde(rename = "beside", default, skip_serializing_if = "Option::is_none")]
    pub building: Option<Building>,
    /// The newest generation so far. A number is never reused, since items of an old generation may remain.
    newest: CountGeneration,
    /// Whose facts are left out of all generations, up to when they were received.
    #[serde(default, skip_serializing_if = "Erasures::is_empty")]
    pub erasures: Erasures,
    /// Increases with every change, so that only one of two concurrent changes succeeds.
    version: u64,
}

/// The generation being built. After a switch, the former live one takes this place until it is given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Building {
    pub generation: CountGeneration,
    pub state: State,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rules: Option<Rules>,
    /// Whether it lacks facts that its rules know by now.
    #[serde(default, skip_serializing_if = "is_false")]
    lacks: bool,
}

/// How far a generation being built is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Some facts are not counted in it yet. Earlier versions, which must not count into a generation
    /// with ledgers, do not know this name; theirs was another.
    #[serde(alias = "growing")]
    Incomplete,
    /// It counts everything that the live one does, and may take its place.
    Complete,
}

/// Why the generations cannot be changed in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    #[error("there is only the live generation; `podium rebuild run` builds another one")]
    Alone,
    #[error("{0} is not complete; finish it with `podium rebuild run` first")]
    Incomplete(CountGeneration),
    #[error(
        "{0} was counted by an earlier version of Podium and is no longer kept up to date; finish `podium rebuild run` first"
    )]
    Former(CountGeneration),
}

impl Default for Generations {
    fn default() -> Self {
        Self {
            live: CountGeneration::FIRST,
            ledgers_from: Some(CountGeneration::FIRST),
            live_rules: None,
            live_lacks: false,
            configured: None,
            kinds: BTreeSet::new(),
            building: None,
            newest: CountGeneration::FIRST,
            erasures: Erasures::default(),
            version: 0,
        }
    }
}

impl Generations {
    /// The generations that every activity is counted into, the live one first.
    pub fn counted(&self) -> impl Iterator<Item = CountGeneration> {
        let building = self.building.as_ref();
        let known = std::iter::once(self.live).chain(building.map(|building| building.generation));
        known.filter(|generation| !self.is_former(*generation))
    }

    /// Whether a generation was counted by an earlier version of Podium, without ledgers.
    pub fn is_former(&self, generation: CountGeneration) -> bool {
        self.ledgers_from.is_none_or(|from| generation < from)
    }

    /// The rules of a generation that is counted; `None` if it has none yet.
    pub fn rules(&self, generation: CountGeneration) -> Option<&Rules> {
        if generation == self.live {
            return self.live_rules.as_ref();
        }
        let building = self.building.as_ref()?;
        (building.generation == generation)
            .then_some(building.rules.as_ref())
            .flatten()
    }

    /// The rules of the aggregator that started last, which rewards go by, too.
    pub fn configured(&self) -> Option<&Rules> {
        self.configured.as_ref()
    }

    /// Notes the rules that are configured at `now`, and adopts in each generation what leaves its counts
    /// valid.
    #[must_use]
    pub fn settled(&self, configured: &Rules, now: Timestamp) -> Self {
        // A kind that was configured before may have facts that a generation left out, since its rules did
        // not know the kind when it was built.
        let adopt = |rules: &Option<Rules>| match rules {
            None => (Some(configured.clone()), false),
            Some(rules) => {
                let (adopted, added) = rules.adopting(configured, now);
                (Some(adopted), !added.is_disjoint(&self.kinds))
            }
        };
        let (live_rules, lacks) = adopt(&self.live_rules);
        let mut kinds = configured.scoring_policy.kinds();
        kinds.extend(self.kinds.iter().cloned());
        let settled = Self {
            live_rules,
            live_lacks: self.live_lacks || lacks,
            configured: Some(configured.clone()),
            kinds,
            building: self.building.as_ref().map(|building| {
                let (rules, lacks) = adopt(&building.rules);
                Building {
                    rules,
                    lacks: building.lacks || lacks,
                    ..*building
                }
            }),
            erasures: self.erasures.clone(),
            ..*self
        };
        if settled.counted().next().is_none() {
            // Nothing is counted any more until a generation with ledgers is built.
            return settled.with_rebuild().0;
        }
        settled
    }

    /// The configured settings by which the live generation is not counted, since that takes a rebuild.
    pub fn pending(&self) -> Vec<&'static str> {
        let (Some(live), Some(configured)) = (&self.live_rules, &self.configured) else {
            return Vec::new();
        };
        let mut pending = live.differences(configured);
        if self.live_lacks && !pending.contains(&SCORING_POLICY) {
            pending.push(SCORING_POLICY);
        }
        pending
    }

    /// Whether a generation lacks facts that its rules know by now.
    pub fn lacks(&self, generation: CountGeneration) -> bool {
        let building = self.building.as_ref();
        (generation == self.live && self.live_lacks)
            || building.is_some_and(|building| building.generation == generation && building.lacks)
    }

    /// Begins to build a generation by the configured rules, or continues with an incomplete one. A
    /// complete one, kept to switch back to, is given up for a new one.
    #[must_use]
    pub fn with_rebuild(&self) -> (Self, CountGeneration) {
        if let Some(Building {
            generation,
            state: State::Incomplete,
            ..
        }) = self.building
            && !self.is_former(generation)
        {
            return (self.clone(), generation);
        }
        let generation = self.newest.next();
        let building = Building {
            generation,
            state: State::Incomplete,
            rules: self.configured.clone(),
            lacks: false,
        };
        let begun = Self {
            ledgers_from: self.ledgers_from.or(Some(generation)),
            building: Some(building),
            newest: generation,
            ..self.clone()
        };
        (begun, generation)
    }

    /// Marks the generation being built as complete.
    pub fn completed(&self) -> Result<Self, NotNow> {
        let building = self.building.clone().ok_or(NotNow::Alone)?;
        let state = State::Complete;
        Ok(Self {
            building: Some(Building { state, ..building }),
            ..self.clone()
        })
    }

    /// Swaps the two generations: forward, or back.
    pub fn switched(&self) -> Result<Self, NotNow> {
        let building = self.building.clone().ok_or(NotNow::Alone)?;
        match building.state {
            State::Incomplete => Err(NotNow::Incomplete(building.generation)),
            State::Complete if self.is_former(building.generation) => {
                Err(NotNow::Former(building.generation))
            }
            State::Complete => {
                assert_ne!(
                    building.generation, self.live,
                    "a generation cannot replace itself"
                );
                Ok(Self {
                    live: building.generation,
                    live_rules: building.rules,
                    live_lacks: building.lacks,
                    building: Some(Building {
                        generation: self.live,
                        state: State::Complete,
                        rules: self.live_rules.clone(),
                        lacks: self.live_lacks,
                    }),
                    ..self.clone()
                })
            }
        }
    }

    /// Gives up every generation but the live one, and returns the one that was given up.
    pub fn alone(&self) -> Result<(Self, CountGeneration), NotNow> {
        let building = self.building.as_ref().ok_or(NotNow::Alone)?;
        if self.is_former(self.live) {
            return Err(NotNow::Former(self.live));
        }
        let alone = Self {
            building: None,
            ..self.clone()
        };
        let given_up = building.generation;
        Ok((alone, given_up))
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde calls")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Reads which generations exist. Nothing is stored before the first rebuild.
pub async fn read(client: &Client, standings_table: &str) -> Result<Generations, StoreError> {
    // Consistent: a stale answer would hide a generation from all activities of a batch.
    let stored = control::read(client, standings_table, GENERATIONS).await?;
    Ok(stored.unwrap_or_default())
}

/// Replaces the generations `known` by `wanted`, and returns what is stored. `None` if another process
/// changed them first.
pub async fn replace(
    client: &Client,
    standings_table: &str,
    known: &Generations,
    wanted: Generations,
) -> Result<Option<Generations>, StoreError> {
    assert!(
        wanted.newest >= known.newest,
        "a generation's number is never reused"
    );
    let wanted = Generations {
        version: known.version + 1,
        ..wanted
    };
    // An update, since the aggregator has no permission to put.
    let update = control::update(client, standings_table, GENERATIONS, &wanted, &ATTRIBUTES)?
        .condition_expression("attribute_not_exists(#version) OR #version = :known")
        .expression_attribute_values(":known", number(known.version))
        .send()
        .await;
    match update {
        Ok(_) => Ok(Some(wanted)),
        Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(None),
        Err(error) => Err(StoreError::unavailable("changing the generations", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::TieBreak;

    fn render(generations: &Generations) -> String {
        let counted: Vec<_> = generations.counted().map(|g| g.to_string()).collect();
        let state = generations
            .building
            .as_ref()
            .map(|building| format!(" {:?}", building.state));
        counted.join("+") + &state.unwrap_or_default()
    }

    #[test]
    fn a_rebuild_grows_beside_takes_over_and_gives_way_again() {
        let first = Generations::default();
        assert_eq!(render(&first), "g1");
        let (begun, new) = first.with_rebuild();
        assert_eq!(
            (render(&begun), new),
            ("g1+g2 Incomplete".to_owned(), CountGeneration(2))
        );
        assert_eq!(begun.with_rebuild(), (begun.clone(), new), "a rebuild is resumed");
        let complete = begun.completed().unwrap();
        let switched = complete.switched().unwrap();
        assert_eq!(render(&switched), "g2+g1 Complete");
        assert_eq!(switched.switched().unwrap(), complete, "back");
        let (alone, given_up) = switched.alone().unwrap();
        assert_eq!((render(&alone), given_up), ("g2".to_owned(), CountGeneration(1)));
        assert_eq!(render(&alone.with_rebuild().0), "g2+g3 Incomplete");
    }

    #[test]
    fn nothing_takes_over_before_it_is_complete() {
        let first = Generations::default();
        assert_eq!(first.switched(), Err(NotNow::Alone));
        assert_eq!(first.completed(), Err(NotNow::Alone));
        assert_eq!(first.alone(), Err(NotNow::Alone));
        let (begun, new) = first.with_rebuild();
        assert_eq!(begun.switched(), Err(NotNow::Incomplete(new)));
        // A generation that was begun can be given up, and its number is not reused.
        let (alone, _) = begun.alone().unwrap();
        assert_eq!(alone.with_rebuild().1, CountGeneration(3));
    }

    fn rules(shards: &str, time_zone: &str, points: &str) -> Rules {
        let policy = format!(r#"[{{"effective_from":"1970-01-01T00:00:00Z","points":{points}}}]"#);
        Rules {
            standing_shards: shards.parse().unwrap(),
            calendar: time_zone.parse().unwrap(),
            scoring_policy: policy.parse().unwrap(),
            period_grace: Some(24.try_into().unwrap()),
            tie_break: TieBreak::Shared,
        }
    }

    #[test]
    fn a_generation_keeps_its_rules_until_a_rebuild_replaces_it() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let former = rules("4", "Europe/Berlin", r#"{"a":1}"#);
        let first = Generations::default().settled(&former, now);
        let g1 = CountGeneration::FIRST;
        assert_eq!(first.rules(g1), Some(&former));
        assert_eq!(first.settled(&former, now), first);

        // Another kind is taken over at once.
        let more = rules("4", "Europe/Berlin", r#"{"a":1,"b":2}"#);
        let extended = first.settled(&more, now);
        assert_eq!(extended.rules(g1), Some(&more));
        assert!(extended.pending().is_empty());

        // What places or scores differently waits for a rebuild.
        let other = rules("7", "UTC", r#"{"a":9,"b":2,"c":3}"#);
        let changed = extended.settled(&other, now);
        assert_eq!(
            changed.pending(),
            ["standing_shards", "time_zone", "scoring_policy"]
        );
        assert_eq!(
            changed.rules(g1),
            Some(&rules("4", "Europe/Berlin", r#"{"a":1,"b":2,"c":3}"#))
        );
        let (begun, g2) = changed.with_rebuild();
        assert_eq!(begun.rules(g2), Some(&other));
        let switched = begun.completed().unwrap().switched().unwrap();
        assert_eq!(switched.rules(g2), Some(&other));
        assert!(switched.pending().is_empty());
        // A kind that returns may have facts that were left out.
        let fewer = rules("7", "UTC", r#"{"a":9,"b":2}"#);
        let (without, g3) = switched.settled(&fewer, now).alone().unwrap().0.with_rebuild();
        let without = without.completed().unwrap().switched().unwrap();
        assert!(without.pending().is_empty());
        let returned = without.settled(&other, now);
        assert_eq!(returned.rules(g3), Some(&other));
        assert_eq!(returned.pending(), ["scoring_policy"]);
        let back = switched.switched().unwrap();
        assert_eq!(back.rules(g1), changed.rules(g1));
        assert_eq!(back.pending().len(), 3);
    }

    #[test]
    fn stored_generations_keep_their_form() {
        let json = r#"{"live":1,"ledgers_from":1,"beside":{"generation":2,"state":"incomplete"},"newest":2,"version":0}"#;
        let (begun, _) = Generations::default().with_rebuild();
        assert_eq!(serde_json::to_string(&begun).unwrap(), json);
        assert_eq!(serde_json::from_str::<Generations>(json).unwrap(), begun);
    }

    #[test]
    fn counts_of_the_former_version_stand_until_a_rebuild_has_replaced_them() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let rules = rules("4", "Europe/Berlin", r#"{"a":1}"#);
        let stored = format!(
            r#","rules":{},"newest":2,"version":7}}"#,
            serde_json::to_string(&rules).unwrap()
        );
        let former = format!(r#"{{"live":2{stored}"#);
        let building = format!(r#"{{"live":1,"beside":{{"generation":2,"state":"growing"}}{stored}"#);
        for (former, live) in [(former, "g2"), (building, "g1")] {
            let former: Generations = serde_json::from_str(&former).unwrap();
            assert_eq!(former.counted().next(), None);
            let settled = former.settled(&rules, now);
            assert_eq!(
                (settled.live.to_string(), render(&settled)),
                (live.to_owned(), "g3 Incomplete".to_owned())
            );
            assert_eq!(settled.settled(&rules, now), settled);
            assert_eq!(
                settled.with_rebuild(),
                (settled.clone(), CountGeneration(3)),
                "it is resumed"
            );
            assert_eq!(settled.alone(), Err(NotNow::Former(former.live)));
            let switched = settled.completed().unwrap().switched().unwrap();
            assert_eq!(switched.counted().collect::<Vec<_>>(), [CountGeneration(3)]);
            assert_eq!(switched.switched(), Err(NotNow::Former(former.live)));
            assert_eq!(render(&switched.alone().unwrap().0), "g3");
            // The former version cannot decode this, and therefore counts nothing into it.
            let json = serde_json::to_string(&settled).unwrap();
            assert!(json.contains(r#""state":"incomplete""#), "{json}");
        }
    }
}
