//! The operator's own AWS credentials and region.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use reqwest::Url;

use crate::{is_loopback, parse_url};

/// Finds credentials and region where every AWS tool does: in the environment, a profile, single
/// sign-on, a credential process or the machine's role. A given `region` takes precedence, and
/// `AWS_ENDPOINT_URL` selects an emulator. One on this machine takes any region and credentials.
pub async fn config(region: Option<String>) -> anyhow::Result<SdkConfig> {
    if let Some(endpoint) = local_endpoint() {
        return Ok(of_emulator(region, &endpoint));
    }
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(store::aws::http_client())
        .timeout_config(timeouts());
    if let Some(region) = region {
        loader = loader.region(Region::new(region));
    }
    let config = loader.load().await;
    ensure!(
        config.region().is_some(),
        "no AWS region is set; give --region, or set AWS_REGION or the region of your profile"
    );
    let provider = config.credentials_provider().context(NO_CREDENTIALS)?;
    // Ask now, so that missing credentials are reported before anything is sent.
    provider.provide_credentials().await.context(NO_CREDENTIALS)?;
    Ok(config)
}

/// The endpoint that the environment names, if it is on this machine.
pub fn local_endpoint() -> Option<Url> {
    let url = parse_url(&store::aws::variable("AWS_ENDPOINT_URL")?).ok()?;
    is_loopback(&url).then_some(url)
}

fn of_emulator(region: Option<String>, endpoint: &Url) -> SdkConfig {
    let variable = |name, default: &str| store::aws::variable(name).unwrap_or_else(|| default.to_owned());
    let credentials = Credentials::new(
        variable("AWS_ACCESS_KEY_ID", "any"),
        variable("AWS_SECRET_ACCESS_KEY", "any"),
        store::aws::variable("AWS_SESSION_TOKEN"),
        None,
        "an emulator",
    );
    let region = region.unwrap_or_else(|| variable("AWS_REGION", EMULATED_REGION));
    let address = endpoint.as_str().trim_end_matches('/').to_owned();
    let config = store::aws::config(region, credentials, Some(address));
    config.into_builder().timeout_config(timeouts()).build()
}

/// The only region of the local stack.
const EMULATED_REGION: &str = "us-east-1";

/// The functions give up a call that takes long, since others are waiting. An operator's command reads whole pages,
/// perhaps from far away or beside a busy stack, and nobody waits but the operator.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// The timeouts of an operator's requests to tables and queues.
pub fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build()
}

const NO_CREDENTIALS: &str = "there are no AWS credentials; set AWS_PROFILE, or AWS_ACCESS_KEY_ID and \
                              AWS_SECRET_ACCESS_KEY, or sign in with `aws sso login`";
