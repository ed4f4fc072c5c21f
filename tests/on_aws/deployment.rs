//! A complete deployment on mocked AWS, for tests to inspect.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

/// The directory of an initialised Terraform module. `scripts/test` makes a copy for the tests and sets this.
const MODULE: &str = "PODIUM_TEST_TERRAFORM_MODULE";

pub const FUNCTIONS: [&str; 8] = [
    "ingest",
    "aggregator",
    "snapshot",
    "serve",
    "directory",
    "rewards",
    "notifier",
    "bridge",
];

/// A quest for each task that is completed first.
pub const QUESTS: &str = r#"quests=[{"id":"first-task","version":1,"title":"First task","coin":{"name":"Seed","value":5},"per":"once","rule":{"count":{"of":{"kind":"task_completed"},"at_least":1}}}]"#;

/// Somebody who is told of coins by a webhook, and somebody by mail.
pub const WEBHOOKS: &str = r#"webhooks={crm={url="https://crm.example.com/coins",secret_arn="arn:aws:secretsmanager:us-east-1:111122223333:secret:podium/crm-AbCdEf"}}"#;
pub const MAIL: &str = r#"coin_mail=["rewards@example.com"]"#;

/// A bus whose events become activities.
pub const EVENT_BUS: &str = r#"event_bus={name="learning",pattern="{\"source\":[\"com.example.lms\"]}"}"#;

/// Another system from which people move in.
pub const LEGACY: &str = r#"legacy={prefix="edl",stream_arn="arn:aws:dynamodb:us-east-1:111122223333:table/edl-Activities/stream/2026-01-01T00:00:00.000"}"#;

/// Arguments that name the environment, choose what must be chosen there, and have a bus of events, a quest and who is told
/// of its coins, and another system, so that everything is made.
pub const IN_TEST: [&str; 14] = [
    "-var",
    "environment=test",
    "-var",
    "readers=public",
    "-var",
    QUESTS,
    "-var",
    WEBHOOKS,
    "-var",
    MAIL,
    "-var",
    EVENT_BUS,
    "-var",
    LEGACY,
];

pub struct Deployment {
    /// The attributes of each resource by its address, as `terraform show -json` has them.
    resources: BTreeMap<String, Value>,
}

/// The directory of the module. Prints a notice and returns `None` if the tests run without Terraform.
pub fn module() -> Option<PathBuf> {
    let module = std::env::var_os(MODULE).map(PathBuf::from);
    if module.is_none() {
        eprintln!("skipped: set {MODULE} to an initialised copy of terraform/, as scripts/test does");
    }
    module
}

/// The command `terraform` in the directory of the module.
pub fn terraform() -> Option<Command> {
    let mut terraform = Command::new("terraform");
    terraform.arg(format!("-chdir={}", module()?.display()));
    Some(terraform)
}

/// The deployment of [`IN_TEST`], otherwise with default variables.
pub fn by_default() -> Option<&'static Deployment> {
    static DEPLOYMENT: OnceLock<Option<Deployment>> = OnceLock::new();
    DEPLOYMENT.get_or_init(|| Deployment::mocked(&IN_TEST)).as_ref()
}

impl Deployment {
    /// The deployment that `terraform test` creates with these arguments.
    pub fn mocked(arguments: &[&str]) -> Option<Self> {
        let output = terraform()?
            .args(["test", "-json", "-verbose", "-test-directory=tests/deployments"])
            .args(arguments)
            .output()
            .expect("Terraform runs");
        let report = String::from_utf8(output.stdout).expect("Terraform prints text");
        let state = report
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("Terraform prints JSON"))
            .find(|line| line["type"] == "test_state");
        let Some(state) = state.filter(|_| output.status.success()) else {
            let mut said: Vec<_> = report
                .lines()
                .filter(|line| line.contains(r#""@level":"error""#))
                .collect();
            let error = String::from_utf8_lossy(&output.stderr);
            said.push(&error);
            panic!("{arguments:?}: {}", said.join("\n"));
        };
        let mut resources = BTreeMap::new();
        collect(&state["test_state"]["root_module"], &mut resources);
        Some(Self { resources })
    }

    /// The attributes of a resource.
    pub fn resource(&self, address: &str) -> &Value {
        self.resources.get(address).unwrap_or_else(|| {
            let known: Vec<_> = self.resources.keys().collect();
            panic!("there is no {address}; there are {known:?}")
        })
    }

    pub fn resources(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.resources
            .iter()
            .map(|(address, values)| (address.as_str(), values))
    }

    /// The attributes of one of [`FUNCTIONS`].
    pub fn function(&self, name: &str) -> &Value {
        self.of_function(name, "aws_lambda_function.function")
    }

    /// The attributes of a resource in the module of one of [`FUNCTIONS`].
    pub fn of_function(&self, name: &str, resource: &str) -> &Value {
        self.resource(&address_in_function(name, resource))
    }

    /// A function's environment variables.
    pub fn environment(&self, function: &str) -> BTreeMap<String, String> {
        let variables = &self.function(function)["environment"][0]["variables"];
        serde_json::from_value(variables.clone()).expect("variables are strings")
    }
}

/// The address of a resource in the module of a function. Some of them are not always there.
pub fn address_in_function(name: &str, resource: &str) -> String {
    let index = if ["rewards", "notifier", "bridge"].contains(&name) {
        "[0]"
    } else {
        ""
    };
    format!("module.{name}{index}.{resource}")
}

fn collect(module: &Value, resources: &mut BTreeMap<String, Value>) {
    let list = |name: &str| module[name].as_array().into_iter().flatten();
    for resource in list("resources").filter(|resource| resource["mode"] == "managed") {
        let address = resource["address"].as_str().expect("a resource has an address");
        resources.insert(address.to_owned(), resource["values"].clone());
    }
    for child in list("child_modules") {
        collect(child, resources);
    }
}
