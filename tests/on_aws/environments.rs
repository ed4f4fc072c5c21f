//! The differences between the environments that come with Podium.

use serde_json::{Value, json};

use crate::deployment::{Deployment, QUESTS, module, terraform};

fn facts(environment: &str) -> Option<Value> {
    let file = format!("-var-file=environments/{environment}.tfvars");
    // Only dev has a default.
    let chosen = if environment == "dev" {
        vec![]
    } else {
        vec!["-var", "readers=public"]
    };
    let deployment = Deployment::mocked(&[&[file.as_str(), "-var", QUESTS], &chosen[..]].concat())?;
    let table = deployment.resource("aws_dynamodb_table.activities");
    for (address, other) in deployment.resources() {
        if address.starts_with("aws_dynamodb_table.") {
            let is_protected = "deletion_protection_enabled";
            assert_eq!(
                other[is_protected], table[is_protected],
                "{environment}: {address}"
            );
        }
    }
    // Profiles cannot be rebuilt either, nor can who was first among those of a limited supply.
    let restorable = |table: &Value| table["point_in_time_recovery"][0]["enabled"].clone();
    for kept in ["people", "coins[0]"] {
        let kept = deployment.resource(&format!("aws_dynamodb_table.{kept}"));
        assert_eq!(restorable(kept), restorable(table), "{environment}");
    }
    let ingest = deployment.function("ingest");
    let mapping = deployment.resource("aws_lambda_event_source_mapping.activities");
    Some(json!({
        "table": table["name"],
        "deletion_protection": table["deletion_protection_enabled"],
        "restorable": restorable(table),
        "reserved": ingest["reserved_concurrent_executions"],
        "batch_size": mapping["batch_size"],
        "log_level": deployment.environment("ingest")["LOG_LEVEL"],
        "serve_reserved": deployment.function("serve")["reserved_concurrent_executions"],
        "log_days": deployment.resource("module.ingest.aws_cloudwatch_log_group.function")["retention_in_days"],
        "readers": deployment.environment("serve")["READERS"],
    }))
}

/// `serve_reserved` bounds what a client without login can cost: see `function_concurrency` in
/// `terraform/variables.tf`.
#[test]
fn environments_differ_in_what_they_are_for() {
    let expected = json!({
        "dev": {
            "table": "podium-dev-activities", "deletion_protection": false, "restorable": false,
            "reserved": 20, "batch_size": 10, "log_days": 7, "readers": "public", "serve_reserved": 4,
            "log_level": "info",
        },
        "staging": {
            "table": "podium-staging-activities", "deletion_protection": false, "restorable": true,
            "reserved": 20, "batch_size": 500, "log_days": 14, "readers": "public", "serve_reserved": 4,
            "log_level": "info",
        },
        "prod": {
            "table": "podium-prod-activities", "deletion_protection": true, "restorable": true,
            "reserved": 20, "batch_size": 500, "log_days": 90, "readers": "public", "serve_reserved": 4,
            "log_level": "info",
        },
    });
    let Some(module) = module() else { return };
    let files = std::fs::read_dir(module.join("environments")).expect("the directory is there");
    for file in files {
        let name = file.expect("its entries can be read").file_name();
        let name = name.to_string_lossy();
        let environment = name.strip_suffix(".tfvars").expect("only variable files");
        let Some(facts) = facts(environment) else { return };
        assert_eq!(facts, expected[environment], "{environment}");
    }
}

/// Whoever deploys staging or prod says who may read.
#[test]
fn only_dev_is_public_without_a_choice() {
    for environment in ["staging", "prod"] {
        let Some(mut terraform) = terraform() else { return };
        let output = terraform
            .args(["test", "-no-color", "-test-directory=tests/deployments"])
            .arg(format!("-var-file=environments/{environment}.tfvars"))
            .output()
            .expect("Terraform runs");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{environment}: {said}");
        // Terraform wraps its messages within a frame.
        let said = said.replace('│', " ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        let wanted = format!("Choose who may read the boards of {environment}, user ids included");
        assert!(said.contains(&wanted), "{said}");
    }
}
