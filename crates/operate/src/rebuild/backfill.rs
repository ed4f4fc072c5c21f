//! Counts all facts into a new generation, page by page, with checkpoints.

use std::time::Duration;

use anyhow::bail;
use domain::ActivityKey;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;
use store::Counted;
use store::facts::Fact;
use store::keys::CountGeneration;
use store::plan::{Countable, PlanContext, groups};
use store::rebuild::Checkpoint;
use terminal::text;
use tokio::time::Instant;

use crate::counts::Counts;

/// Facts between two checkpoints. After a kill, at most this many are read again in each segment.
const PAGE: i32 = 1_000;
/// How long a table may be throttled before the rebuild stops.
const PATIENCE: Duration = Duration::from_mins(2);
/// Concurrent transactions for one page.
const TRANSACTIONS_AT_ONCE: usize = 4;

/// The result of a backfill, including earlier runs of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backfilled {
    pub facts: u64,
    pub not_countable: u64,
}

pub async fn run(counts: &Counts, generation: CountGeneration, segments: i32) -> anyhow::Result<Backfilled> {
    let mut checkpoints = counts.rebuilds.checkpoints(generation).await?;
    if checkpoints.is_empty() {
        checkpoints = (0..segments)
            .map(|segment| Checkpoint::beginning(segment, segments))
            .collect();
        // All are kept before the first page is counted, so that their number never changes.
        for checkpoint in &checkpoints {
            counts.rebuilds.keep(generation, checkpoint).await?;
        }
    }
    let segments = checkpoints[0].segments;
    // Some are missing if an earlier run was killed while it wrote them.
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
    debug_assert_eq!(
        checkpoints.len(),
        usize::try_from(segments).unwrap_or_default(),
        "each segment has one checkpoint"
    );
    let at_once = checkpoints.len();
    let segments_done: Vec<Backfilled> = stream::iter(checkpoints)
        .map(|checkpoint| backfill_segment(counts, generation, checkpoint))
        .buffer_unordered(at_once)
        .try_collect()
        .await?;
    Ok(segments_done
        .into_iter()
        .fold(Backfilled::default(), |sum, segment| Backfilled {
            facts: sum.facts + segment.facts,
            not_countable: sum.not_countable + segment.not_countable,
        }))
}

async fn backfill_segment(
    counts: &Counts,
    generation: CountGeneration,
    mut checkpoint: Checkpoint,
) -> anyhow::Result<Backfilled> {
    while !checkpoint.is_done {
        let part = (checkpoint.segment, checkpoint.segments);
        let page = counts.facts.page(part, checkpoint.after.as_ref(), PAGE).await?;
        for unreadable in &page.unreadable {
            let unreadable = text::printable(unreadable);
            eprintln!("podium: skipped an item that is not an activity: {unreadable}");
        }
        checkpoint.facts += (page.facts.len() + page.unreadable.len()) as u64;
        checkpoint.not_countable += page.unreadable.len() as u64;
        checkpoint.not_countable += count(counts, generation, &page.facts).await?;
        debug_assert!(
            page.next.is_none() || page.next != checkpoint.after,
            "a page that is not the last moves the checkpoint on"
        );
        debug_assert!(checkpoint.not_countable <= checkpoint.facts);
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
    Ok(Backfilled {
        facts: checkpoint.facts,
        not_countable: checkpoint.not_countable,
    })
}

/// Counts facts. Returns how many of them can never be counted.
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
    let context = PlanContext::new(&counts.rules, generation, now);
    let mut reports = stream::iter(groups(countable))
        .map(|group| counts.counting.count(group, context.clone(), deadline))
        .buffer_unordered(TRANSACTIONS_AT_ONCE);
    while let Some(report) = reports.next().await {
        for (ActivityKey { user, id }, counted) in report.results {
            match counted {
                Counted::Applied | Counted::Duplicate => {}
                Counted::Impossible(reason) => {
                    eprintln!("podium: activity {id} of {user} cannot be counted: {reason}");
                    not_countable += 1;
                }
                Counted::Later(reason) => bail!(
                    "the tables accept no more writes for now ({reason}); run `podium rebuild run` again later, and it \
                     resumes from its checkpoint"
                ),
            }
        }
    }
    Ok(not_countable)
}
