import { texts } from "./texts.js";

/**
 * Returns a function that loads a module when it is first needed, and resolves to what `begin(module)` returns.
 * After a failure it tries again.
 */
export function onDemand(path, begin = (module) => module) {
  let attempts = 0;
  let loading = null;
  return () => (loading ??= load());

  async function load() {
    attempts += 1;
    try {
      // A browser may remember that an address failed, so each attempt has another one.
      return begin(await import(attempts === 1 ? path : `${path}?${attempts}`));
    } catch {
      loading = null;
      throw new Error(texts.unloaded);
    }
  }
}
