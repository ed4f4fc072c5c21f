//! Access tokens for the API: from a command of the operator, or from an identity provider by the client's
//! credentials.

use std::fmt;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use terminal::text::printable;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::{check_private, parse_url, read_bounded};

/// A token is renewed this long before it expires, or at the last quarter of a shorter life.
const RENEWAL: Duration = Duration::from_mins(1);
/// How long a token is kept that does not say when it expires.
const UNKNOWN_LIFE: Duration = Duration::from_mins(5);
/// A command or a provider that takes longer has failed.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// A longer token is refused: no server takes it.
const TOKEN_BYTES_MAX: usize = 16 * 1024;
const SECRET: &str = "PODIUM_OIDC_CLIENT_SECRET";

/// Where tokens come from. Shared by the subcommands that call the API.
#[derive(Debug, clap::Args)]
pub struct TokenArgs {
    /// Send the access token that this shell command prints. It runs again before the token expires
    #[arg(
        long,
        value_name = "COMMAND",
        env = "PODIUM_TOKEN_COMMAND",
        conflicts_with_all = ["sign", "oidc_client_id"]
    )]
    token_command: Option<String>,
    /// Get access tokens as this client of --oidc-issuer (client credentials); its secret is in the
    /// environment variable `PODIUM_OIDC_CLIENT_SECRET`
    #[arg(long, value_name = "ID", requires = "oidc_issuer", conflicts_with = "sign")]
    oidc_client_id: Option<String>,
    /// The identity provider that issues the tokens
    #[arg(long, value_name = "URL", requires = "oidc_client_id", value_parser = parse_url)]
    oidc_issuer: Option<Url>,
    /// The scopes to ask for
    #[arg(
        long,
        value_name = "SCOPES",
        requires = "oidc_client_id",
        default_value = "podium:write"
    )]
    oidc_scope: String,
    /// Add this to the request for a token, such as audience=https://podium.example.com; can be repeated
    #[arg(long, value_name = "NAME=VALUE", requires = "oidc_client_id", value_parser = parse_parameter)]
    oidc_parameter: Vec<(String, String)>,
}

/// Parses `NAME=VALUE`.
pub fn parse_parameter(raw: &str) -> Result<(String, String), String> {
    match raw.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE, such as audience=https://podium.example.com".to_owned()),
    }
}

impl TokenArgs {
    /// The tokens for requests to this address, or `None` if there are none to be had.
    pub(crate) fn tokens(&self, url: &Url) -> anyhow::Result<Option<Tokens>> {
        let source = match (&self.token_command, &self.oidc_client_id, &self.oidc_issuer) {
            (Some(command), ..) => Source::Command(command.clone()),
            (None, Some(id), Some(issuer)) => {
                check_private(issuer, "the client's secret")?;
                let secret = std::env::var(SECRET).ok().filter(|secret| !secret.is_empty());
                Source::Client(ClientCredentials {
                    http: Client::builder()
                        .timeout(ANSWER_WITHIN)
                        .redirect(redirect::Policy::none())
                        .build()?,
                    issuer: issuer.clone(),
                    id: id.clone(),
                    secret: secret.with_context(|| {
                        format!(
                            "--oidc-client-id needs the client's secret in the environment variable {SECRET}"
                        )
                    })?,
                    scope: self.oidc_scope.clone(),
                    parameters: self.oidc_parameter.clone(),
                })
            }
            _ => return Ok(None),
        };
        check_private(url, "the token")?;
        Ok(Some(Tokens::new(source)))
    }
}

/// Tokens, each kept until it must be renewed. Clones share them.
#[derive(Clone)]
pub struct Tokens(Arc<Shared>);

struct Shared {
    source: Source,
    current: Mutex<Option<Kept>>,
}

#[derive(Clone)]
struct Kept {
    header: HeaderValue,
    renew_at: Instant,
}

enum Source {
    Command(String),
    Client(ClientCredentials),
}

struct ClientCredentials {
    http: Client,
    issuer: Url,
    id: String,
    secret: String,
    scope: String,
    parameters: Vec<(String, String)>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

/// A new token, and how long it lives if that is known.
struct New {
    token: String,
    life: Option<Duration>,
}

impl Tokens {
    pub fn by_command(command: String) -> Self {
        Self::new(Source::Command(command))
    }

    fn new(source: Source) -> Self {
        Self(Arc::new(Shared {
            source,
            current: Mutex::new(None),
        }))
    }

    /// The value of `Authorization`. One request renews it, and the others wait. `refused` is a value that the
    /// server did not take.
    pub async fn header(&self, refused: Option<&HeaderValue>) -> anyhow::Result<HeaderValue> {
        let mut current = self.0.current.lock().await;
        if let Some(kept) = current.as_ref()
            && kept.renew_at > Instant::now()
            && refused != Some(&kept.header)
        {
            return Ok(kept.header.clone());
        }
        let New { token, life } = match &self.0.source {
            Source::Command(command) => by_command(command).await?,
            Source::Client(client) => client.token().await?,
        };
        ensure!(
            token.len() <= TOKEN_BYTES_MAX,
            "the token has more than {TOKEN_BYTES_MAX} bytes"
        );
        let life = life.unwrap_or(UNKNOWN_LIFE);
        let mut header = HeaderValue::try_from(format!("Bearer {token}"))
            .map_err(|_| anyhow!("the token has characters that no token has"))?;
        header.set_sensitive(true);
        *current = Some(Kept {
            header: header.clone(),
            renew_at: Instant::now() + life.saturating_sub(RENEWAL.min(life / 4)),
        });
        Ok(header)
    }
}

async fn by_command(command: &str) -> anyhow::Result<New> {
    let run = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(ANSWER_WITHIN, run)
        .await
        .map_err(|_| anyhow!("--token-command took longer than {} s", ANSWER_WITHIN.as_secs()))?
        .context("could not run --token-command")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!(
            "--token-command failed ({}): {}",
            output.status,
            printable(said.trim())
        );
    }
    let token = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    ensure!(
        !token.is_empty(),
        "--token-command printed nothing; it must print a token"
    );
    Ok(New {
        life: life_of(&token, Timestamp::now()),
        token,
    })
}

/// How long a JWT is still valid. It is not verified: that is the server's to do.
fn life_of(token: &str, now: Timestamp) -> Option<Duration> {
    #[derive(Deserialize)]
    struct Claims {
        exp: i64,
    }
    let claims = BASE64_URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let Claims { exp } = serde_json::from_slice(&claims).ok()?;
    let seconds = exp.saturating_sub(now.as_second()).max(0);
    Some(Duration::from_secs(seconds.unsigned_abs()))
}

impl ClientCredentials {
    async fn token(&self) -> anyhow::Result<New> {
        #[derive(Deserialize)]
        struct Discovery {
            token_endpoint: String,
        }
        #[derive(Deserialize)]
        struct Answer {
            access_token: String,
            expires_in: Option<u64>,
        }
        let base = self.issuer.as_str().trim_end_matches('/');
        let address = format!("{base}/.well-known/openid-configuration");
        let discovery: Discovery = self.answer(self.http.get(&address)).await?;
        let endpoint =
            Url::parse(&discovery.token_endpoint).context("the issuer names no valid token endpoint")?;
        check_private(&endpoint, "the client's secret")?;
        let own = [
            ("grant_type", "client_credentials"),
            ("scope", self.scope.as_str()),
        ];
        let more = self
            .parameters
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()));
        let request = self
            .http
            .post(endpoint)
            .basic_auth(form(&self.id), Some(form(&self.secret)))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(encoded(own.into_iter().chain(more)));
        let answer: Answer = self.answer(request).await?;
        let life = answer.expires_in.map(Duration::from_secs);
        Ok(New {
            life: life.or_else(|| life_of(&answer.access_token, Timestamp::now())),
            token: answer.access_token,
        })
    }

    async fn answer<T: DeserializeOwned>(&self, request: reqwest::RequestBuilder) -> anyhow::Result<T> {
        let issuer = &self.issuer;
        let response = request
            .send()
            .await
            .with_context(|| format!("could not reach the issuer {issuer}"))?;
        let status = response.status();
        let body = read_bounded(response)
            .await
            .map_err(|_| anyhow!("the issuer {issuer} sent no whole answer"))?;
        ensure!(
            status.is_success(),
            "the issuer {issuer} answered {status}: {}",
            printable(&String::from_utf8_lossy(&body))
        );
        serde_json::from_slice(&body)
            .with_context(|| format!("the issuer {issuer} sent an unexpected document"))
    }
}

/// A text as in a form, which is how `Basic` takes it (RFC 6749, section 2.3.1).
fn form(text: &str) -> String {
    encoded([(text, "")]).trim_end_matches('=').to_owned()
}

/// Pairs as in a form.
fn encoded<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut url = Url::parse("form:").expect("an address");
    url.query_pairs_mut().extend_pairs(pairs);
    url.query().unwrap_or_default().to_owned()
}
