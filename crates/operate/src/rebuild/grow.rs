//! Counting all facts into a new generation, a page at a time, with checkpoints.

use std::time::Duration;

use anyhow::bail;
use domain::ActivityKey;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use store::Counted;
use store::facts::Fact;
use store::keys::CountGeneration;
use store::plan::{Countable, groups};
use store::rebuild::Checkpoint;
use tokio::time::Instant;

use crate::counts::Counts;
use terminal::text;

/// Facts between two checkpoints: a kill costs at most so many for each segment, counted for nothing.
const PAGE: i32 = 1_000;
/// How long a table may be throttled before the rebuild stops, to be started again.
const PATIENCE: Duration = Duration::from_mins(2);
/// Transactions of one page under way at once.
const TRANSACTIONS_AT_ONCE: usize = 4;

/// What counting came to, with all that was counted before this run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Grown {
    pub facts: u64,
    pub not_countable: u64,
}

pub async fn grow(counts: &Counts, generation: CountGeneration, segments: i32) -> anyhow::Result<Grown> {
    let mut checkpoints = counts.rebuilds.checkpoints(generation).await?;
    if checkpoints.is_empty() {
        checkpoints = (0..segments)
            .map(|segment| Checkpoint::beginning(segment, segments))
            .collect();
        // All of them before the first page is counted, so that their number is known from then on.
        for checkpoint in &checkpoints {
            counts.rebuilds.keep(generation, checkpoint).await?;
        }
    }
    let segments = checkpoints[0].segments;
    // A kill while the first ones were written.
    let missing: Vec<_> = (0..segments)
        .filter(|segment| {
            checkpoints
                .iter()
                .all(|checkpoint| checkpoint.segment != *segment)
        })
        .collect();
    checkpoints.extend(
        missing
            .into_iter()
            .map(|segment| Checkpoint::beginning(segment, segments)),
    );
    let at_once = checkpoints.len();
    let grown: Vec<Grown> = stream::iter(checkpoints)
        .map(|checkpoint| grow_segment(counts, generation, checkpoint))
        .buffer_unordered(at_once)
        .try_collect()
        .await?;
    Ok(grown.into_iter().fold(Grown::default(), |sum, segment| Grown {
        facts: sum.facts + segment.facts,
        not_countable: sum.not_countable + segment.not_countable,
    }))
}

async fn grow_segment(
    counts: &Counts,
    generation: CountGeneration,
    mut checkpoint: Checkpoint,
) -> anyhow::Result<Grown> {
    while !checkpoint.is_done {
        let part = (checkpoint.segment, checkpoint.segments);
        let page = counts.facts.page(part, checkpoint.after.as_ref(), PAGE).await?;
        for unreadable in &page.unreadable {
            eprintln!("not an activity: {unreadable}");
        }
        checkpoint.facts += (page.facts.len() + page.unreadable.len()) as u64;
        checkpoint.not_countable += page.unreadable.len() as u64;
        checkpoint.not_countable += count(counts, generation, &page.facts).await?;
        checkpoint.is_done = page.next.is_none();
        checkpoint.after = page.next;
        counts.rebuilds.keep(generation, &checkpoint).await?;
        if checkpoint.is_done {
            let (number, of) = (checkpoint.segment + 1, checkpoint.segments);
            println!(
                "Segment {number} of {of}: {}.",
                text::counted(checkpoint.facts, "activity", "activities")
            );
        }
    }
    Ok(Grown {
        facts: checkpoint.facts,
        not_countable: checkpoint.not_countable,
    })
}

/// Counts facts; returns how many of them never can be.
async fn count(counts: &Counts, generation: CountGeneration, facts: &[Fact]) -> anyhow::Result<u64> {
    let now = Timestamp::now();
    let mut not_countable = 0;
    let mut countable = Vec::with_capacity(facts.len());
    for fact in facts {
        match Countable::scored(&fact.activity, &counts.rules, now) {
            Ok(scored) => countable.push(scored),
            Err(_) => not_countable += 1,
        }
    }
    let deadline = Instant::now() + PATIENCE;
    let mut reports = stream::iter(groups(countable))
        .map(|group| counts.counting.count(group, generation, now, deadline))
        .buffer_unordered(TRANSACTIONS_AT_ONCE);
    while let Some(report) = reports.next().await {
        for (ActivityKey { user, id }, counted) in report.results {
            match counted {
                Counted::Applied | Counted::Duplicate => {}
                Counted::Impossible(reason) => {
                    eprintln!("activity {id} of {user} cannot be counted: {reason}");
                    not_countable += 1;
                }
                Counted::Later(reason) => bail!(
                    "the tables take no more for now ({reason}); start the rebuild again, and it goes on where it is"
                ),
            }
        }
    }
    Ok(not_countable)
}
