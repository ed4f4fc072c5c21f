use ingest::invocation::{Answer, Invocation};
use ingest::{Config, Ingest};
use jiff::Timestamp;
use lambda_http::lambda_runtime::run;
use lambda_http::{Adapter, Error, LambdaEvent, Request, Service as _, service_fn};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let ingest = Ingest::connect(Config::read(store::aws::variable)?)?;
    ingest.warm_up().await;
    let over_http = Adapter::from(service_fn(async |request: Request| {
        Ok::<_, Error>(ingest.handle(request, Timestamp::now()).await)
    }));
    run(service_fn(async |event: LambdaEvent<Invocation>| {
        let LambdaEvent { payload, context } = event;
        match payload {
            Invocation::Http(request) => {
                let answer = over_http.clone().call(LambdaEvent::new(*request, context));
                answer.await.map(Answer::Http)
            }
            Invocation::Queue(batch) => {
                let deadline = queue::deadline(context.deadline());
                Ok(Answer::Queue(
                    ingest.take(batch, Timestamp::now(), deadline).await,
                ))
            }
        }
    }))
    .await
}
