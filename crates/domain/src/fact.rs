//! Facts: what Podium keeps for good, and counts once.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::activity::Activity;
use crate::correction::{Adjustment, Void};
use crate::id::{ActivityId, CorrectionId, ProgramId, UserId};

/// An activity, or a correction.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    Activity(Activity),
    Void(Void),
    Adjustment(Adjustment),
}

/// The id of a fact, unique within its user: that of an activity, `~void ACTIVITY` or `~adjust CORRECTION`. No client can
/// send the last two, since no id begins with `~`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactId(Arc<str>);

/// Identifies a fact.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FactKey {
    pub user: UserId,
    pub id: FactId,
}

impl FactId {
    /// How the ids of all corrections begin.
    pub const OF_CORRECTIONS: &str = "~";
    const OF_VOIDS: &str = "~void ";
    const OF_ADJUSTMENTS: &str = "~adjust ";

    /// Of the void of an activity, of which there is one.
    pub fn of_void(activity: &ActivityId) -> Self {
        Self(format!("{}{activity}", Self::OF_VOIDS).into())
    }

    pub fn of_adjustment(correction: &CorrectionId) -> Self {
        Self(format!("{}{correction}", Self::OF_ADJUSTMENTS).into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the activity that a fact with this stored id takes out, if it takes one out.
    pub fn voided(stored: &str) -> Option<&str> {
        stored.strip_prefix(Self::OF_VOIDS)
    }

    pub fn is_adjustment(stored: &str) -> bool {
        stored.starts_with(Self::OF_ADJUSTMENTS)
    }
}

impl From<&ActivityId> for FactId {
    fn from(id: &ActivityId) -> Self {
        Self(id.as_str().into())
    }
}

impl fmt::Display for FactId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Fact {
    pub fn key(&self) -> FactKey {
        FactKey {
            user: self.user().clone(),
            id: self.id(),
        }
    }

    pub fn id(&self) -> FactId {
        match self {
            Self::Activity(activity) => (&activity.id).into(),
            Self::Void(void) => FactId::of_void(&void.activity.id),
            Self::Adjustment(adjustment) => FactId::of_adjustment(&adjustment.correction),
        }
    }

    pub fn user(&self) -> &UserId {
        match self {
            Self::Activity(activity) | Self::Void(Void { activity, .. }) => &activity.user,
            Self::Adjustment(adjustment) => &adjustment.user,
        }
    }

    pub fn program(&self) -> &ProgramId {
        match self {
            Self::Activity(activity) | Self::Void(Void { activity, .. }) => &activity.program,
            Self::Adjustment(adjustment) => &adjustment.program,
        }
    }

    /// When what it counts for occurred: for a void, its activity.
    pub fn occurred_at(&self) -> Timestamp {
        match self {
            Self::Activity(activity) | Self::Void(Void { activity, .. }) => activity.occurred_at,
            Self::Adjustment(adjustment) => adjustment.occurred_at,
        }
    }
}
