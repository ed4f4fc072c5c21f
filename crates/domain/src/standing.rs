//! One user's counters.

use std::ops::{Add, AddAssign};

use serde::{Deserialize, Serialize};

use crate::calendar::Window;
use crate::id::{ProgramId, UserId};

/// A number of points, and how many activities earned them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    pub points: u64,
    pub activities: u64,
}

impl Add for Tally {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let sum = Self {
            points: self.points.wrapping_add(other.points),
            activities: self.activities.wrapping_add(other.activities),
        };
        assert!(
            sum.points >= self.points && sum.activities >= self.activities,
            "tally overflow: {self:?} + {other:?}"
        );
        sum
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
}

/// A tally for each window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tallies {
    pub all: Tally,
    pub month: Tally,
    pub week: Tally,
    pub day: Tally,
}

impl Tallies {
    pub fn get(&self, window: Window) -> Tally {
        match window {
            Window::All => self.all,
            Window::Month => self.month,
            Window::Week => self.week,
            Window::Day => self.day,
        }
    }

    pub fn get_mut(&mut self, window: Window) -> &mut Tally {
        match window {
            Window::All => &mut self.all,
            Window::Month => &mut self.month,
            Window::Week => &mut self.week,
            Window::Day => &mut self.day,
        }
    }
}

impl AddAssign for Tallies {
    fn add_assign(&mut self, other: Self) {
        for window in Window::EVERY {
            *self.get_mut(window) += other.get(window);
        }
    }
}
