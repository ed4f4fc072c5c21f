//! A Lambda function for the tests of the Lambda service. It does what its payload says.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use lambda_runtime::{Context, Error, LambdaEvent, run, service_fn};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Order {
    /// Answer with this value.
    Echo(Value),
    /// Answer with the process id, the variables and the context.
    Describe {},
    SleepMillis(u64),
    Fail(String),
    /// Exit with this status.
    Exit(i32),
    /// Exit with this status after the answer.
    AnswerThenExit(i32),
    /// Print lines of this text, alternately to standard output and standard error.
    Print {
        text: String,
        lines: usize,
    },
    /// Answer with a string of this length.
    Fill(usize),
    /// Allocate this much memory and never free it.
    LeakBytes(usize),
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    if let Ok(message) = std::env::var("FAIL_INIT") {
        eprintln!("starting");
        return Err(message.into());
    }
    run(service_fn(obey)).await
}

/// The time until the deadline that the function was told.
fn left_ms(context: &Context) -> i64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    context.deadline.cast_signed() - i64::try_from(since_epoch.as_millis()).unwrap_or_default()
}

async fn obey(event: LambdaEvent<Order>) -> Result<Value, Error> {
    match event.payload {
        Order::Echo(value) => Ok(value),
        Order::Describe {} => Ok(json!({
            "pid": std::process::id(),
            "variables": std::env::vars().collect::<std::collections::BTreeMap<_, _>>(),
            "request_id": event.context.request_id,
            "arn": event.context.invoked_function_arn,
            "left_ms": left_ms(&event.context),
        })),
        Order::SleepMillis(millis) => {
            tokio::time::sleep(Duration::from_millis(millis)).await;
            Ok(json!(std::process::id()))
        }
        Order::Fail(message) => Err(message.into()),
        Order::Exit(status) => std::process::exit(status),
        Order::AnswerThenExit(status) => {
            std::thread::spawn(move || {
                std::thread::sleep(Duration::from_millis(50));
                std::process::exit(status)
            });
            Ok(json!("exiting"))
        }
        Order::Print { text, lines } => {
            for line in 0..lines {
                if line % 2 == 0 {
                    println!("{text}");
                } else {
                    eprintln!("{text}");
                }
            }
            Ok(Value::Null)
        }
        Order::Fill(length) => Ok(json!("x".repeat(length))),
        Order::LeakBytes(bytes) => {
            std::mem::forget(vec![1_u8; bytes]);
            Ok(json!(std::process::id()))
        }
    }
}
