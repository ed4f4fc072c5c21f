//! Times as RFC 3339 writes them: the one parser for times from outside.

use jiff::civil::Date;
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// Why a text is not a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTime {
    #[error("must be an RFC 3339 time with an offset, such as 2026-11-21T09:30:00Z; {0}")]
    NotRfc3339(&'static str),
    /// It is a time, but later than a [`Timestamp`] can be.
    #[error("is after 9999-12-30T22:00:00Z, the latest time that Podium knows")]
    TooLate,
}

/// Parses the `date-time` of RFC 3339, section 5.6, and nothing else: no space instead of the `T`, and no
/// short forms of ISO 8601. Digits beyond nanoseconds are cut.
///
/// The second may be 60 where a leap second can be: before midnight UTC at the end of June or December,
/// whatever the offset. It is taken for second 59, so that it stays in its day.
pub fn parse(text: &str) -> Result<Timestamp, InvalidTime> {
    let invalid = |reason| Err(InvalidTime::NotRfc3339(reason));
    let mut rest = Rest(text.as_bytes());
    let year = i16::from(rest.two_digits("the year must have 4 digits")?) * 100
        + i16::from(rest.two_digits("the year must have 4 digits")?);
    rest.one_of(b"-", "a - must follow the year")?;
    let month = rest.two_digits("the month must have 2 digits")?;
    rest.one_of(b"-", "a - must follow the month")?;
    let day = rest.two_digits("the day must have 2 digits")?;
    rest.one_of(b"Tt", "a T must follow the day")?;
    let hour = rest.two_digits("the hour must have 2 digits")?;
    rest.one_of(b":", "a : must follow the hour")?;
    let minute = rest.two_digits("the minute must have 2 digits")?;
    rest.one_of(b":", "a : must follow the minute")?;
    let second = rest.two_digits("the second must have 2 digits")?;
    let nanosecond = rest.fraction()?;
    let offset = rest.offset()?;
    if !rest.0.is_empty() {
        return invalid("nothing may follow the offset");
    }
    if !(1..=12).contains(&month) {
        return invalid("the month must be 01 to 12");
    }
    let Ok(date) = Date::new(year, month, day) else {
        return invalid("the month has no such day");
    };
    if hour > 23 {
        return invalid("the hour must be 00 to 23");
    }
    if minute > 59 {
        return invalid("the minute must be 00 to 59");
    }
    if second > 60 {
        return invalid("the second must be 00 to 59");
    }
    let at = offset
        .to_timestamp(date.at(hour, minute, second.min(59), nanosecond))
        .map_err(|_| InvalidTime::TooLate)?;
    if second == 60 && !is_before_a_leap_second(at) {
        return invalid("the second may be 60 only at 23:59:60 UTC on 30 June or 31 December");
    }
    Ok(at)
}

fn is_before_a_leap_second(at: Timestamp) -> bool {
    let utc = Offset::UTC.to_datetime(at);
    (utc.hour(), utc.minute(), utc.second()) == (23, 59, 59)
        && matches!((utc.month(), utc.day()), (6, 30) | (12, 31))
}

/// What is still to be parsed.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn digit(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        let digit = first.is_ascii_digit().then(|| first - b'0')?;
        self.0 = rest;
        Some(digit)
    }

    fn two_digits(&mut self, reason: &'static str) -> Result<i8, InvalidTime> {
        let digits = self.digit().zip(self.digit());
        let number = digits.and_then(|(tens, ones)| i8::try_from(tens * 10 + ones).ok());
        number.ok_or(InvalidTime::NotRfc3339(reason))
    }

    fn one_of(&mut self, bytes: &[u8], reason: &'static str) -> Result<u8, InvalidTime> {
        match self.0.split_first() {
            Some((first, rest)) if bytes.contains(first) => {
                self.0 = rest;
                Ok(*first)
            }
            _ => Err(InvalidTime::NotRfc3339(reason)),
        }
    }

    /// The nanoseconds of the fraction of a second, which may be absent.
    fn fraction(&mut self) -> Result<i32, InvalidTime> {
        const NANOSECOND_DIGITS: u32 = 9;
        let Some(digits) = self.0.strip_prefix(b".") else {
            return Ok(0);
        };
        self.0 = digits;
        let (mut nanoseconds, mut taken) = (0, 0);
        while let Some(digit) = self.digit() {
            if taken < NANOSECOND_DIGITS {
                nanoseconds = nanoseconds * 10 + i32::from(digit);
                taken += 1;
            }
        }
        if taken == 0 {
            return Err(InvalidTime::NotRfc3339("digits must follow the decimal point"));
        }
        Ok(nanoseconds * 10_i32.pow(NANOSECOND_DIGITS - taken))
    }

    fn offset(&mut self) -> Result<Offset, InvalidTime> {
        let sign = match self.one_of(b"Zz+-", "an offset must follow the second: Z or, say, +01:00")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Ok(Offset::UTC),
        };
        let hours = self.two_digits("the hours of the offset must have 2 digits")?;
        self.one_of(b":", "a : must follow the hours of the offset")?;
        let minutes = self.two_digits("the minutes of the offset must have 2 digits")?;
        if hours > 23 || minutes > 59 {
            return Err(InvalidTime::NotRfc3339("the offset must be -23:59 to +23:59"));
        }
        let seconds = sign * (i32::from(hours) * 3600 + i32::from(minutes) * 60);
        Ok(Offset::from_seconds(seconds).expect("less than a day"))
    }
}

/// The time that a number probably means: the seconds, milliseconds, microseconds or nanoseconds since
/// 1970, whichever gives a time after March 1973. `None` for smaller numbers.
pub fn of_epoch(number: &str) -> Option<Timestamp> {
    let whole = match number.parse::<i64>() {
        Ok(whole) => whole,
        // A decimal fraction, or an exponent: 1795255200.25, 1.7952552E9.
        Err(_) => SignedDuration::try_from_secs_f64(number.parse().ok()?)
            .ok()?
            .as_secs(),
    };
    let nanoseconds_per_unit = match whole {
        100_000_000..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1_000,
        100_000_000_000_000_000.. => 1,
        _ => return None,
    };
    Timestamp::from_nanosecond(i128::from(whole) * nanoseconds_per_unit).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let got = match parse(text) {
            Ok(at) => at.to_string(),
            Err(InvalidTime::NotRfc3339(reason)) => format!("! {reason}"),
            Err(InvalidTime::TooLate) => "! too late".to_owned(),
        };
        assert_eq!(got, expected, "{text:?}");
    }

    #[test]
    fn times_of_rfc_3339_are_taken() {
        check("2026-11-25T10:00:00Z", "2026-11-25T10:00:00Z");
        check("2026-11-25t10:00:00z", "2026-11-25T10:00:00Z");
        check("2026-11-25T10:00:00-00:00", "2026-11-25T10:00:00Z");
        check("2026-11-25T10:00:00+23:59", "2026-11-24T10:01:00Z");
        check("2026-11-25T10:00:00-23:59", "2026-11-26T09:59:00Z");
        check("2026-11-25T10:00:00.1Z", "2026-11-25T10:00:00.1Z");
        check(
            "2026-11-25T10:00:00.1234567890Z",
            "2026-11-25T10:00:00.123456789Z",
        );
        check(
            &format!("2026-11-25T10:00:00.{}+01:00", "9".repeat(400)),
            "2026-11-25T09:00:00.999999999Z",
        );
        check("2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z");
        check("2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z");
        check("0000-01-01T00:00:00+23:59", "-000001-12-31T00:01:00Z");
        check("9999-12-30T22:00:00Z", "9999-12-30T22:00:00Z");
        check("9999-12-31T23:59:59Z", "! too late");
        check("9999-12-31T20:00:00+23:59", "9999-12-30T20:01:00Z");
    }

    #[test]
    fn a_second_60_is_where_a_leap_second_can_be_and_counts_as_59() {
        check("2016-12-31T23:59:60Z", "2016-12-31T23:59:59Z");
        check("2015-06-30T23:59:60.5Z", "2015-06-30T23:59:59.5Z");
        check("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:59Z");
        check("2017-01-01T05:29:60+05:30", "2016-12-31T23:59:59Z");
        let elsewhere = "! the second may be 60 only at 23:59:60 UTC on 30 June or 31 December";
        for text in [
            "2026-11-25T10:00:60Z",
            "2016-12-31T23:58:60Z",
            "2016-12-31T22:59:60Z",
            "2016-12-30T23:59:60Z",
            "2016-03-31T23:59:60Z",
            "2016-12-31T23:59:60+01:00",
        ] {
            check(text, elsewhere);
        }
        check("2016-12-31T23:59:61Z", "! the second must be 00 to 59");
    }

    #[test]
    fn what_others_take_for_a_time_is_refused_with_a_reason() {
        for (text, reason) in [
            ("", "the year must have 4 digits"),
            ("yesterday", "the year must have 4 digits"),
            ("1795255200", "a - must follow the year"),
            ("-000100-01-01T00:00:00Z", "the year must have 4 digits"),
            ("+002026-11-25T10:00:00Z", "the year must have 4 digits"),
            ("99999-01-01T00:00:00Z", "a - must follow the year"),
            (" 2026-11-25T10:00:00Z", "the year must have 4 digits"),
            ("20261125T100000Z", "a - must follow the year"),
            ("2026-11-25", "a T must follow the day"),
            ("2026-11-25 10:00:00Z", "a T must follow the day"),
            ("2026-11-25_10:00:00Z", "a T must follow the day"),
            ("2026-W48-3T10:00:00Z", "the month must have 2 digits"),
            ("2026-329T10:00:00Z", "a - must follow the month"),
            ("2026-1-25T10:00:00Z", "the month must have 2 digits"),
            ("2026-11-5T10:00:00Z", "the day must have 2 digits"),
            ("2026-11-25T10Z", "a : must follow the hour"),
            ("2026-11-25T10:00Z", "a : must follow the minute"),
            ("2026-11-25T1000:00Z", "a : must follow the hour"),
            (
                "2026-11-25T10:00:00",
                "an offset must follow the second: Z or, say, +01:00",
            ),
            (
                "2026-11-25T10:00:00 Z",
                "an offset must follow the second: Z or, say, +01:00",
            ),
            (
                "2026-11-25T10:00:00,5Z",
                "an offset must follow the second: Z or, say, +01:00",
            ),
            ("2026-11-25T10:00:00.Z", "digits must follow the decimal point"),
            (
                "2026-11-25T10:00:00+1:00",
                "the hours of the offset must have 2 digits",
            ),
            (
                "2026-11-25T10:00:00+0100",
                "a : must follow the hours of the offset",
            ),
            (
                "2026-11-25T10:00:00+01",
                "a : must follow the hours of the offset",
            ),
            (
                "2026-11-25T10:00:00+01:0",
                "the minutes of the offset must have 2 digits",
            ),
            ("2026-11-25T10:00:00+24:00", "the offset must be -23:59 to +23:59"),
            ("2026-11-25T10:00:00+25:59", "the offset must be -23:59 to +23:59"),
            ("2026-11-25T10:00:00-01:60", "the offset must be -23:59 to +23:59"),
            ("2026-11-25T10:00:00+01:00:00", "nothing may follow the offset"),
            (
                "2026-11-25T10:00:00Z[!Europe/Berlin]",
                "nothing may follow the offset",
            ),
            ("2026-11-25T10:00:00Z ", "nothing may follow the offset"),
            ("2026-00-25T10:00:00Z", "the month must be 01 to 12"),
            ("2026-13-25T10:00:00Z", "the month must be 01 to 12"),
            ("2026-11-00T10:00:00Z", "the month has no such day"),
            ("2026-04-31T10:00:00Z", "the month has no such day"),
            ("2026-02-29T10:00:00Z", "the month has no such day"),
            ("1900-02-29T10:00:00Z", "the month has no such day"),
            ("2026-11-25T24:00:00Z", "the hour must be 00 to 23"),
            ("2026-11-25T10:60:00Z", "the minute must be 00 to 59"),
            ("２０２６-11-25T10:00:00Z", "the year must have 4 digits"),
            (
                "2026-11-25T10:00:00−01:00",
                "an offset must follow the second: Z or, say, +01:00",
            ),
        ] {
            check(text, &format!("! {reason}"));
        }
    }

    #[test]
    fn a_number_since_1970_is_told_as_the_time_it_means() {
        for (number, expected) in [
            ("1795255200", "2026-11-21T10:00:00Z"),
            ("1795255200.25", "2026-11-21T10:00:00Z"),
            ("1.7952552E9", "2026-11-21T10:00:00Z"),
            ("1795255200250", "2026-11-21T10:00:00.25Z"),
            ("1795255200250001", "2026-11-21T10:00:00.250001Z"),
            ("1795255200250001002", "2026-11-21T10:00:00.250001002Z"),
        ] {
            let at = of_epoch(number).map(|at| at.to_string());
            assert_eq!(at.as_deref(), Some(expected), "{number}");
        }
        for number in [
            "7",
            "-1795255200",
            "2026.11.25",
            "today",
            "",
            "1e400",
            "1.",
            "99999999999999999999",
        ] {
            let at = of_epoch(number);
            assert!(at.is_none(), "{number} {at:?}");
        }
    }
}
