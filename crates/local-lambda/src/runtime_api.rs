//! The Lambda Runtime API, version 2018-06-01. Processes get their invocations and send their answers here.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Context;
use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use serde::Deserialize;
use tokio::{
    net::TcpListener,
    sync::oneshot,
    task::{AbortHandle, JoinHandle},
};

use local_http::serve;

use crate::{
    config::PAYLOAD_BYTES_MAX,
    environment::{Environment, EnvironmentId, Event, Invocation, RequestId},
    error::InvokeError,
};

/// One listener for all environments. The first segment of the path is the environment's id.
pub struct RuntimeApi {
    pub address: SocketAddr,
    environments: Arc<Environments>,
    server: AbortHandle,
}

#[derive(Default)]
struct Environments(Mutex<HashMap<EnvironmentId, Route>>);

#[derive(Clone)]
struct Route {
    environment: Arc<Environment>,
    function_arn: Arc<str>,
}

impl Environments {
    fn locked(&self) -> MutexGuard<'_, HashMap<EnvironmentId, Route>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, id: EnvironmentId) -> Option<Route> {
        self.locked().get(&id).cloned()
    }
}

impl RuntimeApi {
    /// Listens on a free loopback port. The port is bound before this returns, because a function exits
    /// when its connection is refused.
    pub fn start() -> anyhow::Result<Self> {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std)
            .context("cannot listen for the Lambda Runtime API on 127.0.0.1")?;
        let address = listener
            .local_addr()
            .context("cannot read the address of the Lambda Runtime API")?;
        let environments = Arc::new(Environments::default());
        let runtime = "/{environment}/2018-06-01/runtime";
        let router = Router::new()
            .route(&format!("{runtime}/invocation/next"), get(next))
            .route(&format!("{runtime}/invocation/{{id}}/response"), post(response))
            .route(&format!("{runtime}/invocation/{{id}}/error"), post(error))
            .route(&format!("{runtime}/init/error"), post(init_error))
            .with_state(Arc::clone(&environments));
        let server: JoinHandle<_> = tokio::spawn(serve(listener, router, std::future::pending()));
        Ok(Self {
            address,
            environments,
            server: server.abort_handle(),
        })
    }

    pub fn add(&self, environment: &Arc<Environment>, function_arn: &Arc<str>) {
        let route = Route {
            environment: Arc::clone(environment),
            function_arn: Arc::clone(function_arn),
        };
        self.environments.locked().insert(environment.id, route);
    }

    pub fn remove(&self, id: EnvironmentId) {
        self.environments.locked().remove(&id);
    }
}

impl Drop for RuntimeApi {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn next(State(environments): State<Arc<Environments>>, Path(id): Path<EnvironmentId>) -> Response {
    let Some(route) = environments.find(id) else {
        return refused(StatusCode::FORBIDDEN, "InvalidEnvironment");
    };
    let (sender, invocation) = oneshot::channel();
    route.environment.tell(Event::Next(sender)).await;
    match invocation.await {
        Ok(invocation) => handed_over(&route.function_arn, invocation),
        // The process is being killed. An answer would only make it log an error first.
        Err(_) => std::future::pending().await,
    }
}

fn handed_over(function_arn: &str, invocation: Invocation) -> Response {
    let since_epoch = |time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let id = invocation.id.0;
    let now = SystemTime::now();
    let trace = id.simple().to_string();
    let (root, parent) = trace.split_at(24);
    let started = since_epoch(now).as_secs();
    let deadline_ms = (since_epoch(now + invocation.timeout).as_millis().cast_signed())
        .saturating_add(invocation.deadline_error.as_millis());
    let headers = [
        ("content-type", "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", id.to_string()),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", function_arn.to_owned()),
        (
            "lambda-runtime-trace-id",
            format!("Root=1-{started:08x}-{root};Parent={parent}00000000;Sampled=0"),
        ),
    ];
    (axum::response::AppendHeaders(headers), invocation.payload).into_response()
}

async fn response(
    State(environments): State<Arc<Environments>>,
    Path((environment, id)): Path<(EnvironmentId, RequestId)>,
    body: Body,
) -> Response {
    let (answer, status) = match read(body).await {
        Ok(payload) => (Ok(payload), StatusCode::ACCEPTED),
        Err(Unreadable::TooLarge) => {
            let error = InvokeError::Unhandled {
                error_type: "Function.ResponseSizeTooLarge".to_owned(),
                message: format!("the answer is larger than {PAYLOAD_BYTES_MAX} bytes"),
            };
            (Err(error), StatusCode::PAYLOAD_TOO_LARGE)
        }
        Err(Unreadable::Broken) => return refused(StatusCode::BAD_REQUEST, "InvalidBody"),
    };
    answered(&environments, environment, id, answer, status).await
}

async fn error(
    State(environments): State<Arc<Environments>>,
    Path((environment, id)): Path<(EnvironmentId, RequestId)>,
    body: Body,
) -> Response {
    let Ok(body) = read(body).await else {
        return refused(StatusCode::BAD_REQUEST, "InvalidBody");
    };
    let Diagnostic {
        error_type,
        error_message,
    } = Diagnostic::parse(&body);
    let answer = Err(InvokeError::Unhandled {
        error_type,
        message: error_message,
    });
    answered(&environments, environment, id, answer, StatusCode::ACCEPTED).await
}

async fn init_error(
    State(environments): State<Arc<Environments>>,
    Path(environment): Path<EnvironmentId>,
    body: Body,
) -> Response {
    let (Some(route), Ok(body)) = (environments.find(environment), read(body).await) else {
        return refused(StatusCode::FORBIDDEN, "InvalidEnvironment");
    };
    let Diagnostic {
        error_type,
        error_message,
    } = Diagnostic::parse(&body);
    let error = InvokeError::Unhandled {
        error_type,
        message: error_message,
    };
    route.environment.tell(Event::InitError(error)).await;
    StatusCode::ACCEPTED.into_response()
}

async fn answered(
    environments: &Environments,
    environment: EnvironmentId,
    id: RequestId,
    answer: Result<Bytes, InvokeError>,
    status: StatusCode,
) -> Response {
    let Some(Route { environment, .. }) = environments.find(environment) else {
        return refused(StatusCode::FORBIDDEN, "InvalidEnvironment");
    };
    // A repeated or late answer does not belong to the current invocation.
    if !environment.finish(id) {
        return refused(StatusCode::BAD_REQUEST, "InvalidRequestID");
    }
    environment.tell(Event::Answer(answer)).await;
    status.into_response()
}

fn refused(status: StatusCode, error_type: &str) -> Response {
    let body = serde_json::json!({ "errorType": error_type, "errorMessage": error_type });
    (status, [("content-type", "application/json")], body.to_string()).into_response()
}

/// A function's error, in the shape that AWS defines.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Diagnostic {
    #[serde(default = "unknown")]
    error_type: String,
    #[serde(default)]
    error_message: String,
}

fn unknown() -> String {
    "Unknown".to_owned()
}

impl Diagnostic {
    fn parse(body: &[u8]) -> Self {
        serde_json::from_slice(body).unwrap_or_else(|_| Self {
            error_type: unknown(),
            error_message: String::from_utf8_lossy(body).into_owned(),
        })
    }
}

enum Unreadable {
    TooLarge,
    Broken,
}

/// Reads a body of at most [`PAYLOAD_BYTES_MAX`]. A larger one is read to its end and dropped, so that the
/// process gets an answer instead of a broken connection and keeps running.
async fn read(body: Body) -> Result<Bytes, Unreadable> {
    let mut chunks = body.into_data_stream();
    let mut kept = BytesMut::new();
    let mut is_too_large = false;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|_| Unreadable::Broken)?;
        is_too_large |= kept.len() + chunk.len() > PAYLOAD_BYTES_MAX;
        if is_too_large {
            kept = BytesMut::new();
        } else {
            kept.extend_from_slice(&chunk);
        }
    }
    if is_too_large {
        Err(Unreadable::TooLarge)
    } else {
        Ok(kept.freeze())
    }
}
