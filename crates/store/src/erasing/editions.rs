//! Taking a person out of the boards of periods that are over. They are kept for good, so they are written anew without
//! the person.

use std::collections::BTreeMap;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use domain::closed::ClosedRow;

use super::{Erasing, boards::parts};
use crate::document::{self, DOCUMENT, Document};
use crate::editions::{BoardEdition, FORMER, NEWEST};
use crate::error::StoreError;
use crate::item::{self, Item, string};
use crate::keys::{SNAPSHOTS_KEY, attribute};
use crate::publication::{PAGES, period_hash};

/// How often heads are changed at the same time by others, such as another erasure, before it gives up.
const TRIES: u32 = 10;

/// The pages that name the person, by board and hash, without the row of the person.
type WithoutPerson = BTreeMap<(String, String), Vec<ClosedRow>>;

#[derive(Debug, thiserror::Error)]
#[error("other processes changed the boards of the same periods in each of {TRIES} attempts")]
struct AlwaysChanged;

impl Erasing {
    /// Takes the person out of all editions, and returns how many heads changed.
    pub(super) async fn editions(&self) -> Result<u64, StoreError> {
        let mut changed = 0;
        for _ in 0..TRIES {
            let pages = self.pages_of_editions().await?;
            if pages.is_empty() {
                return Ok(changed);
            }
            let mut is_done = true;
            for head in self.heads_of_editions().await? {
                match self.change_edition(&head, &pages).await? {
                    Changed::Yes => changed += 1,
                    Changed::HasNoSuchPage => {}
                    Changed::MeanwhileByOthers => is_done = false,
                }
            }
            if is_done {
                let keys = pages.keys();
                let keys =
                    keys.map(|(board, hash)| item::key(SNAPSHOTS_KEY, board, &format!("{PAGES}{hash}")));
                self.delete(&self.tables.snapshots, keys.collect()).await?;
            }
        }
        Err(StoreError::unavailable(
            "taking a person out of editions",
            AlwaysChanged,
        ))
    }

    async fn pages_of_editions(&self) -> Result<WithoutPerson, StoreError> {
        let filtered = |scan: ScanFluentBuilder| {
            scan.filter_expression("begins_with(#part, :pages)")
                .expression_attribute_names("#part", attribute::PART)
                .expression_attribute_values(":pages", string(PAGES))
        };
        let without_person = |item: &Item| {
            // Other pages have rows of another form.
            let mut rows: Vec<ClosedRow> = document::from_item(&self.tables.snapshots, item).ok()?;
            let before = rows.len();
            rows.retain(|row| row.user_id != self.user);
            let (board, part) = parts(item)?;
            let hash = part.strip_prefix(PAGES)?.to_owned();
            (rows.len() < before).then_some(((board, hash), rows))
        };
        let select = |items: Vec<Item>| items.iter().filter_map(without_person).collect::<Vec<_>>();
        let pages = self.scan_for(&self.tables.snapshots, filtered, select).await?;
        Ok(pages.into_iter().collect())
    }

    async fn heads_of_editions(&self) -> Result<Vec<Item>, StoreError> {
        self.scan(&self.tables.snapshots, |scan| {
            scan.filter_expression("begins_with(#part, :newest) OR begins_with(#part, :former)")
                .expression_attribute_names("#part", attribute::PART)
                .expression_attribute_values(":newest", string(NEWEST))
                .expression_attribute_values(":former", string(FORMER))
        })
        .await
    }

    /// Replaces these pages in a head. Page and head are written together, so that nothing is left of an attempt that
    /// another process forestalled.
    async fn change_edition(&self, head: &Item, pages: &WithoutPerson) -> Result<Changed, StoreError> {
        let table = &self.tables.snapshots;
        let (Ok(mut edition), Some((board, part))) =
            (document::from_item::<BoardEdition>(table, head), parts(head))
        else {
            // The board of teams names nobody.
            return Ok(Changed::HasNoSuchPage);
        };
        let mut puts = Vec::new();
        for page in &mut edition.pages {
            let Some(rows) = pages.get(&(board.clone(), page.hash.clone())) else {
                continue;
            };
            let json = Document::json(rows)?;
            page.hash = period_hash(edition.period, &json);
            edition.rows -= 1;
            let document = Document {
                part: page.part(),
                json,
                expires_at: page.expiry(),
            };
            puts.push(Put::builder().set_item(Some(document.into_item(&board)?)));
        }
        if puts.is_empty() {
            return Ok(Changed::HasNoSuchPage);
        }
        let mut changed = head.clone();
        let document = document::encoded(&part, Document::json(&edition)?)?;
        changed.insert(DOCUMENT.to_owned(), document);
        puts.push(
            Put::builder()
                .set_item(Some(changed))
                .condition_expression("#document = :former")
                .expression_attribute_names("#document", DOCUMENT)
                .expression_attribute_values(":former", head[DOCUMENT].clone()),
        );
        let writes: Result<Vec<_>, _> = puts
            .into_iter()
            .map(|put| {
                Ok(TransactWriteItem::builder()
                    .put(put.table_name(table).build()?)
                    .build())
            })
            .collect();
        let writes = writes.map_err(|error: aws_sdk_dynamodb::error::BuildError| {
            StoreError::corrupt("building a request", part.as_str(), error)
        })?;
        let sent = self
            .client
            .transact_write_items()
            .set_transact_items(Some(writes));
        match sent.send().await {
            Ok(_) => Ok(Changed::Yes),
            Err(SdkError::ServiceError(error)) if error.err().is_transaction_canceled_exception() => {
                Ok(Changed::MeanwhileByOthers)
            }
            Err(error) => Err(StoreError::unavailable("changing an edition", error)),
        }
    }
}

enum Changed {
    Yes,
    HasNoSuchPage,
    MeanwhileByOthers,
}
