//! Terraform makes the tables that the local stack has.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{KeySchemaElement, KeyType, ProjectionType, TimeToLiveStatus};
use local::dynamodb::DynamoDb;
use local::sqs::Sqs;
use serde_json::{Value, json};
use store::schema::{TableNames, create_tables, stream_coins};
use tokio::net::TcpListener;

use crate::deployment::{Deployment, by_default};

const TABLES: [&str; 8] = [
    "activities",
    "dedup",
    "standings",
    "snapshots",
    "people",
    "coins",
    "progress",
    "notices",
];

async fn local_tables() -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    let dynamodb = DynamoDb::open(None).expect("a database");
    let sqs = Sqs::new(url.clone(), None).expect("queues");
    let endpoint = local::endpoint::serve(listener, dynamodb, sqs, std::future::pending());
    tokio::spawn(endpoint);
    let client = local::dynamodb_client(&url);
    let names = TableNames::prefixed("podium");
    create_tables(&client, &names).await.expect("tables");
    // Both do this only where someone is told of coins.
    stream_coins(&client, &names).await.expect("a stream");
    client
}

async fn in_the_local_stack(client: &Client, name: &str) -> Value {
    let name = format!("podium-{name}");
    let described = client.describe_table().table_name(&name).send().await;
    let table = described.expect("a table").table.expect("a description");
    let ttl = client.describe_time_to_live().table_name(&name).send().await;
    let ttl = ttl.expect("an answer").time_to_live_description;
    let ttl = ttl.filter(|ttl| ttl.time_to_live_status == Some(TimeToLiveStatus::Enabled));
    let mut attributes: Vec<_> = table
        .attribute_definitions()
        .iter()
        .map(|attribute| json!([attribute.attribute_name(), attribute.attribute_type().as_str()]))
        .collect();
    attributes.sort_by_key(Value::to_string);
    let stream = table
        .stream_specification()
        .and_then(|stream| stream.stream_view_type.clone());
    let indexes = table.global_secondary_indexes().iter().map(|index| {
        let projection = index.projection().expect("a projection");
        let mut others = projection.non_key_attributes().to_vec();
        others.sort();
        json!({
            "name": index.index_name(),
            "keys": keys(index.key_schema()),
            "projection": projection.projection_type().map(ProjectionType::as_str),
            "others": others,
        })
    });
    json!({
        "keys": keys(table.key_schema()),
        "attributes": attributes,
        "ttl": ttl.and_then(|ttl| ttl.attribute_name),
        "stream": stream.map(|view| view.as_str().to_owned()),
        "indexes": indexes.collect::<Vec<_>>(),
    })
}

fn keys(schema: &[KeySchemaElement]) -> Vec<Option<&str>> {
    let key = |wanted: KeyType| {
        let found = schema.iter().find(|key| *key.key_type() == wanted);
        found.map(KeySchemaElement::attribute_name)
    };
    vec![key(KeyType::Hash), key(KeyType::Range)]
}

fn on_aws(deployment: &Deployment, name: &str) -> Value {
    let index = if ["coins", "progress", "notices"].contains(&name) {
        "[0]"
    } else {
        ""
    };
    let table = deployment.resource(&format!("aws_dynamodb_table.{name}{index}"));
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let sorted = |mut values: Vec<Value>| {
        values.sort_by_key(Value::to_string);
        values
    };
    let attributes = list(&table["attribute"]).into_iter();
    let attributes = attributes.map(|attribute| json!([attribute["name"], attribute["type"]]));
    let indexes = list(&table["global_secondary_index"]).into_iter().map(|index| {
        json!({
            "name": index["name"],
            "keys": [index["hash_key"], index["range_key"]],
            "projection": index["projection_type"],
            "others": sorted(list(&index["non_key_attributes"])),
        })
    });
    let has_stream = table["stream_enabled"] == true;
    json!({
        "keys": [table["hash_key"], table["range_key"]],
        "attributes": sorted(attributes.collect()),
        "ttl": table["ttl"][0]["attribute_name"],
        "stream": if has_stream { table["stream_view_type"].clone() } else { Value::Null },
        "indexes": indexes.collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn terraform_makes_the_tables_of_the_local_stack() {
    let Some(deployment) = by_default() else { return };
    let client = local_tables().await;
    for name in TABLES {
        assert_eq!(
            on_aws(deployment, name),
            in_the_local_stack(&client, name).await,
            "{name}"
        );
    }
}
