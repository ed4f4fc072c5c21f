//! `podium local`: the whole system on this machine.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use local::settings::{self, Batching};
use local::{Stack, StackConfig};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use terminal::duration;

pub const HELP: &str = "\
Once it is ready, one line of JSON on standard output names the addresses, the process id and the
directory of the logs. Ctrl-C stops it and leaves no process behind.

The AWS endpoint speaks DynamoDB, DynamoDB Streams and SQS; any credentials will do:
  aws --endpoint-url http://127.0.0.1:7001 dynamodb list-tables";

#[derive(clap::Args)]
pub struct Args {
    /// Where the API and the dashboard are; 0 takes a free port
    #[arg(long, default_value_t = 7000)]
    port: u16,
    /// Where the AWS services are; 0 takes a free port
    #[arg(long, default_value_t = 7001)]
    aws_port: u16,
    /// Keep the data here; without it, it is gone at the end
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Where each function's log goes [default: in the data directory, or a temporary one]
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,
    /// In which days, weeks and months begin and end: an IANA name such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    time_zone: String,
    /// How often the boards are published
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "60s")]
    snapshot_every: Duration,
    /// How far back an activity may lie, in days, or "unlimited"
    #[arg(long, value_name = "DAYS", default_value = "unlimited", value_parser = parse_age)]
    max_activity_age: String,
    /// How messages are taken to be counted: "prompt" (10 at once, immediately) or "thrifty" (up to
    /// 500 within a second, which costs less)
    #[arg(long, value_name = "MODE", default_value = "thrifty")]
    batching: Batching,
}

fn parse_age(raw: &str) -> Result<String, String> {
    let is_days = raw.parse::<u16>().is_ok_and(|days| days > 0);
    if is_days || raw == "unlimited" {
        Ok(raw.to_owned())
    } else {
        Err(format!(
            "a number of days from 1 to {}, or \"unlimited\"",
            u16::MAX
        ))
    }
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing::Level::WARN)
        .init();
    let defaults = StackConfig::new()?;
    let kept_logs = args.data_dir.as_ref().map(|directory| directory.join("logs"));
    let config = StackConfig {
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
    std::fs::create_dir_all(&config.log_dir)?;
    let log_dir = config.log_dir.clone();
    // Asked for before anything is started, so that no signal finds the stack half built.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let mut terminated = signal(SignalKind::terminate())?;
    let stack = Stack::start(config).await?;
    let ready = json!({
        "web": stack.web_url,
        "aws": stack.aws_url,
        "pid": std::process::id(),
        "logs": log_dir,
    });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{ready}")?;
    stdout.flush()?;
    eprintln!("The dashboard and the API: {}", stack.web_url);
    eprintln!("The AWS endpoint:          {}", stack.aws_url);
    eprintln!("The functions' logs:       {}", log_dir.display());
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    eprintln!("Stopping ...");
    stack.stop().await?;
    Ok(ExitCode::SUCCESS)
}
