use crate::config::PAYLOAD_BYTES_MAX;

/// Why an invocation has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvokeError {
    /// The payload is larger than [`PAYLOAD_BYTES_MAX`]; the function was not invoked.
    #[error("the payload is larger than {PAYLOAD_BYTES_MAX} bytes")]
    PayloadTooLarge,
    /// No environment became free in time, too many invocations were waiting, or the function is stopped.
    #[error("throttled")]
    Throttled,
    /// The function did not answer within its timeout, and its process was killed.
    #[error("timed out")]
    TimedOut,
    /// The function answered with an error, or with more than [`PAYLOAD_BYTES_MAX`].
    #[error("{error_type}: {message}")]
    Unhandled { error_type: String, message: String },
    /// The process ended before it answered.
    #[error("the process ended before it answered ({status})")]
    Exited {
        /// For example `exit status: 3` or `signal: 9 (SIGKILL)`.
        status: String,
    },
    /// No environment could be started. The text gives the reason.
    #[error("{0}")]
    Unavailable(String),
}
