//! The answer of an emulated AWS service to one call.

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use uuid::Uuid;

#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    /// The value of `x-amzn-query-error`, which SQS clients of the older protocol read: `code;Sender`.
    pub query_error: Option<String>,
    /// A JSON document.
    pub body: Bytes,
}

impl From<local_sqs::Answer> for Answer {
    fn from(answer: local_sqs::Answer) -> Self {
        Self {
            status: answer.status,
            query_error: answer.query_error,
            body: answer.body,
        }
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/x-amz-json-1.0"),
        );
        if let Ok(id) = Uuid::new_v4().to_string().try_into() {
            headers.insert(HeaderName::from_static("x-amzn-requestid"), id);
        }
        if let Some(Ok(error)) = self.query_error.map(HeaderValue::try_from) {
            headers.insert(HeaderName::from_static("x-amzn-query-error"), error);
        }
        response
    }
}
