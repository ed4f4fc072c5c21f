use lambda_http::{Error, Request, run, service_fn};
use serve::{Config, Serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let serve = Serve::connect(Config::read(store::aws::variable)?)?;
    run(service_fn(async |request: Request| {
        Ok::<_, Error>(serve.handle(request, jiff::Timestamp::now()).await)
    }))
    .await
}
