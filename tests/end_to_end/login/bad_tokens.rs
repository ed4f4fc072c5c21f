//! Tokens and tricks that must get nobody in, sent over HTTP to every route of the API.

use std::time::Duration;

use identity::{Access, Readers};
use jiff::Timestamp;
use local::Login;
use reqwest::Method;
use serde_json::{Value, json};
use store::People;

use super::callers::restricted;
use super::issuer::{AUDIENCE, Issuer, Key, base64url};
use crate::openapi::description::Description;
use crate::stack::TestStack;

/// What a route asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Right {
    Write,
    Read,
    Administer,
}

/// The right that each route of the description needs. A route without one fails the test.
const ROUTES: [(&str, &str, Right); 29] = [
    ("post", "/v1/activities", Right::Write),
    ("get", "/v1/boards", Right::Read),
    ("get", "/v1/boards/teams", Right::Read),
    ("get", "/v1/boards/{board}", Right::Read),
    ("get", "/v1/boards/{board}/history", Right::Read),
    ("get", "/v1/boards/{board}/periods", Right::Read),
    ("get", "/v1/boards/{board}/users", Right::Read),
    ("get", "/v1/boards/{board}/users/{user}", Right::Read),
    ("get", "/v1/corrections", Right::Administer),
    ("post", "/v1/corrections", Right::Administer),
    ("get", "/v1/legacy/leaderboard", Right::Read),
    ("get", "/v1/people", Right::Administer),
    ("delete", "/v1/people/{user}", Right::Administer),
    ("get", "/v1/people/{user}", Right::Administer),
    ("put", "/v1/people/{user}", Right::Administer),
    ("get", "/v1/policy", Right::Read),
    ("get", "/v1/programs", Right::Administer),
    ("delete", "/v1/programs/{program}", Right::Administer),
    ("get", "/v1/programs/{program}", Right::Administer),
    ("put", "/v1/programs/{program}", Right::Administer),
    ("get", "/v1/quests", Right::Read),
    ("get", "/v1/quests/{quest}/coins", Right::Read),
    ("get", "/v1/status", Right::Read),
    ("get", "/v1/teams", Right::Administer),
    ("delete", "/v1/teams/{team}", Right::Administer),
    ("get", "/v1/teams/{team}", Right::Administer),
    ("put", "/v1/teams/{team}", Right::Administer),
    ("get", "/v1/users/{user}/coins", Right::Read),
    ("get", "/v1/users/{user}/quests", Right::Read),
];

type Headers = Vec<(&'static str, String)>;

fn bearer(token: impl Into<String>) -> Headers {
    vec![("authorization", format!("Bearer {}", token.into()))]
}

/// What must not pass as somebody, each with its name.
#[expect(clippy::too_many_lines, reason = "a table")]
fn tricks(issuer: &Issuer, other: &Key, p256: &Key) -> Vec<(&'static str, Headers)> {
    let now = Timestamp::now().as_second();
    let scope = json!({"scope": "podium:write podium:admin"});
    let claims = issuer.claims(&scope).to_string();
    let good = issuer.key.token_of(r#"{"alg":"RS256","kid":"first"}"#, &claims);
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, signature] = parts[..] else {
        panic!("{good}")
    };
    let with_header = |header: &str| bearer(issuer.key.token_of(header, &claims));
    let with_claims = |claims: &str| bearer(issuer.key.token_of(r#"{"alg":"RS256","kid":"first"}"#, claims));
    let with = |name: &str, value: Value| {
        let mut claims = issuer.claims(&scope);
        claims[name] = value;
        with_claims(&claims.to_string())
    };
    let without = |names: &[&str]| {
        let mut claims = issuer.claims(&scope);
        for name in names {
            claims.as_object_mut().expect("an object").remove(*name);
        }
        with_claims(&claims.to_string())
    };
    let twice = |member: &str| with_claims(&claims.replacen('{', &format!("{{{member},"), 1));
    let by_secret = |secret: &[u8]| {
        let message = format!("{}.{payload}", base64url(r#"{"alg":"HS256","kid":"first"}"#));
        let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
        bearer(format!(
            "{message}.{}",
            base64url(ring::hmac::sign(&key, message.as_bytes()))
        ))
    };
    let own_key = |member: Value| {
        let mut header = json!({"alg": "RS256", "kid": "mine"});
        for (name, value) in member.as_object().into_iter().flatten() {
            header[name] = value.clone();
        }
        bearer(other.token_of(&header.to_string(), &claims))
    };
    let unsigned = |algorithm: &str| base64url(json!({"alg": algorithm, "kid": "first"}).to_string());
    let jwk = issuer.key.jwk("first").to_string();
    let mut changed_signature = signature.to_owned();
    let last = if signature.starts_with('A') { "B" } else { "A" };
    changed_signature.replace_range(..1, last);
    let admin = issuer
        .claims(&json!({"sub": "root", "scope": "podium:admin"}))
        .to_string();
    vec![
        ("no token", vec![]),
        ("an empty token", bearer("")),
        ("no token after the scheme", vec![("authorization", "Bearer".to_owned())]),
        ("another scheme", vec![("authorization", "Basic YW5uOmFubg==".to_owned())]),
        ("no scheme", vec![("authorization", good.clone())]),
        ("an unknown scheme", vec![("authorization", format!("Token {good}"))]),
        ("two tokens", [bearer(good.clone()), bearer(good.clone())].concat()),
        ("two tokens in one header", bearer(format!("{good}, Bearer {good}"))),
        ("no JWT", bearer("ann")),
        ("two parts", bearer(format!("{header}.{payload}"))),
        ("four parts", bearer(format!("{good}.{signature}"))),
        ("five parts, as if encrypted", bearer(format!("{good}.{signature}.{signature}"))),
        ("three empty parts", bearer("..")),
        ("a blank in the token", bearer(format!("{header}. {payload}.{signature}"))),
        ("padding", bearer(format!("{header}=.{payload}.{signature}"))),
        ("the other alphabet of base64", bearer(format!("{header}.{payload}.+/{signature}"))),
        ("none, unsigned", bearer(format!("{}.{payload}.", unsigned("none")))),
        ("none, with the signature", bearer(format!("{}.{payload}.{signature}", unsigned("none")))),
        ("None, unsigned", bearer(format!("{}.{payload}.", unsigned("None")))),
        ("nOnE, unsigned", bearer(format!("{}.{payload}.", unsigned("nOnE")))),
        ("an empty algorithm", bearer(format!("{}.{payload}.", unsigned("")))),
        ("no algorithm", with_header(r#"{"kid":"first"}"#)),
        ("an algorithm that is a list", with_header(r#"{"alg":["RS256"],"kid":"first"}"#)),
        ("HS256 by the modulus", by_secret(&issuer.key.modulus())),
        ("HS256 by the published key", by_secret(jwk.as_bytes())),
        ("HS256 by an empty secret", by_secret(b"")),
        ("HS256 by the issuer's name", by_secret(issuer.url.as_bytes())),
        ("PS256 for RS256", with_header(r#"{"alg":"PS256","kid":"first"}"#)),
        ("EdDSA for RS256", with_header(r#"{"alg":"EdDSA","kid":"first"}"#)),
        ("ES256 by an RSA key", with_header(r#"{"alg":"ES256","kid":"first"}"#)),
        ("RS256 by a P-256 key", bearer(p256.token_of(r#"{"alg":"RS256","kid":"curve"}"#, &claims))),
        ("RS384 where the key is for RS256", with_header(r#"{"alg":"RS384","kid":"only-rs256"}"#)),
        ("a key for encryption", with_header(r#"{"alg":"RS256","kid":"for-encryption"}"#)),
        ("a key that is too short", with_header(r#"{"alg":"RS256","kid":"short"}"#)),
        ("a secret among the keys", with_header(r#"{"alg":"HS256","kid":"secret"}"#)),
        ("an unknown key id", with_header(r#"{"alg":"RS256","kid":"second"}"#)),
        ("a key id in another case", with_header(r#"{"alg":"RS256","kid":"First"}"#)),
        ("an empty key id", with_header(r#"{"alg":"RS256","kid":""}"#)),
        ("no key id", with_header(r#"{"alg":"RS256"}"#)),
        ("a key id that is a number", with_header(r#"{"alg":"RS256","kid":1}"#)),
        ("a key id that is a path", with_header(r#"{"alg":"RS256","kid":"../../../dev/null"}"#)),
        ("a key id that is a query", with_header(r#"{"alg":"RS256","kid":"' OR '1'='1"}"#)),
        ("own key by its address", own_key(json!({"jku": "http://127.0.0.1:9/keys"}))),
        ("own key in the header", own_key(json!({"jwk": other.jwk("mine")}))),
        ("own key in the header, under a known id", own_key(json!({"jwk": other.jwk("first"), "kid": "first"}))),
        ("own certificate by its address", own_key(json!({"x5u": "http://127.0.0.1:9/cert"}))),
        ("own certificate in the header", own_key(json!({"x5c": ["MIIB"], "kid": "first"}))),
        ("another key under a known id", own_key(json!({"kid": "first"}))),
        ("a critical extension", with_header(r#"{"alg":"RS256","kid":"first","crit":["exp"]}"#)),
        ("an unencoded payload", with_header(r#"{"alg":"RS256","kid":"first","b64":false}"#)),
        ("a logout token", with_header(r#"{"alg":"RS256","kid":"first","typ":"logout+jwt"}"#)),
        ("a proof of possession", with_header(r#"{"alg":"RS256","kid":"first","typ":"dpop+jwt"}"#)),
        ("a type that is a number", with_header(r#"{"alg":"RS256","kid":"first","typ":1}"#)),
        ("two algorithms", with_header(r#"{"alg":"none","alg":"RS256","kid":"first"}"#)),
        ("two key ids", with_header(r#"{"alg":"RS256","kid":"mine","kid":"first"}"#)),
        ("a header that is a list", with_header(r#"["RS256"]"#)),
        ("a header that is no JSON", with_header("RS256")),
        ("no signature", bearer(format!("{header}.{payload}."))),
        ("half a signature", bearer(format!("{header}.{payload}.{}", &signature[..100]))),
        ("a changed signature", bearer(format!("{header}.{payload}.{changed_signature}"))),
        ("other claims under the signature", bearer(format!("{header}.{}.{signature}", base64url(&admin)))),
        ("another header under the signature", bearer(format!("{}.{payload}.{signature}", base64url(r#"{"kid":"first","alg":"RS256"}"#)))),
        ("expired", with("exp", json!(now - 120))),
        ("no expiry", without(&["exp"])),
        ("an expiry that is a text", with("exp", json!((now + 300).to_string()))),
        ("an expiry that is null", with("exp", Value::Null)),
        ("an expiry that is a list", with("exp", json!([now + 300]))),
        ("an expiry before time began", with("exp", json!(-1))),
        ("not valid yet", with("nbf", json!(now + 300))),
        ("a beginning that is a text", with("nbf", json!("0"))),
        ("issued in the future", with("iat", json!(now + 300))),
        ("a time of issue that is a text", with("iat", json!("0"))),
        ("another issuer", with("iss", json!("https://id.example.com"))),
        ("no issuer", without(&["iss"])),
        ("the issuer with a slash", with("iss", json!(format!("{}/", issuer.url)))),
        ("the issuer in capitals", with("iss", json!(issuer.url.to_uppercase()))),
        ("an issuer that is an object", with("iss", json!({"iss": issuer.url}))),
        ("another audience", with("aud", json!("https://other.example.com"))),
        ("the beginning of the audience", with("aud", json!("https://podium"))),
        ("an audience in capitals", with("aud", json!(AUDIENCE.to_uppercase()))),
        ("other audiences", with("aud", json!(["a", "b"]))),
        ("an empty list of audiences", with("aud", json!([]))),
        ("an audience that is an object", with("aud", json!({"aud": AUDIENCE}))),
        ("an audience that is null", with("aud", Value::Null)),
        ("no audience and no client", without(&["aud"])),
        ("the client in place of a wrong audience", {
            let claims = issuer.claims(&json!({"aud": "other", "client_id": AUDIENCE}));
            with_claims(&claims.to_string())
        }),
        ("two subjects", twice(r#""sub":"root""#)),
        ("two audiences by repetition", twice(r#""aud":"other""#)),
        ("two expiries", twice(r#""exp":1"#)),
        ("two scopes", twice(r#""scope":"podium:admin""#)),
        ("claims that are a list", with_claims(&format!("[{claims}]"))),
        ("claims that are no JSON", with_claims("sub=ann")),
        ("something after the claims", with_claims(&format!("{claims}{{}}"))),
        ("claims that are no UTF-8", {
            let message = format!("{header}.{}", base64url([&b"{\"sub\":\"\xff\","[..], &claims.as_bytes()[1..]].concat()));
            bearer(format!("{message}.{}", base64url(issuer.key.sign("RS256", message.as_bytes()))))
        }),
        ("11 kB", with("padding", json!("x".repeat(8_000)))),
        ("the claims in headers", vec![
            ("x-amzn-oidc-identity", "ann".to_owned()),
            ("x-amzn-oidc-data", good.clone()),
            ("x-amzn-oidc-accesstoken", good.clone()),
            ("x-amzn-request-context", json!({"authorizer": {"jwt": {"claims": {"sub": "ann"}}}}).to_string()),
        ]),
        ("who was forwarded", vec![
            ("x-forwarded-user", "ann".to_owned()),
            ("x-forwarded-access-token", good.clone()),
            ("x-forwarded-host", "localhost".to_owned()),
            ("x-forwarded-for", "127.0.0.1".to_owned()),
            ("x-original-url", "/".to_owned()),
        ]),
        ("the token in a cookie", vec![("cookie", format!("access_token={good}; authorization=Bearer {good}"))]),
        ("the token for a proxy", vec![("proxy-authorization", format!("Bearer {good}"))]),
        ("another method by a header", vec![("x-http-method-override", "OPTIONS".to_owned())]),
        ("a signature of AWS", vec![("authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20261121/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=00".to_owned())]),
    ]
}

/// Every route with its methods, and the same below `/v1/private/`.
fn routes() -> Vec<(Method, String, Right)> {
    let description = Description::load();
    let described: Vec<_> = description.routes();
    let ruled: Vec<_> = ROUTES
        .iter()
        .map(|(method, path, _)| ((*method).to_owned(), (*path).to_owned()))
        .collect();
    assert_eq!(described, ruled, "every route of the description has a rule");
    let mut routes = Vec::new();
    for (method, path, right) in ROUTES {
        let path = ["{user}", "{team}", "{program}", "{quest}"]
            .iter()
            .fold(path.replace("{board}", "global"), |path, id| {
                path.replace(id, "ann")
            });
        let path = if path.ends_with("/users") {
            format!("{path}?search=a")
        } else {
            path
        };
        match right {
            Right::Write | Right::Administer => {
                routes.push((method.to_uppercase().parse().expect("a method"), path, right));
            }
            Right::Read => {
                let private = path.replacen("/v1/", "/v1/private/", 1);
                for method in [Method::GET, Method::HEAD] {
                    routes.push((method.clone(), path.clone(), right));
                    routes.push((method, private.clone(), right));
                }
            }
        }
    }
    routes
}

const ACTIVITY: &str = r#"{"user_id":"ann","program_id":"p","kind":"task_completed"}"#;

async fn send(stack: &TestStack, method: &Method, path: &str, headers: &Headers, body: &str) -> (u16, Value) {
    let mut request = stack
        .http
        .request(method.clone(), format!("{}{path}", stack.stack.web_url));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    if [Method::POST, Method::PUT].contains(method) {
        request = request
            .header("content-type", "application/json")
            .body(body.to_owned());
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let is_challenged = response.headers().contains_key("www-authenticate");
    assert!(
        is_challenged || status != 401,
        "{method} {path}: a 401 says how to log in"
    );
    let body = response.bytes().await.expect("a body");
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

/// Whether the directory has someone.
async fn has_people(stack: &TestStack) -> bool {
    let client = local::dynamodb_client(&stack.stack.aws_url);
    let people = People::new(client, stack.stack.tables.people.clone());
    !people.is_empty().await.expect("the table")
}

/// The number of facts, without heartbeats.
pub async fn facts(stack: &TestStack) -> usize {
    let client = local::dynamodb_client(&stack.stack.aws_url);
    let scan = client
        .scan()
        .table_name(&stack.stack.tables.activities)
        .send()
        .await
        .expect("the table");
    let is_fact = |user: &str| !user.starts_with('~');
    let items = scan.items.unwrap_or_default();
    items
        .iter()
        .filter(|item| item["user_id"].as_s().is_ok_and(|user| is_fact(user)))
        .count()
}

pub async fn stack(issuer: &Issuer, access: Access) -> TestStack {
    let login = Login {
        issuer: issuer.url.parse().expect("an issuer"),
        audience: AUDIENCE.to_owned(),
        client_id: None,
        scope: None,
        parameters: Vec::new(),
    };
    TestStack::start(|config| {
        config.snapshot_every = Duration::from_hours(1);
        config.access = access;
        config.login = Some(login);
        config.legacy_answer = true;
    })
    .await
}

async fn published(stack: &TestStack, headers: &Headers) {
    for path in ["/v1/status", "/v1/policy"] {
        while send(stack, &Method::GET, path, headers, "").await.0 == 503 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// The same requests with good tokens, so that the refusals mean something.
/// Whether a path is that of someone without activities, or of the teams or a quest, of which there are none.
fn is_missing(path: &str) -> bool {
    path.contains("/users/ann") || path.contains("/quests/ann") || path.ends_with("/boards/teams")
}

async fn check_good_tokens(stack: &TestStack, issuer: &Issuer, p256: &Key) {
    let by = |key: &Key, header: &str| bearer(key.token_of(header, &issuer.claims(&Value::Null).to_string()));
    let claims = |more: Value| bearer(issuer.token(&more));
    let now = Timestamp::now().as_second();
    for (name, headers) in [
        ("RS256", claims(json!({"scope": "podium:write"}))),
        (
            "RS384",
            by(&issuer.key, r#"{"alg":"RS384","kid":"first","typ":"JWT"}"#),
        ),
        ("RS512", by(&issuer.key, r#"{"alg":"RS512","kid":"first"}"#)),
        ("ES256", by(p256, r#"{"alg":"ES256","kid":"curve"}"#)),
        ("several audiences", claims(json!({"aud": ["a", AUDIENCE]}))),
        (
            "within the leeway",
            claims(json!({"exp": now - 20, "nbf": now + 20, "iat": now + 20})),
        ),
        (
            "the scheme in small letters",
            vec![("authorization", format!("bearer {}", issuer.token(&Value::Null)))],
        ),
    ] {
        for (method, path, right) in routes() {
            if right != Right::Read {
                continue;
            }
            let (status, answer) = send(stack, &method, &path, &headers, "").await;
            let missing = is_missing(&path);
            assert_eq!(
                status,
                if missing { 404 } else { 200 },
                "{name}: {method} {path}: {answer}"
            );
        }
    }
    let mut by_client = issuer.claims(&json!({"client_id": AUDIENCE}));
    by_client.as_object_mut().expect("an object").remove("aud");
    let by_client = bearer(
        issuer
            .key
            .token_of(r#"{"alg":"RS256","kid":"first"}"#, &by_client.to_string()),
    );
    assert_eq!(
        send(stack, &Method::GET, "/v1/status", &by_client, "").await.0,
        200
    );
}

/// What the scopes of a token allow. Two of the posts are accepted.
async fn check_scopes(stack: &TestStack, issuer: &Issuer) {
    for (scope, path, expected) in [
        ("", "/v1/activities", 403),
        ("podium:read", "/v1/activities", 403),
        ("podium:write", "/v1/activities", 202),
        ("podium:admin", "/v1/activities", 202),
        ("podium:write", "/v1/people/ann", 403),
        ("podium:write", "/v1/corrections", 403),
        ("podium:admin", "/v1/people/ann", 405),
        ("podium:admin", "/v1/corrections", 422),
    ] {
        let headers = bearer(issuer.token(&json!({ "scope": scope })));
        let (status, answer) = send(stack, &Method::POST, path, &headers, ACTIVITY).await;
        assert_eq!(status, expected, "{scope:?} {path}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_bad_token_reads_or_writes_anything() {
    let issuer = Issuer::start().await;
    let (other, p256) = (Key::rsa(), Key::p256());
    let with = |mut jwk: Value, name: &str, value: &str| {
        jwk[name] = value.into();
        jwk
    };
    let short = json!({"kty": "RSA", "kid": "short", "n": base64url([0xc5; 128]), "e": "AQAB"});
    issuer.publish(vec![
        issuer.key.jwk("first"),
        with(issuer.key.jwk("only-rs256"), "alg", "RS256"),
        with(issuer.key.jwk("for-encryption"), "use", "enc"),
        p256.jwk("curve"),
        short,
        json!({"kty": "oct", "kid": "secret", "k": base64url("secret")}),
    ]);
    let stack = stack(&issuer, restricted()).await;
    let good = bearer(issuer.token(&json!({"scope": "podium:write"})));
    published(&stack, &good).await;
    let tricks = tricks(&issuer, &other, &p256);
    assert!(tricks.len() >= 80, "{} tricks", tricks.len());
    let mut sent = 0;
    for (method, path, _) in routes() {
        for (name, headers) in &tricks {
            let (status, problem) = send(&stack, &method, &path, headers, ACTIVITY).await;
            assert_eq!(status, 401, "{name}: {method} {path}: {problem}");
            if method != Method::HEAD {
                assert_eq!(problem["code"], "unauthenticated", "{name}: {method} {path}");
            }
            sent += 1;
        }
    }
    println!("{} tricks, {sent} requests, all answered with 401", tricks.len());

    // A head that is too long never reaches a route, and a token in an address is none.
    let token = issuer.token(&Value::Null);
    for (path, headers, expected) in [
        ("/v1/status".to_owned(), bearer("x".repeat(64_000)), 401),
        ("/v1/status".to_owned(), bearer("x".repeat(128 * 1024)), 431),
        (format!("/v1/status?access_token={token}"), vec![], 401),
        (format!("/v1/status?authorization=Bearer%20{token}"), vec![], 401),
        ("/v1/nothing".to_owned(), vec![], 401),
        ("/v1/%73tatus".to_owned(), vec![], 401),
        ("/v1//status".to_owned(), vec![], 401),
        ("/v1/../v1/status".to_owned(), vec![], 401),
    ] {
        let (status, _) = send(&stack, &Method::GET, &path, &headers, "").await;
        assert_eq!(status, expected, "{path}");
    }
    for method in ["OPTIONS", "POST", "PUT", "PATCH", "DELETE", "FETCH"] {
        let method: Method = method.parse().expect("a method");
        for path in [
            "/v1/status",
            "/v1/activities",
            "/v1/people/ann",
            "/v1/private/status",
        ] {
            let (status, _) = send(&stack, &method, path, &vec![], ACTIVITY).await;
            assert_eq!(status, 401, "{method} {path}");
        }
    }
    assert_eq!(facts(&stack).await, 0, "nothing was written");
    assert!(!has_people(&stack).await, "nobody was written");

    check_good_tokens(&stack, &issuer, &p256).await;
    check_scopes(&stack, &issuer).await;
    assert_eq!(facts(&stack).await, 2);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn employees_post_for_themselves_where_everyone_reads() {
    let issuer = Issuer::start().await;
    let access = Access {
        readers: Readers::Public,
        self_reporting: true,
        user_claim: "employee".to_owned(),
        ..restricted()
    };
    let stack = stack(&issuer, access).await;
    published(&stack, &vec![]).await;
    let bad = bearer("not.a.token");
    for (method, path, right) in routes() {
        let is_open = right == Right::Read && !path.starts_with("/v1/private/");
        for headers in [&vec![], &bad] {
            let (status, _) = send(&stack, &method, &path, headers, ACTIVITY).await;
            let missing = is_missing(&path);
            let expected = match is_open {
                true if missing => 404,
                true => 200,
                false => 401,
            };
            assert_eq!(status, expected, "{method} {path}");
        }
    }
    let of = |user: &str| json!({"user_id": user, "program_id": "p", "kind": "task_completed"});
    for (claims, users, expected) in [
        (json!({"employee": "bob"}), &["ann"][..], 403),
        (json!({"sub": "ann"}), &["ann"], 403),
        (json!({"employee": ["ann"]}), &["ann"], 403),
        (json!({"employee": 7}), &["ann"], 403),
        (json!({"employee": "ann"}), &["ann"], 202),
        (json!({"employee": "ann"}), &["bob", "ann"], 207),
    ] {
        let body = users.iter().map(|user| of(user)).collect::<Value>().to_string();
        let headers = bearer(issuer.token(&claims));
        let (status, answer) = send(&stack, &Method::POST, "/v1/activities", &headers, &body).await;
        assert_eq!(status, expected, "{claims} {users:?}: {answer}");
    }
    assert_eq!(facts(&stack).await, 2);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_when_they_are_needed_and_no_more() {
    let issuer = Issuer::start().await;
    issuer.set_down(true);
    let stack = stack(&issuer, restricted()).await;
    let status = async |headers: &Headers| send(&stack, &Method::GET, "/v1/status", headers, "").await;
    let token = bearer(issuer.token(&Value::Null));
    let (answered, problem) = status(&token).await;
    assert_eq!(
        (answered, &problem["code"]),
        (503, &"identity_unavailable".into())
    );

    issuer.set_down(false);
    published(&stack, &token).await;
    assert_eq!(status(&token).await.0, 200);
    let fetched = issuer.fetches();
    for _ in 0..20 {
        assert_eq!(status(&token).await.0, 200);
    }
    assert_eq!(issuer.fetches(), fetched, "known keys are kept");

    // The issuer signs with a new key, and withdraws the old one.
    let second = Key::rsa();
    issuer.publish(vec![second.jwk("second")]);
    let claims = issuer.claims(&Value::Null).to_string();
    let renewed = bearer(second.token_of(r#"{"alg":"RS256","kid":"second"}"#, &claims));
    assert_eq!(status(&renewed).await.0, 200);
    assert_eq!(
        status(&token).await.0,
        401,
        "a withdrawn key is believed no longer"
    );

    // Invented key ids do not make the stack flood the issuer, and do not keep others out.
    for id in 0..50 {
        let header = json!({"alg": "RS256", "kid": format!("invented-{id}")});
        assert_eq!(
            status(&bearer(second.token_of(&header.to_string(), &claims)))
                .await
                .0,
            401
        );
    }
    assert!(issuer.fetches() <= 10, "{} fetches", issuer.fetches());
    issuer.set_down(true);
    assert_eq!(status(&renewed).await.0, 200, "known keys outlast an outage");
    stack.stop().await;
}
