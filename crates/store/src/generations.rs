//! Which generations of the counts exist. One item, which every invocation of the aggregator reads when
//! it starts.
//!
//! This is enough for a rebuild to miss nothing. An activity recorded after a second generation was begun
//! can only be in a later invocation, which counts it into both. An activity recorded before is found by
//! the rebuild's pass over the facts, which begins later. If both count an activity, its marker makes it
//! count once.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use serde::{Deserialize, Serialize};

use crate::control;
use crate::error::StoreError;
use crate::item::number;
use crate::keys::CountGeneration;

const GENERATIONS: &str = "generations";

/// The live generation, which readers see, and possibly one being built. The aggregator counts into both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    pub live: CountGeneration,
    #[serde(rename = "beside", default, skip_serializing_if = "Option::is_none")]
    pub building: Option<Building>,
    /// The newest generation so far. A number is never reused, since items of an old generation may remain.
    newest: CountGeneration,
    /// Increases with every change, so that only one of two concurrent changes succeeds.
    version: u64,
}

/// The generation being built. After a switch, the former live one takes this place until it is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Building {
    pub generation: CountGeneration,
    pub state: State,
}

/// How far a generation being built is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Some facts are not counted in it yet.
    #[serde(rename = "growing")]
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
}

impl Default for Generations {
    fn default() -> Self {
        Self {
            live: CountGeneration::FIRST,
            building: None,
            newest: CountGeneration::FIRST,
            version: 0,
        }
    }
}

impl Generations {
    /// The generations that every activity is counted into, the live one first.
    pub fn counted(&self) -> impl Iterator<Item = CountGeneration> {
        std::iter::once(self.live).chain(self.building.map(|building| building.generation))
    }

    /// Begins to build a generation, or continues with an incomplete one. A complete one, kept to switch
    /// back to, is given up for a new one.
    #[must_use]
    pub fn with_rebuild(&self) -> (Self, CountGeneration) {
        if let Some(Building {
            generation,
            state: State::Incomplete,
        }) = self.building
        {
            return (self.clone(), generation);
        }
        let generation = self.newest.next();
        let building = Building {
            generation,
            state: State::Incomplete,
        };
        let begun = Self {
            building: Some(building),
            newest: generation,
            ..self.clone()
        };
        (begun, generation)
    }

    /// Marks the generation being built as complete.
    pub fn completed(&self) -> Result<Self, NotNow> {
        let building = self.building.ok_or(NotNow::Alone)?;
        let state = State::Complete;
        Ok(Self {
            building: Some(Building { state, ..building }),
            ..self.clone()
        })
    }

    /// Swaps the two generations: forward, or back.
    pub fn switched(&self) -> Result<Self, NotNow> {
        let building = self.building.ok_or(NotNow::Alone)?;
        match building.state {
            State::Incomplete => Err(NotNow::Incomplete(building.generation)),
            State::Complete => {
                assert_ne!(
                    building.generation, self.live,
                    "a generation cannot replace itself"
                );
                Ok(Self {
                    live: building.generation,
                    building: Some(Building {
                        generation: self.live,
                        state: State::Complete,
                    }),
                    ..self.clone()
                })
            }
        }
    }

    /// Gives up every generation but the live one, and returns the one that was given up.
    pub fn alone(&self) -> Result<(Self, CountGeneration), NotNow> {
        let building = self.building.ok_or(NotNow::Alone)?;
        let alone = Self {
            building: None,
            ..self.clone()
        };
        Ok((alone, building.generation))
    }
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
    let put = control::put(client, standings_table, GENERATIONS, &wanted)?
        .condition_expression("attribute_not_exists(#version) OR #version = :known")
        .expression_attribute_names("#version", "version")
        .expression_attribute_values(":known", number(known.version))
        .send()
        .await;
    match put {
        Ok(_) => Ok(Some(wanted)),
        Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(None),
        Err(error) => Err(StoreError::unavailable("changing the generations", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(generations: &Generations) -> String {
        let counted: Vec<_> = generations.counted().map(|g| g.to_string()).collect();
        let state = generations
            .building
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

    #[test]
    fn stored_generations_keep_their_form() {
        let json = r#"{"live":1,"beside":{"generation":2,"state":"growing"},"newest":2,"version":0}"#;
        let (begun, _) = Generations::default().with_rebuild();
        assert_eq!(serde_json::to_string(&begun).unwrap(), json);
        assert_eq!(serde_json::from_str::<Generations>(json).unwrap(), begun);
    }
}
