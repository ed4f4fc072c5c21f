//! A reader that polls the board during the run, as the dashboard does.

use std::time::Duration;

use client::Api;
use client::wire::BoardDocument;
use domain::{Board, Window};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::trial::USERS;

const READ_EVERY: Duration = Duration::from_millis(200);

/// What the reader saw.
#[derive(Clone, Copy, Debug, Default)]
pub struct BoardsRead {
    pub read: u64,
    /// Answers that are a mixture of generations: the sums do not match the entries, or someone who changes teams is in two
    /// or in none.
    pub torn: u64,
    /// Requests without an answer or without a board.
    pub failed: u64,
}

pub struct Reader {
    stop: watch::Sender<bool>,
    task: JoinHandle<BoardsRead>,
}

impl Reader {
    /// `people` is how many there are in teams at most. Nobody leaves without joining another one.
    pub fn start(api: Api, people: u64) -> Self {
        let (stop, stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut seen = BoardsRead::default();
            let mut members = 0;
            while !*stopped.borrow() && stopped.has_changed().is_ok() {
                match api.board(&Board::Global, Window::All, USERS).await {
                    Ok((board, _)) => {
                        seen.read += 1;
                        seen.torn += u64::from(is_torn(&board));
                    }
                    Err(_) => seen.failed += 1,
                }
                match api.teams(Window::All, USERS).await {
                    Ok((teams, _)) => {
                        let now = teams.entries.iter().map(|team| team.members).sum();
                        seen.read += 1;
                        seen.torn += u64::from(now < members || now > people);
                        members = now;
                    }
                    Err(_) => seen.failed += 1,
                }
                sleep(READ_EVERY).await;
            }
            seen
        });
        Self { stop, task }
    }

    pub async fn stop(self) -> BoardsRead {
        self.stop.send_replace(true);
        self.task.await.expect("reading neither panics nor is cancelled")
    }
}

fn is_torn(board: &BoardDocument) -> bool {
    let points: i64 = board.entries.iter().map(|entry| entry.points).sum();
    let activities: u64 = board.entries.iter().map(|entry| entry.activities).sum();
    (
        board.heading.participants,
        board.heading.points,
        board.heading.activities,
    ) != (board.entries.len() as u64, points, activities)
}
