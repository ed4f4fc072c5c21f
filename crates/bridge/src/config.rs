use store::aws::{parsed, required};

use crate::Mapping;

/// What this function reads from its environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// `LEGACY_MAPPING`: where the other system keeps its events, and which attribute is which field.
    pub mapping: Mapping,
    /// `EVENT_QUEUE_URL`: the queue of activities that ingest reads.
    pub event_queue_url: String,
    /// `QUEUE_URL`: the queue of facts to carry back.
    pub queue_url: String,
    /// `DEAD_LETTER_QUEUE_URL`: what can be carried neither way.
    pub dead_letter_queue_url: String,
    /// `STANDINGS_TABLE`, for the scoring policy and the notes of who was erased.
    pub standings_table: String,
}

impl Config {
    /// Looks each setting up with `variable`; [`store::aws::variable`] reads the process's environment.
    pub fn read(variable: impl Fn(&str) -> Option<String>) -> anyhow::Result<Self> {
        Ok(Self {
            mapping: parsed(&variable, "LEGACY_MAPPING")?,
            event_queue_url: required(&variable, "EVENT_QUEUE_URL")?,
            queue_url: required(&variable, "QUEUE_URL")?,
            dead_letter_queue_url: required(&variable, "DEAD_LETTER_QUEUE_URL")?,
            standings_table: required(&variable, "STANDINGS_TABLE")?,
        })
    }
}
