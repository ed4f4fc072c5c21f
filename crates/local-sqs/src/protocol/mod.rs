//! The AWS JSON 1.0 protocol of SQS: takes an operation's name and a JSON document, and answers with
//! a JSON document or a named error.

mod messages;
mod moves;
mod queues;

use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::error::SqsError;
use crate::queue::Queue;
use crate::sqs::Sqs;

/// The answer to one call.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// The value of `x-amzn-query-error`, which clients of the older query protocol read: `code;Sender`.
    pub query_error: Option<String>,
    /// A JSON document.
    pub body: Bytes,
}

impl Sqs {
    /// Answers one call. `operation` is the part of `X-Amz-Target` after `AmazonSQS.`; `body` is the
    /// request's document.
    pub async fn call(&self, operation: &str, body: &[u8]) -> Answer {
        match self.dispatch(operation, body).await {
            Ok(body) => Answer {
                status: StatusCode::OK,
                query_error: None,
                body,
            },
            Err(error) => failure(&error),
        }
    }

    async fn dispatch(&self, operation: &str, body: &[u8]) -> Result<Bytes, SqsError> {
        Ok(match operation {
            "CreateQueue" => reply(&self.call_create_queue(&parse(body)?)?),
            "GetQueueUrl" => reply(&self.call_get_queue_url(&parse(body)?)?),
            "ListQueues" => reply(&self.call_list_queues(parse(body)?)?),
            "GetQueueAttributes" => reply(&self.call_get_queue_attributes(&parse(body)?)?),
            "SetQueueAttributes" => reply(&self.call_set_queue_attributes(&parse(body)?)?),
            "PurgeQueue" => reply(&self.call_purge_queue(&parse(body)?)?),
            "DeleteQueue" => reply(&self.call_delete_queue(&parse(body)?)?),
            "ListDeadLetterSourceQueues" => reply(&self.call_list_dead_letter_source_queues(parse(body)?)?),
            "ListQueueTags" => reply(&self.call_list_queue_tags(&parse(body)?)?),
            "SendMessage" => reply(&self.call_send_message(parse(body)?)?),
            "SendMessageBatch" => reply(&self.call_send_message_batch(parse(body)?)?),
            "ReceiveMessage" => reply(&self.call_receive_message(parse(body)?).await?),
            "DeleteMessage" => reply(&self.call_delete_message(&parse(body)?)?),
            "DeleteMessageBatch" => reply(&self.call_delete_message_batch(parse(body)?)?),
            "ChangeMessageVisibility" => reply(&self.call_change_message_visibility(&parse(body)?)?),
            "ChangeMessageVisibilityBatch" => {
                reply(&self.call_change_message_visibility_batch(parse(body)?)?)
            }
            "StartMessageMoveTask" => reply(&self.call_start_message_move_task(parse(body)?)?),
            "ListMessageMoveTasks" => reply(&self.call_list_message_move_tasks(&parse(body)?)?),
            "CancelMessageMoveTask" => reply(&self.call_cancel_message_move_task(parse(body)?)?),
            _ => return Err(SqsError::UnsupportedOperation(operation.to_owned())),
        })
    }

    /// The queue named by the last segment of a URL. The host depends on the client.
    fn queue_at(&self, url: &str) -> Result<Queue, SqsError> {
        let name = url.rsplit('/').next().unwrap_or_default();
        self.queue(name).ok_or(SqsError::QueueDoesNotExist)
    }
}

/// The answer of an operation that returns nothing.
#[derive(Serialize)]
struct Nothing {}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, SqsError> {
    serde_json::from_slice(body).map_err(|error| SqsError::Malformed(error.to_string()))
}

fn reply(document: &impl Serialize) -> Bytes {
    serde_json::to_vec(document)
        .expect("answers have string keys only")
        .into()
}

fn failure(error: &SqsError) -> Answer {
    let (status, fault) = if error.is_senders_fault() {
        (StatusCode::BAD_REQUEST, "Sender")
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "Receiver")
    };
    let body = json!({ "__type": error.shape(), "message": error.to_string() });
    Answer {
        status,
        query_error: Some(format!("{};{fault}", error.query_code())),
        body: Bytes::from(body.to_string()),
    }
}
