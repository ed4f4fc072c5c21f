//! What the stack must know of a `PartiQL` statement before the emulator parses it.

/// The keywords before the table, by kind of write.
const WRITES: [&[&str]; 3] = [&["INSERT", "INTO"], &["UPDATE"], &["DELETE", "FROM"]];

/// The table that a statement writes to; `None` for a read, and for what is no statement.
pub(crate) fn written_table(statement: &str) -> Option<&str> {
    let table = WRITES
        .iter()
        .find_map(|keywords| keywords.iter().try_fold(statement, after_keyword))?;
    match table.strip_prefix('"') {
        Some(quoted) => quoted.split_once('"').map(|(name, _)| name),
        None => table.split_whitespace().next(),
    }
}

fn after_keyword<'a>(text: &'a str, keyword: &&str) -> Option<&'a str> {
    let text = text.trim_start();
    let (word, rest) = text.split_at_checked(keyword.len())?;
    // A quoted name may follow at once.
    let ends = rest.starts_with(|next: char| next.is_whitespace() || next == '"');
    (word.eq_ignore_ascii_case(keyword) && ends).then(|| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_names_its_table_and_a_read_names_none() {
        let check = |statement, expected| assert_eq!(written_table(statement), expected, "{statement}");
        check(r#"INSERT INTO "p-dedup" VALUE {'a': ?}"#, Some("p-dedup"));
        check(
            r#"UPDATE "p-standings" SET n = n + ? WHERE k = ?"#,
            Some("p-standings"),
        );
        check(r#"DELETE FROM "p.q" WHERE k = ?"#, Some("p.q"));
        check("  insert\n into\"t\" value {}", Some("t"));
        check("UPDATE standings SET n = 1", Some("standings"));
        check(r#"SELECT * FROM "dedup" WHERE k = 'UPDATE "t"'"#, None);
        check("UPDATED t", None);
        check("INSERT", None);
        check("INSERT INTO \"t", None);
        check("é", None);
        check("", None);
    }
}
