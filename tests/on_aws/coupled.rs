//! The coupled design is a baseline on one machine. Nothing that deploys knows of it.

use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const DEPLOYING: [&str; 3] = ["terraform", "scripts", ".github"];

/// The files below a directory that are text, without what Terraform has put there.
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
        Path::new(ROOT).join("crates/lab/src/bin/coupled.rs").exists(),
        "the coupled function was moved: change its path in this test"
    );
    for directory in DEPLOYING {
        let texts = texts(&Path::new(ROOT).join(directory));
        assert!(!texts.is_empty(), "{directory}");
        for (path, text) in texts {
            assert!(!text.contains("coupled"), "{}", path.display());
        }
    }
    let build = std::fs::read_to_string(Path::new(ROOT).join("scripts/build")).expect("scripts/build");
    // By their names, so that a function is not built for being there.
    assert!(
        build.contains("\nfunctions=(ingest aggregator rewards notifier bridge snapshot serve directory)\n"),
        "{build}"
    );
    assert!(build.contains(r#""${functions[@]/#/--package=}""#), "{build}");
}
