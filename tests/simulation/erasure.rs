//! The erasure of a person, step by step and in the order of `podium people erase`.

use std::collections::BTreeSet;

use domain::UserId;
use jiff::Timestamp;
use store::keys::CountGeneration;

use crate::folds::Fold;

pub struct Erasure {
    pub user: UserId,
    /// What was received before this is erased.
    pub before: Timestamp,
    pub stage: Stage,
}

pub enum Stage {
    /// Invocations and folds that began before the note may still write.
    Waiting,
    Deleting,
    /// The generations that are left to be folded, and the one that is being folded. The epochs are those of all blocks
    /// and caps that there were before.
    Folding {
        epochs: BTreeSet<String>,
        left: Vec<CountGeneration>,
        fold: Option<Fold>,
    },
    Done,
}

impl Erasure {
    pub fn begin(user: UserId, before: Timestamp) -> Self {
        Self {
            user,
            before,
            stage: Stage::Waiting,
        }
    }
}
