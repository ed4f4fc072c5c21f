//! The head of a published generation: its sums, and which pages hold its rows.

use std::borrow::Borrow;

use domain::documents::BoardHeading;
use domain::{Board, BoardEntry, Freshness, Histogram, WindowSpan};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One published generation of a board in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub generation: u64,
    pub window: WindowSpan,
    pub participants: u64,
    pub points: u64,
    pub activities: u64,
    /// The number of users in the pages.
    pub listed: u64,
    pub(crate) pages: Vec<PageRef>,
    /// Rows of each page. The last page may have fewer.
    #[serde(default = "rows_of_older_heads")]
    pub(crate) rows_per_page: usize,
    pub(crate) histogram: HistogramRef,
    /// When the history must be looked at again; `None` before the first sample.
    #[serde(default)]
    pub(crate) history_due: Option<Timestamp>,
    pub freshness: Freshness,
}

/// Older heads do not say how many rows their pages have.
fn rows_of_older_heads() -> usize {
    500
}

/// A page's name, which is a hash of its content, and how long the page is kept at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PageRef {
    pub(crate) hash: String,
    /// Seconds since the epoch.
    pub(crate) expires_at: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HistogramRef {
    Inline(Histogram),
    Pages(Vec<PageRef>),
}

/// The pages that hold some rows of a head.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub pages: &'a [PageRef],
    /// Rows to skip at the start of the first page.
    skip: usize,
    limit: usize,
}

impl Head {
    pub fn heading(&self, board: &Board) -> BoardHeading {
        BoardHeading {
            board: board.clone(),
            window: self.window.clone(),
            generation: self.generation,
            participants: self.participants,
            points: self.points,
            activities: self.activities,
        }
    }

    /// Locates at most `limit` listed rows, starting at `from` (counted from 0).
    pub fn rows(&self, from: usize, limit: usize) -> Rows<'_> {
        debug_assert_eq!(
            self.pages.len() as u64,
            self.listed.div_ceil(self.rows_per_page as u64),
            "the head of generation {} lists {} rows in pages of {}",
            self.generation,
            self.listed,
            self.rows_per_page
        );
        let end = from.saturating_add(limit).div_ceil(self.rows_per_page);
        let end = end.min(self.pages.len());
        let first = (from / self.rows_per_page).min(end);
        Rows {
            pages: &self.pages[first..end],
            skip: from % self.rows_per_page,
            limit,
        }
    }

    pub fn histogram(&self) -> &HistogramRef {
        &self.histogram
    }

    /// All pages of this generation: of rows, then of histogram buckets.
    pub fn pages(&self) -> impl Iterator<Item = &PageRef> {
        let histogram: &[PageRef] = match &self.histogram {
            HistogramRef::Inline(_) => &[],
            HistogramRef::Pages(pages) => pages,
        };
        self.pages.iter().chain(histogram)
    }
}

impl PageRef {
    /// The sort key of the page's item.
    pub fn part(&self) -> String {
        format!("page {}", self.hash)
    }
}

impl Rows<'_> {
    /// Selects the rows from the contents of the pages.
    pub fn cut(&self, contents: &[impl Borrow<Vec<BoardEntry>>]) -> Vec<BoardEntry> {
        let rows = contents.iter().flat_map(Borrow::<Vec<BoardEntry>>::borrow);
        rows.skip(self.skip).take(self.limit).cloned().collect()
    }
}
