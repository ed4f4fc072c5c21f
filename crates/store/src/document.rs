//! Documents as items of a table: JSON text, a third of the size that it would have as `DynamoDB`
//! attributes, and compressed where that saves write units.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::Unavailable;
use crate::keys::attribute;

type Item = HashMap<String, AttributeValue>;

const DOCUMENT: &str = "document";

/// A write unit takes 1 KB. What fits into one with its key stays text, which can be read anywhere.
const MAX_TEXT_BYTES: usize = 900;

/// A document that is kept under a part of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub part: String,
    pub json: String,
    /// When it is deleted, in seconds since the epoch.
    pub expires_at: Option<i64>,
}

impl Document {
    pub(crate) fn new<T: Serialize>(
        part: String,
        content: &T,
        expires_at: Option<i64>,
    ) -> Result<Self, Unavailable> {
        Ok(Self {
            part,
            json: Self::json(content)?,
            expires_at,
        })
    }

    pub(crate) fn json<T: Serialize>(content: &T) -> Result<String, Unavailable> {
        serde_json::to_string(content).map_err(|error| Unavailable::new("encoding a snapshot", error))
    }

    /// The item of this document beside the others of the board that has the key.
    pub(crate) fn into_item(self, key: &str) -> Result<Item, Unavailable> {
        let Self {
            part,
            json,
            expires_at,
        } = self;
        let document = if json.len() <= MAX_TEXT_BYTES {
            AttributeValue::S(json)
        } else {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
            let compressed = encoder.write_all(json.as_bytes()).and_then(|()| encoder.finish());
            let compressed = compressed.map_err(|error| Unavailable::new("compressing a snapshot", error))?;
            AttributeValue::B(Blob::new(compressed))
        };
        let mut item = Item::from([
            (attribute::BOARD.to_owned(), AttributeValue::S(key.to_owned())),
            (attribute::PART.to_owned(), AttributeValue::S(part)),
            (DOCUMENT.to_owned(), document),
        ]);
        if let Some(expires_at) = expires_at {
            let expires_at = AttributeValue::N(expires_at.to_string());
            item.insert(attribute::EXPIRES_AT.to_owned(), expires_at);
        }
        Ok(item)
    }
}

pub(crate) fn from_item<T: DeserializeOwned>(item: &Item) -> Result<T, Unavailable> {
    let document = match item.get(DOCUMENT) {
        Some(AttributeValue::S(json)) => serde_json::from_str(json),
        Some(AttributeValue::B(compressed)) => {
            let mut json = String::new();
            GzDecoder::new(compressed.as_ref())
                .read_to_string(&mut json)
                .map_err(|error| Unavailable::new("decompressing a snapshot", error))?;
            serde_json::from_str(&json)
        }
        _ => serde_json::from_str(""),
    };
    document.map_err(|error| Unavailable::new("decoding a snapshot", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item<T: Serialize>(content: &T, expires_at: Option<i64>) -> Item {
        let document = Document::new("latest".to_owned(), content, expires_at).unwrap();
        document.into_item("global all").unwrap()
    }

    fn check(rows: usize, is_compressed: bool) {
        let rows: Vec<String> = (0..rows).map(|row| format!("row {row}")).collect();
        let item = item(&rows, Some(7));
        assert_eq!(item["document"].is_b(), is_compressed, "{} rows", rows.len());
        assert_eq!(item["expires_at"], AttributeValue::N("7".to_owned()));
        assert_eq!(from_item::<Vec<String>>(&item).unwrap(), rows);
    }

    #[test]
    fn a_small_document_is_text_and_a_large_one_compressed() {
        check(0, false);
        check(10, false);
        check(1_000, true);
    }

    #[test]
    fn what_is_no_document_is_told() {
        let mut item = item(&"x", None);
        item.insert(DOCUMENT.to_owned(), AttributeValue::B(Blob::new("no gzip")));
        assert!(from_item::<String>(&item).is_err());
        item.remove(DOCUMENT);
        assert!(from_item::<String>(&item).is_err());
    }
}
