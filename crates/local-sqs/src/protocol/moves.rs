//! The operations on move tasks.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::attributes::QueueName;
use crate::error::SqsError;
use crate::moves::{Failure, MAX_RATE, MAX_TASKS_LISTED, MoveTask, Status, TaskId};
use crate::sqs::Sqs;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Start {
    source_arn: String,
    destination_arn: Option<String>,
    max_number_of_messages_per_second: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct List {
    source_arn: String,
    max_results: Option<usize>,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Handle {
    task_handle: String,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Cancelled {
    approximate_number_of_messages_moved: usize,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Tasks {
    results: Vec<Task>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Task {
    #[serde(rename = "TaskHandle", skip_serializing_if = "Option::is_none")]
    handle: Option<String>,
    status: &'static str,
    source_arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    destination_arn: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_number_of_messages_per_second: Option<u32>,
    approximate_number_of_messages_moved: usize,
    approximate_number_of_messages_to_move: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    failure_reason: Option<&'static str>,
    started_timestamp: u64,
}

/// The content of a task's handle, which is base64 of its JSON.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HandleContent {
    task_id: Uuid,
    source_arn: String,
}

impl Sqs {
    pub(super) fn call_start_message_move_task(&self, request: Start) -> Result<Handle, SqsError> {
        let source = self.queue_of(&request.source_arn)?;
        if self.sources_of(&source).is_empty() {
            return Err(SqsError::InvalidParameterValue(
                "Source queue must be configured as a Dead Letter Queue.".to_owned(),
            ));
        }
        let destination = request
            .destination_arn
            .map(|arn| self.queue_of(&arn))
            .transpose()?;
        let rate = request.max_number_of_messages_per_second;
        if rate.is_some_and(|rate| !(1..=MAX_RATE).contains(&rate)) {
            return Err(SqsError::InvalidParameterValue(format!(
                "MaxNumberOfMessagesPerSecond is 1 to {MAX_RATE}."
            )));
        }
        let queue = self.queues.queue(&source).ok_or_else(missing_queue)?;
        let id = self.start_move(queue, destination, rate)?;
        Ok(Handle {
            task_handle: handle(&source, id),
        })
    }

    pub(super) fn call_list_message_move_tasks(&self, request: &List) -> Result<Tasks, SqsError> {
        let source = self.queue_of(&request.source_arn)?;
        let max = request.max_results.unwrap_or(1);
        if !(1..=MAX_TASKS_LISTED).contains(&max) {
            return Err(SqsError::InvalidParameterValue(format!(
                "MaxResults is 1 to {MAX_TASKS_LISTED}."
            )));
        }
        let tasks = self.queues.moves.list(&source, max);
        Ok(Tasks {
            results: tasks.iter().map(|task| rendered(&source, task)).collect(),
        })
    }

    pub(super) fn call_cancel_message_move_task(&self, request: Handle) -> Result<Cancelled, SqsError> {
        let content = STANDARD
            .decode(request.task_handle)
            .ok()
            .and_then(|json| serde_json::from_slice::<HandleContent>(&json).ok())
            .ok_or_else(|| SqsError::InvalidParameterValue("The task handle is invalid.".to_owned()))?;
        let source = self.queue_of(&content.source_arn)?;
        let moved = self.queues.moves.cancel(&source, TaskId(content.task_id))?;
        Ok(Cancelled {
            approximate_number_of_messages_moved: moved,
        })
    }

    /// The name of an existing queue. These operations name queues by ARN, and report a missing one by
    /// another error than the other operations.
    fn queue_of(&self, arn: &str) -> Result<QueueName, SqsError> {
        let name = QueueName::from_arn(arn)?;
        self.queues.queue(&name).map(|_| name).ok_or_else(missing_queue)
    }
}

fn missing_queue() -> SqsError {
    SqsError::ResourceNotFound("The resource that you specified doesn't exist.".to_owned())
}

fn handle(source: &QueueName, id: TaskId) -> String {
    let content = HandleContent {
        task_id: id.0,
        source_arn: source.arn(),
    };
    STANDARD.encode(serde_json::to_vec(&content).expect("a handle has string keys only"))
}

fn rendered(source: &QueueName, task: &MoveTask) -> Task {
    let (status, failure_reason) = match task.status {
        Status::Running => ("RUNNING", None),
        Status::Completed => ("COMPLETED", None),
        Status::Cancelled => ("CANCELLED", None),
        Status::Failed(Failure::UnknownSource) => ("FAILED", Some("CouldNotDetermineMessageSource")),
        Status::Failed(Failure::NoDestination) => ("FAILED", Some("AWS.SimpleQueueService.NonExistentQueue")),
        Status::Failed(Failure::Journal) => ("FAILED", Some("InternalError")),
    };
    Task {
        // As on AWS, only a task that can be cancelled has a handle.
        handle: (task.status == Status::Running).then(|| handle(source, task.id)),
        status,
        source_arn: source.arn(),
        destination_arn: task.destination.as_ref().map(QueueName::arn),
        max_number_of_messages_per_second: task.rate,
        approximate_number_of_messages_moved: task.moved,
        approximate_number_of_messages_to_move: task.to_move,
        failure_reason,
        started_timestamp: task.started.as_millis(),
    }
}
