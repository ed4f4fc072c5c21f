//! The system over HTTP: what writes activities, and what shows the leaderboard.

use std::io::stdin;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::AsFd as _;
use std::process::ExitCode;

use anyhow::Context as _;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{Html, IntoResponse as _, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use jiff::Timestamp;
use local_http::{AllowedHosts, Guard};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::event::{Activity, ActivityType, Points, whole_seconds};
use super::supervisor::Supervised;
use super::tables::{self, Tables};

const BODY_BYTES_MAX: usize = 16 * 1024;
/// Of all requests together.
const BODIES_BYTES_MAX: usize = 4 * 1024 * 1024;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    tables: tables::Prefix,
    #[arg(long, default_value_t = 7100)]
    port: u16,
    /// Standard input is the socket to listen on.
    #[arg(long, hide = true)]
    listener_on_stdin: bool,
    #[command(flatten)]
    supervised: Supervised,
}

/// What a client posts.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Posted {
    employee_id: String,
    program_id: String,
    activity_type: ActivityType,
    points: Points,
    event_id: Option<String>,
    ts: Option<Timestamp>,
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let tables = Tables::connect(&args.tables).await?;
    let listener = if args.listener_on_stdin {
        let socket = stdin().as_fd().try_clone_to_owned();
        TcpListener::from(socket.context("cannot use the socket on standard input")?)
    } else {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port));
        let listener = listener
            .with_context(|| format!("cannot listen on port {}; choose another with --port", args.port))?;
        eprintln!("The front: http://127.0.0.1:{}", args.port);
        listener
    };
    listener.set_nonblocking(true).context("cannot use the socket")?;
    let listener = tokio::net::TcpListener::from_std(listener).context("cannot use the socket")?;
    let guard = Guard::new(AllowedHosts::default(), BODY_BYTES_MAX, BODIES_BYTES_MAX);
    let stop = args.supervised.parent_ended();
    local_http::serve(listener, guard.protect(router(tables)), stop).await;
    Ok(ExitCode::SUCCESS)
}

fn router(tables: Tables) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("front.html"))))
        .route("/activities", post(take))
        .route("/leaderboard", get(show))
        .with_state(tables)
}

/// A client that sends the same `event_id` and `ts` again puts the same item.
async fn take(State(tables): State<Tables>, body: Bytes) -> Response {
    let posted: Posted = match serde_json::from_slice(&body) {
        Ok(posted) => posted,
        Err(error) => return refusal(StatusCode::BAD_REQUEST, &error.to_string()),
    };
    let activity = Activity {
        employee_id: posted.employee_id,
        event_id: posted
            .event_id
            .unwrap_or_else(|| format!("evt_{}", Uuid::new_v4().simple())),
        program_id: posted.program_id,
        kind: posted.activity_type,
        points: posted.points,
        ts: whole_seconds(posted.ts.unwrap_or_else(Timestamp::now)),
    };
    match tables.put_activity(&activity).await {
        Ok(()) => {
            let taken = json!({ "event_id": activity.event_id, "ts": activity.ts });
            document(StatusCode::CREATED, &taken)
        }
        Err(error) => unavailable(&error),
    }
}

async fn show(State(tables): State<Tables>) -> Response {
    match tables.leaderboard().await {
        Ok(Some(leaderboard)) => document(StatusCode::OK, &leaderboard),
        Ok(None) => refusal(StatusCode::NOT_FOUND, "The leaderboard has not been built yet."),
        Err(error) => unavailable(&error),
    }
}

fn unavailable(error: &anyhow::Error) -> Response {
    eprintln!("A request failed: {error:#}");
    refusal(
        StatusCode::SERVICE_UNAVAILABLE,
        "The tables are unavailable. Send it again.",
    )
}

fn refusal(status: StatusCode, reason: &str) -> Response {
    document(status, &json!({ "error": reason }))
}

fn document(status: StatusCode, document: &impl Serialize) -> Response {
    let json = serde_json::to_vec(document).expect("names and numbers");
    (status, [(CONTENT_TYPE, "application/json")], json).into_response()
}
