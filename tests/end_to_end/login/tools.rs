//! The program `podium` against a stack with login.

use std::path::Path;

use jiff::Timestamp;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::bad_tokens::{facts, stack};
use super::callers::restricted;
use super::issuer::Issuer;
use crate::cli::podium;
use crate::stack::TestStack;

fn write(directory: &Path, name: &str, content: &str) -> String {
    let file = directory.join(name);
    std::fs::write(&file, content).expect("it is written");
    file.to_str().expect("a path of ASCII").to_owned()
}

fn activity(user: &str) -> String {
    let activity = json!({"activity_id": "a", "user_id": user, "program_id": "p", "kind": "task_completed"});
    activity.to_string()
}

/// Runs `podium`. Returns its exit status and all that it said.
async fn run(stack: &TestStack, arguments: &[&str], variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = podium();
    command
        .args(arguments)
        .args(["--url", &stack.stack.web_url])
        .envs(variables.iter().copied());
    let output = command.output().await.expect("podium runs");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_get_tokens_and_renew_them() {
    let issuer = Issuer::start().await;
    let stack = stack(&issuer, restricted()).await;
    let directory = TempDir::new().expect("a directory");
    let directory = directory.path();
    let good = issuer.token(&json!({"scope": "podium:write"}));
    let expired = issuer.token(&json!({"scope": "podium:write", "exp": Timestamp::now().as_second() - 120}));

    // Without a token, nothing is sent twice, and what to do is said.
    let first = write(directory, "first.jsonl", &activity("ann"));
    let (code, said) = run(&stack, &["import", &first], &[]).await;
    assert_ne!(code, Some(0), "{said}");
    assert!(said.contains("401") && said.contains("token"), "{said}");

    // A command that prints an expired token at first, and then a good one.
    write(directory, "next", &good);
    write(directory, "token", &expired);
    let name = directory.to_str().expect("a path of ASCII");
    let command = format!("cat {name}/token && cp {name}/next {name}/token");
    let (code, said) = run(&stack, &["import", &first, "--token-command", &command], &[]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(facts(&stack).await, 1);
    let (code, said) = run(&stack, &["board", "--token-command", &command, "--json"], &[]).await;
    assert!(
        code == Some(0) && said.contains("\"board\":\"global\"") || said.contains("No snapshot"),
        "{said}"
    );

    // A client of the issuer. Its first token is not taken: it is renewed once.
    let second = write(directory, "second.jsonl", &activity("bob"));
    let client = [
        "import",
        &second,
        "--oidc-issuer",
        &issuer.url,
        "--oidc-client-id",
        "learning system",
        "--oidc-parameter",
        "audience=https://podium.example.com",
    ];
    let secret = ("PODIUM_OIDC_CLIENT_SECRET", "s:crêt&");
    let other_audience = issuer.token(&json!({"scope": "podium:write", "aud": "other"}));
    issuer.give(vec![other_audience, good.clone()]);
    let (code, said) = run(&stack, &client, &[secret]).await;
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(facts(&stack).await, 2);
    let asked = "learning+system:s%3Acr%C3%AAt%26 grant_type=client_credentials&scope=podium%3Awrite&audience=https%3A%2F%2Fpodium.example.com";
    assert_eq!(issuer.requests(), [asked, asked]);

    // What goes wrong is said, and no token and no secret is printed.
    let third = write(directory, "third.jsonl", &activity("cy"));
    issuer.give(vec![]);
    let reader = issuer.token(&Value::Null);
    let print = |token: &str| format!("echo {token}");
    for (arguments, variables, expected) in [
        (vec!["--token-command", "echo no >&2; exit 3"], vec![], "no"),
        (vec!["--token-command", "true"], vec![], "printed nothing"),
        (vec!["--token-command", &print(&reader)], vec![], "403"),
        (vec!["--token-command", &print("not.a.token")], vec![], "401"),
        (client[2..].to_vec(), vec![], "PODIUM_OIDC_CLIENT_SECRET"),
        (client[2..].to_vec(), vec![secret], "invalid_client"),
        (vec!["--oidc-client-id", "x"], vec![], "--oidc-issuer"),
        (
            vec!["--token-command", "true", "--sign"],
            vec![],
            "cannot be used with",
        ),
    ] {
        let arguments = [vec!["import", &third], arguments].concat();
        let (code, said) = run(&stack, &arguments, &variables).await;
        assert_ne!(code, Some(0), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
        assert!(!said.contains(&reader) && !said.contains(secret.1), "{said}");
    }
    assert_eq!(facts(&stack).await, 2, "nothing else was written");
    stack.stop().await;
}
