//! Documents as items of a table. JSON text takes a third of the size of `DynamoDB` attributes, and is
//! compressed where that saves write units.

use std::borrow::Cow;
use std::io::{Read as _, Write as _};

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::{self, StoreError};
use crate::item::{Item, key, number, string};
use crate::keys::{SNAPSHOTS_KEY, attribute};

pub(crate) const DOCUMENT: &str = "document";

/// A write unit is 1 KB. A document that fits into one with its key stays text, which any tool can show.
const MAX_TEXT_BYTES: usize = 900;

/// A document stored under a part of a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub part: String,
    pub json: String,
    /// When it may be deleted, in seconds since the epoch.
    pub expires_at: Option<i64>,
}

impl Document {
    pub(crate) fn new<T: Serialize>(
        part: String,
        content: &T,
        expires_at: Option<i64>,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            part,
            json: Self::json(content)?,
            expires_at,
        })
    }

    pub(crate) fn json<T: Serialize>(content: &T) -> Result<String, StoreError> {
        serde_json::to_string(content)
            .map_err(|error| StoreError::corrupt("encoding a snapshot", "a document", error))
    }

    /// The item of this document, for the board with this key.
    pub(crate) fn into_item(self, board: &str) -> Result<Item, StoreError> {
        let Self {
            part,
            json,
            expires_at,
        } = self;
        let document = encoded(&part, json)?;
        let mut item = key(SNAPSHOTS_KEY, board, &part);
        item.insert(DOCUMENT.to_owned(), document);
        if let Some(expires_at) = expires_at {
            item.insert(attribute::EXPIRES_AT.to_owned(), number(expires_at));
        }
        Ok(item)
    }
}

/// A document as an attribute.
pub(crate) fn encoded(part: &str, json: String) -> Result<AttributeValue, StoreError> {
    if json.len() <= MAX_TEXT_BYTES {
        return Ok(string(json));
    }
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let compressed = encoder.write_all(json.as_bytes()).and_then(|()| encoder.finish());
    let compressed =
        compressed.map_err(|error| StoreError::corrupt("compressing a snapshot", part, error))?;
    Ok(AttributeValue::B(Blob::new(compressed)))
}

/// Decodes the document of an item of this table.
pub(crate) fn from_item<T: DeserializeOwned>(table: &str, item: &Item) -> Result<T, StoreError> {
    let corrupt = |cause| {
        StoreError::corrupt(
            "decoding a snapshot",
            error::named(table, item, SNAPSHOTS_KEY),
            cause,
        )
    };
    let json = json(item, DOCUMENT).map_err(corrupt)?;
    serde_json::from_str(&json).map_err(|error| corrupt(error.to_string()))
}

/// The JSON in an attribute, or why there is none.
pub(crate) fn json<'a>(item: &'a Item, name: &str) -> Result<Cow<'a, str>, String> {
    match item.get(name) {
        Some(AttributeValue::S(json)) => Ok(json.into()),
        Some(AttributeValue::B(compressed)) => {
            let mut json = String::new();
            let read = GzDecoder::new(compressed.as_ref()).read_to_string(&mut json);
            read.map_err(|error| format!("{name} cannot be decompressed: {error}"))?;
            Ok(json.into())
        }
        _ => Err(format!("it has no attribute {name:?} of text or bytes")),
    }
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
        assert_eq!(from_item::<Vec<String>>("snapshots", &item).unwrap(), rows);
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
        let check = |item: &Item, expected: &str| {
            let error = from_item::<String>("snapshots", item).unwrap_err();
            assert_eq!(error.kind(), "corrupt");
            let named = r#"the item "global all" / "latest" of the table snapshots is corrupt"#;
            let text = error.with_causes();
            assert!(text.contains(named) && text.contains(expected), "{text}");
        };
        item.insert(DOCUMENT.to_owned(), AttributeValue::B(Blob::new("no gzip")));
        check(&item, "unexpected end of file");
        item.insert(DOCUMENT.to_owned(), string("{"));
        check(&item, "invalid type");
        item.remove(DOCUMENT);
        check(&item, "no attribute");
    }
}
