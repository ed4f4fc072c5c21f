//! All permissions of all roles, as one table for review.

use serde_json::Value;

use crate::deployment::{Deployment, by_default};

/// The `Sid`s of statements that every function has.
const OF_EVERY_FUNCTION: [&str; 2] = ["Log", "Trace"];

fn strings(value: &Value) -> Vec<String> {
    match value {
        Value::String(text) => vec![text.clone()],
        Value::Array(list) => list.iter().flat_map(strings).collect(),
        _ => panic!("neither a string nor a list: {value}"),
    }
}

/// The resource part of an ARN, such as `table/podium-test-activities`.
fn short(arn: &str) -> &str {
    arn.splitn(6, ':').nth(5).unwrap_or(arn)
}

fn statements(policy: &Value) -> Vec<Value> {
    let policy: Value = serde_json::from_str(policy.as_str().expect("a policy is a text")).expect("of JSON");
    policy["Statement"].as_array().expect("a list").clone()
}

/// One line per statement and resource that a policy allows.
fn allowed(policy: &Value, lines_begin_with: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for statement in statements(policy) {
        if OF_EVERY_FUNCTION.contains(&statement["Sid"].as_str().unwrap_or_default()) {
            continue;
        }
        let condition = match &statement["Condition"] {
            Value::Null => String::new(),
            condition => format!(" if {condition}"),
        };
        for resource in strings(&statement["Resource"]) {
            let actions = strings(&statement["Action"]).join(" ");
            lines.push(format!(
                "{lines_begin_with}: {actions} on {}{condition}",
                short(&resource)
            ));
        }
    }
    lines
}

fn check(deployment: &Deployment, policies: &[(&str, &str)], expected: &str) {
    let lines: Vec<_> = policies
        .iter()
        .flat_map(|(who, address)| allowed(&deployment.resource(address)["policy"], who))
        .collect();
    let expected: Vec<_> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));
}

#[test]
fn each_role_may_do_what_its_stage_does_and_no_more() {
    let Some(deployment) = by_default() else { return };
    let function = |name: &str| format!("module.{name}.aws_iam_role_policy.function");
    check(
        deployment,
        &[
            ("ingest", &function("ingest")),
            ("pipe", "aws_iam_role_policy.pipe"),
            ("aggregator", &function("aggregator")),
            ("schedule", "aws_iam_role_policy.snapshot_schedule"),
            ("snapshot", &function("snapshot")),
            ("serve", &function("serve")),
            ("client", "aws_iam_policy.post_activities"),
        ],
        r#"
        ingest: dynamodb:PutItem dynamodb:PartiQLInsert dynamodb:BatchGetItem on table/podium-test-activities
        pipe: dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator dynamodb:ListStreams on table/podium-test-activities/stream/2026-11-21T00:00:00.000
        pipe: sqs:SendMessage on podium-test-activities
        pipe: sqs:SendMessage on podium-test-pipe-dlq
        aggregator: dynamodb:BatchGetItem dynamodb:UpdateItem on table/podium-test-dedup
        aggregator: dynamodb:BatchGetItem dynamodb:PartiQLInsert dynamodb:PartiQLUpdate dynamodb:GetItem dynamodb:UpdateItem on table/podium-test-standings
        aggregator: sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes sqs:ChangeMessageVisibility on podium-test-activities
        aggregator: sqs:SendMessage on podium-test-activities-dlq
        schedule: lambda:InvokeFunction on function:podium-test-snapshot:live
        schedule: sqs:SendMessage on podium-test-snapshot-dlq
        snapshot: dynamodb:PutItem on table/podium-test-activities if {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["~heartbeat-*"]},"Null":{"dynamodb:LeadingKeys":["false"]}}
        snapshot: dynamodb:Query on table/podium-test-activities
        snapshot: dynamodb:GetItem dynamodb:Query on table/podium-test-standings
        snapshot: dynamodb:GetItem dynamodb:PutItem on table/podium-test-snapshots
        snapshot: sqs:GetQueueAttributes on podium-test-activities
        snapshot: sqs:GetQueueAttributes on podium-test-activities-dlq
        snapshot: sqs:SendMessage on podium-test-snapshot-dlq
        serve: dynamodb:GetItem on table/podium-test-snapshots
        serve: dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query on table/podium-test-standings
        client: lambda:InvokeFunctionUrl on function:podium-test-ingest:live if {"StringEquals":{"lambda:FunctionUrlAuthType":"AWS_IAM"}}
        client: lambda:InvokeFunction on function:podium-test-ingest:live if {"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}
        "#,
    );
}

/// What each role may do with the key, as `ACTIONS for CONTEXTS by SERVICE`.
fn uses_of_the_key(deployment: &Deployment, address: &str) -> Vec<String> {
    let mut uses = Vec::new();
    for statement in statements(&deployment.resource(address)["policy"]) {
        let actions = strings(&statement["Action"]);
        if !actions.iter().any(|action| action.starts_with("kms:")) {
            continue;
        }
        assert_eq!(strings(&statement["Resource"]), [KEY], "{address}");
        let condition = statement["Condition"].as_object().expect("a condition");
        assert_eq!(condition.len(), 1, "{statement}");
        let mut equals = condition["StringEquals"].as_object().expect("equalities").clone();
        // The context names the function, so it needs no service.
        let service = equals.remove("kms:ViaService").unwrap_or_else(|| {
            assert_eq!(statement["Sid"], "DecryptEnvironment", "{statement}");
            "lambda".into()
        });
        assert_eq!(equals.len(), 1, "one encryption context: {statement}");
        let contexts: Vec<_> = equals.values().flat_map(strings).collect();
        let contexts: Vec<_> = contexts.iter().map(|context| short(context)).collect();
        uses.push(format!(
            "{} for {} by {}",
            actions.join(" "),
            contexts.join(" "),
            strings(&service)
                .join(" ")
                .trim_end_matches(".us-east-1.amazonaws.com")
        ));
    }
    uses
}

const KEY: &str = "arn:aws:kms:us-east-1:111122223333:key/12345678-1234-1234-1234-123456789012";
const BOUNDARY: &str = "arn:aws:iam::111122223333:policy/boundary";

#[test]
fn each_role_may_use_the_key_for_its_own_tables_and_queues() {
    let variables = [
        "environment=test".to_owned(),
        format!("kms_key_arn={KEY}"),
        format!("permissions_boundary_arn={BOUNDARY}"),
    ];
    let arguments: Vec<_> = variables.iter().flat_map(|variable| ["-var", variable]).collect();
    let Some(deployment) = Deployment::mocked(&arguments) else {
        return;
    };
    let roles = [
        ("ingest", "module.ingest.aws_iam_role_policy.function"),
        ("pipe", "aws_iam_role_policy.pipe"),
        ("aggregator", "module.aggregator.aws_iam_role_policy.function"),
        ("schedule", "aws_iam_role_policy.snapshot_schedule"),
        ("snapshot", "module.snapshot.aws_iam_role_policy.function"),
        ("serve", "module.serve.aws_iam_role_policy.function"),
    ];
    let lines: Vec<_> = roles
        .iter()
        .flat_map(|(role, address)| {
            let uses = uses_of_the_key(&deployment, address);
            uses.into_iter().map(move |uses| format!("{role}: {uses}"))
        })
        .collect();
    let expected = r"
        ingest: kms:Decrypt for function:podium-test-ingest by lambda
        ingest: kms:Decrypt for podium-test-activities by dynamodb
        pipe: kms:Decrypt for podium-test-activities by dynamodb
        pipe: kms:Decrypt kms:GenerateDataKey for podium-test-activities podium-test-pipe-dlq by sqs
        aggregator: kms:Decrypt for function:podium-test-aggregator by lambda
        aggregator: kms:Decrypt for podium-test-dedup podium-test-standings by dynamodb
        aggregator: kms:Decrypt for podium-test-activities by sqs
        aggregator: kms:Decrypt kms:GenerateDataKey for podium-test-activities-dlq by sqs
        schedule: kms:Decrypt kms:GenerateDataKey for podium-test-snapshot-dlq by sqs
        snapshot: kms:Decrypt for function:podium-test-snapshot by lambda
        snapshot: kms:Decrypt for podium-test-activities podium-test-standings podium-test-snapshots by dynamodb
        snapshot: kms:Decrypt kms:GenerateDataKey for podium-test-snapshot-dlq by sqs
        serve: kms:Decrypt for function:podium-test-serve by lambda
        serve: kms:Decrypt for podium-test-snapshots podium-test-standings by dynamodb
    ";
    let expected: Vec<_> = expected.trim().lines().map(str::trim).collect();
    assert_eq!(lines, expected, "\n{}", lines.join("\n"));

    let bounded: Vec<_> = deployment
        .resources()
        .filter(|(address, _)| address.contains("aws_iam_role."))
        .map(|(_, role)| &role["permissions_boundary"])
        .collect();
    assert_eq!(bounded.len(), roles.len());
    assert!(
        bounded.iter().all(|boundary| *boundary == BOUNDARY),
        "{bounded:?}"
    );
}

/// `ForAllValues` is true of a request that lacks the key, so a statement must also refuse that.
#[test]
fn a_condition_on_all_values_needs_a_value() {
    let Some(deployment) = by_default() else { return };
    for (address, values) in deployment.resources() {
        // Queues and buckets have an attribute of this name, too, which AWS fills.
        let Some(policy) = values.get("policy").filter(|_| address.contains("policy.")) else {
            continue;
        };
        for statement in statements(policy) {
            let Some(conditions) = statement["Condition"].as_object() else {
                continue;
            };
            let for_all = conditions
                .iter()
                .filter(|(test, _)| test.starts_with("ForAllValues:"));
            for key in for_all.flat_map(|(_, keys)| keys.as_object().expect("keys").keys()) {
                assert_eq!(
                    strings(&conditions["Null"][key.as_str()]),
                    ["false"],
                    "{address}: {key} of {statement}"
                );
            }
        }
    }
}

#[test]
fn each_function_has_its_own_role_and_log() {
    let Some(deployment) = by_default() else { return };
    for name in crate::deployment::FUNCTIONS {
        let role = deployment.resource(&format!("module.{name}.aws_iam_role.function"));
        let policy = deployment.resource(&format!("module.{name}.aws_iam_role_policy.function"));
        let function = deployment.function(name);
        assert_eq!(function["role"], role["arn"], "{name}");
        assert_eq!(policy["role"], role["id"], "{name}");
        assert_eq!(
            function["logging_config"][0]["log_group"],
            format!("/aws/lambda/podium-test-{name}"),
            "{name}"
        );
    }
}

#[test]
fn every_resource_is_allowed_by_name_but_for_traces() {
    let Some(deployment) = by_default() else { return };
    for (address, values) in deployment.resources() {
        let policies = ["aws_iam_role_policy.", "aws_iam_policy."];
        if !policies.iter().any(|kind| address.contains(kind)) {
            continue;
        }
        for statement in statements(&values["policy"]) {
            let wide = strings(&statement["Resource"])
                .iter()
                .any(|resource| resource == "*");
            assert_eq!(wide, statement["Sid"] == "Trace", "{address}: {statement}");
            for action in strings(&statement["Action"]) {
                assert!(!action.contains('*'), "{address}: {action}");
            }
        }
    }
}

/// The statements that let anyone call a function's URL.
fn public(deployment: &Deployment, url: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (address, values) in deployment.resources() {
        if !address.starts_with(&format!("module.{url}.")) {
            continue;
        }
        if address.contains("aws_lambda_permission") {
            let (action, auth) = (&values["action"], &values["function_url_auth_type"]);
            found.push(format!("{action} by {} if auth is {auth}", values["principal"]));
        }
        if address.contains("aws_cloudcontrolapi_resource") {
            let desired: Value = serde_json::from_str(values["desired_state"].as_str().unwrap()).unwrap();
            found.push(desired.to_string());
        }
    }
    found
}

#[test]
fn boards_are_public_by_both_permissions_and_posting_is_not() {
    let Some(deployment) = by_default() else { return };
    assert_eq!(public(deployment, "ingest_url"), Vec::<String>::new());
    assert_eq!(
        deployment.resource("module.ingest_url.aws_lambda_function_url.this")["authorization_type"],
        "AWS_IAM"
    );
    assert_eq!(
        public(deployment, "serve_url"),
        [
            r#"{"Action":"lambda:InvokeFunction","FunctionName":"arn:aws:lambda:us-east-1:111122223333:function:podium-test-serve:live","InvokedViaFunctionUrl":true,"Principal":"*"}"#,
            r#""lambda:InvokeFunctionUrl" by "*" if auth is "NONE""#,
        ]
    );
    for name in ["ingest", "serve"] {
        let url = deployment.resource(&format!("module.{name}_url.aws_lambda_function_url.this"));
        assert_eq!(url["function_name"], format!("podium-test-{name}"));
        assert_eq!(url["qualifier"], "live");
    }
}

/// The edges of Terraform's graph: `a -> b` if `a` is made after `b`.
#[test]
fn what_needs_something_else_waits_for_it() {
    let Some(mut terraform) = crate::deployment::terraform() else {
        return;
    };
    let output = terraform.arg("graph").output().expect("Terraform runs");
    let graph = String::from_utf8_lossy(&output.stdout).replace('"', "");
    let url = |name: &str| format!("module.{name}_url.aws");
    for (later, earlier) in [
        // Ingest accepts a kind only when the aggregator knows it.
        (
            "module.ingest.aws_lambda_function.function".to_owned(),
            "module.aggregator.aws_lambda_alias.live".to_owned(),
        ),
        // Two statements that are added to one policy at once: Lambda can lose one.
        (
            url("serve") + "_lambda_permission.public_url",
            url("serve") + "_lambda_function_url.this",
        ),
        (
            url("serve") + "_cloudcontrolapi_resource.public_invocation",
            url("serve") + "_lambda_permission.public_url",
        ),
        // The policy of the pipe's role must be known when the pipe is made.
        (
            "aws_pipes_pipe.activities".to_owned(),
            "terraform_data.pipe_role_is_known".to_owned(),
        ),
        (
            "terraform_data.pipe_role_is_known".to_owned(),
            "aws_iam_role_policy.pipe".to_owned(),
        ),
    ] {
        let edge = format!("{later} -> {earlier};");
        assert!(graph.contains(&edge), "{edge} is not in {graph}");
    }
}

#[test]
fn urls_are_opened_and_closed_by_variables() {
    let open = ["-var", "environment=test", "-var", "ingest_auth=NONE"];
    let Some(open) = Deployment::mocked(&open) else {
        return;
    };
    assert_eq!(public(&open, "ingest_url").len(), 2);

    let closed = [
        "-var",
        "environment=test",
        "-var",
        "serve_auth=AWS_IAM",
        "-var",
        "dashboard=false",
    ];
    let Some(closed) = Deployment::mocked(&closed) else {
        return;
    };
    assert_eq!(public(&closed, "serve_url"), Vec::<String>::new());
}
