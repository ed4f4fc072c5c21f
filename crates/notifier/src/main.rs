use aws_lambda_events::event::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, run, service_fn};
use notifier::{Config, Notifier};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let notifier = Notifier::connect(Config::read(store::aws::variable)?)?;
    run(service_fn(async |event: LambdaEvent<SqsEvent>| {
        let deadline = queue::deadline(event.context.deadline());
        Ok::<_, Error>(
            notifier
                .handle(event.payload, jiff::Timestamp::now(), deadline)
                .await,
        )
    }))
    .await
}
