//! The rows of a file of people, each checked as the server does.

use std::collections::HashMap;

use anyhow::ensure;
use domain::id::InvalidId;
use domain::{Person, RejectionCode, UserId, intake};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use terminal::text::printable;

use super::{FIELDS, spreadsheet};
use crate::input::Source;
use crate::records::whole::{self, Columns};
use crate::shape::list;
use crate::tally::{Place, Rejection};

pub type Row = Result<Entry, Rejection>;

/// What a row says of a person.
#[derive(Debug)]
pub struct Entry {
    pub place: Place,
    pub user: UserId,
    pub person: Person,
}

pub fn read(source: &Source) -> anyhow::Result<Vec<Row>> {
    Ok(checked(whole::read(source, "podium people import", &Cells)?))
}

struct Cells;

impl Columns for Cells {
    fn check(&self, names: &[String]) -> anyhow::Result<()> {
        let unknown = names.iter().filter(|name| !FIELDS.contains(&name.as_str()));
        let unknown: Vec<_> = unknown.cloned().collect();
        let fields = FIELDS.join(", ");
        let are = if unknown.len() == 1 {
            "is no field"
        } else {
            "are no fields"
        };
        ensure!(
            unknown.is_empty(),
            "{} {are} of a person; the fields are {fields}. Take the others out of the file",
            printable(&list(&unknown))
        );
        for field in FIELDS {
            let columns = names.iter().filter(|name| *name == field).count();
            ensure!(columns <= 1, "{columns} columns are named {field:?}; leave one");
        }
        ensure!(
            names.iter().any(|name| name == FIELDS[0]),
            "no column is named {}, which says whose profile a row is",
            FIELDS[0]
        );
        let missing = FIELDS
            .iter()
            .filter(|field| !names.iter().any(|name| name == *field));
        let missing: Vec<_> = missing.map(|field| (*field).to_owned()).collect();
        if !missing.is_empty() {
            eprintln!(
                "podium: warning: no column is named {}. A profile becomes what its row says: what has no column is \
                 taken away, and without visibility the person is listed.",
                missing.join(" or ")
            );
        }
        Ok(())
    }

    fn value(&self, _: &str, cell: &str) -> Value {
        spreadsheet::value(cell).into()
    }
}

/// Refuses what is no person, and whom an earlier row is about: the profile would depend on their order.
fn checked(records: Vec<whole::Record>) -> Vec<Row> {
    let mut places: HashMap<UserId, Place> = HashMap::new();
    let rows = records.into_iter().map(|record| {
        let (place, json) = record?;
        let (user, person) =
            parsed(&json).map_err(|rejection| Rejection::refused(place.clone(), rejection))?;
        if let Some(earlier) = places.get(&user) {
            return Err(Rejection {
                detail: format!("{user} is in {earlier} already; leave one of them"),
                place,
                code: "repeated_user".to_owned(),
                field: Some(FIELDS[0].to_owned()),
            });
        }
        places.insert(user.clone(), place.clone());
        Ok(Entry { place, user, person })
    });
    rows.collect()
}

fn parsed(json: &str) -> Result<(UserId, Person), intake::Rejection> {
    #[derive(Deserialize)]
    struct Whose {
        user_id: Option<String>,
    }
    let raw: &RawValue = serde_json::from_str(json).map_err(|error| {
        let detail = format!("the person is not valid JSON: {error}");
        intake::Rejection::new(RejectionCode::Malformed, "", detail)
    })?;
    let rejection = |code, detail: &dyn std::fmt::Display| intake::Rejection::new(code, FIELDS[0], detail);
    if let Ok(Whose { user_id: Some(user) }) = serde_json::from_str(json) {
        let user: UserId = user
            .parse()
            .map_err(|error: InvalidId| rejection((&error).into(), &error))?;
        let person = Person::parse(raw, &user)?;
        return Ok((user, person));
    }
    // Whatever else is wrong is found for anyone.
    let anyone = UserId::stored("anyone").expect("an id");
    Person::parse(raw, &anyone)?;
    Err(rejection(RejectionCode::MissingField, &"is missing"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each row, as who it is and the profile, or why it is refused.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let rows = match whole::records(text.as_bytes(), &Cells) {
            Ok(records) => checked(records).into_iter().map(rendered).collect(),
            Err(error) => vec![format!("! {error:#}")],
        };
        assert_eq!(rows, expected, "{text}");
    }

    fn rendered(row: Row) -> String {
        match row {
            Ok(Entry { place, user, person }) => {
                let shown = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
                let name = shown(person.display_name.map(|name| name.to_string()));
                let team = shown(person.team.map(|team| team.to_string()));
                format!(
                    "{place}: {user} | {name} | {team} | {}",
                    person.visibility.as_str()
                )
            }
            Err(rejection) => rejection.to_string(),
        }
    }

    #[test]
    fn columns_are_in_any_order_and_cells_in_any_script() {
        check("", &[]);
        check("user_id,display_name,team,visibility\r\n", &[]);
        check(
            "user_id,display_name,team,visibility\r\nann,Ann Lee,ops,listed\r\nbob,\"O'Neil, Bob \"\"B\"\"\",,\r\n",
            &[
                "line 2: ann | Ann Lee | ops | listed",
                "line 3: bob | O'Neil, Bob \"B\" | - | listed",
            ],
        );
        check(
            "\nvisibility;user_id;display_name\n\nhidden; cy ; Zoe\u{308}\nanonymous;auth0|5f;\"Иван; П.\"\n",
            &[
                "line 4: cy | Zoë | - | hidden",
                "line 5: auth0|5f | Иван; П. | - | anonymous",
            ],
        );
        check(
            "user_id,display_name\n'0012,'=1+1\nann,'t Hooft\n",
            &[
                "line 2: 0012 | =1+1 | - | listed",
                "line 3: ann | 't Hooft | - | listed",
            ],
        );
    }

    #[test]
    fn json_has_the_same_fields() {
        let ann = r#"{"user_id":"ann","display_name":"Ann","team":null,"visibility":"hidden"}"#;
        check(
            &format!("{ann}\n\n{{\"user_id\":\"'=1\",\"display_name\":\"'=1\"}}"),
            &["line 1: ann | Ann | - | hidden", "line 3: '=1 | '=1 | - | listed"],
        );
        check(&format!("[{ann}]"), &["record 1: ann | Ann | - | hidden"]);
    }

    #[test]
    fn rows_are_refused_with_the_messages_of_the_server() {
        check(
            "user_id,display_name,team,visibility\na b,,,\n,Ann,,\nann,a\u{202e}b,,\nbob,,a b,\ncy,,,secret\ndee,Dee\neve,Eve,,\n",
            &[
                r#"line 2: illegal_character (user_id): user_id has the character ' ' at byte 1; use only ASCII letters, digits and punctuation except " \ < >"#,
                "line 3: missing_field (user_id): user_id is missing",
                "line 4: illegal_character (display_name): display_name has the invisible character U+202E; leave it out",
                r#"line 5: illegal_character (team): team has the character ' ' at byte 1; use only ASCII letters, digits and punctuation except " \ < >"#,
                "line 6: out_of_range (visibility): visibility is not a visibility; use listed, anonymous or hidden",
                "line 7: wrong_columns: the row has 2 cells and there are 4 columns; is a quote missing, or is there one too many?",
                "line 8: eve | Eve | - | listed",
            ],
        );
        check(
            "[{\"user_id\":5},{\"user_id\":\"\"},{\"name\":\"Ann\"},{\"user_id\":\"a\",\"user_id\":\"b\"},7,{\"a\":}]",
            &[
                r#"record 1: wrong_type (user_id): user_id must be a string, not a number; write "5""#,
                "record 2: empty (user_id): user_id is empty; it must have 1 to 128 characters",
                "record 3: unknown_field (name): name is not a field of a person; its fields are user_id, display_name, team, visibility",
                "record 4: duplicate_field (user_id): user_id appears more than once",
                "record 5: not_an_object: a person must be a JSON object, not a number",
                "record 6: malformed: the person is not valid JSON: expected value at line 1 column 6",
            ],
        );
    }

    #[test]
    fn a_person_has_one_row() {
        check(
            "user_id,team\nann,a\nAnn,b\n\nann,c\nann,a\n",
            &[
                "line 2: ann | - | a | listed",
                "line 3: Ann | - | b | listed",
                "line 5: repeated_user (user_id): ann is in line 2 already; leave one of them",
                "line 6: repeated_user (user_id): ann is in line 2 already; leave one of them",
            ],
        );
    }

    #[test]
    fn columns_that_no_person_has_are_named() {
        let read_as = "it is read as CSV, since it does not begin with { or [, and its first row as the names of the columns";
        for (columns, expected) in [
            (
                "user_id,e-mail,team",
                r#""e-mail" is no field of a person; the fields are user_id, display_name, team, visibility. Take the others out of the file"#,
            ),
            (
                "id,user_id,Team",
                r#""id" and "Team" are no fields of a person; the fields are user_id, display_name, team, visibility. Take the others out of the file"#,
            ),
            ("user_id,team,team", r#"2 columns are named "team"; leave one"#),
            (
                "display_name,team",
                "no column is named user_id, which says whose profile a row is",
            ),
        ] {
            check(
                &format!("{columns}\n1,2,3\n"),
                &[&format!("! {read_as}: {expected}")],
            );
        }
    }
}
