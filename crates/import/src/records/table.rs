//! Reads CSV: a row with the names of the columns, and a row for each record.

use std::{
    cell::Cell,
    io::{self, BufRead, Read},
    ops::ControlFlow,
    rc::Rc,
};

use anyhow::{Context, ensure};
use csv::{ByteRecord, ReaderBuilder, Terminator};
use terminal::text::printable;

use super::{
    super::{
        batch::Batch,
        shape::{Record, Value, list},
        tally::{Place, Rejection},
    },
    RECORD_BYTES_MAX, Sink,
};

const BUFFER_BYTES: usize = 64 * 1024;

/// The first line of some files of Excel, before the names of the columns.
const EXCEL_DELIMITER: &[u8] = b"sep=";

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];

/// What is wrong with the columns may be that it is no CSV.
pub const READ_AS_CSV: &str =
    "it is read as CSV, since it does not begin with { or [, and its first row as the names of the columns";

/// The rows of a text, one at a time.
pub struct Table<R: Read> {
    rows: csv::Reader<Guard<R>>,
    since_row: Rc<Cell<u64>>,
    /// So many lines were before the part that `rows` reads.
    lines: u64,
    pub columns: Vec<String>,
    /// The row that was read last.
    row: ByteRecord,
}

/// A text with what was read of it already, and a line break so that every row ends with one and lines can be
/// counted.
type Whole<R> = io::Chain<io::Chain<io::Cursor<Vec<u8>>, R>, &'static [u8]>;

impl<R: BufRead> Table<Whole<R>> {
    /// Reads the names of the columns. So many `lines` were before.
    pub fn begin(mut reader: R, mut lines: u64) -> anyhow::Result<Self> {
        let mut head = Vec::new();
        reader
            .by_ref()
            .take(RECORD_BYTES_MAX)
            .read_until(b'\n', &mut head)?;
        let delimiter = match head.strip_prefix(EXCEL_DELIMITER) {
            Some([delimiter, ..]) if DELIMITERS.contains(delimiter) => {
                let delimiter = *delimiter;
                head.clear();
                lines += 1;
                delimiter
            }
            _ => guess_delimiter(&head),
        };
        let since_row = Rc::new(Cell::new(0));
        let guarded = Guard {
            inner: io::Cursor::new(head).chain(reader).chain(&b"\n"[..]),
            since_row: Rc::clone(&since_row),
        };
        let mut rows = ReaderBuilder::new()
            .delimiter(delimiter)
            .has_headers(false)
            .flexible(true)
            // A \r before it is trimmed with the last cell.
            .terminator(Terminator::Any(b'\n'))
            .buffer_capacity(BUFFER_BYTES)
            .from_reader(guarded);
        let mut row = ByteRecord::new();
        rows.read_byte_record(&mut row)?;
        Ok(Self {
            columns: column_names(&row)?,
            rows,
            since_row,
            lines,
            row,
        })
    }

    /// Reads the next row that is not empty, and says where it is. `None` at the end.
    pub fn advance(&mut self) -> anyhow::Result<Option<Place>> {
        loop {
            self.since_row.set(0);
            if !self.rows.read_byte_record(&mut self.row)? {
                return Ok(None);
            }
            if self.row.iter().all(|cell| cell.trim_ascii().is_empty()) {
                continue;
            }
            let ended = self.rows.position().line() - 1;
            let breaks = self.bytes().split(|byte| *byte == b'\n').count() as u64 - 1;
            return Ok(Some(Place::Line(self.lines + ended - breaks)));
        }
    }

    /// What was read last: a row, or the names of the columns.
    pub fn bytes(&self) -> &[u8] {
        self.row.as_slice()
    }

    /// The cells of the row at `place`, which was read last.
    pub fn cells(&self, place: &Place) -> Result<Vec<&str>, Rejection> {
        let refuse = |code: &str, detail: String| Rejection {
            place: place.clone(),
            code: code.to_owned(),
            field: None,
            detail,
        };
        let mut cells = Vec::with_capacity(self.columns.len());
        for cell in &self.row {
            let Ok(cell) = std::str::from_utf8(cell) else {
                let advice =
                    "the row is not UTF-8; convert the file, such as with iconv -f WINDOWS-1252 -t UTF-8";
                return Err(refuse("not_utf8", advice.to_owned()));
            };
            cells.push(cell.trim());
        }
        // Spreadsheets add empty cells.
        while cells.len() > self.columns.len() && cells.last() == Some(&"") {
            cells.pop();
        }
        if cells.len() != self.columns.len() {
            let detail = format!(
                "the row has {} cells and there are {} columns; is a quote missing, or is there one too many?",
                cells.len(),
                self.columns.len()
            );
            return Err(refuse("wrong_columns", detail));
        }
        Ok(cells)
    }
}

impl<E: FnMut(Batch) -> ControlFlow<()>> Sink<'_, E> {
    /// So many `lines` were before.
    pub(super) fn read_table(&mut self, reader: impl BufRead, lines: u64) -> anyhow::Result<()> {
        let mut table = Table::begin(reader, lines)?;
        let left_out = self.shape.check_columns(&table.columns).context(READ_AS_CSV)?;
        if !left_out.is_empty() && self.start.records == 0 {
            eprintln!("columns that are not imported: {}", printable(&list(&left_out)));
        }
        self.digest(table.bytes());
        while let Some(place) = table.advance()? {
            let columns = &table.columns;
            let cells = table.cells(&place);
            let record = cells.and_then(|cells| self.shaped(&place, &Row { columns, cells }));
            if self.push(record, place, table.bytes())?.is_break() {
                return Ok(());
            }
        }
        Ok(())
    }
}

struct Row<'a> {
    columns: &'a [String],
    cells: Vec<&'a str>,
}

impl Record for Row<'_> {
    fn value(&self, name: &str) -> Option<Value<'_>> {
        let at = self.columns.iter().position(|column| column == name)?;
        let cell = self.cells.get(at).filter(|cell| !cell.is_empty())?;
        Some(Value::Text((*cell).to_owned()))
    }

    fn names(&self) -> Vec<String> {
        self.columns.to_vec()
    }
}

fn column_names(row: &ByteRecord) -> anyhow::Result<Vec<String>> {
    let mut names: Vec<String> = Vec::new();
    for name in row {
        let name = std::str::from_utf8(name);
        let name = name.context(
            "the first row is not UTF-8; convert the file, such as with iconv -f WINDOWS-1252 -t UTF-8",
        )?;
        ensure!(
            !name.contains(|c: char| c.is_control() && !c.is_whitespace()),
            "it is neither JSON nor CSV"
        );
        names.push(name.trim().to_owned());
    }
    while names.last().is_some_and(String::is_empty) {
        names.pop();
    }
    Ok(names)
}

/// The delimiter that is most frequent outside of quotes.
fn guess_delimiter(head: &[u8]) -> u8 {
    let mut counts = [0_u32; DELIMITERS.len()];
    let mut in_quotes = false;
    for byte in head {
        in_quotes ^= *byte == b'"';
        if let Some(at) = DELIMITERS.iter().position(|delimiter| delimiter == byte)
            && !in_quotes
        {
            counts[at] += 1;
        }
    }
    let most = counts.iter().max().copied().unwrap_or_default();
    let at = counts.iter().position(|count| *count == most);
    DELIMITERS[at.unwrap_or_default()]
}

/// Fails instead of reading on if a row does not end: after a missing quote, the rest of the file would be one
/// cell.
struct Guard<R> {
    inner: R,
    since_row: Rc<Cell<u64>>,
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since_row.get() > RECORD_BYTES_MAX {
            let reason = "the row is longer than 256 KiB; is a quote missing?";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        let read = self.inner.read(buffer)?;
        self.since_row
            .set(self.since_row.get() + u64::try_from(read).unwrap_or(u64::MAX));
        Ok(read)
    }
}
