//! Deploys the environment dev to the emulator with real Terraform and real zips.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::deployment::module;
use crate::emulator::Emulator;

/// The directory of the zips that `scripts/build --arch x86_64` made.
const ZIPS: &str = "PODIUM_TEST_ZIPS";

pub struct Applied<'a> {
    emulator: &'a Emulator,
    module: PathBuf,
    zips: PathBuf,
    /// Further variables, as `NAME=VALUE`.
    variables: Vec<String>,
    /// Holds Terraform's state, so that none is left in the module's directory.
    directory: TempDir,
}

impl<'a> Applied<'a> {
    /// Applies the environment dev with these variables. Prints why and returns `None` without the zips or Terraform.
    pub async fn apply(emulator: &'a Emulator, variables: &[String]) -> Option<Self> {
        let Some(zips) = std::env::var_os(ZIPS).map(PathBuf::from) else {
            eprintln!(
                "skipped: set {ZIPS} to the directory that scripts/build --arch x86_64 --output wrote the zips to"
            );
            return None;
        };
        let applied = Self {
            emulator,
            module: module()?,
            zips,
            variables: variables.to_vec(),
            directory: TempDir::new().expect("a temporary directory"),
        };
        applied.on_dev("apply", &["-auto-approve"]).await;
        Some(applied)
    }

    /// Changes variables in place.
    pub async fn change(&mut self, variables: &[String]) {
        self.variables = variables.to_vec();
        self.on_dev("apply", &["-auto-approve"]).await;
    }

    /// Plans again after the apply. The plan should change nothing.
    pub async fn second_plan(&self) -> Plan {
        self.plan("terraform.tfstate").await
    }

    /// Plans from a state in which resources have the addresses that they had in an earlier version.
    pub async fn plan_after_addresses(&self, earlier: &[(&str, &str)]) -> Plan {
        let state = "earlier.tfstate";
        let path = self.directory.path();
        std::fs::copy(path.join("terraform.tfstate"), path.join(state)).expect("a copy");
        let argument = format!("-state={}", path.join(state).display());
        for (before, now) in earlier {
            self.succeed(&["state", "mv", &argument, now, before]).await;
        }
        self.plan(state).await
    }

    async fn plan(&self, state: &str) -> Plan {
        let file = self.directory.path().join("new.tfplan").display().to_string();
        self.with_state(state, "plan", &[&format!("-out={file}")]).await;
        let shown = self.succeed(&["show", "-json", &file]).await;
        Plan(serde_json::from_str(&shown).expect("Terraform prints JSON"))
    }

    pub async fn output(&self, name: &str) -> String {
        let output = self.succeed(&["output", &self.state(), "-raw", name]).await;
        output.trim().to_owned()
    }

    /// The emulator's address for a function URL. On AWS each function URL has its own host.
    pub async fn function_url(&self, name: &str) -> String {
        let url = self.output(name).await;
        let id = url
            .strip_prefix("https://")
            .and_then(|host| host.split('.').next());
        format!(
            "{}/_aws/lambda-url/{}/",
            self.emulator.url,
            id.expect("a function URL")
        )
    }

    /// The emulator's address for the HTTP API. On AWS each has its own host.
    pub async fn api_url(&self) -> String {
        let url = self.output("api_url").await;
        let id = url
            .strip_prefix("https://")
            .and_then(|host| host.split('.').next());
        format!(
            "{}/_aws/execute-api/{}/$default/",
            self.emulator.url,
            id.expect("the HTTP API's URL")
        )
    }

    /// Destroys the deployment and returns the resources left in the state, which should be none.
    pub async fn destroy(self) -> String {
        self.on_dev("destroy", &["-auto-approve"]).await;
        self.succeed(&["state", "list", &self.state()]).await
    }

    fn state(&self) -> String {
        format!(
            "-state={}",
            self.directory.path().join("terraform.tfstate").display()
        )
    }

    async fn on_dev(&self, command: &str, arguments: &[&str]) -> String {
        self.with_state("terraform.tfstate", command, arguments).await
    }

    async fn with_state(&self, state: &str, command: &str, arguments: &[&str]) -> String {
        let zips = format!("-var=functions_dir={}", self.zips.display());
        let state = format!("-state={}", self.directory.path().join(state).display());
        let mut all = vec![command, "-input=false", "-no-color", &state, &zips];
        all.extend([
            "-var-file=environments/dev.tfvars",
            "-var=emulated=true",
            "-var=architecture=x86_64",
            // A role's permissions are known at once there.
            "-var=role_propagation_seconds=0",
        ]);
        let variables = self
            .variables
            .iter()
            .flat_map(|variable| ["-var", variable.as_str()]);
        all.extend(variables);
        all.extend(arguments);
        self.succeed(&all).await
    }

    async fn succeed(&self, arguments: &[&str]) -> String {
        let Output {
            status,
            stdout,
            stderr,
        } = self
            .emulator
            .command("terraform")
            // The emulator ends a connection of HTTP/2 after a thousand requests, in the middle of some.
            .env("GODEBUG", "http2client=0")
            .arg(format!("-chdir={}", self.module.display()))
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .await
            .expect("Terraform runs");
        let (said, error) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "terraform {arguments:?}: {error}\n{said}");
        said.into_owned()
    }
}

/// A plan as `terraform show -json` prints it.
pub struct Plan(Value);

impl Plan {
    /// The planned changes, as `ADDRESS ATTRIBUTE: BEFORE -> AFTER`, or `ADDRESS ACTIONS` for a resource that would not
    /// be updated. Leaves out what the emulator accepted and does not return: see [`is_not_returned`].
    pub fn differences(&self) -> Vec<String> {
        let changes = self.0["resource_changes"].as_array().expect("a list of changes");
        changes
            .iter()
            .filter(|change| change["mode"] == "managed" && change["change"]["actions"] != json!(["no-op"]))
            .flat_map(differences)
            .collect()
    }

    /// The resources that get another address, as `BEFORE -> NOW`.
    pub fn moved(&self) -> Vec<String> {
        let changes = self.0["resource_changes"].as_array().expect("a list of changes");
        let moved = changes.iter().filter_map(|change| {
            let before = change["previous_address"].as_str()?;
            Some(format!("{before} -> {}", change["address"].as_str()?))
        });
        moved.collect()
    }

    /// The planned attributes of a resource in the root module.
    pub fn resource(&self, address: &str) -> &Value {
        let resources = self.0["planned_values"]["root_module"]["resources"].as_array();
        let resource = resources
            .into_iter()
            .flatten()
            .find(|resource| resource["address"] == address);
        &resource.unwrap_or_else(|| panic!("there is no {address}"))["values"]
    }
}

/// The attributes that a change affects.
fn differences(change: &Value) -> Vec<String> {
    let address = change["address"].as_str().expect("a resource has an address");
    let actions = &change["change"]["actions"];
    // An attribute that is not returned may also force a replacement.
    if *actions != json!(["update"]) && *actions != json!(["delete", "create"]) {
        return vec![format!("{address} {actions}")];
    }
    let (before, after) = (&change["change"]["before"], &change["change"]["after"]);
    let unknown = &change["change"]["after_unknown"];
    let attributes = after.as_object().expect("a planned resource has attributes");
    attributes
        .keys()
        // Attributes known only after the apply follow from the other changes.
        .filter(|name| before[*name] != after[*name] && unknown[*name] != true)
        .filter(|name| !is_not_returned(&before[*name], &after[*name]))
        .map(|name| format!("{address} {name}: {} -> {}", before[name], after[name]))
        .collect()
}

/// Whether the emulator, and not the module, is the cause of a change: what is read has no content, and what was applied
/// has some or was not set at all. A module that sets an empty block, or a value that AWS reads in another form, changes
/// its resource in every plan on AWS, too.
fn is_not_returned(read: &Value, applied: &Value) -> bool {
    let unset = applied.is_null() || *applied == json!([]);
    is_empty(read) && (unset || !is_empty(applied))
}

/// A value without content: that of an attribute which was not returned. `missing` is the provider's value of
/// `treat_missing_data` then.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(value) => !value,
        Value::Number(value) => value.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty() || text == "missing",
        Value::Array(values) => values.iter().all(is_empty),
        Value::Object(fields) => fields.values().all(is_empty),
    }
}

#[test]
fn an_empty_block_that_the_module_sets_is_its_own_fault() {
    let not_returned = |read: Value, applied: Value| is_not_returned(&read, &applied);
    assert!(not_returned(json!([]), json!([{"batch_size": 10}])));
    assert!(not_returned(json!("missing"), json!("breaching")));
    assert!(not_returned(json!([{"items": []}]), json!([])));
    // A pipe's `sqs_queue_parameters {}`.
    assert!(!not_returned(
        json!([]),
        json!([{"sqs_queue_parameters": [{"message_group_id": null}]}])
    ));
    assert!(!not_returned(json!("a"), json!("b")));
}
