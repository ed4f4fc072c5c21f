//! Formats numbers, ages and untrusted text for a terminal.

use std::time::Duration;

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

/// A number with its noun: `1 point`, `2 points`, `3 activities`.
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

/// Untrusted text without control characters, which could rewrite the terminal.
pub fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
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
    fn foreign_text_cannot_drive_the_terminal() {
        assert_eq!(printable("a\x1b[31mb\nc"), "a\u{fffd}[31mb\u{fffd}c");
    }
}
