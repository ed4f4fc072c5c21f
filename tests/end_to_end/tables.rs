//! The functions' libraries over the embedded tables and queues. The test sets the time.

use std::time::Duration;

use aggregator::Aggregator;
use aws_lambda_events::event::sqs::{SqsEvent, SqsMessage};
use directory::Directory;
use domain::{BoardDocument, BoardEntry, EventMapping, FreshnessBounds, TeamScore, UserId};
use identity::Access;
use ingest::{Ingest, MaxActivityAge};
use jiff::{SignedDuration, Timestamp};
use lambda_http::http::Request;
use lambda_http::{Body, Response};
use local::dynamodb::{DynamoDb, SequenceNumber};
use local::settings;
use local::sqs::{AttributeValue, Queue, QueueAttributes, Received, Sqs};
use queue::Queues;
use serde_json::{Value, json};
use serve::Serve;
use snapshot::Publisher;
use store::rules::TieBreak;
use store::schema::{TableNames, create_tables};
use store::{Activities, CountTables, Counting, Rules, Snapshots};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Records of the stream in one read.
const RECORDS_AT_ONCE: usize = 1_000;

/// The rules of the local stack, in another time zone.
pub fn rules(time_zone: &str) -> Rules {
    let shards = settings::STANDING_SHARDS.to_string();
    Rules {
        standing_shards: shards.parse().expect("a number of shards"),
        calendar: time_zone.parse().expect("a time zone"),
        scoring_policy: settings::SCORING_POLICY.parse().expect("a policy"),
        period_grace: Some(settings::PERIOD_GRACE_HOURS.try_into().expect("a grace")),
        tie_break: TieBreak::Shared,
    }
}

/// The functions, called by the test instead of by Lambda.
pub struct Functions {
    pub client: aws_sdk_dynamodb::Client,
    pub aws_url: String,
    pub tables: TableNames,
    pub ingest: Ingest,
    pub aggregator: Aggregator,
    pub publisher: Publisher,
    pub serve: Serve,
    serve_config: serve::Config,
    pub directory: Directory,
    pub dead_letters: Queue,
    dynamodb: DynamoDb,
    counted_to: Option<SequenceNumber>,
}

fn number<T: std::str::FromStr<Err: std::fmt::Debug>>(number: &impl ToString) -> T {
    number.to_string().parse().expect("a number of boards")
}

impl Functions {
    pub async fn start(time_zone: &str) -> Self {
        Self::ruled(rules(time_zone)).await
    }

    pub async fn ruled(rules: Rules) -> Self {
        Self::configured(rules, 10_000, &settings::PROGRAM_BOARDS.to_string()).await
    }

    /// With another scoring policy.
    pub async fn scoring(policy: &str) -> Self {
        let rules = Rules {
            scoring_policy: policy.parse().expect("a policy"),
            ..rules("UTC")
        };
        Self::ruled(rules).await
    }

    /// With boards that list so many users.
    pub async fn listing(listed_users: usize, time_zone: &str) -> Self {
        Self::configured(
            rules(time_zone),
            listed_users,
            &settings::PROGRAM_BOARDS.to_string(),
        )
        .await
    }

    /// Functions that publish the boards of at most this many programs.
    pub async fn with_program_boards(time_zone: &str, program_boards: &str) -> Self {
        Self::configured(rules(time_zone), 10_000, program_boards).await
    }

    pub async fn configured(rules: Rules, listed_users: usize, program_boards: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let aws_url = format!("http://{}", listener.local_addr().expect("it is bound"));
        let dynamodb = DynamoDb::open(None).expect("tables in a temporary place");
        let sqs = Sqs::new(aws_url.clone(), None).expect("queues in memory");
        let queue = sqs
            .create_queue("activities", QueueAttributes::default())
            .expect("a queue");
        let dead_letters = sqs
            .create_queue("dead-letters", QueueAttributes::default())
            .expect("a queue");
        let endpoint = local::endpoint::serve(listener, dynamodb.clone(), sqs, std::future::pending());
        tokio::spawn(endpoint);
        let aws = local::sdk_config(&aws_url);
        let client = aws_sdk_dynamodb::Client::new(&aws);
        let queues = aws_sdk_sqs::Client::new(&aws);
        let tables = TableNames::prefixed("test");
        create_tables(&client, &tables)
            .await
            .expect("the tables are made");

        let ingest = Ingest::new(
            Activities::new(client.clone(), tables.activities.clone()),
            ingest::Config {
                activities_table: tables.activities.clone(),
                scoring_policy: rules.scoring_policy.clone(),
                max_activity_age: MaxActivityAge(Some(SignedDuration::from_hours(31 * 24))),
                event_mapping: EventMapping::default(),
                queue: None,
                access: Access::open(),
            },
        );
        let counted = CountTables {
            dedup: tables.dedup.clone(),
            standings: tables.standings.clone(),
        };
        let aggregator = Aggregator::new(
            Counting::new(&client, counted, rules.clone()),
            Queues {
                client: queues.clone(),
                queue_url: queue.url(),
                dead_letter_queue_url: dead_letters.url(),
            },
        );
        let publisher = Publisher::new(
            &client,
            queues,
            snapshot::Config {
                activities_table: tables.activities.clone(),
                standings_table: tables.standings.clone(),
                standing_shards: rules.standing_shards,
                snapshots_table: tables.snapshots.clone(),
                people_table: tables.people.clone(),
                calendar: rules.calendar.clone(),
                listed_users,
                program_boards: number(&program_boards),
                team_boards: number(&settings::TEAM_BOARDS),
                team_score: TeamScore::default(),
                min_team_size: settings::MIN_TEAM_SIZE.into(),
                queue_url: queue.url(),
                dead_letter_queue_url: dead_letters.url(),
            },
        );
        let serve_config = serve::Config {
            snapshots_table: tables.snapshots.clone(),
            people_table: tables.people.clone(),
            quests: Some(serve::QuestTables {
                coins: tables.coins.clone(),
                activities: tables.activities.clone(),
            }),
            standings_table: tables.standings.clone(),
            standing_shards: rules.standing_shards,
            calendar: rules.calendar,
            snapshot_every: SignedDuration::from_secs(60),
            bounds: FreshnessBounds {
                age: SignedDuration::from_secs(180),
                lag: SignedDuration::from_secs(120),
                backlog: 10_000,
            },
            legacy_answer: true,
            access: Access::open(),
        };
        let serve = Serve::new(client.clone(), serve_config.clone());
        let directory = directory_of(&client, &tables, Access::open());
        Self {
            client,
            aws_url,
            tables,
            ingest,
            aggregator,
            publisher,
            serve,
            serve_config,
            directory,
            dead_letters,
            dynamodb,
            counted_to: None,
        }
    }

    /// Posts one activity at `now`, and checks that it is accepted.
    pub async fn post(&self, activity: &Value, now: Timestamp) {
        let request = Request::post("http://localhost/v1/activities")
            .header("content-type", "application/json")
            .body(Body::from(activity.to_string()))
            .expect("a request");
        let response = self.ingest.handle(request, now).await;
        assert_eq!(response.status(), 202, "{}", response.body());
    }

    /// Posts to a collection at `now`, and returns the status and the statuses of the items.
    pub async fn send(&self, path: &str, body: &Value, now: Timestamp) -> String {
        let request = Request::post(format!("http://localhost/v1/{path}"))
            .header("content-type", "application/json")
            .body(Body::from(body.to_string()))
            .expect("a request");
        let response = self.ingest.handle(request, now).await;
        let body: Value = serde_json::from_str(response.body()).expect("JSON");
        let of_item = |item: &Value| {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let status = text(&item["status"]);
            match &item["error"] {
                Value::Null => status,
                error => format!("{status}: {} {}", text(&error["code"]), text(&error["detail"])),
            }
        };
        let items = body["results"].as_array().expect("results").iter().map(of_item);
        format!(
            "{} {}",
            response.status().as_u16(),
            items.collect::<Vec<_>>().join("; ")
        )
    }

    /// Counts at `now` the activities posted since the last call.
    pub async fn count(&mut self, now: Timestamp) {
        loop {
            let bodies = self.take_messages().await;
            if bodies.is_empty() {
                return;
            }
            let failed = self.deliver(bodies, now).await;
            assert!(failed.is_empty(), "not counted: {failed:?}");
        }
    }

    /// Takes up to [`RECORDS_AT_ONCE`] messages, which nobody counts unless they are delivered.
    pub async fn take_messages(&mut self) -> Vec<String> {
        let records = self
            .dynamodb
            .records(&self.tables.activities, self.counted_to.clone(), RECORDS_AT_ONCE)
            .await
            .expect("the stream's records");
        if let Some(last) = records.last() {
            self.counted_to = Some(last.sequence_number.clone());
        }
        let bodies = records.iter().map(|record| record.document.to_string());
        bodies.collect()
    }

    /// Delivers messages to the aggregator. Returns those it defers.
    pub async fn deliver(&self, bodies: Vec<String>, now: Timestamp) -> Vec<String> {
        let mut event = SqsEvent::default();
        for (at, body) in bodies.into_iter().enumerate() {
            let mut message = SqsMessage::default();
            message.message_id = Some(at.to_string());
            message.receipt_handle = Some(format!("receipt-{at}"));
            message.body = Some(body);
            event.records.push(message);
        }
        let deadline = Instant::now() + Duration::from_secs(30);
        let response = self.aggregator.handle(event, now, deadline).await;
        response
            .batch_item_failures
            .into_iter()
            .map(|failure| failure.item_identifier)
            .collect()
    }

    /// All dead letters in the DLQ.
    pub async fn all_dead_letters(&self) -> Vec<Received> {
        let mut dead_letters = Vec::new();
        loop {
            let received = self.dead_letters.receive(10, Duration::ZERO, None).await;
            if received.is_empty() {
                return dead_letters;
            }
            dead_letters.extend(received);
        }
    }

    /// Deletes the table of standings, so that no transaction can succeed.
    pub async fn take_away_standings(&self) {
        let delete = self
            .client
            .delete_table()
            .table_name(&self.tables.standings)
            .send()
            .await;
        delete.expect("the table is deleted");
    }

    /// Creates the table of standings again, empty.
    pub async fn give_back_standings(&self) {
        create_tables(&self.client, &self.tables)
            .await
            .expect("the table is made");
    }

    /// Replaces the document of a published item by one that cannot be decoded.
    pub async fn corrupt_document(&self, board: &str, part: &str) {
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.snapshots)
            .key("board", text(board))
            .key("part", text(part))
            .update_expression("SET document = :corrupt")
            .condition_expression("attribute_exists(document)")
            .expression_attribute_values(":corrupt", text("{"));
        update.send().await.expect("the item exists");
    }

    /// Adds a correction of a user that cannot be decoded.
    pub async fn corrupt_corrections(&self, user: &str) {
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let put = self.client.put_item().table_name(&self.tables.activities);
        let put = put
            .item("user_id", text(user))
            .item("activity_id", text("~adjust corrupt"));
        put.send().await.expect("the item is written");
    }

    /// Writes a profile, and makes all that the directory has undecodable.
    pub async fn corrupt_directory(&self, user: &str) {
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        for path in [&format!("people/{user}"), "teams/team-a", "programs/onboarding"] {
            self.ask_directory("PUT", path, &json!({})).await;
        }
        let scan = self.client.scan().table_name(&self.tables.people).send().await;
        for item in scan.expect("the table").items.unwrap_or_default() {
            let put = self
                .client
                .put_item()
                .table_name(&self.tables.people)
                .set_item(Some(item));
            put.item("visibility", text("secret"))
                .item("title", aws_sdk_dynamodb::types::AttributeValue::Null(true))
                .send()
                .await
                .expect("the item is written");
        }
    }

    /// Replaces the generations of the counts by something that cannot be decoded.
    pub async fn corrupt_generations(&self) {
        let text = |text: &str| aws_sdk_dynamodb::types::AttributeValue::S(text.to_owned());
        let put = self.client.put_item().table_name(&self.tables.standings);
        let put = put
            .item("shard", text("control"))
            .item("member", text("generations"))
            .item("live", text("first"));
        put.send().await.expect("the item is written");
    }

    /// Another instance of serve, for callers who may do this.
    pub fn serve_to(&self, access: Access) -> Serve {
        let config = serve::Config {
            access,
            ..self.serve_config.clone()
        };
        Serve::new(self.client.clone(), config)
    }

    /// Another instance of serve, which has no answer for pages of the former system.
    pub fn serve_without_legacy(&self) -> Serve {
        let config = serve::Config {
            legacy_answer: false,
            ..self.serve_config.clone()
        };
        Serve::new(self.client.clone(), config)
    }

    /// Another instance of the directory, for callers who may do this.
    pub fn directory_to(&self, access: Access) -> Directory {
        directory_of(&self.client, &self.tables, access)
    }

    /// Creates or replaces a profile.
    pub async fn put_person(&self, user: &str, person: &Value) {
        let answer = self.ask_directory("PUT", &format!("people/{user}"), person).await;
        assert!(answer.starts_with("20"), "{answer}");
    }

    /// The status and the body of an answer of the directory.
    pub async fn ask_directory(&self, method: &str, path: &str, body: &Value) -> String {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://localhost/v1/{path}"))
            .header("content-type", "application/json")
            .body(match body {
                Value::Null => Body::Empty,
                body => Body::from(body.to_string()),
            })
            .expect("a request");
        let response = self.directory.handle(request).await;
        format!("{} {}", response.status().as_u16(), response.body())
            .trim_end()
            .to_owned()
    }

    /// Serve as it reads tables at another address.
    pub fn serve_through(&self, aws_url: &str) -> Serve {
        let client = aws_sdk_dynamodb::Client::new(&local::sdk_config(aws_url));
        Serve::new(client, self.serve_config.clone())
    }

    /// The read units that the tables have consumed so far.
    pub fn read_units(&self) -> f64 {
        self.dynamodb.read_units()
    }

    /// The table of snapshots, with its own cache, as in a new instance of a function.
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(self.client.clone(), self.tables.snapshots.clone())
    }

    pub async fn publish(&self, now: Timestamp) {
        self.publisher.run(now).await.expect("a snapshot");
    }

    pub async fn get(&self, path: &str, now: Timestamp) -> Response<Body> {
        let request = Request::get(format!("http://localhost{path}"))
            .body(Body::Empty)
            .expect("a request");
        self.serve.handle(request, now).await
    }

    pub async fn board(&self, path: &str, now: Timestamp) -> BoardDocument {
        let response = self.get(path, now).await;
        assert_eq!(response.status(), 200, "{:?}", response.body());
        serde_json::from_slice(response.body()).expect("a board document")
    }
}

fn directory_of(client: &aws_sdk_dynamodb::Client, tables: &TableNames, access: Access) -> Directory {
    let config = directory::Config {
        people_table: tables.people.clone(),
        access,
    };
    Directory::new(client.clone(), config)
}

/// The code of the reason of a dead letter, and the reason itself.
pub fn reason_of(dead_letter: &Received) -> [String; 2] {
    ["reason_code", "reason"].map(|name| match dead_letter.attributes()[name].value() {
        AttributeValue::Text(text) => text.clone(),
        AttributeValue::Binary(_) => panic!("{name} is not text"),
    })
}

pub fn time(at: &str) -> Timestamp {
    at.parse().expect("a time")
}

/// The user of a row; `?` is anonymous.
pub fn user_of(row: &BoardEntry) -> &str {
    row.user_id.as_ref().map_or("?", UserId::as_str)
}

/// The rank and user of each row: `1.ann 2.bob`.
pub fn render_ranks(entries: &[BoardEntry]) -> String {
    let rows = entries.iter().map(|e| format!("{}.{}", e.rank, user_of(e)));
    rows.collect::<Vec<_>>().join(" ")
}

/// A board's rows in one line: `1.ann=20/2 2.bob=10/1`, of rank, user, points and activities.
pub fn render(board: &BoardDocument) -> String {
    let rows = board
        .entries
        .iter()
        .map(|e| format!("{}.{}={}/{}", e.rank, user_of(e), e.points, e.activities));
    rows.collect::<Vec<_>>().join(" ")
}
