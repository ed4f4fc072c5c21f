//! An identity provider: its discovery document and its keys, fetched when they are needed and kept.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use reqwest::{Client, Url, redirect};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::sync::{Mutex, RwLock};
use tokio::time::Instant;

use super::Denial;

/// Of one request to the issuer.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// A larger answer of the issuer is refused.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// More keys are not kept.
const KEYS_MAX: usize = 100;
/// Older keys are fetched again, so that one that the issuer has withdrawn is not believed for longer.
const KEYS_AGE_MAX: Duration = Duration::from_mins(5);
/// How often keys are fetched at most: tokens with invented key ids must not make the stack flood the issuer.
const FETCHES_MAX: u32 = 10;
const FETCHES_WITHIN: Duration = Duration::from_mins(1);

/// The address of an issuer, exactly as it stands in tokens: `https`, or `http` on a loopback address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssuerUrl {
    text: String,
    url: Url,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be an https address without query and fragment, or http on localhost, such as https://id.example.com"
)]
pub struct InvalidIssuer;

impl FromStr for IssuerUrl {
    type Err = InvalidIssuer;
    fn from_str(raw: &str) -> Result<Self, InvalidIssuer> {
        let url = Url::parse(raw).map_err(|_| InvalidIssuer)?;
        let is_plain = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if is_plain && is_safe(&url) {
            let text = raw.to_owned();
            Ok(Self { text, url })
        } else {
            Err(InvalidIssuer)
        }
    }
}

impl fmt::Display for IssuerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Whether nobody between this machine and the host can change what it answers.
fn is_safe(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback =
        host == "localhost" || address.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
    url.scheme() == "https" || (url.scheme() == "http" && is_loopback)
}

/// A key that verifies signatures by one algorithm, or by one of a family.
#[derive(Clone)]
pub(super) struct Key {
    algorithms: Vec<Algorithm>,
    pub decoding: DecodingKey,
}

impl Key {
    pub fn is_for(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }
}

/// What the issuer published.
#[derive(Clone)]
struct Published {
    keys: HashMap<String, Key>,
    origins: Vec<String>,
    fetched_at: Instant,
}

/// When fetches began, to bound how many there are.
struct Fetches {
    since: Instant,
    count: u32,
}

pub(super) struct Issuer {
    url: IssuerUrl,
    http: Client,
    published: RwLock<Option<Arc<Published>>>,
    fetches: Mutex<Fetches>,
}

impl fmt::Debug for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Issuer").field(&self.url.text).finish()
    }
}

#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
    token_endpoint: Option<String>,
    revocation_endpoint: Option<String>,
}

impl Issuer {
    pub fn new(url: IssuerUrl) -> anyhow::Result<Self> {
        // Fails if this process has a provider already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .timeout(ANSWER_WITHIN)
            .redirect(redirect::Policy::none());
        let http = if url.url.scheme() == "http" {
            http.no_proxy()
        } else {
            http
        };
        Ok(Self {
            url,
            http: http.build().context("cannot set up the client for the issuer")?,
            published: RwLock::new(None),
            fetches: Mutex::new(Fetches {
                since: Instant::now(),
                count: 0,
            }),
        })
    }

    pub fn name(&self) -> &str {
        &self.url.text
    }

    pub async fn origins(&self) -> Vec<String> {
        let mut origins = vec![self.url.url.origin().ascii_serialization()];
        if let Some(published) = self.fresh(|_| true).await {
            origins.extend(published.origins.iter().cloned());
        }
        origins.sort();
        origins.dedup();
        origins
    }

    /// The key with this id.
    pub async fn key(&self, id: &str) -> Result<Key, Denial> {
        let published = self.fresh(|published| published.keys.contains_key(id)).await;
        let published = published.ok_or(Denial::Unavailable)?;
        let key = published.keys.get(id).cloned();
        key.ok_or(Denial::Invalid("no key of the issuer has its key id"))
    }

    /// What the issuer published, fetched anew if it is old or not `enough`. If it cannot be fetched, what is
    /// kept.
    async fn fresh(&self, enough: impl Fn(&Published) -> bool) -> Option<Arc<Published>> {
        let good =
            |published: &Arc<Published>| published.fetched_at.elapsed() < KEYS_AGE_MAX && enough(published);
        let kept = self.published.read().await.clone();
        if kept.as_ref().is_some_and(good) {
            return kept;
        }
        let mut fetches = self.fetches.lock().await;
        // Another request may have fetched it meanwhile.
        let kept = self.published.read().await.clone();
        if kept.as_ref().is_some_and(good) {
            return kept;
        }
        if fetches.since.elapsed() > FETCHES_WITHIN {
            *fetches = Fetches {
                since: Instant::now(),
                count: 0,
            };
        }
        if fetches.count >= FETCHES_MAX {
            return kept;
        }
        fetches.count += 1;
        match self.fetch().await {
            Ok(published) => {
                let published = Some(Arc::new(published));
                self.published.write().await.clone_from(&published);
                published
            }
            Err(error) => {
                tracing::warn!("The keys of the issuer {} cannot be fetched: {error:#}", self.url);
                // What is kept is good for another while. Otherwise every request would wait for an issuer that
                // does not answer.
                let kept = kept.map(|kept| {
                    Arc::new(Published {
                        fetched_at: Instant::now(),
                        ..(*kept).clone()
                    })
                });
                self.published.write().await.clone_from(&kept);
                kept
            }
        }
    }

    async fn fetch(&self) -> anyhow::Result<Published> {
        let base = self.url.text.trim_end_matches('/');
        let discovery: Discovery = self
            .get(Url::parse(&format!("{base}/.well-known/openid-configuration"))?)
            .await?;
        ensure!(
            discovery.issuer == self.url.text,
            "its discovery document is of another issuer, {:?}",
            discovery.issuer
        );
        let keys_url = Url::parse(&discovery.jwks_uri).context("its jwks_uri is not an address")?;
        ensure!(is_safe(&keys_url), "its keys are at an address without https");
        let set: JwkSet = self.get(keys_url).await?;
        let endpoints = [discovery.token_endpoint, discovery.revocation_endpoint];
        let endpoints = endpoints.iter().flatten().filter_map(|url| Url::parse(url).ok());
        let origins = endpoints.map(|url| url.origin().ascii_serialization());
        Ok(Published {
            keys: set.keys.iter().take(KEYS_MAX).filter_map(key).collect(),
            origins: origins.collect(),
            fetched_at: Instant::now(),
        })
    }

    async fn get<T: DeserializeOwned>(&self, url: Url) -> anyhow::Result<T> {
        let mut response = self.http.get(url.clone()).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            ensure!(
                body.len() + chunk.len() <= ANSWER_BYTES_MAX,
                "{url} answers with more than {ANSWER_BYTES_MAX} bytes"
            );
            body.extend_from_slice(&chunk);
        }
        serde_json::from_slice(&body).with_context(|| format!("{url} does not answer as expected"))
    }
}

/// A key of the set with its id, unless tokens are not to be verified by it.
fn key(jwk: &Jwk) -> Option<(String, Key)> {
    let of_family = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => &[Algorithm::RS256, Algorithm::RS384, Algorithm::RS512][..],
        AlgorithmParameters::EllipticCurve(_) => &[Algorithm::ES256],
        _ => return None,
    };
    if !matches!(jwk.common.public_key_use, None | Some(PublicKeyUse::Signature)) {
        return None;
    }
    let named = match jwk.common.key_algorithm {
        None => None,
        Some(KeyAlgorithm::RS256) => Some(Algorithm::RS256),
        Some(KeyAlgorithm::RS384) => Some(Algorithm::RS384),
        Some(KeyAlgorithm::RS512) => Some(Algorithm::RS512),
        Some(KeyAlgorithm::ES256) => Some(Algorithm::ES256),
        Some(_) => return None,
    };
    let algorithms = of_family
        .iter()
        .copied()
        .filter(|algorithm| named.is_none_or(|named| named == *algorithm));
    let id = jwk.common.key_id.clone()?;
    let decoding = DecodingKey::from_jwk(jwk).ok()?;
    Some((
        id,
        Key {
            algorithms: algorithms.collect(),
            decoding,
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_issuer_is_reached_where_nobody_can_change_its_answers() {
        for address in [
            "https://id.example.com",
            "https://id.example.com/realms/podium",
            "https://TENANT.auth0.com/",
            "http://127.0.0.1:8080",
            "http://[::1]:8080",
            "http://localhost:8080/realm",
        ] {
            let issuer: IssuerUrl = address.parse().expect("an issuer");
            assert_eq!(issuer.to_string(), address, "as it is in the tokens");
        }
        for address in [
            "",
            "id.example.com",
            "http://id.example.com",
            "http://localhost.example.com",
            "http://10.0.0.1",
            "ftp://localhost",
            "https://id.example.com?tenant=1",
            "https://id.example.com#top",
            "https://user:secret@id.example.com",
        ] {
            assert!(address.parse::<IssuerUrl>().is_err(), "{address}");
        }
    }
}
