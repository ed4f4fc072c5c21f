//! The operator's own AWS credentials and region.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::ProvideCredentials as _;

/// Finds credentials and region where every AWS tool does: in the environment, a profile, single
/// sign-on, a credential process or the machine's role. A given `region` takes precedence, and
/// `AWS_ENDPOINT_URL` selects an emulator.
pub async fn config(region: Option<String>) -> anyhow::Result<SdkConfig> {
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
