//! Signs requests with AWS Signature Version 4, which function URLs that are not public require.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::Context as _;
use aws_credential_types::{
    Credentials,
    provider::{ProvideCredentials as _, SharedCredentialsProvider},
};
use aws_sigv4::{
    http_request::{PayloadChecksumKind, SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4::SigningParams,
};
use clap::builder::FalseyValueParser;
use reqwest::{
    Method, Url,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use tokio::{sync::Mutex, time::timeout};

use crate::authorization::check_private;
use crate::aws;

/// The service name of function URLs in a signature's scope.
const SERVICE: &str = "lambda";

/// Credentials are renewed when they have less than this left.
const RENEWAL: Duration = Duration::from_mins(1);

/// A credential provider may be an external process. If it hangs, requests must still end.
const RENEWAL_TIMEOUT: Duration = Duration::from_secs(30);

/// Whether to sign requests, and for which region.
#[derive(Debug, clap::Args)]
pub struct Signing {
    /// Sign requests with your AWS credentials; the functions' own URLs on AWS require it
    #[arg(long, env = "PODIUM_SIGN", value_parser = FalseyValueParser::new())]
    sign: bool,
    /// The deployment's AWS region [default: from the function's URL, your environment or your
    /// profile]
    #[arg(long, value_name = "REGION")]
    region: Option<String>,
}

impl Signing {
    /// The region that was given, or the one in the address.
    pub fn region(&self, url: &Url) -> Option<String> {
        self.region
            .clone()
            .or_else(|| region_of(url).map(ToOwned::to_owned))
    }

    /// The signer for requests to this address, or `None` without --sign.
    pub async fn signer(&self, url: &Url) -> anyhow::Result<Option<Signer>> {
        if !self.sign {
            return Ok(None);
        }
        check_private(url, "the signature that --sign sends")?;
        let config = aws::config(self.region(url))
            .await
            .context("could not sign requests")?;
        let region = config
            .region()
            .context("could not sign requests: no AWS region is set; give --region")?;
        let provider = config
            .credentials_provider()
            .context("could not sign requests: there are no AWS credentials")?;
        Ok(Some(Signer::new(region.to_string(), provider)))
    }
}

/// The region in a function URL, `ID.lambda-url.REGION.on.aws`.
fn region_of(url: &Url) -> Option<&str> {
    let host = url.host_str()?.strip_suffix(".on.aws")?;
    let (_, region) = host.split_once(".lambda-url.")?;
    (!region.is_empty() && !region.contains('.')).then_some(region)
}

/// Signs requests with credentials that it renews before they expire.
#[derive(Clone)]
pub struct Signer(Arc<Renewed>);

struct Renewed {
    region: String,
    provider: SharedCredentialsProvider,
    current: Mutex<Option<Credentials>>,
}

impl Signer {
    pub fn new(region: String, provider: SharedCredentialsProvider) -> Self {
        Self(Arc::new(Renewed {
            region,
            provider,
            current: Mutex::new(None),
        }))
    }

    /// The headers that sign a request with `body`. `headers` are included in the signature.
    pub async fn sign(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
    ) -> anyhow::Result<HeaderMap> {
        let now = SystemTime::now();
        let credentials = self.0.credentials(now).await?;
        let scope = Scope {
            region: &self.0.region,
            service: SERVICE,
            at: now,
        };
        scope.sign(credentials, method, url, headers, body)
    }
}

impl Renewed {
    /// One request asks the provider, and the others wait for it. If that fails, the current credentials are
    /// used until they expire.
    async fn credentials(&self, now: SystemTime) -> anyhow::Result<Credentials> {
        let mut current = self.current.lock().await;
        let lasting = |at: SystemTime| {
            let lasts = |credentials: &&Credentials| credentials.expiry().is_none_or(|expiry| expiry > at);
            current.as_ref().filter(lasts).cloned()
        };
        if let Some(credentials) = lasting(now + RENEWAL) {
            return Ok(credentials);
        }
        let failure = match timeout(RENEWAL_TIMEOUT, self.provider.provide_credentials()).await {
            Ok(Ok(credentials)) => {
                *current = Some(credentials.clone());
                return Ok(credentials);
            }
            Ok(Err(error)) => error.into(),
            Err(elapsed) => anyhow::Error::from(elapsed),
        };
        lasting(now).ok_or_else(|| failure.context("could not renew the AWS credentials"))
    }
}

/// The credential scope of `SigV4`: region, service and time.
struct Scope<'a> {
    region: &'a str,
    service: &'a str,
    at: SystemTime,
}

impl Scope<'_> {
    fn sign(
        &self,
        credentials: Credentials,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
    ) -> anyhow::Result<HeaderMap> {
        let mut settings = SigningSettings::default();
        // The header carries the hash of the body, so that the signature can be checked before the body is
        // read.
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let identity = credentials.into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(self.at)
            .settings(settings)
            .build()?
            .into();
        let headers = headers
            .iter()
            .map(|(name, value)| Ok((name.as_str(), value.to_str()?)))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let request = SignableRequest::new(
            method.as_str(),
            url.as_str(),
            headers.into_iter(),
            SignableBody::Bytes(body),
        )?;
        let (instructions, _signature) = sign(request, &params)?.into_parts();
        let mut signed = HeaderMap::new();
        for (name, value) in instructions.headers() {
            let mut value = HeaderValue::from_str(value)?;
            value.set_sensitive(true);
            signed.insert(HeaderName::from_bytes(name.as_bytes())?, value);
        }
        Ok(signed)
    }
}

#[cfg(test)]
mod tests;
