//! What holds for every input, judged independently of the functions' own parsers.

use std::io::Write as _;
use std::sync::LazyLock;

use domain::{ActivityId, Board, Kind, ProgramId, Seasons, UserId, address};
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::HeaderValue;
use lambda_http::http::header::CONTENT_ENCODING;
use regex::Regex;
use reqwest::Url;
use serve::Route;

use super::case::{Input, Parser};
use super::outcome::{NOW, Outcome, http};

/// The law that an input and its outcome break, if there is one.
pub fn broken(parser: Parser, input: &Input, outcome: &Outcome) -> Option<String> {
    match parser {
        Parser::OccurredAt => breaks_time(input.text(), outcome),
        Parser::Id => breaks_id(input.text(), outcome),
        Parser::HttpBody => breaks_gzip(input, outcome),
        Parser::HttpRequest | Parser::QueueMessage | Parser::StreamRecord => None,
    }
}

pub fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text).expect("written");
    encoder.finish().expect("compressed")
}

/// The same body in gzip has the same outcome.
fn breaks_gzip(input: &Input, outcome: &Outcome) -> Option<String> {
    let (mut headers, body) = Parser::HttpBody.request(input);
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    let inflated = http(&headers, &gzip(&body), NOW.parse().expect("a time"));
    (inflated.named() != outcome.named()).then(|| "gzip changes the outcome".to_owned())
}

/// The characters of ids, as documented, and their number.
static ID: LazyLock<Regex> = LazyLock::new(|| {
    Regex::new(r#"\A[[:graph:]--["\\<>~]][[:graph:]--["\\<>]]{0,127}\z"#).expect("a pattern")
});

/// Ids of users, programs and activities are of the same characters. An accepted one arrives at the handler as it
/// was by each of its addresses.
fn breaks_id(text: &str, outcome: &Outcome) -> Option<String> {
    let is_id = ID.is_match(text) && !matches!(text, "." | "..");
    let (user, program, activity) = (
        text.parse::<UserId>().ok(),
        text.parse::<ProgramId>().ok(),
        text.parse::<ActivityId>().ok(),
    );
    if [user.is_some(), program.is_some(), activity.is_some()] != [is_id; 3] {
        return Some("an id is judged otherwise".to_owned());
    }
    if text.parse::<Kind>().is_ok() && !is_id {
        return Some("a kind is no id".to_owned());
    }
    for field in ["user_id", "program_id", "activity_id"] {
        if is_id == outcome.errors.iter().any(|error| error.field == field) {
            return Some(format!("the API judges a {field} otherwise than its parser"));
        }
    }
    let (user, board) = (user?, Board::Program(program?));
    let (user_segment, board_segment) = (address::user_segment(&user), address::board_segment(&board));
    let is_unchanged = |c: char| c.is_ascii_alphanumeric() || "-._~:@".contains(c);
    if !user_segment
        .chars()
        .chain(board_segment.chars())
        .all(is_unchanged)
    {
        return Some("a proxy may change an address".to_owned());
    }
    let encoded = [board.to_string(), text.to_owned()];
    let segments = [encoded, [board_segment.into_owned(), user_segment.into_owned()]];
    let arrives = |[board_segment, user_segment]: [String; 2]| {
        let mut url: Url = "http://localhost/".parse().expect("a URL");
        let path = ["v1", "boards", &board_segment, "users", &user_segment];
        url.path_segments_mut().expect("a path").clear().extend(path);
        let route = Route::parse(&url.as_str().parse().expect("an address"), &Seasons::default());
        matches!(route, Ok(Route::User { board: found, user: known, .. }) if found == board && known == user)
    };
    (!segments.into_iter().all(arrives)).then(|| "an accepted id has no address".to_owned())
}

/// `date-time` of RFC 3339, section 5.6.
static DATE_TIME: LazyLock<Regex> = LazyLock::new(|| {
    let date = "([0-9]{4})-([0-9]{2})-([0-9]{2})";
    let time = r"([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?";
    let offset = "(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))";
    Regex::new(&format!("\\A{date}[Tt]{time}{offset}\\z")).expect("a pattern")
});

/// How a time is judged: the time itself, later than any, or none.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    At(Timestamp),
    TooLate,
    NoTime,
}

/// The judgement by the grammar, the calendar of jiff and sections 5.6 and 5.7 of the RFC.
fn judged(text: &str) -> Judged {
    let Some(parts) = DATE_TIME.captures(text) else {
        return Judged::NoTime;
    };
    let number = |at: usize| {
        parts
            .get(at)
            .map_or(0, |digits| digits.as_str().parse::<i64>().expect("digits"))
    };
    let [month, day] = [2, 3].map(|at| i8::try_from(number(at)).expect("two digits"));
    let Ok(date) = Date::new(i16::try_from(number(1)).expect("four digits"), month, day) else {
        return Judged::NoTime;
    };
    let [hour, minute, second, offset_hours, offset_minutes] = [4, 5, 6, 9, 10].map(number);
    if hour > 23 || minute > 59 || second > 60 || offset_hours > 23 || offset_minutes > 59 {
        return Judged::NoTime;
    }
    let sign = if parts.get(8).is_some_and(|sign| sign.as_str() == "-") {
        -1
    } else {
        1
    };
    let offset_minutes = sign * (offset_hours * 60 + offset_minutes);
    let epoch = Date::new(1970, 1, 1).expect("a day");
    let days = date.duration_since(epoch).as_hours() / 24;
    let minute_of_day = hour * 60 + minute - offset_minutes;
    let at_minute = days * 86_400 + minute_of_day * 60;
    if second == 60 {
        let next = SignedDuration::from_secs(at_minute + 60);
        let Ok(next) = Timestamp::UNIX_EPOCH.checked_add(next) else {
            return Judged::TooLate;
        };
        let next = next.to_string();
        if !next.ends_with("-01-01T00:00:00Z") && !next.ends_with("-07-01T00:00:00Z") {
            return Judged::NoTime;
        }
    }
    let nanoseconds: String = parts
        .get(7)
        .map_or("", |digits| digits.as_str())
        .chars()
        .chain("000000000".chars())
        .take(9)
        .collect();
    let nanoseconds: i32 = nanoseconds.parse().expect("nine digits");
    match Timestamp::new(at_minute + second.min(59), 0)
        .and_then(|at| at.checked_add(SignedDuration::from_nanos(nanoseconds.into())))
    {
        Ok(at) => Judged::At(at),
        Err(_) => Judged::TooLate,
    }
}

fn breaks_time(text: &str, outcome: &Outcome) -> Option<String> {
    let parsed = match domain::timestamp::parse(text) {
        Ok(at) => Judged::At(at),
        Err(domain::timestamp::InvalidTime::TooLate) => Judged::TooLate,
        Err(domain::timestamp::InvalidTime::NotRfc3339(_)) => Judged::NoTime,
    };
    let judged = judged(text);
    if parsed != judged {
        return Some(format!("a time is judged otherwise: {parsed:?}, not {judged:?}"));
    }
    let is_invalid = outcome.errors.iter().any(|error| error.code == "invalid_time");
    (is_invalid != (judged == Judged::NoTime))
        .then(|| "the API judges a time otherwise than its parser".to_owned())
}
