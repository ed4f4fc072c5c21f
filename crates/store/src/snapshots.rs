//! The published boards: pages named by a hash of their content, and a head that names its pages.
//!
//! Pages are written before the head that names them, and never change. The head is replaced in one
//! write. A reader of a head and its pages therefore sees one whole generation, even if others are
//! published meanwhile.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{ConsumedCapacity, ReturnConsumedCapacity};
use domain::{Board, BoardEntry, Freshness, Histogram, History, RankedBoard, UserId, Window, WindowSpan};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;
use lru::LruCache;
use serde::de::DeserializeOwned;

use crate::document;
use crate::error::StoreError;
use crate::head::{Candidate, Head, Mark, PageRef, RankedBy, Rows, Sought};
use crate::item::{self, number};
use crate::keys::{SNAPSHOTS_KEY, attribute, board_key};
use crate::overview::Overview;
use crate::pasts::{Past, Pasts};
use crate::publication::{
    Document, HISTORY, LATEST, PageSizes, Publication, WindowHistory, Write, history_document, old_head,
};
use crate::requests::{get_item, item_of};

const REQUESTS_AT_ONCE: usize = 8;

/// How many pages are read one after the other to find a user, before the others are read at once. Few users
/// move further between two snapshots.
const CANDIDATES_ALONE: usize = 2;

/// 20 MB with 500 rows each.
const CACHED_PAGES: NonZeroUsize = NonZeroUsize::new(512).unwrap();

/// 5 MB with 5,000 buckets each.
const CACHED_HISTOGRAMS: NonZeroUsize = NonZeroUsize::new(64).unwrap();

/// The key of the overview of all boards.
const ALL_BOARDS: &str = "boards";

/// Decoded pages by hash, so that a warm function need not read them again. Pages never change, so an
/// entry is never out of date.
type PageCache<Content> = LruCache<String, Arc<Content>>;

/// The table of published boards.
#[derive(Clone, Debug)]
pub struct Snapshots {
    pub(crate) client: Client,
    pub(crate) table: String,
    rows: Arc<Mutex<PageCache<Vec<BoardEntry>>>>,
    histograms: Arc<Mutex<PageCache<Histogram>>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Consistency {
    Strong,
    Eventual,
}

/// The result of publishing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Published {
    Generation {
        generation: u64,
        pages_written: usize,
        write_units: f64,
    },
    /// Another run published a generation meanwhile, which stays.
    Superseded,
}

impl Snapshots {
    pub fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            rows: Arc::new(Mutex::new(LruCache::new(CACHED_PAGES))),
            histograms: Arc::new(Mutex::new(LruCache::new(CACHED_HISTOGRAMS))),
        }
    }

    /// The newest generation; `None` for a board that was never published.
    pub async fn latest(&self, board: &Board, window: Window) -> Result<Option<Head>, StoreError> {
        self.get_document(&board_key(board, window), LATEST).await
    }

    /// A generation that is the newest, or was the newest within the last hour.
    pub async fn generation(
        &self,
        board: &Board,
        window: Window,
        generation: u64,
    ) -> Result<Option<Head>, StoreError> {
        let latest = self.latest(board, window).await?;
        match latest {
            Some(head) if head.generation != generation => {
                self.get_document(&board_key(board, window), &old_head(generation))
                    .await
            }
            latest => Ok(latest),
        }
    }

    /// At most `limit` listed rows, starting at `from` (counted from 0).
    pub async fn entries(
        &self,
        board: &Board,
        window: Window,
        head: &Head,
        from: usize,
        limit: usize,
    ) -> Result<Vec<BoardEntry>, StoreError> {
        let rows = head.rows(from, limit);
        let pages = self.row_pages(&board_key(board, window), &rows).await?;
        let pages: Result<Vec<_>, _> = rows
            .pages
            .iter()
            .zip(pages)
            .map(|(page, content)| content.ok_or_else(|| missing(page)))
            .collect();
        Ok(rows.cut(&pages?))
    }

    /// The listed row of a user and its position on the board, from 0; `None` if the user is not listed.
    /// `points` are those that the user has by now, by which one page usually suffices: see
    /// [`Head::candidates`].
    pub async fn find(
        &self,
        board: &Board,
        window: Window,
        head: &Head,
        user: &UserId,
        points: i64,
    ) -> Result<Option<(usize, BoardEntry)>, StoreError> {
        let key = board_key(board, window);
        let find = async |candidate: Candidate<'_>| {
            let content = self.row_page(&key, candidate.page).await?;
            let content = content.ok_or_else(|| missing(candidate.page))?;
            Ok::<_, StoreError>(candidate.seek(&content))
        };
        let mut candidates = head.candidates(user, points);
        for candidate in candidates.by_ref().take(CANDIDATES_ALONE) {
            match find(candidate).await? {
                Sought::Row(at, row) => return Ok(Some((at, row))),
                Sought::NotListed => return Ok(None),
                Sought::Elsewhere => {}
            }
        }
        let reads: Vec<_> = candidates.map(find).collect();
        let mut reads = stream::iter(reads).buffered(REQUESTS_AT_ONCE);
        while let Some(found) = reads.try_next().await? {
            if let Sought::Row(at, row) = found {
                return Ok(Some((at, row)));
            }
        }
        Ok(None)
    }

    /// The rank of these points. Reads at most one page, unless the head is an older one.
    pub async fn rank(
        &self,
        board: &Board,
        window: Window,
        head: &Head,
        points: i64,
    ) -> Result<u64, StoreError> {
        let key = board_key(board, window);
        match head.ranked_by(points) {
            RankedBy::Head { rank } => Ok(rank),
            RankedBy::Page { page, above } => Ok(above + self.buckets(&key, page).await?.rank(points)),
            RankedBy::EveryPage(pages) => {
                let reads = pages.iter().map(|page| self.buckets(&key, &page.page));
                let pages: Vec<Arc<Histogram>> = stream::iter(reads.collect::<Vec<_>>())
                    .buffered(REQUESTS_AT_ONCE)
                    .try_collect()
                    .await?;
                let buckets = pages
                    .iter()
                    .flat_map(|page| page.buckets.iter().copied())
                    .collect();
                Ok(Histogram { buckets }.rank(points))
            }
        }
    }

    /// One page of a histogram.
    async fn buckets(&self, key: &str, page: &PageRef) -> Result<Arc<Histogram>, StoreError> {
        let content = self.cached(&self.histograms, key, page).await?;
        content.ok_or_else(|| missing(page))
    }

    /// Publishes a ranked board as the generation after `previous`, with the changes of rank since the day began. Pages
    /// that did not change are not written again. The users' past comes from `pasts`, if it is known how to score it.
    pub async fn publish(
        &self,
        board: &Board,
        (span, day): (WindowSpan, Date),
        previous: Option<Head>,
        ranked: RankedBoard,
        freshness: Freshness,
        pasts: Option<&Pasts>,
    ) -> Result<Published, StoreError> {
        let key = board_key(board, span.name);
        let publication = Publication {
            span,
            day,
            previous,
            ranked,
            freshness,
            sizes: PageSizes::PUBLISHED,
        };
        let before = self.rows_left(&key, publication.first_before()).await?;
        let marks = publication.marks();
        let then = self.rows_left(&key, marks.first().map(Mark::rows)).await?;
        let look = if publication.needs_history(&before) {
            let history = self.history(board, &publication.span).await?;
            let mut look = publication.look_at(history, &before);
            for user in look.outdated() {
                let past = match pasts {
                    Some(pasts) => pasts.of(&user, board, &publication.span).await,
                    None => Past::NextRun,
                };
                look = match past {
                    Past::Points(past) => look.with(&user, Some(&past), freshness.generated_at),
                    Past::TooMany => look.with(&user, None, freshness.generated_at),
                    Past::NextRun => look.unfinished(),
                };
            }
            Some(look)
        } else {
            None
        };
        let planned = publication.plan(&then, look)?;
        for (hash, rows) in planned.rows {
            locked(&self.rows).put(hash, Arc::new(rows));
        }
        Ok(match self.write_all(&key, planned.writes).await? {
            Some(write_units) => Published::Generation {
                generation: planned.generation,
                pages_written: planned.pages_written,
                write_units,
            },
            None => Published::Superseded,
        })
    }

    /// Rows as far as their pages still exist.
    async fn rows_left(&self, key: &str, rows: Option<Rows<'_>>) -> Result<Vec<BoardEntry>, StoreError> {
        let Some(rows) = rows else {
            return Ok(Vec::new());
        };
        let pages = self.row_pages(key, &rows).await?;
        Ok(rows.cut(&pages.into_iter().flatten().collect::<Vec<_>>()))
    }

    /// Writes in order. Returns the write units that it took, or `None` if another run has replaced the head.
    pub(crate) async fn write_all(&self, key: &str, writes: Vec<Write>) -> Result<Option<f64>, StoreError> {
        let mut write_units = 0.0;
        for write in writes {
            match self.write(key, write).await? {
                Some(units) => write_units += units,
                None => return Ok(None),
            }
        }
        Ok(Some(write_units))
    }

    /// Writes the history of a board in one window. Returns the write units it consumed.
    pub async fn write_history(
        &self,
        board: &Board,
        window: WindowSpan,
        history: History,
    ) -> Result<f64, StoreError> {
        let key = board_key(board, window.name);
        self.put(&key, history_document(window, history)?).await
    }

    /// The history of a window; empty if there is none.
    pub async fn history(&self, board: &Board, span: &WindowSpan) -> Result<History, StoreError> {
        let kept: Option<WindowHistory> = self.get_document(&board_key(board, span.name), HISTORY).await?;
        Ok(kept.map_or_else(History::default, |kept| kept.within(span)))
    }

    /// Returns the write units it consumed, or `None` if another run has replaced the head.
    async fn write(&self, key: &str, write: Write) -> Result<Option<f64>, StoreError> {
        let (head, generation, follows) = match write {
            Write::Put(document) => return self.put(key, document).await.map(Some),
            Write::ReplaceHead {
                head,
                generation,
                follows,
            } => (head, generation, follows),
        };
        let mut put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(head.into_item(key)?))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .item(attribute::GENERATION, number(generation))
            .expression_attribute_names("#generation", attribute::GENERATION);
        put = match follows {
            None => put.condition_expression("attribute_not_exists(#generation)"),
            Some(previous) => put
                .condition_expression("#generation = :previous")
                .expression_attribute_values(":previous", number(previous)),
        };
        match put.send().await {
            Ok(put) => Ok(Some(units(put.consumed_capacity))),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(None)
            }
            Err(error) => Err(StoreError::unavailable("publishing a head", error)),
        }
    }

    /// Replaces the overview. Returns the write units it consumed, or `None` if another run published one
    /// meanwhile, which stays.
    pub async fn publish_overview(&self, overview: &Overview) -> Result<Option<f64>, StoreError> {
        let replace = Write::ReplaceHead {
            head: Document::new(LATEST.to_owned(), overview, None)?,
            generation: overview.generation,
            follows: overview
                .generation
                .checked_sub(1)
                .filter(|&previous| previous > 0),
        };
        self.write(ALL_BOARDS, replace).await
    }

    /// `None` before the first run.
    pub async fn overview(&self) -> Result<Option<Overview>, StoreError> {
        self.get_document(ALL_BOARDS, LATEST).await
    }

    /// The pages of some rows; `None` for a page that has expired.
    async fn row_pages(
        &self,
        key: &str,
        rows: &Rows<'_>,
    ) -> Result<Vec<Option<Arc<Vec<BoardEntry>>>>, StoreError> {
        let reads = rows.pages.iter().map(|page| self.row_page(key, page));
        stream::iter(reads.collect::<Vec<_>>())
            .buffered(REQUESTS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn row_page(&self, key: &str, page: &PageRef) -> Result<Option<Arc<Vec<BoardEntry>>>, StoreError> {
        self.cached(&self.rows, key, page).await
    }

    /// A page from a cache, or from the table into it; `None` if it has expired.
    async fn cached<Content: DeserializeOwned>(
        &self,
        cache: &Mutex<PageCache<Content>>,
        key: &str,
        page: &PageRef,
    ) -> Result<Option<Arc<Content>>, StoreError> {
        let cached = locked(cache).get(&page.hash).cloned();
        if cached.is_some() {
            return Ok(cached);
        }
        let content: Option<Content> = self.get_page(key, page).await?;
        let content = content.map(Arc::new);
        if let Some(content) = &content {
            locked(cache).put(page.hash.clone(), Arc::clone(content));
        }
        Ok(content)
    }

    /// A page; `None` if it has expired.
    ///
    /// The name of a page is a hash of its content, so whatever is read is current, and an eventually
    /// consistent read costs half. It may miss a page that was written a moment ago, which must be visible
    /// as soon as its head is.
    pub(crate) async fn get_page<T: DeserializeOwned>(
        &self,
        key: &str,
        page: &PageRef,
    ) -> Result<Option<T>, StoreError> {
        let part = page.part();
        match self.read(key, &part, Consistency::Eventual).await? {
            None => self.get_document(key, &part).await,
            found => Ok(found),
        }
    }

    pub(crate) async fn get_document<T: DeserializeOwned>(
        &self,
        key: &str,
        part: &str,
    ) -> Result<Option<T>, StoreError> {
        self.read(key, part, Consistency::Strong).await
    }

    async fn read<T: DeserializeOwned>(
        &self,
        key: &str,
        part: &str,
        consistency: Consistency,
    ) -> Result<Option<T>, StoreError> {
        let key = item::key(SNAPSHOTS_KEY, key, part);
        let read = get_item(&self.client, &self.table, key)
            .consistent_read(consistency == Consistency::Strong)
            .send()
            .await;
        let item = item_of("reading a snapshot", read)?;
        item.map(|item| document::from_item(&self.table, &item))
            .transpose()
    }

    /// Returns the write units it consumed.
    async fn put(&self, key: &str, document: Document) -> Result<f64, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(document.into_item(key)?))
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await
            .map_err(|error| StoreError::unavailable("writing a snapshot", error))?;
        Ok(units(put.consumed_capacity))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the page {hash} has expired, because no snapshot was published for days")]
struct MissingPage {
    hash: String,
}

/// The next snapshot writes the page again, so this passes.
pub(crate) fn missing(page: &PageRef) -> StoreError {
    let hash = page.hash.clone();
    StoreError::unavailable("reading a page", MissingPage { hash })
}

fn locked<Content>(cache: &Mutex<PageCache<Content>>) -> MutexGuard<'_, PageCache<Content>> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

fn units(consumed: Option<ConsumedCapacity>) -> f64 {
    consumed
        .and_then(|consumed| consumed.capacity_units)
        .unwrap_or_default()
}
