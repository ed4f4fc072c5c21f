// Logs in by authorization code with PKCE. Tokens are kept in memory and in sessionStorage, which ends with the tab.

import { showAccount, startAccount } from "./account.js";
import { Problem, sendBy } from "./api.js";
import { login, posting, readers } from "./config.js";
import { byId } from "./element.js";
import { texts } from "./texts.js";
import { isExpired, isRefusal, renewalOf, requestOf, scopeOf, Told, tokensOf, userOf, wordsFor } from "./token.js";

const TOKENS = "podium.tokens";
const PENDING = "podium.login";
const WORDS = "podium.login.words";

const PROVIDER_LIMIT_MS = 15_000;
const REVOCATION_LIMIT_MS = 3000;
const RENEWAL_AGAIN_MS = 10_000;
const TIMER_MS_MAX = 3_600_000;
// A provider whose tokens end at once must not send the browser to and fro.
const SILENT_AGAIN_MS = 60_000;

const home = `${location.origin}/`;
const { host, protocol } = new URL(login.issuer);

function stored(key) {
  try {
    return JSON.parse(sessionStorage.getItem(key));
  } catch {
    return null;
  }
}

function store(key, value) {
  try {
    if (value === null) sessionStorage.removeItem(key);
    else sessionStorage.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;
  }
}

function take(key) {
  const value = stored(key);
  store(key, null);
  return value;
}

// Null while nobody is logged in.
let tokens = stored(TOKENS);
let words = take(WORDS) ?? "";
let isForAdmins = false;
// What the page is doing, in words.
let busy = "";
let renewing = null;
let timer = 0;
let changed = () => {};

const who = () => (tokens === null ? { user: null, doubt: "" } : userOf(tokens.access, login.userClaim));

function show() {
  const { user, doubt } = who();
  const canLogIn = login.clientId !== null;
  showAccount({
    isLoggedIn: tokens !== null,
    user,
    words: busy || words || (isForAdmins ? "" : doubt) || (canLogIn ? "" : texts.noClient),
    isBusy: busy !== "",
    canLogIn,
    isOpen: tokens !== null || (readers === "public" && !isForAdmins),
  });
}

function become(next, says = "") {
  tokens = next;
  words = says;
  busy = "";
  store(TOKENS, tokens);
  show();
  watch();
  changed(who().user);
}

function end(reason) {
  become(null, reason);
  throw new Problem(reason, 401);
}

/** Loads the library and the provider's description. */
async function reach() {
  const oauth = await import("./vendor/oauth4webapi.js");
  const options = (milliseconds = PROVIDER_LIMIT_MS) => ({
    // The API accepts such issuers on loopback only.
    [oauth.allowInsecureRequests]: protocol === "http:",
    additionalParameters: login.parameters,
    signal: AbortSignal.timeout(milliseconds),
  });
  const provider = await oauth.processDiscoveryResponse(new URL(login.issuer), await oauth.discoveryRequest(new URL(login.issuer), options()));
  return { oauth, provider, options, client: { client_id: login.clientId, [oauth.clockTolerance]: 60 } };
}

/** The address of an endpoint that the browser itself goes to. */
function addressOf(endpoint, query) {
  const url = new URL(endpoint);
  if (!["https:", protocol].includes(url.protocol)) throw new Told(texts.unsafeProvider(`${url.protocol}//${url.host}`));
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
  return url;
}

/** Leaves for the provider. Its description is loaded first: a page that says what is wrong is better than the browser's. */
async function leave(silent) {
  if (!isSecureContext) throw new Told(texts.notSecure);
  const { oauth, provider } = await reach();
  const verifier = oauth.generateRandomCodeVerifier();
  const pending = { state: oauth.generateRandomState(), nonce: oauth.generateRandomNonce(), verifier, silent, view: location.pathname + location.search + location.hash };
  const challenge = await oauth.calculatePKCECodeChallenge(verifier);
  const url = addressOf(provider.authorization_endpoint, requestOf(login, provider, { ...pending, challenge, redirect: home }));
  if (!store(PENDING, pending)) throw new Told(texts.noStorage);
  if (silent) location.replace(url);
  else location.assign(url);
}

async function logIn() {
  busy = texts.loggingIn;
  show();
  try {
    await leave(false);
  } catch (failure) {
    busy = "";
    words = wordsFor(failure, host);
    show();
  }
}

/** The provider's answer in the address, which is cleaned at once: `{query, pending, isOfOther}`, or null. */
function takeAnswer() {
  const query = new URLSearchParams(location.search);
  if (!query.has("state") || !(query.has("code") || query.has("error"))) return null;
  const last = take(PENDING);
  const pending = last?.state === query.get("state") ? last : null;
  const { pathname } = location;
  history.replaceState(null, "", pending?.view ?? pathname);
  return { query, pending, isOfOther: location.pathname !== pathname };
}

async function finish({ query, pending, isOfOther }) {
  busy = texts.loggingIn;
  tokens = null;
  try {
    const { oauth, provider, options, client } = await reach();
    const answer = oauth.validateAuthResponse(provider, client, query, pending.state);
    const response = await oauth.authorizationCodeGrantRequest(provider, client, oauth.None(), answer, home, pending.verifier, options());
    const expected = scopeOf(login, provider).split(" ").includes("openid") ? { expectedNonce: pending.nonce } : {};
    const granted = await oauth.processAuthorizationCodeResponse(provider, client, response, expected);
    become({ ...tokensOf(granted, null, Date.now()), silent: pending.silent });
  } catch (failure) {
    become(null, wordsFor(failure, host));
  }
  // The provider leads to one page only. The address is that of the page where the login began.
  if (isOfOther) {
    store(WORDS, words);
    location.reload();
  }
}

async function refresh() {
  const { oauth, provider, options, client } = await reach();
  const response = await oauth.refreshTokenGrantRequest(provider, client, oauth.None(), tokens.refresh, options());
  return oauth.processRefreshTokenResponse(provider, client, response);
}

const isTyping = () => document.activeElement?.matches("input:not([readonly])") && document.activeElement.value !== "";

async function renewBySilence(reason, mayLeave) {
  if (!mayLeave) end(reason);
  if (document.hidden || isTyping()) throw new Problem(texts.loginExpired);
  if (tokens.silent && Date.now() - tokens.since < SILENT_AGAIN_MS) end(reason);
  await leave(true);
  // The browser is leaving.
  await new Promise((resolve) => setTimeout(resolve, PROVIDER_LIMIT_MS));
}

async function renewNow(reason, mayLeave) {
  const before = tokens;
  try {
    if (before.refresh !== null) {
      const renewed = await refresh().catch((failure) => {
        if (!isRefusal(failure)) throw failure;
        return null;
      });
      // A logout may have come first.
      if (tokens !== before) return;
      if (renewed !== null) {
        tokens = { ...tokensOf(renewed, before, Date.now()), silent: before.silent };
        store(TOKENS, tokens);
        return;
      }
      tokens = { ...before, refresh: null };
      store(TOKENS, tokens);
      if (reason !== texts.loginRefused && !isExpired(tokens, Date.now())) return;
    }
    await renewBySilence(reason, mayLeave);
  } catch (failure) {
    throw failure instanceof Problem ? failure : new Problem(wordsFor(failure, host));
  }
}

// `reason` is what to say if that is not possible. A post would be lost if the browser left the page.
const renew = (reason = texts.loginEnded, mayLeave = true) => (renewing ??= renewNow(reason, mayLeave).finally(() => { renewing = null; }));

/** Renews the login in time, while the page is seen. */
async function watch() {
  clearTimeout(timer);
  const left = () => ((tokens && renewalOf(tokens)) ?? Infinity) - Date.now();
  if (document.hidden || left() === Infinity) return;
  const isRenewed = left() > 0 || (await renew().then(() => true, () => false));
  clearTimeout(timer);
  timer = setTimeout(watch, Math.min(Math.max(left(), isRenewed ? 0 : RENEWAL_AGAIN_MS), TIMER_MS_MAX));
}

const needed = () => new Problem(words || texts.refused[401], 401);

async function access(reason, mayLeave) {
  if (tokens === null) throw needed();
  if (Date.now() >= (renewalOf(tokens) ?? Infinity)) {
    await renew(reason, mayLeave).catch((failure) => {
      if (tokens === null || isExpired(tokens, Date.now())) throw failure;
    });
  }
  if (tokens === null) throw needed();
  return tokens.access;
}

/** Like fetch, with the token, which is renewed once if the API refuses it. */
const withToken = ({ forbidden, ended, mayLeave }) => async (path, options) => {
  const ask = (token) => fetch(path, { ...options, headers: { ...options.headers, authorization: `Bearer ${token}` } });
  const used = await access(ended, mayLeave);
  let response = await ask(used);
  if (response.status === 401) {
    if (tokens?.access === used) await renew(texts.loginRefused, mayLeave);
    response = await ask(await access(ended, mayLeave));
    if (response.status === 401) end(texts.loginRefused);
  }
  const isExplained = response.headers.get("content-type")?.startsWith("application/problem+json");
  if (response.status === 403 && !isExplained) throw new Problem(forbidden, 403);
  return response;
};

// Where everyone reads, an answer for everyone leaves out who is anonymous or hidden. This one is for who is logged in.
const privatePath = (path) => path.replace(/^\/v1(?=\/(boards\/[^/]+\/)?users\/)/, "/v1/private");

/** Forgets the login here, then at the provider. The page is loaded again, so that nothing of it stays in memory. */
async function logOut() {
  const ended = tokens;
  busy = texts.loggingOut;
  tokens = null;
  store(TOKENS, null);
  show();
  try {
    const { oauth, provider, options, client } = await reach();
    if (ended.refresh !== null && provider.revocation_endpoint) {
      await oauth.revocationRequest(provider, client, oauth.None(), ended.refresh, options(REVOCATION_LIMIT_MS)).catch(() => {});
    }
    if (provider.end_session_endpoint) {
      // Without the ID token, which providers would take as a hint: no token belongs into an address.
      const query = { client_id: login.clientId, post_logout_redirect_uri: home };
      location.replace(addressOf(provider.end_session_endpoint, query));
      return;
    }
    store(WORDS, texts.loggedOut);
  } catch {
    store(WORDS, texts.logoutUntold);
  }
  location.reload();
}

/** Returns who is logged in, and calls `onChange` with the user whenever that changes. The account stands before `place`. */
export function startLogin(onChange, place = byId("search"), forAdmins = false) {
  isForAdmins = forAdmins;
  const readAs = withToken({ forbidden: texts.mayNotRead, ended: texts.loginEnded, mayLeave: true });
  sendBy({
    read(path, options) {
      if (readers === "login") return readAs(path, options);
      const own = privatePath(path);
      return tokens === null || own === path ? fetch(path, options) : readAs(own, options);
    },
  });
  if (isForAdmins) {
    sendBy({
      read: withToken({ forbidden: texts.mayNotAdminister, ended: texts.loginEnded, mayLeave: true }),
      post: withToken({ forbidden: texts.mayNotAdminister, ended: texts.loginEndedUnsaved, mayLeave: false }),
    });
  } else if (posting === "self") sendBy({ post: withToken({ forbidden: texts.mayNotPost, ended: texts.notPosted, mayLeave: false }) });
  startAccount({ logIn, logOut, isForAdmins, place });
  const answer = takeAnswer();
  if (answer?.pending) finish(answer);
  else if (answer) words = texts.loginElsewhere;
  changed = onChange;
  show();
  watch();
  document.addEventListener("visibilitychange", watch);
  // Going back must not show a page from before a logout.
  addEventListener("pageshow", ({ persisted }) => persisted && location.reload());
  return who().user;
}
