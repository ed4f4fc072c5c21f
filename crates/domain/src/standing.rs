//! One user's counters.

use std::ops::{Add, AddAssign};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::calendar::PerWindow;
use crate::closed::InPeriod;
use crate::counters::Late;
use crate::id::{ProgramId, UserId};

/// A number of points, and how many activities there were. Corrections may make the points negative, or give
/// points without an activity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub points: i64,
    pub activities: u64,
}

impl Tally {
    /// Whoever has nothing is on no board.
    pub fn is_nothing(&self) -> bool {
        self.points == 0 && self.activities == 0
    }
}

impl Add for Tally {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            points: self
                .points
                .checked_add(other.points)
                .expect("points do not overflow"),
            activities: self
                .activities
                .checked_add(other.activities)
                .expect("activities do not overflow"),
        }
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// One user's counters in one program at one moment: for all time and for the current month, week
/// and day.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    pub user: UserId,
    pub program: ProgramId,
    pub tallies: Tallies,
    /// The activities of this week and the previous one, by which programs are chosen for a board.
    pub recent_activities: u64,
    /// What was done in each period that is asked for; `None` for one that is so old that its counter was given up.
    pub past: Vec<Option<InPeriod>>,
    /// What came too late for its period.
    pub late: Late,
    /// When the last counted activity of each window occurred; `None` where equal points share a rank.
    pub lasts: PerWindow<Option<Timestamp>>,
}

pub type Tallies = PerWindow<Tally>;
