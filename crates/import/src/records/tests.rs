use std::io::Write as _;

use flate2::{Compression, write::GzEncoder};

use super::super::COMMAND;
use super::*;

/// The options of a command line.
fn shape(args: &[&str]) -> Shape {
    #[derive(clap::Parser)]
    struct Options {
        // The options of a shape exclude it.
        #[arg(long)]
        git: Option<String>,
        #[command(flatten)]
        shape: Shape,
    }
    let args = ["podium"].iter().chain(args);
    let options = <Options as clap::Parser>::try_parse_from(args).expect("options");
    options.shape.check().expect("options that belong together");
    options.shape
}

/// The items and rejections, one a line, and the error if there is one. `FILE` stands for the path.
pub fn sent(bytes: &[u8], args: &[&str], start: Start) -> (String, Read) {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("activities");
    std::fs::write(&path, bytes).expect("a file");
    let (mut records, mut last) = (Vec::new(), Read::default());
    let batcher = Batcher::new(100, |batch: Batch| {
        let items = batch.items.iter();
        records.extend(items.map(|item| format!("{}: {}", item.place, item.json)));
        records.extend(batch.rejected.iter().map(ToString::to_string));
        last = batch.read;
        ControlFlow::Continue(())
    });
    if let Err(error) = read(&Source::File(path.clone()), COMMAND, &shape(args), start, batcher) {
        records.push(format!("! {error:#}").replace(path.to_str().expect("text"), "FILE"));
    }
    (records.join("\n"), last)
}

#[track_caller]
fn check_with(args: &[&str], input: &str, expected: &str) {
    let (found, _) = sent(input.as_bytes(), args, Start::default());
    assert_eq!(found, expected, "{input}");
}

#[track_caller]
fn check(input: &str, expected: &str) {
    check_with(&[], input, expected);
}

const A: &str = r#"{"activity_id":"a"}"#;
const B: &str = r#"{"activity_id":"b"}"#;

#[test]
fn lines_and_arrays_hold_the_same_records() {
    check("", "");
    check(" \n\n", "");
    check(&format!("{A}\r\n\n  {B}\n"), &format!("line 1: {A}\nline 3: {B}"));
    check(&format!("\n\n{A}"), &format!("line 3: {A}"));
    for array in [
        format!("[{A},{B}]"),
        format!("\n [\n  {A}\n, {B}\n]\n\n"),
        format!("[{A},\r\n{B}] "),
    ] {
        check(&array, &format!("record 1: {A}\nrecord 2: {B}"));
    }
    check("[]", "");
    check(
        r#"[{"activity_id":"]},{\"[\\"}]"#,
        r#"record 1: {"activity_id":"]},{\"[\\"}"#,
    );
}

#[test]
fn bad_records_are_named_and_the_rest_goes_on() {
    check(
        &format!("{{\"activity_id\":\n{{}} {{}}\n[]\n{A}\nnull"),
        &format!(
            "line 4: {A}\n\
             line 1: malformed: the activity is not valid JSON text: EOF while parsing a value at line 1 column 15\nline 2: malformed: the activity is not valid JSON text: trailing characters at line 1 column 4\nline 3: not_an_object: an activity must be a JSON object, not an array\n\
             line 5: not_an_object: an activity must be a JSON object, not null"
        ),
    );
    check(
        &format!("[{A}, 7, {{\"a\":}}, {{\"a\":1,\"a\":2}}, {B},]"),
        &format!(
            "record 1: {A}\nrecord 5: {B}\n\
             record 2: not_an_object: an activity must be a JSON object, not a number\n\
             record 3: malformed: the activity is not valid JSON text: expected value at line 1 column 6\n\
             record 4: duplicate_field (a): a appears more than once\n\
             record 6: malformed: the activity is not valid JSON text: EOF while parsing a value at line 1 column 0"
        ),
    );
    let (not_text, _) = sent(b"{\"activity_id\":\"\xff\"}\n", &[], Start::default());
    assert!(not_text.starts_with("line 1: malformed: "), "{not_text}");
}

#[test]
fn a_record_too_long_to_send_is_passed_over_without_being_held() {
    let long = format!("{{\"activity_id\":\"{}\"}}", "x".repeat(1_000_000));
    let reason = "too_large: an activity may have at most 262142 bytes";
    check(
        &format!("{long}\n{A}\n"),
        &format!("line 2: {A}\nline 1: {reason}"),
    );
    check(
        &format!("[{long},{A}]"),
        &format!("record 2: {A}\nrecord 1: {reason}"),
    );
    let at_the_limit = format!("{{\"n\":\"{}\"}}", "x".repeat(ITEM_BYTES_MAX - 8));
    assert_eq!(at_the_limit.len(), ITEM_BYTES_MAX);
    check(&at_the_limit, &format!("line 1: {reason}"));
}

#[test]
fn what_was_read_before_an_error_is_passed_on() {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    write!(encoder, "{A}\n{B}\n").expect("written");
    let mut bytes = encoder.finish().expect("compressed");
    bytes.truncate(bytes.len() - 4);
    let (found, _) = sent(&bytes, &[], Start::default());
    assert_eq!(
        found,
        format!("line 1: {A}\nline 2: {B}\n! could not read FILE after record 2: unexpected end of file")
    );
    check(
        &format!("[{A},{B}"),
        &format!(
            "record 1: {A}\n! could not read FILE after record 1: the JSON array does not end; the file may be cut off"
        ),
    );
    check(
        &format!("[{A}] {B}"),
        &format!(
            "record 1: {A}\n! could not read FILE after record 1: after the JSON array there is something else, which is not read"
        ),
    );
    let row = "ann,p,k\n";
    let open = format!("user_id,program_id,kind\n{row}\"{}", row.repeat(60_000));
    let (found, read) = sent(open.as_bytes(), &[], Start::default());
    assert!(
        found.ends_with(
            "\n! could not read FILE after record 1: the row is longer than 256 KiB; is a quote missing?"
        ),
        "{found}"
    );
    assert_eq!(read.records, 1);
}

#[test]
fn reading_goes_on_where_it_stopped_and_gives_the_same_ids() {
    for text in [
        "{}\n{}\n{\"n\":1}\n{}\n",
        "[{},{},{\"n\":1},{}]",
        "user_id,program_id,kind\nann,p,k\nann,p,k\nbob,p,k\nann,p,k\n",
    ] {
        let (all, end) = sent(text.as_bytes(), &[], Start::default());
        let lines: Vec<_> = all.lines().collect();
        assert!(lines[1].contains("-2\"") && lines[3].contains("-3\""), "{all}");
        assert_eq!(end.records, 4);
        // What was read up to the second record.
        let mut digest = Digest::default();
        let batcher = Batcher::new(2, |batch: Batch| {
            if batch.read.records == 2 {
                digest = batch.read.digest;
            }
            ControlFlow::Continue(())
        });
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(&file, text).expect("written");
        let source = Source::File(file.path().to_owned());
        read(&source, COMMAND, &shape(&[]), Start::default(), batcher).expect("read");
        let start = Start { records: 2, digest };
        assert_eq!(sent(text.as_bytes(), &[], start).0, lines[2..].join("\n"));

        for (records, digest) in [(3, digest), (2, Digest::default()), (9, digest)] {
            let (found, _) = sent(text.as_bytes(), &[], Start { records, digest });
            assert!(
                found.contains("the saved position is not used"),
                "{records}: {found}"
            );
            assert!(!found.contains("activity_id"), "{records}: {found}");
        }
    }
}

#[test]
fn tables_are_read_in_every_common_form() {
    let expected = "line 2: {\"activity_id\":\"1\",\"user_id\":\"ann\",\"program_id\":\"p\",\"kind\":\"k\",\"metadata\":{\"note\":\"a, b;\"}}\n\
                    line 3: {\"activity_id\":\"2\",\"user_id\":\"bob\",\"program_id\":\"p\",\"kind\":\"k\"}";
    for table in [
        "activity_id,user_id,program_id,kind,metadata.note\n1,ann,p,k,\"a, b;\"\n2,bob,p,k,\n",
        "activity_id;user_id;program_id;kind;metadata.note\r\n1;ann;p;k;\"a, b;\"\r\n2;bob;p;k;\r\n",
        "\u{feff}activity_id\tuser_id\tprogram_id\tkind\tmetadata.note\n1\tann\tp\tk\ta, b;\n2\tbob\tp\tk\t",
        "metadata.note, kind ,program_id,user_id,activity_id\n\"a, b;\",k,p,ann,1\n,k,p,bob,2\n,,,,\n",
    ] {
        check(table, expected);
    }
    check(
        "sep=;\nuser_id;program_id;kind;activity_id;metadata.a\n\nann;p;k;1;\"x\ny \"\"z\"\"\"\nbob;p;k;2;\n",
        "line 4: {\"activity_id\":\"1\",\"user_id\":\"ann\",\"program_id\":\"p\",\"kind\":\"k\",\"metadata\":{\"a\":\"x\\ny \\\"z\\\"\"}}\n\
         line 6: {\"activity_id\":\"2\",\"user_id\":\"bob\",\"program_id\":\"p\",\"kind\":\"k\"}",
    );
    check(
        "activity_id,user_id,program_id,kind\n1,ann,p\n2,ann,p,k,x\n3,Ann Lee,p,k\n4,,p,k\n",
        "line 2: wrong_columns: the row has 3 cells and there are 4 columns; is a quote missing, or is there one too many?\n\
         line 3: wrong_columns: the row has 5 cells and there are 4 columns; is a quote missing, or is there one too many?\n\
         line 4: illegal_character (user_id): \"Ann Lee\" has the character ' ' at byte 3; use only ASCII letters, digits and punctuation except \" \\ < >; --slug user_id makes an id of it\n\
         line 5: missing_field (user_id): there is no value in \"user_id\"; the record has \"activity_id\", \"user_id\", \"program_id\" and \"kind\"",
    );
}

#[test]
fn columns_and_members_are_named_with_what_exists() {
    let as_csv = "! could not import FILE: it is read as CSV, since it does not begin with { or [, and its first row as the names of the columns: ";
    let table = "Employee,program_id,kind\nann,p,k\n";
    check(
        table,
        &format!(
            "{as_csv}no column is named user_id; say which one it is with --map user_id=COLUMN, or give all activities the same \
             with --set user_id=VALUE. The columns are \"Employee\", \"program_id\" and \"kind\""
        ),
    );
    check_with(
        &["--map", "user_id=employee"],
        table,
        &format!(
            "{as_csv}there is no column \"employee\"; the columns are \"Employee\", \"program_id\" and \"kind\""
        ),
    );
    check(
        "user_id,program_id,kind,occured_at\nann,p,k,x\n",
        &format!(
            "{as_csv}\"occured_at\" is no field of an activity; the fields are activity_id, user_id, program_id, kind, quantity, points, \
             occurred_at and metadata.KEY. Say what to import with --map, such as --map user_id=user_id, and the other columns \
             are left out"
        ),
    );
    check_with(
        &["--map", "user_id=a", "--map", "program_id=b"],
        "a,b,b,kind\nann,p,q,k\n",
        &format!("{as_csv}2 columns are named \"b\"; rename the one to import"),
    );
    check_with(
        &["--map", "user_id=actor.mbox"],
        r#"{"actor":{"name":"Ann"},"program_id":"p","kind":"k"}"#,
        "line 1: missing_field (user_id): there is no value in \"actor.mbox\"; the record has \"actor\", \"program_id\" and \"kind\"",
    );
    check_with(
        &["--map", "user_id=actor"],
        r#"{"actor":{"name":"Ann"},"program_id":"p","kind":"k"}"#,
        "line 1: wrong_type (user_id): actor is not a single value; name a member of it, such as actor.name",
    );
    check(
        "{\n  \"activity_id\": \"a\"\n}\n",
        "! could not import FILE: it begins with a JSON object over several lines. If one of its members is an array with the \
         records, name it with --records MEMBER. Otherwise write each object on one line: jq -c . FILE | podium import -",
    );
    check(
        &format!("{{\"count\": 1, \"results\": [{A}]}}"),
        "! could not import FILE: it is a JSON object whose member \"results\" holds an array; import that with --records results",
    );
    check_with(
        &["--records", "result"],
        &format!("{{\"count\": 1, \"results\": [{A}]}}"),
        "! could not import FILE: no array is in the member \"result\"; the members are \"count\" and \"results\"",
    );
    check_with(
        &["--records", "data.items"],
        &format!("{{\"data\": {{\"items\": [{A}]}}}}"),
        &format!("record 1: {A}"),
    );
}
