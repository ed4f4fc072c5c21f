// Runs a complete Podium stack on this machine, and controls it for tests.

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import {
  closeSync, copyFileSync, existsSync, linkSync, mkdtempSync, openSync, readFileSync, renameSync, rmSync, symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { boardPath, segmentOf, userPath } from "../../dashboard/view.js";
import { eventually } from "./eventually.js";
import { startProxy } from "./proxy.js";

const REPOSITORY = resolve(import.meta.dirname, "../..");
const BINARIES = process.env.PODIUM_TEST_BIN ??
  join(resolve(REPOSITORY, process.env.CARGO_TARGET_DIR ?? "target"), "debug");
const PROGRAMS = ["podium", "ingest", "aggregator", "snapshot", "serve", "directory"];
const FAILS = ["/bin/false", "/usr/bin/false"].find(existsSync);
const BATCH = 100;
const POSTS_AT_ONCE = 4;
/// Short, so that messages held by a killed aggregator are soon redelivered.
const VISIBILITY_TIMEOUT_SECONDS = 5;
/// A connection that is kept alive would delay the stack's shutdown.
const NO_KEEP_ALIVE = { connection: "close" };
/// Stops the stack when the guard's standard input closes, and removes its directory unless the input says to keep
/// it. So a killed test leaves nothing behind.
const GUARD = `
  "$@" & stack=$!
  exec >&-
  keep=$(cat)
  kill $stack 2>/dev/null
  wait $stack
  [ "$keep" ] || rm -rf "$0"
`;

// A killed test runner would leave the processes of its test files running.
const runner = process.ppid;
setInterval(() => process.ppid === runner || process.exit(1), 1000).unref();

/// Starts a stack. `without` names functions that fail at first. With `dataDir`, the stack keeps
/// its data when it is killed and started again. `scoring` is a scoring policy, `seasons` are the seasons to count,
/// `quests` those whose coins people get, and `webhooks` who is told of that, for `giveUpAfter`.
/// `login` has further arguments, for a login, and `token` returns the access token that the test's own requests then
/// need.
export async function startStack({
  snapshotEvery = "1s",
  timeZone = "Europe/Berlin",
  dataDir = false,
  without = [],
  scoring = null,
  seasons = null,
  quests = null,
  webhooks = null,
  giveUpAfter = "72h",
  login = [],
  token = null,
  binaries = BINARIES,
} = {}) {
  const programs = [...PROGRAMS];
  if (quests !== null) programs.push("rewards");
  if (webhooks !== null) programs.push("notifier");
  const missing = programs.filter((name) => !existsSync(join(binaries, name)));
  assert.deepEqual(missing, [], `not in ${binaries}; run cargo build --workspace --bins first`);
  const stack = new Stack({
    snapshotEvery, timeZone, dataDir, scoring, seasons, quests, webhooks, giveUpAfter, login, token, binaries, programs,
  });
  without.forEach((name) => stack.takeAway(name));
  try {
    await stack.start();
  } catch (error) {
    await stack.stop();
    throw error;
  }
  return stack;
}

class Stack {
  /// The address of the page and the API.
  url;
  #directory = mkdtempSync(join(tmpdir(), "podium-dashboard-"));
  #settings;
  #port = 0;
  #guard;
  #ready;
  #proxy;
  /// Activities accepted so far.
  #accepted = 0;

  constructor({ binaries, programs, ...settings }) {
    this.#settings = settings;
    for (const name of programs) {
      const [from, to] = [join(binaries, name), join(this.#directory, name)];
      try {
        linkSync(from, to);
      } catch {
        // A hard link cannot cross file systems.
        copyFileSync(from, to);
      }
    }
  }

  /// Starts the stack; after `kill`, at the same address.
  async start() {
    const args = ["local", "--port", this.#port, "--aws-port", 0];
    args.push("--snapshot-every", this.#settings.snapshotEvery, "--time-zone", this.#settings.timeZone);
    if (this.#settings.webhooks !== null) args.push("--give-up-after", this.#settings.giveUpAfter);
    args.push("--log-dir", join(this.#directory, "logs"));
    if (this.#settings.dataDir) args.push("--data-dir", join(this.#directory, "data"));
    for (const name of ["scoring", "seasons", "quests", "webhooks"]) {
      if (this.#settings[name] === null) continue;
      const file = join(this.#directory, `${name}.json`);
      writeFileSync(file, JSON.stringify(this.#settings[name]));
      args.push(`--${name}`, file);
    }
    args.push(...this.#settings.login);
    const messages = join(this.#directory, "messages");
    const log = openSync(messages, "a");
    this.#guard = spawn("sh", ["-c", GUARD, this.#directory, join(this.#directory, "podium"), ...args.map(String)], {
      // A separate process group: Ctrl-C ends the test first, and the guard then stops the stack.
      detached: true,
      stdio: ["pipe", "pipe", log],
    });
    closeSync(log);
    this.#guard.stdin.on("error", () => {});
    const lines = createInterface({ input: this.#guard.stdout });
    const { value } = await lines[Symbol.asyncIterator]().next();
    assert.ok(value, `the stack does not start:\n${readFileSync(messages, "utf8")}`);
    this.#ready = JSON.parse(value);
    this.#port = new URL(this.#ready.web).port;
    const page = process.env.PODIUM_TEST_PAGE;
    if (page) this.#proxy ??= await startProxy(this.#ready.web, { page });
    this.url = this.#proxy?.url ?? this.#ready.web;
    await this.#post("aws", "", JSON.stringify({
      QueueUrl: `${this.#ready.aws}/000000000000/podium-activities`,
      Attributes: { VisibilityTimeout: String(VISIBILITY_TIMEOUT_SECONDS) },
    }), { "content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.SetQueueAttributes" });
  }

  /// Kills the stack abruptly, like a crash of the machine.
  async kill() {
    process.kill(this.#ready.pid, "SIGKILL");
    await this.#end("keep");
  }

  /// Stops the stack and removes its files.
  async stop() {
    await this.#end();
    await this.#proxy?.close();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  async #end(message = "") {
    const guard = this.#guard;
    if (!guard || guard.exitCode !== null || guard.signalCode !== null) return;
    const ended = new Promise((resolve) => guard.once("exit", resolve));
    guard.stdin.end(message);
    await ended;
  }

  /// Stops a function: hides its binary and kills its processes.
  stopFunction(name) {
    this.takeAway(name);
    for (const pid of this.#processesOf(name)) process.kill(pid, "SIGKILL");
  }

  /// A program that fails stands in, since a stack does not start without all of its functions.
  takeAway(name) {
    renameSync(join(this.#directory, name), join(this.#directory, `${name}.away`));
    symlinkSync(FAILS, join(this.#directory, name));
  }

  bringBack(name) {
    renameSync(join(this.#directory, `${name}.away`), join(this.#directory, name));
  }

  #processesOf(name) {
    const lines = execFileSync("ps", ["-A", "-o", "pid=,ppid=,comm="], { encoding: "utf8" }).trim().split("\n");
    return lines
      .map((line) => line.trim().split(/\s+/))
      .filter(([, parent, program]) => Number(parent) === this.#ready.pid && program.endsWith(name))
      .map(([pid]) => Number(pid));
  }

  async #authorization() {
    const { token } = this.#settings;
    return token === null ? {} : { authorization: `Bearer ${await token()}` };
  }

  async get(path) {
    const headers = { ...NO_KEEP_ALIVE, ...await this.#authorization() };
    const response = await fetch(`${this.#ready.web}${path}`, { headers });
    return { status: response.status, body: await response.json() };
  }

  /// A document of the API; fails on any status but 200.
  async document(path) {
    const { status, body } = await this.get(path);
    assert.equal(status, 200, `${path}: ${JSON.stringify(body)}`);
    return body;
  }

  board(board = "global", { window = "all", limit = 100, from = 1 } = {}) {
    const place = from === 1 ? "" : `&from=${from}`;
    return this.document(`${boardPath(board)}?window=${window}&limit=${limit}${place}`);
  }

  user(user, { board = "global", window = "all", around = 2 } = {}) {
    return this.document(userPath(board, user, `window=${window}&around=${around}`));
  }

  /// Posts activities, and waits until the boards show them.
  async add(activities) {
    await this.post(activities);
    await this.counted();
  }

  /// Posts activities in full batches, and fails unless all are accepted.
  async post(activities) {
    const batches = [];
    for (let at = 0; at < activities.length; at += BATCH) batches.push(activities.slice(at, at + BATCH));
    const poster = async () => {
      for (let batch = batches.shift(); batch; batch = batches.shift()) await this.#postJson("/v1/activities", batch);
    };
    await Promise.all(Array.from({ length: POSTS_AT_ONCE }, poster));
    this.#accepted += activities.length;
  }

  /// Takes activities out, and fails unless all voids are accepted. Counting them is not waited for.
  async takeOut(activities) {
    await this.#postJson("/v1/corrections", activities.map(({ user_id, activity_id }) =>
      ({ correction_id: `void-${activity_id}`, user_id, voids: activity_id, reason: "sent by mistake" })));
  }

  /// Posts adjustments of points, and fails unless all are accepted. They are no activities.
  async adjust(corrections) {
    await this.#postJson("/v1/corrections", corrections);
  }

  /// Says what people are called and how boards show them: profiles by id. The next snapshot has it.
  async describe(people) {
    await Promise.all(Object.entries(people).map(([user, person]) =>
      this.#sendJson("PUT", `/v1/people/${segmentOf(user)}`, person)));
  }

  /// Says what a team or program is called: `kind` is `teams` or `programs`. The next snapshot has it.
  async entitle(kind, id, details) {
    await this.#sendJson("PUT", `/v1/${kind}/${segmentOf(id)}`, details);
  }

  /// Runs a command of `podium` on this stack, and returns what it prints.
  podium(...args) {
    return execFileSync(join(this.#directory, "podium"), [...args, "--aws-url", this.#ready.aws], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
  }

  /// What a function has logged.
  log(name) {
    return readFileSync(join(this.#directory, "logs", `${name}.log`), "utf8");
  }

  /// Makes the boards of a period that is over, from activities that may have been sent later.
  archive(period) {
    this.podium("archive", "--period", period, "--include-late");
  }

  /// Waits until the board of all time is as wanted.
  shows(isWanted) {
    return eventually("such a board", async () => assert.ok(isWanted(await this.board())));
  }

  #postJson(path, body) {
    return this.#sendJson("POST", path, body);
  }

  async #sendJson(method, path, body) {
    const headers = { "content-type": "application/json", ...await this.#authorization() };
    await this.#post("web", path, JSON.stringify(body), headers, method);
  }

  async #post(place, path, body, headers, method = "POST") {
    const response = await fetch(`${this.#ready[place]}${path}`, {
      method,
      body,
      headers: { ...headers, ...NO_KEEP_ALIVE },
    });
    const answer = await response.text();
    assert.ok(response.ok && response.status !== 207, `${response.status} ${answer}`);
  }

  /// Imports a file of distinct activities with `podium import`.
  async import(file) {
    // The import writes its position next to the file, whose directory may be read-only.
    const copy = join(this.#directory, "activities.jsonl.gz");
    copyFileSync(file, copy);
    const importing = spawn(join(this.#directory, "podium"), ["import", copy, "--url", this.#ready.web], {
      stdio: ["ignore", "pipe", "ignore"],
    });
    const [printed, code] = await Promise.all([
      text(importing.stdout),
      new Promise((resolve) => importing.once("exit", resolve)),
    ]);
    assert.equal(code, 0, printed);
    const number = (word) => Number(new RegExp(`^${word}\\s+([\\d,]+)`, "m").exec(printed)[1].replaceAll(",", ""));
    // The import sends a batch again when its response is late, and then reports duplicates.
    this.#accepted += number("accepted") + number("duplicate");
  }

  /// Waits until all boards show every accepted activity, as long as counting goes on.
  async counted() {
    const activities = this.#accepted;
    for (let counted = -1; counted !== activities;) {
      const before = counted;
      counted = await eventually(`more than ${before} of ${activities} counted activities`, async () => {
        const { status, body } = await this.get("/v1/status");
        assert.equal(status, 200);
        assert.ok(body.counted.activities > before, `${body.counted.activities} are counted`);
        return body.counted.activities;
      });
    }
    await eventually(`a board of ${activities} activities`, async () => {
      const board = await this.board("global", { limit: 1 });
      assert.equal(board.activities, activities);
    });
  }
}
