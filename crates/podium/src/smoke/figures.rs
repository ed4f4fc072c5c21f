//! The measured path of one activity, as text and as JSON.

use client::wire::{Status, UserDocument};
use domain::ActivityId;
use serde::Serialize;
use terminal::text::{age, counted, grouped, latency, points, printable};

/// The stages that are reported, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    Ingest,
    Counted,
    Published,
    Served,
}

/// The results. Values that are unknown or not reached yet are null. Times are in seconds; those of counting
/// and publishing begin when the activity is accepted.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    pub activity_id: ActivityId,
    pub accepted_seconds: Option<f64>,
    pub is_duplicate: bool,
    pub stored: Option<bool>,
    pub counted_seconds: Option<f64>,
    pub published_seconds: Option<f64>,
    /// The user's activities on the board before this one was sent.
    pub activities_before: u64,
    #[serde(flatten)]
    pub shown: Option<Shown>,
    pub failure: Option<String>,
}

/// What the board shows at the end.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Shown {
    pub board: String,
    pub generation: u64,
    pub rank: u64,
    pub participants: u64,
    pub points: i64,
    pub activities: u64,
    pub lag_seconds: Option<f64>,
    pub stale: bool,
    pub stale_reasons: Vec<String>,
}

impl From<UserDocument> for Shown {
    fn from(document: UserDocument) -> Self {
        Self {
            board: document.heading.board,
            generation: document.generation,
            rank: document.entry.rank,
            participants: document.heading.participants,
            points: document.entry.points,
            activities: document.entry.activities,
            lag_seconds: document.heading.freshness.lag_seconds,
            stale: document.heading.freshness.stale,
            stale_reasons: document.heading.freshness.stale_reasons,
        }
    }
}

impl Figures {
    pub fn new(id: &ActivityId) -> Self {
        Self {
            activity_id: id.clone(),
            accepted_seconds: None,
            is_duplicate: false,
            stored: None,
            counted_seconds: None,
            published_seconds: None,
            activities_before: 0,
            shown: None,
            failure: None,
        }
    }

    /// The line about a stage that the activity has passed.
    pub fn line(&self, stage: Stage) -> String {
        match stage {
            Stage::Ingest => format!("ingest     {}", self.ingest()),
            Stage::Counted => format!("counted    {}", self.counted()),
            Stage::Published => format!("published  {}", self.published()),
            Stage::Served => format!("served     {}", self.served()),
        }
    }

    fn ingest(&self) -> String {
        let span = std::time::Duration::from_secs_f64(self.accepted_seconds.unwrap_or_default());
        let stored = if self.stored == Some(true) {
            " and stored"
        } else {
            ""
        };
        format!("accepted in {}{stored}; the repeat is a duplicate", latency(span))
    }

    fn counted(&self) -> String {
        match self.counted_seconds {
            Some(seconds) => format!(
                "{} after it was accepted (stream, pipe, queue, aggregator)",
                age(seconds)
            ),
            None => "unknown without --dedup-table; the next snapshot will show it".to_owned(),
        }
    }

    fn published(&self) -> String {
        let seconds = self.published_seconds.unwrap_or_default();
        let generation = self.shown.as_ref().map_or(0, |shown| shown.generation);
        let later = age(seconds - self.counted_seconds.unwrap_or_default());
        format!("{later} later, as generation {}", grouped(generation))
    }

    fn served(&self) -> String {
        let Some(shown) = &self.shown else {
            return String::new();
        };
        let lag = match shown.lag_seconds {
            Some(lag) => format!("lag {}", age(lag)),
            None => "lag unknown".to_owned(),
        };
        let stale = if shown.stale {
            format!("STALE ({})", printable(&shown.stale_reasons.join(", ")))
        } else {
            "not stale".to_owned()
        };
        format!(
            "rank {} of {} on {}, {}, {lag}, {stale}",
            grouped(shown.rank),
            grouped(shown.participants),
            printable(&shown.board),
            points(shown.points),
        )
    }
}

/// What the last snapshot knew about the pipeline, to help find what is stuck.
pub fn describe_status(status: &Status) -> String {
    let freshness = &status.freshness;
    let mut known = vec![format!("The last snapshot is {} old", age(freshness.age_seconds))];
    if let Some(lag) = freshness.lag_seconds {
        known.push(format!("lag {}", age(lag)));
    }
    if let Some(backlog) = freshness.backlog {
        known.push(format!("backlog {}", grouped(backlog)));
    }
    known.push(counted(status.dead_letters, "dead letter", "dead letters"));
    known.join(", ")
}
