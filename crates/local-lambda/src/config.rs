//! What the Lambda service is told about a function, and the limits that hold for all of them.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use crate::fault::ProcessFaults;

/// The largest payload of an invocation, and the largest answer: 6 MB, as on AWS.
pub const PAYLOAD_BYTES_MAX: usize = 6 * 1024 * 1024;

#[derive(Debug, Clone)]
pub struct FunctionConfig {
    pub name: String,
    /// The program that speaks the Lambda Runtime API.
    pub binary: PathBuf,
    /// Its own variables. A process gets these and those that Lambda sets, nothing else.
    pub environment: BTreeMap<String, String>,
    /// The maximum number of environments; at least 1.
    pub concurrency: usize,
    /// How long an invocation may take before its process is killed.
    pub timeout: Duration,
    /// An environment that uses more is ended after its invocation.
    pub memory_mb: u32,
    /// The output of its processes is appended here; `None` drops it.
    pub log_file: Option<PathBuf>,
    /// How long an invocation waits for a free environment before it is throttled.
    pub slot_wait: Duration,
    /// The faults to inject into its invocations.
    pub faults: Option<Arc<dyn ProcessFaults>>,
}

impl FunctionConfig {
    /// AWS's defaults except for the concurrency: 10 environments of 128 MB, 3 s to answer, throttling
    /// without a wait. No log.
    pub fn new(name: impl Into<String>, binary: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            binary: binary.into(),
            environment: BTreeMap::new(),
            concurrency: 10,
            timeout: Duration::from_secs(3),
            memory_mb: 128,
            log_file: None,
            slot_wait: Duration::ZERO,
            faults: None,
        }
    }
}
