//! The one web origin: the API of both functions, and the dashboard.

use axum::Router;
use axum::extract::Request;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::routing::{any, get};

use crate::function_url;
use crate::lambda::Function;

const SECURITY_POLICY: &str =
    "default-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

pub fn router(ingest: Function, serve: Function) -> Router {
    let call =
        |function: Function| any(move |request: Request| function_url::handle(function.clone(), request));
    Router::new()
        .route("/v1/activities", call(ingest))
        .route("/v1/{*path}", call(serve))
        .route(
            "/",
            file(
                "text/html; charset=utf-8",
                include_str!("../../../dashboard/index.html"),
            ),
        )
        .route(
            "/style.css",
            file("text/css", include_str!("../../../dashboard/style.css")),
        )
        .route(
            "/app.js",
            file("text/javascript", include_str!("../../../dashboard/app.js")),
        )
        .route(
            "/config.js",
            file("text/javascript", include_str!("../../../dashboard/config.js")),
        )
}

fn file(content_type: &'static str, content: &'static str) -> axum::routing::MethodRouter {
    let headers: [(HeaderName, &str); 4] = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, SECURITY_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    get(async move || (headers, content))
}
