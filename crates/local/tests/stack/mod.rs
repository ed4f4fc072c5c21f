//! A database behind its own endpoint, and a real client.

use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::operation::create_table::builders::CreateTableFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
    StreamSpecification, StreamViewType,
};
use aws_sdk_dynamodb::{Client, Config};
use local::dynamodb::DynamoDb;
use local::endpoint;
use local::sqs::Sqs;
use tokio::net::TcpListener;

pub const TABLE: &str = "activities";

/// Serves until the runtime ends, with no queues.
pub async fn serve(dynamodb: &DynamoDb) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address").to_string();
    let sqs = Sqs::new(format!("http://{address}"), None).expect("no queues");
    tokio::spawn(endpoint::serve(
        listener,
        dynamodb.clone(),
        sqs,
        std::future::pending(),
    ));
    address
}

/// A database in memory with the table.
pub async fn start() -> (DynamoDb, Client) {
    let dynamodb = DynamoDb::open(None).expect("a database");
    let client = connect(&dynamodb).await;
    create_table(&client).send().await.expect("a table");
    (dynamodb, client)
}

pub async fn connect(dynamodb: &DynamoDb) -> Client {
    let address = serve(dynamodb).await;
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{address}"))
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::from_keys("any", "any", None))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .build();
    Client::from_conf(config)
}

/// A table keyed by `user_id` and `activity_id`, with a stream of new images.
pub fn create_table(client: &Client) -> CreateTableFluentBuilder {
    let attribute = |name: &str| {
        AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S)
            .build()
            .expect("a definition")
    };
    let key = |name: &str, kind| {
        KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(kind)
            .build()
            .expect("a key")
    };
    client
        .create_table()
        .table_name(TABLE)
        .billing_mode(BillingMode::PayPerRequest)
        .attribute_definitions(attribute("user_id"))
        .attribute_definitions(attribute("activity_id"))
        .key_schema(key("user_id", KeyType::Hash))
        .key_schema(key("activity_id", KeyType::Range))
        .stream_specification(
            StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::NewImage)
                .build()
                .expect("a stream"),
        )
}

/// Runs one life of the stack on its own runtime. Everything in memory is gone when this returns.
pub fn in_a_process(life: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(life);
}

pub fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

pub async fn put(client: &Client, user: &str, activity: &str) {
    client
        .put_item()
        .table_name(TABLE)
        .item("user_id", text(user))
        .item("activity_id", text(activity))
        .send()
        .await
        .expect("a put");
}
