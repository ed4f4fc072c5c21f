// What a login asks for, what its tokens say, and words for what goes wrong.

import { texts } from "./texts.js";
import { isUser } from "./view.js";

const DESCRIPTION_CHARACTERS_MAX = 200;
const RENEWAL_MARGIN_MS = 60_000;

/** A failure that is described in words for the reader. */
export class Told extends Error {}

const bytesOf = (base64url) => Uint8Array.from(atob(base64url.replace(/[-_]/g, (c) => ({ "-": "+", _: "/" })[c])), (c) => c.charCodeAt(0));

/** The claims of a JWT, or null. They are not verified: the API does that. */
export function claimsOf(token) {
  try {
    const claims = JSON.parse(new TextDecoder().decode(bytesOf(token.split(".")[1])));
    return typeof claims === "object" ? claims : null;
  } catch {
    return null;
  }
}

/** Whom an access token names: `{user, doubt}`. Without a user, `doubt` says why. */
export function userOf(token, userClaim) {
  const nobody = (why) => ({ user: null, doubt: texts.noUser(why) });
  const claims = claimsOf(token);
  if (claims === null) return nobody(texts.tokenUnreadable);
  const id = claims[userClaim];
  if (id === undefined || id === null || id === "") return nobody(texts.claimMissing(userClaim));
  return isUser(`${id}`) && ["string", "number"].includes(typeof id)
    ? { user: `${id}`, doubt: "" }
    : nobody(texts.noSuchId);
}

/** What is kept of a token response. Times are of this device's clock, so that a wrong clock does no harm. */
export function tokensOf({ access_token, refresh_token, expires_in }, earlier, now) {
  const { iat, exp } = claimsOf(access_token) ?? {};
  const seconds = expires_in ?? exp - iat;
  const lifetime = Number.isFinite(seconds) ? 1000 * seconds : null;
  return {
    access: access_token,
    refresh: refresh_token ?? earlier?.refresh ?? null,
    since: now,
    expiresAt: lifetime && now + lifetime,
    renewAt: lifetime && now + lifetime - Math.min(RENEWAL_MARGIN_MS, lifetime / 5),
  };
}

export const isExpired = ({ expiresAt }, now) => expiresAt !== null && now >= expiresAt;

/** When to renew, in milliseconds; null if the end is not known. Without a refresh token the page leaves for it, so only at the end. */
export const renewalOf = ({ refresh, expiresAt, renewAt }) => (refresh === null ? expiresAt : renewAt);

export const scopeOf = ({ scope }, provider) =>
  scope ?? (provider.scopes_supported?.includes("offline_access") ? "openid offline_access" : "openid");

/** The query of the authorization request. */
export function requestOf(login, provider, { state, nonce, challenge, redirect, silent }) {
  return {
    ...login.parameters,
    response_type: "code",
    client_id: login.clientId,
    redirect_uri: redirect,
    scope: scopeOf(login, provider),
    state,
    nonce,
    code_challenge: challenge,
    code_challenge_method: "S256",
    ...(silent ? { prompt: "none" } : {}),
  };
}

const ANSWERS = {
  access_denied: texts.accessDenied,
  login_required: texts.loginEnded,
  interaction_required: texts.loginEnded,
  consent_required: texts.loginEnded,
  account_selection_required: texts.loginEnded,
  server_error: texts.providerFault,
  temporarily_unavailable: texts.providerFault,
  invalid_grant: texts.loginTooOld,
};
// Here the provider's own description says more.
const DESCRIBED = ["access_denied"];

/** Whether the provider refused, so that trying again is of no use. */
export const isRefusal = ({ code, status }) => code === "OAUTH_RESPONSE_BODY_ERROR" && status < 500 && status !== 429;

/** What to tell about a failed login. `host` is the provider's. */
export function wordsFor(failure, host) {
  if (failure instanceof Told) return failure.message;
  const { name, code, error, error_description: described, cause, message } = failure;
  if (error !== undefined) {
    const answer = ANSWERS[error];
    const says = described && (!answer || DESCRIBED.includes(error)) ? ` ${texts.providerSays(described.slice(0, DESCRIPTION_CHARACTERS_MAX))}` : "";
    return `${answer ?? texts.pageRefused(error)}${says}`;
  }
  if (code === "OAUTH_JWT_TIMESTAMP_CHECK_FAILED") return texts.wrongClock;
  if (code === "OAUTH_RESPONSE_IS_NOT_CONFORM" && cause?.status >= 500) return texts.providerFault;
  if (name === "TimeoutError") return texts.providerSlow(host);
  // What fetch throws. It gives no reason.
  if (name === "TypeError" && code === undefined) return texts.providerAway(host);
  return texts.loginFailed(message);
}
