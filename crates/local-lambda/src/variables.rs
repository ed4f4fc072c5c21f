//! The environment variables of a function's process.

use std::{collections::BTreeMap, path::Path};

use crate::{config::FunctionConfig, environment::EnvironmentId};

pub(super) const REGION: &str = "us-east-1";
pub(super) const ACCOUNT: &str = "000000000000";
/// The access key id of the functions, by which an endpoint recognises their calls.
pub const ACCESS_KEY_ID: &str = "local-function";
const VERSION: &str = "$LATEST";

pub(super) fn arn(function: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{function}")
}

/// The variables that Lambda sets on an OS-only runtime, overridden by the function's own. Such a runtime
/// has no `AWS_EXECUTION_ENV`.
///
/// `runtime_api` is the address of the Runtime API. `now` is the date in the log stream's name.
pub(super) fn variables(
    config: &FunctionConfig,
    id: EnvironmentId,
    runtime_api: &str,
    now: jiff::Timestamp,
) -> BTreeMap<String, String> {
    let name = config.name.as_str();
    let task_root = config.binary.parent().unwrap_or(Path::new("/"));
    let log_stream = format!("{}[{VERSION}]{}", now.strftime("%Y/%m/%d/"), id.0.simple());
    let set_by_lambda = [
        ("_HANDLER", "bootstrap".to_owned()),
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local".to_owned()),
        ("AWS_SESSION_TOKEN", "local".to_owned()),
        ("AWS_REGION", REGION.to_owned()),
        ("AWS_DEFAULT_REGION", REGION.to_owned()),
        ("AWS_LAMBDA_FUNCTION_NAME", name.to_owned()),
        ("AWS_LAMBDA_FUNCTION_VERSION", VERSION.to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", config.memory_mb.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON".to_owned()),
        ("AWS_LAMBDA_LOG_LEVEL", "INFO".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{name}")),
        ("AWS_LAMBDA_LOG_STREAM_NAME", log_stream),
        ("LAMBDA_TASK_ROOT", task_root.display().to_string()),
        ("LANG", "en_US.UTF-8".to_owned()),
        ("PATH", "/usr/local/bin:/usr/bin:/bin".to_owned()),
        ("TZ", ":UTC".to_owned()),
    ];
    let mut variables: BTreeMap<_, _> = set_by_lambda.map(|(name, value)| (name.to_owned(), value)).into();
    variables.extend(config.environment.clone());
    // The client keeps a path in this variable only if there is a scheme. With one path per environment,
    // one listener serves all environments.
    variables.insert(
        "AWS_LAMBDA_RUNTIME_API".to_owned(),
        format!("http://{runtime_api}/{}", id.0),
    );
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_overrides_all_but_its_runtime_api() {
        let mut config = FunctionConfig::new("ingest", "/opt/podium/ingest");
        config.environment = [("TZ", "Asia/Tokyo"), ("AWS_LAMBDA_RUNTIME_API", "example.com")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
        let now = "2026-11-21T12:00:00Z".parse().unwrap();
        let variables = variables(&config, EnvironmentId(uuid::Uuid::nil()), "127.0.0.1:9001", now);
        for (name, value) in [
            ("TZ", "Asia/Tokyo"),
            (
                "AWS_LAMBDA_RUNTIME_API",
                "http://127.0.0.1:9001/00000000-0000-0000-0000-000000000000",
            ),
            ("AWS_LAMBDA_FUNCTION_NAME", "ingest"),
            (
                "AWS_LAMBDA_LOG_STREAM_NAME",
                "2026/11/21/[$LATEST]00000000000000000000000000000000",
            ),
            ("LAMBDA_TASK_ROOT", "/opt/podium"),
        ] {
            assert_eq!(variables[name], value, "{name}");
        }
    }
}
