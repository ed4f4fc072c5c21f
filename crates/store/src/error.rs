//! Why an operation on a table failed, by kind.

use std::error::Error;

use crate::item::{Item, text};

type Cause = Box<dyn Error + Send + Sync>;

/// A failed operation on a table. The cause is for the log; clients see none of it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store refused the request or did not answer. The same request may succeed later.
    #[error("{operation} failed")]
    Unavailable {
        operation: &'static str,
        #[source]
        source: Cause,
    },
    /// A stored item cannot be decoded, or a value cannot be encoded. Retrying does not help.
    #[error("{operation} failed: {subject} is corrupt; retrying does not help")]
    Corrupt {
        operation: &'static str,
        /// The item, with its table and key, or the value to be stored.
        subject: String,
        #[source]
        source: Cause,
    },
}

impl StoreError {
    pub(crate) fn unavailable(operation: &'static str, source: impl Into<Cause>) -> Self {
        Self::Unavailable {
            operation,
            source: source.into(),
        }
    }

    pub(crate) fn corrupt(
        operation: &'static str,
        subject: impl Into<String>,
        source: impl Into<Cause>,
    ) -> Self {
        Self::Corrupt {
            operation,
            subject: subject.into(),
            source: source.into(),
        }
    }

    /// The configured quests cannot be used.
    pub fn corrupt_quests(source: impl Into<Cause>) -> Self {
        Self::corrupt("reading the quests", "the list of quests", source)
    }

    /// The kind, as a field of a log entry.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Unavailable { .. } => "unavailable",
            Self::Corrupt { .. } => "corrupt",
        }
    }

    /// The error and its causes, for a log entry.
    pub fn with_causes(&self) -> String {
        let mut causes = self.to_string();
        let mut source = self.source();
        while let Some(cause) = source {
            causes.push_str(": ");
            causes.push_str(&cause.to_string());
            source = cause.source();
        }
        causes
    }
}

/// Names an item by its table and its key attributes, for an error.
pub(crate) fn named(table: &str, item: &Item, key: [&str; 2]) -> String {
    let [partition, sort] = key.map(|name| text(item, name).unwrap_or("?"));
    format!("the item {partition:?} / {sort:?} of the table {table}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_tells_its_kind_its_subject_and_every_cause() {
        let cause = "x".parse::<u64>().unwrap_err();
        let corrupt = StoreError::corrupt("decoding a page", "the item \"global all\"", cause);
        assert_eq!(corrupt.kind(), "corrupt");
        assert_eq!(
            corrupt.with_causes(),
            "decoding a page failed: the item \"global all\" is corrupt; retrying does not help: invalid digit found in string"
        );
        let unavailable = StoreError::unavailable("reading a page", "the connection was cut");
        assert_eq!(unavailable.kind(), "unavailable");
        assert_eq!(
            unavailable.with_causes(),
            "reading a page failed: the connection was cut"
        );
    }
}
