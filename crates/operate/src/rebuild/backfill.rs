//! Folds the facts of every user into a new generation, page by page, with checkpoints.

use anyhow::Context as _;
use domain::UserId;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use store::fold::PersonFold;
use store::keys::CountGeneration;
use store::rebuild::Checkpoint;
use terminal::text;

use crate::counts::Counts;

/// Facts between two checkpoints. After a kill, the users of at most this many are folded again in each segment.
const PAGE: i32 = 1_000;
/// Users of one page that are folded at once.
const USERS_AT_ONCE: usize = 4;

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
        // All are kept before the first page is folded, so that their number never changes.
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
    // The last user of the page before. The facts of a user are adjacent, and may go on in the next page.
    let mut folded: Option<UserId> = None;
    while !checkpoint.is_done {
        let part = (checkpoint.segment, checkpoint.segments);
        let page = counts.facts.page(part, checkpoint.after.as_ref(), PAGE).await?;
        for unreadable in &page.unreadable {
            let unreadable = text::printable(unreadable);
            eprintln!("podium: skipped an item that is not an activity: {unreadable}");
        }
        checkpoint.facts += (page.facts.len() + page.unreadable.len()) as u64;
        checkpoint.not_countable += page.unreadable.len() as u64;
        let mut users: Vec<_> = page
            .facts
            .iter()
            .map(|stored| stored.fact.user().clone())
            .collect();
        users.dedup();
        let last = users.last().cloned();
        users.retain(|user| folded.as_ref() != Some(user));
        let not_countable: Vec<u64> = stream::iter(users)
            .map(|user| fold(counts, generation, user))
            .buffer_unordered(USERS_AT_ONCE)
            .try_collect()
            .await?;
        folded = last.or(folded);
        checkpoint.not_countable += not_countable.iter().sum::<u64>();
        debug_assert!(
            page.next.is_none() || page.next != checkpoint.after,
            "a page that is not the last moves the checkpoint on"
        );
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

/// Folds all facts of a user. Returns how many of them can never be counted.
async fn fold(counts: &Counts, generation: CountGeneration, user: UserId) -> anyhow::Result<u64> {
    let fold = PersonFold::new(generation, counts.rules.standing_shards, user);
    let folded = counts.folding.fold(fold, None).await;
    let folded = folded.context(
        "the tables accept no more writes for now; run `podium rebuild run` again later, and it resumes from its \
         checkpoint",
    )?;
    Ok(folded.not_countable)
}
