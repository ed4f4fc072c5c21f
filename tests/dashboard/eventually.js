// Waits for a condition that becomes true later.

const PATIENCE_MS = 90_000;
const PAUSE_MS = 50;

/// Repeats `attempt` until it no longer throws, and returns its result. After a generous limit it fails with the
/// last error.
export async function eventually(what, attempt) {
  const until = Date.now() + PATIENCE_MS;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (Date.now() > until) throw new Error(`timed out waiting for ${what}: ${error.message}`, { cause: error });
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
  }
}
