//! Keeps spreadsheets from reading ids and names as something else, by the rule of the dashboard's export: what they
//! would convert gets a ' in front, and so does what begins with one, so that it can be taken away again.

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];

/// The cell for a value. In half of the world ; separates cells, so that what follows one counts as a cell.
pub fn guarded(value: &str) -> String {
    let pieces = value.split(';').map(|piece| {
        let guard = if is_converted(piece) { "'" } else { "" };
        format!("{guard}{piece}")
    });
    pieces.collect::<Vec<_>>().join(";")
}

/// The value of a cell. One that was never guarded is nearly always taken as it is.
pub fn value(cell: &str) -> String {
    let pieces = cell.split(';').map(|piece| match piece.strip_prefix('\'') {
        Some(rest) if is_converted(rest) => rest,
        _ => piece,
    });
    pieces.collect::<Vec<_>>().join(";")
}

/// A formula, number (0012, $5), date (2026-11-25, MAR1), time, truth value or error (#N/A); or what begins with '.
fn is_converted(text: &str) -> bool {
    text.starts_with(['\'', '#', '=', '+', '-', '@', '＝', '＋', '－', '＠'])
        || is_number(text)
        || is_day(text)
        || text.eq_ignore_ascii_case("true")
        || text.eq_ignore_ascii_case("false")
}

fn is_number(text: &str) -> bool {
    let number = text.trim_start_matches(['$', '(', '.']);
    let is_of_numbers = |c: char| c.is_ascii_digit() || ".,:/%)-+eapm".contains(c.to_ascii_lowercase());
    number.starts_with(|c: char| c.is_ascii_digit()) && number.chars().all(is_of_numbers)
}

/// A day and the beginning of a month, or a month and a number.
fn is_day(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let has_month = |text: &str| MONTHS.iter().any(|month| text.starts_with(month));
    let month = text.trim_start_matches(|c: char| c.is_ascii_digit());
    match text.len() - month.len() {
        0 => {
            let number = text.trim_start_matches(|c: char| c.is_ascii_lowercase());
            let number = number.strip_prefix(['.', '/', '-']).unwrap_or(number);
            has_month(&text) && number.starts_with(|c: char| c.is_ascii_digit())
        }
        1 | 2 => has_month(month.strip_prefix(['.', '/', '-']).unwrap_or(month)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let cell = guarded(text);
        assert_eq!(cell, expected, "{text}");
        assert_eq!(value(&cell), text, "{cell}");
    }

    /// The values of the tests of the dashboard's export.
    #[test]
    fn what_a_spreadsheet_would_convert_is_kept_as_text() {
        for text in [
            "0012",
            "12345678901234567890",
            "7",
            "1e5",
            "1.50",
            ".5",
            "2026-11-25",
            "1-2",
            "1-jan",
            "3Dec2026",
            "MAR1",
            "sep-2026",
            "TRUE",
            "false",
            "=1",
            "+49",
            "-2",
            "@sum",
            "1/2",
            "3/4/2026",
            "1/jan",
            "mar/1",
            "12:30",
            "9:05pm",
            "50%",
            "$5",
            "(7)",
            "$1.50",
            "#N/A",
            "#REF!",
            "'ann'",
            "'",
            "''",
            "'=1",
            "''t Hooft",
        ] {
            check(text, &format!("'{text}"));
        }
        for text in [
            "",
            "ann",
            "user-001",
            "ann.lee@example.org",
            "jan",
            "march",
            "2fast",
            "u-1e5",
            "_0",
            "auth0|5f7c",
            "us-east-1:12ab",
            "guest_corp#EXT#@tenant",
            "jane.o'neil+hr@corp.example",
            "owner/repo",
            "course-v1:Org+Course+Run",
            "5f7c",
            "$where",
            "(ann)",
            "Ólafur",
            "新 人研",
            "123jan",
            "a;b",
            ";",
        ] {
            check(text, text);
        }
        check("=a;=b;c;'d", "'=a;'=b;c;''d");
    }

    #[test]
    fn what_was_not_exported_is_taken_as_it_is() {
        for cell in ["=1", "0012", "'t Hooft", "'s", "a'=1", "a;=1"] {
            assert_eq!(value(cell), cell);
        }
        assert_eq!(value("'=1"), "=1");
    }
}
