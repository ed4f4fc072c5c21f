//! A client with queues of its own, and the calls that several tests make.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Region};
use aws_sdk_sqs::types::{
    Message, MessageAttributeValue, MessageSystemAttributeName, QueueAttributeName,
    SendMessageBatchRequestEntry,
};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use local_sqs::Sqs;
use tokio::net::TcpListener;

/// Long enough for a busy machine. Only a failing test waits this long.
pub const PATIENCE: Duration = Duration::from_secs(20);

async fn answer(State(sqs): State<Sqs>, headers: HeaderMap, body: Bytes) -> Response {
    let target = headers["x-amz-target"].to_str().expect("a target in ASCII");
    let operation = target.strip_prefix("AmazonSQS.").expect("a target of SQS");
    let answer = sqs.call(operation, &body).await;
    let mut headers = HeaderMap::new();
    if let Some(error) = answer.query_error {
        headers.insert("x-amzn-query-error", error.parse().expect("a header's value"));
    }
    (answer.status, headers, answer.body).into_response()
}

/// A client of a new SQS without queues.
pub async fn client() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    let sqs = Sqs::new(endpoint.clone(), None).expect("nothing is read");
    let router = Router::new().route("/", post(answer)).with_state(sqs);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("local", "local", None, None, "test"))
        .http_client(http)
        .build();
    Client::from_conf(config)
}

pub async fn create(client: &Client, name: &str) -> String {
    let created = client
        .create_queue()
        .queue_name(name)
        .send()
        .await
        .expect("a queue");
    created.queue_url.expect("a URL")
}

pub async fn create_with_dead_letters(client: &Client, name: &str, dead: &str) -> String {
    let policy = format!(
        r#"{{"deadLetterTargetArn":"{}","maxReceiveCount":"1"}}"#,
        arn(dead)
    );
    let request = client.create_queue().queue_name(name);
    let created = request
        .attributes(QueueAttributeName::RedrivePolicy, policy)
        .send()
        .await;
    created.expect("a queue").queue_url.expect("a URL")
}

pub async fn send(client: &Client, url: &str, body: &str) {
    let request = client.send_message().queue_url(url).message_body(body);
    request.send().await.expect("it is sent");
}

pub async fn start_move(client: &Client, source: &str) {
    let request = client.start_message_move_task().source_arn(arn(source));
    request.send().await.expect("a task");
}

pub fn arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:000000000000:{name}")
}

pub async fn receive(client: &Client, url: &str) -> Vec<Message> {
    let request = client.receive_message().queue_url(url).max_number_of_messages(10);
    let received = request
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .message_attribute_names("All")
        .send()
        .await;
    received.expect("messages").messages.unwrap_or_default()
}

pub async fn attribute(client: &Client, url: &str, name: QueueAttributeName) -> String {
    let request = client
        .get_queue_attributes()
        .queue_url(url)
        .attribute_names(name.clone());
    let attributes = request.send().await.expect("attributes").attributes;
    attributes
        .and_then(|mut all| all.remove(&name))
        .unwrap_or_default()
}

pub async fn assert_none_visible(client: &Client, url: &str) {
    let visible = QueueAttributeName::ApproximateNumberOfMessages;
    assert_eq!(attribute(client, url, visible).await, "0");
}

pub async fn assert_none_in_flight(client: &Client, url: &str) {
    let in_flight = QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
    assert_eq!(attribute(client, url, in_flight).await, "0");
}

pub fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
    let entry = SendMessageBatchRequestEntry::builder().id(id).message_body(body);
    entry.build().expect("an id and a body")
}

pub fn text(value: &str) -> MessageAttributeValue {
    let attribute = MessageAttributeValue::builder()
        .data_type("String")
        .string_value(value);
    attribute.build().expect("a type")
}
