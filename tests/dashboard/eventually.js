// Waiting for what is true after a while.

const PATIENCE_MS = 90_000;
const PAUSE_MS = 50;

/// Repeats `attempt` until it throws nothing more, and gives what it returned. The limit is far longer than
/// anything takes, so that a test which waits in vain ends, and says what it saw last.
export async function eventually(what, attempt) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > until) throw new Error(`waited in vain for ${what}: ${error.message}`, { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
