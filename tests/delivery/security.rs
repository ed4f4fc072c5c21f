//! The security policy names the tests that show what it says.

use std::fs;
use std::path::Path;

#[test]
fn every_row_of_the_security_model_names_a_test_that_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let policy = fs::read_to_string(root.join("SECURITY.md")).expect("the policy");
    let (_, model) = policy
        .split_once("| shown by |\n|---|---|---|---|---|\n")
        .expect("the model");
    let rows: Vec<_> = model.lines().take_while(|line| line.starts_with('|')).collect();
    assert!(rows.len() >= 10, "{} rows", rows.len());
    for row in rows {
        let shown = row.trim_end_matches(" |").rsplit("| ").next().unwrap_or_default();
        let mut names = shown.split('`').skip(1).step_by(2);
        let file = names.next().unwrap_or_else(|| panic!("no test: {row}"));
        let test = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        for name in names {
            assert!(test.contains(name), "{file} has no {name}");
        }
    }
}
