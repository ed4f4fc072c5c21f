//! What `scripts/check-account` lets pass, and what it refuses before anything is created.

use crate::sandbox::Sandbox;

const FILES: &[&str] = &[
    "scripts/check-account",
    "terraform/variables.tf",
    "terraform/environments/prod.tfvars",
];

/// An account as the AWS CLI shows it: each field is what one call prints, or the error that it ends with.
#[derive(Clone, Copy)]
struct Account {
    identity: Result<&'static str, &'static str>,
    limits: Result<&'static str, &'static str>,
    /// What each function of this environment has reserved.
    reserved: Result<&'static str, &'static str>,
    distribution: Result<&'static str, &'static str>,
}

const OLD: Account = Account {
    identity: Ok(r"111122223333\tarn:aws:iam::111122223333:user/ann"),
    limits: Ok(r"1000\t1000"),
    reserved: Err("An error occurred (ResourceNotFoundException): Function not found"),
    distribution: Ok("E123"),
};
/// The values of the variables, as `terraform console` prints them.
const RESERVES_33: &str = r#""eu-central-1 podium-prod true true 33""#;
const RESERVES_NONE: &str = r#""eu-central-1 podium-prod true false 33""#;

fn prints(answer: Result<&str, &str>) -> String {
    match answer {
        Ok(text) => format!(r"printf '{text}\n'"),
        Err(text) => format!("printf '\\n{text}\\n' >&2; exit 254"),
    }
}

/// Checks how the script ends, that it prints each of these texts, and that it asked about the region.
#[track_caller]
fn check(values: &str, account: Account, arguments: &[&str], status: i32, texts: &[&str]) {
    let sandbox = Sandbox::with(FILES);
    sandbox.program("terraform", &format!("cat >/dev/null; echo '{values}'"));
    let [identity, limits, reserved, distribution] = [
        account.identity,
        account.limits,
        account.reserved,
        account.distribution,
    ]
    .map(prints);
    sandbox.program(
        "aws",
        &format!(
            "case \"$1 $2\" in
              'sts get-caller-identity') {identity} ;;
              'lambda get-account-settings') {limits} ;;
              'lambda get-function-concurrency') {reserved} ;;
              'cloudfront list-distributions') {distribution} ;;
              *) echo \"unknown: $*\" >&2; exit 1 ;;
            esac"
        ),
    );
    let ended = sandbox.run("check-account", &[&["prod"], arguments].concat(), &[]);
    assert_eq!(ended.status, Some(status), "{}", ended.output);
    for text in texts {
        assert!(ended.output.contains(text), "{text}: {}", ended.output);
    }
    let calls = sandbox.calls();
    let mut asked = calls.iter().filter(|call| call.starts_with("aws "));
    assert!(
        asked.all(|call| call.contains("--region eu-central-1")),
        "{calls:?}"
    );
}

#[test]
fn an_account_with_room_passes_and_is_named() {
    check(
        RESERVES_33,
        OLD,
        &["--account", "111122223333"],
        0,
        &[
            "AWS account 111122223333, region eu-central-1",
            "33 of 1000",
            "967 left",
        ],
    );
}

#[test]
fn another_account_is_refused() {
    let arguments = ["--account", "444455556666"];
    check(
        RESERVES_33,
        OLD,
        &arguments,
        1,
        &["111122223333", "belongs to 444455556666"],
    );
    check(RESERVES_33, OLD, &["--account", "prod"], 2, &["12 digits"]);
}

#[test]
fn missing_credentials_and_a_wrong_region_are_told_apart() {
    let unsigned = Account {
        identity: Err("Unable to locate credentials"),
        ..OLD
    };
    check(
        RESERVES_33,
        unsigned,
        &[],
        1,
        &["Unable to locate credentials", "Sign in"],
    );
    let disabled = Account {
        limits: Err("An error occurred (UnrecognizedClientException): The security token is invalid."),
        ..OLD
    };
    check(
        RESERVES_33,
        disabled,
        &[],
        1,
        &["eu-central-1", "enabled this region"],
    );
}

#[test]
fn a_reservation_must_fit_into_what_others_leave() {
    let limits = |text| Account {
        limits: Ok(text),
        ..OLD
    };
    let new = limits(r"10\t10");
    check(
        RESERVES_33,
        new,
        &[],
        1,
        &[
            "reserve 33",
            "can reserve 0",
            "quota is 10",
            "reserve_concurrency = false",
        ],
    );
    check(RESERVES_33, limits(r"1000\t133"), &[], 0, &["100 left"]);
    check(
        RESERVES_33,
        limits(r"1000\t132"),
        &[],
        1,
        &["can reserve 32", "others have reserved 868"],
    );
    // Eight functions that hold 10 each already: the deployment replaces their reservations.
    let deployed = Account {
        reserved: Ok("10"),
        ..limits(r"1000\t100")
    };
    check(RESERVES_33, deployed, &[], 0, &["147 left"]);
    check(
        RESERVES_NONE,
        new,
        &[],
        0,
        &["Note: prod reserves no concurrency", "133 or more"],
    );
}

#[test]
fn what_cannot_be_known_is_said() {
    let denied = Account {
        limits: Err("An error occurred (AccessDeniedException) when calling GetAccountSettings"),
        distribution: Ok("None"),
        ..OLD
    };
    check(
        RESERVES_33,
        denied,
        &[],
        0,
        &[
            "lambda:GetAccountSettings",
            "whether CloudFront accepts this account",
        ],
    );
    check(RESERVES_33, OLD, &[], 0, &["AWS has verified it"]);
}

/// The values come from the environment's file and from the arguments of the plan.
#[test]
fn terraform_evaluates_what_is_deployed() {
    let sandbox = Sandbox::with(FILES);
    let Ok(installed) = std::process::Command::new("terraform").arg("version").output() else {
        eprintln!("skipped: Terraform is not installed");
        return;
    };
    assert!(installed.status.success());
    sandbox.program(
        "aws",
        r"case $1 in sts) printf '111122223333\tann\n' ;; lambda) printf '1000\t1000\n' ;; esac",
    );
    let larger = "function_concurrency={ingest=100,aggregator=50,serve=30}";
    sandbox.write("terraform/more.tfvars", "region = \"eu-west-1\"\n");
    let arguments = [
        "prod",
        "--",
        "-lock=false",
        "-var",
        larger,
        "-var-file=more.tfvars",
        "-var=readers=public",
    ];
    let ended = sandbox.run("check-account", &arguments, &[]);
    assert_eq!(ended.status, Some(0), "{}", ended.output);
    assert!(ended.output.contains("185 of 1000"), "{}", ended.output);
    assert!(ended.output.contains("region eu-west-1"), "{}", ended.output);
    let nowhere = ["prod", "--", "-var=readers=public", "-var=region=nowhere"];
    let ended = sandbox.run("check-account", &nowhere, &[]);
    assert_eq!(ended.status, Some(1), "{}", ended.output);
    // A choice that is missing leaves the other values as they are.
    let ended = sandbox.run("check-account", &["prod"], &[]);
    assert_eq!(ended.status, Some(1), "{}", ended.output);
    assert!(ended.output.contains("Choose who may read"), "{}", ended.output);
}
