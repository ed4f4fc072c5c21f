//! Maps the names of operations to the emulator's typed calls, and its errors to the shapes of the AWS
//! JSON protocol.

use axum::http::StatusCode;
use bytes::Bytes;
use dynoxide::{Database, DynoxideError};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use dynoxide::actions::batch_execute_statement::BatchExecuteStatementRequest;
use dynoxide::actions::batch_write_item::BatchWriteItemRequest;
use dynoxide::actions::create_table::{CreateTableRequest, CreateTableResponse};
use dynoxide::actions::delete_item::DeleteItemRequest;
use dynoxide::actions::describe_table::DescribeTableRequest;
use dynoxide::actions::get_item::{GetItemRequest, GetItemResponse};
use dynoxide::actions::list_tables::ListTablesRequest;
use dynoxide::actions::put_item::PutItemRequest;
use dynoxide::actions::query::{QueryRequest, QueryResponse};
use dynoxide::actions::transact_write_items::{TransactWriteItem, TransactWriteItemsRequest};
use dynoxide::actions::update_item::UpdateItemRequest;
use dynoxide::types::ConsumedCapacity;

use super::database::{DynamoDb, load_streams};
use super::statement::written_table;
use super::storage::Lane;
use crate::answer::Answer;

/// The quota of an AWS account.
const TABLES_MAX: usize = 2_500;

/// Items of a page of a query. The emulator reads whatever follows in the partition before it ends a page after 1 MB, so
/// without a limit the pages of a large partition together take the square of its items. More than 1 MB of any but the
/// smallest items.
const QUERIED_MAX: usize = 10_000;

/// A JSON document, or an error of `DynamoDB`.
type Called = Result<Bytes, DynoxideError>;

impl DynamoDb {
    /// Answers one call of the `DynamoDB` or Streams API. `operation` is its name without the
    /// service; `body` is its JSON.
    pub async fn call(&self, operation: &str, body: Bytes) -> Answer {
        match self.dispatch(operation, &body).await {
            Some(Ok(body)) => Answer {
                status: StatusCode::OK,
                query_error: None,
                body,
            },
            Some(Err(error)) => refuse(
                StatusCode::from_u16(error.status_code()).unwrap_or(StatusCode::BAD_REQUEST),
                error.to_json(),
            ),
            None => refuse(
                StatusCode::BAD_REQUEST,
                json!({ "__type": "com.amazon.coral.service#UnknownOperationException" }).to_string(),
            ),
        }
    }

    /// `None` if there is no such operation.
    async fn dispatch(&self, operation: &str, json: &[u8]) -> Option<Called> {
        let body = Body {
            json,
            lane: Lane::of(operation),
        };
        Some(match operation {
            "PutItem" => {
                self.write(body, Database::put_item, |db, put: &PutItemRequest| {
                    db.has_stream(&put.table_name)
                })
                .await
            }
            "UpdateItem" => {
                self.write(body, Database::update_item, |db, update: &UpdateItemRequest| {
                    db.has_stream(&update.table_name)
                })
                .await
            }
            "DeleteItem" => {
                self.write(body, Database::delete_item, |db, delete: &DeleteItemRequest| {
                    db.has_stream(&delete.table_name)
                })
                .await
            }
            "BatchWriteItem" => {
                self.write(body, Database::batch_write_item, writes_batch_to_stream)
                    .await
            }
            "TransactWriteItems" => {
                self.write(body, Database::transact_write_items, transacts_on_stream)
                    .await
            }
            // Nothing here calls these two. A needless signal costs one read.
            "ExecuteStatement" => self.write(body, Database::execute_statement, always).await,
            "ExecuteTransaction" => self.write(body, Database::execute_transaction, always).await,
            "BatchExecuteStatement" => self.execute_batch(json).await,

            "GetItem" => self.metered(body, Database::get_item).await,
            "Query" => self.metered(body, query).await,
            "Scan" => self.read(body, Database::scan).await,
            "BatchGetItem" => self.read(body, Database::batch_get_item).await,
            "TransactGetItems" => self.read(body, Database::transact_get_items).await,

            "CreateTable" => self.alter(body, create_table).await,
            "UpdateTable" => self.alter(body, Database::update_table).await,
            "DeleteTable" => self.alter(body, Database::delete_table).await,
            "DescribeTable" => self.read(body, Database::describe_table).await,
            "ListTables" => self.read(body, Database::list_tables).await,
            "UpdateTimeToLive" => self.read(body, Database::update_time_to_live).await,
            "DescribeTimeToLive" => self.read(body, Database::describe_time_to_live).await,
            "DescribeContinuousBackups" => self.read(body, describe_continuous_backups).await,
            "TagResource" => self.read(body, Database::tag_resource).await,
            "UntagResource" => self.read(body, Database::untag_resource).await,
            "ListTagsOfResource" => self.read(body, Database::list_tags_of_resource).await,

            "ListStreams" => self.read(body, Database::list_streams).await,
            "DescribeStream" => self.read(body, Database::describe_stream).await,
            "GetShardIterator" => self.read(body, Database::get_shard_iterator).await,
            "GetRecords" => self.read(body, Database::get_records).await,
            _ => return None,
        })
    }

    /// A call that adds no stream records.
    async fn read<Q, R>(&self, body: Body<'_>, call: fn(&Database, Q) -> dynoxide::Result<R>) -> Called
    where
        Q: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
    {
        let request = decode(body.json)?;
        encode(
            &self
                .run(body.lane, move |database| call(database, request))
                .await?,
        )
    }

    /// A read whose units are added up. Its answer says them only to those who asked.
    async fn metered<Q, R>(&self, body: Body<'_>, call: fn(&Database, Q) -> dynoxide::Result<R>) -> Called
    where
        Q: DeserializeOwned + Metered<Field = String> + Send + 'static,
        R: Serialize + Metered<Field = ConsumedCapacity> + Send + 'static,
    {
        let mut request: Q = decode(body.json)?;
        let asked = request.capacity().replace("TOTAL".to_owned());
        let is_asked = asked.as_deref().is_some_and(|asked| asked != "NONE");
        if is_asked {
            *request.capacity() = asked;
        }
        let mut response = self
            .run(body.lane, move |database| call(database, request))
            .await?;
        if let Some(consumed) = response.capacity() {
            self.add_read_units(consumed.capacity_units);
        }
        if !is_asked {
            *response.capacity() = None;
        }
        encode(&response)
    }

    /// A call that writes items. It adds stream records if `adds_records` says so.
    async fn write<Q, R>(
        &self,
        body: Body<'_>,
        call: fn(&Database, Q) -> dynoxide::Result<R>,
        adds_records: fn(&Self, &Q) -> bool,
    ) -> Called
    where
        Q: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
    {
        let request = decode(body.json)?;
        let adds_records = adds_records(self, &request);
        let response = self
            .run(body.lane, move |database| call(database, request))
            .await?;
        if adds_records {
            self.announce_change();
        }
        encode(&response)
    }

    /// A batch of statements, whose lane and stream records depend on the tables that it writes to.
    async fn execute_batch(&self, json: &[u8]) -> Called {
        let request: BatchExecuteStatementRequest = decode(json)?;
        let (lane, adds_records) = self.writes_of(&request);
        let response = self
            .run(lane, move |database| database.batch_execute_statement(request))
            .await?;
        if adds_records {
            self.announce_change();
        }
        encode(&response)
    }

    /// The lane of a batch, and whether it adds stream records.
    fn writes_of(&self, batch: &BatchExecuteStatementRequest) -> (Lane, bool) {
        let statements = batch.statements.iter();
        let tables: Vec<&str> = statements
            .filter_map(|statement| written_table(&statement.statement))
            .collect();
        let adds_records = tables.iter().any(|table| self.has_stream(table));
        (
            Lane::of_statements(!tables.is_empty(), adds_records),
            adds_records,
        )
    }

    /// A call that may change which tables have streams.
    async fn alter<Q, R>(&self, body: Body<'_>, call: fn(&Database, Q) -> dynoxide::Result<R>) -> Called
    where
        Q: DeserializeOwned + Send + 'static,
        R: Serialize + Send + 'static,
    {
        let request = decode(body.json)?;
        let (response, streams) = self
            .run(body.lane, move |database| {
                Ok((call(database, request)?, load_streams(database)?))
            })
            .await?;
        self.replace_streams(streams);
        encode(&response)
    }

    async fn run<R: Send + 'static>(
        &self,
        lane: Lane,
        call: impl FnOnce(&Database) -> dynoxide::Result<R> + Send + 'static,
    ) -> dynoxide::Result<R> {
        self.storage
            .run(lane, call)
            .await
            .map_err(|stopped| DynoxideError::InternalServerError(stopped.to_string()))?
    }
}

/// A request that may ask for its consumed capacity, or the response that says it.
trait Metered {
    type Field;
    fn capacity(&mut self) -> &mut Option<Self::Field>;
}

macro_rules! metered {
    ($($of:ty: $field:ident: $as:ty,)*) => {
        $(impl Metered for $of {
            type Field = $as;
            fn capacity(&mut self) -> &mut Option<$as> {
                &mut self.$field
            }
        })*
    };
}

metered! {
    GetItemRequest: return_consumed_capacity: String,
    GetItemResponse: consumed_capacity: ConsumedCapacity,
    QueryRequest: return_consumed_capacity: String,
    QueryResponse: consumed_capacity: ConsumedCapacity,
}

/// A call's JSON, and the lane in which it waits.
#[derive(Clone, Copy)]
struct Body<'a> {
    json: &'a [u8],
    lane: Lane,
}

fn refuse(status: StatusCode, body: String) -> Answer {
    Answer {
        status,
        query_error: None,
        body: body.into(),
    }
}

fn always<Q>(_: &DynamoDb, _: &Q) -> bool {
    true
}

fn writes_batch_to_stream(dynamodb: &DynamoDb, batch: &BatchWriteItemRequest) -> bool {
    batch.request_items.keys().any(|table| dynamodb.has_stream(table))
}

fn transacts_on_stream(dynamodb: &DynamoDb, transaction: &TransactWriteItemsRequest) -> bool {
    let table = |action: &TransactWriteItem| {
        let put = action.put.as_ref().map(|put| &put.table_name);
        let update = action.update.as_ref().map(|update| &update.table_name);
        let delete = action.delete.as_ref().map(|delete| &delete.table_name);
        put.or(update).or(delete).cloned()
    };
    transaction
        .transact_items
        .iter()
        .filter_map(table)
        .any(|table| dynamodb.has_stream(&table))
}

/// The emulator keeps each table as an `SQLite` table of that name, next to its own, which begin with `_` or
/// `sqlite_`. For `SQLite`, names that differ only in case are the same. A table with a name that is taken would
/// be half created: its items would be the rows of the other table, and deleting it would drop that one.
fn create_table(database: &Database, request: CreateTableRequest) -> dynoxide::Result<CreateTableResponse> {
    let refuse = |reason: &str| {
        let text = format!(
            "The local tables cannot include {:?}: {reason}",
            request.table_name
        );
        Err(DynoxideError::ValidationException(text))
    };
    let name = request.table_name.to_ascii_lowercase();
    if name.starts_with('_') || name.starts_with("sqlite_") {
        return refuse("names that begin with \"_\" or \"sqlite_\" are reserved");
    }
    let tables = table_names(database)?;
    if tables.len() >= TABLES_MAX {
        return refuse(&format!("there are already {TABLES_MAX} tables"));
    }
    for table in tables {
        if table != request.table_name && table.to_ascii_lowercase() == name {
            return refuse(&format!("{table:?} differs only in upper and lower case"));
        }
    }
    database.create_table(request)
}

fn table_names(database: &Database) -> dynoxide::Result<Vec<String>> {
    let mut names = Vec::new();
    let mut start = None;
    loop {
        let page = database.list_tables(ListTablesRequest {
            exclusive_start_table_name: start,
            ..ListTablesRequest::default()
        })?;
        names.extend(page.table_names);
        start = page.last_evaluated_table_name;
        if start.is_none() {
            return Ok(names);
        }
    }
}

fn query(database: &Database, mut request: QueryRequest) -> dynoxide::Result<QueryResponse> {
    request.limit.get_or_insert(QUERIED_MAX);
    database.query(request)
}

/// The emulator lacks this operation. There are no backups here, so it answers that they are disabled.
fn describe_continuous_backups(
    database: &Database,
    request: DescribeTableRequest,
) -> dynoxide::Result<serde_json::Value> {
    database.describe_table(request)?;
    Ok(json!({
        "ContinuousBackupsDescription": {
            "ContinuousBackupsStatus": "DISABLED",
            "PointInTimeRecoveryDescription": { "PointInTimeRecoveryStatus": "DISABLED" },
        }
    }))
}

fn encode(response: &impl Serialize) -> Called {
    serde_json::to_vec(response)
        .map(Bytes::from)
        .map_err(|error| DynoxideError::InternalServerError(error.to_string()))
}

fn decode<Q: DeserializeOwned>(body: &[u8]) -> Result<Q, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| classify(&error.to_string()))
}

/// The emulator's request types begin a decoding error with one of these marks if the JSON was valid and
/// its content was refused.
const VALIDATION_MARKS: [&str; 3] = ["VALIDATION_REQUEST:", "VALIDATION_AS_READ:", "VALIDATION:"];
const SERIALIZATION_MARKS: [&str; 2] = ["SERIALIZATION_AS_READ:", "SERIALIZATION:"];

/// Texts by which the decoder refuses a value for another reason than its JSON type.
const REFUSED_VALUES: [&str; 5] = [
    "missing field",
    "unknown variant",
    "invalid type: null",
    "empty AttributeValue",
    "Supplied AttributeValue",
];

fn classify(message: &str) -> DynoxideError {
    let text = message.rsplit_once(" at line ").map_or(message, |(text, _)| text);
    if let Some(text) = strip_any(text, &VALIDATION_MARKS) {
        DynoxideError::ValidationException(text.to_owned())
    } else if let Some(text) = strip_any(text, &SERIALIZATION_MARKS) {
        DynoxideError::SerializationException(text.to_owned())
    } else if REFUSED_VALUES.iter().any(|refused| text.contains(refused)) {
        DynoxideError::ValidationException(text.to_owned())
    } else {
        DynoxideError::SerializationException(text.to_owned())
    }
}

fn strip_any<'a>(text: &'a str, marks: &[&str]) -> Option<&'a str> {
    marks.iter().find_map(|mark| text.strip_prefix(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_batches_of_counting_are_long() {
        let dynamodb = DynamoDb::open(None).expect("a database");
        dynamodb.replace_streams([("activities".to_owned(), "arn".to_owned())].into());
        let check = |statement: &str, expected| {
            let json = json!({ "Statements": [{ "Statement": statement }] }).to_string();
            let batch = decode(json.as_bytes()).expect("a request");
            assert_eq!(dynamodb.writes_of(&batch), expected, "{statement}");
        };
        check(r#"INSERT INTO "activities" VALUE {'a': ?}"#, (Lane::Short, true));
        check(r#"INSERT INTO "dedup" VALUE {'a': ?}"#, (Lane::Long, false));
        check(r#"UPDATE "standings" SET a = ? WHERE b = ?"#, (Lane::Long, false));
        check(r#"SELECT * FROM "standings" WHERE b = ?"#, (Lane::Short, false));
    }

    #[tokio::test]
    async fn a_page_of_a_query_ends_before_it_has_read_a_large_partition() {
        let dynamodb = DynamoDb::open(None).expect("a database");
        let call = async |operation: &str, body: serde_json::Value| {
            let answer = dynamodb.call(operation, body.to_string().into()).await;
            let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("JSON");
            assert_eq!(answer.status, StatusCode::OK, "{body}");
            body
        };
        let attribute = |name: &str| json!({ "AttributeName": name, "AttributeType": "S" });
        let key = |name: &str, kind: &str| json!({ "AttributeName": name, "KeyType": kind });
        let table = json!({"TableName": "table", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [attribute("a"), attribute("b")], "KeySchema": [key("a", "HASH"), key("b", "RANGE")]});
        call("CreateTable", table).await;
        let items = QUERIED_MAX + 1;
        let puts = (0..items)
            .map(|item| json!({"PutRequest": {"Item": {"a": {"S": "a"}, "b": {"S": format!("{item:05}")}}}}));
        for puts in puts.collect::<Vec<_>>().chunks(25) {
            call("BatchWriteItem", json!({ "RequestItems": { "table": puts } })).await;
        }

        let mut query = json!({"TableName": "table", "KeyConditionExpression": "a = :a",
            "ExpressionAttributeValues": {":a": {"S": "a"}}});
        let page = call("Query", query.clone()).await;
        assert_eq!(page["Count"], QUERIED_MAX);
        query["ExclusiveStartKey"] = page["LastEvaluatedKey"].clone();
        let page = call("Query", query).await;
        assert_eq!(
            (&page["Count"], &page["LastEvaluatedKey"]),
            (&json!(1), &json!(null))
        );
    }
}
