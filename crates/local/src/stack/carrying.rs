//! The pipes and mappings of a stack: from the streams of its tables to its functions.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use serde_json::Value;
use store::schema::TableNames;
use store::stream::{COIN_CHANGED, EventKind, FACT_RECORDED};
use tokio::task::JoinSet;

use super::config::StackConfig;
use super::directory::DataDir;
use super::queues::{NoticesQueues, Queues, RewardsQueues};
use crate::dynamodb::DynamoDb;
use crate::event_source::{EventSource, EventSourceMapping};
use crate::faults::{Fault, Faults, Injector, Line};
use crate::lambda::{Function, InvokeError};
use crate::pipe::{DeadLetter, Pipe, PipeConfig, SendFailure, TableStream};
use crate::settings::{self, Batching, FunctionSettings};
use crate::sqs::{NewMessage, Queue};

/// The delay that [`Fault::DeliverLate`] adds to a message.
const LATE_DELIVERY: std::ops::Range<Duration> = Duration::from_millis(500)..Duration::from_secs(5);

/// What carries facts from the stream to the aggregator.
pub(super) struct Counting {
    pub(super) pipe: Pipe,
    pub(super) aggregation: EventSource,
}

/// What carries facts from the stream to the function that gives coins.
pub(super) struct Rewarding {
    pub(super) pipe: Pipe,
    pub(super) rewards: EventSource,
    pub(super) queue: Queue,
    pub(super) dead_letters: Queue,
}

/// What carries changes of coins from the stream to the function that tells of them.
pub(super) struct Telling {
    pub(super) pipe: Pipe,
    pub(super) notices: Vec<EventSource>,
    /// The queue of each webhook, and its DLQ.
    pub(super) queues: Vec<(Queue, Queue)>,
}

/// Which records a pipe sends where, and in which form.
struct Target {
    filter: &'static str,
    /// All of them get every message, as the subscribers of a topic do.
    queues: Vec<Queue>,
    dead_letters: Queue,
    /// What a record is sent as; `None` as it is.
    event: Option<EventKind>,
}

impl Target {
    /// The queue of counting, which takes records as they are.
    fn records(queues: &Queues) -> Self {
        Self {
            filter: settings::PIPE_FILTER,
            queues: vec![queues.main.clone()],
            dead_letters: queues.pipe_dead_letters.clone(),
            event: None,
        }
    }

    /// The topic of facts, with its subscribers.
    fn facts(queues: &RewardsQueues) -> Self {
        Self {
            filter: settings::PIPE_FILTER,
            queues: vec![queues.main.clone()],
            dead_letters: queues.pipe_dead_letters.clone(),
            event: Some(FACT_RECORDED),
        }
    }

    /// The topic of coins, with its subscribers.
    fn coins(queues: &NoticesQueues) -> Self {
        Self {
            filter: settings::COINS_PIPE_FILTER,
            queues: queues.webhooks.iter().map(|of| of.main.clone()).collect(),
            dead_letters: queues.pipe_dead_letters.clone(),
            event: Some(COIN_CHANGED),
        }
    }

    fn message(&self, record: &str) -> String {
        let Some(kind) = self.event else {
            return record.to_owned();
        };
        // A record is JSON with these members, since the pipe has parsed it.
        let record: Value = serde_json::from_str(record).unwrap_or_default();
        kind.event(&record["eventID"], &record["dynamodb"]["NewImage"])
            .to_string()
    }

    /// Sends messages to all queues. A message that one of them refuses is sent again to all, as a topic may do.
    fn send(&self, bodies: &[String], delay: Option<Duration>) -> Vec<SendFailure> {
        let mut failures: BTreeMap<usize, SendFailure> = BTreeMap::new();
        for queue in &self.queues {
            let messages = bodies.iter().map(|body| NewMessage {
                delay,
                ..NewMessage::new(self.message(body))
            });
            for (index, sent) in queue.send_batch(messages.collect()).into_iter().enumerate() {
                if let Err(error) = sent {
                    let reason = error.to_string();
                    failures.insert(index, SendFailure { index, reason });
                }
            }
        }
        failures.into_values().collect()
    }
}

/// What pipes and mappings are started with.
pub(super) struct Carrying<'a> {
    pub(super) config: &'a StackConfig,
    pub(super) dynamodb: &'a DynamoDb,
    pub(super) tables: &'a TableNames,
    pub(super) data: Option<&'a DataDir>,
}

impl Carrying<'_> {
    /// Counting, unless the stack is coupled, rewards if there are quests, and notices if there are webhooks.
    pub(super) fn start(
        &self,
        queues: &Queues,
        function: impl Fn(&str) -> anyhow::Result<Function>,
    ) -> anyhow::Result<(Option<Counting>, Option<Rewarding>, Option<Telling>)> {
        let counting = if self.config.coupled {
            None
        } else {
            Some(self.counting(queues, function("aggregator")?)?)
        };
        let rewarding = match &queues.rewards {
            Some(queues) => Some(self.rewarding(queues, function("rewards")?)?),
            None => None,
        };
        let telling = match &queues.notices {
            Some(queues) => Some(self.telling(queues, &function("notifier")?)?),
            None => None,
        };
        Ok((counting, rewarding, telling))
    }

    /// Injects faults into all lines, if there are any.
    pub(super) fn injector(
        &self,
        queues: &Queues,
        counting: Option<&Counting>,
        rewarding: Option<&Rewarding>,
        telling: Option<&Telling>,
    ) -> JoinSet<()> {
        let mut tasks = JoinSet::new();
        let faults = &self.config.faults;
        let counting = counting.map(|counting| Line::new(queues.main.clone(), counting.pipe.restarter()));
        let rewarding = rewarding.map(|of| Line::new(of.queue.clone(), of.pipe.restarter()));
        let telling = telling.into_iter().flat_map(|of| {
            let lines = of.queues.iter();
            lines.map(|(queue, _)| Line::new(queue.clone(), of.pipe.restarter()))
        });
        let lines: Vec<Line> = counting.into_iter().chain(rewarding).chain(telling).collect();
        if !faults.are_none() && !lines.is_empty() {
            tasks.spawn(Injector::new(faults.clone(), lines, self.tables.clone()).run());
        }
        tasks
    }

    /// From the queue of events to ingest, unless the stack is coupled.
    pub(super) fn events(
        &self,
        queues: &Queues,
        function: impl Fn(&str) -> anyhow::Result<Function>,
    ) -> anyhow::Result<Option<EventSource>> {
        if self.config.coupled {
            return Ok(None);
        }
        let mapping = EventSourceMapping {
            queue: queues.events.clone(),
            batch_size: settings::EVENTS_BATCH_SIZE,
            batching_window: settings::EVENTS_WINDOW,
            maximum_concurrency: settings::EVENTS_CONCURRENCY,
            faults: self.config.faults.clone(),
        };
        Ok(Some(mapping.start(invoker(function("ingest")?))?))
    }

    fn counting(&self, queues: &Queues, aggregator: Function) -> anyhow::Result<Counting> {
        Ok(Counting {
            pipe: self.pipe(
                "podium",
                "pipe.json",
                &self.tables.activities,
                Target::records(queues),
            )?,
            aggregation: self.mapping(
                &queues.main,
                settings::AGGREGATOR,
                self.config.batching,
                aggregator,
            )?,
        })
    }

    fn rewarding(&self, queues: &RewardsQueues, rewards: Function) -> anyhow::Result<Rewarding> {
        Ok(Rewarding {
            pipe: self.pipe(
                "podium-facts",
                "facts-pipe.json",
                &self.tables.activities,
                Target::facts(queues),
            )?,
            rewards: self.mapping(&queues.main, settings::REWARDS, self.config.batching, rewards)?,
            queue: queues.main.clone(),
            dead_letters: queues.dead_letters.clone(),
        })
    }

    fn telling(&self, queues: &NoticesQueues, notifier: &Function) -> anyhow::Result<Telling> {
        // Each message is a call, so there is nothing to wait for.
        let notices = queues
            .webhooks
            .iter()
            .map(|of| self.mapping(&of.main, settings::NOTIFIER, Batching::Prompt, notifier.clone()));
        Ok(Telling {
            notices: notices.collect::<Result<_, _>>()?,
            queues: queues
                .webhooks
                .iter()
                .map(|of| (of.main.clone(), of.dead_letters.clone()))
                .collect(),
            pipe: self.pipe(
                "podium-coins",
                "coins-pipe.json",
                &self.tables.coins,
                Target::coins(queues),
            )?,
        })
    }

    fn pipe(&self, name: &str, checkpoint: &str, table: &str, target: Target) -> anyhow::Result<Pipe> {
        let config = PipeConfig {
            name: name.to_owned(),
            batch_size: settings::PIPE_BATCH_SIZE,
            filter: Some(target.filter.parse()?),
            maximum_retry_attempts: Some(settings::PIPE_MAX_RETRIES),
            maximum_record_age: Some(settings::PIPE_MAX_RECORD_AGE),
            checkpoint: self.data.map(|data| data.file(checkpoint)),
        };
        let (faults, dead_letters) = (self.config.faults.clone(), target.dead_letters.clone());
        let send = move |bodies: Vec<String>| {
            let failures = target.send(&bodies, delivery_delay(&faults));
            std::future::ready(Ok(failures))
        };
        let send_to_dlq = move |dead_letter: DeadLetter| {
            let message = NewMessage::new(dead_letter.document().to_string());
            let mut results = dead_letters.send_batch(vec![message]);
            std::future::ready(results.remove(0).map(drop).map_err(anyhow::Error::from))
        };
        let source = TableStream::new(self.dynamodb.clone(), table);
        Pipe::start(source, config, send, send_to_dlq)
    }

    fn mapping(
        &self,
        queue: &Queue,
        settings: FunctionSettings,
        batching: Batching,
        function: Function,
    ) -> anyhow::Result<EventSource> {
        let mapping = EventSourceMapping {
            queue: queue.clone(),
            batch_size: batching.batch_size(),
            batching_window: batching.window(),
            maximum_concurrency: settings.concurrency,
            faults: self.config.faults.clone(),
        };
        Ok(mapping.start(invoker(function))?)
    }
}

/// The delay of a batch of messages, if a fault adds one.
fn delivery_delay(faults: &Faults) -> Option<Duration> {
    let mut draw = faults.draw(Fault::DeliverLate)?;
    faults.count(Fault::DeliverLate);
    Some(draw.within(LATE_DELIVERY))
}

pub(super) fn invoker(
    function: Function,
) -> impl Fn(Bytes) -> BoxFuture<'static, Result<Bytes, InvokeError>> + Clone {
    move |payload| {
        let function = function.clone();
        Box::pin(async move { function.invoke(payload).await })
    }
}
