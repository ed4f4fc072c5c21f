//! A model of the table that publishing writes: items of one board in one window, by part.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use store::publication::{Document, LATEST, Write};

#[derive(Debug, Default)]
pub struct Snapshots {
    items: BTreeMap<String, Document>,
    /// The generation of the newest head. Its replacement is conditional on it.
    pub generation: Option<u64>,
}

impl Snapshots {
    /// Returns whether the condition of the write held.
    pub fn write(&mut self, write: &Write) -> bool {
        let document = match write {
            Write::Put(document) => document,
            Write::ReplaceHead { follows, .. } if *follows != self.generation => return false,
            Write::ReplaceHead { head, generation, .. } => {
                self.generation = Some(*generation);
                head
            }
        };
        self.items.insert(document.part.clone(), document.clone());
        true
    }

    pub fn json(&self, part: &str) -> Option<&str> {
        self.items.get(part).map(|document| document.json.as_str())
    }

    pub fn get<T: DeserializeOwned>(&self, part: &str) -> Option<T> {
        let document = serde_json::from_str(self.json(part)?);
        Some(document.unwrap_or_else(|error| panic!("{part} cannot be read: {error}")))
    }

    pub fn latest(&self) -> Option<&str> {
        self.json(LATEST)
    }

    /// Deletes expired items, or some of them, since the store may delete them late.
    pub fn expire(&mut self, now: Timestamp, mut is_deleted: impl FnMut() -> bool) {
        self.items.retain(|_, document| {
            let is_expired = document.expires_at.is_some_and(|at| at < now.as_second());
            !(is_expired && is_deleted())
        });
    }
}
