use std::{
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use aws_credential_types::provider::{ProvideCredentials, error::CredentialsError, future};
use axum::{Router, body::Bytes, extract::State, http::request::Parts};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::*;
use crate::{Api, Authorization, Failure, install_tls, parse_url};

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
const ANSWER: &str = r#"{"results":[{"status":"accepted"}]}"#;

fn credentials(token: Option<&str>, expiry: Option<SystemTime>) -> Credentials {
    Credentials::new(
        "AKIDEXAMPLE",
        SECRET,
        token.map(ToOwned::to_owned),
        expiry,
        "test",
    )
}

#[tokio::test]
async fn nothing_is_signed_for_plain_http_beyond_this_machine() {
    let signing = |sign| Signing {
        sign,
        region: Some("us-east-1".to_owned()),
    };
    for address in [
        "http://example.com",
        "http://10.0.0.1:7000",
        "http://localhost.example.com",
    ] {
        let url = parse_url(address).expect("an address");
        let refused = signing(true).signer(&url).await.err().expect("it is refused");
        assert!(refused.to_string().contains("plain HTTP"), "{refused}");
        let unsigned = signing(false).signer(&url).await.expect("nothing to sign");
        assert!(unsigned.is_none());
    }
    for address in [
        "https://example.com",
        "http://127.0.0.1:7000",
        "http://localhost:7000",
        "http://[::1]",
    ] {
        let url = parse_url(address).expect("an address");
        assert!(check_private(&url, "a signature").is_ok(), "{address}");
    }
}

#[test]
fn signs_as_aws_has_published() {
    // "post-x-www-form-urlencoded" of AWS's own test suite for Signature Version 4.
    let scope = Scope {
        region: "us-east-1",
        service: "service",
        at: SystemTime::UNIX_EPOCH + Duration::from_secs(1_440_938_160),
    };
    let mut headers = HeaderMap::new();
    headers.insert(
        "content-type",
        HeaderValue::from_static("application/x-www-form-urlencoded"),
    );
    headers.insert("content-length", HeaderValue::from_static("13"));
    let url = parse_url("https://example.amazonaws.com/").expect("an address");
    let signed = scope
        .sign(
            credentials(None, None),
            &Method::POST,
            &url,
            &headers,
            b"Param1=value1",
        )
        .expect("it is signed");
    assert_eq!(signed["x-amz-date"], "20150830T123600Z");
    assert_eq!(
        signed["x-amz-content-sha256"],
        "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e"
    );
    assert_eq!(
        signed["authorization"],
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
         SignedHeaders=content-length;content-type;host;x-amz-content-sha256;x-amz-date, \
         Signature=d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b"
    );
    assert!(!signed.contains_key("x-amz-security-token"));
}

/// A server that accepts every request and passes it on, and an API that posts to it under `path`.
async fn serve(
    path: &str,
    provider: impl ProvideCredentials + 'static,
) -> (Api, mpsc::Receiver<(Parts, Bytes)>) {
    install_tls();
    let (sender, receiver) = mpsc::channel(8);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let address = listener.local_addr().expect("an address");
    let router = Router::new().fallback(take).with_state(sender);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let url = parse_url(&format!("http://{address}{path}")).expect("an address");
    let signer = Signer::new(
        "eu-central-1".to_owned(),
        SharedCredentialsProvider::new(provider),
    );
    let api = Api::new(url, Duration::from_secs(30)).expect("a client");
    (api.authorized_by(Authorization::Signature(signer)), receiver)
}

async fn take(State(sender): State<mpsc::Sender<(Parts, Bytes)>>, parts: Parts, body: Bytes) -> &'static str {
    sender.send((parts, body)).await.expect("the test listens");
    ANSWER
}

/// The expected signature of a received request, computed as AWS's documentation describes.
fn signature_of(parts: &Parts, body: &[u8]) -> String {
    let header = |name: &str| parts.headers[name].to_str().expect("text");
    let authorization = header("authorization");
    let field = |name: &str| {
        let (_, rest) = authorization.split_once(name).expect("the field is there");
        rest.split(", ").next().expect("a value")
    };
    let signed_headers = field("SignedHeaders=");
    let scope = field("Credential=AKIDEXAMPLE/");
    let mut request = format!("{}\n{}\n\n", parts.method, parts.uri.path());
    for name in signed_headers.split(';') {
        let _ = writeln!(request, "{name}:{}", header(name));
    }
    let _ = write!(request, "\n{signed_headers}\n{}", hex(&Sha256::digest(body)));
    let text = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        header("x-amz-date"),
        hex(&Sha256::digest(request))
    );
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in scope.split('/') {
        key = hmac(&key, part.as_bytes());
    }
    hex(&hmac(&key, text.as_bytes()))
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut block = [0_u8; 64];
    block[..key.len()].copy_from_slice(key);
    let inner = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(text);
    let outer = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x5c))
        .chain_update(inner.finalize());
    outer.finalize().to_vec()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[tokio::test]
async fn a_request_is_signed_as_it_arrives() {
    for (path, token) in [("", None), ("/_aws/lambda-url/a-b_1/", Some("the-token"))] {
        let (api, mut requests) = serve(path, credentials(token, None)).await;
        let mut signatures = Vec::new();
        for body in ["[{}]", "[{ }]"] {
            let posted = api.post_activities(body.into(), 1).await;
            assert_eq!(posted.expect("verdicts").results.len(), 1);
            let (parts, got) = requests.recv().await.expect("a request");
            assert_eq!(got, body);
            let expected = format!("{}/v1/activities", path.trim_end_matches('/'));
            assert_eq!(parts.uri.path(), expected);
            assert_eq!(parts.headers["x-amz-content-sha256"], hex(&Sha256::digest(body)));
            let got_token = parts.headers.get("x-amz-security-token");
            assert_eq!(got_token.map(|token| token.to_str().expect("text")), token);
            let date = parts.headers["x-amz-date"].to_str().expect("text");
            let authorization = parts.headers["authorization"].to_str().expect("text");
            let token_name = token.map_or("", |_| ";x-amz-security-token");
            let signature = signature_of(&parts, &got);
            assert_eq!(
                authorization,
                format!(
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{}/eu-central-1/lambda/aws4_request, \
                     SignedHeaders=content-type;host;x-amz-content-sha256;x-amz-date{token_name}, \
                     Signature={signature}",
                    &date[..8]
                )
            );
            signatures.push(signature);
        }
        assert_ne!(signatures[0], signatures[1], "the signature holds for the body");
    }
}

/// Provides credentials with this lifetime, with the number of the call as their token. Fails after
/// `succeed` calls.
#[derive(Debug)]
struct Calls {
    asked: Arc<AtomicU64>,
    last: Option<Duration>,
    succeed: u64,
}

impl ProvideCredentials for Calls {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let call = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
        future::ProvideCredentials::ready(if call > self.succeed {
            Err(CredentialsError::not_loaded("signed out"))
        } else {
            let expiry = self.last.map(|last| SystemTime::now() + last);
            Ok(credentials(Some(&call.to_string()), expiry))
        })
    }
}

/// Posts three times, and checks the credentials that signed each request. `None` means it was not sent.
async fn check_renewal(last: Option<Duration>, succeed: u64, expected: [Option<&str>; 3]) {
    let provider = Calls {
        asked: Arc::default(),
        last,
        succeed,
    };
    let (api, mut requests) = serve("", provider).await;
    for (post, expected) in expected.into_iter().enumerate() {
        let answer = api.post_activities(b"[{}]".to_vec(), 1).await;
        let Some(expected) = expected else {
            let error = answer.expect_err("it is not signed");
            assert_eq!(error.failure, Failure::NotAuthorized);
            assert!(error.to_string().contains("signed out"), "{error}");
            assert!(requests.try_recv().is_err(), "it is not sent");
            continue;
        };
        answer.expect("verdicts");
        let (parts, _) = requests.recv().await.expect("a request");
        assert_eq!(
            parts.headers["x-amz-security-token"], expected,
            "post {post}, {last:?}"
        );
    }
}

#[tokio::test]
async fn credentials_are_asked_for_again_before_they_expire() {
    check_renewal(None, 1, [Some("1"); 3]).await;
    check_renewal(Some(Duration::from_mins(15)), 1, [Some("1"); 3]).await;
    let soon = Some(RENEWAL / 2);
    check_renewal(soon, 3, [Some("1"), Some("2"), Some("3")]).await;
    // They are used until they expire if there are no newer ones.
    check_renewal(soon, 2, [Some("1"), Some("2"), Some("2")]).await;
    check_renewal(Some(Duration::ZERO), 1, [Some("1"), None, None]).await;
}

#[test]
fn a_functions_address_names_its_region() {
    for (url, region) in [
        (
            "https://abc.lambda-url.eu-central-1.on.aws/",
            Some("eu-central-1"),
        ),
        ("https://abc.lambda-url.eu-central-1.on.aws.example.com/", None),
        ("https://abc.lambda-url.a.b.on.aws/", None),
        ("https://lambda-url.eu-central-1.on.aws/", None),
        ("http://127.0.0.1:4566/_aws/lambda-url/abc/", None),
    ] {
        assert_eq!(region_of(&parse_url(url).expect("an address")), region, "{url}");
    }
}
