//! The programs, or the teams, that have a board: as many as there may be.

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::hash::Hash;

use domain::{Board, BoardBuilder, Window};

/// How many programs, and how many teams, are compared to choose those that get a board in the next run. Each takes
/// some 150 bytes of memory.
pub const MAX_COMPARED: usize = 100_000;

/// One for each window.
pub type Builders = [BoardBuilder; Window::EVERY.len()];

/// Boards of programs or of teams, as many as there may be.
#[derive(Debug)]
pub struct Limited<Id> {
    pub boards: HashMap<Id, Builders>,
    limit: usize,
    listed: usize,
    /// What was done in those that are compared: the first [`MAX_COMPARED`] that occur.
    pub compared: HashMap<Id, Done>,
}

/// What was done in a program, or by a team.
#[derive(Clone, Copy, Debug, Default)]
pub struct Done {
    pub all: u64,
    /// In this week and the previous one.
    pub recent: u64,
}

impl<Id: Clone + Eq + Hash + Ord> Limited<Id> {
    pub fn new(chosen: impl IntoIterator<Item = Id>, limit: usize, listed: usize) -> Self {
        let boards = chosen.into_iter().map(|id| (id, builders(listed)));
        Self {
            boards: boards.collect(),
            limit,
            listed,
            compared: HashMap::new(),
        }
    }

    /// The board of a program or team, which is made if there may be one more, or if it `always` has one.
    ///
    /// Nothing has been left out of a board that is made now, since boards are never taken away.
    pub fn board(&mut self, id: &Id, always: bool) -> Option<&mut Builders> {
        if !self.boards.contains_key(id) && (always || self.boards.len() < self.limit) {
            self.boards.insert(id.clone(), builders(self.listed));
        }
        self.boards.get_mut(id)
    }

    pub fn compare(&mut self, id: Id, done: Done) {
        let compared = if self.compared.len() < MAX_COMPARED {
            Some(self.compared.entry(id).or_default())
        } else {
            self.compared.get_mut(&id)
        };
        if let Some(compared) = compared {
            compared.all += done.all;
            compared.recent += done.recent;
        }
    }

    /// Those that have a board in the next run: at most as many as may have one, and those that `always` do. Half of
    /// them have the most recent activities, the others the most of all time.
    pub fn chosen(&self, always: impl Fn(&Id) -> bool) -> Vec<Id> {
        let best = |of: fn(Done) -> u64, but: &HashSet<Id>, count: usize| {
            let compared = self.compared.iter();
            let mut best: Vec<_> = compared
                .filter(|(id, done)| of(**done) > 0 && !but.contains(*id) && !always(id))
                .map(|(id, done)| (Reverse(of(*done)), id))
                .collect();
            best.sort_unstable();
            best.into_iter()
                .take(count)
                .map(|(_, id)| id.clone())
                .collect::<Vec<_>>()
        };
        let mut chosen: HashSet<_> = HashSet::new();
        chosen.extend(best(|done| done.recent, &chosen, self.limit.div_ceil(2)));
        let of_all_time = best(|done| done.all, &chosen, self.limit - chosen.len());
        chosen.extend(of_all_time);
        chosen.extend(self.compared.keys().filter(|id| always(id)).cloned());
        let mut chosen: Vec<_> = chosen.into_iter().collect();
        chosen.sort_unstable();
        chosen
    }

    pub fn into_boards(self, board: impl Fn(Id) -> Board) -> Vec<(Board, Builders)> {
        let mut boards: Vec<_> = self.boards.into_iter().collect();
        boards.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
        boards
            .into_iter()
            .map(|(id, builders)| (board(id), builders))
            .collect()
    }
}

pub fn builders(listed: usize) -> Builders {
    Window::EVERY.map(|_| BoardBuilder::new(listed))
}
