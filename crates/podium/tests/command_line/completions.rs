//! The scripts that complete commands in shells.

use std::{collections::HashSet, fs, process::Command};

use super::{Run, run};

/// The names of all subcommands, from the list that `podium help` prints.
fn subcommands() -> Vec<String> {
    let help = run(&["help"], "").stdout;
    let (_, list) = help.split_once("Commands:\n").expect("a list of commands");
    let lines = list.lines().take_while(|line| !line.is_empty());
    let names: Vec<_> = lines
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert!(
        names.len() > 10 && names.contains(&"completions".to_owned()),
        "{help}"
    );
    names
}

#[test]
fn completion_scripts_name_every_subcommand() {
    let names = subcommands();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = run(&["completions", shell], "");
        assert_eq!((script.code, script.stderr.as_str()), (Some(0), ""), "{shell}");
        let is_delimiter = |c: char| !(c.is_alphanumeric() || c == '-' || c == '_');
        let words: HashSet<_> = script.stdout.split(is_delimiter).collect();
        for name in &names {
            assert!(words.contains(name.as_str()), "{shell}: {name}");
        }
    }
    let unknown = run(&["completions", "tcsh"], "");
    assert_eq!((unknown.code, unknown.stdout.as_str()), (Some(2), ""));
}

#[test]
fn bash_accepts_its_completion_script_and_offers_every_subcommand() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("podium.bash");
    fs::write(&path, run(&["completions", "bash"], "").stdout).expect("a file");
    let bash = |args: &[&str]| -> Run {
        let output = Command::new("bash").args(args).arg(&path).output();
        output.expect("bash runs").into()
    };
    let check = bash(&["-n"]);
    assert_eq!((check.code, check.stderr.as_str()), (Some(0), ""));

    let complete = "source \"$0\"; COMP_WORDS=(podium ''); COMP_CWORD=1; _podium podium '' podium; echo \"${COMPREPLY[@]}\"";
    let offered = bash(&["-c", complete]).stdout;
    let offered: Vec<_> = offered.split_whitespace().collect();
    for name in subcommands() {
        assert!(offered.contains(&name.as_str()), "{name}: {offered:?}");
    }
}
