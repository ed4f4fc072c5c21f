//! The details of teams and programs. They are in the table of people, under partitions of their own.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::{Details, DisplayName, Subject, SubjectKind};

use crate::error::{self, StoreError};
use crate::item::{self, Item, number, string, text};
use crate::keys::{PEOPLE_KEY, attribute};
use crate::people::{Outcome, People};
use crate::requests::{get_item, item_of};

/// The most teams, or programs, whose details a snapshot reads: some 10 MB.
pub const DETAILS_READ_MAX: usize = 100_000;

/// One page of the list of teams or programs that have details.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetailsPage {
    pub entries: Vec<(Subject, Details)>,
    /// The one after which the list goes on; `None` at its end.
    pub next: Option<Subject>,
}

impl People {
    /// The details of a team or a program; `None` if there are none.
    pub async fn details(&self, subject: &Subject) -> Result<Option<Details>, StoreError> {
        let read = get_item(&self.client, &self.table, key(subject)).send().await;
        let item = item_of("reading details", read)?;
        item.map(|item| Ok(self.decoded_details(subject.kind(), &item)?.1))
            .transpose()
    }

    /// The titles of those that have one. A changed title may appear a moment later.
    pub async fn titles(
        &self,
        kind: SubjectKind,
        subjects: impl IntoIterator<Item = Subject>,
    ) -> Result<HashMap<Subject, DisplayName>, StoreError> {
        let keys = subjects.into_iter().map(|subject| key(&subject));
        let mut titles = HashMap::new();
        for item in self.batch(keys.collect()).await? {
            let (subject, details) = self.decoded_details(kind, &item)?;
            titles.extend(details.title.map(|title| (subject, title)));
        }
        Ok(titles)
    }

    /// Creates or replaces details.
    pub async fn put_details(&self, subject: &Subject, details: &Details) -> Result<Outcome, StoreError> {
        let outcome = match self.details(subject).await? {
            Some(kept) if kept == *details => return Ok(Outcome::Unchanged),
            Some(_) => Outcome::Changed,
            None => Outcome::Created,
        };
        let mut item = key(subject);
        let Details {
            title,
            order,
            archived,
        } = details;
        let mut set = |name: &str, value: AttributeValue| item.insert(name.to_owned(), value);
        if let Some(title) = title {
            set(attribute::TITLE, string(title.as_str()));
        }
        if let Some(order) = order {
            set(attribute::ORDER, number(*order));
        }
        if *archived {
            set(attribute::ARCHIVED, AttributeValue::Bool(true));
        }
        self.put_item(item).await?;
        Ok(outcome)
    }

    /// Deletes details. Doing so again changes nothing.
    pub async fn delete_details(&self, subject: &Subject) -> Result<(), StoreError> {
        self.delete_item(key(subject)).await
    }

    /// Those after one of them, at most `limit`, in the order of their ids.
    pub async fn list_details(
        &self,
        kind: SubjectKind,
        after: Option<&Subject>,
        limit: u16,
    ) -> Result<DetailsPage, StoreError> {
        let mut entries: Vec<(Subject, Details)> = Vec::new();
        let mut start = after.map(key);
        loop {
            let missing = i32::from(limit) - i32::try_from(entries.len()).unwrap_or(i32::MAX);
            if missing <= 0 {
                let next = entries.last().map(|(subject, _)| subject.clone());
                return Ok(DetailsPage { entries, next });
            }
            let query = self.query(kind.plural()).consistent_read(true).limit(missing);
            let page = query.set_exclusive_start_key(start).send().await;
            let page = page.map_err(|error| StoreError::unavailable("listing details", error))?;
            for item in page.items() {
                entries.push(self.decoded_details(kind, item)?);
            }
            start = page.last_evaluated_key;
            if start.is_none() {
                return Ok(DetailsPage { entries, next: None });
            }
        }
    }

    /// All of a kind, up to [`DETAILS_READ_MAX`]. The read is eventually consistent, as that of people is.
    pub async fn all_details(&self, kind: SubjectKind) -> Result<HashMap<Subject, Details>, StoreError> {
        let mut items = self.query(kind.plural()).into_paginator().items().send();
        let mut all = HashMap::new();
        while let Some(item) = items.next().await {
            let item = item.map_err(|error| StoreError::unavailable("reading details", error))?;
            if all.len() >= DETAILS_READ_MAX {
                tracing::warn!(
                    limit = DETAILS_READ_MAX,
                    "There are more {} with details than a snapshot reads. The others show without a title.",
                    kind.plural()
                );
                break;
            }
            let (subject, details) = self.decoded_details(kind, &item)?;
            all.insert(subject, details);
        }
        Ok(all)
    }

    fn decoded_details(&self, kind: SubjectKind, item: &Item) -> Result<(Subject, Details), StoreError> {
        decoded(kind, item).map_err(|error| {
            let subject = error::named(&self.table, item, PEOPLE_KEY);
            StoreError::corrupt("decoding details", subject, error)
        })
    }
}

fn key(subject: &Subject) -> Item {
    item::key(PEOPLE_KEY, subject.kind().plural(), subject.id())
}

fn decoded(kind: SubjectKind, item: &Item) -> anyhow::Result<(Subject, Details)> {
    let id = text(item, attribute::ID).map_err(anyhow::Error::msg)?;
    let title = item
        .contains_key(attribute::TITLE)
        .then(|| text(item, attribute::TITLE))
        .transpose()
        .map_err(anyhow::Error::msg)?;
    let order = match item.get(attribute::ORDER) {
        Some(AttributeValue::N(order)) => Some(order.parse()?),
        _ => None,
    };
    let details = Details {
        title: title.map(DisplayName::stored),
        order,
        archived: item.get(attribute::ARCHIVED) == Some(&AttributeValue::Bool(true)),
    };
    Ok((kind.stored(id)?, details))
}
