//! Tests the planned pipe between a stream and queues of the embedded stack, and reads streams of several
//! shards, which the embedded stack does not have.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use aws_types::SdkConfig;
use local::dynamodb::DynamoDb;
use local::pipe::{Pipe, Position, Source as _};
use local::sqs::{Queue, QueueAttributes, Sqs};
use serde_json::{Value, json};
use store::schema::{TableNames, create_tables};
use store::stream::Streamed;
use tokio::net::TcpListener;

use super::planned::Planned;
use super::sdk_stream::SdkStream;
use super::shards::{Shard, Shards};
use super::start_planned;
use crate::deployment::by_default;

const TARGET: &str = "planned-activities";
const DEAD_LETTERS: &str = "planned-pipe-dlq";
const RETRIES: u32 = 2;

/// The endpoint of the embedded tables and queues, without functions and without a pipe.
struct Endpoint {
    dynamodb: DynamoDb,
    client: aws_sdk_dynamodb::Client,
    sdk: SdkConfig,
    table: String,
    stream_arn: String,
    target: Queue,
    dead_letters: Queue,
}

impl Endpoint {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let dynamodb = DynamoDb::open(None).expect("a database");
        let sqs = Sqs::new(url.clone(), None).expect("queues");
        let queue = |name| sqs.create_queue(name, QueueAttributes::default());
        let (target, dead_letters) = (
            queue(TARGET).expect("a queue"),
            queue(DEAD_LETTERS).expect("a queue"),
        );
        tokio::spawn(local::endpoint::serve(
            listener,
            dynamodb.clone(),
            sqs,
            std::future::pending(),
        ));
        let client = local::dynamodb_client(&url);
        let tables = TableNames::prefixed("planned");
        create_tables(&client, &tables).await.expect("tables");
        let described = client
            .describe_table()
            .table_name(&tables.activities)
            .send()
            .await;
        let table = described.expect("a table").table.expect("a description");
        Self {
            dynamodb,
            client,
            sdk: local::sdk_config(&url),
            table: tables.activities,
            stream_arn: table.latest_stream_arn.expect("a stream"),
            target,
            dead_letters,
        }
    }

    async fn put(&self, user: &str, activity: &str, program: &str) {
        let now = jiff::Timestamp::now().to_string();
        let item = [
            ("user_id", user),
            ("activity_id", activity),
            ("program_id", program),
            ("kind", "task_completed"),
            ("occurred_at", &now),
            ("received_at", &now),
        ];
        let item = item.map(|(name, value)| (name.to_owned(), AttributeValue::S(value.to_owned())));
        let others = [
            ("schema_version", AttributeValue::N("1".to_owned())),
            ("tags", AttributeValue::Ss(vec!["x".to_owned()])),
            ("raw", AttributeValue::B(b"\x00\xff".to_vec().into())),
            ("nested", AttributeValue::L(vec![AttributeValue::Null(true)])),
        ];
        let others = others.map(|(name, value)| (name.to_owned(), value));
        self.client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(item.into_iter().chain(others).collect()))
            .send()
            .await
            .expect("a put");
    }

    async fn delete(&self, user: &str, activity: &str) {
        self.client
            .delete_item()
            .table_name(&self.table)
            .key("user_id", AttributeValue::S(user.to_owned()))
            .key("activity_id", AttributeValue::S(activity.to_owned()))
            .send()
            .await
            .expect("a delete");
    }

    fn start_pipe(&self) -> Pipe {
        self.start_planned(&plan(&self.stream_arn))
    }

    fn start_planned(&self, plan: &Value) -> Pipe {
        start_planned(plan, &self.sdk, &self.sdk).expect("a pipe")
    }

    /// The stream records of new items by sequence number, read in process.
    async fn inserts(&self) -> BTreeMap<String, Value> {
        let records = self.dynamodb.records(&self.table, None, 1_000).await;
        let records = records.expect("records").into_iter();
        records
            .filter(|record| record.document["eventName"] == "INSERT")
            .map(|record| (record.sequence_number.to_string(), record.document))
            .collect()
    }
}

/// An `aws_pipes_pipe` as `terraform show -json` prints it.
fn plan(stream_arn: &str) -> Value {
    json!({
        "name": "planned",
        "description": "Carries new activities from the table's stream to the queue.",
        "role_arn": "arn:aws:iam::000000000000:role/planned-pipe",
        "desired_state": "RUNNING",
        "enrichment": null,
        "enrichment_parameters": [],
        "source": stream_arn,
        "source_parameters": [{
            "activemq_broker_parameters": [],
            "dynamodb_stream_parameters": [{
                "batch_size": 10,
                "dead_letter_config": [{
                    "arn": format!("arn:aws:sqs:us-east-1:000000000000:{DEAD_LETTERS}"),
                }],
                "maximum_batching_window_in_seconds": 0,
                "maximum_record_age_in_seconds": 72_000,
                "maximum_retry_attempts": RETRIES,
                "on_partial_batch_item_failure": "AUTOMATIC_BISECT",
                "parallelization_factor": 1,
                "starting_position": "TRIM_HORIZON",
            }],
            "filter_criteria": [{ "filter": [{ "pattern": r#"{"eventName":["INSERT"]}"# }] }],
            "kinesis_stream_parameters": [],
        }],
        "tags": { "stage": "stream" },
        "target": format!("arn:aws:sqs:us-east-1:000000000000:{TARGET}"),
        "target_parameters": [{
            "input_template": "",
            "sqs_queue_parameters": [{ "message_deduplication_id": null, "message_group_id": "" }],
        }],
    })
}

async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let reached = tokio::time::timeout(Duration::from_secs(30), reached).await;
    assert!(reached.is_ok(), "{what}: not within 30 s");
}

async fn receive_all(queue: &Queue) -> Vec<String> {
    let mut bodies = Vec::new();
    loop {
        let received = queue.receive(10, Duration::ZERO, None).await;
        if received.is_empty() {
            return bodies;
        }
        bodies.extend(received.into_iter().map(|message| message.body().to_owned()));
    }
}

#[tokio::test]
async fn new_items_and_nothing_else_reach_the_target_as_from_the_stacks_own_pipe() {
    let endpoint = Endpoint::start().await;
    for index in 10..32 {
        endpoint.put("ann", &format!("a{index}"), "p").await;
    }
    let pipe = endpoint.start_pipe();
    eventually("the earlier items are sent", || pipe.counters().sent == 22).await;
    endpoint.put("ann", "a10", "another").await;
    endpoint.delete("ann", "a11").await;
    endpoint.put("ann", "a99", "p").await;
    eventually("the later changes are read", || pipe.counters().read == 25).await;
    eventually("the last item is sent", || pipe.counters().sent == 23).await;
    assert_eq!(pipe.lag().await.expect("a lag"), Duration::ZERO);
    let counters = pipe.counters();
    pipe.stop().await.expect("a stop");
    assert_eq!(
        (counters.filtered, counters.retried, counters.dead_lettered),
        (2, 0, 0)
    );

    let bodies = receive_all(&endpoint.target).await;
    assert_eq!(bodies.len(), 23);
    let sent: BTreeMap<_, _> = bodies
        .iter()
        .map(|body| {
            let document: Value = serde_json::from_str(body).expect("JSON");
            let number = document["dynamodb"]["SequenceNumber"].as_str();
            (number.expect("a number").to_owned(), document)
        })
        .collect();
    assert_eq!(sent, endpoint.inserts().await);
    let mut activities: Vec<_> = bodies.iter().map(|body| activity(body)).collect();
    activities.sort_unstable();
    let expected = (10..32).chain([99]).map(|index| format!("a{index}"));
    assert_eq!(activities, expected.collect::<Vec<_>>());
}

/// The local stack has no templates: its pipe makes events by a function.
#[tokio::test]
async fn the_template_of_terraform_makes_the_events_of_the_local_stack() {
    let Some(deployment) = by_default() else { return };
    let facts = deployment.resource("aws_pipes_pipe.events[\"facts\"]");
    let endpoint = Endpoint::start().await;
    endpoint.put("ann \"the\" <b>", "a1", "p").await;
    let mut plan = plan(&endpoint.stream_arn);
    let template = "/target_parameters/0/input_template";
    *plan.pointer_mut(template).expect("a value") = facts.pointer(template).expect("a template").clone();
    let pipe = endpoint.start_planned(&plan);
    eventually("the item is sent", || pipe.counters().sent == 1).await;
    pipe.stop().await.expect("a stop");
    let bodies = receive_all(&endpoint.target).await;
    let sent: Value = serde_json::from_str(&bodies[0]).expect("JSON");
    let inserts = endpoint.inserts().await;
    let record = inserts.values().next().expect("a record");
    assert_eq!(
        sent,
        store::stream::FACT_RECORDED.event(&record["eventID"], &record["dynamodb"]["NewImage"])
    );
}

fn activity(body: &str) -> String {
    match store::stream::parse(body) {
        Ok(Streamed::Fact { fact, .. }) => fact.id().to_string(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn without_its_target_every_position_is_given_up_after_the_planned_retries() {
    let endpoint = Endpoint::start().await;
    let pipe = endpoint.start_pipe();
    let deleted = aws_sdk_sqs::Client::new(&endpoint.sdk)
        .delete_queue()
        .queue_url(endpoint.target.url())
        .send()
        .await;
    deleted.expect("the queue is deleted");
    for activity in ["a1", "a2", "a3"] {
        endpoint.put("ann", activity, "p").await;
    }
    eventually("three dead letters", || pipe.counters().dead_lettered == 3).await;
    let counters = pipe.counters();
    pipe.stop().await.expect("a stop");
    assert_eq!(
        (counters.sent, counters.retried),
        (0, 3 * u64::from(RETRIES)),
        "each must be retried alone after its batch is bisected"
    );

    let inserts = endpoint.inserts().await;
    let mut dead_letters: Vec<Value> = receive_all(&endpoint.dead_letters)
        .await
        .iter()
        .map(|body| serde_json::from_str(body).expect("JSON"))
        .collect();
    dead_letters
        .sort_by_key(|dead_letter| dead_letter["DDBStreamBatchInfo"]["startSequenceNumber"].to_string());
    let positions: Vec<_> = dead_letters
        .iter()
        .map(|dead_letter| dead_letter["DDBStreamBatchInfo"]["startSequenceNumber"].as_str())
        .collect();
    assert_eq!(
        positions,
        inserts
            .keys()
            .map(|number| Some(number.as_str()))
            .collect::<Vec<_>>()
    );
    for dead_letter in &dead_letters {
        assert_eq!(dead_letter["context"]["condition"], "RetryAttemptsExhausted");
        let position = &dead_letter["DDBStreamBatchInfo"];
        assert_eq!(position["streamArn"], endpoint.stream_arn.as_str());
        assert_eq!(
            position["shardId"],
            format!("shardId-00000001-{}", endpoint.table)
        );
    }
}

#[test]
fn what_our_pipe_would_not_do_as_planned_is_refused() {
    const STREAM: &str = "/source_parameters/0/dynamodb_stream_parameters/0";
    const ARN: &str = "arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-11-21T09:00:00.000";
    let check = |at: &str, value: Value, expected: &str| {
        let mut plan = plan(ARN);
        *plan.pointer_mut(at).expect("a value") = value;
        let refused = Planned::of(&plan).err().map(|error| format!("{error:#}"));
        let refused = refused.unwrap_or_default();
        assert!(refused.contains(expected), "{at}: {refused:?}");
    };
    let stream = |name: &str| format!("{STREAM}/{name}");
    check(
        &stream("starting_position"),
        "LATEST".into(),
        "starting_position LATEST",
    );
    check(
        &stream("on_partial_batch_item_failure"),
        Value::Null,
        "the plan has no such setting",
    );
    check(
        &stream("maximum_batching_window_in_seconds"),
        5.into(),
        "the plan waits 5 s",
    );
    check(&stream("parallelization_factor"), 4.into(), "the plan sends 4");
    check(
        &stream("maximum_retry_attempts"),
        0.into(),
        "a maximum_retry_attempts of 0",
    );
    check(
        &stream("dead_letter_config"),
        json!([]),
        "not the values of an aws_pipes_pipe",
    );
    check(
        "/enrichment",
        "arn:aws:lambda:f".into(),
        "does not support enrichment",
    );
    check("/desired_state", "STOPPED".into(), "desired_state STOPPED");
    check(
        "/target_parameters/0/sqs_queue_parameters/0/message_group_id",
        "group".into(),
        "does not support sqs_queue_parameters",
    );
    check(
        "/source_parameters/0/kinesis_stream_parameters",
        json!([{ "batch_size": 1 }]),
        "does not support kinesis_stream_parameters",
    );
    let pattern = json!({ "pattern": r#"{"eventName":["INSERT"]}"# });
    check(
        "/source_parameters/0/filter_criteria/0/filter",
        json!([pattern, pattern]),
        "the plan has 2",
    );
    check(
        "/source_parameters/0/filter_criteria/0/filter/0/pattern",
        r#"{"eventName":[{"wildcard":"I*"}]}"#.into(),
        "not understood here",
    );
    check(
        "/source",
        "arn:aws:kinesis:us-east-1:0:stream/s".into(),
        "not the ARN of a table's stream",
    );
    check(
        "/target",
        "arn:aws:lambda:us-east-1:0:function:f".into(),
        "neither a queue nor a topic",
    );
}

#[test]
fn a_negative_bound_and_none_are_without_bound() {
    for none in [json!(-1), Value::Null] {
        let mut plan = plan("arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/s");
        let stream = &mut plan["source_parameters"][0]["dynamodb_stream_parameters"][0];
        stream["maximum_retry_attempts"] = none.clone();
        stream["maximum_record_age_in_seconds"] = none;
        let config = Planned::of(&plan).expect("a plan").config;
        assert_eq!(config.maximum_retry_attempts, None);
        assert_eq!(config.maximum_record_age, None);
    }
    let bounded = Planned::of(&plan("arn:aws:dynamodb:r:0:table/t/stream/s")).expect("a plan");
    assert_eq!(bounded.config.maximum_retry_attempts, Some(RETRIES));
    assert_eq!(bounded.config.maximum_record_age, Some(Duration::from_hours(20)));
}

async fn stream_of(shards: &Shards) -> SdkStream {
    let config = local::sdk_config(&shards.serve().await);
    SdkStream::new(aws_sdk_dynamodbstreams::Client::new(&config), "arn".to_owned())
}

/// Reads all records, as `shard:number`, and advances the position past them.
async fn read_all(stream: &SdkStream, position: &mut Position) -> Vec<String> {
    let (mut all, mut empty) = (Vec::new(), 0);
    // The children of an ended shard only appear when the shards are listed again.
    while empty < 3 {
        let records = stream.records(position, 100).await.expect("records");
        empty = if records.is_empty() { empty + 1 } else { 0 };
        for record in records {
            let event = &record.document["eventID"];
            all.push(format!("{}:{}", record.shard_id, event.as_str().expect("an id")));
            position.advance(&record.shard_id, record.sequence_number);
        }
        assert!(all.len() < 1_000, "the stream does not end");
    }
    all
}

fn shard(id: &'static str, parent: Option<&'static str>, records: &[u32], closed: bool) -> Shard {
    Shard {
        id,
        parent,
        records: records.to_vec(),
        trimmed: 0,
        closed,
    }
}

#[tokio::test]
async fn a_shards_children_come_after_all_of_it_and_every_shard_has_its_turn() {
    let shards = Shards::of([
        shard("grandchild", Some("child"), &[30, 31], false),
        shard("child", Some("parent"), &[20, 21, 22], true),
        shard("parent", Some("trimmed long ago"), &[10, 11, 12, 13, 14], true),
        shard("sibling", None, &[1, 2, 3, 4, 5, 6, 7, 8], false),
    ]);
    let stream = stream_of(&shards).await;
    let mut position = Position::default();
    let first = stream.records(&position, 1).await.expect("records");
    let second = stream.records(&position, 1).await.expect("records");
    assert_eq!(
        [first[0].shard_id.as_str(), second[0].shard_id.as_str()],
        ["parent", "sibling"]
    );

    let mut all = read_all(&stream, &mut position).await;
    let (siblings, line): (Vec<_>, Vec<_>) = all.drain(..).partition(|record| record.starts_with("sibling"));
    assert_eq!(siblings.len(), 8);
    let expected = "parent:10 parent:11 parent:12 parent:13 parent:14 child:20 child:21 child:22 grandchild:30 grandchild:31";
    assert_eq!(line.join(" "), expected);

    shards.change("sibling", |sibling| {
        sibling.records.push(9);
        sibling.closed = true;
    });
    shards.add(shard("left", Some("sibling"), &[40], false));
    shards.add(shard("right", Some("sibling"), &[50], false));
    let mut split = read_all(&stream, &mut position).await;
    split[1..].sort_unstable();
    assert_eq!(split, ["sibling:9", "left:40", "right:50"]);
}

#[tokio::test]
async fn a_restart_after_a_shards_end_goes_on_in_its_children() {
    let shards = Shards::of([
        shard("parent", None, &[10, 11, 12], true),
        shard("empty", Some("parent"), &[], true),
        shard("child", Some("empty"), &[20, 21], false),
    ]);
    let mut position = Position::default();
    for number in 10..13_u32 {
        position.advance("parent", format!("{number:021}").try_into().expect("a number"));
    }
    // A checkpoint stores the position as JSON.
    let kept = serde_json::to_string(&position).expect("JSON");
    let mut position: Position = serde_json::from_str(&kept).expect("a position");
    let resumed = read_all(&stream_of(&shards).await, &mut position).await;
    assert_eq!(resumed, ["child:20", "child:21"]);

    shards.change("child", |child| child.records.push(22));
    let resumed = read_all(&stream_of(&shards).await, &mut position).await;
    assert_eq!(resumed, ["child:22"]);
}

#[tokio::test]
async fn an_expired_iterator_is_replaced_by_one_of_the_same_place() {
    let shards = Shards::of([shard("s", None, &[1, 2, 3], false)]);
    let stream = stream_of(&shards).await;
    let mut position = Position::default();
    assert_eq!(read_all(&stream, &mut position).await, ["s:1", "s:2", "s:3"]);
    shards.expire_iterators();
    shards.change("s", |shard| shard.records.extend([4, 5]));
    assert_eq!(read_all(&stream, &mut position).await, ["s:4", "s:5"]);
}

#[tokio::test]
async fn after_what_was_trimmed_the_oldest_record_kept_is_next() {
    let shards = Shards::of([shard("s", None, &[1], false)]);
    let stream = stream_of(&shards).await;
    let mut position = Position::default();
    assert_eq!(read_all(&stream, &mut position).await, ["s:1"]);
    shards.change("s", |shard| {
        shard.records.extend([2, 3, 4, 5]);
        shard.trimmed = 3;
    });
    let mut restarted = position.clone();
    assert_eq!(read_all(&stream, &mut position).await, ["s:4", "s:5"]);
    let another = stream_of(&shards).await;
    assert_eq!(read_all(&another, &mut restarted).await, ["s:4", "s:5"]);
}
