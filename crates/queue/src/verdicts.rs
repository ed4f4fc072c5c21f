//! The messages of a batch that are not done.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsMessage};

/// Reasons that the log of one batch names, and characters of each.
const REASONS_LOGGED: usize = 5;
const REASON_CHARS: usize = 200;

/// The messages of a batch that can never be processed, and those that may be later. The others are done.
#[derive(Debug, Default)]
pub struct Verdicts<'a> {
    pub dead: Vec<DeadLetter<'a>>,
    /// Messages to be delivered again.
    pub deferred: Vec<Deferred<'a>>,
    /// How many of them have each reason.
    because: BTreeMap<String, usize>,
}

/// A message to be delivered again.
#[derive(Clone, Copy, Debug)]
pub struct Deferred<'a> {
    pub message: &'a SqsMessage,
    /// Not before this has passed. Usually the number of deliveries alone decides.
    pub not_before: Duration,
}

/// A message that can never be processed, and why.
#[derive(Clone, Debug)]
pub struct DeadLetter<'a> {
    pub message: &'a SqsMessage,
    pub code: &'static str,
    pub reason: String,
}

impl<'a> Verdicts<'a> {
    pub fn len(&self) -> usize {
        self.dead.len() + self.deferred.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives up messages. The code groups dead letters; the reason helps to repair one.
    pub fn give_up(
        &mut self,
        messages: impl IntoIterator<Item = &'a SqsMessage>,
        code: &'static str,
        reason: &str,
    ) {
        let dead_letter = |message| DeadLetter {
            message,
            code,
            reason: reason.to_owned(),
        };
        self.dead.extend(messages.into_iter().map(dead_letter));
    }

    pub fn defer(&mut self, messages: Vec<&'a SqsMessage>, reason: &str) {
        self.defer_for(messages, Duration::ZERO, reason);
    }

    /// Has messages delivered again, but not before `not_before` has passed.
    pub fn defer_for(&mut self, messages: Vec<&'a SqsMessage>, not_before: Duration, reason: &str) {
        if !messages.is_empty() {
            *self.because.entry(reason.to_owned()).or_default() += messages.len();
            let messages = messages.into_iter();
            self.deferred
                .extend(messages.map(|message| Deferred { message, not_before }));
        }
    }

    /// Logs what is deferred or dead, in one line each however many messages it concerns.
    pub fn log(&self) {
        if !self.dead.is_empty() {
            let mut codes = BTreeMap::new();
            for dead in &self.dead {
                *codes.entry(dead.code.to_owned()).or_default() += 1;
            }
            let first = &self.dead[0];
            tracing::error!(
                messages = self.dead.len(),
                codes = most_frequent(&codes),
                first_message_id = first.message.message_id,
                first_reason = shortened(&first.reason),
                "Messages can never be processed. They are sent to the DLQ, each with its reason."
            );
        }
        if !self.deferred.is_empty() {
            tracing::warn!(
                messages = self.deferred.len(),
                reasons = most_frequent(&self.because),
                "Messages could not be processed now. They will be delivered again."
            );
        }
    }

    /// What tells the queue which messages to deliver again.
    pub fn response(&self) -> SqsBatchResponse {
        let failures = self.deferred.iter().map(|deferred| {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = deferred.message.message_id.clone().unwrap_or_default();
            failure
        });
        let mut response = SqsBatchResponse::default();
        response.batch_item_failures = failures.collect();
        response
    }
}

/// Such as "12 throttled, 3 no permission, 2 other": the most frequent reasons first, at most
/// [`REASONS_LOGGED`] of them.
fn most_frequent(counts: &BTreeMap<String, usize>) -> String {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(**count));
    let (named, other) = counts.split_at(counts.len().min(REASONS_LOGGED));
    let other: usize = other.iter().map(|(_, count)| **count).sum();
    let mut parts: Vec<_> = named
        .iter()
        .map(|(reason, count)| format!("{count} {}", shortened(reason)))
        .collect();
    if other > 0 {
        parts.push(format!("{other} other"));
    }
    parts.join(", ")
}

fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use super::*;

    fn log_of(act: impl FnOnce()) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let writer = Arc::new(file.reopen().expect("it is there"));
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(writer)
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let text = fs::read_to_string(file.path()).expect("text");
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_full_batch_logs_its_deferrals_in_one_line_and_its_dead_letters_in_another() {
        let messages = vec![SqsMessage::default(); 500];
        let mut verdicts = Verdicts::default();
        let log = log_of(|| {
            let (dead, deferred) = messages.split_at(100);
            verdicts.dead.extend(dead.iter().map(|message| DeadLetter {
                message,
                code: "unreadable",
                reason: "it is not JSON".to_owned(),
            }));
            // Each of these reasons is of its own, as if it named a request.
            for (at, message) in deferred.iter().enumerate() {
                let reason = if at < 300 {
                    "throttled".to_owned()
                } else {
                    format!("request {at}: {}", "x".repeat(9_999))
                };
                verdicts.defer(vec![message], &reason);
            }
            verdicts.log();
        });
        let [dead, deferred] = &log[..] else {
            panic!("two lines: {log:?}")
        };
        assert!(
            dead.contains("messages=100") && dead.contains("100 unreadable"),
            "{dead}"
        );
        assert!(dead.contains("it is not JSON"), "{dead}");
        assert!(deferred.contains("messages=400"), "{deferred}");
        assert!(deferred.contains("300 throttled, 1 request"), "{deferred}");
        assert!(deferred.contains(", 96 other"), "{deferred}");
        assert!(deferred.len() < 2_000, "{} bytes", deferred.len());
    }

    #[test]
    fn a_batch_that_is_done_logs_nothing() {
        assert_eq!(log_of(|| Verdicts::default().log()), [""; 0]);
    }
}
