//! Reads times that are not RFC 3339, once it is said how they are written.

use anyhow::ensure;
use domain::timestamp;
use jiff::{
    Timestamp,
    civil::{Date, DateTime},
    fmt::strtime,
    tz::TimeZone,
};

/// Ways of writing a time that are recognised, to name the option that reads them.
const FORMATS: &[&str] = &[
    "%Y-%m-%d %H:%M:%S %z",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M",
    "%d/%m/%y, %H:%M:%S",
    "%d/%m/%y, %H:%M",
    "%m/%d/%y, %H:%M",
    "%d/%m/%Y, %H:%M:%S",
    "%d/%m/%Y, %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M %p",
    "%d.%m.%Y, %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d.%m.%y, %H:%M",
    "%b %d, %Y, %I:%M:%S %p",
    "%b %d, %Y %I:%M:%S %p",
    "%d %b %Y, %H:%M:%S",
    "%d %B %Y, %I:%M %p",
    "%a, %d %b %Y %H:%M:%S %z",
];

/// What a format says about the zone.
const ZONED: &[&str] = &["%z", "%:z", "%::z", "%:::z", "%s", "%Q", "%:Q"];

const RFC_3339: &str = "an RFC 3339 time with an offset, such as 2026-11-25T10:00:00Z";

/// How `occurred_at` is written.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Times {
    /// How times are written, such as '%d/%m/%y, %H:%M' or %s (seconds since 1970), as in strptime
    #[arg(long, value_name = "FORMAT", conflicts_with = "git")]
    time_format: Option<String>,
    /// The time zone of times without an offset, such as Europe/Berlin or UTC
    #[arg(long, value_name = "ZONE", value_parser = parse_zone, conflicts_with = "git")]
    time_zone: Option<TimeZone>,
}

fn parse_zone(raw: &str) -> Result<TimeZone, String> {
    TimeZone::get(raw)
        .map_err(|_| format!("there is no time zone {raw:?}; name one like Europe/Berlin or UTC"))
}

impl Times {
    pub fn is_default(&self) -> bool {
        self.time_format.is_none() && self.time_zone.is_none()
    }

    pub fn check(&self) -> anyhow::Result<()> {
        if let Some(format) = &self.time_format {
            ensure!(
                self.time_zone.is_some() || ZONED.iter().any(|zoned| format.contains(zoned)),
                "times written as {format:?} have no offset; say which time zone they are in with --time-zone, such as \
                 Europe/Berlin or UTC"
            );
        }
        Ok(())
    }

    /// The time as RFC 3339. If a clock is put back, its repeated times are the first ones.
    pub fn parse(&self, raw: &str) -> Result<String, String> {
        let raw = raw.trim();
        match (&self.time_format, &self.time_zone) {
            (Some(format), zone) => {
                let found = strtime::parse(format, raw)
                    .and_then(|parts| match (parts.to_timestamp(), zone) {
                        (Ok(time), _) => Ok(time),
                        (Err(error), None) => Err(error),
                        (Err(_), Some(zone)) => in_zone(parts.to_datetime()?, zone),
                    })
                    .map_err(|error| format!("{raw:?} is not written as {format:?}: {error}"))?;
                Ok(found.to_string())
            }
            (None, Some(zone)) => {
                if timestamp::parse(raw).is_ok() {
                    return Ok(raw.to_owned());
                }
                let civil = raw.parse::<DateTime>().map_err(|_| not_understood(raw))?;
                let time = in_zone(civil, zone).map_err(|error| format!("{raw:?}: {error}"))?;
                Ok(time.to_string())
            }
            (None, None) if timestamp::parse(raw).is_ok() => Ok(raw.to_owned()),
            (None, None) => Err(not_understood(raw)),
        }
    }
}

fn in_zone(civil: DateTime, zone: &TimeZone) -> Result<Timestamp, jiff::Error> {
    zone.to_ambiguous_timestamp(civil).compatible()
}

/// Names the option that reads the time, rather than guess: 04/05 is in April or in May.
fn not_understood(raw: &str) -> String {
    let is_number = !raw.is_empty() && raw.bytes().all(|byte| byte.is_ascii_digit());
    let advice = match raw.len() {
        9..=11 if is_number => "it may be seconds since 1970: --time-format %s".to_owned(),
        12..=14 if is_number => {
            "it may be milliseconds since 1970; divide them by 1000 and use --time-format %s".to_owned()
        }
        _ if raw.parse::<DateTime>().is_ok() => {
            "it has no offset; say which time zone it is in with --time-zone, such as Europe/Berlin or UTC"
                .to_owned()
        }
        _ => {
            // %Y reads 26 as the year 26.
            let is_year = |date: Date| date.year() >= 1970;
            let fits = |format: &&&str| {
                strtime::parse(**format, raw).is_ok_and(|parts| parts.to_date().is_ok_and(is_year))
            };
            let formats: Vec<_> = FORMATS
                .iter()
                .filter(fits)
                .map(|format| format!("'{format}'"))
                .collect();
            if formats.is_empty() {
                "say how it is written with --time-format, such as '%d/%m/%y, %H:%M', and --time-zone"
                    .to_owned()
            } else {
                let zone = if formats.iter().any(|format| format.contains("%z")) {
                    ""
                } else {
                    " and --time-zone ZONE, such as Europe/Berlin"
                };
                format!(
                    "it may be written as --time-format {}{zone}",
                    formats.join(" or ")
                )
            }
        }
    };
    format!("{raw:?} is not {RFC_3339}; {advice}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(format: &str, zone: &str, raw: &str, expected: &str) {
        let times = Times {
            time_format: (!format.is_empty()).then(|| format.to_owned()),
            time_zone: (!zone.is_empty()).then(|| parse_zone(zone).expect("a zone")),
        };
        times.check().expect("options that belong together");
        assert_eq!(times.parse(raw).unwrap_or_else(|error| error), expected, "{raw}");
    }

    #[test]
    fn times_are_read_as_it_is_said_that_they_are_written() {
        check("", "", "2026-11-25T10:00:00+01:00", "2026-11-25T10:00:00+01:00");
        check("%s", "", "1764064800", "2025-11-25T10:00:00Z");
        check(
            "%d/%m/%y, %H:%M",
            "Europe/Berlin",
            "25/11/26, 10:00",
            "2026-11-25T09:00:00Z",
        );
        check(
            "%d/%m/%y, %H:%M:%S",
            "UTC",
            "7/09/26, 21:40:58",
            "2026-09-07T21:40:58Z",
        );
        check(
            "%b %d, %Y, %I:%M:%S %p",
            "UTC",
            "Nov 1, 2025, 6:12:00 PM",
            "2025-11-01T18:12:00Z",
        );
        check("%d.%m.%Y", "UTC", "25.11.2026", "2026-11-25T00:00:00Z");
        check("", "Europe/Berlin", "2026-07-25 10:00", "2026-07-25T08:00:00Z");
        check(
            "",
            "Europe/Berlin",
            "2026-07-25T10:00:00.123456Z",
            "2026-07-25T10:00:00.123456Z",
        );
        // The hour that is repeated, and the one that is left out.
        check("", "Europe/Berlin", "2026-10-25 02:30", "2026-10-25T00:30:00Z");
        check("", "Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:30:00Z");
        let without_zone = Times {
            time_format: Some("%H:%M".to_owned()),
            time_zone: None,
        };
        assert!(without_zone.check().is_err());
    }

    #[test]
    fn other_ways_of_writing_are_named_with_the_option_that_reads_them() {
        for (raw, expected) in [
            (
                "2026-11-25 10:00",
                "it has no offset; say which time zone it is in with --time-zone, such as Europe/Berlin or UTC",
            ),
            ("1764064800", "it may be seconds since 1970: --time-format %s"),
            (
                "1764064800123",
                "it may be milliseconds since 1970; divide them by 1000 and use --time-format %s",
            ),
            (
                "25/11/26, 10:00",
                "it may be written as --time-format '%d/%m/%y, %H:%M' and --time-zone ZONE, such as Europe/Berlin",
            ),
            (
                "04/05/26, 10:00",
                "it may be written as --time-format '%d/%m/%y, %H:%M' or '%m/%d/%y, %H:%M' and --time-zone ZONE, such as Europe/Berlin",
            ),
            (
                "Nov 1, 2025, 6:12:00 PM",
                "it may be written as --time-format '%b %d, %Y, %I:%M:%S %p' and --time-zone ZONE, such as Europe/Berlin",
            ),
            (
                "soon",
                "say how it is written with --time-format, such as '%d/%m/%y, %H:%M', and --time-zone",
            ),
        ] {
            let error = Times::default().parse(raw).expect_err("not RFC 3339");
            let whole = format!(
                "{raw:?} is not an RFC 3339 time with an offset, such as 2026-11-25T10:00:00Z; {expected}"
            );
            assert_eq!(error, whole);
        }
    }
}
