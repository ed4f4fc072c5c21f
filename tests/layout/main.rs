//! The direction of imports: which crate of the workspace may depend on which.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Each crate with the crates of the workspace that it depends on, in tests and build scripts as well.
/// A dependency may only point to a line above, so that no circle can form.
const ALLOWED: &[(&str, &[&str])] = &[
    ("domain", &[]),
    ("problem", &["domain"]),
    ("telemetry", &[]),
    ("queue", &[]),
    ("store", &["domain"]),
    ("identity", &["domain", "problem", "store"]),
    (
        "ingest",
        &["domain", "identity", "problem", "queue", "store", "telemetry"],
    ),
    ("aggregator", &["domain", "queue", "store", "telemetry"]),
    ("rewards", &["domain", "queue", "store", "telemetry"]),
    ("notifier", &["domain", "queue", "store", "telemetry"]),
    ("bridge", &["domain", "queue", "store", "telemetry"]),
    ("snapshot", &["domain", "queue", "store", "telemetry"]),
    ("serve", &["domain", "identity", "problem", "store", "telemetry"]),
    (
        "directory",
        &["domain", "identity", "problem", "store", "telemetry"],
    ),
    ("local-http", &["problem"]),
    ("local-lambda", &["local-http"]),
    ("local-sqs", &[]),
    (
        "local",
        &[
            "domain",
            "identity",
            "local-http",
            "local-lambda",
            "local-sqs",
            "problem",
            "store",
        ],
    ),
    ("terminal", &[]),
    ("client", &["domain", "store", "terminal"]),
    ("operate", &["client", "domain", "store", "terminal"]),
    ("import", &["client", "domain", "terminal"]),
    (
        "migrate",
        &[
            "bridge", "client", "domain", "import", "operate", "store", "terminal",
        ],
    ),
    (
        "lab",
        &[
            "aggregator",
            "client",
            "domain",
            "ingest",
            "local",
            "local-http",
            "operate",
            "store",
            "telemetry",
            "terminal",
        ],
    ),
    (
        "podium",
        &[
            "client", "domain", "import", "lab", "local", "migrate", "notifier", "operate", "store",
            "terminal",
        ],
    ),
];

/// The package that holds the tests of the whole system, which may depend on everything.
const TESTS: &str = "tests";

/// Each crate of the workspace with its dependencies within the workspace.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .args([
            "--manifest-path",
            concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"),
        ])
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata prints JSON");
    let text = |value: &Value| value.as_str().expect("a name").to_owned();
    let packages = metadata["packages"].as_array().expect("packages");
    let names: BTreeSet<String> = packages.iter().map(|package| text(&package["name"])).collect();
    packages
        .iter()
        .map(|package| {
            let dependencies = package["dependencies"].as_array().expect("dependencies");
            let within = dependencies
                .iter()
                .map(|dependency| text(&dependency["name"]))
                .filter(|name| names.contains(name));
            (text(&package["name"]), within.collect())
        })
        .collect()
}

#[test]
fn crates_depend_only_on_what_stands_above_them() {
    for (at, (name, allowed)) in ALLOWED.iter().enumerate() {
        for dependency in *allowed {
            let is_above = ALLOWED[..at].iter().any(|(above, _)| above == dependency);
            assert!(
                is_above,
                "{name} may not depend on {dependency}, which stands below it"
            );
        }
    }
    let mut actual = dependencies();
    actual.remove(TESTS);
    let allowed: BTreeMap<String, BTreeSet<String>> = ALLOWED
        .iter()
        .map(|(name, allowed)| {
            (
                (*name).to_owned(),
                allowed.iter().map(|name| (*name).to_owned()).collect(),
            )
        })
        .collect();
    assert_eq!(actual, allowed);
}

#[test]
fn only_the_command_line_and_the_tests_depend_on_the_laboratory() {
    let dependents: Vec<String> = dependencies()
        .into_iter()
        .filter(|(name, within)| name != TESTS && within.contains("lab"))
        .map(|(name, _)| name)
        .collect();
    assert_eq!(dependents, ["podium"]);
}
