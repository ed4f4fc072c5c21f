//! The schema of the tables, which creates them in the local stack. On AWS, Terraform creates them.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, SdkError};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType, TimeToLiveSpecification,
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
    pub coins: String,
    pub progress: String,
    pub notices: String,
}

/// What defines one table.
struct Table<'a> {
    name: &'a str,
    partition_key: &'static str,
    sort_key: Option<&'static str>,
    has_stream: bool,
    has_ttl: bool,
    index: Option<Index>,
}

/// A global secondary index.
struct Index {
    name: &'static str,
    partition_key: &'static str,
    sort_key: &'static str,
    /// Besides the keys.
    attributes: &'static [&'static str],
}

/// The coins of a quest in order of finding, by the first attribute. The table itself has them by person.
pub(crate) const HOLDERS_INDEX: &str = "holders";
/// What the index has besides the keys.
const HOLDERS_ATTRIBUTES: &[&str] = &["period", "found_at", "state", "serial"];

impl TableNames {
    pub fn prefixed(prefix: &str) -> Self {
        let name = |table| format!("{prefix}-{table}");
        Self {
            activities: name("activities"),
            dedup: name("dedup"),
            standings: name("standings"),
            snapshots: name("snapshots"),
            people: name("people"),
            coins: name("coins"),
            progress: name("progress"),
            notices: name("notices"),
        }
    }

    fn tables(&self) -> [Table<'_>; 8] {
        [
            Table {
                name: &self.activities,
                partition_key: attribute::USER_ID,
                sort_key: Some(attribute::ACTIVITY_ID),
                has_stream: true,
                // Facts never expire; only heartbeats have an expiry time.
                has_ttl: true,
                index: None,
            },
            Table {
                name: &self.dedup,
                partition_key: attribute::ACTIVITY,
                sort_key: None,
                has_stream: false,
                has_ttl: true,
                index: None,
            },
            Table {
                name: &self.standings,
                partition_key: attribute::SHARD,
                sort_key: Some(attribute::MEMBER),
                has_stream: false,
                has_ttl: false,
                index: None,
            },
            Table {
                name: &self.snapshots,
                partition_key: attribute::BOARD,
                sort_key: Some(attribute::PART),
                has_stream: false,
                has_ttl: true,
                index: None,
            },
            Table {
                name: &self.people,
                partition_key: attribute::DIRECTORY,
                sort_key: Some(attribute::ID),
                has_stream: false,
                has_ttl: false,
                index: None,
            },
            Table {
                name: &self.coins,
                partition_key: attribute::USER_ID,
                sort_key: Some(attribute::COIN_ID),
                has_stream: false,
                has_ttl: false,
                index: Some(Index {
                    name: HOLDERS_INDEX,
                    partition_key: attribute::HOLDERS,
                    sort_key: attribute::PLACE,
                    attributes: HOLDERS_ATTRIBUTES,
                }),
            },
            Table {
                name: &self.progress,
                partition_key: attribute::USER_ID,
                sort_key: None,
                has_stream: false,
                has_ttl: false,
                index: None,
            },
            Table {
                name: &self.notices,
                partition_key: attribute::NOTICE,
                sort_key: None,
                has_stream: false,
                has_ttl: true,
                index: None,
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
    let index = table.index.as_ref();
    let index_keys = index.map(|index| [index.partition_key, index.sort_key]);
    let keys = [Some(table.partition_key), table.sort_key];
    let mut request = client
        .create_table()
        .table_name(table.name)
        .billing_mode(BillingMode::PayPerRequest)
        .set_key_schema(Some(key_schema(keys).map_err(invalid)?));
    for name in keys.into_iter().flatten().chain(index_keys.into_iter().flatten()) {
        let definition = AttributeDefinition::builder()
            .attribute_name(name)
            .attribute_type(ScalarAttributeType::S);
        request = request.attribute_definitions(definition.build().map_err(invalid)?);
    }
    if let Some(index) = index {
        let attributes = index.attributes.iter().copied().map(str::to_owned);
        let projection = Projection::builder()
            .projection_type(ProjectionType::Include)
            .set_non_key_attributes(Some(attributes.collect()))
            .build();
        let keys = key_schema([Some(index.partition_key), Some(index.sort_key)]).map_err(invalid)?;
        let index = GlobalSecondaryIndex::builder()
            .index_name(index.name)
            .set_key_schema(Some(keys))
            .projection(projection);
        request = request.global_secondary_indexes(index.build().map_err(invalid)?);
    }
    if table.has_stream {
        request = request.stream_specification(new_images().map_err(invalid)?);
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

fn new_images() -> Result<StreamSpecification, BuildError> {
    StreamSpecification::builder()
        .stream_enabled(true)
        .stream_view_type(StreamViewType::NewImage)
        .build()
}

/// Gives the table of coins a stream, which it needs only where someone is told of coins.
pub async fn stream_coins(client: &Client, names: &TableNames) -> Result<(), StoreError> {
    let unavailable = |error| StoreError::unavailable("describing the table of coins", error);
    let table = client.describe_table().table_name(&names.coins).send().await;
    let table = table.map_err(unavailable)?.table;
    if table.is_some_and(|table| table.stream_specification.is_some()) {
        return Ok(());
    }
    let invalid = |error: BuildError| StoreError::corrupt("describing a stream", &names.coins, error);
    let stream = new_images().map_err(invalid)?;
    let update = client.update_table().table_name(&names.coins);
    let updated = update.stream_specification(stream).send().await.map(drop);
    updated.map_err(|error| StoreError::unavailable("giving the table of coins a stream", error))
}

/// The schema of a partition key and a sort key.
fn key_schema(keys: [Option<&str>; 2]) -> Result<Vec<KeySchemaElement>, BuildError> {
    let keys = keys.into_iter().zip([KeyType::Hash, KeyType::Range]);
    keys.filter_map(|(name, key_type)| {
        let key = KeySchemaElement::builder().attribute_name(name?);
        Some(key.key_type(key_type).build())
    })
    .collect()
}
