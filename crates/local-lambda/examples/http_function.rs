//! A Lambda function for the tests of function URLs. It answers with the request that it received.

use lambda_http::{Body, Error, Request, RequestExt, Response, run, service_fn};
use serde_json::json;

#[tokio::main]
async fn main() -> Result<(), Error> {
    run(service_fn(mirror)).await
}

async fn mirror(request: Request) -> Result<Response<Body>, Error> {
    if request.uri().path() == "/raw" {
        let response = Response::builder()
            .header("content-type", "application/octet-stream")
            .header("set-cookie", "one=1")
            .header("set-cookie", "two=2");
        return Ok(response.body(Body::Binary(request.body().to_vec()))?);
    }
    let query: Vec<_> = request
        .query_string_parameters_ref()
        .map_or_else(Vec::new, |query| {
            query.iter().map(|(name, value)| json!([name, value])).collect()
        });
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let seen = json!({
        "method": request.method().as_str(),
        "uri": request.uri().to_string(),
        "raw_path": request.raw_http_path(),
        "query": query,
        "cookie": header("cookie"),
        "x_two": header("x-two"),
        "body": request.body().to_vec(),
    });
    Ok(Response::builder()
        .status(201)
        .header("content-type", "application/json")
        .body(seen.to_string().into())?)
}
