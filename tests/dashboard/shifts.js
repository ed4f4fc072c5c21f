// Whether the layout of a page moves while someone reads it.

import assert from "node:assert/strict";

/// What a page may move by in all, as browsers measure it (0.1 is still "good").
const SHIFT_MAX = 0.02;

const record = () => {
  globalThis.shifts = [];
  const note = ({ value, sources }) => {
    const moved = sources.map(({ node }) => node?.outerHTML?.slice(0, 120) ?? node?.textContent);
    globalThis.shifts.push({ value, moved });
  };
  // Kept, since an observer that nothing refers to may be collected.
  globalThis.observer = new PerformanceObserver((list) => list.getEntries().forEach(note));
  globalThis.observer.observe({ type: "layout-shift" });
};

/// Records layout shifts from the first paint on.
export const watchShiftsFromTheStart = (tab) => tab.addInitScript(record);

/// Records layout shifts from now on.
export async function watchShifts(page) {
  await page.settle();
  await page.tab.evaluate(record);
}

async function shifts(page) {
  await page.settle();
  return page.tab.evaluate(() => globalThis.shifts);
}

export async function shiftsNothing(page) {
  assert.deepEqual(await shifts(page), []);
}

export async function staysPut(page) {
  const recorded = await shifts(page);
  const sum = recorded.reduce((total, { value }) => total + value, 0);
  assert.ok(sum < SHIFT_MAX, `the layout shifts by ${sum}: ${JSON.stringify(recorded)}`);
}
