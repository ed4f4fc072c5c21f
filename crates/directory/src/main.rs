use directory::{Config, Directory};
use lambda_http::{Error, Request, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let directory = Directory::connect(Config::read(store::aws::variable)?)?;
    run(service_fn(async |request: Request| {
        Ok::<_, Error>(directory.handle(request).await)
    }))
    .await
}
