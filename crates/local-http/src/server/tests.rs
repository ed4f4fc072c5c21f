use std::net::SocketAddr;

use axum::body::Bytes;
use axum::routing::any;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::*;
use crate::{AllowedHosts, Guard, raise_open_files_limit};

/// Prevents a failing test from hanging.
const PATIENCE: Duration = Duration::from_secs(60);

const BODY_BYTES_MAX: usize = 16;

/// Serves a guarded echo within these limits.
async fn start(limits: Limits) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let echo = any(async |body: Bytes| body);
    let router = Router::new().route("/", echo);
    let guard = Guard::new(AllowedHosts::default(), BODY_BYTES_MAX, 1024);
    let served = serve_within(limits, listener, guard.protect(router), std::future::pending());
    (address, tokio::spawn(served))
}

const LIMITS: Limits = Limits {
    connections: CONNECTIONS_MAX,
    idle: IDLE_MAX,
};

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("it connects")
}

/// All that the server sends until it closes the connection.
async fn answer(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    // A connection that is closed with unread bytes is reset, after what was received until then.
    let _reset = timeout(PATIENCE, stream.read_to_end(&mut answer))
        .await
        .expect("it is closed in time");
    String::from_utf8(answer).expect("text")
}

async fn send(address: SocketAddr, request: &str) -> String {
    let mut stream = connect(address).await;
    stream.write_all(request.as_bytes()).await.expect("it is sent");
    answer(stream).await
}

#[tokio::test]
async fn requests_that_no_handler_should_see_are_refused_with_a_reason() {
    let (address, server) = start(LIMITS).await;
    let get = |headers: &str| format!("GET / HTTP/1.1\r\nConnection: close\r\n{headers}\r\n");
    let post = |headers: &str, body: &str| {
        format!("POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n\r\n{body}")
    };
    let chunked = |body: &str| post("Transfer-Encoding: chunked", body);
    let too_long = "x".repeat(BODY_BYTES_MAX + 1);
    for (request, status, told) in [
        (get("Host: localhost.:7000\r\n"), 200, ""),
        (get("Host: [::1]\r\n"), 200, ""),
        ("GET / HTTP/1.0\r\n\r\n".to_owned(), 200, ""),
        (get(""), 400, "Host header is missing"),
        (
            get("Host: localhost\r\nHost: localhost\r\n"),
            400,
            "more than one Host header",
        ),
        (get("Host: a b\r\n"), 400, "must be a name or an address"),
        (
            get("Host: rebound.example\r\n"),
            421,
            "--allowed-host rebound.example",
        ),
        (
            "GET http://rebound.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".to_owned(),
            421,
            "rebound.example",
        ),
        (
            "GET http://localhost/ HTTP/1.1\r\nHost: rebound.example\r\nConnection: close\r\n\r\n".to_owned(),
            200,
            "",
        ),
        (
            "TRACE / HTTP/1.1\r\nHost: localhost\r\nAuthorization: secret\r\nConnection: close\r\n\r\n"
                .to_owned(),
            405,
            "TRACE is not allowed",
        ),
        (chunked("3\r\nabc\r\n0\r\n\r\n"), 200, "abc"),
        (chunked("zz\r\nabc\r\n0\r\n\r\n"), 400, "chunks are malformed"),
        (chunked("3\r\nabcdef\r\n0\r\n\r\n"), 400, "chunks are malformed"),
        (
            chunked("fffffffffffffffff\r\nabc\r\n0\r\n\r\n"),
            400,
            "chunks are malformed",
        ),
        (
            chunked(&format!("11\r\n{too_long}\r\n0\r\n\r\n")),
            413,
            "larger than 16 bytes",
        ),
        (post("Content-Length: 17", &too_long), 413, "larger than 16 bytes"),
    ] {
        let answer = send(address, &request).await;
        assert!(
            answer.starts_with(&format!(
                "HTTP/1.{} {status} ",
                u8::from(!request.contains("HTTP/1.0"))
            )),
            "{request}\n{answer}"
        );
        assert!(answer.contains(told), "{request}\n{answer}");
        assert_eq!(
            answer.contains("application/problem+json"),
            status != 200,
            "{answer}"
        );
        assert!(!answer.contains("secret"), "{answer}");
    }
    server.abort();
}

#[tokio::test]
async fn half_open_connections_do_not_keep_others_from_an_answer() {
    raise_open_files_limit();
    let (address, server) = start(LIMITS).await;
    let mut half_open = Vec::new();
    for number in 0..CONNECTIONS_MAX + 100 {
        let mut stream = connect(address).await;
        // Some send nothing, and some part of a head.
        if number % 2 == 0 {
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: loc")
                .await
                .expect("it is sent");
        }
        half_open.push(stream);
    }
    let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let answer = send(address, request).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    server.abort();
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let (address, server) = start(Limits {
        idle: Duration::from_millis(50),
        ..LIMITS
    })
    .await;
    let mut half_open = connect(address).await;
    half_open
        .write_all(b"GET / HTTP/1.1\r\nHo")
        .await
        .expect("it is sent");
    assert_eq!(answer(half_open).await, "");
    let answered = send(address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    assert!(answered.starts_with("HTTP/1.1 200 "), "{answered}");
    server.abort();
}

#[tokio::test]
async fn a_connection_beyond_the_limit_is_told_when_all_are_busy() {
    let (address, server) = start(Limits {
        connections: 1,
        ..LIMITS
    })
    .await;
    let mut busy = connect(address).await;
    let head = b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n";
    busy.write_all(head).await.expect("it is sent");
    // The server asks for the body once it has begun with the request.
    let mut asked = [0; 12];
    busy.read_exact(&mut asked).await.expect("it answers");
    assert_eq!(&asked, b"HTTP/1.1 100");
    let refused = answer(connect(address).await).await;
    assert!(refused.starts_with("HTTP/1.1 503 "), "{refused}");
    server.abort();
}
