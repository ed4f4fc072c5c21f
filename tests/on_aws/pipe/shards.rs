//! A fake of the `DynamoDB` Streams API with several shards. The embedded stream has only one shard,
//! which never ends.

use std::sync::{Arc, Mutex, MutexGuard};

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// Records per read. Small, so that most shards take several reads.
const PAGE: usize = 2;

#[derive(Default)]
pub struct Shard {
    pub id: &'static str,
    pub parent: Option<&'static str>,
    /// The sequence numbers of its records.
    pub records: Vec<u32>,
    /// How many of the oldest records are trimmed.
    pub trimmed: usize,
    pub closed: bool,
}

#[derive(Clone, Default)]
pub struct Shards(Arc<Mutex<Served>>);

#[derive(Default)]
struct Served {
    shards: Vec<Shard>,
    /// Iterators of earlier generations have expired.
    generation: usize,
}

/// The operation's answer, or the name of the error.
type Answered = Result<Value, &'static str>;

impl Shards {
    pub fn of(shards: impl IntoIterator<Item = Shard>) -> Self {
        let shards = shards.into_iter().collect();
        let generation = 0;
        Self(Arc::new(Mutex::new(Served { shards, generation })))
    }

    /// Serves until the runtime ends. Returns the URL.
    pub async fn serve(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/", post(answer)).with_state(self.clone());
        tokio::spawn(async { axum::serve(listener, router).await });
        format!("http://{address}")
    }

    pub fn add(&self, shard: Shard) {
        self.served().shards.push(shard);
    }

    pub fn change(&self, id: &str, change: impl FnOnce(&mut Shard)) {
        change(self.served().find(id).expect("the shard"));
    }

    pub fn expire_iterators(&self) {
        self.served().generation += 1;
    }

    fn served(&self) -> MutexGuard<'_, Served> {
        self.0.lock().expect("no test has panicked with it")
    }
}

async fn answer(State(shards): State<Shards>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let target = headers["x-amz-target"].to_str().expect("a name");
    let request: Value = serde_json::from_slice(&body).expect("JSON");
    let mut served = shards.served();
    let answered = match target {
        "DynamoDBStreams_20120810.DescribeStream" => Ok(served.describe(&request)),
        "DynamoDBStreams_20120810.GetShardIterator" => served.iterator(&request),
        "DynamoDBStreams_20120810.GetRecords" => served.records(&request),
        _ => Err("UnknownOperationException"),
    };
    match answered {
        Ok(answer) => (StatusCode::OK, answer.to_string()),
        Err(name) => {
            let kind = format!("com.amazonaws.dynamodb.v20120810#{name}");
            (StatusCode::BAD_REQUEST, json!({ "__type": kind }).to_string())
        }
    }
}

impl Served {
    fn find(&mut self, id: &str) -> Option<&mut Shard> {
        self.shards.iter_mut().find(|shard| shard.id == id)
    }

    /// Returns one shard a page.
    fn describe(&self, request: &Value) -> Value {
        let start = request["ExclusiveStartShardId"].as_str();
        let next = self.shards.iter().position(|shard| Some(shard.id) == start);
        let next = next.map_or(0, |start| start + 1);
        let shards: Vec<_> = self.shards.iter().skip(next).take(1).collect();
        let shards: Vec<_> = shards
            .into_iter()
            .map(|shard| json!({ "ShardId": shard.id, "ParentShardId": shard.parent }))
            .collect();
        let last = (next + 1 < self.shards.len()).then(|| shards[0]["ShardId"].clone());
        json!({ "StreamDescription": { "Shards": shards, "LastEvaluatedShardId": last } })
    }

    fn iterator(&mut self, request: &Value) -> Answered {
        let generation = self.generation;
        let id = request["ShardId"].as_str().unwrap_or_default();
        let shard = self.find(id).ok_or("ResourceNotFoundException")?;
        let index = match request["SequenceNumber"].as_str() {
            None => shard.trimmed,
            Some(after) => {
                let after: u32 = after.parse().expect("a number");
                let kept = &shard.records[shard.trimmed..];
                let index = kept.iter().position(|record| *record == after);
                shard.trimmed + index.ok_or("TrimmedDataAccessException")? + 1
            }
        };
        Ok(json!({ "ShardIterator": format!("{generation}/{id}/{index}") }))
    }

    fn records(&mut self, request: &Value) -> Answered {
        let iterator = request["ShardIterator"].as_str().unwrap_or_default();
        let parts: Vec<_> = iterator.split('/').collect();
        let [generation, id, index] = parts[..] else {
            return Err("ValidationException");
        };
        if generation != self.generation.to_string() {
            return Err("ExpiredIteratorException");
        }
        let shard = self.find(id).ok_or("ResourceNotFoundException")?;
        let index: usize = index.parse().expect("an index");
        if index < shard.trimmed {
            return Err("TrimmedDataAccessException");
        }
        let limit = request["Limit"].as_u64().unwrap_or(1_000);
        let limit = PAGE.min(usize::try_from(limit).expect("a small number"));
        let records: Vec<_> = shard.records[index..].iter().take(limit).collect();
        let next = index + records.len();
        let ended = shard.closed && next == shard.records.len();
        let records: Vec<_> = records.into_iter().copied().map(record).collect();
        let next = (!ended).then(|| format!("{generation}/{id}/{next}"));
        Ok(json!({ "Records": records, "NextShardIterator": next }))
    }
}

fn record(number: u32) -> Value {
    json!({
        "eventID": number.to_string(),
        "eventName": "INSERT",
        "dynamodb": { "ApproximateCreationDateTime": 1_795_000_000, "SequenceNumber": format!("{number:021}") },
    })
}
