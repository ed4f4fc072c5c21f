//! What clients of the embedded `DynamoDB` rely on, tested through the real SDK.

mod stack;

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, BatchStatementRequest, ContinuousBackupsStatus, Put, PutRequest, ReturnConsumedCapacity,
    ReturnValuesOnConditionCheckFailure, TimeToLiveSpecification, TransactWriteItem, WriteRequest,
};
use local::dynamodb::DynamoDb;
use serde_json::{Value, json};
use stack::{TABLE, connect, create_table, in_a_process, put, serve, start, text};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test]
async fn a_put_on_condition_happens_once() {
    let (_dynamodb, client) = start().await;
    let put = || {
        client
            .put_item()
            .table_name(TABLE)
            .item("user_id", text("ann"))
            .item("activity_id", text("a1"))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", "activity_id")
            .send()
    };
    put().await.expect("the first put");
    let error = put().await.expect_err("a second put").into_service_error();
    assert!(
        matches!(error, PutItemError::ConditionalCheckFailedException(_)),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_cancelled_transaction_has_a_reason_for_each_action() {
    let (_dynamodb, client) = start().await;
    put(&client, "ann", "old").await;
    let put_new = |activity: &str| {
        let put = Put::builder()
            .table_name(TABLE)
            .item("user_id", text("ann"))
            .item("activity_id", text(activity))
            .condition_expression("attribute_not_exists(#id)")
            .expression_attribute_names("#id", "activity_id")
            .build()
            .expect("a put");
        TransactWriteItem::builder().put(put).build()
    };
    let error = client
        .transact_write_items()
        .transact_items(put_new("new"))
        .transact_items(put_new("old"))
        .send()
        .await
        .expect_err("a cancelled transaction")
        .into_service_error();
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        panic!("{error:?}");
    };
    let codes: Vec<_> = cancelled
        .cancellation_reasons()
        .iter()
        .map(|reason| reason.code().unwrap_or_default())
        .collect();
    assert_eq!(codes, ["None", "ConditionalCheckFailed"]);
    assert_eq!(activities(&client, "ann").await, ["old"]);
}

/// All activities of a user, read in pages of two.
async fn activities(client: &Client, user: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut start = None::<HashMap<String, AttributeValue>>;
    loop {
        let page = client
            .query()
            .table_name(TABLE)
            .key_condition_expression("#user = :user")
            .expression_attribute_names("#user", "user_id")
            .expression_attribute_values(":user", text(user))
            .set_exclusive_start_key(start)
            .limit(2)
            .send()
            .await
            .expect("a page");
        assert!(page.count() <= 2, "{page:?}");
        found.extend(
            page.items()
                .iter()
                .map(|item| item["activity_id"].as_s().expect("text").clone()),
        );
        start = page.last_evaluated_key().cloned();
        if start.is_none() {
            return found;
        }
    }
}

#[tokio::test]
async fn a_query_pages_through_one_user_in_order() {
    let (_dynamodb, client) = start().await;
    for activity in ["a3", "a1", "a5", "a2", "a4"] {
        put(&client, "ann", activity).await;
        put(&client, "bob", activity).await;
    }
    assert_eq!(activities(&client, "ann").await, ["a1", "a2", "a3", "a4", "a5"]);
}

#[tokio::test]
async fn what_has_expired_is_swept_and_streamed_as_a_service_removal() {
    let (dynamodb, client) = start().await;
    let ttl = TimeToLiveSpecification::builder()
        .enabled(true)
        .attribute_name("expires_at")
        .build()
        .expect("a time to live");
    client
        .update_time_to_live()
        .table_name(TABLE)
        .time_to_live_specification(ttl)
        .send()
        .await
        .expect("a time to live");
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("a clock past 1970")
        .as_secs();
    for (activity, expires_at) in [("past", now - 60), ("future", now + 600)] {
        client
            .put_item()
            .table_name(TABLE)
            .item("user_id", text("ann"))
            .item("activity_id", text(activity))
            .item("expires_at", AttributeValue::N(expires_at.to_string()))
            .send()
            .await
            .expect("a put");
    }

    let mut changes = dynamodb.changes();
    let sweeper = dynamodb.start_ttl_sweeper(Duration::from_mins(1));
    tokio::time::timeout(Duration::from_secs(30), changes.changed())
        .await
        .expect("a sweep")
        .expect("an open database");
    sweeper.stop().await;

    assert_eq!(activities(&client, "ann").await, ["future"]);
    let records = dynamodb.records(TABLE, None, 10).await.expect("records");
    let removal = &records.last().expect("a record").document;
    assert_eq!(removal["eventName"], "REMOVE");
    assert_eq!(removal["userIdentity"]["principalId"], "dynamodb.amazonaws.com");
    assert_eq!(removal["dynamodb"]["Keys"]["activity_id"]["S"], "past");
}

#[tokio::test]
async fn a_record_looks_as_a_pipe_delivers_it() {
    let (dynamodb, client) = start().await;
    put(&client, "ann", "a1").await;
    let described = client.describe_table().table_name(TABLE).send().await;
    let table = described.expect("a table").table.expect("a description");

    let records = dynamodb.records(TABLE, None, 10).await.expect("records");
    let [record] = records.as_slice() else {
        panic!("{records:?}");
    };
    let document = &record.document;
    assert_eq!(document["eventName"], "INSERT");
    assert_eq!(document["eventVersion"], "1.1");
    assert_eq!(document["eventSource"], "aws:dynamodb");
    assert_eq!(document["eventSourceARN"].as_str(), table.latest_stream_arn());
    let change = &document["dynamodb"];
    assert_eq!(change["NewImage"]["user_id"]["S"], "ann");
    assert_eq!(change["Keys"]["activity_id"]["S"], "a1");
    assert_eq!(change["StreamViewType"], "NEW_IMAGE");
    assert!(change["ApproximateCreationDateTime"].is_i64(), "{change}");
    assert_eq!(
        change["SequenceNumber"],
        record.sequence_number.to_string().as_str()
    );
    let after = Some(record.sequence_number.clone());
    let rest = dynamodb.records(TABLE, after, 10).await.expect("records");
    assert!(rest.is_empty(), "{rest:?}");
}

/// The fact of ann with this id, as an item and as a statement.
fn fact(activity: &str) -> (HashMap<String, AttributeValue>, BatchStatementRequest) {
    let item = HashMap::from([
        ("user_id".to_owned(), text("ann")),
        ("activity_id".to_owned(), text(activity)),
        ("kind".to_owned(), text("task \"done\" 'é'")),
        ("schema_version".to_owned(), AttributeValue::N("1".to_owned())),
    ]);
    let statement = BatchStatementRequest::builder()
        .statement(format!(
            "INSERT INTO \"{TABLE}\" VALUE {{'user_id': ?, 'activity_id': ?, 'kind': ?, 'schema_version': ?}}"
        ))
        .set_parameters(Some(
            ["user_id", "activity_id", "kind", "schema_version"]
                .map(|name| item[name].clone())
                .to_vec(),
        ))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .build()
        .expect("a statement");
    (item, statement)
}

#[tokio::test]
async fn each_statement_of_a_batch_has_its_own_answer() {
    let (_dynamodb, client) = start().await;
    put(&client, "ann", "old").await;
    let update = BatchStatementRequest::builder()
        .statement(format!(
            "UPDATE \"{TABLE}\" SET n = 1 WHERE user_id = 'ann' AND activity_id = 'none'"
        ))
        .build()
        .expect("a statement");
    let unreadable = BatchStatementRequest::builder()
        .statement(format!("INSERT INTO \"{TABLE}\" VALUE"))
        .build()
        .expect("a statement");
    let answer = client
        .batch_execute_statement()
        .set_statements(Some(vec![fact("new").1, fact("old").1, update, unreadable]))
        .return_consumed_capacity(ReturnConsumedCapacity::Total)
        .send()
        .await
        .expect("an answer");
    let codes: Vec<_> = answer
        .responses()
        .iter()
        .map(|response| {
            let error = response.error();
            // The item that is there is never returned, whatever was asked for.
            assert!(error.is_none_or(|error| error.item().is_none()), "{error:?}");
            error
                .and_then(|error| error.code())
                .map_or("", |code| code.as_str())
        })
        .collect();
    assert_eq!(
        codes,
        ["", "DuplicateItem", "ConditionalCheckFailed", "ValidationError"]
    );
    // A unit for the insert, and one for each of the statements that the table evaluated.
    let [capacity] = answer.consumed_capacity() else {
        panic!("{answer:?}");
    };
    assert_eq!(
        (capacity.table_name(), capacity.capacity_units()),
        (Some(TABLE), Some(3.0))
    );
    assert_eq!(activities(&client, "ann").await, ["new", "old"]);

    let twice = client
        .batch_execute_statement()
        .statements(fact("twice").1)
        .statements(fact("twice").1)
        .send()
        .await
        .expect_err("two statements on one item");
    assert_eq!(twice.code(), Some("ValidationException"), "{twice:?}");
}

#[tokio::test]
async fn the_stream_tells_an_insert_as_a_put_and_signals_it() {
    let (dynamodb, client) = start().await;
    let mut changes = dynamodb.changes();
    changes.mark_unchanged();
    let (_, statement) = fact("a1");
    client
        .batch_execute_statement()
        .statements(statement)
        .send()
        .await
        .expect("an insert");
    assert!(changes.has_changed().expect("an open database"));
    let (item, _) = fact("a2");
    client
        .put_item()
        .table_name(TABLE)
        .set_item(Some(item))
        .send()
        .await
        .expect("a put");
    let records = dynamodb.records(TABLE, None, 10).await.expect("records");
    let [mut inserted, put] = [0, 1].map(|at| records[at].document.clone());
    assert_eq!(inserted["dynamodb"]["NewImage"]["activity_id"]["S"], "a1");
    inserted["dynamodb"]["NewImage"]["activity_id"] = json!({ "S": "a2" });
    for field in ["NewImage", "StreamViewType", "SizeBytes"] {
        assert_eq!(inserted["dynamodb"][field], put["dynamodb"][field], "{field}");
    }
    for field in ["eventName", "eventVersion", "eventSource", "eventSourceARN"] {
        assert_eq!(inserted[field], put[field], "{field}");
    }
}

#[tokio::test]
async fn a_stream_keeps_the_newest_records() {
    const KEPT: usize = 500;
    let bound = u32::try_from(KEPT).expect("a small number");
    let dynamodb = DynamoDb::open_keeping(None, bound).expect("a database");
    let client = connect(&dynamodb).await;
    create_table(&client).send().await.expect("a table");
    for batch in 0..80 {
        let puts = (0..25).map(|index| {
            let put = PutRequest::builder()
                .item("user_id", text("ann"))
                .item("activity_id", text(format!("{:04}", batch * 25 + index)))
                .build()
                .expect("a put");
            WriteRequest::builder().put_request(put).build()
        });
        client
            .batch_write_item()
            .request_items(TABLE, puts.collect())
            .send()
            .await
            .expect("a batch");
    }
    let kept = dynamodb.records(TABLE, None, 1000).await.expect("records");
    // Plus up to as many as are written between two trims.
    assert!((KEPT..KEPT + 256).contains(&kept.len()), "{}", kept.len());
    let newest = &kept.last().expect("a record").document["dynamodb"]["Keys"]["activity_id"];
    assert_eq!(newest["S"], "1999");
}

#[test]
fn a_directory_keeps_items_over_a_restart() {
    let directory = tempfile::tempdir().expect("a directory");
    in_a_process(async {
        let dynamodb = DynamoDb::open(Some(directory.path())).expect("a database");
        let client = connect(&dynamodb).await;
        create_table(&client).send().await.expect("a table");
        put(&client, "ann", "a1").await;
    });
    in_a_process(async {
        let dynamodb = DynamoDb::open(Some(directory.path())).expect("a database");
        let client = connect(&dynamodb).await;
        put(&client, "ann", "a2").await;
        assert_eq!(activities(&client, "ann").await, ["a1", "a2"]);
        let records = dynamodb.records(TABLE, None, 10).await.expect("records");
        assert_eq!(records.len(), 2);
    });
}

#[tokio::test]
async fn databases_in_memory_are_apart() {
    let (_first, client) = start().await;
    put(&client, "ann", "a1").await;
    let (_second, client) = start().await;
    assert!(activities(&client, "ann").await.is_empty());
}

#[tokio::test]
async fn backups_are_truthfully_disabled() {
    let (_dynamodb, client) = start().await;
    let described = client
        .describe_continuous_backups()
        .table_name(TABLE)
        .send()
        .await
        .expect("a description")
        .continuous_backups_description
        .expect("a description");
    assert_eq!(
        described.continuous_backups_status(),
        &ContinuousBackupsStatus::Disabled
    );
}

#[tokio::test]
async fn errors_have_the_types_that_clients_know() {
    let (dynamodb, client) = start().await;
    let missing = client.describe_table().table_name("missing").send().await;
    let error = missing.expect_err("no table").into_service_error();
    assert_eq!(error.code(), Some("ResourceNotFoundException"));

    for (operation, body, expected) in [
        ("MakeCoffee", "{}", "UnknownOperationException"),
        ("PutItem", "not JSON", "SerializationException"),
        ("PutItem", r#"{"TableName": 5}"#, "SerializationException"),
        ("PutItem", r#"{"TableName": "activities"}"#, "ValidationException"),
        (
            "PutItem",
            r#"{"TableName": "activities", "Item": {"user_id": {}}}"#,
            "ValidationException",
        ),
        (
            "DescribeContinuousBackups",
            r#"{"TableName": "missing"}"#,
            "ResourceNotFoundException",
        ),
    ] {
        let answer = dynamodb.call(operation, body.into()).await;
        assert_eq!(answer.status, 400, "{operation} {body}");
        let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
        let kind = answer["__type"].as_str().unwrap_or_default();
        assert!(kind.ends_with(expected), "{operation} {body}: {answer}");
        assert!(!answer.to_string().contains("VALIDATION:"), "{answer}");
    }
}

async fn exchange(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).await.expect("a connection");
    stream.write_all(request.as_bytes()).await.expect("a request");
    let mut response = String::new();
    stream.read_to_string(&mut response).await.expect("a response");
    response
}

/// The emulator keeps its own tables next to those of its clients.
#[tokio::test]
async fn no_call_reaches_the_tables_of_the_emulator_itself() {
    let (dynamodb, client) = start().await;
    put(&client, "ann", "a1").await;
    let check = async |operation: &str, call: Value, expected: &str| {
        let answer = dynamodb.call(operation, call.to_string().into()).await;
        let body = String::from_utf8_lossy(&answer.body);
        assert!(
            answer.status == 400 && body.contains(expected),
            "{operation} {call}: {body}"
        );
    };
    for name in [
        "_stream_records",
        "_tables",
        "_config",
        "_Tables",
        "_new",
        "sqlite_master",
        "SQLite_new",
        // For the emulator this is the table `activities`.
        "Activities",
    ] {
        let key = json!({ "user_id": { "S": "x" } });
        let create = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "user_id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "user_id", "KeyType": "HASH" }],
        });
        check("CreateTable", create, "ValidationException").await;
        let missing = "ResourceNotFoundException";
        for (operation, call) in [
            ("DescribeTable", json!({ "TableName": name })),
            ("Scan", json!({ "TableName": name })),
            ("GetItem", json!({ "TableName": name, "Key": key })),
            ("PutItem", json!({ "TableName": name, "Item": key })),
            ("DeleteTable", json!({ "TableName": name })),
            (
                "ExecuteStatement",
                json!({ "Statement": format!("SELECT * FROM \"{name}\"") }),
            ),
            (
                "ExecuteStatement",
                json!({ "Statement": format!("INSERT INTO \"{name}\" VALUE {{'user_id': 'x'}}") }),
            ),
        ] {
            check(operation, call, missing).await;
        }
    }
    put(&client, "ann", "a2").await;
}

#[tokio::test]
async fn one_address_serves_both_services_to_this_machine_only() {
    let (dynamodb, _client) = start().await;
    let address = serve(&dynamodb).await;
    let check = async |line: &str, host: &str, target: &str, expected: &[&str]| {
        let request = format!(
            "{line} HTTP/1.1\r\nHost: {host}\r\nX-Amz-Target: {target}\r\n\
             Content-Length: 2\r\nConnection: close\r\n\r\n{{}}"
        );
        let response = exchange(&address, &request).await;
        for part in expected {
            assert!(response.contains(part), "{part} is missing from {response}");
        }
    };
    let list = "DynamoDB_20120810.ListTables";
    check(
        "POST /",
        &address,
        list,
        &[
            "200 OK",
            "x-amz-json-1.0",
            "x-amzn-requestid",
            r#"["activities"]"#,
        ],
    )
    .await;
    let streams = "DynamoDBStreams_20120810.ListStreams";
    check("POST /", "localhost", streams, &["200 OK", "StreamArn"]).await;
    // SQS clients post to the path of a queue.
    let send = "AmazonSQS.SendMessage";
    check(
        "POST /000000000000/queue",
        &address,
        send,
        &["400 Bad", "x-amzn-query-error: MalformedInput;Sender"],
    )
    .await;
    check(
        "POST /",
        &address,
        "Other.Call",
        &["400 Bad", "UnknownOperationException"],
    )
    .await;
    check(
        "GET /",
        &address,
        "",
        &["200 OK", "AWS endpoint of a local stack"],
    )
    .await;
    // As from a web page whose name was made to resolve to this machine.
    check(
        "POST /",
        "example.com",
        list,
        &["421 Misdirected Request", "--allowed-host example.com"],
    )
    .await;
}
