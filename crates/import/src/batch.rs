//! Groups activities into requests within the server's limits.

use std::ops::ControlFlow;

use client::wire::{BODY_BYTES_MAX, ITEMS_MAX};

use super::{
    identify::Identified,
    tally::{Notes, Place, Rejection},
};

/// The brackets of the array.
const BRACKETS_BYTES: usize = 2;

/// The largest item that fits a body.
pub const ITEM_BYTES_MAX: usize = BODY_BYTES_MAX - BRACKETS_BYTES;

/// One activity, as the JSON text to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub place: Place,
    /// At most [`ITEM_BYTES_MAX`] long.
    pub json: String,
}

/// A hash of everything that was read.
pub type Digest = [u8; 32];

/// How much was read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Read {
    /// Lines, rows or elements; or commits and tags.
    pub records: u64,
    /// Not for a git history.
    pub digest: Digest,
    /// Bytes of the file, before decompression. 0 for a git history.
    pub bytes: u64,
}

/// The items of one request, and the records read with them that cannot be sent.
#[derive(Debug, Default)]
pub struct Batch {
    pub items: Vec<Item>,
    pub rejected: Vec<Rejection>,
    pub notes: Notes,
    /// How much was read up to the end of this batch.
    pub read: Read,
}

/// The body of a request with these items.
pub fn body(items: &[Item]) -> Vec<u8> {
    let mut body = Vec::with_capacity(body_bytes(items));
    body.push(b'[');
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            body.push(b',');
        }
        body.extend_from_slice(item.json.as_bytes());
    }
    body.push(b']');
    body
}

fn body_bytes(items: &[Item]) -> usize {
    let commas = items.len().saturating_sub(1);
    BRACKETS_BYTES + commas + items.iter().map(|item| item.json.len()).sum::<usize>()
}

/// Groups records into batches bounded by number and by bytes, and passes each to `emit`, which may stop
/// the reading.
pub struct Batcher<E> {
    emit: E,
    records_max: usize,
    batch: Batch,
    bytes: usize,
}

impl<E: FnMut(Batch) -> ControlFlow<()>> Batcher<E> {
    /// A batch has at most `records_max` records, and never more than [`ITEMS_MAX`].
    pub fn new(records_max: usize, emit: E) -> Self {
        let records_max = records_max.clamp(1, ITEMS_MAX);
        Self {
            emit,
            records_max,
            batch: Batch::default(),
            bytes: BRACKETS_BYTES,
        }
    }

    /// Adds the record that ends at `read`.
    pub fn push(&mut self, record: Result<Item, Rejection>, read: Read) -> ControlFlow<()> {
        match record {
            Ok(item) => {
                let bytes = item.json.len() + 1;
                if self.bytes + bytes > BODY_BYTES_MAX {
                    self.flush()?;
                }
                self.bytes += bytes;
                self.batch.items.push(item);
            }
            Err(rejection) => self.batch.rejected.push(rejection),
        }
        self.batch.read = read;
        if self.batch.items.len() + self.batch.rejected.len() >= self.records_max {
            self.flush()?;
        }
        ControlFlow::Continue(())
    }

    /// Notes what the next activity lacks.
    pub fn note(&mut self, activity: &Identified) {
        self.batch.notes.without_id += u64::from(!activity.had_id);
        self.batch.notes.without_time += u64::from(!activity.had_time);
    }

    /// Counts the record that ends at `read` and is not to be imported.
    pub fn leave_out(&mut self, read: Read) -> ControlFlow<()> {
        self.batch.notes.left_out += 1;
        self.batch.read = read;
        ControlFlow::Continue(())
    }

    /// Passes on the last batch.
    pub fn flush(&mut self) -> ControlFlow<()> {
        if self.batch.items.is_empty() && self.batch.rejected.is_empty() && self.batch.notes.left_out == 0 {
            return ControlFlow::Continue(());
        }
        self.bytes = BRACKETS_BYTES;
        (self.emit)(std::mem::take(&mut self.batch))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups items of these lengths, and checks the lengths in each batch and that each fits a request.
    fn check(records_max: usize, lengths: &[usize], expected: &[&[usize]]) {
        let mut emitted: Vec<Vec<usize>> = Vec::new();
        let mut last = 0;
        let mut batcher = Batcher::new(records_max, |batch: Batch| {
            assert!(body(&batch.items).len() <= BODY_BYTES_MAX);
            assert_eq!(body(&batch.items).len(), body_bytes(&batch.items));
            emitted.push(batch.items.iter().map(|item| item.json.len()).collect());
            last += u64::try_from(batch.items.len()).expect("small");
            assert_eq!(
                batch.read.records, last,
                "done through the last item of the batch"
            );
            ControlFlow::Continue(())
        });
        for (number, length) in (1..).zip(lengths) {
            let item = Item {
                place: Place::Line(number),
                json: "x".repeat(*length),
            };
            let read = Read {
                records: number,
                ..Read::default()
            };
            assert!(batcher.push(Ok(item), read).is_continue());
        }
        assert!(batcher.flush().is_continue());
        assert_eq!(emitted, expected);
    }

    #[test]
    fn batches_are_bounded_by_number_and_by_bytes() {
        check(2, &[1, 2, 3], &[&[1, 2], &[3]]);
        check(100, &[], &[]);
        let half = BODY_BYTES_MAX / 2;
        check(100, &[half, half, 1], &[&[half], &[half, 1]]);
        check(100, &[half - 2, half - 2, 1], &[&[half - 2, half - 2], &[1]]);
        check(100, &[ITEM_BYTES_MAX, 1], &[&[ITEM_BYTES_MAX], &[1]]);
        check(1_000, &[1; 101], &[&[1; 100], &[1]]);
    }

    #[test]
    fn a_body_is_an_array() {
        let item = |json: &str| Item {
            place: Place::Line(1),
            json: json.to_owned(),
        };
        assert_eq!(body(&[item("{}")]), b"[{}]");
        assert_eq!(body(&[item("{}"), item("1")]), b"[{},1]");
    }
}
