//! A list of quests as JSON.

use std::collections::HashMap;
use std::fmt;

use serde_json::value::RawValue;

use super::Quest;
use crate::id::QuestId;
use crate::json;

/// Each is evaluated anew for every activity that it matches.
pub const QUESTS_MAX: usize = 200;

/// Why a list, or one of its quests, is not valid.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {detail}")]
pub struct Fault {
    place: Place,
    detail: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    List,
    /// By its position from 1, since it has no valid id.
    Number(usize),
    Quest(QuestId),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List => f.write_str("the quests"),
            Self::Number(number) => write!(f, "quest number {number}"),
            Self::Quest(id) => write!(f, "quest {id}"),
        }
    }
}

/// Parses a list of quests, each with an id of its own. Tells the first fault of every quest.
pub fn parse(document: &[u8]) -> Result<Vec<Quest>, Vec<Fault>> {
    let items = items(document).map_err(|detail| {
        vec![Fault {
            place: Place::List,
            detail,
        }]
    })?;
    let mut numbers: HashMap<QuestId, usize> = HashMap::new();
    let (mut quests, mut faults) = (Vec::new(), Vec::new());
    for (number, item) in (1..).zip(items) {
        match Quest::parse(item) {
            Ok(quest) => match numbers.get(&quest.id) {
                None => {
                    numbers.insert(quest.id.clone(), number);
                    quests.push(quest);
                }
                Some(first) => faults.push(Fault {
                    detail: format!(
                        "id of number {number} is already that of number {first}; leave one of them"
                    ),
                    place: Place::Quest(quest.id),
                }),
            },
            Err(rejection) => faults.push(Fault {
                place: id(item).map_or(Place::Number(number), Place::Quest),
                detail: rejection.detail,
            }),
        }
    }
    if faults.is_empty() {
        Ok(quests)
    } else {
        Err(faults)
    }
}

fn items(document: &[u8]) -> Result<Vec<&RawValue>, String> {
    let text = json::utf8(document).map_err(|error| format!("the text {error}"))?;
    let raw: &RawValue =
        serde_json::from_str(text).map_err(|error| format!("the text is not valid JSON: {error}"))?;
    if !raw.get().starts_with('[') {
        let found = json::type_of(raw);
        return Err(format!("they must be a JSON array of objects, not {found}"));
    }
    let items: Vec<&RawValue> = serde_json::from_str(raw.get()).map_err(|error| error.to_string())?;
    if items.len() > QUESTS_MAX {
        return Err(format!(
            "there are {}; at most {QUESTS_MAX} are allowed",
            items.len()
        ));
    }
    Ok(items)
}

/// The id of what is not a valid quest otherwise.
fn id(item: &RawValue) -> Option<QuestId> {
    let members = json::members_of_object(item, "a quest").ok()?;
    let (_, id) = members.iter().find(|(name, _)| name == "id")?;
    serde_json::from_str::<String>(id.get()).ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
