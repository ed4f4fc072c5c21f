//! The coupled design is a local baseline. Nothing that deploys may mention it.

use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const DEPLOYING: [&str; 3] = ["terraform", "scripts", ".github"];

/// All text files in a directory tree, except `.terraform`.
fn texts(directory: &Path) -> Vec<(PathBuf, String)> {
    let mut texts_there = Vec::new();
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.ends_with(".terraform") {
            texts_there.extend(texts(&path));
        } else if let Ok(text) = std::fs::read_to_string(&path) {
            texts_there.push((path, text));
        }
    }
    texts_there
}

#[test]
fn nothing_that_deploys_knows_the_coupled_function() {
    assert!(
        Path::new(ROOT).join("crates/coupled/src/main.rs").exists(),
        "crates/coupled was renamed: change the name in this test"
    );
    for directory in DEPLOYING {
        let texts = texts(&Path::new(ROOT).join(directory));
        assert!(!texts.is_empty(), "{directory}");
        for (path, text) in texts {
            assert!(!text.contains("coupled"), "{}", path.display());
        }
    }
    let build = std::fs::read_to_string(Path::new(ROOT).join("scripts/build")).expect("scripts/build");
    // The script must list the functions, so that a new crate is not deployed by accident.
    assert!(
        build.contains("\nfunctions=(ingest aggregator snapshot serve)\n"),
        "{build}"
    );
    assert!(build.contains(r#""${functions[@]/#/--package=}""#), "{build}");
}
