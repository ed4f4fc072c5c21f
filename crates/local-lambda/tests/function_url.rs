//! Function URLs: the event of a request, the response for an answer, and both through `lambda_http`.

mod function_binary;

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    extract::ConnectInfo,
    http::{Method, Request, StatusCode},
    response::Response,
};
use local_lambda::{
    FunctionConfig, Lambda, PAYLOAD_BYTES_MAX,
    function_url::{Authorized, InvalidRequest, Received, URI_BYTES_MAX, handle, request_event, response},
};
use serde_json::{Value, json};
use uuid::Uuid;

use self::function_binary::example;

fn event(request: Request<Vec<u8>>) -> Result<Value, InvalidRequest> {
    let (parts, body) = request.into_parts();
    let received = Received {
        url_id: "ingest",
        request_id: Uuid::nil(),
        at: "2026-11-21T09:05:07.042Z".parse().unwrap(),
    };
    request_event(&parts, &body, received).map(|event| serde_json::from_slice(&event).unwrap())
}

#[test]
fn behind_an_authorizer_an_event_is_that_of_an_http_api() {
    for (path, expected) in [
        ("/v1/boards/program%3Aa?limit=1", "/v1/boards/program:a"),
        ("/v1/boards/a%2Fb", "/v1/boards/a/b"),
        ("/v1/boards/a%3Fb", "/v1/boards/a"),
        ("/v1/boards/%25", "/v1/boards/%"),
    ] {
        let mut request = Request::get(path).body(Vec::new()).unwrap();
        let claims = [("sub".to_owned(), "ann".to_owned())].into();
        request.extensions_mut().insert(Authorized { claims });
        let event = event(request).unwrap();
        assert_eq!(event["rawPath"], expected, "{path}");
        assert_eq!(event["requestContext"]["http"]["path"], expected, "{path}");
        let authorizer = json!({"jwt": {"claims": {"sub": "ann"}, "scopes": null}});
        assert_eq!(event["requestContext"]["authorizer"], authorizer);
    }
}

#[test]
fn an_event_is_that_of_a_public_function_url() {
    let mut request = Request::post("/v1/a%2Fb%20c?x=1&x=2&name=J%C3%B6rg+K&flag&bad=%zz")
        .header("Host", "podium.example.com:7000")
        .header("Content-Type", "application/json")
        .header("User-Agent", "curl/8.9")
        .header("X-Two", "one")
        .header("X-Two", "two")
        .header("Cookie", "a=1; b=2")
        .header("X-Forwarded-For", "203.0.113.9")
        .body(b"{}".to_vec())
        .unwrap();
    request
        .extensions_mut()
        .insert(ConnectInfo("192.0.2.7:5000".parse::<SocketAddr>().unwrap()));
    let expected = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/v1/a%2Fb%20c",
        "rawQueryString": "x=1&x=2&name=J%C3%B6rg+K&flag&bad=%zz",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "host": "podium.example.com:7000",
            "content-type": "application/json",
            "user-agent": "curl/8.9",
            "x-two": "one,two",
            "x-forwarded-for": "192.0.2.7",
            "x-forwarded-proto": "http",
        },
        "queryStringParameters": { "x": "1,2", "name": "Jörg K", "flag": "", "bad": "%zz" },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "ingest",
            "domainName": "podium.example.com",
            "domainPrefix": "podium",
            "http": {
                "method": "POST",
                "path": "/v1/a%2Fb%20c",
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.7",
                "userAgent": "curl/8.9",
            },
            "requestId": "00000000-0000-0000-0000-000000000000",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:09:05:07 +0000",
            "timeEpoch": 1_795_251_907_042_i64,
        },
        "body": "{}",
        "isBase64Encoded": false,
    });
    assert_eq!(event(request), Ok(expected));
}

#[test]
fn a_body_is_plain_only_when_its_type_is_text() {
    let check = |content_type: &str, body: &[u8], expected: Value| {
        let mut request = Request::post("/");
        if !content_type.is_empty() {
            request = request.header("content-type", content_type);
        }
        let event = event(request.body(body.to_vec()).unwrap()).unwrap();
        assert_eq!(
            json!([event["body"], event["isBase64Encoded"]]),
            expected,
            "{content_type}"
        );
    };
    check("application/json", b"", json!([null, false]));
    check("application/json", b"{}", json!(["{}", false]));
    check("Application/JSON; charset=utf-8", b"{}", json!(["{}", false]));
    check("text/csv", b"a,b", json!(["a,b", false]));
    check("application/xml", b"<a/>", json!(["<a/>", false]));
    check("application/json", b"\xff", json!(["/w==", true]));
    check("application/octet-stream", b"a", json!(["YQ==", true]));
    check("application/x-www-form-urlencoded", b"a", json!(["YQ==", true]));
    check("", b"a", json!(["YQ==", true]));
}

#[test]
fn refuses_what_no_function_url_would_pass_on() {
    let check = |request: Request<Vec<u8>>, expected: Option<InvalidRequest>| {
        assert_eq!(event(request).err(), expected);
    };
    let from = |host: &str| Request::get("/").header("host", host).body(Vec::new()).unwrap();
    for host in [
        "localhost:7000",
        "127.0.0.1:7000",
        "[::1]:7000",
        "[::1]",
        "localhost.",
        "127.0.0.1",
        "a.b-c.example",
    ] {
        check(from(host), None);
    }
    for host in [
        "",
        "a b",
        "999.1.1.1",
        "a:99999",
        "user@a",
        "a/b",
        "xn--a",
        "a..b",
    ] {
        check(from(host), Some(InvalidRequest::Host));
    }
    check(
        Request::options("*").body(Vec::new()).unwrap(),
        Some(InvalidRequest::Path),
    );
    let long = format!("/{}", "x".repeat(URI_BYTES_MAX));
    check(
        Request::get(long).body(Vec::new()).unwrap(),
        Some(InvalidRequest::UriTooLong),
    );
    // In base64 it exceeds 6 MB.
    let body = vec![0; PAYLOAD_BYTES_MAX - 10_000];
    check(
        Request::post("/").body(body).unwrap(),
        Some(InvalidRequest::TooLarge),
    );
}

async fn seen(response: Response) -> (u16, Vec<(String, String)>, String) {
    let headers = response
        .headers()
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), PAYLOAD_BYTES_MAX).await.unwrap();
    (status, headers, String::from_utf8_lossy(&body).into_owned())
}

#[tokio::test]
async fn a_response_is_what_the_answer_says() {
    let check = async |answer: &str, status: u16, headers: &[(&str, &str)], body: &str| {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let response = response(&answer.to_owned().into(), &Method::GET);
        assert_eq!(
            seen(response).await,
            (status, headers, body.to_owned()),
            "{answer}"
        );
    };
    let json = ("content-type", "application/json");
    let bad = [("content-type", "text/plain; charset=utf-8")];
    check(r#"{"statusCode":204}"#, 204, &[json], "").await;
    check(
        r#"{"statusCode":200,"headers":{"Content-Type":"text/html","x-n":5,"Content-Length":"9"},"body":"hi","isBase64Encoded":false}"#,
        200,
        &[("content-type", "text/html"), ("x-n", "5")],
        "hi",
    )
    .await;
    check(
        r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#,
        200,
        &[json],
        "hi",
    )
    .await;
    check(
        r#"{"statusCode":200,"headers":null,"multiValueHeaders":{"x-a":["1","2"]},"cookies":["a=1","b=2"]}"#,
        200,
        &[
            ("x-a", "1"),
            ("x-a", "2"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            json,
        ],
        "",
    )
    .await;
    check(r#"{"message":"hi"}"#, 200, &[json], r#"{"message":"hi"}"#).await;
    check(r#""hi""#, 200, &[json], r#""hi""#).await;
    for malformed in [
        "",
        "not json",
        r#"{"statusCode":"ok"}"#,
        r#"{"statusCode":99}"#,
        r#"{"statusCode":101}"#,
        r#"{"statusCode":200,"body":"%","isBase64Encoded":true}"#,
        r#"{"statusCode":200,"headers":{"a b":"c"}}"#,
        r#"{"statusCode":200,"headers":{"a":"b\nc"}}"#,
    ] {
        check(malformed, 502, &bad, "Internal Server Error").await;
    }
    let length_of_get = r#"{"statusCode":200,"headers":{"content-length":9}}"#.to_owned().into();
    let (_, headers, _) = seen(response(&length_of_get, &Method::HEAD)).await;
    assert!(
        headers.contains(&("content-length".to_owned(), "9".to_owned())),
        "{headers:?}"
    );
}

#[tokio::test]
async fn round_trips_through_lambda_http() {
    let config = FunctionConfig {
        timeout: Duration::from_secs(20),
        memory_mb: 1_024,
        ..FunctionConfig::new("mirror", example("http_function"))
    };
    let lambda = Lambda::start(vec![config]).unwrap();
    let function = lambda.function("mirror").unwrap();
    let ask = async |request: Request<Body>| handle(function.clone(), request).await;

    let request = Request::put("/v1/a%2Fb%20%C3%B6?x=1&x=2&y=%26+z")
        .header("host", "127.0.0.1:7000")
        .header("x-forwarded-proto", "no scheme at all")
        .header("cookie", "a=1; b=2")
        .header("x-two", "one")
        .header("x-two", b"t\xf6".as_slice())
        .body(Body::from(vec![0, 255]))
        .unwrap();
    let (status, headers, body) = seen(ask(request).await).await;
    assert_eq!(status, 201);
    assert!(headers.contains(&("content-type".to_owned(), "application/json".to_owned())));
    let expected = json!({
        "method": "PUT",
        "uri": "http://127.0.0.1:7000/v1/a%2Fb%20%C3%B6?x=1&x=2&y=%26+z",
        "raw_path": "/v1/a%2Fb%20%C3%B6",
        "query": [["x", "1"], ["x", "2"], ["y", "& z"]],
        "cookie": "a=1; b=2",
        "x_two": "one,t?",
        "body": [0, 255],
    });
    let mut mirrored: Value = serde_json::from_str(&body).unwrap();
    mirrored["query"]
        .as_array_mut()
        .unwrap()
        .sort_by_key(ToString::to_string);
    assert_eq!(mirrored, expected);

    let (status, _, body) = seen(ask(Request::get("/").body(Body::empty()).unwrap()).await).await;
    let mirrored: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &mirrored["body"]), (201, &json!([])));

    let response = ask(Request::post("/raw").body(Body::from(vec![1, 254, 0])).unwrap()).await;
    let cookies: Vec<_> = response.headers().get_all("set-cookie").iter().cloned().collect();
    assert_eq!(cookies, ["one=1", "two=2"]);
    assert_eq!(
        to_bytes(response.into_body(), 10).await.unwrap().as_ref(),
        [1, 254, 0]
    );

    let too_large = Body::from(vec![b'x'; PAYLOAD_BYTES_MAX + 1]);
    let response = ask(Request::post("/").body(too_large).unwrap()).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);

    function.stop().await;
    let response = ask(Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    lambda.stop().await;

    let response = ask(Request::get("/").body(Body::empty()).unwrap()).await;
    assert_eq!(seen(response).await.0, 502);
}
