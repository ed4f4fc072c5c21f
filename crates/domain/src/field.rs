//! The fields of an activity that mappings name, and the values of other systems' records that they are taken from.

use std::fmt;
use std::str::FromStr;

use serde_json::value::RawValue;

use crate::json;

/// A field of an activity.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    ActivityId,
    UserId,
    ProgramId,
    Kind,
    Quantity,
    Points,
    OccurredAt,
    /// A member of the metadata.
    Metadata(String),
}

impl Field {
    /// All except those of the metadata.
    pub const EVERY: [Self; 7] = [
        Self::ActivityId,
        Self::UserId,
        Self::ProgramId,
        Self::Kind,
        Self::Quantity,
        Self::Points,
        Self::OccurredAt,
    ];
    pub const REQUIRED: [Self; 3] = [Self::UserId, Self::ProgramId, Self::Kind];

    /// Whether it is sent as a number. What is none is sent as it is, and refused by the server.
    pub fn is_number(&self) -> bool {
        matches!(self, Self::Quantity | Self::Points)
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ActivityId => f.write_str("activity_id"),
            Self::UserId => f.write_str("user_id"),
            Self::ProgramId => f.write_str("program_id"),
            Self::Kind => f.write_str("kind"),
            Self::Quantity => f.write_str("quantity"),
            Self::Points => f.write_str("points"),
            Self::OccurredAt => f.write_str("occurred_at"),
            Self::Metadata(key) => write!(f, "metadata.{key}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no field {0:?}; the fields are activity_id, user_id, program_id, kind, quantity, points, occurred_at and \
     metadata.KEY"
)]
pub struct UnknownField(String);

impl FromStr for Field {
    type Err = UnknownField;

    fn from_str(raw: &str) -> Result<Self, UnknownField> {
        if let Some(key) = raw.strip_prefix("metadata.").filter(|key| !key.is_empty()) {
            return Ok(Self::Metadata(key.to_owned()));
        }
        let field = Self::EVERY.into_iter().find(|field| field.to_string() == raw);
        field.ok_or_else(|| UnknownField(raw.to_owned()))
    }
}

/// The value at a path of member names with dots between them. Names may have dots themselves.
pub fn at_path<'a>(members: &[(String, &'a RawValue)], path: &str) -> Option<&'a RawValue> {
    if let Some((_, value)) = members.iter().find(|(name, _)| name == path) {
        return Some(value);
    }
    let mut dots = path.char_indices().filter(|(_, c)| *c == '.');
    dots.find_map(|(dot, _)| {
        let (_, value) = members.iter().find(|(name, _)| *name == path[..dot])?;
        let inner = json::object(value.get().as_bytes()).ok()?;
        at_path(&inner, &path[dot + 1..])
    })
}
