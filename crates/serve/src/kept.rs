//! What an instance keeps between requests for a person's document: heads, and which generations exist.
//!
//! Both are kept at most until the next snapshot is due, as any HTTP cache may keep a document, and are then
//! read again consistently.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use domain::{Board, Window};
use jiff::{SignedDuration, Timestamp};
use lru::LruCache;
use store::{Generations, Head};

/// A head takes a few KB, so this is at most 5 MB.
const HEADS_MAX: NonZeroUsize = NonZeroUsize::new(1_000).unwrap();

pub struct Kept {
    snapshot_every: SignedDuration,
    heads: Mutex<LruCache<(Board, Window), KeptHead>>,
    generations: Mutex<Option<KeptGenerations>>,
}

struct KeptHead {
    head: Arc<Head>,
    until: Timestamp,
}

struct KeptGenerations {
    generations: Arc<Generations>,
    /// The time of the snapshot that they were read for.
    generated_at: Timestamp,
    until: Timestamp,
}

impl Kept {
    pub fn new(snapshot_every: SignedDuration) -> Self {
        Self {
            snapshot_every,
            heads: Mutex::new(LruCache::new(HEADS_MAX)),
            generations: Mutex::new(None),
        }
    }

    /// The head of a board, unless its next snapshot is due.
    pub fn head(&self, board: &Board, window: Window, now: Timestamp) -> Option<Arc<Head>> {
        let mut heads = locked(&self.heads);
        let kept = heads.get(&(board.clone(), window))?;
        (now < kept.until).then(|| Arc::clone(&kept.head))
    }

    /// Keeps a head that was read at `now`.
    pub fn keep_head(&self, board: &Board, window: Window, head: &Arc<Head>, now: Timestamp) {
        let until = self.until(head, now);
        let kept = KeptHead {
            head: Arc::clone(head),
            until,
        };
        let mut heads = locked(&self.heads);
        let key = (board.clone(), window);
        // A slower request may have read an older one.
        if heads.peek(&key).is_none_or(|other| other.until <= until) {
            heads.put(key, kept);
        }
    }

    /// The generations, if they were read for this head or a newer one. So readers of the first head of
    /// another generation see that generation's counters.
    pub fn generations(&self, head: &Head, now: Timestamp) -> Option<Arc<Generations>> {
        let kept = locked(&self.generations);
        let kept = kept.as_ref()?;
        let is_current = now < kept.until && head.freshness.generated_at <= kept.generated_at;
        is_current.then(|| Arc::clone(&kept.generations))
    }

    /// Keeps the generations that were read at `now` for a head.
    pub fn keep_generations(&self, generations: &Arc<Generations>, head: &Head, now: Timestamp) {
        *locked(&self.generations) = Some(KeptGenerations {
            generations: Arc::clone(generations),
            generated_at: head.freshness.generated_at,
            until: self.until(head, now),
        });
    }

    /// When the snapshot after this head is due. If the clock of the snapshot is ahead of this one, no later
    /// than one interval after the head was read.
    fn until(&self, head: &Head, now: Timestamp) -> Timestamp {
        head.freshness.generated_at.min(now) + self.snapshot_every
    }
}

fn locked<T>(kept: &Mutex<T>) -> MutexGuard<'_, T> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const EVERY: i64 = 60;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).expect("a time")
    }

    fn head(generation: u64, generated_at: i64) -> Arc<Head> {
        let head = json!({
            "generation": generation,
            "window": {"name": "all", "first_day": null, "last_day": null, "time_zone": "UTC"},
            "participants": 0,
            "points": 0,
            "activities": 0,
            "listed": 0,
            "pages": [],
            "histogram": {"Inline": []},
            "freshness": {"generated_at": at(generated_at), "lag_seconds": null, "backlog": 0},
        });
        Arc::new(serde_json::from_value(head).expect("a head"))
    }

    #[test]
    fn a_head_is_kept_until_the_next_one_is_due_or_an_interval_after_it_was_read() {
        let check = |generated_at: i64, read_at: i64, kept_until: i64| {
            let kept = Kept::new(SignedDuration::from_secs(EVERY));
            kept.keep_head(&Board::Global, Window::All, &head(1, generated_at), at(read_at));
            let is_kept = |now| kept.head(&Board::Global, Window::All, at(now)).is_some();
            assert!(is_kept(kept_until - 1), "{generated_at} {read_at}");
            assert!(!is_kept(kept_until), "{generated_at} {read_at}");
            assert!(kept.head(&Board::Global, Window::Day, at(read_at)).is_none());
        };
        check(0, 0, 60);
        check(0, 59, 60);
        check(0, 300, 60);
        // The clock of the snapshot is ahead.
        check(3_600, 10, 70);
    }

    #[test]
    fn an_older_head_does_not_replace_a_newer_one() {
        let kept = Kept::new(SignedDuration::from_secs(EVERY));
        for (generation, generated_at) in [(1, 0), (2, 20), (1, 0)] {
            let read = head(generation, generated_at);
            kept.keep_head(&Board::Global, Window::All, &read, at(25));
        }
        let head = kept.head(&Board::Global, Window::All, at(30)).expect("kept");
        assert_eq!(head.generation, 2);
    }

    #[test]
    fn generations_are_read_again_for_a_newer_head() {
        let kept = Kept::new(SignedDuration::from_secs(EVERY));
        let (former, newer) = (head(1, 0), head(2, 20));
        kept.keep_generations(&Arc::default(), &former, at(1));
        assert!(kept.generations(&former, at(59)).is_some());
        assert!(kept.generations(&former, at(60)).is_none());
        assert!(kept.generations(&newer, at(30)).is_none());
        kept.keep_generations(&Arc::default(), &newer, at(30));
        assert!(kept.generations(&former, at(59)).is_some());
        assert!(kept.generations(&newer, at(79)).is_some());
    }
}
