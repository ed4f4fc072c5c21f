//! Versions of stored facts. A fact is never rewritten, so it keeps the version that it was written by, and is brought to
//! the newest one step by step when it is read. The rest of the code knows the newest alone.
//!
//! An attribute that may be missing needs no new version, since every reader leaves out what it does not know. Any other
//! change takes two releases: the first reads the new version, and the second writes it. So the release before always
//! reads what is written, and a deployment can go back to it.

use std::borrow::Cow;

use domain::intake::shorten;

use crate::item::Item;

/// Makes an item of one version one of the next.
type Upcaster = fn(&mut Item);

/// That from version 1 to 2 is the first.
const UPCASTERS: &[Upcaster] = &[];

/// A fact in its newest version, or why it cannot be read.
pub(crate) fn newest(item: &Item) -> Result<Cow<'_, Item>, String> {
    upcast(item, UPCASTERS)
}

fn upcast<'a>(item: &'a Item, upcasters: &[Upcaster]) -> Result<Cow<'a, Item>, String> {
    let Some(version) = item.get("schema_version") else {
        return Err("schema_version is missing".to_owned());
    };
    let Ok(version) = version.as_n() else {
        return Err("schema_version must be a number (N)".to_owned());
    };
    let steps = version
        .parse::<usize>()
        .ok()
        .and_then(|version| upcasters.get(version.checked_sub(1)?..));
    let Some(steps) = steps else {
        return Err(format!(
            "schema_version is {}; this version of Podium reads those up to {}",
            shorten(version),
            upcasters.len() + 1
        ));
    };
    if steps.is_empty() {
        return Ok(Cow::Borrowed(item));
    }
    let mut item = item.clone();
    for step in steps {
        step(&mut item);
    }
    Ok(Cow::Owned(item))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use domain::correction::Reason;
    use domain::{Activity, Adjustment, Amount, Metadata, Void};
    use serde::Deserialize;
    use serde_json::{Map, Value};

    use super::*;
    use crate::activities::FactItem;
    use crate::item::{number, string};
    use crate::stream::{Streamed, streamed};

    /// Facts as each former release wrote them, with what they are. None is ever changed or taken out.
    const FORMER: &str = include_str!("../../../tests/corpus/fact.jsonl");

    #[derive(Deserialize)]
    struct Former {
        item: Map<String, Value>,
        fact: String,
    }

    fn item_of(json: Map<String, Value>) -> Item {
        let item: serde_dynamo::Item = serde_json::from_value(json.into()).unwrap();
        item.into()
    }

    #[test]
    fn facts_of_every_former_release_are_still_read() {
        let lines: Vec<Former> = FORMER
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(lines.len() >= 8);
        for Former { item, fact } in lines {
            let item = item_of(item);
            let Streamed::Fact {
                fact: read,
                received_at,
            } = streamed(&item).unwrap()
            else {
                panic!("{fact} is a fact");
            };
            let (user, id, program, at) = (read.user(), read.id(), read.program(), read.occurred_at());
            assert_eq!(format!("{user} {id} {program} {at} {received_at}"), fact);
        }
    }

    /// What the release before reads of a fact: the type of each attribute, and whether it may be missing. It leaves out
    /// the others, and reads version 1.
    const READ_BEFORE: [(&str, &str, bool); 12] = [
        ("user_id", "S", false),
        ("activity_id", "S", false),
        ("program_id", "S", false),
        ("occurred_at", "S", false),
        ("received_at", "S", false),
        ("schema_version", "N", false),
        ("kind", "S", true),
        ("quantity", "N", true),
        ("points", "N", true),
        ("metadata", "S", true),
        ("correction_id", "S", true),
        ("reason", "S", true),
    ];

    #[test]
    fn the_release_before_reads_what_is_written() {
        let at = "2026-11-28T12:00:00Z".parse().unwrap();
        let activity = Activity {
            id: "a1".parse().unwrap(),
            user: "ann".parse().unwrap(),
            program: "p".parse().unwrap(),
            kind: "k".parse().unwrap(),
            occurred_at: at,
            amount: Some(Amount::Points(5)),
            metadata: Some(Metadata::stored("{}".to_owned())),
            origin: Some("legacy".parse().unwrap()),
        };
        let correction = || "c1".parse().unwrap();
        let void = Void {
            correction: correction(),
            reason: Reason::stored("twice"),
            activity: activity.clone(),
            activity_received_at: at,
        };
        let adjustment = Adjustment {
            correction: correction(),
            reason: Reason::stored("agreed"),
            user: activity.user.clone(),
            program: activity.program.clone(),
            points: -5,
            occurred_at: at,
        };
        for written in [
            FactItem::of_activity(&activity, at, Some("iam:x")),
            FactItem::of_void(&void, at, None),
            FactItem::of_adjustment(&adjustment, at, None),
        ] {
            let item = written.into_item().unwrap();
            assert_eq!(item["schema_version"].as_n().unwrap(), "1");
            for (name, kind, may_be_missing) in READ_BEFORE {
                let is_right = match item.get(name) {
                    Some(value) if kind == "S" => value.is_s(),
                    Some(value) => value.is_n(),
                    None => may_be_missing,
                };
                assert!(is_right, "{name} of {item:?}");
            }
        }
    }

    #[test]
    fn a_fact_is_brought_to_the_newest_version_step_by_step() {
        let rename: Upcaster = |item| {
            let kind = item.remove("kind").expect("version 1 has it");
            item.insert("what".to_owned(), kind);
        };
        let add: Upcaster = |item| {
            item.insert("weight".to_owned(), number(1));
        };
        let names = |version: &str, steps: &[Upcaster]| {
            let item = Item::from([
                (
                    "schema_version".to_owned(),
                    number(version.parse::<u64>().unwrap()),
                ),
                ("kind".to_owned(), string("k")),
            ]);
            upcast(&item, steps).map(|item| item.keys().cloned().collect::<BTreeSet<_>>())
        };
        let set = |names: &[&str]| {
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<BTreeSet<_>>()
        };
        let steps = [rename, add];
        assert_eq!(names("1", &steps), Ok(set(&["schema_version", "what", "weight"])));
        assert_eq!(names("2", &steps), Ok(set(&["schema_version", "kind", "weight"])));
        assert_eq!(names("3", &steps), Ok(set(&["schema_version", "kind"])));
        let mut refused = BTreeMap::new();
        for version in ["0", "4"] {
            refused.insert(version, names(version, &steps).unwrap_err());
        }
        assert_eq!(
            refused["4"],
            "schema_version is 4; this version of Podium reads those up to 3"
        );
        assert_eq!(
            refused["0"],
            "schema_version is 0; this version of Podium reads those up to 3"
        );
    }
}
