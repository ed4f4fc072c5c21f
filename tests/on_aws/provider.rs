//! A small identity provider on loopback: a discovery document, one RSA key, and tokens signed with it, or with another.

use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64URL;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

use crate::emulator::Emulator;

const PATIENCE: Duration = Duration::from_secs(20);
/// The `kid` of the key that is published.
const KEY: &str = "key-1";

pub struct Provider {
    pub issuer: String,
    directory: TempDir,
    _process: Child,
}

impl Provider {
    /// Serves the documents by TLS with the emulator's certificate, which the emulator trusts.
    pub async fn start(emulator: &Emulator) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let root = directory.path().join("documents");
        std::fs::create_dir_all(root.join(".well-known")).expect("a directory");
        for key in ["published.pem", "other.pem"] {
            let path = directory.path().join(key).display().to_string();
            openssl(&["genrsa", "-out", &path, "2048"], b"").await;
        }
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let issuer = format!("https://127.0.0.1:{port}");
        let discovery = json!({ "issuer": issuer, "jwks_uri": format!("{issuer}/keys.json") });
        let keys = json!({ "keys": [public_key(&directory.path().join("published.pem")).await] });
        for (name, document) in [
            (".well-known/openid-configuration", discovery),
            ("keys.json", keys),
        ] {
            std::fs::write(root.join(name), document.to_string()).expect("a document");
        }
        let process = Command::new("openssl")
            .args([
                "s_server",
                "-WWW",
                "-quiet",
                "-accept",
                &format!("127.0.0.1:{port}"),
            ])
            .arg("-cert")
            .arg(emulator.certificate())
            .arg("-key")
            .arg(emulator.key())
            .current_dir(&root)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("openssl runs");
        let ready = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let ready = tokio::time::timeout(PATIENCE, ready).await;
        ready.expect("the provider starts");
        Self {
            issuer,
            directory,
            _process: process,
        }
    }

    /// A token for the audience `podium` that is valid for some minutes, with further claims. `null` leaves one out.
    pub async fn token(&self, claims: Value) -> String {
        self.signed(KEY, "published.pem", claims).await
    }

    /// A token whose key is not published, under a `kid` that is.
    pub async fn forged(&self, claims: Value) -> String {
        self.signed(KEY, "other.pem", claims).await
    }

    /// A token whose `kid` is not published.
    pub async fn of_unknown_key(&self, claims: Value) -> String {
        self.signed("key-2", "other.pem", claims).await
    }

    async fn signed(&self, kid: &str, key: &str, claims: Value) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock");
        let now = now.as_secs();
        let mut all = Map::from_iter([
            ("iss".to_owned(), json!(self.issuer)),
            ("aud".to_owned(), json!("podium")),
            ("sub".to_owned(), json!("ann")),
            ("iat".to_owned(), json!(now - 10)),
            ("exp".to_owned(), json!(now + 600)),
        ]);
        let Value::Object(claims) = claims else {
            panic!("claims are an object, not {claims}")
        };
        all.extend(claims);
        all.retain(|_, value| !value.is_null());
        let header = json!({ "alg": "RS256", "typ": "at+jwt", "kid": kid });
        let encoded = |part: String| BASE64URL.encode(part);
        let content = format!(
            "{}.{}",
            encoded(header.to_string()),
            encoded(Value::from(all).to_string())
        );
        let key = self.directory.path().join(key).display().to_string();
        let signature = openssl(&["dgst", "-sha256", "-sign", &key], content.as_bytes()).await;
        format!("{content}.{}", BASE64URL.encode(signature))
    }
}

/// The public part of a key, as a JSON Web Key.
async fn public_key(path: &Path) -> Value {
    let path = path.display().to_string();
    let said = openssl(&["rsa", "-in", &path, "-modulus", "-noout"], b"").await;
    let said = String::from_utf8(said).expect("openssl prints text");
    let modulus = said.trim().strip_prefix("Modulus=").expect("a modulus");
    let modulus: Vec<u8> = (0..modulus.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&modulus[at..at + 2], 16).expect("hexadecimal digits"))
        .collect();
    json!({ "kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY, "n": BASE64URL.encode(modulus), "e": "AQAB" })
}

async fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let mut process = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl runs");
    let mut stdin = process.stdin.take().expect("a pipe");
    stdin.write_all(input).await.expect("openssl reads");
    drop(stdin);
    let output = process.wait_with_output().await.expect("openssl ends");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "openssl {arguments:?}: {error}");
    output.stdout
}
