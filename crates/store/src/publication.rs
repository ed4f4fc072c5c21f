//! Plans the publication of a generation: from the previous head and the ranked board to the writes in
//! order. The plan performs no I/O, so the simulation runs the same code.

use std::collections::HashMap;

use domain::history::{FOLLOWED_USERS, Line, PointsAt, followed, is_large};
use domain::{BoardEntry, Freshness, History, Period, RankedBoard, UserId, Window, WindowSpan};
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use crate::document::Document;
use crate::error::StoreError;
use crate::head::{BucketKey, Head, HistogramRef, Located, MAX_CASE_VARIANTS, Mark, PageRef, RowKey, Rows};

/// The parts of a board in a window that are overwritten.
pub const LATEST: &str = "latest";
pub const HISTORY: &str = "history";

/// How the part of a page begins.
pub(crate) const PAGES: &str = "page ";

/// An unchanged page is written again once less than this is left of its life. If no more snapshots are
/// published, pages therefore outlive their head by at least this long.
pub const PAGE_RENEWAL: SignedDuration = SignedDuration::from_hours(3 * 24);
pub(crate) const PAGE_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How long a reader can page through a generation after it was replaced.
pub const OLD_HEAD_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

/// The board of a day is compared with how it was so long ago, or up to [`MARK_EVERY`] more.
const COMPARED_AFTER: SignedDuration = SignedDuration::from_hours(1);
/// How often the board of a day is marked.
const MARK_EVERY: SignedDuration = SignedDuration::from_mins(30);

/// Late facts that are few compared with a user's points appear in the history after this long at most.
const HISTORY_CHECK: SignedDuration = SignedDuration::from_hours(1);

/// How a board is split into pages.
#[derive(Clone, Copy, Debug)]
pub struct PageSizes {
    pub rows: usize,
    pub buckets: usize,
    /// A head with more buckets stores them in separate pages, so that it stays at a few KB.
    pub inline_buckets: usize,
}

impl PageSizes {
    /// With ids and names of maximum length, a page of rows takes 280 KB before it is compressed, and a page of
    /// buckets 200 KB. An item may have 400 KB.
    pub const PUBLISHED: Self = Self {
        rows: 500,
        buckets: 5_000,
        inline_buckets: 64,
    };
}

/// A ranked board to be published as the generation after `previous`.
#[derive(Clone, Debug)]
pub struct Publication {
    pub span: WindowSpan,
    /// The day on which it is published.
    pub day: Date,
    pub previous: Option<Head>,
    pub ranked: RankedBoard,
    pub freshness: Freshness,
    pub sizes: PageSizes,
}

/// Writes in order. Only the last one is conditional.
#[derive(Clone, Debug)]
pub struct Planned {
    pub generation: u64,
    pub pages_written: usize,
    pub writes: Vec<Write>,
    /// The rows of each page by its hash.
    pub(crate) rows: Vec<(String, Vec<BoardEntry>)>,
}

/// One write of a publication.
#[derive(Clone, Debug)]
pub enum Write {
    Put(Document),
    /// Replaces the head of the generation that it `follows`; `None` if there must be no head yet.
    ReplaceHead {
        head: Document,
        generation: u64,
        follows: Option<u64>,
    },
}

/// A history that is looked at: which users' facts must be read, and what follows from them.
#[derive(Clone, Debug)]
pub struct Look {
    history: History,
    /// The users whose facts must be read, and their points.
    outdated: Vec<(UserId, i64)>,
    /// Whether a line must be looked at again in the next run.
    is_unfinished: bool,
    is_changed: bool,
}

/// The history of a board in one window: of all time, or of one month, week or day.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WindowHistory {
    pub window: WindowSpan,
    pub history: History,
}

impl WindowHistory {
    /// This history if it belongs to `window`; otherwise an empty one.
    pub fn within(self, window: &WindowSpan) -> History {
        if self.window == *window {
            self.history
        } else {
            History::default()
        }
    }
}

impl Publication {
    /// The previous head if it covers the same days. On a new day every user is new; their ranks are not
    /// compared with those of yesterday.
    fn before(&self) -> Option<&Head> {
        self.previous
            .as_ref()
            .filter(|previous| previous.window == self.span)
    }

    /// The first previous rows, which tell whether the history must be looked at.
    pub fn first_before(&self) -> Option<Rows<'_>> {
        self.before().map(|before| before.rows(0, FOLLOWED_USERS))
    }

    /// Earlier states of the board, the oldest first, from which changes of rank are computed: the last one before this
    /// day, or the first one if there was none. Of the board of the day, which begins empty, those of the last hour.
    pub fn marks(&self) -> Vec<Mark> {
        let Some(before) = self.before() else {
            return Vec::new();
        };
        let now = self.freshness.generated_at;
        let newest = (!before.pages.is_empty()).then(|| Mark {
            at: before.freshness.generated_at,
            pages: before.pages.iter().map(|page| page.page.clone()).collect(),
        });
        let mut marks = before.marks.clone();
        if self.span.name == Window::Day {
            if marks
                .last()
                .is_none_or(|last| now.duration_since(last.at) >= MARK_EVERY)
            {
                marks.extend(newest);
            }
            let is_old = |mark: &Mark| now.duration_since(mark.at) >= COMPARED_AFTER;
            let compared = marks.iter().rposition(is_old).unwrap_or(0);
            marks.drain(..compared);
        } else if marks.is_empty() || before.day != Some(self.day) {
            marks = newest.into_iter().collect();
        }
        marks
    }

    /// Whether the history must be looked at: its time has come, or a user has entered the first ten, or the
    /// points of one have changed much. `before` are the rows of [`Self::first_before`].
    pub fn needs_history(&self, before: &[BoardEntry]) -> bool {
        let due = self.before().and_then(|before| before.history_due);
        let is_due = due.is_none_or(|due| self.freshness.generated_at >= due);
        let before: HashMap<_, _> = followed(before).collect();
        let mut first = followed(&self.ranked.entries);
        first.any(|(user, points)| is_due || before.get(user).is_none_or(|&before| is_large(before, points)))
    }

    /// Looks at the current history.
    pub fn look_at(&self, history: History, before: &[BoardEntry]) -> Look {
        let history = history.following(&self.ranked.entries);
        let before: HashMap<_, _> = followed(before).collect();
        let mut look = Look {
            history,
            outdated: Vec::new(),
            is_unfinished: false,
            is_changed: false,
        };
        for (user, points) in followed(&self.ranked.entries) {
            match look.history.line(user, points, before.get(user).copied()) {
                Line::Current => {}
                Line::Outdated => look.outdated.push((user.clone(), points)),
                Line::Changing => look.is_unfinished = true,
            }
        }
        look
    }

    /// Plans the writes. `then` are the rows of the first of [`Self::marks`] whose pages still exist.
    /// `look` is at the current history if [`Self::needs_history`].
    pub fn plan(mut self, then: &[BoardEntry], look: Option<Look>) -> Result<Planned, StoreError> {
        debug_assert!(
            self.ranked.entries.is_sorted_by_key(BoardEntry::place),
            "rows are in board order"
        );
        let marks = self.marks();
        let ranks = then
            .iter()
            .filter_map(|row| Some((row.user_id.clone()?, row.rank)));
        let ranks: HashMap<_, _> = ranks.collect();
        self.ranked.compare(&ranks);
        let now = self.freshness.generated_at;
        let mut history_due = self.before().and_then(|before| before.history_due);

        let former = self.previous.iter().flat_map(Head::pages);
        let mut pages = Pages::new(former, now);
        let rows = self.ranked.entries.chunks(self.sizes.rows);
        let row_pages = rows.clone().map(|rows| pages.add(&rows, RowKey::of(&rows[0])));
        let row_pages = row_pages.collect::<Result<Vec<_>, _>>()?;
        let rows = row_pages.iter().zip(rows);
        let rows = rows
            .map(|(located, rows)| (located.page.hash.clone(), rows.to_vec()))
            .collect();
        let buckets = &self.ranked.histogram.buckets;
        let histogram = if buckets.len() <= self.sizes.inline_buckets {
            HistogramRef::Inline(self.ranked.histogram.clone())
        } else {
            let keys = BucketKey::of_pages(&self.ranked.histogram, self.sizes.buckets);
            let chunks = buckets.chunks(self.sizes.buckets).zip(keys);
            let pages = chunks.map(|(buckets, key)| pages.add(&buckets, key));
            HistogramRef::Pages(pages.collect::<Result<_, _>>()?)
        };
        let mut writes = pages.into_writes();
        let pages_written = writes.len();

        if let Some(look) = look {
            let is_due = look.history.next_due().is_none_or(|due| now >= due);
            let history = if is_due {
                let points = self.ranked.sum.points;
                let history = look.history.followed_by(now, points, &self.ranked.entries);
                history.thinned()
            } else {
                look.history
            };
            let check = if look.is_unfinished {
                now
            } else {
                now + HISTORY_CHECK
            };
            history_due = history.next_due().map(|due| due.min(check));
            if is_due || look.is_changed {
                writes.push(Write::Put(history_document(self.span.clone(), history)?));
            }
        }
        let follows = self.previous.as_ref().map(|previous| previous.generation);
        if let Some(previous) = &self.previous {
            // Readers can continue to page through the previous generation.
            let part = old_head(previous.generation);
            let expires_at = (now + OLD_HEAD_LIFETIME).as_second();
            writes.push(Write::Put(Document::new(part, previous, Some(expires_at))?));
        }
        let head = Head {
            generation: follows.unwrap_or(0) + 1,
            participants: self.ranked.histogram.participants(),
            points: self.ranked.sum.points,
            activities: self.ranked.sum.activities,
            listed: self.ranked.entries.len() as u64,
            pages: row_pages,
            rows_per_page: self.sizes.rows,
            histogram,
            history_due,
            day: Some(self.day),
            marks,
            case_variants: case_variants(&self.ranked.entries),
            has_profiles: self.ranked.has_profiles,
            breaks_ties: self.ranked.breaks_ties,
            title: self.ranked.title,
            freshness: self.freshness,
            window: self.span,
        };
        assert_eq!(
            head.pages.len(),
            self.ranked.entries.len().div_ceil(self.sizes.rows),
            "the pages of a head hold all of its rows"
        );
        writes.push(Write::ReplaceHead {
            head: Document::new(LATEST.to_owned(), &head, None)?,
            generation: head.generation,
            follows,
        });
        Ok(Planned {
            generation: head.generation,
            pages_written,
            writes,
            rows,
        })
    }
}

impl Look {
    /// The users whose facts must be read.
    pub fn outdated(&self) -> Vec<UserId> {
        self.outdated.iter().map(|(user, _)| user.clone()).collect()
    }

    /// Draws the line of an outdated user from the points after each activity; `None` if there are too many.
    #[must_use]
    pub fn with(mut self, user: &UserId, past: Option<&[PointsAt]>, now: Timestamp) -> Self {
        self.is_changed = true;
        let points = self.outdated.iter().find(|(outdated, _)| outdated == user);
        self.history = match (past, points) {
            (Some(past), Some(&(_, points))) => self.history.with_past(user, points, past, now),
            _ => self.history.without_past(user),
        };
        self
    }

    /// Leaves an outdated user to the next run.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.is_unfinished = true;
        self
    }
}

/// The pages of one generation. Only those that the previous one does not have are written.
pub(crate) struct Pages<'a> {
    /// Pages that need no write: their hashes, and when they expire.
    kept: HashMap<&'a str, i64>,
    expires_at: i64,
    /// Part of the names of pages of one period.
    period: Option<Period>,
    writes: Vec<Write>,
}

impl<'a> Pages<'a> {
    /// `former` are the pages of the previous generation.
    pub fn new(former: impl IntoIterator<Item = &'a PageRef>, now: Timestamp) -> Self {
        let renew_before = (now + PAGE_RENEWAL).as_second();
        Self::expiring(former, renew_before, (now + PAGE_LIFETIME).as_second())
    }

    /// Pages that are kept for good.
    pub fn for_good(former: impl IntoIterator<Item = &'a PageRef>) -> Self {
        Self::expiring(former, PageRef::NEVER, PageRef::NEVER)
    }

    /// Keeps those that do not expire before `renew_before`.
    fn expiring(former: impl IntoIterator<Item = &'a PageRef>, renew_before: i64, expires_at: i64) -> Self {
        let former = former.into_iter();
        Self {
            kept: former
                .filter(|page| page.expires_at >= renew_before)
                .map(|page| (page.hash.as_str(), page.expires_at))
                .collect(),
            expires_at,
            period: None,
            writes: Vec::new(),
        }
    }

    /// Pages of a period that is over. Its name is part of theirs: two periods may have the same rows, and a page that
    /// expires must not replace one that is kept for good.
    pub fn of_period(self, period: Period) -> Self {
        Self {
            period: Some(period),
            ..self
        }
    }

    /// Adds a page that begins with `first`.
    pub fn add<T: Serialize, First>(
        &mut self,
        content: &T,
        first: First,
    ) -> Result<Located<First>, StoreError> {
        let json = Document::json(content)?;
        let hash = match self.period {
            Some(period) => period_hash(period, &json),
            None => content_hash(&json),
        };
        let first = Some(first);
        if let Some(&expires_at) = self.kept.get(hash.as_str()) {
            let page = PageRef { hash, expires_at };
            return Ok(Located { page, first });
        }
        let expires_at = self.expires_at;
        let page = PageRef { hash, expires_at };
        self.writes.push(Write::Put(Document {
            part: page.part(),
            json,
            expires_at: page.expiry(),
        }));
        Ok(Located { page, first })
    }

    pub fn into_writes(self) -> Vec<Write> {
        self.writes
    }
}

/// The listed users whose ids differ only in case, in groups, the best first; `None` if there are more than
/// a head names.
fn case_variants(entries: &[BoardEntry]) -> Option<Vec<Vec<UserId>>> {
    let has_capital = |user: &UserId| user.as_str().bytes().any(|byte| byte.is_ascii_uppercase());
    let lower = |user: &UserId| user.as_str().to_ascii_lowercase();
    let users = || entries.iter().filter_map(|row| row.user_id.as_ref());
    // Of two ids that differ only in case, at least one has a capital. Most boards have none, and cost one look
    // at each id.
    let with_capital = users().filter(|user| has_capital(user));
    let mut groups: HashMap<String, Vec<UserId>> =
        with_capital.map(|user| (lower(user), Vec::new())).collect();
    if groups.is_empty() {
        return Some(Vec::new());
    }
    for user in users() {
        let group = if has_capital(user) {
            groups.get_mut(&lower(user))
        } else {
            groups.get_mut(user.as_str())
        };
        if let Some(group) = group {
            group.push(user.clone());
        }
    }
    let mut groups: Vec<_> = groups.into_values().filter(|group| group.len() > 1).collect();
    let named: usize = groups.iter().map(Vec::len).sum();
    if named > MAX_CASE_VARIANTS {
        return None;
    }
    groups.sort_unstable();
    Some(groups)
}

/// The name of a page with this content. 128 bits make collisions practically impossible.
pub fn content_hash(json: &str) -> String {
    let mut hash = format!("{:x}", Sha256::digest(json));
    hash.truncate(32);
    hash
}

/// The name of a page of a period that is over.
pub(crate) fn period_hash(period: Period, json: &str) -> String {
    content_hash(&format!("{period} {json}"))
}

/// The part that keeps a head after it was replaced.
pub fn old_head(generation: u64) -> String {
    format!("generation {generation:012}")
}

/// The document of a board's history in one window.
pub(crate) fn history_document(window: WindowSpan, history: History) -> Result<Document, StoreError> {
    Document::new(HISTORY.to_owned(), &WindowHistory { window, history }, None)
}
