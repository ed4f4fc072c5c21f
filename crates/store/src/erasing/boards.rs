//! Taking a person out of what was published before the erasure.

use std::collections::HashSet;

use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use domain::{BoardEntry, UserId, Visibility};
use jiff::Timestamp;

use super::{Erasing, is_condition_failed};
use crate::document::{self, DOCUMENT, Document};
use crate::error::StoreError;
use crate::head::{Head, PageRef};
use crate::item::{self, Item, string, text};
use crate::keys::{SNAPSHOTS_KEY, attribute};
use crate::publication::{HISTORY, LATEST, PAGE_LIFETIME, PAGES, WindowHistory};

/// How the part of an item begins that holds a former head.
const FORMER_HEADS: &str = "generation ";

impl Erasing {
    /// Deletes the pages that name the person and that were written by snapshots which began before `since`, with the heads
    /// that have them, and takes the person out of all histories and editions. Later snapshots have no row of the person, unless it is
    /// of what was posted after the erasure, so the pages that they have stay. Each board must have been published by a
    /// snapshot that began at `since` or later. Returns how many items were deleted or changed.
    ///
    /// A reader who pages through such a generation begins again.
    pub async fn boards(&self, since: Timestamp) -> Result<u64, StoreError> {
        let in_use = self.pages_in_use(since).await?;
        let mut pages = self.pages(since).await?;
        pages.retain(|(_, part)| !in_use.contains(&part[PAGES.len()..]));
        let hashes: HashSet<&str> = pages.iter().map(|(_, part)| &part[PAGES.len()..]).collect();
        let heads = self.heads(since, &hashes).await?;
        let histories = self.histories().await?;
        let editions = self.editions().await?;
        // Heads first, so that no head is left without its pages.
        let heads = self.delete(&self.tables.snapshots, heads).await?;
        let pages = pages
            .iter()
            .map(|(board, part)| item::key(SNAPSHOTS_KEY, board, part));
        let pages = self.delete(&self.tables.snapshots, pages.collect()).await?;
        Ok(heads + histories + editions + pages)
    }

    /// The hashes of the pages of heads that were published at `since` or later.
    async fn pages_in_use(&self, since: Timestamp) -> Result<HashSet<String>, StoreError> {
        let hashes = |head: Head| {
            let hashes = head.pages().map(|page| page.hash.clone());
            hashes.collect::<Vec<_>>()
        };
        let pages = self.scan_heads(|_, _, head| {
            Some(head)
                .filter(|head| head.freshness.generated_at >= since)
                .map(hashes)
        });
        Ok(pages.await?.into_iter().flatten().collect())
    }

    /// The board and the part of each page that names the person.
    async fn pages(&self, since: Timestamp) -> Result<Vec<(String, String)>, StoreError> {
        // A page that is in use for longer is written again, and expires later.
        let expire_before = (since + PAGE_LIFETIME).as_second();
        let names_person = |item: &Item| {
            let table = &self.tables.snapshots;
            let rows: Result<Vec<BoardEntry>, _> = document::from_item(table, item);
            let concealed: Result<Vec<(UserId, Visibility)>, _> = document::from_item(table, item);
            // Pages of teams and of histograms name nobody, and editions are changed and not deleted.
            rows.is_ok_and(|rows| rows.iter().any(|row| row.user_id.as_ref() == Some(&self.user)))
                || concealed.is_ok_and(|concealed| concealed.iter().any(|(user, _)| *user == self.user))
        };
        let select = |items: Vec<Item>| {
            let pages = items.iter().filter(|item| names_person(item)).filter_map(parts);
            pages.collect::<Vec<_>>()
        };
        let filtered = |scan: ScanFluentBuilder| {
            scan.filter_expression("begins_with(#part, :pages) AND #expires < :expires")
                .expression_attribute_names("#part", attribute::PART)
                .expression_attribute_names("#expires", attribute::EXPIRES_AT)
                .expression_attribute_values(":pages", string(PAGES))
                .expression_attribute_values(":expires", item::number(expire_before))
        };
        self.scan_for(&self.tables.snapshots, filtered, select).await
    }

    /// The keys of heads that were published before `since` and have one of these pages or name the person. The newest
    /// head of a board is among them only if the board is not published any more.
    async fn heads(&self, since: Timestamp, pages: &HashSet<&str>) -> Result<Vec<Item>, StoreError> {
        self.scan_heads(|board, part, head| {
            let has_page = |page: &PageRef| pages.contains(page.hash.as_str());
            let is_of_person = head.names(&self.user) || head.pages().any(has_page);
            (head.freshness.generated_at < since && is_of_person)
                .then(|| item::key(SNAPSHOTS_KEY, board, part))
        })
        .await
    }

    /// What `select` takes of the heads of boards, each with its board and part.
    async fn scan_heads<T>(
        &self,
        select: impl Fn(&str, &str, Head) -> Option<T>,
    ) -> Result<Vec<T>, StoreError> {
        let select = |items: Vec<Item>| {
            let selected = items.iter().filter_map(|item| {
                let (board, part) = parts(item)?;
                // The list of boards and the board of teams have heads of another form.
                let head: Head = document::from_item(&self.tables.snapshots, item).ok()?;
                select(&board, &part, head)
            });
            selected.collect::<Vec<_>>()
        };
        let filtered = |scan: ScanFluentBuilder| {
            scan.filter_expression("#part = :latest OR begins_with(#part, :former)")
                .expression_attribute_names("#part", attribute::PART)
                .expression_attribute_values(":latest", string(LATEST))
                .expression_attribute_values(":former", string(FORMER_HEADS))
        };
        self.scan_for(&self.tables.snapshots, filtered, select).await
    }

    /// Takes the person's line out of the histories, and returns how many had one.
    async fn histories(&self) -> Result<u64, StoreError> {
        let table = &self.tables.snapshots;
        let items = self.scan(table, |scan| {
            scan.filter_expression("#part = :history")
                .expression_attribute_names("#part", attribute::PART)
                .expression_attribute_values(":history", string(HISTORY))
        });
        let mut changed = 0;
        for item in items.await? {
            let Ok(mut kept) = document::from_item::<WindowHistory>(table, &item) else {
                continue;
            };
            let (Some((board, part)), true) = (parts(&item), kept.history.forget(&self.user)) else {
                continue;
            };
            let json = Document::json(&kept)?;
            let update = self
                .client
                .update_item()
                .table_name(table)
                .set_key(Some(item::key(SNAPSHOTS_KEY, &board, &part)))
                .update_expression("SET #document = :document")
                // A snapshot that replaced it meanwhile has left the person out.
                .condition_expression("#document = :former")
                .expression_attribute_names("#document", DOCUMENT)
                .expression_attribute_values(":document", document::encoded(&part, json)?)
                .expression_attribute_values(":former", item[DOCUMENT].clone());
            match update.send().await {
                Err(error) if !is_condition_failed(&error) => {
                    return Err(StoreError::unavailable("changing a history", error));
                }
                _ => changed += 1,
            }
        }
        Ok(changed)
    }
}

/// The board and the part of an item.
pub(super) fn parts(item: &Item) -> Option<(String, String)> {
    let part = |name| Some(text(item, name).ok()?.to_owned());
    Some((part(attribute::BOARD)?, part(attribute::PART)?))
}
