use bridge::{Bridge, Config};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::Value;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let bridge = Bridge::connect(Config::read(store::aws::variable)?)?;
    run(service_fn(async |event: LambdaEvent<Value>| {
        let deadline = queue::deadline(event.context.deadline());
        let handled = bridge.handle(event.payload, jiff::Timestamp::now(), deadline);
        // The runtime logs it, too.
        handled.await.map_err(|error| Diagnostic {
            error_type: "BatchUnreadable".to_owned(),
            error_message: format!("{error:#}"),
        })
    }))
    .await
}
