//! Finds the records of a text: lines with JSON objects, a JSON array, or CSV.

mod array;
mod table;
pub mod whole;

use std::{
    io::{BufRead, Cursor, Read as _},
    ops::ControlFlow,
};

use anyhow::{Context, bail, ensure};
use domain::{field::at_path, json};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use self::array::Array;
use super::{
    batch::{Batch, Batcher, Digest, ITEM_BYTES_MAX, Item, Read},
    identify::{Identified, Identifier},
    input::{Source, Text},
    shape::{Record, Shape, Value, list},
    tally::{Place, Rejection},
};

/// A longer record cannot be an item, so it is not kept in memory.
const RECORD_BYTES_MAX: u64 = 256 * 1024;

/// What messages call a record here.
const ACTIVITY: &str = "an activity";

/// A document of which one member holds the records is read whole.
const DOCUMENT_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Where to begin: after so many records, if those before have this digest.
#[derive(Debug, Clone, Copy, Default)]
pub struct Start {
    pub records: u64,
    pub digest: Digest,
}

/// The records before the start are not those that were read when the position was saved.
#[derive(Debug, thiserror::Error)]
#[error("the saved position is not used: the records before it are others than those of this file")]
pub struct DoesNotFit;

/// Passes on the activities of a source that a `command` reads. What was read before an error is passed on as well.
pub fn read<E>(
    source: &Source,
    command: &str,
    shape: &Shape,
    start: Start,
    batcher: Batcher<E>,
) -> anyhow::Result<()>
where
    E: FnMut(Batch) -> ControlFlow<()>,
{
    let text = source.open(command)?;
    let mut sink = Sink {
        meter: Box::new(text.meter()),
        command,
        shape,
        start,
        is_past_start: start.records == 0,
        read: Read::default(),
        identifier: Identifier::default(),
        batcher,
    };
    let ended = sink.read_text(text);
    // The text is at its end, so a request to stop makes no difference.
    let _stop_or_not = sink.batcher.flush();
    let ended = ended.with_context(|| match sink.read.records {
        0 => format!("could not import {source}"),
        records => format!("could not read {source} after record {records}"),
    });
    ended?;
    ensure!(sink.is_past_start, DoesNotFit);
    Ok(())
}

struct Sink<'a, E> {
    meter: Box<dyn Fn() -> u64>,
    command: &'a str,
    shape: &'a Shape,
    start: Start,
    is_past_start: bool,
    read: Read,
    identifier: Identifier,
    batcher: Batcher<E>,
}

impl<E: FnMut(Batch) -> ControlFlow<()>> Sink<'_, E> {
    fn read_text(&mut self, text: Text) -> anyhow::Result<()> {
        let mut reader = text.reader;
        // Blank lines at the beginning count as lines.
        let (mut head, mut blank) = (Vec::new(), 0);
        while head.trim_ascii().is_empty() {
            head.clear();
            if reader
                .by_ref()
                .take(RECORD_BYTES_MAX)
                .read_until(b'\n', &mut head)?
                == 0
            {
                return Ok(());
            }
            blank += 1;
        }
        blank -= 1;
        let first = head.trim_ascii_start().first().copied();
        let (second, failed) = match reader.fill_buf() {
            Ok(buffer) => (buffer.trim_ascii_start().first().copied(), None),
            // The first line is complete, so it is read before the error is reported.
            Err(error) => (None, Some(error)),
        };
        let line = head.clone();
        let whole = Cursor::new(head).chain(reader);
        let ended = match (first, &self.shape.records) {
            (Some(b'{' | b'['), Some(member)) => self.read_member(whole, member),
            (_, Some(_)) => bail!("--records names a member of a JSON document, and this is none"),
            (Some(b'['), None) => self.read_array(Array::new(whole)),
            (Some(b'{'), None) => {
                check_is_lines(&line, second, self.command)?;
                self.read_lines(whole, blank)
            }
            _ => self.read_table(whole, blank),
        };
        ended.and_then(|()| failed.map_or(Ok(()), |error| Err(error.into())))
    }

    fn read_lines(&mut self, mut reader: impl BufRead, mut number: u64) -> anyhow::Result<()> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = reader
                .by_ref()
                .take(RECORD_BYTES_MAX)
                .read_until(b'\n', &mut line)?;
            if length == 0 {
                return Ok(());
            }
            number += 1;
            let place = Place::Line(number);
            let is_cut = line.last() != Some(&b'\n') && u64::try_from(length) == Ok(RECORD_BYTES_MAX);
            let record = if is_cut {
                reader.skip_until(b'\n')?;
                Err(too_large(place.clone(), ACTIVITY))
            } else if line.trim_ascii().is_empty() {
                continue;
            } else {
                self.object(&place, line.trim_ascii())
            };
            if self.push(record, place, &line)?.is_break() {
                return Ok(());
            }
        }
    }

    fn read_array(&mut self, mut array: Array<impl BufRead>) -> anyhow::Result<()> {
        let mut element = Vec::new();
        let mut number = 0;
        while let Some(is_whole) = array.next(&mut element)? {
            number += 1;
            let place = Place::Record(number);
            let record = if is_whole {
                self.object(&place, element.trim_ascii())
            } else {
                Err(too_large(place.clone(), ACTIVITY))
            };
            if self.push(record, place, &element)?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads the array that one member of a document holds.
    fn read_member(&mut self, reader: impl BufRead, member: &str) -> anyhow::Result<()> {
        let mut document = Vec::new();
        let length = reader.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut document)?;
        ensure!(
            length as u64 <= DOCUMENT_BYTES_MAX,
            "a document with --records may have at most 256 MiB; make lines of it: \
             jq -c '.{member}[]' FILE | {} -",
            self.command
        );
        let members = json::object(&document).map_err(|rejection| {
            anyhow::anyhow!("--records {member} needs one JSON object: {}", rejection.detail)
        })?;
        let array = at_path(&members, member).filter(|value| value.get().starts_with('['));
        let Some(array) = array else {
            let names: Vec<_> = members.iter().map(|(name, _)| name.clone()).collect();
            bail!(
                "no array is in the member {member:?}; the members are {}",
                list(&names)
            );
        };
        self.read_array(Array::new(array.get().as_bytes()))
    }

    /// The activity of a JSON object, or `None` if `--only` leaves it out.
    fn object(&mut self, place: &Place, document: &[u8]) -> Result<Option<Identified>, Rejection> {
        let refuse = |rejection| Rejection::refused(place.clone(), rejection);
        if self.shape.is_plain() {
            let identified = self.identifier.identify(document).map_err(refuse)?;
            return Ok(Some(identified));
        }
        let members = json::object(document).map_err(refuse)?;
        self.shaped(place, &Object(members))
    }

    fn shaped(&mut self, place: &Place, record: &dyn Record) -> Result<Option<Identified>, Rejection> {
        if !self.shape.includes(record) {
            return Ok(None);
        }
        let activity = self.shape.apply(record).map_err(|misfit| Rejection {
            place: place.clone(),
            code: misfit.code.to_owned(),
            field: Some(misfit.field.to_string()),
            detail: misfit.detail,
        })?;
        let identified = self.identifier.identify(activity.as_bytes());
        let identified = identified.map_err(|rejection| Rejection::refused(place.clone(), rejection))?;
        Ok(Some(identified))
    }

    /// Passes on the record unless it is before the start. `bytes` is what was read of it.
    fn push(
        &mut self,
        record: Result<Option<Identified>, Rejection>,
        place: Place,
        bytes: &[u8],
    ) -> anyhow::Result<ControlFlow<()>> {
        self.identifier.check_bound()?;
        self.read.records += 1;
        self.read.bytes = (self.meter)();
        self.digest(bytes);
        if !self.is_past_start {
            self.is_past_start = self.read.records == self.start.records;
            ensure!(
                !self.is_past_start || self.read.digest == self.start.digest,
                DoesNotFit
            );
            return Ok(ControlFlow::Continue(()));
        }
        let item = match record {
            Ok(Some(Identified { json, .. })) if json.len() > ITEM_BYTES_MAX => {
                Err(too_large(place, ACTIVITY))
            }
            Ok(Some(identified)) => {
                self.batcher.note(&identified);
                let json = identified.json;
                Ok(Item { place, json })
            }
            Ok(None) => return Ok(self.batcher.leave_out(self.read)),
            Err(rejection) => Err(rejection),
        };
        Ok(self.batcher.push(item, self.read))
    }

    /// The digest covers all bytes up to here.
    fn digest(&mut self, bytes: &[u8]) {
        let digest = Sha256::new().chain_update(self.read.digest).chain_update(bytes);
        self.read.digest = digest.finalize().into();
    }
}

/// Refuses a JSON document over several lines, and one that holds the records in a member, before anything
/// is sent: each line of it would be rejected.
fn check_is_lines(first: &[u8], second: Option<u8>, command: &str) -> anyhow::Result<()> {
    let line = first.trim_ascii();
    let is_complete = first.last() == Some(&b'\n');
    let is_torn = is_complete && serde_json::from_slice::<&RawValue>(line).is_err_and(|error| error.is_eof());
    if is_torn && second.is_some_and(|byte| byte != b'{') {
        bail!(
            "it begins with a JSON object over several lines. If one of its members is an array with the records, name \
             it with --records MEMBER. Otherwise write each object on one line: jq -c . FILE | {command} -"
        );
    }
    let members = json::object(line).unwrap_or_default();
    let is_array_of_objects = |value: &RawValue| {
        let inner = value.get().strip_prefix('[').unwrap_or_default();
        inner.trim_start().starts_with('{')
    };
    if let Some((name, _)) = members.iter().find(|(_, value)| is_array_of_objects(value)) {
        bail!("it is a JSON object whose member {name:?} holds an array; import that with --records {name}");
    }
    Ok(())
}

struct Object<'a>(Vec<(String, &'a RawValue)>);

impl Record for Object<'_> {
    fn value(&self, name: &str) -> Option<Value<'_>> {
        let value = at_path(&self.0, name)?;
        match value.get().as_bytes().first() {
            Some(b'n') => None,
            Some(b'"') => serde_json::from_str(value.get()).ok().map(Value::Text),
            _ => Some(Value::Other(value)),
        }
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|(name, _)| name.clone()).collect()
    }
}

fn too_large(place: Place, what: &str) -> Rejection {
    Rejection {
        place,
        code: "too_large".to_owned(),
        field: None,
        detail: format!("{what} may have at most {ITEM_BYTES_MAX} bytes"),
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod trade;
