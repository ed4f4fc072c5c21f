//! `podium local`: the whole system on this machine.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use local::settings::{self, Batching};
use local::{Stack, StackConfig};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use terminal::duration;

pub const HELP: &str = "\
When it is ready, it prints one line of JSON on standard output: the addresses, the process id and
the directory of the logs. Ctrl-C stops it and leaves no process behind.

The AWS endpoint provides DynamoDB, DynamoDB Streams and SQS, and accepts any credentials:
  aws --endpoint-url http://127.0.0.1:7001 dynamodb list-tables

There is no login. By default only this machine can connect. In a container, use --listen 0.0.0.0 and
publish the ports to the host's loopback address (docker run -p 127.0.0.1:7000:7000 ...). Even then the
AWS endpoint answers only requests for localhost or a loopback address.

podium starts the programs ingest, aggregator, snapshot and serve from its own directory.";

#[derive(clap::Args)]
pub struct Args {
    /// The IP address to listen on, for both ports; 0.0.0.0 means every address of this machine.
    /// Everyone who can reach it can read and post
    #[arg(long, value_name = "ADDRESS", default_value_t = IpAddr::V4(Ipv4Addr::LOCALHOST))]
    listen: IpAddr,
    /// The port of the API and the dashboard; 0 picks a free one
    #[arg(long, default_value_t = 7000)]
    port: u16,
    /// The port of the AWS endpoint; 0 picks a free one
    #[arg(long, default_value_t = 7001)]
    aws_port: u16,
    /// Keep the data in this directory; without it, the data is lost when the stack stops
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// The directory for the functions' logs [default: in the data directory, or a temporary one]
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// The time zone of days, weeks and months: an IANA name such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// How often the boards are published
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    snapshot_every: Duration,
    /// The maximum age of an activity in days, or "unlimited"
    #[arg(long, value_name = "DAYS", default_value = "unlimited", value_parser = parse_age)]
    max_activity_age: String,
    /// How the aggregator takes messages: "prompt" (up to 10, at once) or "thrifty" (up to 500 within
    /// a second, which costs less)
    #[arg(long, value_name = "MODE", default_value = "thrifty")]
    batching: Batching,
}

/// What to do when the stack cannot listen; `None` for any other error.
fn listen_hint(error: &anyhow::Error) -> Option<&'static str> {
    let cause = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<io::Error>())?;
    match cause.kind() {
        io::ErrorKind::AddrInUse => {
            Some("is another stack running? Choose other ports with --port and --aws-port")
        }
        io::ErrorKind::AddrNotAvailable => Some("choose an address of this machine with --listen"),
        _ => None,
    }
}

fn parse_age(raw: &str) -> Result<String, String> {
    let is_days = raw.parse::<u16>().is_ok_and(|days| days > 0);
    if is_days || raw == "unlimited" {
        Ok(raw.to_owned())
    } else {
        Err(format!(
            "expected a number of days from 1 to {}, or \"unlimited\"",
            u16::MAX
        ))
    }
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_max_level(tracing::Level::WARN)
        .init();
    let defaults = StackConfig::new()?;
    let kept_logs = args.data_dir.as_ref().map(|directory| directory.join("logs"));
    let listen = args.listen;
    let config = StackConfig {
        listen,
        port: args.port,
        aws_port: args.aws_port,
        log_dir: args
            .log_dir
            .or(kept_logs)
            .unwrap_or_else(|| defaults.log_dir.clone()),
        data_dir: args.data_dir,
        time_zone: args.time_zone,
        snapshot_every: args.snapshot_every,
        max_activity_age: args.max_activity_age,
        batching: args.batching,
        visibility_timeout: settings::VISIBILITY_TIMEOUT,
        ..defaults
    };
    let log_dir = config.log_dir.clone();
    // Registered before anything starts, so that a signal during the start also stops the stack cleanly.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let stack = Stack::start(config)
        .await
        .map_err(|error| match listen_hint(&error) {
            Some(hint) => anyhow::anyhow!("{error:#}; {hint}"),
            None => error,
        })?;
    let ready = json!({
        "web": stack.web_url,
        "aws": stack.aws_url,
        "pid": std::process::id(),
        "logs": log_dir,
    });
    let mut stdout = io::stdout();
    writeln!(stdout, "{ready}")?;
    stdout.flush()?;
    eprintln!("The dashboard and the API: {}", stack.web_url);
    eprintln!("The AWS endpoint:          {}", stack.aws_url);
    eprintln!("The functions' logs:       {}", log_dir.display());
    if !listen.is_loopback() {
        eprintln!(
            "Warning: listening on {listen}. There is no login: everyone who can reach this address can read \
             everything and post activities. Without --listen only this machine can connect."
        );
    }
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    eprintln!("Stopping ...");
    stack.stop().await?;
    Ok(ExitCode::SUCCESS)
}
