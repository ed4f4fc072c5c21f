//! Sends batches until every item has a verdict.

use std::time::Duration;

use client::wire::{ItemError, Verdict};
use client::{Api, Collection, Failure, PostError, Verdicts};
use tokio::time::Instant;

use super::{
    batch::{Batch, Item, Read, body},
    retries::{GaveUp, Retries},
    tally::{Notes, Rejection, Tally},
};

pub struct Poster {
    api: Api,
    to: Collection,
    retries: Retries,
}

/// A batch in which every item has a verdict.
#[derive(Debug)]
pub struct Posted {
    pub read: Read,
    pub tally: Tally,
}

/// The result of a request that is not repeated unchanged.
enum Settled {
    All,
    /// The server refused the body. It is not known which item is the cause.
    Refused(Vec<Item>, PostError),
}

impl Poster {
    /// A batch is tried for at most `give_up_after`.
    pub fn new(api: Api, to: Collection, give_up_after: Duration) -> Self {
        Self {
            api,
            to,
            retries: Retries::new(give_up_after),
        }
    }

    /// Requests that were sent again, in all batches so far.
    pub fn retries(&self) -> u64 {
        self.retries.count()
    }

    /// Sends the batch until each of its items has a verdict.
    ///
    /// If the server refuses a whole body, the batch is halved until the bad item is alone: one bad activity
    /// must not stop the others.
    pub async fn post(&self, batch: Batch) -> Result<Posted, GaveUp> {
        let deadline = self.retries.deadline();
        let mut judged = Judged {
            rejected: batch.rejected,
            notes: batch.notes,
            ..Judged::default()
        };
        let mut parts = vec![batch.items];
        while let Some(part) = parts.pop() {
            if let Settled::Refused(mut items, error) = self.settle(part, deadline, &mut judged).await? {
                let rest = items.split_off(items.len() / 2);
                if items.is_empty() {
                    judged.refuse(rest, &error);
                } else {
                    parts.extend([rest, items]);
                }
            }
        }
        Ok(Posted {
            read: batch.read,
            tally: judged.into_tally(),
        })
    }

    /// Sends the items until each has a verdict, or the server refuses the body.
    async fn settle(
        &self,
        mut items: Vec<Item>,
        deadline: Instant,
        judged: &mut Judged,
    ) -> Result<Settled, GaveUp> {
        let mut attempt = 0;
        while let Some(first) = items.first() {
            let place = first.place.clone();
            let (retry_after, reason) = match self.api.post(self.to, body(&items), items.len()).await {
                Ok(Verdicts { results, retry_after }) => {
                    items = judged.judge(items, results);
                    (retry_after, "the server could not store it".to_owned())
                }
                Err(error) if error.failure.is_transient() => (error.retry_after, self.api.explain(&error)),
                Err(error) if matches!(error.failure, Failure::Status(400 | 413)) => {
                    return Ok(Settled::Refused(items, error));
                }
                Err(error) => {
                    return Err(GaveUp {
                        place,
                        reason: self.api.explain(&error),
                    });
                }
            };
            let Some(Item { place, .. }) = items.first() else {
                break;
            };
            let paused = self
                .retries
                .pause(&mut attempt, retry_after, deadline, &reason)
                .await;
            if let Err(reason) = paused {
                let place = place.clone();
                return Err(GaveUp { place, reason });
            }
        }
        Ok(Settled::All)
    }
}

/// The verdicts received for one batch.
#[derive(Default)]
struct Judged {
    accepted: u64,
    duplicate: u64,
    rejected: Vec<Rejection>,
    notes: Notes,
}

impl Judged {
    /// Counts the verdicts, and returns the items to send again.
    fn judge(&mut self, items: Vec<Item>, verdicts: Vec<Verdict>) -> Vec<Item> {
        let mut left = Vec::new();
        for (item, verdict) in items.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Accepted => self.accepted += 1,
                Verdict::Duplicate => self.duplicate += 1,
                Verdict::Rejected {
                    error: ItemError { code, field, detail },
                }
                | Verdict::Forbidden {
                    error: ItemError { code, field, detail },
                }
                | Verdict::Conflict {
                    error: ItemError { code, field, detail },
                    ..
                } => {
                    self.rejected.push(Rejection {
                        place: item.place,
                        code,
                        field,
                        detail,
                    });
                }
                Verdict::Unavailable => left.push(item),
            }
        }
        left
    }

    fn refuse(&mut self, items: Vec<Item>, error: &PostError) {
        self.rejected
            .extend(items.into_iter().map(|Item { place, .. }| Rejection {
                place,
                code: error.failure.to_string(),
                field: None,
                detail: error.detail.clone(),
            }));
    }

    /// Sorts rejections into the order of the file.
    fn into_tally(mut self) -> Tally {
        self.rejected.sort_by(|a, b| a.place.cmp(&b.place));
        let mut tally = Tally::default();
        tally.accepted = self.accepted;
        tally.duplicate = self.duplicate;
        tally.notes = self.notes;
        for rejection in self.rejected {
            tally.reject(rejection);
        }
        tally
    }
}
