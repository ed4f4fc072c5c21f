import assert from "node:assert/strict";
import { test } from "node:test";
import "../language.js";
import * as oauth from "../../../dashboard/vendor/oauth4webapi.js";
import {
  claimsOf, isExpired, isRefusal, renewalOf, requestOf, scopeOf, Told, tokensOf, userOf, wordsFor,
} from "../../../dashboard/token.js";

const NOW = 1_800_000_000_000;
const jwt = (claims) => ["{}", JSON.stringify(claims), ""].map((part) => Buffer.from(part).toString("base64url")).join(".");

test("the claims of a token are read, and of anything else there are none", () => {
  assert.deepEqual(claimsOf(jwt({ sub: "Jürgen>>>???" })), { sub: "Jürgen>>>???" });
  for (const text of ["", "opaque", "a.b.c", jwt(null), jwt("text"), `a.${Buffer.from("{").toString("base64url")}.c`]) assert.equal(claimsOf(text), null, text);
});

test("the user is the claim that the deployment names", () => {
  const check = (claims, claim, user) => assert.deepEqual(userOf(jwt(claims), claim), { user, doubt: "" });
  check({ sub: "ann" }, "sub", "ann");
  check({ sub: "x", employee: "auth0|5f7c" }, "employee", "auth0|5f7c");
  check({ employee: 4711 }, "employee", "4711");
});

test("a token without a user says why", () => {
  const check = (token, why) => {
    const { user, doubt } = userOf(token, "employee");
    assert.equal(user, null);
    assert.match(doubt, why);
    assert.match(doubt, /^You are logged in, but .*Tell whoever runs it\.$/);
  };
  check("opaque", /cannot be read/);
  for (const claims of [{}, { employee: null }, { employee: "" }, { sub: "ann" }]) check(jwt(claims), /the claim “employee” is missing/);
  for (const employee of ["Ann Lee", "a\\b", "x".repeat(129), "Jürgen", ".", "..", "~YQ", ["ann"], true, {}]) check(jwt({ employee }), /cannot be an id/);
});

test("a token ends by this device's clock, whatever the provider's says", () => {
  const token = jwt({ iat: 1000, exp: 1600 });
  const check = (response, seconds) => {
    const kept = tokensOf({ access_token: token, ...response }, null, NOW);
    assert.equal(kept.expiresAt, NOW + 1000 * seconds);
    assert.deepEqual([isExpired(kept, NOW + 1000 * seconds - 1), isExpired(kept, NOW + 1000 * seconds)], [false, true]);
  };
  check({ expires_in: 300 }, 300);
  check({}, 600);
  const unknown = tokensOf({ access_token: "opaque" }, null, NOW);
  assert.equal(renewalOf(unknown), null);
  assert.equal(isExpired(unknown, NOW * 2), false);
});

test("a refresh token renews before the end, and without one the page waits for the end", () => {
  const check = (response, seconds) => assert.equal(renewalOf(tokensOf({ access_token: "a", ...response }, null, NOW)), NOW + 1000 * seconds);
  check({ expires_in: 3600, refresh_token: "r" }, 3540);
  check({ expires_in: 10, refresh_token: "r" }, 8);
  check({ expires_in: 3600 }, 3600);
});

test("a rotated token replaces the one before, and what is not sent again stays", () => {
  const first = tokensOf({ access_token: "a", refresh_token: "r1", expires_in: 60 }, null, NOW);
  const second = tokensOf({ access_token: "b", refresh_token: "r2", expires_in: 60 }, first, NOW);
  assert.deepEqual([second.access, second.refresh], ["b", "r2"]);
  assert.equal(tokensOf({ access_token: "c" }, second, NOW).refresh, "r2");
});

const LOGIN = { issuer: "https://id.example.com", clientId: "page", scope: null, parameters: {}, userClaim: "sub" };

test("the scope is the deployment's, or what the provider has", () => {
  const check = (scope, supported, expected) => assert.equal(scopeOf({ ...LOGIN, scope }, { scopes_supported: supported }), expected);
  check(null, undefined, "openid");
  check(null, ["openid", "email"], "openid");
  check(null, ["openid", "offline_access"], "openid offline_access");
  check("openid podium:admin", ["openid", "offline_access"], "openid podium:admin");
});

test("a login asks for a code with PKCE, with the deployment's parameters", () => {
  const made = { state: "s", nonce: "n", challenge: "c", redirect: "https://podium.example.com/", verifier: "secret" };
  const login = { ...LOGIN, parameters: { resource: "https://api.example.com", prompt: "consent", state: "mine" } };
  const request = requestOf(login, {}, { ...made, silent: false });
  assert.deepEqual(request, {
    resource: "https://api.example.com",
    prompt: "consent",
    response_type: "code",
    client_id: "page",
    redirect_uri: "https://podium.example.com/",
    scope: "openid",
    state: "s",
    nonce: "n",
    code_challenge: "c",
    code_challenge_method: "S256",
  });
  assert.deepEqual(requestOf(login, {}, { ...made, silent: true }), { ...request, prompt: "none" });
});

// Failures as the library throws them.
const AS = { issuer: LOGIN.issuer, token_endpoint: "https://id.example.com/token" };
const CLIENT = { client_id: "page" };
const thrown = async (work) => {
  try {
    await work();
  } catch (failure) {
    return failure;
  }
  return assert.fail("nothing was thrown");
};
const answered = (query) => thrown(() => oauth.validateAuthResponse(AS, CLIENT, new URLSearchParams({ state: "s", ...query }), "s"));
const granted = (status, body) => thrown(() => oauth.processRefreshTokenResponse(AS, CLIENT, Response.json(body, { status })));
const discovered = (status, body) => thrown(() => oauth.processDiscoveryResponse(new URL(AS.issuer), Response.json(body, { status })));

test("every failure has words", async () => {
  const check = async (failure, words) => assert.match(wordsFor(await failure, "id.example.com"), words);
  await check(answered({ error: "access_denied" }), /^The login provider refused the login, or you cancelled it\.$/);
  await check(answered({ error: "access_denied", error_description: "Ask for the role." }), /It says: “Ask for the role\.”$/);
  await check(answered({ error: "login_required" }), /^Your login has ended\. Log in again\.$/);
  await check(answered({ error: "server_error" }), /has a fault/);
  await check(answered({ error: "invalid_target", error_description: "No such resource" }), /does not accept this page \(invalid_target\)\. Tell whoever runs it\. It says: “No such resource”$/);
  await check(answered({ error: "invalid_scope", error_description: "x".repeat(5000) }), /^.{0,300}$/);
  await check(answered({ iss: "https://evil.example.com", code: "c" }), /^The login failed: unexpected "iss"/);
  await check(granted(400, { error: "invalid_grant" }), /took too long, or was used before/);
  await check(granted(401, { error: "invalid_client" }), /does not accept this page \(invalid_client\)/);
  await check(discovered(503, {}), /has a fault/);
  await check(discovered(404, {}), /^The login failed: .*Tell whoever runs this page\.$/);
  await check(discovered(200, { issuer: "https://other.example.com" }), /issuer/);
  await check(thrown(() => fetch("http://127.0.0.1:1/")), /\(id\.example\.com\) cannot be reached\. Check your connection/);
  await check(new DOMException("late", "TimeoutError"), /did not answer in time/);
  await check(new Told("In words."), /^In words\.$/);
});

test("a clock that is wrong is named", async () => {
  const seconds = Math.floor(Date.now() / 1000);
  const header = Buffer.from(JSON.stringify({ alg: "RS256" })).toString("base64url");
  const claims = { iss: AS.issuer, aud: "page", sub: "ann", iat: seconds - 7200, exp: seconds - 3600 };
  const id_token = `${header}.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.AA`;
  const failure = await granted(200, { access_token: "a", token_type: "bearer", id_token });
  assert.match(wordsFor(failure, "id.example.com"), /^The clock of this device is not right/);
});

test("only a refusal ends a refresh token", async () => {
  const check = async (failure, expected) => assert.equal(isRefusal(await failure), expected);
  await check(granted(400, { error: "invalid_grant" }), true);
  await check(granted(429, { error: "slow_down" }), false);
  await check(granted(500, { error: "server_error" }), false);
  await check(granted(502, "<html>"), false);
  await check(new TypeError("Failed to fetch"), false);
});
