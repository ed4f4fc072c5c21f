//! Where the clients send their requests, and in which format.

use std::path::Path;

use anyhow::{Context as _, ensure};
use client::wire::Verdict;
use reqwest::header::CONTENT_TYPE;
use reqwest::{Client, RequestBuilder, StatusCode};
use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::json;
use url::Url;

use super::source::Fact;

/// The document of a board may have a thousand rows.
const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Addresses {
    pub writes: Address,
    pub reads: Address,
}

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Address {
    format: Format,
    url: Url,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Legacy,
    Podium,
}

/// Podium's answer to a post.
#[derive(Deserialize)]
struct Verdicts {
    results: Vec<Verdict>,
}

impl Addresses {
    pub async fn read(file: &Path) -> anyhow::Result<Self> {
        let json = tokio::fs::read(file).await;
        let json = json.with_context(|| format!("cannot read the addresses in {}", file.display()))?;
        serde_json::from_slice(&json).with_context(|| {
            format!(
                "{} has no addresses as `podium help legacy` describes",
                file.display()
            )
        })
    }
}

impl Address {
    /// Posts an activity. Succeeds once it is stored, now or before.
    pub async fn post(&self, http: &Client, fact: &Fact) -> anyhow::Result<()> {
        let post = http
            .post(self.url.clone())
            .header(CONTENT_TYPE, "application/json");
        match self.format {
            Format::Legacy => {
                let item = json!({
                    "employee_id": fact.user_id,
                    "program_id": fact.program_id,
                    "activity_type": fact.kind,
                    "points": fact.points,
                    "event_id": fact.activity_id,
                    "ts": fact.occurred_at,
                });
                answer(post.body(item.to_string()), StatusCode::CREATED)
                    .await
                    .map(|_: IgnoredAny| ())
            }
            Format::Podium => {
                let post = post.body(serde_json::to_vec(fact)?);
                let Verdicts { results } = answer(post, StatusCode::ACCEPTED).await?;
                ensure!(
                    matches!(&results[..], [verdict] if verdict.is_taken()),
                    "an activity was not taken: {results:?}"
                );
                Ok(())
            }
        }
    }

    /// Reads the leaderboard. Both systems show it as a document of JSON.
    pub async fn view(&self, http: &Client) -> anyhow::Result<()> {
        answer(http.get(self.url.clone()), StatusCode::OK)
            .await
            .map(|_: IgnoredAny| ())
    }
}

async fn answer<T: DeserializeOwned>(request: RequestBuilder, expected: StatusCode) -> anyhow::Result<T> {
    let mut response = request.send().await?;
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        ensure!(
            body.len() + chunk.len() <= ANSWER_BYTES_MAX,
            "the answer is longer than 4 MiB"
        );
        body.extend_from_slice(&chunk);
    }
    let status = response.status();
    let text = String::from_utf8_lossy(&body);
    ensure!(status == expected, "{} answered {status}: {text}", response.url());
    serde_json::from_str(&text).with_context(|| format!("{} sent an unexpected answer", response.url()))
}
