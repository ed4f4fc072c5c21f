import { make } from "./element.js";
import { texts } from "./texts.js";

/** Adds a style sheet, and resolves once it is there. */
export const styled = (href) => new Promise((resolve, reject) => {
  const link = make("link", { rel: "stylesheet", href });
  link.onload = resolve;
  link.onerror = reject;
  document.head.append(link);
});

/**
 * Returns a function that loads a module and its style sheet when they are first needed, and resolves to what
 * `begin(module)` returns. After a failure it tries again.
 */
export function onDemand(path, begin = (module) => module, style = null) {
  let attempts = 0;
  let loading = null;
  return () => (loading ??= load());

  async function load() {
    attempts += 1;
    // A browser may remember that an address failed, so each attempt has another one.
    const attempt = attempts === 1 ? "" : `?${attempts}`;
    try {
      const [module] = await Promise.all([import(path + attempt), style && styled(style + attempt)]);
      return begin(module);
    } catch {
      loading = null;
      throw new Error(texts.unloaded);
    }
  }
}
