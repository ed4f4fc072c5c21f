//! `podium completions`: scripts that let a shell complete commands and options.

use std::io::Write as _;
use std::process::ExitCode;

use clap_complete::Shell;

pub const HELP: &str = "\
Load the script in the shell's start-up file, or put it where the shell looks for completions:
  bash        source <(podium completions bash)
  zsh         podium completions zsh > \"${fpath[1]}/_podium\"
  fish        podium completions fish > ~/.config/fish/completions/podium.fish
  elvish      eval (podium completions elvish | slurp)
  powershell  podium completions powershell | Out-String | Invoke-Expression";

#[derive(clap::Args)]
pub struct Args {
    /// The shell to print a script for
    shell: Shell,
}

pub fn run(args: &Args, mut cli: clap::Command) -> anyhow::Result<ExitCode> {
    let name = cli.get_name().to_owned();
    // `generate` panics when it cannot write, as into a pipe that was closed.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli, name, &mut script);
    std::io::stdout().write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}
