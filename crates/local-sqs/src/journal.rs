//! A queue on disk: an append-only file of JSON lines, which is replayed when the queue is opened
//! and rewritten when most of it is history.
//!
//! A call is acknowledged after `write` has returned, so a killed process loses nothing that it
//! acknowledged. There is no `fsync`: a power cut may lose the last writes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::attributes::{QueueAttributes, QueueName};
use crate::message::{Content, MessageAttributes, MessageId, Seq};
use crate::state::Message;
use crate::timestamp::Timestamp;

/// A journal is rewritten once it has this size and has grown by this factor since the last rewrite,
/// so that rewriting stays cheap compared with writing.
const COMPACT_BYTES_MIN: u64 = 32 * 1024 * 1024;
const COMPACT_GROWTH: u64 = 3;

pub(crate) const EXTENSION: &str = "jsonl";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Entry<'a> {
    /// The queue's settings; the last entry counts.
    Queue(Settings),
    /// A message was sent or moved here.
    Message(Record<'a>),
    Received {
        seqs: Vec<Seq>,
        at: Timestamp,
    },
    /// Messages were deleted or moved away.
    Deleted(Vec<Seq>),
    Purged,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) attributes: QueueAttributes,
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

#[derive(Serialize, Deserialize)]
pub(crate) struct Record<'a> {
    seq: Seq,
    id: MessageId,
    body: Cow<'a, str>,
    attributes: Cow<'a, MessageAttributes>,
    sent: Timestamp,
    first_received: Option<Timestamp>,
    receive_count: u32,
    dead_letter_source: Option<QueueName>,
    delayed_until: Option<Timestamp>,
}

impl<'a> Record<'a> {
    pub(crate) fn new(seq: Seq, message: &'a Message) -> Self {
        Self {
            seq,
            id: message.id,
            body: Cow::Borrowed(&message.content.body),
            attributes: Cow::Borrowed(&message.content.attributes),
            sent: message.sent,
            first_received: message.first_received,
            receive_count: message.receive_count,
            dead_letter_source: message.dead_letter_source.clone(),
            delayed_until: message.delayed_until,
        }
    }

    fn into_message(self) -> Message {
        Message {
            id: self.id,
            content: Arc::new(Content {
                body: self.body.into_owned(),
                attributes: self.attributes.into_owned(),
            }),
            sent: self.sent,
            first_received: self.first_received,
            receive_count: self.receive_count,
            dead_letter_source: self.dead_letter_source,
            delayed_until: self.delayed_until,
        }
    }
}

/// The content of a journal.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) settings: Settings,
    pub(crate) messages: BTreeMap<Seq, Message>,
    pub(crate) next_seq: Seq,
}

#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    file: File,
    /// Bytes of whole entries.
    length: u64,
    length_compacted: u64,
}

impl Journal {
    pub(crate) fn path(directory: &Path, queue: &QueueName) -> PathBuf {
        directory.join(format!("{queue}.{EXTENSION}"))
    }

    /// Replaces the journal at `path` atomically.
    pub(crate) fn rewrite<'a>(
        path: PathBuf,
        settings: &Settings,
        messages: impl Iterator<Item = (Seq, &'a Message)>,
    ) -> io::Result<Self> {
        let fresh = path.with_extension("fresh");
        let mut lines = Vec::new();
        push_line(&mut lines, &Entry::Queue(settings.clone()));
        for (seq, message) in messages {
            push_line(&mut lines, &Entry::Message(Record::new(seq, message)));
        }
        fs::write(&fresh, &lines).map_err(|error| at("write", &fresh, &error))?;
        fs::rename(&fresh, &path).map_err(|error| at("replace", &path, &error))?;
        let length = lines.len() as u64;
        let file =
            (OpenOptions::new().append(true).open(&path)).map_err(|error| at("open", &path, &error))?;
        Ok(Self {
            path,
            file,
            length,
            length_compacted: length,
        })
    }

    /// Appends entries with one write. After a failure, none of them is in the file.
    pub(crate) fn append<'a>(&mut self, entries: impl IntoIterator<Item = Entry<'a>>) -> io::Result<()> {
        let mut lines = Vec::new();
        for entry in entries {
            push_line(&mut lines, &entry);
        }
        if let Err(error) = self.file.write_all(&lines) {
            (self.file.set_len(self.length)).map_err(|error| at("shorten", &self.path, &error))?;
            return Err(at("write", &self.path, &error));
        }
        self.length += lines.len() as u64;
        Ok(())
    }

    pub(crate) fn wants_compaction(&self) -> bool {
        self.length >= COMPACT_BYTES_MIN.max(self.length_compacted * COMPACT_GROWTH)
    }

    pub(crate) fn compact<'a>(
        &mut self,
        settings: &Settings,
        messages: impl Iterator<Item = (Seq, &'a Message)>,
    ) -> io::Result<()> {
        *self = Self::rewrite(self.path.clone(), settings, messages)?;
        Ok(())
    }

    pub(crate) fn remove(self) -> io::Result<()> {
        fs::remove_file(&self.path).map_err(|error| at("remove", &self.path, &error))
    }
}

/// The error with what was tried and the path, which the operating system leaves out.
fn at(tried: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot {tried} {}: {error}", path.display()),
    )
}

fn push_line(lines: &mut Vec<u8>, entry: &Entry<'_>) {
    serde_json::to_writer(&mut *lines, entry).expect("entries have string keys only");
    lines.push(b'\n');
}

/// Reads a journal. `None` if it holds no complete entry: then its queue was never acknowledged.
pub(crate) fn replay(path: &Path) -> anyhow::Result<Option<Replayed>> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    // A process killed during a write leaves a line without an end, which it never acknowledged.
    let whole = text
        .iter()
        .rposition(|&byte| byte == b'\n')
        .map_or(0, |last| last + 1);
    let mut replayed: Option<Replayed> = None;
    for (index, line) in text[..whole].split(|&byte| byte == b'\n').enumerate() {
        if line.is_empty() {
            continue;
        }
        let place = || format!("{}, line {}", path.display(), index + 1);
        let entry: Entry<'_> = serde_json::from_slice(line).with_context(place)?;
        match (&mut replayed, entry) {
            (Some(replayed), entry) => apply(replayed, entry),
            (none, Entry::Queue(settings)) => {
                *none = Some(Replayed {
                    settings,
                    messages: BTreeMap::new(),
                    next_seq: Seq(0),
                });
            }
            (None, _) => anyhow::bail!("{}: the queue's settings must come first", place()),
        }
    }
    Ok(replayed)
}

fn apply(replayed: &mut Replayed, entry: Entry<'_>) {
    match entry {
        Entry::Queue(settings) => replayed.settings = settings,
        Entry::Message(record) => {
            replayed.next_seq = replayed.next_seq.max(Seq(record.seq.0 + 1));
            replayed.messages.insert(record.seq, record.into_message());
        }
        Entry::Received { seqs, at } => {
            for seq in seqs {
                if let Some(message) = replayed.messages.get_mut(&seq) {
                    message.receive_count += 1;
                    message.first_received.get_or_insert(at);
                }
            }
        }
        Entry::Deleted(seqs) => {
            for seq in seqs {
                replayed.messages.remove(&seq);
            }
        }
        Entry::Purged => replayed.messages.clear(),
    }
}
