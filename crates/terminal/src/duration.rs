//! Lengths of time as options of the command line say them.

use std::time::Duration;

use jiff::SignedDuration;

/// A year and a day: longer is a slip of the hand, and would overflow clocks.
const SPAN_MAX: Duration = Duration::from_hours(366 * 24);

/// Parses `30s`, `5m`, `1h30m` or `250ms`: longer than nothing, and at most a year and a day.
pub fn parse(raw: &str) -> Result<Duration, String> {
    let span: SignedDuration = raw
        .parse()
        .map_err(|_| format!("\"{raw}\" is not a length of time such as 30s, 5m or 1h30m"))?;
    match Duration::try_from(span) {
        Ok(span) if span > SPAN_MAX => Err(format!("\"{raw}\" is longer than a year")),
        Ok(span) if !span.is_zero() => Ok(span),
        _ => Err(format!("\"{raw}\" is not longer than nothing")),
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
