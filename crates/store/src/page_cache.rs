//! Pages of boards that were read or written before, so that a warm function need not read them again.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use domain::BoardEntry;

/// With 500 rows each some 20 MB.
const CACHED_PAGES: usize = 512;

/// The last decoded pages. They never change, so that nothing here is ever out of date.
#[derive(Debug, Default)]
pub(crate) struct PageCache {
    pages: HashMap<String, Arc<Vec<BoardEntry>>>,
    oldest_first: VecDeque<String>,
}

impl PageCache {
    pub fn get(&self, hash: &str) -> Option<Arc<Vec<BoardEntry>>> {
        self.pages.get(hash).cloned()
    }

    pub fn insert(&mut self, hash: &str, entries: Arc<Vec<BoardEntry>>) {
        if self.pages.insert(hash.to_owned(), entries).is_some() {
            return;
        }
        self.oldest_first.push_back(hash.to_owned());
        if self.oldest_first.len() > CACHED_PAGES
            && let Some(oldest) = self.oldest_first.pop_front()
        {
            self.pages.remove(&oldest);
        }
    }
}
