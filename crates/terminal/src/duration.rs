//! Durations in options of the command line.

use std::time::Duration;

use jiff::SignedDuration;

/// 366 days. Longer durations would overflow clocks.
const SPAN_MAX: Duration = Duration::from_hours(366 * 24);

/// Parses a duration such as `30s`, `5m`, `1h30m` or `250ms`, greater than zero and at most 366 days.
pub fn parse(raw: &str) -> Result<Duration, String> {
    let span: SignedDuration = raw
        .parse()
        .map_err(|_| format!("\"{raw}\" is not a duration; write it like 30s, 5m or 1h30m"))?;
    match Duration::try_from(span) {
        Ok(span) if span > SPAN_MAX => Err(format!("\"{raw}\" is longer than 366 days")),
        Ok(span) if !span.is_zero() => Ok(span),
        _ => Err(format!("\"{raw}\" must be greater than zero")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(raw: &str, expected_ms: Option<u64>) {
        let parsed = parse(raw).ok();
        assert_eq!(parsed, expected_ms.map(Duration::from_millis), "{raw}");
    }

    #[test]
    fn parses_lengths_of_time() {
        check("30s", Some(30_000));
        check("5m", Some(300_000));
        check("1h30m", Some(5_400_000));
        check("250ms", Some(250));
        check("0s", None);
        check("-5s", None);
        check("8784h", Some(366 * 24 * 3_600_000));
        check("8785h", None);
        check("5", None);
        check("soon", None);
        check("", None);
    }
}
