use std::time::Duration;

use aggregator::{Aggregator, Config};
use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use tokio::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let aggregator = Aggregator::connect(Config::read(store::aws::variable)?)?;
    run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let left = event
            .context
            .deadline()
            .duration_since(std::time::SystemTime::now());
        let deadline = Instant::now() + left.unwrap_or(Duration::ZERO);
        Ok::<_, Error>(
            aggregator
                .handle(event.payload, jiff::Timestamp::now(), deadline)
                .await,
        )
    }))
    .await
}
