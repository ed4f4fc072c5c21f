//! The AWS endpoint of the local stack: `DynamoDB`, its Streams, SQS and the secrets of webhooks behind one address. The
//! `X-Amz-Target` header of the AWS JSON protocols names the service.

use std::collections::BTreeMap;
use std::sync::Arc;

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
use serde_json::{Value, json};
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
        secrets: Arc::default(),
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
    /// By their ids.
    pub(crate) secrets: Arc<BTreeMap<String, String>>,
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
        Some(CallFault::PartlyRefused(mut part)) => {
            let answer = match part.rest.take() {
                Some(rest) => Some(services.answer(service, operation, rest).await),
                None => None,
            };
            part.complete(answer).into_response()
        }
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
            "secretsmanager" if operation == "GetSecretValue" => self.secret(&body),
            _ => refusal("com.amazon.coral.service#UnknownOperationException"),
        }
    }

    fn secret(&self, body: &[u8]) -> Answer {
        let asked: Value = serde_json::from_slice(body).unwrap_or_default();
        let id = asked["SecretId"].as_str().unwrap_or_default();
        match self.secrets.get(id) {
            Some(secret) => Answer {
                status: StatusCode::OK,
                query_error: None,
                body: json!({ "Name": id, "SecretString": secret }).to_string().into(),
            },
            None => refusal("ResourceNotFoundException"),
        }
    }
}

fn refusal(kind: &str) -> Answer {
    Answer {
        status: StatusCode::BAD_REQUEST,
        query_error: None,
        body: json!({ "__type": kind }).to_string().into(),
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
    use std::collections::{BTreeSet, HashMap};

    use aws_credential_types::Credentials;
    use aws_sdk_dynamodb::Client;
    use aws_sdk_dynamodb::config::retry::RetryConfig;
    use aws_sdk_dynamodb::error::SdkError;
    use aws_sdk_dynamodb::types::{AttributeValue, BatchStatementRequest, KeysAndAttributes};
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

    /// An endpoint with tables and raised faults, until it is aborted.
    async fn start(faults: &Faults) -> (String, TableNames, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let dynamodb = DynamoDb::open(None).expect("a database");
        let sqs = Sqs::new(url.clone(), None).expect("queues");
        let services = Services {
            dynamodb,
            sqs,
            secrets: Arc::default(),
            faults: faults.clone(),
        };
        let router = router(services, AllowedHosts::default());
        let server = tokio::spawn(local_http::serve(listener, router, std::future::pending()));
        let tables = TableNames::prefixed("test");
        create_tables(&client(&url, "local"), &tables)
            .await
            .expect("tables");
        (url, tables, server)
    }

    /// Compares whether a put under this fault is answered, and whether it is written.
    async fn check_put(key_id: &str, fault: Fault, expected: (bool, bool)) {
        let faults = Faults::from_seed(1, []);
        let (url, tables, server) = start(&faults).await;
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

    /// Statements for new activities of ann, each with the id of its place in `round`.
    fn inserts(table: &str, round: u32) -> Vec<BatchStatementRequest> {
        let insert = |place: usize| {
            BatchStatementRequest::builder()
                .statement(format!(
                    "INSERT INTO \"{table}\" VALUE {{'user_id': 'ann', 'activity_id': ?}}"
                ))
                .parameters(AttributeValue::S(format!("{round}-{place}")))
                .build()
                .expect("a statement")
        };
        (0..5).map(insert).collect()
    }

    #[tokio::test]
    async fn a_refused_statement_is_not_done_and_the_others_are() {
        let faults = Faults::from_seed(1, []);
        let (url, tables, server) = start(&faults).await;
        let activities = Activities::new(client(&url, "local"), tables.activities.clone());
        let user = "ann".parse().expect("an id");
        let mut codes = BTreeSet::new();
        let mut are_mixed = false;
        for (round, fault) in (0..40).zip([Fault::Throttle, Fault::Conflict].into_iter().cycle()) {
            faults.raise(fault, [tables.activities.as_str()], 1.0);
            let answer = client(&url, ACCESS_KEY_ID)
                .batch_execute_statement()
                .set_statements(Some(inserts(&tables.activities, round)))
                .send()
                .await;
            faults.lower(fault);
            // Else the call was refused as a whole.
            let Ok(answer) = answer else { continue };
            let errors = answer.responses().iter().map(|response| response.error());
            let errors: Vec<_> = errors.collect();
            assert_eq!(errors.len(), 5);
            are_mixed |= errors.iter().any(Option::is_none);
            for (place, error) in errors.into_iter().enumerate() {
                codes.extend(
                    error
                        .and_then(|error| error.code())
                        .map(|code| code.as_str().to_owned()),
                );
                let id = format!("{round}-{place}").parse().expect("an id");
                let is_done = activities.is_recorded(&user, &id).await.expect("an answer");
                assert_eq!(is_done, error.is_none(), "{id} {error:?}");
            }
        }
        assert!(are_mixed);
        assert_eq!(
            codes.into_iter().collect::<Vec<_>>(),
            [
                "ProvisionedThroughputExceeded",
                "ThrottlingError",
                "TransactionConflict"
            ]
        );
        server.abort();
    }

    #[tokio::test]
    async fn keys_that_are_left_unprocessed_can_be_read_later() {
        let faults = Faults::from_seed(1, []);
        let (url, tables, server) = start(&faults).await;
        let statements = Some(inserts(&tables.activities, 0));
        let insert = client(&url, "local")
            .batch_execute_statement()
            .set_statements(statements);
        insert.send().await.expect("inserts");
        faults.raise(Fault::Throttle, [], 0.5);
        let keys = (0..5).map(|place| {
            HashMap::from([
                ("user_id".to_owned(), AttributeValue::S("ann".to_owned())),
                ("activity_id".to_owned(), AttributeValue::S(format!("0-{place}"))),
            ])
        });
        let all = KeysAndAttributes::builder()
            .set_keys(Some(keys.collect()))
            .build()
            .expect("keys");
        let mut is_partial = false;
        for _ in 0..20 {
            let mut left = HashMap::from([(tables.activities.clone(), all.clone())]);
            let mut read = 0;
            while !left.is_empty() {
                let get = client(&url, ACCESS_KEY_ID)
                    .batch_get_item()
                    .set_request_items(Some(left.clone()));
                // Else the call was refused as a whole.
                let Ok(answer) = get.send().await else { continue };
                read += answer
                    .responses()
                    .map_or(0, |items| items[&tables.activities].len());
                left = answer.unprocessed_keys.unwrap_or_default();
                is_partial |= !left.is_empty();
            }
            assert_eq!(read, 5);
        }
        assert!(is_partial);
        server.abort();
    }

    #[tokio::test]
    async fn only_functions_meet_faults() {
        check_put("local", Fault::CutBefore, (true, true)).await;
    }
}
