// Webhooks: what a receiver on this machine gets of coins, however it answers.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, test } from "node:test";
import { Webhook } from "standardwebhooks";
import { eventually } from "./eventually.js";
import { testStack } from "./test_stack.js";

const QUEST = {
  id: "starter", version: 1, title: "First task", coin: { name: "Seed", value: 5 }, per: "once",
  rule: { count: { of: { kind: "task_completed" }, at_least: 1 } },
};
const SECRETS = { old: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", new: "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD" };
const ENDED = 410;

/// Calls by webhook, in their order: the headers and the body of each.
const calls = { well: [], flaky: [], hanging: [], gone: [], failing: [] };
/// What the webhook `flaky` does with an event, call after call; then it is well.
const FLAKY = [
  (response) => response.writeHead(500).end(),
  (response) => response.writeHead(302, { location: "/well" }).end(),
  (response) => response.writeHead(429, { "retry-after": "3" }).end(),
  (response) => response.destroy(),
];
let wantsNoMore = true;
const ANSWERS = {
  well: (response) => response.writeHead(204).end(),
  flaky: (response, earlier) => (FLAKY[earlier] ?? ANSWERS.well)(response),
  hanging: () => {},
  gone: (response) => response.writeHead(wantsNoMore ? ENDED : 200).end(),
  failing: (response) => response.writeHead(503).end("overloaded"),
};

const server = createServer((request, response) => {
  const name = request.url.slice(1);
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const { headers } = request;
    const earlier = calls[name].filter((call) => call.headers["webhook-id"] === headers["webhook-id"]).length;
    calls[name].push({ headers, body: Buffer.concat(chunks).toString(), at: Date.now() });
    ANSWERS[name](response, earlier);
  });
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
after(() => {
  server.closeAllConnections();
  server.close();
});

const origin = `http://127.0.0.1:${server.address().port}`;
const webhook = (id) => ({ id, url: `${origin}/${id}`, secret: id === "well" ? `${SECRETS.new} ${SECRETS.old}` : SECRETS.old });
const stack = await testStack({ quests: [QUEST], webhooks: ["well", "flaky", "gone"].map(webhook) });
const impatient = await testStack({ quests: [QUEST], webhooks: ["failing", "hanging"].map(webhook), giveUpAfter: "5s" });

const task = (user_id) => ({ activity_id: `task-${user_id}`, user_id, program_id: "p", kind: "task_completed" });
const idsOf = (name) => calls[name].map(({ headers }) => headers["webhook-id"]);
const eventsOf = (name) => calls[name].map(({ body }) => JSON.parse(body));
/// Fails unless the webhook was called so often, or more often.
const isCalled = (name, times) =>
  eventually(`${times} calls of ${name}`, async () => assert.ok(calls[name].length >= times, `${calls[name].length} calls`));
const deadLettersOf = (name, of = stack) => JSON.parse(of.podium("dlq", "list", "--of", `webhook-${name}`, "--json")).oldest;

test("an event is signed, has the coin, and arrives once where the receiver is well", async () => {
  await stack.post([task("ann"), task("bob")]);
  await isCalled("well", 2);
  const [{ headers, body }] = calls.well;
  for (const secret of Object.values(SECRETS)) new Webhook(secret).verify(body, headers);
  assert.throws(() => new Webhook(SECRETS.old).verify(body.replace("Seed", "Gold"), headers));
  assert.equal(headers["content-type"], "application/cloudevents+json");

  const events = eventsOf("well");
  assert.deepEqual(events.map(({ data }) => data.user_id).sort(), ["ann", "bob"]);
  const [event] = events;
  assert.equal(event.id, headers["webhook-id"]);
  const { coins: [coin] } = await stack.document(`/v1/users/${event.data.user_id}/coins`);
  const { change, user_id, ...told } = event.data;
  assert.deepEqual(told, coin);
  assert.equal(event.id, `${coin.coin_id}.${change}`);
  assert.deepEqual([event.specversion, event.type, event.subject], ["1.0", "podium.coin.issued", coin.coin_id]);
});

test("a coin that is revoked and regained is told each time, with an id of its own", async () => {
  await stack.takeOut([task("ann")]);
  await isCalled("well", 3);
  await stack.post([{ ...task("ann"), activity_id: "again" }]);
  await isCalled("well", 4);
  const events = eventsOf("well").filter(({ data }) => data.user_id === "ann");
  assert.deepEqual(events.map(({ type }) => type.split(".").at(-1)), ["issued", "revoked", "issued"]);
  assert.deepEqual(events.map(({ id, subject }) => id.slice(subject.length)), [".1", ".2", ".3"]);
  assert.equal(events[1].data.reason, "voided");
});

test("a receiver that fails gets each event again, until it takes it, and not before it asked for", async () => {
  const events = [...new Set(idsOf("well"))];
  await eventually("all events at flaky", async () => {
    for (const id of events) assert.equal(idsOf("flaky").filter((other) => other === id).length, FLAKY.length + 1, id);
  });
  for (const id of events) {
    const times = calls.flaky.filter(({ headers }) => headers["webhook-id"] === id).map(({ at }) => at);
    // A second less, since queues count whole ones.
    assert.ok(times[3] - times[2] >= 2_000, "after Retry-After");
  }
  assert.equal(new Set(idsOf("well")).size, idsOf("well").length, "redirects were followed, or something came twice");
});

test("a receiver that wants no more gets no more, until it is resumed", async () => {
  await eventually("the dead letters of gone", async () => assert.equal(deadLettersOf("gone").length, 4));
  const before = calls.gone.length;
  await stack.post([task("cid")]);
  await eventually("one more", async () => assert.equal(deadLettersOf("gone").length, 5));
  assert.equal(calls.gone.length, before, "it was called again");
  assert.deepEqual(new Set(deadLettersOf("gone").map(({ reason_code }) => reason_code)), new Set(["ended"]));

  await isCalled("well", 5);
  wantsNoMore = false;
  stack.podium("webhooks", "resume", "gone");
  stack.podium("dlq", "redrive", "--of", "webhook-gone");
  const all = new Set(idsOf("well"));
  await eventually("all events at gone", async () => assert.deepEqual(new Set(idsOf("gone").slice(before)), all));
});

test("what a receiver never takes is in the DLQ with its last answer", async () => {
  await impatient.post([task("ann"), task("bob")]);
  for (const [name, reason] of [["failing", "the receiver answered 503"], ["hanging", "the receiver did not answer in time"]]) {
    const letters = await eventually(`the dead letters of ${name}`, async () => {
      const letters = deadLettersOf(name, impatient);
      assert.equal(letters.length, 2);
      return letters;
    });
    for (const letter of letters) {
      assert.equal(letter.reason_code, "not_received");
      assert.equal(letter.reason, `${reason}; it was tried for 5 s`);
    }
  }
});

test("the log has no secret", () => {
  const log = stack.log("notifier") + impatient.log("notifier");
  assert.match(log, /the receiver answered 503/);
  for (const secret of Object.values(SECRETS)) assert.ok(!log.includes(secret.slice("whsec_".length)));
});
