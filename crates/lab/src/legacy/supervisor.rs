//! Runs the three programs as processes of their own, and starts again what ends.

use std::convert::Infallible;
use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail};
use futures::future::try_join3;
use serde_json::json;
use terminal::duration;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::sleep;

use super::processor::MishapArgs;
use super::rebuilder;
use super::tables::{self, Tables};

/// The exit status of a crash that was drawn, which is that of an abort. A real abort would leave a core
/// dump each time.
pub const CRASHED: i32 = 134;

const PARENT_LOOK_EVERY: Duration = Duration::from_millis(250);
/// The pause before an ended program is started again.
const RESTART_PAUSE: Duration = Duration::from_millis(100);

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    tables: tables::Prefix,
    /// The port of the front; 0 picks a free one
    #[arg(long, default_value_t = 7100)]
    port: u16,
    #[command(flatten)]
    mishaps: MishapArgs,
    /// How often the leaderboard is rebuilt
    #[arg(long, value_name = "TIME", value_parser = duration::parse, default_value = "5m")]
    rebuild_every: Duration,
    /// The file that keeps the processor's position in the stream [default: a temporary one, so that the next
    /// run reads the stream from its beginning]
    #[arg(long, value_name = "FILE")]
    position: Option<PathBuf>,
}

/// How a program knows that it is to end with the one that started it, however that one ended.
#[derive(Clone, Copy, clap::Args)]
pub struct Supervised {
    #[arg(long, hide = true)]
    parent: Option<u32>,
}

impl Supervised {
    pub async fn parent_ended(self) {
        match self.parent {
            Some(parent) => {
                while parent_id() == parent {
                    sleep(PARENT_LOOK_EVERY).await;
                }
            }
            None => std::future::pending().await,
        }
    }
}

pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut interrupted = signal(SignalKind::interrupt()).context("cannot wait for Ctrl-C")?;
    let mut terminated = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    // Kept here, so that connections wait while the front is started again.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port));
    let listener = listener
        .with_context(|| format!("cannot listen on port {}; choose another with --port", args.port))?;
    let url = format!(
        "http://{}",
        listener.local_addr().context("the front has no address")?
    );
    let directory = tempfile::tempdir().context("cannot create a temporary directory")?;
    let position = args.position.unwrap_or_else(|| directory.path().join("position"));
    let tables = Tables::connect(&args.tables).await?;
    tables.create_missing().await?;
    // So that there is a leaderboard from the beginning.
    rebuilder::rebuild(&tables).await?;

    let program = |name: &str| program(name, &args.tables);
    let mut front = program("front")?;
    front.arg("--listener-on-stdin").stdin(OwnedFd::from(listener));
    let mut processor = program("processor")?;
    processor.arg("--position").arg(position);
    processor.arg("--seed").arg(args.mishaps.seed.to_string());
    if let Some(one_in) = args.mishaps.crash_one_in {
        processor.arg("--crash-one-in").arg(one_in.to_string());
    }
    let mut rebuilder = program("rebuilder")?;
    rebuilder
        .arg("--every")
        .arg(format!("{}ms", args.rebuild_every.as_millis()));
    let running = try_join3(
        keep_running("front", front),
        keep_running("processor", processor),
        keep_running("rebuilder", rebuilder),
    );
    println!("{}", json!({ "front": url, "pid": std::process::id() }));
    eprintln!("The front: {url}");
    // Dropping the future ends the programs.
    tokio::select! {
        ended = running => {
            ended?;
        }
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    Ok(ExitCode::SUCCESS)
}

fn program(name: &str, tables: &tables::Prefix) -> anyhow::Result<Command> {
    let podium = std::env::current_exe().context("this program has no path")?;
    let mut command = Command::new(podium);
    command
        .args(["legacy", name, "--prefix", &tables.prefix])
        .args(["--parent", &std::process::id().to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        // Ctrl-C is for this process, which ends the others.
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

/// Starts a program again whenever it was killed or crashed. Ends if the program cannot work.
async fn keep_running(name: &str, mut command: Command) -> anyhow::Result<Infallible> {
    loop {
        let mut process = command
            .spawn()
            .with_context(|| format!("cannot start the {name}"))?;
        let status = process
            .wait()
            .await
            .with_context(|| format!("cannot wait for the {name}"))?;
        if status.code().is_some_and(|code| code != CRASHED) {
            bail!("the {name} ended ({status}); its reason is above");
        }
        eprintln!("The {name} ended ({status}) and is started again.");
        sleep(RESTART_PAUSE).await;
    }
}
