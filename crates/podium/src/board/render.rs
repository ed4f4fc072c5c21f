//! Renders a board as text.

use std::fmt::Write as _;

use client::wire::{
    BoardDocument, Entry, Freshness, Heading, PeriodDocument, TeamsDocument, UserDocument, WindowDocument,
};
use domain::DisplayName;
use terminal::text::{age, counted, grouped, points, printable, signed};
use unicode_width::UnicodeWidthStr;

/// Whether the text may contain escape sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    Plain,
    Colours,
}

#[derive(Clone, Copy)]
enum Style {
    Bold,
    Dim,
    Green,
    Red,
    Alarm,
}

impl Paint {
    fn paint(self, style: Style, text: &str) -> String {
        let code = match (self, style) {
            (Self::Plain, _) => return text.to_owned(),
            (Self::Colours, Style::Bold) => "1",
            (Self::Colours, Style::Dim) => "2",
            (Self::Colours, Style::Green) => "32",
            (Self::Colours, Style::Red) => "31",
            (Self::Colours, Style::Alarm) => "1;97;41",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// The columns, and which of them is text.
type Columns = ([&'static str; 5], usize);
const OF_PEOPLE: Columns = (["rank", "change", "user", "points", "activities"], 2);
const OF_TEAMS: Columns = (["rank", "team", "score", "points", "members"], 1);

struct Row {
    cells: [String; 5],
    style: Option<Style>,
    is_marked: bool,
}

/// The whole board, or its beginning.
pub fn board(document: &BoardDocument, paint: Paint) -> String {
    let mut text = heading(&document.heading, paint);
    if document.entries.is_empty() {
        text.push_str("\nNo users are on this board yet.\n");
        return text;
    }
    let entries = settled(&document.heading, document.entries.clone());
    table(&mut text, OF_PEOPLE, &rows(&entries, None), paint);
    let listed = u64::try_from(document.entries.len()).unwrap_or(u64::MAX);
    if document.next_cursor.is_some() {
        let others = document.heading.participants.saturating_sub(listed);
        more(&mut text, others, paint);
    }
    text
}

/// Nobody moves on the board of a period that is over.
fn settled(heading: &Heading, mut entries: Vec<Entry>) -> Vec<Entry> {
    if heading.period.is_some() {
        for entry in &mut entries {
            entry.change = Some(0);
        }
    }
    entries
}

fn more(text: &mut String, others: u64, paint: Paint) {
    let more = format!("and {}", counted(others, "other", "others"));
    let _ = writeln!(text, "{}", paint.paint(Style::Dim, &more));
}

/// One user between the neighbours.
pub fn user(document: &UserDocument, paint: Paint) -> String {
    let mut text = heading(&document.heading, paint);
    let mut entries: Vec<Entry> = document.above.clone();
    entries.push(document.entry.clone());
    entries.extend(document.below.iter().cloned());
    // Neighbours are listed nearest first. Show them in the order of the board.
    let place = |entry: &Entry| (entry.rank, entry.user_id.is_none(), entry.user_id.clone());
    entries.sort_by_key(place);
    let entries = settled(&document.heading, entries);
    let rows = rows(&entries, document.entry.user_id.as_deref());
    table(&mut text, OF_PEOPLE, &rows, paint);
    text
}

/// The teams, or the best of them.
pub fn teams(document: &TeamsDocument, paint: Paint) -> String {
    let title = format!(
        "teams by {}, {}",
        printable(&document.team_score),
        describe_times(&document.window, document.period.as_ref())
    );
    let sums = format!(
        "{}, {}",
        counted(document.participants, "team", "teams"),
        points(document.points)
    );
    let mut text = beginning(&title, &sums, &document.freshness, paint);
    let sharing = |rank: u64| document.entries.iter().filter(|other| other.rank == rank).count();
    let rows = document.entries.iter().map(|entry| Row {
        cells: [
            place(entry.rank, sharing(entry.rank)),
            named(
                entry.title.as_ref().map(DisplayName::as_str),
                entry.team_id.as_str(),
            ),
            entry.score.to_string(),
            signed(entry.points),
            grouped(entry.members),
        ],
        style: None,
        is_marked: false,
    });
    table(&mut text, OF_TEAMS, &rows.collect::<Vec<_>>(), paint);
    if document.next_cursor.is_some() {
        let listed = u64::try_from(document.entries.len()).unwrap_or(u64::MAX);
        let others = document.participants.saturating_sub(listed);
        more(&mut text, others, paint);
    }
    text
}

fn heading(heading: &Heading, paint: Paint) -> String {
    let board = match &heading.title {
        Some(title) => format!("{} ({})", printable(title), printable(&heading.board)),
        None => printable(&heading.board),
    };
    let times = describe_times(&heading.window, heading.period.as_ref());
    let title = format!("{board}, {times}");
    let sums = format!(
        "{}, {}, {}",
        counted(heading.participants, "participant", "participants"),
        points(heading.points),
        counted(heading.activities, "activity", "activities"),
    );
    beginning(&title, &sums, &heading.freshness, paint)
}

fn beginning(title: &str, sums: &str, freshness: &Freshness, paint: Paint) -> String {
    let mut text = paint.paint(Style::Bold, title);
    let _ = write!(text, "\n{sums}\n");
    let line = describe_freshness(freshness);
    let style = if freshness.stale { Style::Alarm } else { Style::Dim };
    text.push_str(&paint.paint(style, &line));
    text.push('\n');
    text
}

fn describe_times(window: &WindowDocument, period: Option<&PeriodDocument>) -> String {
    let window = describe_window(window);
    period.map_or(window.clone(), |period| {
        format!("{window}, {}", printable(&period.state))
    })
}

fn describe_window(window: &WindowDocument) -> String {
    let zone = printable(&window.time_zone);
    let name = match (&window.season, window.name.as_str()) {
        (Some(season), _) => printable(&season.title),
        (None, "all") => "all time".to_owned(),
        (None, name) => printable(name),
    };
    match (&window.first_day, &window.last_day) {
        (Some(first), Some(last)) if first == last => {
            format!("{name} {}, {zone}", printable(first))
        }
        (Some(first), Some(last)) => {
            format!("{name} {} to {}, {zone}", printable(first), printable(last))
        }
        _ => format!("{name}, {zone}"),
    }
}

fn describe_freshness(freshness: &Freshness) -> String {
    let lag = freshness
        .lag_seconds
        .map_or_else(|| "not measured yet".to_owned(), age);
    let backlog = freshness.backlog.map_or_else(|| "unknown".to_owned(), grouped);
    let updated = age(freshness.age_seconds);
    let line = format!("updated {updated} ago, lag {lag}, backlog {backlog}");
    if !freshness.stale {
        return line;
    }
    let reasons: Vec<String> = freshness.stale_reasons.iter().map(|r| printable(r)).collect();
    let reasons = if reasons.is_empty() {
        String::new()
    } else {
        format!(" ({})", reasons.join(", "))
    };
    format!("!!! STALE{reasons}: this board is out of date !!! {line}")
}

fn rows(entries: &[Entry], marked: Option<&str>) -> Vec<Row> {
    let row = |entry: &Entry| {
        let is_marked = marked.is_some() && marked == entry.user_id.as_deref();
        Row {
            cells: cells(entry, entries),
            style: match entry.change {
                _ if is_marked => Some(Style::Bold),
                Some(1..) => Some(Style::Green),
                Some(..0) => Some(Style::Red),
                Some(0) | None => None,
            },
            is_marked,
        }
    };
    entries.iter().map(row).collect()
}

fn table(text: &mut String, (columns, of_text): Columns, rows: &[Row], paint: Paint) {
    let mut widths = columns.map(UnicodeWidthStr::width);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(&row.cells) {
            *width = (*width).max(cell.width());
        }
    }
    let heading = line(&columns.map(str::to_owned), of_text, widths);
    let _ = writeln!(text, "\n  {}", paint.paint(Style::Bold, heading.trim_end()));
    for Row {
        cells,
        style,
        is_marked,
    } in rows
    {
        let row = line(cells, of_text, widths);
        let row = style.map_or_else(|| row.clone(), |style| paint.paint(style, &row));
        let _ = writeln!(text, "{} {row}", if *is_marked { '>' } else { ' ' });
    }
}

fn line(cells: &[String; 5], of_text: usize, widths: [usize; 5]) -> String {
    let mut line = String::new();
    for (place, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let gap = if place == 0 { "" } else { "  " };
        // Not by the formatter, which counts characters: those of East Asian scripts are two columns wide.
        let padding = " ".repeat(width.saturating_sub(cell.width()));
        let _ = if place == of_text {
            write!(line, "{gap}{cell}{padding}")
        } else {
            write!(line, "{gap}{padding}{cell}")
        };
    }
    line
}

fn cells(entry: &Entry, entries: &[Entry]) -> [String; 5] {
    let sharing = entries.iter().filter(|other| other.rank == entry.rank).count();
    [
        place(entry.rank, sharing),
        describe_change(entry.change),
        describe_user(entry),
        signed(entry.points),
        grouped(entry.activities),
    ]
}

/// The rank, marked if several share it.
fn place(rank: u64, sharing: usize) -> String {
    let tie = if sharing > 1 { "=" } else { " " };
    format!("{}{tie}", grouped(rank))
}

/// A name with the id, or the id alone.
fn named(name: Option<impl AsRef<str>>, id: &str) -> String {
    match name {
        Some(name) => format!("{} ({})", printable(name.as_ref()), printable(id)),
        None => printable(id),
    }
}

/// The name with the id, or what there is of them.
fn describe_user(entry: &Entry) -> String {
    match &entry.user_id {
        Some(id) => named(entry.name.as_ref(), id),
        None => "(anonymous)".to_owned(),
    }
}

fn describe_change(change: Option<i64>) -> String {
    match change {
        None => "new".to_owned(),
        Some(0) => "–".to_owned(),
        Some(places) => {
            let arrow = if places > 0 { '▲' } else { '▼' };
            format!("{arrow} {}", grouped(places.unsigned_abs()))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn document() -> Value {
        json!({
            "board": "program:onboarding",
            "window": {"name": "week", "first_day": "2026-11-16", "last_day": "2026-11-22",
                       "time_zone": "Europe/Berlin"},
            "generation": 42, "participants": 1_234, "points": 56_789, "activities": 8_900,
            "entries": [
                {"rank": 1, "user_id": "ann", "points": 1_200, "activities": 40, "change": 2},
                {"rank": 2, "user_id": "bob", "points": 900, "activities": 31, "change": -11},
                {"rank": 2, "user_id": "cy", "points": 900, "activities": 28, "change": null},
                {"rank": 4, "user_id": "a\u{1b}[2Jd", "points": 5, "activities": 1, "change": 0},
            ],
            "next_cursor": "abc",
            "freshness": {"generated_at": "2026-11-21T10:00:00Z", "age_seconds": 12,
                          "lag_seconds": 0.4, "backlog": 0, "stale": false, "stale_reasons": []},
        })
    }

    fn check(document: Value, expected: &str) {
        let document = serde_json::from_value(document).expect("a board");
        assert_eq!(board(&document, Paint::Plain), expected);
    }

    #[test]
    fn a_board_is_a_heading_and_a_table() {
        check(
            document(),
            "\
program:onboarding, week 2026-11-16 to 2026-11-22, Europe/Berlin
1,234 participants, 56,789 points, 8,900 activities
updated 12 s ago, lag 0.4 s, backlog 0

  rank  change  user    points  activities
    1      ▲ 2  ann      1,200          40
    2=    ▼ 11  bob        900          31
    2=     new  cy         900          28
    4        –  a\u{fffd}[2Jd       5           1
and 1,230 others
",
        );
    }

    #[test]
    fn the_board_of_a_period_that_is_over_says_whether_it_is_closed() {
        let mut past = document();
        past["period"] = json!({"name": "2026-W47", "state": "closed", "edition": 1, "as_of": "2026-11-24T00:01:00Z",
                                "includes_late": false, "late": null});
        let past = serde_json::from_value(past).expect("a board");
        let first = board(&past, Paint::Plain);
        let title = "program:onboarding, week 2026-11-16 to 2026-11-22, Europe/Berlin, closed";
        assert_eq!(first.lines().next(), Some(title));
    }

    #[test]
    fn names_stand_before_ids_in_columns_of_their_width() {
        let mut named = document();
        named["entries"] = json!([
            {"rank": 1, "user_id": "ann", "name": "Ann Lee", "points": 9, "activities": 1, "change": 0},
            {"rank": 2, "user_id": "shin", "name": "新 人研", "points": 5, "activities": 1, "change": 0},
            {"rank": 3, "user_id": "zoe", "name": "Zoë \u{202e}", "points": 3, "activities": 1, "change": 0},
            {"rank": 3, "points": 3, "activities": 1, "change": null},
        ]);
        named["next_cursor"] = json!(null);
        let document = serde_json::from_value(named).expect("a board");
        let text = board(&document, Paint::Plain);
        let rows: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            rows,
            [
                "  rank  change  user            points  activities",
                "    1        –  Ann Lee (ann)        9           1",
                "    2        –  新 人研 (shin)       5           1",
                "    3=       –  Zoë \u{fffd} (zoe)          3           1",
                "    3=     new  (anonymous)          3           1",
            ]
        );
    }

    #[test]
    fn teams_are_a_table_of_their_own() {
        let mut teams = document();
        teams["team_score"] = json!("mean");
        teams["participants"] = json!(3);
        teams["entries"] = json!([
            {"rank": 1, "team_id": "red", "title": "The Reds", "score": 12.35, "points": 1_235, "members": 100},
            {"rank": 1, "team_id": "blue", "score": 12.35, "points": 1_235, "members": 100},
        ]);
        let document = serde_json::from_value(teams).expect("the board of teams");
        assert_eq!(
            super::teams(&document, Paint::Plain),
            "\
teams by mean, week 2026-11-16 to 2026-11-22, Europe/Berlin
3 teams, 56,789 points
updated 12 s ago, lag 0.4 s, backlog 0

  rank  team            score  points  members
    1=  The Reds (red)  12.35   1,235      100
    1=  blue            12.35   1,235      100
and 1 other
"
        );
    }

    #[test]
    fn a_title_stands_before_the_board() {
        let mut titled = document();
        titled["title"] = json!("On\u{202e}boarding");
        let document = serde_json::from_value(titled).expect("a board");
        let text = board(&document, Paint::Plain);
        assert!(
            text.starts_with("On\u{fffd}boarding (program:onboarding), week "),
            "{text}"
        );
    }

    #[test]
    fn an_empty_board_says_so() {
        let mut empty = document();
        empty["window"] = json!({"name": "all", "first_day": null, "last_day": null,
                                 "time_zone": "UTC"});
        for sum in ["participants", "points", "activities"] {
            empty[sum] = json!(0);
        }
        empty["entries"] = json!([]);
        empty["next_cursor"] = json!(null);
        empty["freshness"]["lag_seconds"] = json!(null);
        check(
            empty,
            "\
program:onboarding, all time, UTC
0 participants, 0 points, 0 activities
updated 12 s ago, lag not measured yet, backlog 0

No users are on this board yet.
",
        );
    }

    #[test]
    fn a_stale_board_is_loud_with_and_without_colours() {
        let mut stale = document();
        stale["freshness"]["stale"] = json!(true);
        stale["freshness"]["stale_reasons"] = json!(["lag", "backlog"]);
        stale["freshness"]["age_seconds"] = json!(7_500);
        let expected = "!!! STALE (lag, backlog): this board is out of date !!! \
                        updated 2 h 5 min ago, lag 0.4 s, backlog 0";
        let document = serde_json::from_value(stale).expect("a board");
        let plain = board(&document, Paint::Plain);
        assert_eq!(plain.lines().nth(2), Some(expected));
        assert!(!plain.contains('\x1b'));
        let coloured = board(&document, Paint::Colours);
        assert_eq!(
            coloured.lines().nth(2),
            Some(&*format!("\x1b[1;97;41m{expected}\x1b[0m"))
        );
    }

    #[test]
    fn a_user_stands_between_the_neighbours() {
        let entry = |rank: u64, user: &str| json!({"rank": rank, "user_id": user, "points": 10, "activities": 1, "change": 0});
        let mut user_document = document();
        user_document["entry"] = entry(7, "me");
        user_document["above"] = json!([entry(6, "nearest"), entry(5, "farther")]);
        user_document["below"] = json!([entry(7, "rival")]);
        let user_document = serde_json::from_value(user_document).expect("a place");
        let text = user(&user_document, Paint::Plain);
        let places: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(
            places,
            [
                "  rank  change  user     points  activities",
                "    5        –  farther      10           1",
                "    6        –  nearest      10           1",
                ">   7=       –  me           10           1",
                "    7=       –  rival        10           1",
            ]
        );
    }
}
