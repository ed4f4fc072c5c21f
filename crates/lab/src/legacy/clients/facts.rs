//! The file of what was acknowledged.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use domain::ActivityId;

use super::source::Fact;

pub struct Facts {
    file: File,
    written: HashSet<ActivityId>,
}

impl Facts {
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.with_context(|| format!("cannot append to {}", path.display()))?;
        Ok(Self {
            file,
            written: HashSet::new(),
        })
    }

    /// Appends a line, unless the activity was acknowledged before.
    pub fn append(&mut self, fact: &Fact) -> anyhow::Result<()> {
        if self.written.insert(fact.activity_id.clone()) {
            let mut line = serde_json::to_vec(fact)?;
            line.push(b'\n');
            self.file
                .write_all(&line)
                .context("cannot append an activity to the facts")?;
        }
        Ok(())
    }
}
