//! Pausing and stopping a pipe.

use tokio::sync::watch;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Running,
    Paused,
    Stopped,
}

/// Waits for the end of a pause, and says whether the pipe still runs.
pub(super) async fn may_go_on(state: &mut watch::Receiver<State>) -> bool {
    // An error means that the pipe was dropped. `wait_for` reports it only if it has to wait, so check first.
    state.has_changed().is_ok()
        && state
            .wait_for(|state| *state != State::Paused)
            .await
            .is_ok_and(|state| *state == State::Running)
}
