//! Formats numbers, ages and untrusted text for a terminal.

use std::{fmt::Write as _, time::Duration};

/// `1234567` as `1,234,567`.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `-1234567` as `-1,234,567`.
pub fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(number.unsigned_abs()))
}

/// `1 point`, `-2 points`.
pub fn points(number: i64) -> String {
    format!(
        "{} {}",
        signed(number),
        if number == 1 { "point" } else { "points" }
    )
}

/// A number with its noun: `1 user`, `2 users`, `3 activities`.
pub fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// Seconds as `0.4 s`, `12 s`, `5 min` or `2 h 5 min`: no more precise than is useful.
pub fn age(seconds: f64) -> String {
    let span = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or_default();
    let whole = span.as_secs();
    match whole {
        0..10 if seconds.fract() != 0.0 => format!("{seconds:.1} s"),
        0..120 => format!("{whole} s"),
        120..7_200 => format!("{} min", whole / 60),
        _ => format!("{} h {} min", grouped(whole / 3_600), whole % 3_600 / 60),
    }
}

/// A latency to about three figures: `0.84 ms`, `12.3 ms`, `1.25 s`.
pub fn latency(span: Duration) -> String {
    let ms = span.as_secs_f64() * 1_000.0;
    match ms {
        ..10.0 => format!("{ms:.2} ms"),
        ..1_000.0 => format!("{ms:.1} ms"),
        _ => format!("{:.2} s", ms / 1_000.0),
    }
}

/// Untrusted text on one line, without characters that rewrite the terminal or that nobody sees.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| {
            if is_hidden(c) {
                char::REPLACEMENT_CHARACTER
            } else {
                c
            }
        })
        .collect()
}

/// Text as one word of a shell command that someone may copy.
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:@/+=,%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Untrusted text like [`printable`], which keeps its line breaks.
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(printable).collect::<Vec<_>>().join("\n")
}

/// A JSON document that means the same and is [`printable`]: hidden characters, which JSON allows only in
/// strings, are escaped. Line breaks and tabs between tokens stay.
pub fn printable_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) && !matches!(c, '\n' | '\r' | '\t') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(text, "\\u{unit:04x}");
            }
        } else {
            text.push(c);
        }
    }
    text
}

/// Control characters; what changes the direction of text, so that it reads as something else; line and
/// paragraph separators; and format characters and fillers, which have no width. The ranges are Unicode's
/// category Cf, and the invisible letters and marks that its property `Default_Ignorable_Code_Point` adds,
/// except the variation selectors that emoji need.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}'
            | '\u{890}'..='\u{891}' | '\u{8e2}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_digits_by_three() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345, "12,345"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(grouped(number), expected);
        }
    }

    #[test]
    fn says_ages() {
        for (seconds, expected) in [
            (0.0, "0 s"),
            (0.42, "0.4 s"),
            (12.9, "12 s"),
            (119.0, "119 s"),
            (150.0, "2 min"),
            (7_500.0, "2 h 5 min"),
            (-3.0, "0 s"),
        ] {
            assert_eq!(age(seconds), expected);
        }
    }

    #[test]
    fn says_latencies() {
        for (micros, expected) in [(840, "0.84 ms"), (12_345, "12.3 ms"), (1_250_000, "1.25 s")] {
            assert_eq!(latency(Duration::from_micros(micros)), expected);
        }
    }

    #[test]
    fn untrusted_text_neither_drives_the_terminal_nor_hides_anything() {
        for (text, expected) in [
            ("a\x1b[31mb\nc", "a\u{fffd}[31mb\u{fffd}c"),
            ("\u{9b}2J", "\u{fffd}2J"),
            (
                "Zoë 李小龍 ❤\u{fe0f} é = e\u{301}",
                "Zoë 李小龍 ❤\u{fe0f} é = e\u{301}",
            ),
        ] {
            assert_eq!(printable(text), expected);
        }
        let hidden = "\u{202a}\u{202b}\u{202c}\u{202d}\u{202e}\u{2066}\u{2067}\u{2068}\u{2069}\u{200e}\u{200f}\u{61c}\
            \u{200b}\u{200c}\u{200d}\u{2060}\u{feff}\u{ad}\u{2028}\u{2029}\u{180e}\u{e0041}\u{3164}\u{fff9}";
        for c in hidden.chars() {
            assert_eq!(printable(&format!("a{c}b")), "a\u{fffd}b", "{c:?}");
        }
        assert_eq!(printable_lines("a\r\nb\u{202e}"), "a\u{fffd}\nb\u{fffd}");
        assert_eq!(
            printable_json("{\n\t\"a\": \"\u{202e}\u{e0041}\u{7f}é\"}"),
            "{\n\t\"a\": \"\\u202e\\udb40\\udc41\\u007fé\"}"
        );
    }

    #[test]
    fn a_shell_reads_a_word_as_it_is() {
        for plain in [
            "program:course-v1:Org+Course+Run",
            "owner/repo",
            "ann@corp.example",
        ] {
            assert_eq!(shell_word(plain), plain);
        }
        assert_eq!(shell_word("auth0|5f7c"), "'auth0|5f7c'");
        assert_eq!(shell_word("$(x);`y`&*#"), "'$(x);`y`&*#'");
        assert_eq!(shell_word("o'neil"), r"'o'\''neil'");
        assert_eq!(shell_word(""), "''");
    }
}
