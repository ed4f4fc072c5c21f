use ingest::{Config, Ingest};
use lambda_http::{Error, Request, run, service_fn};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let ingest = Ingest::connect(Config::read(store::aws::variable)?)?;
    ingest.warm_up().await;
    run(service_fn(async |request: Request| {
        Ok::<_, Error>(ingest.handle(request, jiff::Timestamp::now()).await)
    }))
    .await
}
