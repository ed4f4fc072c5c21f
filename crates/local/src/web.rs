//! The web origin: the API of both functions and the dashboard at one address.

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, CACHE_CONTROL, CONTENT_SECURITY_POLICY,
    CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, Method, Uri};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::{any, get};
use local_http::{AllowedHosts, Guard};

use crate::function_url;
use crate::lambda::Function;

const SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Four times the limit of ingest, which tells how much is too much.
const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Of all requests together that are being read or answered.
const BODIES_BYTES_MAX: usize = 64 * 1024 * 1024;

macro_rules! dashboard {
    ($($name:literal),+ $(,)?) => {
        [$(($name, include_str!(concat!("../../../dashboard/", $name)))),+]
    };
}

/// All files of the dashboard. They are part of the binary, so that it runs without a checkout.
const DASHBOARD: [(&str, &str); 17] = dashboard![
    "api.js",
    "app.js",
    "board.js",
    "chart.js",
    "config.js",
    "element.js",
    "export.js",
    "format.js",
    "freshness.js",
    "index.html",
    "post.js",
    "programs.js",
    "refresh.js",
    "search.js",
    "style.css",
    "user.js",
    "view.js",
];

pub fn router(ingest: Function, serve: Function, hosts: AllowedHosts, other_origins: bool) -> Router {
    let call =
        |function: Function| any(move |request: Request| function_url::handle(function.clone(), request));
    let api = Router::new()
        .route("/v1/activities", call(ingest))
        .route("/v1/{*path}", call(serve));
    let router = DASHBOARD.into_iter().fold(api, |router, (name, content)| {
        let path = if name == "index.html" {
            "/"
        } else {
            &format!("/{name}")
        };
        router.route(path, file(content_type(name), content))
    });
    let router = router
        .fallback(|uri: Uri| async move { problem::unknown_path(uri.path()).into_response() })
        // For the files: the functions check the method themselves.
        .method_not_allowed_fallback(|method: Method| async move {
            problem::method_not_allowed(&method, "GET, HEAD")
        });
    let router = if other_origins {
        router
    } else {
        router.layer(map_response(async |response: Response| {
            same_origin_only(response)
        }))
    };
    Guard::new(hosts, BODY_BYTES_MAX, BODIES_BYTES_MAX).protect(router)
}

/// Removes what lets pages of other origins read an answer: the dashboard is of the same origin.
fn same_origin_only(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for name in [
        ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_ALLOW_METHODS,
        ACCESS_CONTROL_ALLOW_HEADERS,
        ACCESS_CONTROL_EXPOSE_HEADERS,
        ACCESS_CONTROL_MAX_AGE,
    ] {
        headers.remove(name);
    }
    response
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    }
}

fn file(content_type: &'static str, content: &'static str) -> axum::routing::MethodRouter {
    let headers: [(HeaderName, &str); 5] = [
        (CONTENT_TYPE, content_type),
        (CONTENT_SECURITY_POLICY, SECURITY_POLICY),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ];
    get(async move || (headers, content))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_dashboard_is_served_and_all_are_small() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../../dashboard");
        let files = std::fs::read_dir(directory).expect("the directory of the dashboard");
        let mut there: Vec<String> = files
            .map(|file| {
                file.expect("a file")
                    .file_name()
                    .into_string()
                    .expect("a plain name")
            })
            .collect();
        there.sort();
        assert_eq!(there, DASHBOARD.map(|(name, _)| name));
        let bytes: usize = DASHBOARD.iter().map(|(_, content)| content.len()).sum();
        assert!(bytes < 81_000, "the dashboard has {bytes} bytes");
    }
}
