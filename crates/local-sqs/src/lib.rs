//! SQS standard queues in one process: visibility timeouts, receive counts, dead-letter queues and
//! their redrive, long polling, batches.
//!
//! Code in the same process uses [`Queue`]. The AWS SDK and CLI go through [`Sqs::call`], which speaks
//! the AWS JSON 1.0 protocol. With a directory, each queue keeps a journal there and survives a restart
//! of the process. As on AWS, only retention limits how many messages a queue holds.

mod attributes;
mod error;
mod inner;
mod journal;
mod message;
mod moves;
mod protocol;
mod queue;
mod queues;
mod redrive;
mod sqs;
mod state;
mod timestamp;

pub use attributes::{ACCOUNT, MAX_MESSAGE_BYTES, QueueAttributes, QueueName, REGION, Redrive};
pub use error::SqsError;
pub use message::{
    AttributeValue, Content, MessageAttribute, MessageAttributes, MessageId, NewMessage, ReceiptHandle,
    Received, md5_of_attributes, md5_of_body,
};
pub use protocol::Answer;
pub use queue::{MAX_BATCH, Queue};
pub use sqs::Sqs;
pub use state::{Depth, Faults, MAX_IN_FLIGHT};
pub use timestamp::Timestamp;

#[cfg(test)]
mod tests;
