//! The web origin: the API of both functions and the dashboard at one address.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, Method, Uri};
use axum::middleware::from_fn_with_state;
use axum::routing::{MethodRouter, any, get};
use identity::{ADMIN_PATHS, Access};
use local_http::{AllowedHosts, Guard};
use serde_json::json;
use tower_http::compression::CompressionLayer;

use crate::authorizer::{self, Authorizer, Login};
use crate::function_url;
use crate::lambda::Function;

/// The file that a deployment and a local stack replace.
const CONFIG: &str = "config.js";

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
const DASHBOARD: [(&str, &str); 71] = dashboard![
    "account.js",
    "admin.html",
    "admin/address.js",
    "admin/admin.css",
    "admin/admin.js",
    "admin/corrections.js",
    "admin/csv.js",
    "admin/directory.js",
    "admin/editor.js",
    "admin/form.js",
    "admin/import.js",
    "admin/list.js",
    "admin/people.js",
    "admin/profiles.js",
    "admin/seasons.js",
    "admin/subjects.js",
    "api.js",
    "app.js",
    "board.js",
    "by_program.js",
    "calendar.js",
    "card.css",
    "card.js",
    "card_coins.js",
    "change.js",
    "chart.css",
    "chart.js",
    "coin_news.js",
    "coins.js",
    "config.js",
    "demand.js",
    "earlier.js",
    "element.js",
    "export.js",
    "format.js",
    "freshness.js",
    "how.css",
    "how.js",
    "index.html",
    "login.css",
    "login.js",
    "me.js",
    "moves.css",
    "moves.js",
    "other_boards.css",
    "other_boards.js",
    "periods.js",
    "person.js",
    "place.js",
    "policy.js",
    "post.css",
    "post.js",
    "programs.js",
    "quests.css",
    "quests.js",
    "reading.css",
    "reading.js",
    "refresh.js",
    "search.css",
    "search.js",
    "season.css",
    "season.js",
    "shares.js",
    "style.css",
    "texts.js",
    "token.js",
    "vendor/oauth4webapi.js",
    "vendor/oauth4webapi.txt",
    "view.js",
    "you.css",
    "you.js",
];

/// The functions that answer requests.
pub struct Functions {
    pub ingest: Function,
    pub serve: Function,
    pub directory: Function,
}

/// The API and the page. With login, the functions get the requests that its rules let through.
pub fn router(
    functions: &Functions,
    hosts: AllowedHosts,
    access: &Access,
    login: Option<&Login>,
    has_quests: bool,
) -> anyhow::Result<Router> {
    let authorizer = match login {
        Some(login) => Some(Arc::new(Authorizer::new(login, access.clone())?)),
        None => None,
    };
    let call = |function: &Function| {
        let function = function.clone();
        any(move |request: Request| function_url::handle(function.clone(), request))
    };
    let mut api = Router::new()
        .route("/v1/activities", call(&functions.ingest))
        .route("/v1/{*path}", call(&functions.serve));
    for path in ADMIN_PATHS {
        let function = if path == "/v1/corrections" {
            &functions.ingest
        } else {
            &functions.directory
        };
        let below = format!("{path}/{{*below}}");
        api = api.route(path, call(function)).route(&below, call(function));
    }
    if let Some(authorizer) = authorizer.clone() {
        api = api.layer(from_fn_with_state(authorizer, authorizer::authorize));
    }
    let router = files(api, config_js(access, login, has_quests), authorizer.as_ref())
        .fallback(|uri: Uri| async move { problem::unknown_path(uri.path()).into_response() })
        // For the files: the functions check the method themselves.
        .method_not_allowed_fallback(|method: Method| async move {
            problem::method_not_allowed(&method, "GET, HEAD")
        });
    Ok(Guard::new(hosts, BODY_BYTES_MAX, BODIES_BYTES_MAX).protect(router))
}

/// Adds the files of the page, compressed for those who take that, as `CloudFront` sends them.
fn files(router: Router, config: String, authorizer: Option<&Arc<Authorizer>>) -> Router {
    let files = DASHBOARD.into_iter().filter(|(name, _)| *name != CONFIG);
    let router = files.fold(router, |router, (name, content)| {
        let (path, file) = match name {
            "index.html" => ("/".to_owned(), page(name, content, authorizer.cloned())),
            "admin.html" => (format!("/{name}"), page(name, content, authorizer.cloned())),
            _ => (format!("/{name}"), file(content_type(name), content)),
        };
        router.route(&path, file.layer(CompressionLayer::new()))
    });
    let config = get(async move || {
        let config = config.clone();
        (headers(content_type(CONFIG)), config)
    });
    router.route(&format!("/{CONFIG}"), config)
}

fn page(name: &'static str, content: &'static str, authorizer: Option<Arc<Authorizer>>) -> MethodRouter {
    get(async move || {
        let issuer = match &authorizer {
            Some(authorizer) => authorizer.origins().await,
            None => Vec::new(),
        };
        let policy = security_policy(&issuer);
        (
            [(CONTENT_SECURITY_POLICY, policy)],
            headers(content_type(name)),
            content,
        )
    })
}

/// What the page may load: its own files, and answers of the API and of the issuer's origins.
fn security_policy(issuer: &[String]) -> String {
    let connect: String = issuer.iter().flat_map(|origin| [" ", origin]).collect();
    format!(
        "default-src 'self'; img-src 'self' data:; connect-src 'self'{connect}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
}

/// The file that tells the page who may do what, and whether there are quests. Its form is that of `dashboard/config.js`.
fn config_js(access: &Access, login: Option<&Login>, has_quests: bool) -> String {
    let login = login.map(|login| {
        let parameters: serde_json::Map<_, _> = login.parameters();
        json!({
            "issuer": login.issuer.to_string(),
            "clientId": login.client_id,
            "scope": login.scope,
            "parameters": parameters,
            "userClaim": access.user_claim,
        })
    });
    let posting = match (access.open, access.self_reporting) {
        (true, _) => json!("anyone"),
        (false, true) => json!("self"),
        (false, false) => json!(null),
    };
    format!(
        "export const login = {};\nexport const readers = {};\nexport const posting = {posting};\nexport const hasQuests = {has_quests};\n",
        json!(login),
        json!(access.readers.as_str()),
    )
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.') {
        Some((_, "html")) => "text/html; charset=utf-8",
        Some((_, "css")) => "text/css; charset=utf-8",
        Some((_, "txt")) => "text/plain; charset=utf-8",
        _ => "text/javascript; charset=utf-8",
    }
}

fn headers(content_type: &'static str) -> [(HeaderName, &'static str); 4] {
    [
        (CONTENT_TYPE, content_type),
        (REFERRER_POLICY, "no-referrer"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ]
}

fn file(content_type: &'static str, content: &'static str) -> MethodRouter {
    get(async move || (headers(content_type), content))
}

#[cfg(test)]
mod tests {
    use identity::Readers;

    use super::*;

    /// The files that only a page with login loads.
    const LOGIN: [&str; 4] = ["account.js", "login.css", "login.js", "token.js"];
    /// The files that only a page where one posts loads.
    const POSTING: [&str; 4] = ["change.js", "policy.js", "post.css", "post.js"];
    /// The files that a page loads when one asks for what they do, or when it comes near. Those of a season are not
    /// among them: where one runs, each visit loads them.
    const ON_DEMAND: [&str; 25] = [
        "by_program.js",
        "card.css",
        "card.js",
        "card_coins.js",
        "chart.css",
        "chart.js",
        "coin_news.js",
        "coins.js",
        "earlier.js",
        "export.js",
        "how.css",
        "how.js",
        "moves.css",
        "moves.js",
        "other_boards.css",
        "other_boards.js",
        "place.js",
        "quests.css",
        "quests.js",
        "reading.css",
        "reading.js",
        "search.css",
        "search.js",
        "you.css",
        "you.js",
    ];

    fn names_in(directory: &str) -> Vec<String> {
        let path = format!("{}/../../dashboard/{directory}", env!("CARGO_MANIFEST_DIR"));
        let entries = std::fs::read_dir(path).expect("a directory of the dashboard");
        entries
            .flat_map(|entry| {
                let entry = entry.expect("a file");
                let name = entry.file_name().into_string().expect("a plain name");
                let name = format!("{directory}{name}");
                if entry.path().is_dir() {
                    names_in(&format!("{name}/"))
                } else {
                    vec![name]
                }
            })
            .collect()
    }

    #[test]
    fn every_file_of_the_dashboard_is_served_and_all_are_small() {
        let mut there = names_in("");
        there.sort();
        assert_eq!(there, DASHBOARD.map(|(name, _)| name));

        let is_vendored = |name: &str| name.starts_with("vendor/");
        let bytes = |is_counted: &dyn Fn(&str) -> bool| -> usize {
            DASHBOARD
                .iter()
                .filter(|(name, _)| is_counted(name))
                .map(|(_, content)| content.len())
                .sum()
        };
        let is_for_admins = |name: &str| name.starts_with("admin");
        let page = bytes(&|name| {
            let is_optional = [&LOGIN[..], &POSTING, &ON_DEMAND].concat().contains(&name);
            !is_vendored(name) && !is_optional && !is_for_admins(name)
        });
        // A browser test bounds what a visit transfers, compressed and with the documents of the API.
        assert!(page <= 95_000, "the dashboard has {page} bytes");
        let posting = bytes(&|name| POSTING.contains(&name));
        assert!(posting < 10_000, "posting has {posting} bytes");
        let login = bytes(&|name| LOGIN.contains(&name));
        assert!(login < 20_000, "the login has {login} bytes");
        let admin = bytes(&is_for_admins);
        assert!(admin < 67_000, "the admin page has {admin} bytes");
        let vendored = bytes(&is_vendored);
        assert!(vendored < 102_000, "the library has {vendored} bytes");
    }

    /// The values that a config.js exports: login, readers, posting and hasQuests.
    fn exported(config: &str) -> [serde_json::Value; 4] {
        ["login", "readers", "posting", "hasQuests"].map(|name| {
            let (_, value) = config
                .split_once(&format!("export const {name} = "))
                .expect("the export");
            let (value, _) = value.split_once(";\n").expect("its end");
            serde_json::from_str(value).expect("JSON")
        })
    }

    #[test]
    fn the_page_learns_who_may_do_what_how_to_log_in_and_whether_there_are_quests() {
        let open = exported(&config_js(&Access::open(), None, true));
        assert_eq!(open, [json!(null), json!("public"), json!("anyone"), json!(true)]);
        let parameter = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        for (audience, parameters, sent) in [
            ("podium", vec![], json!({})),
            ("https://api", vec![], json!({"resource": "https://api"})),
            ("https://api", vec![parameter("resource", "")], json!({})),
            (
                "https://api",
                vec![parameter("resource", "b"), parameter("prompt", "consent")],
                json!({"resource": "b", "prompt": "consent"}),
            ),
        ] {
            let access = Access {
                open: false,
                readers: Readers::Login,
                self_reporting: audience == "podium",
                ..Access::open()
            };
            let login = Login {
                issuer: "https://id".parse().expect("an issuer"),
                audience: audience.to_owned(),
                client_id: Some("page".to_owned()),
                scope: None,
                parameters,
            };
            let posting = if access.self_reporting {
                json!("self")
            } else {
                json!(null)
            };
            let login_of_page = json!({
                "issuer": "https://id", "clientId": "page", "scope": null, "parameters": sent, "userClaim": "sub",
            });
            let expected = [login_of_page, json!("login"), posting, json!(false)];
            assert_eq!(exported(&config_js(&access, Some(&login), false)), expected);
        }
        let origins = ["https://id".to_owned(), "https://tokens".to_owned()];
        let policy = security_policy(&origins);
        assert!(
            policy.contains("connect-src 'self' https://id https://tokens;"),
            "{policy}"
        );
    }
}
