//! All permissions of all roles, as one table for review.

use std::sync::OnceLock;

use serde_json::Value;

use crate::deployment::{
    Deployment, EVENT_BUS, LEGACY, MAIL, QUESTS, WEBHOOKS, address_in_function, by_default,
};

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
    let function = |name: &str| address_in_function(name, "aws_iam_role_policy.function");
    check(
        deployment,
        &[
            ("ingest", &function("ingest")),
            ("pipe", "aws_iam_role_policy.pipe"),
            ("aggregator", &function("aggregator")),
            ("schedule", "aws_iam_role_policy.snapshot_schedule"),
            ("snapshot", &function("snapshot")),
            ("serve", &function("serve")),
            ("directory", &function("directory")),
            ("facts pipe", "aws_iam_role_policy.event_pipe[\"facts\"]"),
            ("rewards", &function("rewards")),
            ("coins pipe", "aws_iam_role_policy.event_pipe[\"coins\"]"),
            ("notifier", &function("notifier")),
            ("bridge", &function("bridge")),
            ("poster", "aws_iam_policy.post_activities"),
            ("reader", "aws_iam_policy.read_boards"),
        ],
        r#"
        ingest: dynamodb:PutItem dynamodb:PartiQLInsert dynamodb:BatchGetItem dynamodb:GetItem dynamodb:Query on table/podium-test-activities
        ingest: sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes sqs:ChangeMessageVisibility on podium-test-events
        ingest: sqs:SendMessage on podium-test-events-dlq
        pipe: dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator dynamodb:ListStreams on table/podium-test-activities/stream/2026-11-21T00:00:00.000
        pipe: sqs:SendMessage on podium-test-activities
        pipe: sqs:SendMessage on podium-test-pipe-dlq
        aggregator: dynamodb:BatchGetItem dynamodb:UpdateItem dynamodb:PutItem on table/podium-test-dedup
        aggregator: dynamodb:BatchGetItem dynamodb:PartiQLInsert dynamodb:PartiQLUpdate dynamodb:GetItem dynamodb:UpdateItem on table/podium-test-standings
        aggregator: sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes sqs:ChangeMessageVisibility on podium-test-activities
        aggregator: sqs:SendMessage on podium-test-activities-dlq
        schedule: lambda:InvokeFunction on function:podium-test-snapshot:live
        schedule: sqs:SendMessage on podium-test-snapshot-dlq
        snapshot: dynamodb:PutItem on table/podium-test-activities if {"ForAllValues:StringLike":{"dynamodb:LeadingKeys":["~heartbeat-*"]},"Null":{"dynamodb:LeadingKeys":["false"]}}
        snapshot: dynamodb:Query on table/podium-test-activities
        snapshot: dynamodb:GetItem dynamodb:Query on table/podium-test-standings
        snapshot: dynamodb:Query dynamodb:Scan on table/podium-test-people
        snapshot: dynamodb:GetItem dynamodb:PutItem on table/podium-test-snapshots
        snapshot: sqs:GetQueueAttributes on podium-test-activities
        snapshot: sqs:GetQueueAttributes on podium-test-activities-dlq
        snapshot: sqs:SendMessage on podium-test-snapshot-dlq
        serve: dynamodb:GetItem dynamodb:Query on table/podium-test-snapshots
        serve: dynamodb:GetItem dynamodb:BatchGetItem dynamodb:Query on table/podium-test-standings
        serve: dynamodb:GetItem dynamodb:BatchGetItem on table/podium-test-people
        serve: dynamodb:GetItem dynamodb:Query on table/podium-test-coins
        serve: dynamodb:GetItem dynamodb:Query on table/podium-test-coins/index/holders
        serve: dynamodb:Query on table/podium-test-activities
        directory: dynamodb:GetItem dynamodb:PutItem dynamodb:DeleteItem dynamodb:Query on table/podium-test-people
        facts pipe: dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator dynamodb:ListStreams on table/podium-test-activities/stream/2026-11-21T00:00:00.000
        facts pipe: sns:Publish on podium-test-facts
        facts pipe: sqs:SendMessage on podium-test-facts-pipe-dlq
        rewards: dynamodb:Query dynamodb:Scan on table/podium-test-activities
        rewards: dynamodb:GetItem dynamodb:Query dynamodb:PutItem dynamodb:DeleteItem dynamodb:ConditionCheckItem on table/podium-test-coins
        rewards: dynamodb:Query on table/podium-test-coins/index/holders
        rewards: dynamodb:GetItem dynamodb:PutItem on table/podium-test-progress
        rewards: dynamodb:GetItem on table/podium-test-standings
        rewards: sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes sqs:ChangeMessageVisibility on podium-test-rewards
        rewards: sqs:SendMessage on podium-test-rewards-dlq
        coins pipe: dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator dynamodb:ListStreams on table/podium-test-coins/stream/2026-01-01T00:00:00.000
        coins pipe: sns:Publish on podium-test-coins
        coins pipe: sqs:SendMessage on podium-test-coins-pipe-dlq
        notifier: dynamodb:GetItem dynamodb:PutItem on table/podium-test-notices
        notifier: dynamodb:GetItem on table/podium-test-standings
        notifier: sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes sqs:ChangeMessageVisibility on podium-test-mail
        notifier: sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes sqs:ChangeMessageVisibility on podium-test-webhook-crm
        notifier: sqs:SendMessage on podium-test-mail-dlq
        notifier: sqs:SendMessage on podium-test-webhook-crm-dlq
        notifier: secretsmanager:GetSecretValue on secret:podium/crm-AbCdEf
        notifier: sns:Publish on podium-test-coin-mail
        bridge: dynamodb:DescribeStream dynamodb:GetRecords dynamodb:GetShardIterator dynamodb:ListStreams on table/edl-Activities/stream/2026-01-01T00:00:00.000
        bridge: dynamodb:PutItem on table/edl-Activities
        bridge: dynamodb:GetItem on table/podium-test-standings
        bridge: sqs:ReceiveMessage sqs:DeleteMessage sqs:GetQueueAttributes sqs:ChangeMessageVisibility on podium-test-bridge
        bridge: sqs:SendMessage on podium-test-events
        bridge: sqs:SendMessage on podium-test-bridge-dlq
        poster: lambda:InvokeFunctionUrl on function:podium-test-ingest:live if {"StringEquals":{"lambda:FunctionUrlAuthType":"AWS_IAM"}}
        poster: lambda:InvokeFunction on function:podium-test-ingest:live if {"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}
        reader: lambda:InvokeFunctionUrl on function:podium-test-serve:live if {"StringEquals":{"lambda:FunctionUrlAuthType":"AWS_IAM"}}
        reader: lambda:InvokeFunction on function:podium-test-serve:live if {"Bool":{"lambda:InvokedViaFunctionUrl":"true"}}
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
        "readers=public".to_owned(),
        QUESTS.to_owned(),
        WEBHOOKS.to_owned(),
        MAIL.to_owned(),
        EVENT_BUS.to_owned(),
        LEGACY.to_owned(),
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
        ("directory", "module.directory.aws_iam_role_policy.function"),
        ("facts pipe", "aws_iam_role_policy.event_pipe[\"facts\"]"),
        ("rewards", "module.rewards[0].aws_iam_role_policy.function"),
        ("coins pipe", "aws_iam_role_policy.event_pipe[\"coins\"]"),
        ("notifier", "module.notifier[0].aws_iam_role_policy.function"),
        ("bridge", "module.bridge[0].aws_iam_role_policy.function"),
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
        ingest: kms:Decrypt for podium-test-events by sqs
        ingest: kms:Decrypt kms:GenerateDataKey for podium-test-events-dlq by sqs
        pipe: kms:Decrypt for podium-test-activities by dynamodb
        pipe: kms:Decrypt kms:GenerateDataKey for podium-test-activities podium-test-pipe-dlq by sqs
        aggregator: kms:Decrypt for function:podium-test-aggregator by lambda
        aggregator: kms:Decrypt for podium-test-dedup podium-test-standings by dynamodb
        aggregator: kms:Decrypt for podium-test-activities by sqs
        aggregator: kms:Decrypt kms:GenerateDataKey for podium-test-activities-dlq by sqs
        schedule: kms:Decrypt kms:GenerateDataKey for podium-test-snapshot-dlq by sqs
        snapshot: kms:Decrypt for function:podium-test-snapshot by lambda
        snapshot: kms:Decrypt for podium-test-activities podium-test-standings podium-test-snapshots podium-test-people by dynamodb
        snapshot: kms:Decrypt kms:GenerateDataKey for podium-test-snapshot-dlq by sqs
        serve: kms:Decrypt for function:podium-test-serve by lambda
        serve: kms:Decrypt for podium-test-snapshots podium-test-standings podium-test-people podium-test-coins podium-test-activities by dynamodb
        directory: kms:Decrypt for function:podium-test-directory by lambda
        directory: kms:Decrypt for podium-test-people by dynamodb
        facts pipe: kms:Decrypt for podium-test-activities by dynamodb
        facts pipe: kms:Decrypt kms:GenerateDataKey for podium-test-facts-pipe-dlq by sqs
        facts pipe: kms:Decrypt kms:GenerateDataKey for podium-test-facts by sns
        rewards: kms:Decrypt for function:podium-test-rewards by lambda
        rewards: kms:Decrypt for podium-test-activities podium-test-coins podium-test-progress podium-test-standings by dynamodb
        rewards: kms:Decrypt for podium-test-rewards by sqs
        rewards: kms:Decrypt kms:GenerateDataKey for podium-test-rewards-dlq by sqs
        coins pipe: kms:Decrypt for podium-test-coins by dynamodb
        coins pipe: kms:Decrypt kms:GenerateDataKey for podium-test-coins-pipe-dlq by sqs
        coins pipe: kms:Decrypt kms:GenerateDataKey for podium-test-coins by sns
        notifier: kms:Decrypt for function:podium-test-notifier by lambda
        notifier: kms:Decrypt for podium-test-notices podium-test-standings by dynamodb
        notifier: kms:Decrypt for podium-test-mail podium-test-webhook-crm by sqs
        notifier: kms:Decrypt kms:GenerateDataKey for podium-test-mail-dlq podium-test-webhook-crm-dlq by sqs
        notifier: kms:Decrypt kms:GenerateDataKey for podium-test-coin-mail by sns
        bridge: kms:Decrypt for function:podium-test-bridge by lambda
        bridge: kms:Decrypt for podium-test-standings by dynamodb
        bridge: kms:Decrypt for podium-test-bridge by sqs
        bridge: kms:Decrypt kms:GenerateDataKey for podium-test-events podium-test-bridge-dlq by sqs
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
        let role = deployment.of_function(name, "aws_iam_role.function");
        let policy = deployment.of_function(name, "aws_iam_role_policy.function");
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

const LOGIN: &str = r#"oidc={issuer="https://id.example.com",audiences=["podium"]}"#;
/// Every choice of who may read, with and without login and the edge.
const CHOICES: [(&str, &[&str]); 6] = [
    ("public", &["readers=public"]),
    ("public, no edge", &["readers=public", "edge=false"]),
    ("public, login", &["readers=public", LOGIN]),
    ("login", &["readers=login", LOGIN]),
    ("login, self", &["readers=login", LOGIN, "self_reporting=true"]),
    ("login, no edge", &["readers=login", LOGIN, "edge=false"]),
];

/// A deployment for each of [`CHOICES`], or none without Terraform.
fn choices() -> impl Iterator<Item = (&'static str, &'static [&'static str], &'static Deployment)> {
    static DEPLOYMENTS: OnceLock<Vec<Option<Deployment>>> = OnceLock::new();
    let deployments = DEPLOYMENTS.get_or_init(|| {
        let deploy = |(_, variables): (_, &[&'static str])| {
            let variables = variables.iter().flat_map(|variable| ["-var", variable]);
            let arguments: Vec<_> = ["-var", "environment=test"]
                .into_iter()
                .chain(variables)
                .collect();
            Deployment::mocked(&arguments)
        };
        CHOICES.into_iter().map(deploy).collect()
    });
    CHOICES
        .into_iter()
        .zip(deployments)
        .filter_map(|((name, variables), deployment)| Some((name, variables, deployment.as_ref()?)))
}

/// Who may call a function, by the policy of its alias: `ACTION by PRINCIPAL from SOURCE`, sorted.
fn callers(deployment: &Deployment, function: &str) -> Vec<String> {
    let name = format!("podium-test-{function}");
    let mut found = Vec::new();
    for (address, values) in deployment.resources() {
        let permission = if address.contains("aws_lambda_permission.") {
            let of = |key: &str| values[key].as_str().unwrap_or("-").to_owned();
            assert_eq!(of("qualifier"), "live", "{address}");
            (
                of("function_name"),
                of("action"),
                of("principal"),
                of("source_arn"),
            )
        } else if address.contains("aws_cloudcontrolapi_resource.") {
            let desired = values["desired_state"].as_str().expect("a text");
            let desired: Value = serde_json::from_str(desired).expect("JSON");
            assert_eq!(desired["InvokedViaFunctionUrl"], true, "{address}");
            let of = |key: &str| desired[key].as_str().unwrap_or("-").to_owned();
            let alias = of("FunctionName");
            let function = alias.split(':').nth(6).expect("an ARN of an alias").to_owned();
            (
                function,
                of("Action") + " by URL",
                of("Principal"),
                of("SourceArn"),
            )
        } else {
            continue;
        };
        let (function_name, action, principal, source) = permission;
        if function_name == name {
            found.push(format!("{action} by {principal} from {}", short(&source)));
        }
    }
    found.sort();
    found
}

#[test]
fn only_who_must_may_call_a_function() {
    let api = "lambda:InvokeFunction by apigateway.amazonaws.com from api1/*/*";
    let cloudfront = [
        "lambda:InvokeFunction by URL by cloudfront.amazonaws.com from distribution/E1",
        "lambda:InvokeFunctionUrl by cloudfront.amazonaws.com from distribution/E1",
    ];
    for (choice_name, variables, deployment) in choices() {
        let has_api = variables.contains(&LOGIN);
        let by_cloudfront = variables.contains(&"readers=public") && !variables.contains(&"edge=false");
        let by_api: Vec<_> = has_api.then_some(api).into_iter().collect();
        let mut expected_of_serve = Vec::new();
        if by_cloudfront {
            expected_of_serve.extend(cloudfront);
        }
        expected_of_serve.extend(by_api.iter());
        expected_of_serve.sort_unstable();
        for function in ["ingest", "directory"] {
            assert_eq!(callers(deployment, function), by_api, "{choice_name}: {function}");
        }
        assert_eq!(callers(deployment, "serve"), expected_of_serve, "{choice_name}");
        for function in ["aggregator", "snapshot"] {
            assert_eq!(
                callers(deployment, function),
                Vec::<String>::new(),
                "{choice_name}"
            );
        }
        let urls = deployment
            .resources()
            .filter(|(address, _)| address.contains("aws_lambda_function_url."));
        assert_eq!(
            urls.count(),
            2,
            "{choice_name}: nothing but tokens reaches the profiles"
        );
        for function in ["ingest", "serve"] {
            let url = deployment.resource(&format!("aws_lambda_function_url.{function}"));
            assert_eq!(url["authorization_type"], "AWS_IAM", "{choice_name}");
            assert_eq!(url["function_name"], format!("podium-test-{function}"));
            assert_eq!(url["qualifier"], "live");
        }
    }
}

/// Whether a statement's principal is everyone.
fn is_for_everyone(principal: &Value) -> bool {
    match principal {
        Value::Object(kinds) => kinds.values().any(is_for_everyone),
        Value::Null => false,
        other => strings(other).iter().any(|name| name == "*"),
    }
}

/// A `Deny` of requests without TLS is for everyone and must be. Nothing else may be.
#[test]
fn nothing_is_allowed_to_everyone() {
    for (choice_name, variables, deployment) in choices() {
        let (mut permissions, mut denials) = (0, 0);
        for (address, values) in deployment.resources() {
            if address.contains("aws_lambda_permission.") {
                permissions += 1;
                assert!(!is_for_everyone(&values["principal"]), "{choice_name}: {address}");
            }
            if let Some(desired) = values["desired_state"].as_str() {
                let desired: Value = serde_json::from_str(desired).expect("JSON");
                assert!(
                    !is_for_everyone(&desired["Principal"]),
                    "{choice_name}: {address}"
                );
            }
            // Queues and buckets have an attribute of this name, too, which AWS fills.
            let documents = ["policy", "assume_role_policy"].map(|name| values.get(name));
            let documents = documents.into_iter().flatten();
            for document in documents.filter(|_| address.contains("policy") || address.contains("role")) {
                for statement in statements(document) {
                    let everyone = is_for_everyone(&statement["Principal"]);
                    let refuses_plain = statement["Effect"] == "Deny"
                        && statement["Condition"]["Bool"]["aws:SecureTransport"] == "false";
                    assert!(
                        !everyone || refuses_plain,
                        "{choice_name}: {address}: {statement}"
                    );
                    denials += usize::from(everyone);
                }
            }
        }
        let is_called = *variables != ["readers=public", "edge=false"];
        assert!((permissions > 0) == is_called, "{choice_name}: {permissions}");
        assert!(
            denials >= 6,
            "{choice_name}: queues, topics and the bucket want TLS"
        );
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
    for (later, earlier) in [
        // Ingest accepts a kind only when the aggregator knows it.
        (
            "module.ingest.aws_lambda_function.function".to_owned(),
            "module.aggregator.aws_lambda_alias.live".to_owned(),
        ),
        // Statements that are added to one policy at once: Lambda can lose one.
        (
            "aws_cloudcontrolapi_resource.cloudfront_invokes_serve".to_owned(),
            "aws_lambda_permission.cloudfront_calls_serve_url".to_owned(),
        ),
        (
            "aws_lambda_permission.api".to_owned(),
            "aws_cloudcontrolapi_resource.cloudfront_invokes_serve".to_owned(),
        ),
        // The settings of a route need the route.
        (
            "aws_apigatewayv2_stage.this".to_owned(),
            "aws_apigatewayv2_route.this".to_owned(),
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
        (
            "aws_pipes_pipe.events".to_owned(),
            "terraform_data.event_pipe_role_is_known".to_owned(),
        ),
        (
            "terraform_data.event_pipe_role_is_known".to_owned(),
            "aws_iam_role_policy.event_pipe".to_owned(),
        ),
        // A process of rewards reads the quests when it starts.
        (
            "module.rewards.aws_lambda_function.function".to_owned(),
            "aws_dynamodb_table_item.quests".to_owned(),
        ),
        // The topic does not try again what the policy of the queue refuses.
        (
            "aws_sns_topic_subscription.rewards".to_owned(),
            "aws_sqs_queue_policy.tls_only".to_owned(),
        ),
    ] {
        let edge = format!("{later} -> {earlier};");
        assert!(graph.contains(&edge), "{edge} is not in {graph}");
    }
}
