//! The schema of the tables, which creates them in the local stack. On AWS, Terraform creates them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, StreamSpecification,
    StreamViewType, TimeToLiveSpecification,
};

use crate::error::StoreError;
use crate::keys::attribute;

/// The names of the tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableNames {
    pub activities: String,
    pub dedup: String,
    pub standings: String,
    pub snapshots: String,
    pub people: String,
}

/// What defines one table.
struct Table<'a> {
    name: &'a str,
    partition_key: &'static str,
    sort_key: Option<&'static str>,
    has_stream: bool,
    has_ttl: bool,
}

impl TableNames {
    pub fn prefixed(prefix: &str) -> Self {
        let name = |table| format!("{prefix}-{table}");
        Self {
            activities: name("activities"),
            dedup: name("dedup"),
            standings: name("standings"),
            snapshots: name("snapshots"),
            people: name("people"),
        }
    }

    fn tables(&self) -> [Table<'_>; 5] {
        [
            Table {
                name: &self.activities,
                partition_key: attribute::USER_ID,
                sort_key: Some(attribute::ACTIVITY_ID),
                has_stream: true,
                // Facts never expire; only heartbeats have an expiry time.
                has_ttl: true,
            },
            Table {
                name: &self.dedup,
                partition_key: attribute::ACTIVITY,
                sort_key: None,
                has_stream: false,
                has_ttl: true,
            },
            Table {
                name: &self.standings,
                partition_key: attribute::SHARD,
                sort_key: Some(attribute::MEMBER),
                has_stream: false,
                has_ttl: false,
            },
            Table {
                name: &self.snapshots,
                partition_key: attribute::BOARD,
                sort_key: Some(attribute::PART),
                has_stream: false,
                has_ttl: true,
            },
            Table {
                name: &self.people,
                partition_key: attribute::DIRECTORY,
                sort_key: Some(attribute::ID),
                has_stream: false,
                has_ttl: false,
            },
        ]
    }
}

/// Creates the tables that do not exist yet.
pub async fn create_tables(client: &Client, names: &TableNames) -> Result<(), StoreError> {
    for table in names.tables() {
        create_table(client, &table).await?;
    }
    Ok(())
}

async fn create_table(client: &Client, table: &Table<'_>) -> Result<(), StoreError> {
    let invalid = |error: BuildError| StoreError::corrupt("describing a table", table.name, error);
    let keys = [
        (Some(table.partition_key), KeyType::Hash),
        (table.sort_key, KeyType::Range),
    ];
    let mut request = client
        .create_table()
        .table_name(table.name)
        .billing_mode(BillingMode::PayPerRequest);
    for (name, key_type) in keys
        .into_iter()
        .filter_map(|(name, key_type)| Some((name?, key_type)))
    {
        let key = KeySchemaElement::builder()
            .attribute_name(name)
            .key_type(key_type);
        let definition = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S);
        request = request
            .key_schema(key.build().map_err(invalid)?)
            .attribute_definitions(definition.build().map_err(invalid)?);
    }
    if table.has_stream {
        let stream = StreamSpecification::builder()
            .stream_enabled(true)
            .stream_view_type(StreamViewType::NewImage);
        request = request.stream_specification(stream.build().map_err(invalid)?);
    }
    match request.send().await {
        Ok(_) => {}
        Err(SdkError::ServiceError(error)) if error.err().is_resource_in_use_exception() => {
            return Ok(());
        }
        Err(error) => return Err(StoreError::unavailable("creating a table", error)),
    }
    if table.has_ttl {
        let ttl = TimeToLiveSpecification::builder()
            .attribute_name(attribute::EXPIRES_AT)
            .enabled(true);
        client
            .update_time_to_live()
            .table_name(table.name)
            .time_to_live_specification(ttl.build().map_err(invalid)?)
            .send()
            .await
            .map_err(|error| StoreError::unavailable("enabling the expiry of items", error))?;
    }
    Ok(())
}
