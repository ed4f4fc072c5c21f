//! The coupled baseline as a function, started by `podium compare` alone.

use lab::coupled::{Config, Coupled};
use lambda_http::{Error, Request, run, service_fn};
use tokio::time::Instant;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let coupled = Coupled::connect(Config::read(store::aws::variable)?)?;
    coupled.warm_up().await;
    run(service_fn(async |request: Request| {
        Ok::<_, Error>(
            coupled
                .handle(request, jiff::Timestamp::now(), Instant::now())
                .await,
        )
    }))
    .await
}
