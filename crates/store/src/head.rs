//! The head of a published generation: its sums, and which pages hold its rows.

use std::borrow::Borrow;
use std::cmp::{Ordering, Reverse};

use domain::documents::BoardHeading;
use domain::{Board, BoardEntry, DisplayName, Freshness, Histogram, UserId, WindowSpan};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::publication::PAGES;

/// One published generation of a board in a window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Head {
    pub generation: u64,
    pub window: WindowSpan,
    pub participants: u64,
    pub points: i64,
    pub activities: u64,
    /// The number of users in the pages.
    pub listed: u64,
    pub(crate) pages: Vec<Located<RowKey>>,
    /// Rows of each page. The last page may have fewer.
    #[serde(default = "rows_of_older_heads")]
    pub(crate) rows_per_page: usize,
    pub(crate) histogram: HistogramRef,
    /// When the history must be looked at again; `None` before the first sample.
    #[serde(default)]
    pub(crate) history_due: Option<Timestamp>,
    /// The day on which it was published; `None` in older heads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) day: Option<Date>,
    /// What changes of rank are computed from: see [`crate::publication::Publication::marks`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) marks: Vec<Mark>,
    /// The listed users whose ids differ only in case, in groups, the best first. `None` if there are more
    /// than [`MAX_CASE_VARIANTS`], and in older heads.
    #[serde(default)]
    pub(crate) case_variants: Option<Vec<Vec<UserId>>>,
    /// Whether someone has a profile: see [`domain::RankedBoard::has_profiles`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_profiles: bool,
    /// See [`domain::RankedBoard::breaks_ties`].
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub breaks_ties: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) title: Option<DisplayName>,
    pub freshness: Freshness,
}

/// The most users that a head names because their ids differ only in case. With ids of maximum length they
/// take 7 KB; as a rule there are none.
pub const MAX_CASE_VARIANTS: usize = 100;

/// An earlier state of a board. Its pages are kept for longer than it is compared with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub(crate) at: Timestamp,
    pub(crate) pages: Vec<PageRef>,
}

impl Mark {
    /// All of its rows.
    pub fn rows(&self) -> Rows<'_> {
        Rows {
            pages: self.pages.iter().collect(),
            skip: 0,
            limit: usize::MAX,
        }
    }
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

/// A page and what it begins with, so that readers can find a row or a bucket without reading the pages
/// before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Located<First> {
    #[serde(flatten)]
    pub page: PageRef,
    /// `None` in older heads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) first: Option<First>,
}

/// The place of a row in board order: most points first, then by user id, then those who are anonymous.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowKey(Reverse<i64>, Option<UserId>);

impl Ord for RowKey {
    fn cmp(&self, other: &Self) -> Ordering {
        let place = |Self(points, user): &Self| (*points, user.is_none());
        (place(self), &self.1).cmp(&(place(other), &other.1))
    }
}

impl PartialOrd for RowKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What locates the first bucket of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketKey {
    /// The points of the bucket, the highest of the page.
    points: i64,
    /// The number of participants in the pages before.
    above: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum HistogramRef {
    Inline(Histogram),
    Pages(Vec<Located<BucketKey>>),
}

/// The pages that hold some rows of a head.
#[derive(Clone, Debug)]
pub struct Rows<'a> {
    pub pages: Vec<&'a PageRef>,
    /// Rows to skip at the start of the first page.
    skip: usize,
    limit: usize,
}

/// A page that may hold the row of a user.
#[derive(Clone, Debug)]
pub struct Candidate<'a> {
    pub page: &'a PageRef,
    /// The position on the board of the page's first row, from 0.
    from: usize,
    user: &'a UserId,
    points: i64,
    breaks_ties: bool,
    /// Whether users follow who are not listed.
    is_cut_after: bool,
}

/// What a page says of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sought {
    /// The row, and its position on the board, from 0.
    Row(usize, BoardEntry),
    NotListed,
    Elsewhere,
}

/// What ranks some number of points.
#[derive(Clone, Copy, Debug)]
pub enum RankedBy<'a> {
    Head {
        rank: u64,
    },
    /// One page of the histogram, after so many participants in the pages before.
    Page {
        page: &'a PageRef,
        above: u64,
    },
    /// The pages of an older head, which does not locate buckets.
    EveryPage(&'a [Located<BucketKey>]),
}

impl Head {
    pub fn heading(&self, board: &Board) -> BoardHeading {
        BoardHeading {
            board: board.clone(),
            title: self.title.clone(),
            window: self.window.clone(),
            period: None,
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
            pages: self.pages[first..end].iter().map(|page| &page.page).collect(),
            skip: from % self.rows_per_page,
            limit,
        }
    }

    /// The pages that may hold the row of a user, the most probable first.
    ///
    /// `points` are those that the user has by now. Points grow, so they are at least those of the row: it
    /// is in the page where a row with these points belongs, or in a later one. A correction may have
    /// lowered them since, so the pages before follow; only if the board is cut and they belong after its last
    /// row, the user is taken to be not listed. The pages of an older head follow in their order. Where the last activity
    /// decides between equal points, the first page that may have these points is the most probable.
    pub fn candidates<'a>(&'a self, user: &'a UserId, points: i64) -> impl Iterator<Item = Candidate<'a>> {
        let key = RowKey(Reverse(points), Some(user.clone()));
        let begins_before = |page: &Located<RowKey>| {
            page.first.as_ref().is_some_and(|first| {
                if self.breaks_ties {
                    first.0 < key.0
                } else {
                    *first <= key
                }
            })
        };
        let likely = self.pages.partition_point(begins_before).saturating_sub(1);
        let order = (likely..self.pages.len()).chain((0..likely).rev());
        order.map(move |at| Candidate {
            page: &self.pages[at].page,
            from: at * self.rows_per_page,
            user,
            points,
            breaks_ties: self.breaks_ties,
            is_cut_after: at + 1 == self.pages.len() && !self.lists_everyone(),
        })
    }

    /// Whether nobody is left out.
    pub fn lists_everyone(&self) -> bool {
        self.listed == self.participants
    }

    /// What ranks these points: at most one page of the histogram, unless this is an older head.
    pub fn ranked_by(&self, points: i64) -> RankedBy<'_> {
        let pages = match &self.histogram {
            HistogramRef::Inline(histogram) => {
                let rank = histogram.rank(points);
                return RankedBy::Head { rank };
            }
            HistogramRef::Pages(pages) => pages,
        };
        if pages.iter().any(|page| page.first.is_none()) {
            return RankedBy::EveryPage(pages);
        }
        // Users with more points are in the pages that begin with more points.
        let has_ahead = |page: &Located<BucketKey>| page.first.is_some_and(|first| first.points > points);
        let ahead = pages.partition_point(has_ahead);
        match pages[..ahead].last() {
            Some(Located {
                page,
                first: Some(first),
            }) => RankedBy::Page {
                page,
                above: first.above,
            },
            _ => RankedBy::Head { rank: 1 },
        }
    }

    /// The listed users whose ids differ from that of a listed user only in case, best first. `None` if
    /// this head does not say; the rows do.
    pub fn other_case(&self, user: &UserId) -> Option<Vec<UserId>> {
        let groups = self.case_variants.as_ref()?;
        let group = groups.iter().find(|group| group.contains(user));
        let others = group.into_iter().flatten().filter(|other| *other != user);
        Some(others.cloned().collect())
    }

    /// Whether it names this user itself. Its pages may do so besides.
    pub fn names(&self, user: &UserId) -> bool {
        let begins_page =
            |page: &Located<RowKey>| matches!(&page.first, Some(RowKey(_, Some(first))) if first == user);
        let variants = self.case_variants.iter().flatten().flatten();
        self.pages.iter().any(begins_page) || variants.into_iter().any(|variant| variant == user)
    }

    pub fn histogram(&self) -> &HistogramRef {
        &self.histogram
    }

    /// All pages of this generation: of rows, then of histogram buckets.
    pub fn pages(&self) -> impl Iterator<Item = &PageRef> {
        let histogram: &[Located<BucketKey>] = match &self.histogram {
            HistogramRef::Inline(_) => &[],
            HistogramRef::Pages(pages) => pages,
        };
        let rows = self.pages.iter().map(|page| &page.page);
        rows.chain(histogram.iter().map(|page| &page.page))
    }
}

impl RowKey {
    pub(crate) fn of(row: &BoardEntry) -> Self {
        Self(Reverse(row.points), row.user_id.clone())
    }
}

impl BucketKey {
    /// The keys of pages with this many buckets.
    pub(crate) fn of_pages(histogram: &Histogram, buckets: usize) -> Vec<Self> {
        let mut above = 0;
        let pages = histogram.buckets.chunks(buckets).map(|page| {
            let key = Self {
                points: page[0].0,
                above,
            };
            above += page.iter().map(|&(_, users)| users).sum::<u64>();
            key
        });
        pages.collect()
    }
}

impl Candidate<'_> {
    /// What the content of the page says of the user.
    pub fn seek(&self, content: &[BoardEntry]) -> Sought {
        let is_own = |row: &BoardEntry| row.user_id.as_ref() == Some(self.user);
        if let Some(at) = content.iter().position(is_own) {
            return Sought::Row(self.from + at, content[at].clone());
        }
        let is_after = content.last().is_some_and(|last| {
            if self.breaks_ties {
                last.points > self.points
            } else {
                RowKey::of(last) < RowKey(Reverse(self.points), Some(self.user.clone()))
            }
        });
        if self.is_cut_after && is_after {
            Sought::NotListed
        } else {
            Sought::Elsewhere
        }
    }
}

impl PageRef {
    /// The sort key of the page's item.
    pub fn part(&self) -> String {
        format!("{PAGES}{}", self.hash)
    }

    /// When a page expires that is kept for good.
    pub(crate) const NEVER: i64 = i64::MAX;

    /// When the page's item expires; `None` if it is kept for good.
    pub(crate) fn expiry(&self) -> Option<i64> {
        Some(self.expires_at).filter(|&at| at != Self::NEVER)
    }
}

impl Rows<'_> {
    /// Selects the rows from the contents of the pages.
    pub fn cut(&self, contents: &[impl Borrow<Vec<BoardEntry>>]) -> Vec<BoardEntry> {
        let rows = contents.iter().flat_map(Borrow::<Vec<BoardEntry>>::borrow);
        rows.skip(self.skip).take(self.limit).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
