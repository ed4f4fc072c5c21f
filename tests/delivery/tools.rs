//! What `scripts/install-tool` installs is pinned by hashes.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::sandbox::{ROOT, Sandbox, read};

const TOOLS: [&str; 4] = ["aws", "cargo-lambda", "checkov", "ministack"];

#[test]
fn every_package_has_its_hashes() {
    let files = fs::read_dir(Path::new(ROOT).join("scripts/requirements")).expect("the pins");
    let files = files.map(|file| file.expect("a file").file_name().into_string().expect("a name"));
    let expected = TOOLS
        .iter()
        .flat_map(|tool| [format!("{tool}.in"), format!("{tool}.txt")]);
    assert_eq!(files.collect::<BTreeSet<_>>(), expected.collect());
    for tool in TOOLS {
        let pins = read(&format!("scripts/requirements/{tool}.txt"));
        assert!(!pins.contains("://"), "{tool}: the pins name a host");
        let lines = pins.lines().filter(|line| !line.trim_start().starts_with('#'));
        let lines: Vec<_> = lines.collect();
        let starts = (0..lines.len()).filter(|&at| !lines[at].starts_with(' '));
        let mut packages = 0;
        for at in starts {
            assert!(
                lines[at].contains("==") && lines[at].ends_with('\\'),
                "{tool}: {}",
                lines[at]
            );
            let hash = lines.get(at + 1).copied().unwrap_or_default();
            assert!(
                hash.trim_start().starts_with("--hash=sha256:"),
                "{tool}: {}",
                lines[at]
            );
            packages += 1;
        }
        assert!(packages > 0, "{tool}");
        // What is asked for is what is pinned.
        let wanted = read(&format!("scripts/requirements/{tool}.in"));
        for line in wanted.lines().filter(|line| !line.starts_with('#')) {
            assert!(
                pins.contains(&format!("\n{line} \\\n")),
                "{tool}.txt is older than {line}"
            );
        }
    }
}

#[test]
fn nothing_is_installed_without_its_hash() {
    let pins = TOOLS.map(|tool| format!("scripts/requirements/{tool}.txt"));
    let mut files: Vec<_> = pins.iter().map(String::as_str).collect();
    files.push("scripts/install-tool");
    let sandbox = Sandbox::with(&files);
    let calls = sandbox.path("calls");
    // As `python3 -m venv DIRECTORY`, with a pip that writes down how it is called.
    sandbox.program(
        "python3",
        &format!(
            "if [ \"$2\" = venv ]; then
               mkdir -p \"$3/bin\"
               printf '#!/bin/sh\\necho pip \"$@\" >>{}\\n' >\"$3/bin/pip\"
               chmod +x \"$3/bin/pip\"
             fi",
            calls.display()
        ),
    );
    for tool in TOOLS {
        let ended = sandbox.run("install-tool", &[tool], &[]);
        assert_eq!(ended.status, Some(0), "{}", ended.output);
    }
    let installed: Vec<_> = sandbox
        .calls()
        .into_iter()
        .filter(|call| call.starts_with("pip "))
        .collect();
    assert_eq!(installed.len(), TOOLS.len(), "{installed:?}");
    for (call, pins) in installed.iter().zip(pins) {
        for option in [
            "--require-hashes",
            "--only-binary :all:",
            &format!("--requirement {pins}"),
        ] {
            assert!(call.contains(option), "{option}: {call}");
        }
    }
}
