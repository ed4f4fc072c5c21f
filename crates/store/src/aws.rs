//! The connection to AWS, configured from the environment that Lambda gives every function.

use std::time::Duration;

use anyhow::Context as _;
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region, SharedHttpClient};
use aws_smithy_http_client::tls;
use aws_types::SdkConfig;

/// `DynamoDB` and SQS answer within tens of milliseconds. An attempt that takes longer than this has most
/// likely lost its connection.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(3);

/// Reads `AWS_REGION`, the credentials of the function's role and, if set, `AWS_ENDPOINT_URL`. Lambda
/// fixes them for the life of a process, so the many sources that aws-config supports would only make
/// the function larger and slower to start.
pub fn config_from_env() -> anyhow::Result<SdkConfig> {
    let credentials = Credentials::new(
        required(&variable, "AWS_ACCESS_KEY_ID")?,
        required(&variable, "AWS_SECRET_ACCESS_KEY")?,
        variable("AWS_SESSION_TOKEN"),
        None,
        "environment",
    );
    Ok(config(
        required(&variable, "AWS_REGION")?,
        credentials,
        variable("AWS_ENDPOINT_URL"),
    ))
}

/// A configuration for one region and one set of credentials.
pub fn config(region: String, credentials: Credentials, endpoint_url: Option<String>) -> SdkConfig {
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http_client())
        .retry_config(RetryConfig::standard())
        .timeout_config(
            TimeoutConfig::builder()
                .operation_attempt_timeout(ATTEMPT_TIMEOUT)
                .build(),
        );
    config.set_endpoint_url(endpoint_url);
    config.build()
}

/// The HTTP client for all AWS calls, so that only one TLS stack (rustls with ring) is linked.
pub fn http_client() -> SharedHttpClient {
    aws_smithy_http_client::Builder::new()
        .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
        .build_https()
}

/// The value of a variable of this process's environment.
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The value of a required variable, in the environment that `variable` looks into.
pub fn required(variable: &impl Fn(&str) -> Option<String>, name: &str) -> anyhow::Result<String> {
    variable(name).with_context(|| format!("the environment variable {name} is not set"))
}

/// The parsed value of a required variable, in the environment that `variable` looks into.
pub fn parsed<T>(variable: &impl Fn(&str) -> Option<String>, name: &str) -> anyhow::Result<T>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    required(variable, name)?
        .parse()
        .with_context(|| format!("the environment variable {name} is not valid"))
}
