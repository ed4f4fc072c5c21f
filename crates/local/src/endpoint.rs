//! The AWS endpoint of the local stack: `DynamoDB`, its Streams and SQS behind one address. The
//! `X-Amz-Target` header of the AWS JSON protocols names the service.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::stream;
use local_http::{AllowedHosts, Guard};
use local_sqs::Sqs;
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::answer::Answer;
use crate::dynamodb::DynamoDb;
use crate::faults::{CallFault, Faults, calls_from_function};

/// The limit of `DynamoDB`, which is the larger one of the two services.
const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Of all requests together that are being read or answered.
const BODIES_BYTES_MAX: usize = 128 * 1024 * 1024;

const ABOUT: &str = "\
This is the AWS endpoint of a local stack. It speaks the JSON protocols of DynamoDB, DynamoDB Streams
and SQS, and checks no signatures. Any credentials will do:

  aws --endpoint-url http://<this address> dynamodb list-tables
  aws --endpoint-url http://<this address> sqs list-queues
";

/// Serves until `stop` is ready and the running requests are answered.
pub async fn serve(
    listener: TcpListener,
    dynamodb: DynamoDb,
    sqs: Sqs,
    stop: impl Future<Output = ()> + Send + 'static,
) {
    let services = Services {
        dynamodb,
        sqs,
        faults: Faults::none(),
    };
    local_http::serve(listener, router(services, AllowedHosts::default()), stop).await;
}

/// The endpoint's routes. A `POST` to any path is a call, because SQS clients post to the path of the queue.
pub(crate) fn router(services: Services, hosts: AllowedHosts) -> Router {
    let call = post(call);
    let router = Router::new()
        .route("/", get(async || ABOUT).merge(call.clone()))
        .route("/{*path}", call)
        .with_state(services)
        // The guard limits bodies.
        .layer(DefaultBodyLimit::disable());
    Guard::new(hosts, BODY_BYTES_MAX, BODIES_BYTES_MAX).protect(router)
}

#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) dynamodb: DynamoDb,
    pub(crate) sqs: Sqs,
    /// Injected into the calls of functions.
    pub(crate) faults: Faults,
}

async fn call(State(services): State<Services>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.split_once('.'));
    let (service, operation) = target.unwrap_or_default();
    let fault = if services.faults.are_none() || !calls_from_function(&headers) {
        None
    } else {
        services.faults.of_call(service, operation, &body)
    };
    match fault {
        None => services.answer(service, operation, body).await.into_response(),
        Some(CallFault::Refused(answer)) => answer.into_response(),
        Some(CallFault::CutBefore) => cut_off(),
        Some(CallFault::CutAfter) => {
            services.answer(service, operation, body).await;
            cut_off()
        }
        Some(CallFault::Slow { before, after }) => {
            let (service, operation) = (service.to_owned(), operation.to_owned());
            // In a task of its own, so that the call completes even if its caller gives up.
            let answer = tokio::spawn(async move {
                sleep(before).await;
                let answer = services.answer(&service, &operation, body).await;
                sleep(after).await;
                answer
            });
            answer
                .await
                .map_or_else(|_| cut_off(), IntoResponse::into_response)
        }
    }
}

impl Services {
    async fn answer(&self, service: &str, operation: &str, body: Bytes) -> Answer {
        match service {
            "DynamoDB_20120810" | "DynamoDBStreams_20120810" => self.dynamodb.call(operation, body).await,
            "AmazonSQS" => self.sqs.call(operation, &body).await.into(),
            _ => Answer {
                status: StatusCode::BAD_REQUEST,
                query_error: None,
                body: Bytes::from_static(
                    br#"{"__type":"com.amazon.coral.service#UnknownOperationException"}"#,
                ),
            },
        }
    }
}

/// Closes the connection without an answer: if the body fails before the head is written, the server
/// writes nothing.
fn cut_off() -> Response {
    let broken = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    Body::from_stream(stream::iter([Err::<Bytes, _>(broken)])).into_response()
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::retry::RetryConfig;
    use aws_sdk_dynamodb::error::SdkError;
    use aws_sdk_dynamodb::types::AttributeValue;
    use store::Activities;
    use store::schema::{TableNames, create_tables};

    use super::*;
    use crate::faults::Fault;
    use crate::lambda::ACCESS_KEY_ID;

    fn client(url: &str, key_id: &str) -> Client {
        let credentials = Credentials::new(key_id, "secret", None, None, "test");
        let config = store::aws::config("us-east-1".to_owned(), credentials, Some(url.to_owned()));
        let config = aws_sdk_dynamodb::config::Builder::from(&config).retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    /// Compares whether a put under this fault is answered, and whether it is written.
    async fn check_put(key_id: &str, fault: Fault, expected: (bool, bool)) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let faults = Faults::from_seed(1, []);
        let dynamodb = DynamoDb::open(None).expect("a database");
        let sqs = Sqs::new(url.clone(), None).expect("queues");
        let services = Services {
            dynamodb,
            sqs,
            faults: faults.clone(),
        };
        let router = router(services, AllowedHosts::default());
        let server = tokio::spawn(local_http::serve(listener, router, std::future::pending()));
        let tables = TableNames::prefixed("test");
        create_tables(&client(&url, "local"), &tables)
            .await
            .expect("tables");

        faults.raise(fault, [tables.activities.as_str()], 1.0);
        let put = client(&url, key_id)
            .put_item()
            .table_name(&tables.activities)
            .item("user_id", AttributeValue::S("ann".to_owned()))
            .item("activity_id", AttributeValue::S("a1".to_owned()))
            .send()
            .await;
        let is_answered = !matches!(
            put,
            Err(SdkError::DispatchFailure(_) | SdkError::ResponseError(_))
        );
        let activities = Activities::new(client(&url, "local"), tables.activities);
        let (user, id) = ("ann".parse().expect("an id"), "a1".parse().expect("an id"));
        let is_done = activities.is_recorded(&user, &id).await.expect("an answer");
        assert_eq!((is_answered, is_done), expected, "{fault} with the key {key_id}");
        server.abort();
    }

    #[tokio::test]
    async fn connections_are_cut_before_a_write_or_after_it() {
        check_put(ACCESS_KEY_ID, Fault::CutBefore, (false, false)).await;
        check_put(ACCESS_KEY_ID, Fault::CutAfter, (false, true)).await;
        check_put(ACCESS_KEY_ID, Fault::ServerError, (true, false)).await;
    }

    #[tokio::test]
    async fn only_functions_meet_faults() {
        check_put("local", Fault::CutBefore, (true, true)).await;
    }
}
