//! The published boards: pages that are named by their content, and a head that names its pages.
//!
//! Pages are written before the head that names them and never change, and the head is replaced in
//! one write. So whoever reads a head and then its pages sees one whole generation, however many
//! are published meanwhile.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity};
use domain::board::{BoardHeading, BoardSummary, BoardSums, Status};
use domain::{Board, BoardEntry, Freshness, Histogram, History, RankedBoard, UserId, Window, WindowSpan};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::keys::{attribute, board_key};
use crate::page_cache::PageCache;
use crate::{Unavailable, document};

/// Rows of a page. With ids of full length a page has 75 KB of the 400 KB that an item may have.
pub const PAGE_ENTRIES: usize = 500;
/// Buckets of a histogram's page, at most 40 bytes each.
const PAGE_BUCKETS: usize = 5_000;
/// A head with more buckets keeps them in pages of their own, so that it stays a few KB.
const INLINE_BUCKETS: usize = 64;

/// Pages that do not change are not written again until they have less than this left, and outlive
/// their head by at least as long if no snapshot is published any more.
const PAGE_LIFETIME: SignedDuration = SignedDuration::from_hours(7 * 24);
const PAGE_RENEWAL: SignedDuration = SignedDuration::from_hours(3 * 24);
/// How long a reader may take to page through one generation.
const OLD_HEAD_LIFETIME: SignedDuration = SignedDuration::from_hours(1);

const REQUESTS_AT_ONCE: usize = 8;

const LATEST: &str = "latest";
const HISTORY: &str = "history";
/// The key under which what concerns all boards is kept.
const ALL_BOARDS: &str = "boards";

/// The table of published boards.
#[derive(Clone, Debug)]
pub struct Snapshots {
    client: Client,
    table: String,
    cache: Arc<Mutex<PageCache>>,
}

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
    pages: Vec<PageRef>,
    histogram: HistogramRef,
    /// When the next sample of the history is due; `None` before the first.
    #[serde(default)]
    history_due: Option<Timestamp>,
    pub freshness: Freshness,
}

/// A page's name, which is a hash of its content, and until when it is kept at least.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct PageRef {
    hash: String,
    /// Seconds since the epoch.
    expires_at: i64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum HistogramRef {
    Inline(Histogram),
    Pages(Vec<PageRef>),
}

/// What publishing came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Published {
    Generation {
        generation: u64,
        pages_written: usize,
        write_units: f64,
    },
    /// Another run published meanwhile; what it published stays.
    Superseded,
}

/// What concerns all boards at once, written last in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Overview {
    pub boards: Vec<BoardOverview>,
    pub status: Status,
    pub freshness: Freshness,
}

/// What one board comes to in each window.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoardOverview {
    pub board: Board,
    #[serde(default)]
    pub windows: BTreeMap<Window, BoardSums>,
}

impl Overview {
    /// The global board first, then the programs with the most points in a window.
    pub fn boards_in(&self, window: Window) -> Vec<BoardSummary> {
        let mut boards: Vec<_> = self
            .boards
            .iter()
            .map(|BoardOverview { board, windows }| BoardSummary {
                board: board.clone(),
                sums: windows.get(&window).copied().unwrap_or_default(),
            })
            .collect();
        boards.sort_unstable_by(|a, b| {
            let place =
                |summary: &BoardSummary| (summary.board != Board::Global, Reverse(summary.sums.points));
            (place(a), &a.board).cmp(&(place(b), &b.board))
        });
        boards
    }
}

/// The history of a board in one window, which belongs to this month, week or day alone.
#[derive(Debug, Serialize, Deserialize)]
struct WindowHistory {
    window: WindowSpan,
    history: History,
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
}

impl Snapshots {
    pub fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            cache: Arc::default(),
        }
    }

    /// The newest generation; `None` for a board that was never published.
    pub async fn latest(&self, board: &Board, window: Window) -> Result<Option<Head>, Unavailable> {
        self.get_document(&board_key(board, window), LATEST).await
    }

    /// A generation that is the newest or was within the last hour.
    pub async fn generation(
        &self,
        board: &Board,
        window: Window,
        generation: u64,
    ) -> Result<Option<Head>, Unavailable> {
        let latest = self.latest(board, window).await?;
        match latest {
            Some(head) if head.generation != generation => {
                self.get_document(&board_key(board, window), &old_head(generation))
                    .await
            }
            latest => Ok(latest),
        }
    }

    /// The listed rows from `from` (counted from 0) on, at most `limit` of them.
    pub async fn entries(
        &self,
        board: &Board,
        window: Window,
        head: &Head,
        from: usize,
        limit: usize,
    ) -> Result<Vec<BoardEntry>, Unavailable> {
        let first_page = from / PAGE_ENTRIES;
        let pages = (from + limit).div_ceil(PAGE_ENTRIES).saturating_sub(first_page);
        let key = board_key(board, window);
        let reads = head
            .pages
            .iter()
            .skip(first_page)
            .take(pages)
            .map(|page| self.entries_page(&key, page));
        let reads: Vec<_> = reads.collect();
        let pages: Vec<Arc<Vec<BoardEntry>>> = stream::iter(reads)
            .buffered(REQUESTS_AT_ONCE)
            .try_collect()
            .await?;
        let rows = pages.iter().flat_map(|page| page.iter());
        Ok(rows.skip(from % PAGE_ENTRIES).take(limit).cloned().collect())
    }

    /// All that is needed to rank any number of points.
    pub async fn histogram(
        &self,
        board: &Board,
        window: Window,
        head: &Head,
    ) -> Result<Histogram, Unavailable> {
        let pages = match &head.histogram {
            HistogramRef::Inline(histogram) => return Ok(histogram.clone()),
            HistogramRef::Pages(pages) => pages,
        };
        let key = board_key(board, window);
        let reads: Vec<_> = pages.iter().map(|page| self.page(&key, page)).collect();
        let pages: Vec<Histogram> = stream::iter(reads)
            .buffered(REQUESTS_AT_ONCE)
            .try_collect()
            .await?;
        Ok(Histogram {
            buckets: pages.into_iter().flat_map(|page| page.buckets).collect(),
        })
    }

    /// Publishes a ranked board as the generation after `previous`, with the changes of rank since
    /// then. What did not change is not written again.
    pub async fn publish(
        &self,
        board: &Board,
        span: WindowSpan,
        previous: Option<Head>,
        mut ranked: RankedBoard,
        freshness: Freshness,
    ) -> Result<Published, Unavailable> {
        let window = span.name;
        let now = freshness.generated_at;
        // A new day begins with everyone new, not with everyone fallen since yesterday's end.
        if let Some(previous) = previous.as_ref().filter(|previous| previous.window == span) {
            ranked.compare(&self.ranks(board, window, previous).await?);
        }
        let mut writer = PageWriter::new(self, board_key(board, window), previous.as_ref(), now);
        let mut pages = Vec::new();
        for entries in ranked.entries.chunks(PAGE_ENTRIES) {
            let page = writer.write(&entries).await?;
            self.cache
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(&page.hash, Arc::new(entries.to_vec()));
            pages.push(page);
        }
        let participants = ranked.histogram.participants();
        let histogram = if ranked.histogram.buckets.len() <= INLINE_BUCKETS {
            HistogramRef::Inline(ranked.histogram)
        } else {
            let mut pages = Vec::new();
            for buckets in ranked.histogram.buckets.chunks(PAGE_BUCKETS) {
                pages.push(writer.write(&buckets).await?);
            }
            HistogramRef::Pages(pages)
        };
        let (pages_written, mut write_units) = (writer.written, writer.units);
        let mut history_due = previous
            .as_ref()
            .filter(|previous| previous.window == span)
            .and_then(|previous| previous.history_due);
        if !ranked.entries.is_empty() && history_due.is_none_or(|due| now >= due) {
            let history = self
                .history(board, &span)
                .await?
                .followed_by(now, ranked.sum.points, &ranked.entries)
                .thinned();
            history_due = history.next_due();
            write_units += self.write_history(board, span.clone(), history).await?;
        }
        let head = Head {
            generation: previous.as_ref().map_or(0, |previous| previous.generation) + 1,
            window: span,
            participants,
            points: ranked.sum.points,
            activities: ranked.sum.activities,
            listed: ranked.entries.len() as u64,
            pages,
            histogram,
            history_due,
            freshness,
        };
        write_units += match self
            .replace_head(&board_key(board, window), previous, &head, now)
            .await?
        {
            None => return Ok(Published::Superseded),
            Some(units) => units,
        };
        Ok(Published::Generation {
            generation: head.generation,
            pages_written,
            write_units,
        })
    }

    /// Keeps the history of a board in one window; returns the write units that it took.
    pub async fn write_history(
        &self,
        board: &Board,
        window: WindowSpan,
        history: History,
    ) -> Result<f64, Unavailable> {
        let key = board_key(board, window.name);
        self.put_document(&key, HISTORY, &WindowHistory { window, history }, None)
            .await
    }

    /// What past snapshots of a window showed; empty where there were none.
    pub async fn history(&self, board: &Board, span: &WindowSpan) -> Result<History, Unavailable> {
        let kept: Option<WindowHistory> = self.get_document(&board_key(board, span.name), HISTORY).await?;
        Ok(kept
            .filter(|kept| kept.window == *span)
            .map_or_else(History::default, |kept| kept.history))
    }

    /// Replaces the head, if it is still the one that `head` follows; returns the write units that it
    /// took, or `None` if another run was faster.
    async fn replace_head(
        &self,
        key: &str,
        previous: Option<Head>,
        head: &Head,
        now: Timestamp,
    ) -> Result<Option<f64>, Unavailable> {
        // Readers who page through the previous generation go on doing so.
        let mut write_units = 0.0;
        if let Some(previous) = &previous {
            let expires_at = (now + OLD_HEAD_LIFETIME).as_second();
            write_units += self
                .put_document(key, &old_head(previous.generation), previous, Some(expires_at))
                .await?;
        }
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(document::to_item(key, LATEST, head, None)?))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .item(
                attribute::GENERATION,
                AttributeValue::N(head.generation.to_string()),
            )
            .expression_attribute_names("#generation", attribute::GENERATION);
        put = match &previous {
            None => put.condition_expression("attribute_not_exists(#generation)"),
            Some(previous) => put
                .condition_expression("#generation = :previous")
                .expression_attribute_values(":previous", AttributeValue::N(previous.generation.to_string())),
        };
        match put.send().await {
            Ok(put) => Ok(Some(write_units + units(put.consumed_capacity))),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(None)
            }
            Err(error) => Err(Unavailable::new("publishing a head", error)),
        }
    }

    async fn ranks(
        &self,
        board: &Board,
        window: Window,
        head: &Head,
    ) -> Result<HashMap<UserId, u64>, Unavailable> {
        let entries = self
            .entries(board, window, head, 0, head.pages.len() * PAGE_ENTRIES)
            .await?;
        Ok(entries
            .into_iter()
            .map(|entry| (entry.user_id, entry.rank))
            .collect())
    }

    /// Returns the write units that it took.
    pub async fn publish_overview(&self, overview: &Overview) -> Result<f64, Unavailable> {
        self.put_document(ALL_BOARDS, LATEST, overview, None).await
    }

    /// `None` before the first run.
    pub async fn overview(&self) -> Result<Option<Overview>, Unavailable> {
        self.get_document(ALL_BOARDS, LATEST).await
    }

    async fn entries_page(&self, key: &str, page: &PageRef) -> Result<Arc<Vec<BoardEntry>>, Unavailable> {
        let cached = self
            .cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&page.hash);
        if let Some(entries) = cached {
            return Ok(entries);
        }
        let entries: Arc<Vec<BoardEntry>> = Arc::new(self.page(key, page).await?);
        self.cache
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(&page.hash, Arc::clone(&entries));
        Ok(entries)
    }

    async fn page<T: DeserializeOwned>(&self, key: &str, page: &PageRef) -> Result<T, Unavailable> {
        self.get_document(key, &page_part(&page.hash))
            .await?
            .ok_or_else(|| {
                Unavailable::new(
                    "reading a page",
                    MissingPage {
                        hash: page.hash.clone(),
                    },
                )
            })
    }

    async fn get_document<T: DeserializeOwned>(
        &self,
        key: &str,
        part: &str,
    ) -> Result<Option<T>, Unavailable> {
        let output = self
            .client
            .get_item()
            .table_name(&self.table)
            .key(attribute::BOARD, AttributeValue::S(key.to_owned()))
            .key(attribute::PART, AttributeValue::S(part.to_owned()))
            // A page must be there once its head is.
            .consistent_read(true)
            .send()
            .await
            .map_err(|error| Unavailable::new("reading a snapshot", error))?;
        let Some(item) = output.item else {
            return Ok(None);
        };
        document::from_item(&item).map(Some)
    }

    /// Returns the write units that it took.
    async fn put_document<T: Serialize>(
        &self,
        key: &str,
        part: &str,
        document: &T,
        expires_at: Option<i64>,
    ) -> Result<f64, Unavailable> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(document::to_item(key, part, document, expires_at)?))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| Unavailable::new("writing a snapshot", error))?;
        Ok(units(put.consumed_capacity))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the page {hash} is gone: no snapshot was published for days")]
struct MissingPage {
    hash: String,
}

fn units(consumed: Option<ConsumedCapacity>) -> f64 {
    consumed
        .and_then(|consumed| consumed.capacity_units)
        .unwrap_or_default()
}

fn page_part(hash: &str) -> String {
    format!("page {hash}")
}

fn old_head(generation: u64) -> String {
    format!("generation {generation:012}")
}

/// Writes the pages of one generation that the previous one does not have.
struct PageWriter<'a> {
    snapshots: &'a Snapshots,
    key: String,
    /// The hashes of pages that need no writing, and until when they are kept.
    kept: HashMap<&'a str, i64>,
    expires_at: i64,
    written: usize,
    units: f64,
}

impl<'a> PageWriter<'a> {
    fn new(snapshots: &'a Snapshots, key: String, previous: Option<&'a Head>, now: Timestamp) -> Self {
        let renew_before = (now + PAGE_RENEWAL).as_second();
        let pages = previous.into_iter().flat_map(|head| {
            let histogram: &[PageRef] = match &head.histogram {
                HistogramRef::Inline(_) => &[],
                HistogramRef::Pages(pages) => pages,
            };
            head.pages.iter().chain(histogram)
        });
        Self {
            snapshots,
            key,
            kept: pages
                .filter(|page| page.expires_at >= renew_before)
                .map(|page| (page.hash.as_str(), page.expires_at))
                .collect(),
            expires_at: (now + PAGE_LIFETIME).as_second(),
            written: 0,
            units: 0.0,
        }
    }

    async fn write<T: Serialize>(&mut self, content: &T) -> Result<PageRef, Unavailable> {
        let json = serde_json::to_vec(content).map_err(|error| Unavailable::new("encoding a page", error))?;
        let mut hash = format!("{:x}", Sha256::digest(json));
        // 128 bits are enough to tell pages apart.
        hash.truncate(32);
        if let Some(&expires_at) = self.kept.get(hash.as_str()) {
            return Ok(PageRef { hash, expires_at });
        }
        self.units += self
            .snapshots
            .put_document(&self.key, &page_part(&hash), content, Some(self.expires_at))
            .await?;
        self.written += 1;
        Ok(PageRef {
            hash,
            expires_at: self.expires_at,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_begins_with_the_global_board_and_goes_on_by_points_in_the_window() {
        let board = |(board, all, day): (&str, u64, u64)| {
            let sums = |points| BoardSums {
                points,
                ..BoardSums::default()
            };
            BoardOverview {
                board: board.parse().unwrap(),
                windows: [(Window::All, sums(all)), (Window::Day, sums(day))].into(),
            }
        };
        let boards = [
            ("program:r", 5, 1),
            ("program:q", 9, 2),
            ("global", 19, 10),
            ("program:p", 5, 7),
        ];
        let overview = Overview {
            boards: boards.map(board).to_vec(),
            status: Status {
                counted: domain::Tally::default(),
                standings: domain::Tally::default(),
                dead_letters: 0,
                snapshot_seconds: 0.0,
            },
            freshness: Freshness {
                generated_at: Timestamp::UNIX_EPOCH,
                lag_seconds: None,
                backlog: 0,
            },
        };
        let check = |window, expected: &[&str]| {
            let list = overview.boards_in(window).into_iter();
            let list: Vec<_> = list.map(|s| format!("{}={}", s.board, s.sums.points)).collect();
            assert_eq!(list, expected);
        };
        check(
            Window::All,
            &["global=19", "program:q=9", "program:p=5", "program:r=5"],
        );
        check(
            Window::Day,
            &["global=10", "program:p=7", "program:q=2", "program:r=1"],
        );
        check(
            Window::Week,
            &["global=0", "program:p=0", "program:q=0", "program:r=0"],
        );
    }
}
