// The vendored library is what its notice says: the file of the npm package, unmodified.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const at = (path) => readFileSync(new URL(`../../../${path}`, import.meta.url));
const json = (path) => JSON.parse(at(path));

const notice = at("dashboard/vendor/oauth4webapi.txt").toString();
const [, version] = /^oauth4webapi (\d+\.\d+\.\d+)/.exec(notice);

test("the vendored file is that of the pinned package, byte by byte", () => {
  const tests = "tests/dashboard";
  assert.equal(json(`${tests}/package.json`).devDependencies.oauth4webapi, version);
  assert.equal(json(`${tests}/package-lock.json`).packages["node_modules/oauth4webapi"].version, version);
  assert.equal(json(`${tests}/node_modules/oauth4webapi/package.json`).version, version);
  assert.ok(at("dashboard/vendor/oauth4webapi.js").equals(at(`${tests}/node_modules/oauth4webapi/build/index.js`)));
});

test("the notice has the file's hash and its licence", () => {
  const hash = createHash("sha256").update(at("dashboard/vendor/oauth4webapi.js")).digest("hex");
  assert.match(notice, new RegExp(`^SHA-256 of oauth4webapi\\.js: ${hash}$`, "m"));
  assert.ok(notice.endsWith(at("tests/dashboard/node_modules/oauth4webapi/LICENSE.md").toString()));
});

test("every vendored file has a notice", () => {
  const names = readdirSync(new URL("../../../dashboard/vendor", import.meta.url)).sort();
  assert.deepEqual(names, ["oauth4webapi.js", "oauth4webapi.txt"]);
});
