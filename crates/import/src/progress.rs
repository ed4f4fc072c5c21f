//! Shows the progress of an import: a bar in a terminal, plain lines elsewhere.

use std::{
    fmt::Write as _,
    io::{IsTerminal, stderr},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressStyle};
use terminal::text::{counted, grouped};

use super::{batch::Read, tally::Tally};

/// Often enough to show progress, rarely enough for a log.
const LINE_EVERY: Duration = Duration::from_secs(5);

const BAR: &str = "{bar:30} {percent:>3}%  {msg}  {elapsed}, {eta} left";
const SPINNER: &str = "{spinner} {msg}  {elapsed}";

pub enum Progress {
    Bar(ProgressBar),
    Lines { due: Instant },
}

impl Progress {
    /// `length` is how much there is to do, such as the bytes of a file, if that is known.
    pub fn new(length: Option<u64>) -> Self {
        if !stderr().is_terminal() {
            return Self::Lines {
                due: Instant::now() + LINE_EVERY,
            };
        }
        let (bar, template) = match length {
            Some(length) => (ProgressBar::new(length), BAR),
            None => (ProgressBar::new_spinner(), SPINNER),
        };
        let style = ProgressStyle::with_template(template).expect("the templates are right");
        Self::Bar(bar.with_style(style))
    }

    pub fn update(&mut self, position: u64, message: impl FnOnce() -> String) {
        match self {
            Self::Bar(bar) => {
                bar.set_position(position);
                bar.set_message(message());
            }
            Self::Lines { due } if Instant::now() >= *due => {
                *due = Instant::now() + LINE_EVERY;
                eprintln!("{}", message());
            }
            Self::Lines { .. } => {}
        }
    }

    /// Removes the bar. The summary follows.
    pub fn finish(self) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Lines { .. } => {}
        }
    }
}

/// How far an import of activities is.
pub fn describe(read: Read, tally: &Tally, retries: u64) -> String {
    let mut text = format!("{} read", grouped(read.records));
    for (count, what) in [
        (tally.accepted, "accepted"),
        (tally.duplicate, "duplicate"),
        (tally.rejected(), "rejected"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {} {what}", grouped(count));
        }
    }
    if retries > 0 {
        let _ = write!(text, ", {}", counted(retries, "retry", "retries"));
    }
    text
}
