//! A third-party AWS emulator as a process on loopback. It uses TLS, because the queues refuse anything
//! else, and enforces IAM.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_http_client::tls;
use aws_types::SdkConfig;
use local::pipe::SendFailure;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// The path of the emulator. `scripts/test` installs it and sets this.
const EMULATOR: &str = "PODIUM_TEST_EMULATOR";
const AWS_CLI: &str = "PODIUM_TEST_AWS_CLI";
pub const REGION: &str = "us-east-1";
/// Access key and secret of the account's administrator.
pub const ADMIN: &str = "test";
const PATIENCE: Duration = Duration::from_secs(60);

/// Python runs it when the emulator starts. On AWS, the context of a signed request to a function URL says who
/// signed it; the emulator verifies the signature, and leaves that out. It runs pipes to a topic, but without their
/// filters and templates; the tests run them instead. Its server ends a connection after five idle seconds, even as a
/// request comes, whose answer is then lost. With this limit, clients end theirs first.
const LIKE_AWS: &str = r#"
from hypercorn.config import Config
from ministack.services import lambda_svc, pipes

Config.keep_alive_timeout = 600

pipes._poll_pipe = lambda *arguments: None

build = lambda_svc._build_function_url_event

def build_with_signer(url_id, account_id, *arguments, **named):
    event = build(url_id, account_id, *arguments, **named)
    context = event["requestContext"]
    if context["accountId"] != "anonymous":
        arn = f"arn:aws:iam::{account_id}:user/emulated"
        context["authorizer"] = {"iam": {"accountId": account_id, "userArn": arn}}
    return event

lambda_svc._build_function_url_event = build_with_signer
"#;

pub struct Emulator {
    pub url: String,
    directory: TempDir,
    aws_cli: PathBuf,
    _process: Child,
}

impl Emulator {
    /// Prints a notice and returns `None` without the emulator or the AWS CLI.
    pub async fn start() -> Option<Self> {
        let (Some(program), Some(aws_cli)) = (std::env::var_os(EMULATOR), std::env::var_os(AWS_CLI)) else {
            eprintln!(
                "skipped: set {EMULATOR} and {AWS_CLI} to the paths that scripts/install-tool ministack and aws print"
            );
            return None;
        };
        let directory = TempDir::new().expect("a temporary directory");
        let certificate = make_certificate(directory.path()).await;
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        let url = format!("https://127.0.0.1:{port}");
        let log = std::fs::File::create(directory.path().join("emulator.log")).expect("a log");
        std::fs::write(directory.path().join("sitecustomize.py"), LIKE_AWS).expect("it is written");
        let process = Command::new(program)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", directory.path())
            .env("TMPDIR", directory.path())
            .env("PYTHONPATH", directory.path())
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("AUTH", "true")
            .env("USE_SSL", "1")
            .env("MINISTACK_SSL_CERT", &certificate)
            .env("MINISTACK_SSL_KEY", directory.path().join("key.pem"))
            .env("AWS_ACCESS_KEY_ID", ADMIN)
            .env("AWS_SECRET_ACCESS_KEY", ADMIN)
            // The functions inherit these two to reach and trust the emulator.
            .env("AWS_ENDPOINT_URL", &url)
            .env("SSL_CERT_FILE", &certificate)
            .stdout(log.try_clone().expect("a second handle"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the emulator starts");
        let emulator = Self {
            url,
            directory,
            aws_cli: aws_cli.into(),
            _process: process,
        };
        emulator.wait_until_ready(port).await;
        Some(emulator)
    }

    async fn wait_until_ready(&self, port: u16) {
        let ready = async {
            while tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_err() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        assert!(
            tokio::time::timeout(PATIENCE, ready).await.is_ok(),
            "the emulator does not start: {}",
            self.log()
        );
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("emulator.log")).unwrap_or_default()
    }

    pub fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificate.pem")
    }

    /// The private key of that certificate.
    pub fn key(&self) -> PathBuf {
        self.directory.path().join("key.pem")
    }

    /// A command that uses the emulator as AWS, with the credentials of the account's administrator.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("AWS_ENDPOINT_URL", &self.url)
            .env("AWS_CA_BUNDLE", self.certificate())
            .env("SSL_CERT_FILE", self.certificate())
            .env("AWS_ACCESS_KEY_ID", ADMIN)
            .env("AWS_SECRET_ACCESS_KEY", ADMIN)
            .env_remove("AWS_SESSION_TOKEN");
        without_own_settings(&mut command);
        command
    }

    /// Runs the AWS CLI and returns the JSON that it prints, or `null` for none.
    pub async fn aws(&self, command: &str, arguments: &[&str]) -> Value {
        let output = self
            .command(&self.aws_cli)
            .args(["--endpoint-url", &self.url, "--output", "json"])
            .args(command.split(' '))
            .args(arguments)
            .output()
            .await
            .expect("the AWS CLI runs");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command} {arguments:?}: {error}");
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    /// A client configuration with the permissions of a role.
    pub async fn as_role(&self, role: &str) -> SdkConfig {
        self.config(self.credentials_of(role).await)
    }

    /// What publishes to topics with the permissions of a role.
    pub async fn publisher(&self, role: &str) -> Publisher {
        Publisher {
            aws_cli: self.aws_cli.clone(),
            url: self.url.clone(),
            certificate: self.certificate(),
            credentials: self.credentials_of(role).await,
        }
    }

    /// Credentials of a role, whose trust policy is changed to allow this.
    async fn credentials_of(&self, role: &str) -> Credentials {
        let identity = self.aws("sts get-caller-identity", &[]).await;
        let account = identity["Account"].as_str().expect("an account");
        let trust = serde_json::json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Principal": { "AWS": format!("arn:aws:iam::{account}:root") },
                "Action": "sts:AssumeRole",
            }],
        });
        let (arn, trust) = (format!("arn:aws:iam::{account}:role/{role}"), trust.to_string());
        let policy = ["--role-name", role, "--policy-document", &trust];
        self.aws("iam update-assume-role-policy", &policy).await;
        let session = ["--role-arn", &arn, "--role-session-name", "tests"];
        let assumed = self.aws("sts assume-role", &session).await;
        let part = |name: &str| {
            assumed["Credentials"][name]
                .as_str()
                .expect("credentials")
                .to_owned()
        };
        Credentials::new(
            part("AccessKeyId"),
            part("SecretAccessKey"),
            Some(part("SessionToken")),
            None,
            "assumed",
        )
    }

    /// Removes the conditions that a key must be in the request from a role's policies. The emulator knows no
    /// keys of tables, so it would deny every such request.
    pub async fn without_required_keys(&self, role: &str) {
        let edit = |statements: &mut Vec<Value>| {
            for statement in statements {
                if let Some(condition) = statement.get_mut("Condition").and_then(Value::as_object_mut) {
                    condition.remove("Null");
                }
            }
        };
        self.edit_policies(role, edit).await;
    }

    /// Lets a role execute batches of statements. AWS asks for what they do, such as
    /// `dynamodb:PartiQLInsert`, and the emulator for the name of the call.
    pub async fn with_statements(&self, role: &str) {
        let allow = json!({
            "Effect": "Allow",
            "Action": "dynamodb:BatchExecuteStatement",
            "Resource": "*",
        });
        self.edit_policies(role, |statements| statements.push(allow.clone()))
            .await;
    }

    async fn edit_policies(&self, role: &str, edit: impl Fn(&mut Vec<Value>)) {
        let listed = self.aws("iam list-role-policies", &["--role-name", role]).await;
        for name in listed["PolicyNames"].as_array().expect("names") {
            let policy = [
                "--role-name",
                role,
                "--policy-name",
                name.as_str().expect("a name"),
            ];
            let mut document = self.aws("iam get-role-policy", &policy).await["PolicyDocument"].take();
            edit(document["Statement"].as_array_mut().expect("statements"));
            let document = document.to_string();
            let arguments = [&policy[..], &["--policy-document", &document]].concat();
            self.aws("iam put-role-policy", &arguments).await;
        }
    }

    /// A client configuration without restrictions.
    pub fn as_administrator(&self) -> SdkConfig {
        self.config(Credentials::new(ADMIN, ADMIN, None, None, "administrator"))
    }

    fn config(&self, credentials: Credentials) -> SdkConfig {
        let certificate = std::fs::read(self.certificate()).expect("the certificate is there");
        let trusted = tls::TlsContext::builder()
            .with_trust_store(tls::TrustStore::empty().with_pem_certificate(certificate))
            .build()
            .expect("the certificate is valid");
        let http_client = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .tls_context(trusted)
            .build_https();
        store::aws::config(REGION.to_owned(), credentials, Some(self.url.clone()))
            .into_builder()
            .http_client(http_client)
            .build()
    }
}

/// Publishes to topics by the AWS CLI.
#[derive(Clone)]
pub struct Publisher {
    aws_cli: PathBuf,
    url: String,
    certificate: PathBuf,
    credentials: Credentials,
}

impl Publisher {
    /// Publishes at most ten messages, and returns those that were refused.
    pub async fn publish(self, topic_arn: String, bodies: Vec<String>) -> anyhow::Result<Vec<SendFailure>> {
        let entries = bodies.into_iter().enumerate();
        let entries = entries.map(|(index, body)| json!({ "Id": index.to_string(), "Message": body }));
        let entries = entries.collect::<Value>().to_string();
        let mut command = Command::new(&self.aws_cli);
        command
            .args(["--endpoint-url", &self.url, "--output", "json"])
            .args(["sns", "publish-batch", "--topic-arn", &topic_arn])
            .args(["--publish-batch-request-entries", &entries])
            .env("AWS_CA_BUNDLE", &self.certificate)
            .env("AWS_ACCESS_KEY_ID", self.credentials.access_key_id())
            .env("AWS_SECRET_ACCESS_KEY", self.credentials.secret_access_key())
            .env(
                "AWS_SESSION_TOKEN",
                self.credentials.session_token().unwrap_or_default(),
            );
        let output = without_own_settings(&mut command).output().await?;
        let error = String::from_utf8_lossy(&output.stderr);
        anyhow::ensure!(output.status.success(), "publishing to {topic_arn}: {error}");
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        let failed = answer["Failed"].as_array().into_iter().flatten();
        failed
            .map(|failed| {
                let index = failed["Id"].as_str().unwrap_or_default().parse()?;
                let reason = failed.to_string();
                Ok(SendFailure { index, reason })
            })
            .collect()
    }
}

/// Sets what keeps a command from using the settings of this machine's user.
fn without_own_settings(command: &mut Command) -> &mut Command {
    command
        .env("AWS_REGION", REGION)
        .env("AWS_DEFAULT_REGION", REGION)
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("AWS_PAGER", "")
        .env_remove("AWS_PROFILE")
        .kill_on_drop(true)
}

/// Makes a self-signed certificate for loopback, which clients are told to trust.
async fn make_certificate(directory: &Path) -> PathBuf {
    let certificate = directory.join("certificate.pem");
    let made = Command::new("openssl")
        .args("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost".split(' '))
        // rustls rejects a server certificate that is marked as a certificate authority.
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .args(["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1", "-keyout"])
        .arg(directory.join("key.pem"))
        .arg("-out")
        .arg(&certificate)
        .output()
        .await
        .expect("openssl runs");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    certificate
}
