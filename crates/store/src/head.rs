//! The head of a published generation: what it comes to, and which pages hold its rows.

use std::borrow::Borrow;

use domain::board::BoardHeading;
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
    /// How many users are listed in the pages.
    pub listed: u64,
    pub(crate) pages: Vec<PageRef>,
    /// Rows of each page, of which the last may have fewer.
    #[serde(default = "rows_before_heads_told_them")]
    pub(crate) rows_per_page: usize,
    pub(crate) histogram: HistogramRef,
    /// When the next sample of the history is due; `None` before the first.
    #[serde(default)]
    pub(crate) history_due: Option<Timestamp>,
    pub freshness: Freshness,
}

fn rows_before_heads_told_them() -> usize {
    500
}

/// A page's name, which is a hash of its content, and until when it is kept at least.
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

/// Where some rows of a head are.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    pub pages: &'a [PageRef],
    /// Rows of the first of these pages that come before.
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

    /// The listed rows from `from` (counted from 0) on, at most `limit` of them.
    pub fn rows(&self, from: usize, limit: usize) -> Rows<'_> {
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

    /// All pages that this generation needs.
    pub fn pages(&self) -> impl Iterator<Item = &PageRef> {
        let histogram: &[PageRef] = match &self.histogram {
            HistogramRef::Inline(_) => &[],
            HistogramRef::Pages(pages) => pages,
        };
        self.pages.iter().chain(histogram)
    }
}

impl PageRef {
    /// The key of the page's item, beside that of its board.
    pub fn part(&self) -> String {
        format!("page {}", self.hash)
    }
}

impl Rows<'_> {
    /// The rows, out of the contents of the pages.
    pub fn cut(&self, contents: &[impl Borrow<Vec<BoardEntry>>]) -> Vec<BoardEntry> {
        let rows = contents.iter().flat_map(Borrow::<Vec<BoardEntry>>::borrow);
        rows.skip(self.skip).take(self.limit).cloned().collect()
    }
}
