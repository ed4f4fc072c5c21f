//! The workflows that deploy, and the compiler that they use.

use crate::sandbox::read;

const DEPLOYING: [&str; 2] = [".github/workflows/podium.yml", ".github/workflows/deploy.yml"];

/// Each job with its lines.
fn jobs(workflow: &str) -> Vec<(String, String)> {
    let (_, jobs) = read(workflow)
        .split_once("\njobs:\n")
        .map(|(head, jobs)| (head.to_owned(), jobs.to_owned()))
        .expect("jobs");
    let mut found: Vec<(String, String)> = Vec::new();
    for line in jobs.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let name = line.strip_prefix("  ").filter(|line| !line.starts_with(' '));
        match (name.and_then(|name| name.strip_suffix(':')), found.last_mut()) {
            (Some(name), _) => found.push((name.to_owned(), String::new())),
            (None, Some((_, lines))) => {
                lines.push_str(line);
                lines.push('\n');
            }
            (None, None) => {}
        }
    }
    found
}

#[test]
fn a_job_that_may_ask_for_a_role_compiles_nothing_and_verifies_what_it_deploys() {
    let mut privileged = 0;
    for workflow in DEPLOYING {
        assert!(!read(workflow).contains('\t'), "YAML knows no tabs");
        for (name, job) in jobs(workflow) {
            if !job.contains("id-token: write") {
                continue;
            }
            for builder in [
                "cargo",
                "rustup",
                "scripts/build",
                "scripts/test",
                "npm",
                "pip",
                "cache",
            ] {
                assert!(!job.contains(builder), "{workflow}: {name} has {builder}");
            }
            // A job of another workflow is checked there.
            if !job.contains("uses: ./.github/workflows/deploy.yml") {
                privileged += 1;
                assert!(job.contains("sha256sum --check --strict"), "{workflow}: {name}");
                assert!(
                    job.contains("scripts/deploy ") && job.contains("--no-build"),
                    "{workflow}: {name}"
                );
            }
        }
    }
    assert_eq!(privileged, 2, "the plan and the deployment");
}

#[test]
fn what_is_deployed_is_built_without_a_cache_or_a_token() {
    let jobs = jobs(DEPLOYING[0]);
    let (_, build) = jobs
        .iter()
        .find(|(name, _)| name == "build")
        .expect("a job that builds");
    assert!(
        build.contains("scripts/build") && build.contains("sha256sum"),
        "{build}"
    );
    for word in ["cache", "permissions:", "environment:", "secrets."] {
        assert!(!build.contains(word), "{word}: {build}");
    }
}

#[test]
fn each_promotion_waits_for_a_tested_deployment() {
    let jobs = jobs(DEPLOYING[0]);
    for (environment, needs) in [
        ("dev", "[test, build]"),
        ("staging", "[build, dev]"),
        ("prod", "[build, staging]"),
    ] {
        let (_, job) = jobs
            .iter()
            .find(|(name, _)| name == environment)
            .expect(environment);
        assert!(job.contains(&format!("needs: {needs}")), "{environment}: {job}");
        assert!(
            job.contains(&format!("environment: {environment}\n")),
            "{environment}: {job}"
        );
    }
    let deploy = read(DEPLOYING[1]);
    let (deployed, tested) = (
        deploy.find("run: scripts/deploy"),
        deploy.find("run: scripts/smoke"),
    );
    assert!(deployed.is_some() && deployed < tested, "{deploy}");
}

#[test]
fn actions_are_pinned_by_commit() {
    for workflow in DEPLOYING {
        for line in read(workflow).lines().filter(|line| line.contains("uses:")) {
            let (_, action) = line.split_once("uses: ").expect("an action");
            if action.starts_with("./") {
                continue;
            }
            let (_, version) = action.split_once('@').expect("a version");
            let (commit, release) = version.split_once(" # v").expect("a commit and its release");
            let is_commit = commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            assert!(is_commit && !release.is_empty(), "{workflow}: {line}");
        }
    }
}

#[test]
fn everything_is_built_with_one_compiler() {
    let pin = read("rust-toolchain.toml");
    let version = pin.split('"').nth(1).expect("a channel");
    assert!(
        version.starts_with(&format!("{}.", env!("CARGO_PKG_RUST_VERSION"))),
        "{version}"
    );
    let mut installed = 0;
    for workflow in [DEPLOYING[0], ".github/workflows/release.yml"] {
        for rest in read(workflow).split("rustup toolchain install ").skip(1) {
            assert_eq!(rest.split_whitespace().next(), Some(version), "{workflow}");
            installed += 1;
        }
    }
    assert_eq!(installed, 4);
    assert!(read("Dockerfile").contains(&format!("FROM rust:{version}-")));
}
