//! What was told to whom: which destination got which event, so that a redelivered event is not sent again, and which
//! destinations want no more.
//!
//! An event is noted after it was sent. A process that dies in between, or two that have it at once, send it twice, under
//! the same id.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::ReturnValue;
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use crate::error::StoreError;
use crate::item::{Item, number, string, text};
use crate::keys::attribute;
use crate::requests::{get_item, item_of};

/// How long it is remembered that an event was sent: longer than a queue keeps a message.
pub const LIFETIME: SignedDuration = SignedDuration::from_hours(15 * 24);

const ADDRESS: &str = "address";

/// The table of what was sent.
#[derive(Clone, Debug)]
pub struct Notices {
    client: Client,
    table: String,
}

/// A webhook under one address. Under another address, it is a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    webhook: String,
    address: String,
}

impl Subscription {
    const HASH_DIGITS: usize = 16;

    pub fn new(webhook: &str, url: &str) -> Self {
        // An address may have a secret in it.
        let hash = format!("{:x}", Sha256::digest(url));
        Self {
            webhook: webhook.to_owned(),
            address: hash[..Self::HASH_DIGITS].to_owned(),
        }
    }
}

impl Notices {
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Whether a destination got an event.
    pub async fn is_sent(&self, destination: &str, event: &str) -> Result<bool, StoreError> {
        let answer = get_item(&self.client, &self.table, sent_key(destination, event)).send();
        Ok(item_of("reading whether an event was sent", answer.await)?.is_some())
    }

    pub async fn put_sent(&self, destination: &str, event: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut item = sent_key(destination, event);
        let expires_at = (now + LIFETIME).as_second();
        item.insert(attribute::EXPIRES_AT.to_owned(), number(expires_at));
        self.put(item).await
    }

    /// Whether the receiver wanted no more.
    pub async fn is_ended(&self, subscription: &Subscription) -> Result<bool, StoreError> {
        let key = ended_key(&subscription.webhook);
        let answer = get_item(&self.client, &self.table, key).send().await;
        let ended = item_of("reading whether a subscription ended", answer)?;
        Ok(ended.is_some_and(|ended| text(&ended, ADDRESS) == Ok(&subscription.address)))
    }

    pub async fn end(&self, subscription: &Subscription) -> Result<(), StoreError> {
        let mut item = ended_key(&subscription.webhook);
        item.insert(ADDRESS.to_owned(), string(subscription.address.as_str()));
        self.put(item).await
    }

    /// Has events sent to a webhook again. Returns whether its receiver had wanted no more.
    pub async fn resume(&self, webhook: &str) -> Result<bool, StoreError> {
        let resumed = self
            .client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(ended_key(webhook)))
            .return_values(ReturnValue::AllOld)
            .send();
        let resumed = resumed.await;
        let resumed = resumed.map_err(|error| StoreError::unavailable("resuming a subscription", error))?;
        Ok(resumed.attributes.is_some())
    }

    async fn put(&self, item: Item) -> Result<(), StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item));
        let put = put.send().await.map(drop);
        put.map_err(|error| StoreError::unavailable("noting what was sent", error))
    }
}

fn ended_key(webhook: &str) -> Item {
    key(&format!("~ended {webhook}"))
}

fn sent_key(destination: &str, event: &str) -> Item {
    key(&format!("{destination} {event}"))
}

fn key(notice: &str) -> Item {
    Item::from([(attribute::NOTICE.to_owned(), string(notice))])
}
