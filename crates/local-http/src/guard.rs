//! Refuses requests that no handler should see, and hands over the others with a whole body.

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{ALLOW, HOST};
use axum::http::{HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use problem::Problem;

use crate::body::Bodies;
use crate::host::{AllowedHosts, requested_host};

/// What a listener lets through. Clones share the sum of the bodies that they hold.
#[derive(Debug, Clone)]
pub struct Guard {
    hosts: AllowedHosts,
    bodies: Bodies,
}

impl Guard {
    /// Lets requests to these hosts through, with bodies of at most `bytes_max` each and `sum_max` together.
    pub fn new(hosts: AllowedHosts, bytes_max: usize, sum_max: usize) -> Self {
        Self {
            hosts,
            bodies: Bodies::new(bytes_max, sum_max),
        }
    }

    /// Puts the guard in front of every route.
    pub fn protect(self, router: Router) -> Router {
        router.layer(from_fn_with_state(self, pass))
    }

    fn check(&self, request: Request) -> Result<Request, Problem> {
        let (mut parts, body) = request.into_parts();
        let invalid =
            |error| Problem::new(StatusCode::BAD_REQUEST, "invalid_host", sentence(&error)).field("host");
        if let Some(host) = requested_host(&parts).map_err(invalid)? {
            if !self.hosts.allow(&host) {
                let name = host.name();
                let detail = format!(
                    "This stack does not answer to the host {name}. Use localhost or a loopback address, or start \
                     the stack with --allowed-host {}.",
                    name.trim_matches(['[', ']'])
                );
                return Err(
                    Problem::new(StatusCode::MISDIRECTED_REQUEST, "foreign_host", detail).field("host"),
                );
            }
            // One spelling for all handlers, also of a target that names its host.
            if let Ok(host) = HeaderValue::try_from(host.to_string()) {
                parts.headers.insert(HOST, host);
            }
        }
        // An answer to TRACE would repeat the request with its credentials.
        if matches!(parts.method, Method::TRACE | Method::CONNECT) {
            let detail = format!("{} is not allowed.", parts.method);
            return Err(Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                detail,
            ));
        }
        Ok(Request::from_parts(parts, body))
    }
}

fn sentence(error: &impl ToString) -> String {
    let mut text = error.to_string();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text.push('.');
    text
}

async fn pass(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    let (parts, body) = match guard.check(request) {
        Ok(request) => request.into_parts(),
        Err(problem) => return refusal(problem),
    };
    match guard.bodies.read(body).await {
        Ok((body, _held)) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(problem) => refusal(problem),
    }
}

fn refusal(problem: Problem) -> Response {
    let status = problem.status();
    let mut response = problem.into_response().map(Body::from);
    if status == StatusCode::METHOD_NOT_ALLOWED {
        // Which methods a path has is the handler's to say; these never are.
        response
            .headers_mut()
            .insert(ALLOW, HeaderValue::from_static("GET, HEAD, POST"));
    }
    response
}
