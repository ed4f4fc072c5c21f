//! An identity provider on loopback that signs whatever a test wants.

use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
    RSA_PKCS1_SHA512, RsaEncoding, RsaKeyPair, RsaPublicKeyComponents,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const AUDIENCE: &str = "https://podium.example.com";

pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

pub enum Key {
    Rsa(RsaKeyPair),
    P256(EcdsaKeyPair),
}

impl Key {
    pub fn rsa() -> Self {
        let made = Command::new("openssl")
            .args([
                "genpkey",
                "-algorithm",
                "RSA",
                "-pkeyopt",
                "rsa_keygen_bits:2048",
                "-outform",
                "DER",
            ])
            .output()
            .expect("openssl runs");
        // Versions of OpenSSL differ in which of the two they write.
        let key = RsaKeyPair::from_pkcs8(&made.stdout).or_else(|_| RsaKeyPair::from_der(&made.stdout));
        Self::Rsa(key.expect("openssl makes a key"))
    }

    pub fn p256() -> Self {
        let (algorithm, random) = (&ECDSA_P256_SHA256_FIXED_SIGNING, SystemRandom::new());
        let made = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
        Self::P256(
            EcdsaKeyPair::from_pkcs8(algorithm, made.as_ref(), &random).expect("the key that was made"),
        )
    }

    /// The modulus of an RSA key.
    pub fn modulus(&self) -> Vec<u8> {
        match self {
            Self::Rsa(key) => RsaPublicKeyComponents::<Vec<u8>>::from(key.public()).n,
            Self::P256(_) => panic!("not an RSA key"),
        }
    }

    pub fn jwk(&self, id: &str) -> Value {
        match self {
            Self::Rsa(key) => {
                let RsaPublicKeyComponents { n, e } = RsaPublicKeyComponents::<Vec<u8>>::from(key.public());
                json!({"kty": "RSA", "kid": id, "use": "sig", "n": base64url(n), "e": base64url(e)})
            }
            Self::P256(key) => {
                let (x, y) = key.public_key().as_ref()[1..].split_at(32);
                json!({"kty": "EC", "crv": "P-256", "kid": id, "x": base64url(x), "y": base64url(y)})
            }
        }
    }

    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match self {
            Self::Rsa(key) => {
                let encoding: &dyn RsaEncoding = match algorithm {
                    "RS384" => &RSA_PKCS1_SHA384,
                    "RS512" => &RSA_PKCS1_SHA512,
                    _ => &RSA_PKCS1_SHA256,
                };
                let mut signature = vec![0; key.public().modulus_len()];
                key.sign(encoding, &random, message, &mut signature)
                    .expect("a signature");
                signature
            }
            Self::P256(key) => key.sign(&random, message).expect("a signature").as_ref().to_vec(),
        }
    }

    /// A token with exactly this header and these claims, as text.
    pub fn token_of(&self, header: &str, claims: &str) -> String {
        let message = format!("{}.{}", base64url(header), base64url(claims));
        let parsed: Value = serde_json::from_str(header).unwrap_or_default();
        let signature = self.sign(parsed["alg"].as_str().unwrap_or_default(), message.as_bytes());
        format!("{message}.{}", base64url(signature))
    }
}

#[derive(Default)]
struct Shared {
    url: Mutex<String>,
    keys: Mutex<Vec<Value>>,
    is_down: AtomicBool,
    fetches: AtomicUsize,
    /// What the token endpoint gives next, the last one first.
    tokens: Mutex<Vec<String>>,
    requests: Mutex<Vec<String>>,
}

pub struct Issuer {
    pub url: String,
    pub key: Key,
    shared: Arc<Shared>,
}

impl Issuer {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let key = Key::rsa();
        let shared = Arc::new(Shared::default());
        shared.url.lock().unwrap().clone_from(&url);
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(discovery))
            .route("/keys", get(keys))
            .route("/token", post(token))
            .with_state(Arc::clone(&shared));
        tokio::spawn(async { axum::serve(listener, router).await });
        let issuer = Self { url, key, shared };
        issuer.publish(vec![issuer.key.jwk("first")]);
        issuer
    }

    pub fn publish(&self, keys: Vec<Value>) {
        *self.shared.keys.lock().unwrap() = keys;
    }

    pub fn set_down(&self, is_down: bool) {
        self.shared.is_down.store(is_down, Ordering::Relaxed);
    }

    /// Lets the token endpoint give these, in order; each is said to live for an hour.
    pub fn give(&self, tokens: Vec<String>) {
        *self.shared.tokens.lock().unwrap() = tokens.into_iter().rev().collect();
    }

    /// What the token endpoint was asked: the credentials and the body of each request.
    pub fn requests(&self) -> Vec<String> {
        self.shared.requests.lock().unwrap().clone()
    }

    /// How often the keys were fetched.
    pub fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::Relaxed)
    }

    /// Claims that are good now.
    pub fn claims(&self, more: &Value) -> Value {
        let now = Timestamp::now().as_second();
        let mut claims = json!({
            "iss": self.url, "aud": AUDIENCE, "sub": "ann", "iat": now, "nbf": now, "exp": now + 300,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        claims
    }

    /// A good token with these claims in place of the usual ones.
    pub fn token(&self, more: &Value) -> String {
        let header = json!({"alg": "RS256", "kid": "first", "typ": "at+jwt"});
        self.key
            .token_of(&header.to_string(), &self.claims(more).to_string())
    }
}

fn unless_down(shared: &Shared, document: Value) -> Response {
    if shared.is_down.load(Ordering::Relaxed) {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    Json(document).into_response()
}

async fn discovery(State(shared): State<Arc<Shared>>) -> Response {
    let url = shared.url.lock().unwrap().clone();
    let endpoint = |name| format!("{url}/{name}");
    let document = json!({
        "issuer": url,
        "jwks_uri": endpoint("keys"),
        "authorization_endpoint": endpoint("authorize"),
        "token_endpoint": endpoint("token"),
    });
    unless_down(&shared, document)
}

async fn keys(State(shared): State<Arc<Shared>>) -> Response {
    shared.fetches.fetch_add(1, Ordering::Relaxed);
    let keys = shared.keys.lock().unwrap().clone();
    unless_down(&shared, json!({ "keys": keys }))
}

async fn token(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> Response {
    let credentials = headers[AUTHORIZATION].to_str().unwrap_or_default();
    let credentials = BASE64_STANDARD
        .decode(credentials.trim_start_matches("Basic "))
        .unwrap_or_default();
    let asked = format!("{} {body}", String::from_utf8_lossy(&credentials));
    shared.requests.lock().unwrap().push(asked);
    let Some(token) = shared.tokens.lock().unwrap().pop() else {
        let refusal = Json(json!({"error": "invalid_client"}));
        return (StatusCode::UNAUTHORIZED, refusal).into_response();
    };
    let answer = json!({"access_token": token, "token_type": "Bearer", "expires_in": 3_600});
    unless_down(&shared, answer)
}
