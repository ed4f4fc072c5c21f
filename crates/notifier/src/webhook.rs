//! Calling a webhook, as Standard Webhooks specifies.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, StatusCode, Url};
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook, WebhookError,
};

use crate::address::Reach;

/// Of a whole call. The specification asks for 15 to 30 seconds; an invocation has 30.
const TIMEOUT: Duration = Duration::from_secs(15);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const EVENT_TYPE: &str = "application/cloudevents+json";
/// While a secret is replaced, events are signed with the old one and the new one.
pub const SECRETS_MAX: usize = 2;

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Received,
    /// The receiver wants no more events.
    Gone,
    NotReceived {
        /// The receiver asked for this pause.
        not_before: Duration,
        reason: String,
    },
}

/// The secrets that sign the events of one webhook.
#[derive(Clone)]
pub struct Secrets(Arc<[Webhook]>);

pub struct Webhooks {
    http: Client,
    reach: Reach,
}

impl Secrets {
    /// `raw` has one or two secrets, such as `whsec_...`, with blanks between them.
    pub fn parse(raw: &str) -> anyhow::Result<Self> {
        let secrets: Result<Vec<_>, WebhookError> = raw.split_whitespace().map(Webhook::new).collect();
        // The error may quote the secret.
        let secrets = secrets.ok().context("the secret must be base64, after whsec_")?;
        anyhow::ensure!(
            (1..=SECRETS_MAX).contains(&secrets.len()),
            "there are {} secrets; there must be 1 to {SECRETS_MAX}, with a blank between them",
            secrets.len()
        );
        Ok(Self(secrets.into()))
    }

    fn sign(&self, event: &str, at: i64, body: &[u8]) -> Result<String, WebhookError> {
        let signatures = self.0.iter().map(|secret| secret.sign(event, at, body));
        Ok(signatures.collect::<Result<Vec<_>, _>>()?.join(" "))
    }
}

impl Webhooks {
    pub fn new(reach: Reach) -> anyhow::Result<Self> {
        // This fails only if a provider is installed already, which is fine.
        let _already_installed = rustls::crypto::ring::default_provider().install_default();
        let http = Client::builder()
            .user_agent(concat!("podium/", env!("CARGO_PKG_VERSION")))
            .redirect(Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(reach))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .build()
            .context("could not set up the HTTP client")?;
        Ok(Self { http, reach })
    }

    /// Sends an event once. Nothing of the answer but its head is read.
    pub async fn call(
        &self,
        url: &Url,
        secrets: &Secrets,
        event: &str,
        body: Vec<u8>,
        now: Timestamp,
    ) -> Answer {
        let refused = |reason: String| Answer::NotReceived {
            not_before: Duration::ZERO,
            reason,
        };
        if let Err(error) = self.reach.check(url) {
            return refused(error.to_string());
        }
        let Ok(signature) = secrets.sign(event, now.as_second(), &body) else {
            return refused("the event could not be signed".to_owned());
        };
        let call = self
            .http
            .post(url.clone())
            .header(CONTENT_TYPE, EVENT_TYPE)
            .header(HEADER_WEBHOOK_ID, event)
            .header(HEADER_WEBHOOK_TIMESTAMP, now.as_second())
            .header(HEADER_WEBHOOK_SIGNATURE, signature)
            .body(body);
        match call.send().await {
            Ok(answer) => judge(answer.status(), answer.headers(), now),
            Err(error) => refused(why(error)),
        }
    }
}

fn judge(status: StatusCode, headers: &HeaderMap, now: Timestamp) -> Answer {
    if status.is_success() {
        return Answer::Received;
    }
    if status == StatusCode::GONE {
        return Answer::Gone;
    }
    let redirect = if status.is_redirection() {
        "; redirects are not followed"
    } else {
        ""
    };
    Answer::NotReceived {
        not_before: retry_after(headers, now).unwrap_or_default(),
        reason: format!("the receiver answered {}{redirect}", status.as_u16()),
    }
}

/// `Retry-After` is a number of seconds, or a time.
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let asked = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTimeParser::new().parse_timestamp(asked).ok()?;
    Duration::try_from(until.duration_since(now)).ok()
}

/// Without the address, which may have a secret in it.
fn why(error: reqwest::Error) -> String {
    if error.is_timeout() {
        return "the receiver did not answer in time".to_owned();
    }
    let error = error.without_url();
    let mut causes = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    causes.join(": ")
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T09:00:00Z".parse().unwrap()
    }

    #[track_caller]
    fn check(status: u16, asked: Option<&'static str>, expected: Result<Answer, (u64, &str)>) {
        let headers = asked.map(|asked| (RETRY_AFTER, HeaderValue::from_static(asked)));
        let got = judge(
            StatusCode::from_u16(status).unwrap(),
            &headers.into_iter().collect(),
            now(),
        );
        let expected = expected.unwrap_or_else(|(seconds, reason)| Answer::NotReceived {
            not_before: Duration::from_secs(seconds),
            reason: reason.to_owned(),
        });
        assert_eq!(got, expected, "{status} {asked:?}");
    }

    #[test]
    fn every_answer_but_success_and_gone_asks_for_another_call_at_the_time_that_the_receiver_names() {
        check(200, None, Ok(Answer::Received));
        check(204, Some("9"), Ok(Answer::Received));
        check(410, None, Ok(Answer::Gone));
        check(500, None, Err((0, "the receiver answered 500")));
        check(404, None, Err((0, "the receiver answered 404")));
        check(
            302,
            None,
            Err((0, "the receiver answered 302; redirects are not followed")),
        );
        check(429, Some("120"), Err((120, "the receiver answered 429")));
        check(
            503,
            Some("Sat, 21 Nov 2026 09:10:00 GMT"),
            Err((600, "the receiver answered 503")),
        );
        check(
            503,
            Some("Sat, 21 Nov 2026 08:00:00 GMT"),
            Err((0, "the receiver answered 503")),
        );
        check(503, Some("soon"), Err((0, "the receiver answered 503")));
    }

    #[test]
    fn secrets_are_one_or_two_and_an_error_does_not_quote_them() {
        let secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
        assert!(Secrets::parse(secret).is_ok());
        let both = Secrets::parse(&format!("{secret}\n{secret}")).unwrap();
        let signed = both.sign("coin-1.1", 1, b"{}").unwrap();
        assert_eq!(signed.matches("v1,").count(), 2, "{signed}");
        for (raw, expected) in [
            ("whsec_%%%", "the secret must be base64, after whsec_"),
            (
                "",
                "there are 0 secrets; there must be 1 to 2, with a blank between them",
            ),
        ] {
            assert_eq!(Secrets::parse(raw).err().unwrap().to_string(), expected);
        }
    }
}
