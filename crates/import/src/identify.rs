//! Gives an id to each activity that has none, from its content and how often that content came before.
//!
//! The id is `content-HASH-N`. HASH is the first 32 hexadecimal digits of the SHA-256 of the activity as
//! canonical JSON: without `activity_id` and members that are null, members sorted by name at every level, no
//! spaces, strings with the shortest escapes, numbers as they are written, and `occurred_at` in UTC. N counts
//! activities with this content from 1 in the order of the file. So importing a file again, or with other
//! lines anywhere in it, gives the same ids. Ids that were given once are stored: changing this counts again
//! what was imported before.

use std::collections::HashMap;

use anyhow::ensure;
use domain::compose::{object, quoted};
use domain::{intake::Rejection, json, timestamp};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

/// Activities with different contents and without an id. Each takes about 30 bytes of memory.
const WITHOUT_ID_MAX: usize = 10_000_000;

const HASH_DIGITS: usize = 32;

#[derive(Default)]
pub struct Identifier {
    /// How often each content occurred, by the first bytes of its hash.
    occurrences: HashMap<u64, u32>,
}

/// An activity as the text to send.
#[derive(Debug, PartialEq, Eq)]
pub struct Identified {
    pub json: String,
    pub had_id: bool,
    pub had_time: bool,
}

impl Identifier {
    /// Fails if the activity is no object, or has a member twice. The server checks its fields.
    pub fn identify(&mut self, document: &[u8]) -> Result<Identified, Rejection> {
        let members = json::object(document)?;
        let has = |name: &str| {
            members
                .iter()
                .any(|(found, value)| found == name && value.get() != "null")
        };
        let (had_id, had_time) = (has("activity_id"), has("occurred_at"));
        let json = if had_id {
            String::from_utf8_lossy(document).into_owned()
        } else {
            let mut json = format!(r#"{{"activity_id":"{}""#, self.id(&members));
            for (name, value) in members.iter().filter(|(name, _)| name != "activity_id") {
                json.push(',');
                json.push_str(&quoted(name));
                json.push(':');
                // Values keep their spelling: a number in the metadata must not lose digits here.
                json.push_str(value.get());
            }
            json.push('}');
            json
        };
        Ok(Identified {
            json,
            had_id,
            had_time,
        })
    }

    fn id(&mut self, members: &[(String, &RawValue)]) -> String {
        let hash = Sha256::digest(canonical_activity(members));
        let key = hash
            .iter()
            .take(8)
            .fold(0, |key, byte| (key << 8) | u64::from(*byte));
        let occurrence = self.occurrences.entry(key).or_default();
        *occurrence = occurrence.saturating_add(1);
        format!("content-{}-{occurrence}", &format!("{hash:x}")[..HASH_DIGITS])
    }

    /// Fails if more activities without an id came than can be told apart.
    pub fn check_bound(&self) -> anyhow::Result<()> {
        ensure!(
            self.occurrences.len() <= WITHOUT_ID_MAX,
            "more than {WITHOUT_ID_MAX} different activities have no activity_id; give them one"
        );
        Ok(())
    }
}

fn canonical_activity(members: &[(String, &RawValue)]) -> String {
    let time = members
        .iter()
        .find(|(name, _)| name == "occurred_at")
        .and_then(|(_, value)| timestamp::parse(&serde_json::from_str::<String>(value.get()).ok()?).ok())
        .map(|time| quoted(&time.to_string()));
    let kept = members
        .iter()
        .filter(|(name, value)| name != "activity_id" && value.get() != "null");
    sorted(kept.map(|(name, value)| match &time {
        Some(time) if name == "occurred_at" => (name.clone(), time.clone()),
        _ => (name.clone(), canonical(value)),
    }))
}

/// Any value with sorted members and without spaces. What cannot be read stays as it is; the server refuses it.
fn canonical(value: &RawValue) -> String {
    let text = value.get();
    let canonical = match text.as_bytes().first() {
        Some(b'{') => serde_json::from_str::<HashMap<String, &RawValue>>(text)
            .ok()
            .map(|members| sorted(members.into_iter().map(|(name, value)| (name, canonical(value))))),
        Some(b'[') => serde_json::from_str::<Vec<&RawValue>>(text).ok().map(|items| {
            let items: Vec<_> = items.into_iter().map(canonical).collect();
            format!("[{}]", items.join(","))
        }),
        Some(b'"') => serde_json::from_str::<String>(text)
            .ok()
            .map(|text| quoted(&text)),
        _ => None,
    };
    canonical.unwrap_or_else(|| text.to_owned())
}

fn sorted(members: impl Iterator<Item = (String, String)>) -> String {
    let mut members: Vec<_> = members.collect();
    members.sort();
    object(&members)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(identifier: &mut Identifier, json: &str) -> String {
        let record = identifier.identify(json.as_bytes()).expect("an object");
        let document: serde_json::Value = serde_json::from_str(&record.json).expect("JSON");
        document["activity_id"].as_str().expect("an id").to_owned()
    }

    /// Pinned: other ids would count again what was imported before.
    #[test]
    fn ids_are_made_from_content_as_documented() {
        // printf %s '{"kind":"task_completed","program_id":"p","user_id":"u"}' | sha256sum
        let expected = "content-177df8af0b12aca43679c56b6d5ab70b-1";
        let plain = r#"{"user_id":"u","program_id":"p","kind":"task_completed"}"#;
        for same in [
            plain,
            r#" { "kind" : "task\u005fcompleted", "program_id":"p", "user_id": "u", "activity_id":null } "#,
            r#"{"user_id":"u","metadata":null,"kind":"task_completed","program_id":"p"}"#,
        ] {
            assert_eq!(id(&mut Identifier::default(), same), expected, "{same}");
        }
        let full = r#"{"metadata":{"b":[1.10, {"d":2,"c":"\u00e9"}],"a":null},"occurred_at":"2026-11-25T11:00:00+01:00","user_id":"u","program_id":"p","kind":"k"}"#;
        // {"kind":"k","metadata":{"a":null,"b":[1.10,{"c":"é","d":2}]},"occurred_at":"2026-11-25T10:00:00Z","program_id":"p","user_id":"u"}
        assert_eq!(
            id(&mut Identifier::default(), full),
            "content-3767aa39c4f4ac26b1ac122de494c96f-1"
        );
        let valid: Result<domain::ActivityId, _> = expected.parse();
        assert!(valid.is_ok());
    }

    #[test]
    fn equal_content_is_numbered_and_other_content_is_not() {
        let mut identifier = Identifier::default();
        let mut number = |json: &str| {
            id(&mut identifier, json)
                .rsplit_once('-')
                .map(|(_, n)| n.to_owned())
        };
        for (json, expected) in [
            (r#"{"n":1.10}"#, "1"),
            (r#"{"n":1.1}"#, "1"),
            (r#"{ "n" : 1.10 }"#, "2"),
            (r#"{"n":"1.10"}"#, "1"),
            (r#"{"occurred_at":"2026-11-25T10:00:00Z"}"#, "1"),
            (r#"{"occurred_at":"2026-11-25T10:00:00.000+00:00"}"#, "2"),
            (r#"{"n":1.10}"#, "3"),
        ] {
            assert_eq!(number(json).as_deref(), Some(expected), "{json}");
        }
    }

    #[test]
    fn what_has_an_id_is_sent_as_it_is_written() {
        let mut identifier = Identifier::default();
        let json = r#"{"x":1e400 , "activity_id":"a"}"#;
        let record = identifier.identify(json.as_bytes()).expect("an object");
        assert_eq!((record.json.as_str(), record.had_id), (json, true));
        let twice = identifier.identify(br#"{"user_id":"a","user_id":"b","activity_id":"a"}"#);
        let rejection = twice.expect_err("as the API does");
        assert_eq!(rejection.detail, "user_id appears more than once");
    }
}
