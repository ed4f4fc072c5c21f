//! The published boards: pages that are named by their content, and a head that names its pages.
//!
//! Pages are written before the head that names them and never change, and the head is replaced in
//! one write. So whoever reads a head and then its pages sees one whole generation, however many
//! are published meanwhile.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::types::{AttributeValue, ConsumedCapacity, ReturnConsumedCapacity};
use domain::{Board, BoardEntry, Freshness, Histogram, History, RankedBoard, Window, WindowSpan};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use lru::LruCache;
use serde::de::DeserializeOwned;

use crate::head::{Head, HistogramRef, PageRef, Rows};
use crate::keys::{attribute, board_key};
use crate::overview::Overview;
use crate::publication::{
    Document, HISTORY, LATEST, PageSizes, Publication, WindowHistory, Write, history_document, old_head,
};
use crate::{Unavailable, document};

const REQUESTS_AT_ONCE: usize = 8;

/// 20 MB with 500 rows each.
const CACHED_PAGES: NonZeroUsize = NonZeroUsize::new(512).unwrap();

/// The key under which what concerns all boards is kept.
const ALL_BOARDS: &str = "boards";

/// Decoded pages by hash, so that a warm function need not read them again. Pages never change, so an
/// entry is never out of date.
type PageCache = LruCache<String, Arc<Vec<BoardEntry>>>;

/// The table of published boards.
#[derive(Clone, Debug)]
pub struct Snapshots {
    client: Client,
    table: String,
    cache: Arc<Mutex<PageCache>>,
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

impl Snapshots {
    pub fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            cache: Arc::new(Mutex::new(LruCache::new(CACHED_PAGES))),
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

    /// All that is needed to rank any number of points.
    pub async fn histogram(
        &self,
        board: &Board,
        window: Window,
        head: &Head,
    ) -> Result<Histogram, Unavailable> {
        let pages = match head.histogram() {
            HistogramRef::Inline(histogram) => return Ok(histogram.clone()),
            HistogramRef::Pages(pages) => pages,
        };
        let key = board_key(board, window);
        let reads = pages.iter().map(|page| async {
            let content = self.get_document(&key, &page.part()).await?;
            content.ok_or_else(|| missing(page))
        });
        let pages: Vec<Histogram> = stream::iter(reads.collect::<Vec<_>>())
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
        ranked: RankedBoard,
        freshness: Freshness,
    ) -> Result<Published, Unavailable> {
        let key = board_key(board, span.name);
        let publication = Publication {
            span,
            previous,
            ranked,
            freshness,
            sizes: PageSizes::PUBLISHED,
        };
        let before = match publication.compared_with() {
            Some(rows) => {
                let pages = self.row_pages(&key, &rows).await?;
                rows.cut(&pages.into_iter().flatten().collect::<Vec<_>>())
            }
            None => Vec::new(),
        };
        let history = if publication.needs_history() {
            Some(self.history(board, &publication.span).await?)
        } else {
            None
        };
        let planned = publication.plan(&before, history)?;
        for (hash, rows) in planned.rows {
            self.cache().put(hash, Arc::new(rows));
        }
        let mut write_units = 0.0;
        for write in planned.writes {
            match self.write(&key, write).await? {
                Some(units) => write_units += units,
                None => return Ok(Published::Superseded),
            }
        }
        Ok(Published::Generation {
            generation: planned.generation,
            pages_written: planned.pages_written,
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
        self.put(&key, history_document(window, history)?).await
    }

    /// What past snapshots of a window showed; empty where there were none.
    pub async fn history(&self, board: &Board, span: &WindowSpan) -> Result<History, Unavailable> {
        let kept: Option<WindowHistory> = self.get_document(&board_key(board, span.name), HISTORY).await?;
        Ok(kept.map_or_else(History::default, |kept| kept.within(span)))
    }

    /// Returns the write units that it took, or `None` if another run has replaced the head.
    async fn write(&self, key: &str, write: Write) -> Result<Option<f64>, Unavailable> {
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
            .item(attribute::GENERATION, AttributeValue::N(generation.to_string()))
            .expression_attribute_names("#generation", attribute::GENERATION);
        put = match follows {
            None => put.condition_expression("attribute_not_exists(#generation)"),
            Some(previous) => put
                .condition_expression("#generation = :previous")
                .expression_attribute_values(":previous", AttributeValue::N(previous.to_string())),
        };
        match put.send().await {
            Ok(put) => Ok(Some(units(put.consumed_capacity))),
            Err(SdkError::ServiceError(error)) if error.err().is_conditional_check_failed_exception() => {
                Ok(None)
            }
            Err(error) => Err(Unavailable::new("publishing a head", error)),
        }
    }

    /// Publishes an overview in place of the one before. Returns the write units that it took; `None`
    /// if another run published one meanwhile, which stays.
    pub async fn publish_overview(&self, overview: &Overview) -> Result<Option<f64>, Unavailable> {
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
    pub async fn overview(&self) -> Result<Option<Overview>, Unavailable> {
        self.get_document(ALL_BOARDS, LATEST).await
    }

    fn cache(&self) -> MutexGuard<'_, PageCache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The pages of some rows; `None` for one that has expired.
    async fn row_pages(
        &self,
        key: &str,
        rows: &Rows<'_>,
    ) -> Result<Vec<Option<Arc<Vec<BoardEntry>>>>, Unavailable> {
        let reads = rows.pages.iter().map(|page| self.row_page(key, page));
        stream::iter(reads.collect::<Vec<_>>())
            .buffered(REQUESTS_AT_ONCE)
            .try_collect()
            .await
    }

    async fn row_page(&self, key: &str, page: &PageRef) -> Result<Option<Arc<Vec<BoardEntry>>>, Unavailable> {
        let cached = self.cache().get(&page.hash).cloned();
        if cached.is_some() {
            return Ok(cached);
        }
        let rows: Option<Vec<BoardEntry>> = self.get_document(key, &page.part()).await?;
        let rows = rows.map(Arc::new);
        if let Some(rows) = &rows {
            self.cache().put(page.hash.clone(), Arc::clone(rows));
        }
        Ok(rows)
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
    async fn put(&self, key: &str, document: Document) -> Result<f64, Unavailable> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(document.into_item(key)?))
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

fn missing(page: &PageRef) -> Unavailable {
    let hash = page.hash.clone();
    Unavailable::new("reading a page", MissingPage { hash })
}

fn units(consumed: Option<ConsumedCapacity>) -> f64 {
    consumed
        .and_then(|consumed| consumed.capacity_units)
        .unwrap_or_default()
}
