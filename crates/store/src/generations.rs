//! Which generations of the counts there are: one item, which every invocation of the aggregator
//! reads as it begins.
//!
//! That is enough for a rebuild to miss nothing. An activity that is recorded after a second
//! generation was begun can only be in an invocation that begins later still, which counts it into
//! both. One that was recorded before is found by the rebuild's pass over the facts, which begins
//! after. What both of them count has a marker, and counts once.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::AttributeValue;
use serde::{Deserialize, Serialize};

use crate::keys::CountGeneration;
use crate::{Unavailable, control};

const GENERATIONS: &str = "generations";

/// The generation that readers show, and perhaps one beside it. The aggregator counts into both.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    pub live: CountGeneration,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<Beside>,
    /// The newest there ever was. A number is not used twice, since leftovers may be there.
    newest: CountGeneration,
    /// Grows with every change, so that of two changes at once one fails.
    version: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    pub generation: CountGeneration,
    pub state: State,
}

/// How far a generation beside the live one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Not every fact is counted in it.
    Growing,
    /// It has all that the live one has, and may take its place.
    Complete,
}

/// Why the generations cannot be changed in this way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotNow {
    #[error("there is no generation beside the live one")]
    Alone,
    #[error("{0} is not complete; let its rebuild end first")]
    Incomplete(CountGeneration),
}

impl Default for Generations {
    fn default() -> Self {
        Self {
            live: CountGeneration::FIRST,
            beside: None,
            newest: CountGeneration::FIRST,
            version: 0,
        }
    }
}

impl Generations {
    /// Those that every activity is counted into, the live one first.
    pub fn counted(&self) -> impl Iterator<Item = CountGeneration> {
        std::iter::once(self.live).chain(self.beside.map(|beside| beside.generation))
    }

    /// With a new generation beside the live one. One that is growing goes on to do so, and a complete
    /// one, which was kept to switch back to, is given up for it.
    #[must_use]
    pub fn with_rebuild(&self) -> (Self, CountGeneration) {
        if let Some(Beside {
            generation,
            state: State::Growing,
        }) = self.beside
        {
            return (self.clone(), generation);
        }
        let generation = self.newest.next();
        let beside = Beside {
            generation,
            state: State::Growing,
        };
        let begun = Self {
            beside: Some(beside),
            newest: generation,
            ..self.clone()
        };
        (begun, generation)
    }

    /// With all facts counted in the generation beside.
    pub fn completed(&self) -> Result<Self, NotNow> {
        let beside = self.beside.ok_or(NotNow::Alone)?;
        let state = State::Complete;
        Ok(Self {
            beside: Some(Beside { state, ..beside }),
            ..self.clone()
        })
    }

    /// With the two generations in each other's place: forward, and back.
    pub fn switched(&self) -> Result<Self, NotNow> {
        let beside = self.beside.ok_or(NotNow::Alone)?;
        match beside.state {
            State::Growing => Err(NotNow::Incomplete(beside.generation)),
            State::Complete => Ok(Self {
                live: beside.generation,
                beside: Some(Beside {
                    generation: self.live,
                    state: State::Complete,
                }),
                ..self.clone()
            }),
        }
    }

    /// With the live one alone, and the one that is given up.
    pub fn alone(&self) -> Result<(Self, CountGeneration), NotNow> {
        let beside = self.beside.ok_or(NotNow::Alone)?;
        let alone = Self {
            beside: None,
            ..self.clone()
        };
        Ok((alone, beside.generation))
    }
}

/// Reads which generations there are. Before the first rebuild nothing is written of them.
pub async fn read(client: &Client, standings_table: &str) -> Result<Generations, Unavailable> {
    // An answer that is not the newest would hide a generation from the activities of a whole batch.
    let written = control::read(client, standings_table, GENERATIONS).await?;
    Ok(written.unwrap_or_default())
}

/// Writes `wanted`, made from `known`; gives it as it is now. `None` if someone else was faster.
pub async fn replace(
    client: &Client,
    standings_table: &str,
    known: &Generations,
    wanted: Generations,
) -> Result<Option<Generations>, Unavailable> {
    let wanted = Generations {
        version: known.version + 1,
        ..wanted
    };
    let put = control::put(client, standings_table, GENERATIONS, &wanted)?
        .condition_expression("attribute_not_exists(#version) OR #version = :known")
        .expression_attribute_names("#version", "version")
        .expression_attribute_values(":known", AttributeValue::N(known.version.to_string()))
        .send()
        .await;
    match put {
        Ok(_) => Ok(Some(wanted)),
        Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => Ok(None),
        Err(error) => Err(Unavailable::new("changing the generations", error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(generations: &Generations) -> String {
        let counted: Vec<_> = generations.counted().map(|g| g.to_string()).collect();
        let state = generations.beside.map(|beside| format!(" {:?}", beside.state));
        counted.join("+") + &state.unwrap_or_default()
    }

    #[test]
    fn a_rebuild_grows_beside_takes_over_and_gives_way_again() {
        let first = Generations::default();
        assert_eq!(render(&first), "g1");
        let (begun, new) = first.with_rebuild();
        assert_eq!(
            (render(&begun), new),
            ("g1+g2 Growing".to_owned(), CountGeneration(2))
        );
        assert_eq!(begun.with_rebuild(), (begun.clone(), new), "a rebuild is resumed");
        let complete = begun.completed().unwrap();
        let switched = complete.switched().unwrap();
        assert_eq!(render(&switched), "g2+g1 Complete");
        assert_eq!(switched.switched().unwrap(), complete, "back");
        let (alone, given_up) = switched.alone().unwrap();
        assert_eq!((render(&alone), given_up), ("g2".to_owned(), CountGeneration(1)));
        assert_eq!(render(&alone.with_rebuild().0), "g2+g3 Growing");
    }

    #[test]
    fn nothing_takes_over_before_it_is_complete() {
        let first = Generations::default();
        assert_eq!(first.switched(), Err(NotNow::Alone));
        assert_eq!(first.completed(), Err(NotNow::Alone));
        assert_eq!(first.alone(), Err(NotNow::Alone));
        let (begun, new) = first.with_rebuild();
        assert_eq!(begun.switched(), Err(NotNow::Incomplete(new)));
        // What was begun can be given up, and its number is not used again.
        let (alone, _) = begun.alone().unwrap();
        assert_eq!(alone.with_rebuild().1, CountGeneration(3));
    }
}
