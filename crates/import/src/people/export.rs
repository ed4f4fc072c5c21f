//! The directory as a file.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow, bail};
use client::Api;
use client::people::PEOPLE_MAX;
use csv::{Terminator, WriterBuilder};
use domain::{DisplayName, Person, TeamId, UserId};
use tempfile::NamedTempFile;
use terminal::text::grouped;

use super::{FIELDS, Options, spreadsheet};
use crate::retries::Retries;

/// Pages of the directory that are read: those of two million people.
const PAGES_MAX: u64 = 2_000;

/// All profiles as CSV, and their number.
pub async fn export(options: Options) -> anyhow::Result<(Vec<u8>, u64)> {
    let (api, retries) = options.connect().await?;
    let people = directory(&api, &retries).await?;
    Ok((table(&people)?, people.len() as u64))
}

/// Writes to a file that must not exist yet, or to the standard output.
pub fn save(text: &[u8], file: Option<&Path>) -> anyhow::Result<()> {
    let Some(file) = file else {
        return Ok(io::stdout().write_all(text)?);
    };
    write(file, text).with_context(|| format!("could not write {}", file.display()))
}

/// Everyone who has a profile, in the order of ids, which is not that of the server.
pub async fn directory(api: &Api, retries: &Retries) -> anyhow::Result<BTreeMap<UserId, Person>> {
    let mut people = BTreeMap::new();
    let mut cursor: Option<String> = None;
    for _ in 0..PAGES_MAX {
        let page = retries
            .answered(api, async || api.people(cursor.as_deref()).await)
            .await;
        let page = page.map_err(|reason| anyhow!("could not read the directory: {reason}"))?;
        people.extend(page.people.into_iter().map(|entry| (entry.user_id, entry.person)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return Ok(people);
        }
    }
    bail!(
        "the directory has more than {} profiles, which are not read at once",
        grouped(PAGES_MAX * u64::from(PEOPLE_MAX))
    );
}

/// The profiles as RFC 4180 has them.
fn table(people: &BTreeMap<UserId, Person>) -> anyhow::Result<Vec<u8>> {
    let mut table = WriterBuilder::new()
        .terminator(Terminator::CRLF)
        .from_writer(Vec::new());
    table.write_record(FIELDS)?;
    for (user, person) in people {
        let Person {
            display_name,
            team,
            visibility,
        } = person;
        let name = display_name.as_ref().map_or("", DisplayName::as_str);
        let team = team.as_ref().map_or("", TeamId::as_str);
        let cells = [user.as_str(), name, team, visibility.as_str()];
        table.write_record(cells.map(spreadsheet::guarded))?;
    }
    Ok(table.into_inner()?)
}

/// The file appears only when it is complete. Only its owner can read it, since it has personal data.
fn write(path: &Path, text: &[u8]) -> anyhow::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let mut draft = NamedTempFile::new_in(directory.unwrap_or(Path::new(".")))?;
    draft.write_all(text)?;
    draft.as_file().sync_all()?;
    draft.persist_noclobber(path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes each person, `id|name|team|visibility`, as a row.
    #[track_caller]
    fn check(people: &[&str], expected: &str) {
        let people = people.iter().map(|person| {
            let [user, name, team, visibility] = person.split('|').collect::<Vec<_>>()[..] else {
                panic!("four parts: {person}");
            };
            let person = Person {
                display_name: Some(name)
                    .filter(|name| !name.is_empty())
                    .map(|name| name.parse().expect("a name")),
                team: Some(team)
                    .filter(|team| !team.is_empty())
                    .map(|team| team.parse().expect("a team")),
                visibility: visibility.parse().expect("a visibility"),
            };
            (user.parse().expect("an id"), person)
        });
        let text = table(&people.collect()).expect("a table");
        assert_eq!(str::from_utf8(&text).expect("text"), expected);
    }

    #[test]
    fn profiles_are_rows_in_the_order_of_ids() {
        check(&[], "user_id,display_name,team,visibility\r\n");
        check(
            &[
                "bob|Lee, Bob \"B\"||anonymous",
                "ann|Ólafur|ops|listed",
                "Bob|||hidden",
                "0012|=1+1|-|listed",
            ],
            "user_id,display_name,team,visibility\r\n\
             '0012,'=1+1,'-,listed\r\n\
             Bob,,,hidden\r\n\
             ann,Ólafur,ops,listed\r\n\
             bob,\"Lee, Bob \"\"B\"\"\",,anonymous\r\n",
        );
    }

    #[test]
    fn a_file_is_not_written_over() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("people.csv");
        write(&path, b"one").expect("written");
        assert!(write(&path, b"two").is_err());
        assert_eq!(std::fs::read(&path).expect("read"), b"one");
        assert_eq!(std::fs::read_dir(&directory).expect("listed").count(), 1);
    }
}
