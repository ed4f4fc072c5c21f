// A stack for the tests of one file.

import { after, before } from "node:test";
import { startStack } from "./stack.js";

/// Starts a stack with the options of `startStack`, and stops it after the file's tests. Its boards show
/// `activities` before the first test.
export async function testStack({ activities = [], ...options } = {}) {
  const stack = await startStack(options);
  after(() => stack.stop());
  if (activities.length > 0) before(() => stack.add(activities));
  return stack;
}
