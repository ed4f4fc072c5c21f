//! How requests say who sends them: by a signature of AWS, by a token, or not at all.

use anyhow::ensure;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Method, Url};

use crate::is_loopback;
use crate::signature::{Signer, Signing};
use crate::token::{TokenArgs, Tokens};

/// What the subcommands that call the API share.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Login")]
pub struct Credentials {
    #[command(flatten)]
    signing: Signing,
    #[command(flatten)]
    token: TokenArgs,
}

impl Credentials {
    /// The region that was given, or the one in the address.
    pub fn region(&self, url: &Url) -> Option<String> {
        self.signing.region(url)
    }

    /// What authorizes requests to this address.
    pub async fn authorization(&self, url: &Url) -> anyhow::Result<Authorization> {
        if let Some(tokens) = self.token.tokens(url)? {
            return Ok(Authorization::Token(tokens));
        }
        let signer = self.signing.signer(url).await?;
        Ok(signer.map_or(Authorization::None, Authorization::Signature))
    }
}

#[derive(Clone)]
pub enum Authorization {
    None,
    Signature(Signer),
    Token(Tokens),
}

impl Authorization {
    /// By the tokens that a shell command prints.
    pub fn by_command(command: String) -> Self {
        Self::Token(Tokens::by_command(command))
    }

    /// The headers to add to a request. `refused` are those that the server did not take.
    pub(crate) async fn headers(
        &self,
        method: &Method,
        url: &Url,
        headers: &HeaderMap,
        body: &[u8],
        refused: Option<&HeaderValue>,
    ) -> anyhow::Result<HeaderMap> {
        match self {
            Self::None => Ok(HeaderMap::new()),
            Self::Signature(signer) => signer.sign(method, url, headers, body).await,
            Self::Token(tokens) => Ok(HeaderMap::from_iter([(
                AUTHORIZATION,
                tokens.header(refused).await?,
            )])),
        }
    }

    /// Whether another header may be taken where one was refused.
    pub(crate) fn is_renewable(&self) -> bool {
        matches!(self, Self::Token(_))
    }
}

/// Signatures, tokens and secrets must not travel where others can read them.
pub(crate) fn check_private(url: &Url, what: &str) -> anyhow::Result<()> {
    ensure!(
        url.scheme() == "https" || is_loopback(url),
        "{url} is plain HTTP, so that others could read {what}; give an address that begins with https://"
    );
    Ok(())
}
