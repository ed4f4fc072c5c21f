//! Finds the functions in `examples`, which the tests run as processes.

use std::path::PathBuf;

/// Cargo puts examples in a directory next to that of the running test.
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let profile = test
        .ancestors()
        .nth(2)
        .expect("cargo runs tests in target/PROFILE/deps");
    let binary = profile.join("examples").join(name);
    assert!(
        binary.exists(),
        "{} is missing; build it first: cargo build -p local-lambda --examples",
        binary.display()
    );
    binary
}
