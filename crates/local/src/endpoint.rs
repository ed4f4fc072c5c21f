//! The one AWS endpoint of the local stack: `DynamoDB`, its Streams and SQS behind one address,
//! told apart by the `X-Amz-Target` header of the AWS JSON protocols.

use axum::http::StatusCode;
use bytes::Bytes;

/// What an emulated service answers to one call.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// The value of `x-amzn-query-error`, which SQS clients of the older protocol read: `code;Sender`.
    pub query_error: Option<String>,
    /// A JSON document.
    pub body: Bytes,
}
