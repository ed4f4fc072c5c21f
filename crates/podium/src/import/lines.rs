//! Reads activities from a file with one JSON object a line, optionally compressed with gzip.

use std::{
    cell::Cell,
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    ops::ControlFlow,
    path::Path,
    rc::Rc,
};

use anyhow::Context;
use flate2::bufread::MultiGzDecoder;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::{
    batch::{Batch, Batcher, ITEM_BYTES_MAX, Item, Read},
    tally::{Place, Rejection},
};

/// A longer line cannot be an item, so it is not kept in memory.
const LINE_BYTES_MAX: u64 = 256 * 1024;

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

const BUFFER_BYTES: usize = 128 * 1024;

/// Counts the bytes read through it.
struct Metered<R> {
    inner: R,
    bytes: Rc<Cell<u64>>,
}

impl<R: io::Read> io::Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes
            .set(self.bytes.get() + u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}

/// Reads the file at `path`, without its first `skip` lines.
///
/// Compression is detected by the first bytes, so the name of the file does not matter.
pub fn read_file<E>(path: &Path, skip: u64, batcher: Batcher<E>) -> anyhow::Result<()>
where
    E: FnMut(Batch) -> ControlFlow<()>,
{
    let cannot_read = || format!("could not read {}", path.display());
    let inner = File::open(path).with_context(cannot_read)?;
    let bytes = Rc::new(Cell::new(0));
    let mut plain = BufReader::with_capacity(
        BUFFER_BYTES,
        Metered {
            inner,
            bytes: Rc::clone(&bytes),
        },
    );
    let is_gzip = plain
        .fill_buf()
        .with_context(cannot_read)?
        .starts_with(&GZIP_MAGIC);
    let meter = || bytes.get();
    if is_gzip {
        let unpacked = BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(plain));
        read(unpacked, meter, skip, batcher)
    } else {
        read(plain, meter, skip, batcher)
    }
    .with_context(cannot_read)
}

fn read<E>(
    mut reader: impl BufRead,
    meter: impl Fn() -> u64,
    skip: u64,
    mut batcher: Batcher<E>,
) -> anyhow::Result<()>
where
    E: FnMut(Batch) -> ControlFlow<()>,
{
    for _ in 0..skip {
        reader.skip_until(b'\n')?;
    }
    let mut line = Vec::new();
    let mut number = skip;
    loop {
        line.clear();
        let length = reader.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut line);
        let length = length.with_context(|| format!("after line {number}"))?;
        if length == 0 {
            // The file is at its end, so a request to stop makes no difference.
            let _stop_or_not = batcher.flush();
            return Ok(());
        }
        number += 1;
        let is_cut = line.last() != Some(&b'\n') && u64::try_from(length) == Ok(LINE_BYTES_MAX);
        let record = if is_cut {
            reader
                .skip_until(b'\n')
                .with_context(|| format!("in line {number}"))?;
            Err(reject(number, "too_large", too_large()))
        } else if line.trim_ascii().is_empty() {
            continue;
        } else {
            parse(number, line.trim_ascii())
        };
        if batcher
            .push(
                record,
                Read {
                    records: number,
                    bytes: meter(),
                },
            )
            .is_break()
        {
            return Ok(());
        }
    }
}

fn reject(number: u64, code: &str, detail: String) -> Rejection {
    Rejection {
        place: Place::Line(number),
        code: code.to_owned(),
        field: None,
        detail,
    }
}

fn too_large() -> String {
    format!("an activity may have at most {ITEM_BYTES_MAX} bytes")
}

/// Makes an item from a line. The server validates its fields. A line without an `activity_id` gets one
/// that depends only on the line.
fn parse(number: u64, line: &[u8]) -> Result<Item, Rejection> {
    let text =
        std::str::from_utf8(line).map_err(|error| reject(number, "invalid_json", error.to_string()))?;
    let value: &RawValue =
        serde_json::from_str(text).map_err(|error| reject(number, "invalid_json", error.to_string()))?;
    if !value.get().starts_with('{') {
        return Err(reject(
            number,
            "not_an_object",
            "an activity must be a JSON object".to_owned(),
        ));
    }
    // Raw values keep their spelling: a number in the metadata must not lose digits here.
    let mut fields: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|error| reject(number, "invalid_json", error.to_string()))?;
    let json = match fields.get("activity_id") {
        Some(id) if id.get() != "null" => text.to_owned(),
        _ => {
            let id =
                serde_json::value::to_raw_value(&line_id(number, line)).expect("a string is always JSON");
            fields.insert("activity_id".to_owned(), &id);
            serde_json::to_string(&fields).expect("a map with text keys is always JSON")
        }
    };
    if json.len() > ITEM_BYTES_MAX {
        return Err(reject(number, "too_large", too_large()));
    }
    Ok(Item {
        place: Place::Line(number),
        json,
    })
}

/// The same line at the same position always gets the same id, so sending it again is a duplicate. The
/// number is part of the id because equal lines without ids are separate activities.
fn line_id(number: u64, line: &[u8]) -> String {
    let hash = format!("{:x}", Sha256::digest(line));
    format!("line-{number}-{}", &hash[..24])
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    /// The items and rejections, one a line.
    fn sent(bytes: &[u8], skip: u64) -> String {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("activities");
        std::fs::write(&path, bytes).expect("a file");
        let mut records = Vec::new();
        let batcher = Batcher::new(100, |batch: Batch| {
            records.extend(
                batch
                    .items
                    .iter()
                    .map(|item| format!("{}: {}", item.place, item.json)),
            );
            records.extend(batch.rejected.iter().map(ToString::to_string));
            ControlFlow::Continue(())
        });
        read_file(&path, skip, batcher).expect("the file is read");
        records.join("\n")
    }

    fn check(input: &str, expected: &str) {
        assert_eq!(sent(input.as_bytes(), 0), expected, "{input}");
    }

    #[test]
    fn lines_with_an_id_are_sent_as_they_are() {
        check("", "");
        check(
            r#"{"activity_id":"a", "x":1e400}"#,
            r#"line 1: {"activity_id":"a", "x":1e400}"#,
        );
        check(
            "{\"activity_id\":\"a\"}\r\n\n  {\"activity_id\":\"b\"}\n",
            "line 1: {\"activity_id\":\"a\"}\nline 3: {\"activity_id\":\"b\"}",
        );
    }

    #[test]
    fn lines_without_an_id_get_one_from_their_content_and_number() {
        check(
            "{\"n\":1.10}\n{\"n\":1.10}\n{\"activity_id\":null}\n{}",
            "line 1: {\"activity_id\":\"line-1-972785b8a55d9391ca089ec5\",\"n\":1.10}\n\
             line 2: {\"activity_id\":\"line-2-972785b8a55d9391ca089ec5\",\"n\":1.10}\n\
             line 3: {\"activity_id\":\"line-3-ad7e8a14185d15d0e83b8ae8\"}\n\
             line 4: {\"activity_id\":\"line-4-44136fa355b3678a1146ad16\"}",
        );
    }

    #[test]
    fn a_line_keeps_its_id_when_reading_resumes() {
        let lines = b"{}\n{}\n{}\n";
        let all = sent(lines, 0);
        assert_eq!(sent(lines, 2), all.lines().last().expect("three lines"));
        assert_eq!(sent(lines, 9), "");
    }

    #[test]
    fn bad_lines_are_named_and_the_rest_goes_on() {
        check(
            "{\"activity_id\":\nnull\n[]\n{\"activity_id\":\"a\"}\n{} {}",
            "line 4: {\"activity_id\":\"a\"}\n\
             line 1: invalid_json: EOF while parsing a value at line 1 column 15\n\
             line 2: not_an_object: an activity must be a JSON object\n\
             line 3: not_an_object: an activity must be a JSON object\n\
             line 5: invalid_json: trailing characters at line 1 column 4",
        );
        let not_text = sent(b"{\"activity_id\":\"\xff\"}\n", 0);
        assert!(
            not_text.starts_with("line 1: invalid_json: invalid utf-8"),
            "{not_text}"
        );
    }

    #[test]
    fn a_line_too_long_to_send_is_passed_over_without_being_held() {
        let mut input = format!("{{\"activity_id\":\"{}\"}}\n", "x".repeat(1_000_000));
        input.push_str("{\"activity_id\":\"a\"}\n");
        check(
            &input,
            "line 2: {\"activity_id\":\"a\"}\nline 1: too_large: an activity may have at most 262142 bytes",
        );
        let at_the_limit = format!("{{\"n\":\"{}\"}}", "x".repeat(ITEM_BYTES_MAX - 8));
        assert_eq!(at_the_limit.len(), ITEM_BYTES_MAX);
        check(
            &at_the_limit,
            "line 1: too_large: an activity may have at most 262142 bytes",
        );
    }

    #[test]
    fn compressed_files_are_told_by_their_content() {
        let mut compressed = Vec::new();
        for member in ["{\"activity_id\":\"a\"}\n{\"activity_id\"", ":\"b\"}"] {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
            encoder.write_all(member.as_bytes()).expect("written");
            compressed.extend(encoder.finish().expect("compressed"));
        }
        let expected = "line 1: {\"activity_id\":\"a\"}\nline 2: {\"activity_id\":\"b\"}";
        assert_eq!(sent(&compressed, 0), expected);
    }
}
