use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn};
use serde_json::Value;
use snapshot::{Config, Publisher};

// A third of a run's time would otherwise go into allocations, most of them for decoded items.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let publisher = Publisher::connect(Config::read(store::aws::variable)?)?;
    run(service_fn(async |_: LambdaEvent<Value>| {
        let run = publisher.run(jiff::Timestamp::now()).await;
        // The runtime logs it, too.
        run.map(drop).map_err(|error| Diagnostic {
            error_type: "SnapshotFailed".to_owned(),
            error_message: format!("{error:#}"),
        })
    }))
    .await
}
