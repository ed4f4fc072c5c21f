//! Reads a file that fits into memory, so that all of it is known before anything is sent.

use std::io::Read as _;

use anyhow::{Context as _, ensure};
use serde_json::{Map, Value};
use terminal::text::grouped;

use super::{
    super::{
        batch::ITEM_BYTES_MAX,
        input::Source,
        tally::{Place, Rejection},
    },
    array::Array,
    table::{READ_AS_CSV, Table},
    too_large,
};

const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What messages call a record here.
const RECORD: &str = "a record";

/// The text of a record, which need not be valid JSON; or why there is none.
pub type Record = Result<(Place, String), Rejection>;

/// How a table is made into JSON objects.
pub trait Columns {
    /// Checks the names before any row is read.
    fn check(&self, names: &[String]) -> anyhow::Result<()>;
    /// The value of a cell that is not empty.
    fn value(&self, name: &str, cell: &str) -> Value;
}

/// The records of a source that `command` imports.
pub fn read(source: &Source, command: &str, columns: &impl Columns) -> anyhow::Result<Vec<Record>> {
    let cannot_read = || format!("could not read {source}");
    let mut text = Vec::new();
    let reader = source.open(command)?.reader;
    let read = reader.take(FILE_BYTES_MAX + 1).read_to_end(&mut text);
    read.with_context(cannot_read)?;
    ensure!(
        text.len() as u64 <= FILE_BYTES_MAX,
        "{source} has more than {} bytes; split it into several files",
        grouped(FILE_BYTES_MAX)
    );
    records(&text, columns).with_context(cannot_read)
}

/// The records in a text: lines with JSON objects, a JSON array, or CSV.
pub fn records(text: &[u8], columns: &impl Columns) -> anyhow::Result<Vec<Record>> {
    match text.trim_ascii_start().first() {
        None => Ok(Vec::new()),
        Some(b'[') => elements(text),
        Some(b'{') => {
            let lines = (1..).zip(text.split(|byte| *byte == b'\n'));
            let lines = lines.filter(|(_, line)| !line.trim_ascii().is_empty());
            Ok(lines
                .map(|(number, line)| record(Place::Line(number), line))
                .collect())
        }
        Some(_) => rows(text, columns),
    }
}

fn elements(text: &[u8]) -> anyhow::Result<Vec<Record>> {
    let mut array = Array::new(text);
    let (mut records, mut element) = (Vec::new(), Vec::new());
    for number in 1.. {
        let place = Place::Record(number);
        match array.next(&mut element)? {
            None => break,
            Some(true) => records.push(record(place, &element)),
            Some(false) => records.push(Err(too_large(place, RECORD))),
        }
    }
    Ok(records)
}

fn rows(text: &[u8], columns: &impl Columns) -> anyhow::Result<Vec<Record>> {
    let rest = text.trim_ascii_start();
    let blank = &text[..text.len() - rest.len()];
    let lines = blank.split(|byte| *byte == b'\n').count() as u64 - 1;
    let mut table = Table::begin(rest, lines)?;
    columns.check(&table.columns).context(READ_AS_CSV)?;
    let mut records = Vec::new();
    while let Some(place) = table.advance()? {
        records.push(table.cells(&place).and_then(|cells| {
            let cells = table
                .columns
                .iter()
                .zip(cells)
                .filter(|(_, cell)| !cell.is_empty());
            let fields = cells.map(|(name, cell)| (name.clone(), columns.value(name, cell)));
            let fields: Map<String, Value> = fields.collect();
            record(place, Value::Object(fields).to_string().as_bytes())
        }));
    }
    Ok(records)
}

fn record(place: Place, text: &[u8]) -> Record {
    let text = text.trim_ascii();
    if text.len() > ITEM_BYTES_MAX {
        return Err(too_large(place, RECORD));
    }
    match str::from_utf8(text) {
        Ok(text) => Ok((place, text.to_owned())),
        Err(error) => Err(Rejection {
            place,
            code: "not_utf8".to_owned(),
            field: None,
            detail: format!("the record is not UTF-8: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Cells;

    impl Columns for Cells {
        fn check(&self, names: &[String]) -> anyhow::Result<()> {
            ensure!(names != ["no"], "not these");
            Ok(())
        }

        fn value(&self, name: &str, cell: &str) -> Value {
            format!("{name} {cell}").into()
        }
    }

    #[track_caller]
    fn check(text: &[u8], expected: &[&str]) {
        let found = match records(text, &Cells) {
            Ok(records) => records.into_iter().map(rendered).collect(),
            Err(error) => vec![format!("! {error:#}")],
        };
        assert_eq!(found, expected);
    }

    fn rendered(record: Record) -> String {
        record.map_or_else(
            |rejection| rejection.to_string(),
            |(place, json)| format!("{place}: {json}"),
        )
    }

    #[test]
    fn records_are_lines_elements_or_rows() {
        check(b"", &[]);
        check(b" \n\n", &[]);
        check(b"\n {\"a\": 1} \r\n\n{\n", &[r#"line 2: {"a": 1}"#, "line 4: {"]);
        check(
            b" [ {\"a\": 1},\n7, x ]\n",
            &[r#"record 1: {"a": 1}"#, "record 2: 7", "record 3: x"],
        );
        check(b"[]", &[]);
        check(
            b"\na,b\n1,\n\n\"x\ny\",2,,\n",
            &[r#"line 3: {"a":"a 1"}"#, r#"line 5: {"a":"a x\ny","b":"b 2"}"#],
        );
    }

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_is_read() {
        let long = format!("{{\"a\":\"{}\"}}", "x".repeat(ITEM_BYTES_MAX));
        let reason = "too_large: a record may have at most 262142 bytes";
        check(
            format!("{long}\n{{}}").as_bytes(),
            &[&format!("line 1: {reason}"), "line 2: {}"],
        );
        check(
            format!("[{long},{{}}, {}7]", " ".repeat(ITEM_BYTES_MAX + 10)).as_bytes(),
            &[
                &format!("record 1: {reason}"),
                "record 2: {}",
                &format!("record 3: {reason}"),
            ],
        );
        let not_text = "not_utf8: the record is not UTF-8: invalid utf-8 sequence of 1 bytes from index 2";
        check(b"{\"\xff\"}\n{}", &[&format!("line 1: {not_text}"), "line 2: {}"]);
        check(
            b"a\n\xff\n1,2\n3\n",
            &[
                "line 2: not_utf8: the row is not UTF-8; convert the file, such as with iconv -f WINDOWS-1252 -t UTF-8",
                "line 3: wrong_columns: the row has 2 cells and there are 1 columns; is a quote missing, or is there one too many?",
                r#"line 4: {"a":"a 3"}"#,
            ],
        );
    }

    #[test]
    fn a_file_that_is_not_whole_is_not_read() {
        check(
            b"[{}",
            &["! the JSON array does not end; the file may be cut off"],
        );
        check(
            b"[{}] {}",
            &["! after the JSON array there is something else, which is not read"],
        );
        check(b"no\n1\n", &[&format!("! {READ_AS_CSV}: not these")]);
    }
}
