//! Log lines: JSON on standard output, each with its `level` and an RFC 3339 `timestamp`, which Lambda reads.
//!
//! The process filters by level, not Lambda: Lambda's filter would also drop the lines that carry metrics,
//! which have no level and count as INFO.

use tracing::Subscriber;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;

/// Names the lowest level that is logged.
const VARIABLE: &str = "LOG_LEVEL";
const DEFAULT: LevelFilter = LevelFilter::INFO;

/// Starts logging at the level that the variable `LOG_LEVEL` names: error, warn, info, debug or trace, in
/// upper or lower case. Without it, or with another value, the level is INFO.
pub fn init() {
    let name = std::env::var_os(VARIABLE).map(|name| name.to_string_lossy().into_owned());
    let level = name.as_deref().map_or(Some(DEFAULT), level);
    tracing::subscriber::set_global_default(subscriber(level.unwrap_or(DEFAULT), std::io::stdout))
        .expect("logging starts once");
    // A wrong level is no reason to refuse activities.
    if level.is_none() {
        tracing::warn!(
            value = name,
            "{VARIABLE} must be error, warn, info, debug or trace. The level is info."
        );
    }
}

fn level(name: &str) -> Option<LevelFilter> {
    match name.to_ascii_lowercase().as_str() {
        "error" => Some(LevelFilter::ERROR),
        "warn" => Some(LevelFilter::WARN),
        "info" => Some(LevelFilter::INFO),
        "debug" => Some(LevelFilter::DEBUG),
        "trace" => Some(LevelFilter::TRACE),
        _ => None,
    }
}

fn subscriber<W>(level: LevelFilter, writer: W) -> impl Subscriber + Send + Sync
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // The runtime's span, at INFO, carries the request id: an error needs it at every level.
    let spans = level.max(LevelFilter::INFO);
    let wanted =
        filter_fn(move |metadata| *metadata.level() <= if metadata.is_span() { spans } else { level });
    tracing_subscriber::registry()
        .with(wanted.with_max_level_hint(spans))
        .with(
            tracing_subscriber::fmt::layer()
                .json()
                .with_target(false)
                .with_writer(writer),
        )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Arc;

    use jiff::Timestamp;
    use serde_json::Value;

    use super::*;

    /// The lines that one event of each level leaves, within the span of an invocation.
    fn lines(level: LevelFilter) -> Vec<Value> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let writer = Arc::new(file.reopen().expect("it is there"));
        tracing::subscriber::with_default(subscriber(level, writer), || {
            let _invocation = tracing::info_span!("Lambda runtime invoke", requestId = "r-1").entered();
            tracing::error!(code = "c", "It failed.");
            tracing::warn!("It nearly failed.");
            tracing::info!("It works.");
            tracing::debug!("It did this.");
            tracing::trace!("It did exactly this.");
        });
        let text = fs::read_to_string(file.path()).expect("text");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("each line is JSON"))
            .collect()
    }

    #[test]
    fn each_level_logs_itself_and_what_is_worse() {
        for (name, logged) in [("error", 1), ("WARN", 2), ("Info", 3), ("debug", 4), ("TRACE", 5)] {
            let lines = lines(level(name).expect("a level"));
            let levels: Vec<_> = lines.iter().map(|line| line["level"].as_str()).collect();
            let every = ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].map(Some);
            assert_eq!(levels, every[..logged], "{name}");
        }
    }

    #[test]
    fn only_the_five_levels_are_levels() {
        for name in ["", "warning", "off", "fatal", "1", " info", "podium=debug"] {
            assert_eq!(level(name), None, "{name:?}");
        }
    }

    #[test]
    fn a_line_has_what_lambda_reads_and_names_its_invocation() {
        let [line] = &lines(LevelFilter::ERROR)[..] else {
            panic!("one line")
        };
        assert_eq!(line["level"], "ERROR");
        let timestamp = line["timestamp"].as_str().expect("a time");
        timestamp.parse::<Timestamp>().expect("RFC 3339 with an offset");
        assert_eq!(line["fields"]["message"], "It failed.");
        assert_eq!(line["fields"]["code"], "c");
        assert_eq!(line["span"]["requestId"], "r-1");
    }
}
