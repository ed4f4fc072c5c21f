//! `scripts/deploy`: what it calls, in which order, and what it repeats.

use crate::sandbox::{Ended, Sandbox};

const FILES: &[&str] = &[
    "scripts/deploy",
    "scripts/check-account",
    "scripts/terraform-init",
    "terraform/variables.tf",
    "terraform/environments/dev.tfvars",
];

/// Terraform wraps its messages and draws a frame, in colour.
const PIPE_ROLE_IS_UNKNOWN: &str = r"\e[31m│\e[0m Error: waiting for EventBridge Pipes Pipe (podium-dev-activities) create: unexpected\n\e[31m│\e[0m state CREATE_FAILED, last error: Cannot access stream. Please ensure the customer\n\e[31m│\e[0m role can perform actions on source stream";
const CLOUDFRONT_IS_UNVERIFIED: &str =
    r"│ AccessDenied: Your account must be verified before you can add\n│ new CloudFront resources.";

/// Deploys dev, where each `terraform apply` ends with the next of these errors, and the others well.
fn deploy(errors: &[&str], arguments: &[&str], account: &str) -> (Ended, Vec<String>) {
    let sandbox = Sandbox::with(FILES);
    sandbox.write("target/lambda/architecture", "arm64\n");
    for (at, error) in errors.iter().enumerate() {
        sandbox.write(&format!("errors/{}", at + 1), error);
    }
    let errors = sandbox.path("errors");
    sandbox.program(
        "terraform",
        &format!(
            r#"case "$*" in
              *version) echo 'Terraform v1.11.4' ;;
              *console*) cat >/dev/null; echo '"us-east-1 podium-dev true true 29"' ;;
              *" plan "*) exit 2 ;;
              *" apply "*)
                mkdir -p '{0}'
                echo >>'{0}/applied'
                error='{0}/'$(wc -l <'{0}/applied' | tr -d ' ')
                echo 'aws_sqs_queue.activities: Creating...'
                if [ -e "$error" ]; then printf "$(cat "$error")\n" >&2; exit 1; fi ;;
              *output*) exit 1 ;;
            esac"#,
            errors.display()
        ),
    );
    sandbox.program(
        "aws",
        r"case $1 in sts) printf '111122223333\tann\n' ;; lambda) printf '1000\t1000\n' ;; *) echo E123 ;; esac",
    );
    let arguments = [&["dev", "--no-build", "--yes"], arguments].concat();
    let ended = sandbox.run("deploy", &arguments, &[("PODIUM_ACCOUNT_ID", account)]);
    let steps = ["init", "plan", "apply"];
    let calls = sandbox.calls().into_iter().filter_map(|call| {
        let mut words = call.split(' ');
        words.find(|word| steps.contains(word)).map(str::to_owned)
    });
    (ended, calls.collect())
}

#[track_caller]
fn check(errors: &[&str], status: i32, calls: &[&str], text: &str) {
    let (ended, called) = deploy(errors, &[], "");
    assert_eq!(ended.status, Some(status), "{}", ended.output);
    assert_eq!(called, calls, "{}", ended.output);
    assert!(ended.output.contains(text), "{}", ended.output);
    assert!(ended.output.contains("Creating..."), "{}", ended.output);
}

#[test]
fn only_the_role_that_aws_does_not_know_yet_is_tried_again_and_once() {
    let once = ["init", "plan", "apply"];
    let twice = ["init", "plan", "apply", "plan", "apply"];
    check(&[], 0, &once, "scripts/smoke dev");
    check(&[PIPE_ROLE_IS_UNKNOWN], 0, &twice, "once more");
    check(&[PIPE_ROLE_IS_UNKNOWN; 3], 1, &twice, "once more");
    check(
        &["Error: something else about the role"],
        1,
        &once,
        "something else",
    );
    check(&[CLOUDFRONT_IS_UNVERIFIED], 1, &once, "-var edge=false");
}

#[test]
fn a_wrong_account_is_refused_before_anything_happens() {
    let (ended, calls) = deploy(&[], &[], "444455556666");
    assert_eq!(ended.status, Some(1), "{}", ended.output);
    assert_eq!(calls, [""; 0], "{}", ended.output);
    let (ended, calls) = deploy(&[], &["--no-check"], "444455556666");
    assert_eq!((ended.status, calls.len()), (Some(2), 0), "{}", ended.output);
    let (ended, _) = deploy(&[], &["--account", "111122223333"], "444455556666");
    assert_eq!(ended.status, Some(0), "the option comes first: {}", ended.output);
}

#[test]
fn providers_are_those_of_the_lock_file() {
    let sandbox = Sandbox::with(FILES);
    sandbox.program(
        "terraform",
        "case $* in *version) echo 'Terraform v1.11.4' ;; esac",
    );
    let ended = sandbox.run("terraform-init", &["dev"], &[("PODIUM_PROVIDERS", "/providers")]);
    assert_eq!(ended.status, Some(0), "{}", ended.output);
    let calls = sandbox.calls();
    let init = calls
        .iter()
        .find(|call| call.contains(" init "))
        .expect("it initialises");
    assert!(
        init.contains("-lockfile=readonly") && init.contains("-plugin-dir=/providers"),
        "{init}"
    );
}
