//! What verifying a token adds to a POST.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use axum::routing::get;
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use client::Authorization;
use jiff::Timestamp;
use local::{Access, Login, StackConfig};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::json;
use terminal::text::{grouped, latency};
use tokio::net::TcpListener;

use super::latency::{RATE, WARM_UP, post};
use super::machine::{Machine, Peaks};
use super::report::Report;
use crate::load::figures::Figures;

const AUDIENCE: &str = "podium-bench";
/// The target for what a token adds to the median.
const ADDED_MAX: Duration = Duration::from_micros(200);
/// The second is one that a slow machine keeps up with: beyond its capacity, requests wait for each other.
const RATES: [f64; 2] = [RATE, 250.0];
/// Without and with a token in turn, since the machine's speed changes.
const ROUNDS: usize = 3;

/// Longer than the measurement.
const TOKEN_SECONDS: i64 = 3_600;

pub async fn measure(length: Duration, report: &mut Report, peaks: &mut Peaks) -> anyhow::Result<()> {
    let (login, token) = issuer().await?;
    for rate in RATES {
        let mut without = Vec::new();
        let mut with = Vec::new();
        for round in 1..=ROUNDS {
            eprintln!("login at {rate} a second: round {round} of {ROUNDS} ...");
            without.push(posts(StackConfig::new()?, Authorization::None, rate, length, peaks).await?);
            let config = StackConfig {
                access: Access {
                    open: false,
                    ..Access::open()
                },
                login: Some(login.clone()),
                ..StackConfig::new()?
            };
            let authorization = Authorization::by_command(format!("echo {token}"));
            with.push(posts(config, authorization, rate, length, peaks).await?);
        }
        report.section(
            &format!("Login, {rate} a second"),
            format_args!(
                "{} s, one activity a request, which is not counted, with tokens signed by P-256, and without; medians of {ROUNDS} rounds",
                length.as_secs()
            ),
        );
        for (round, (without, with)) in (1..).zip(without.iter().zip(&with)) {
            report.note(format_args!(
                "round {round}: without {}; with {}",
                say(without),
                say(with)
            ));
        }
        let (without, with) = (median(&without), median(&with));
        report.time("POST p50 without a token", without, None);
        report.time("POST p50 with a token", with, None);
        report.time("added by a token", with.saturating_sub(without), Some(ADDED_MAX));
    }
    Ok(())
}

/// POSTs to a new stack.
async fn posts(
    config: StackConfig,
    authorization: Authorization,
    rate: f64,
    length: Duration,
    peaks: &mut Peaks,
) -> anyhow::Result<Figures> {
    let machine = Machine::configured(config).await?;
    // A POST does not wait for counting, which would take the processors from it.
    machine.stack.aggregation().pause();
    let api = machine.api()?.authorized_by(authorization);
    machine.load(post(api.clone(), rate, WARM_UP)).await?;
    let figures = machine.load(post(api, rate, length)).await?;
    machine.stop(peaks).await?;
    anyhow::ensure!(figures.counts.accepted > 0, "no POST was accepted");
    Ok(figures)
}

fn median(rounds: &[Figures]) -> Duration {
    let mut medians: Vec<_> = rounds.iter().map(|figures| figures.post.p50).collect();
    medians.sort();
    medians[medians.len() / 2]
}

/// A machine that is too slow for the rate refuses or does not send some, and its times mean little.
fn say(Figures { post, counts, .. }: &Figures) -> String {
    format!(
        "p50 {}, {} accepted, {} not",
        latency(post.p50),
        grouped(counts.accepted),
        grouped(counts.errors_total() + counts.rejected)
    )
}

/// Starts an issuer on loopback. Returns it, and a token of its that may write.
async fn issuer() -> anyhow::Result<(Login, String)> {
    let random = SystemRandom::new();
    let rejected = |error| anyhow!("no key: {error}");
    let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
        .map_err(|error| anyhow!("no key: {error}"))?;
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random)
        .map_err(rejected)?;
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .context("no port for an issuer")?;
    let url = format!("http://{}", listener.local_addr()?);
    let base64url = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);

    let discovery = json!({"issuer": url, "jwks_uri": format!("{url}/keys")});
    let (x, y) = key.public_key().as_ref()[1..].split_at(32);
    let keys = json!({"keys": [{"kty": "EC", "crv": "P-256", "kid": "bench", "x": base64url(x), "y": base64url(y)}]});
    let router = Router::new()
        .route(
            "/.well-known/openid-configuration",
            get(async move || Json(discovery)),
        )
        .route("/keys", get(async move || Json(keys)));
    tokio::spawn(async { axum::serve(listener, router).await });

    let now = Timestamp::now().as_second();
    let claims = json!({
        "iss": url, "aud": AUDIENCE, "sub": "bench", "scope": Access::WRITE_SCOPE, "iat": now, "exp": now + TOKEN_SECONDS,
    });
    let header = base64url(br#"{"alg":"ES256","kid":"bench"}"#);
    let message = format!("{header}.{}", base64url(claims.to_string().as_bytes()));
    let signature = key
        .sign(&random, message.as_bytes())
        .map_err(|error| anyhow!("no signature: {error}"))?;
    let login = Login {
        issuer: url.parse()?,
        audience: AUDIENCE.to_owned(),
        client_id: None,
        scope: None,
        parameters: Vec::new(),
    };
    Ok((login, format!("{message}.{}", base64url(signature.as_ref()))))
}
