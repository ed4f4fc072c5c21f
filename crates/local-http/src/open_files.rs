use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Enough for the connections of all listeners of a stack, its clients, and its files.
const WANTED: u64 = 8_192;

/// Raises this process's limit of open files as far as it may and needs to. Many systems begin with 1,024,
/// fewer than the connections that a stack accepts.
pub fn raise_open_files_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(WANTED, |maximum| maximum.min(WANTED));
    if current.is_some_and(|current| current < wanted) {
        let raised = Rlimit {
            current: Some(wanted),
            maximum,
        };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "the limit of open files stays at {current:?}");
        }
    }
}
