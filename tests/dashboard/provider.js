// A real OpenID Connect provider on loopback, with a login page of its own, which tests control.

import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

export const CLIENT = "podium-page";
export const AUDIENCE = "https://podium.example/api";
const HOUR_SECONDS = 3600;

const page = (title, ...parts) => `<!doctype html><html lang="en"><title>${title}</title><link rel="icon" href="data:,"><h1>${title}</h1>${parts.join("")}`;

async function tokenOf(issuer) {
  const response = await fetch(`${issuer}/token`, {
    method: "POST",
    headers: { authorization: `Basic ${btoa("service:not+a+secret+in+a+test")}` },
    body: new URLSearchParams({ grant_type: "client_credentials", scope: "podium:write podium:admin", resource: AUDIENCE }),
  });
  const answer = await response.json();
  assert.equal(response.status, 200, JSON.stringify(answer));
  return answer.access_token;
}

/// Starts a provider. `users` has the claims of the access token of each account.
export async function startProvider({ users }) {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  /// The redirect URIs.
  const pages = new Set();
  const control = {
    /// Seconds until an access token expires.
    lifetime: HOUR_SECONDS,
    refreshes: true,
    isDown: false,
    /// Method and path of all requests so far.
    requests: [],
    /// Lets people log in on the page at `url`.
    allow: (url) => pages.add(`${url}/`),
  };

  // The issuer contains the port.
  let handle = () => {};
  const server = createServer((request, response) => {
    if (control.isDown) return request.socket.destroy();
    control.requests.push(`${request.method} ${request.url}`);
    return handle(request, response);
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${server.address().port}`;

  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...privateKey.export({ format: "jwk" }), alg: "RS256", use: "sig", kid: "test" }] },
    cookies: { keys: ["a test needs no secret"] },
    clients: [{
      client_id: "service",
      client_secret: "not a secret in a test",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    }, {
      client_id: CLIENT,
      token_endpoint_auth_method: "none",
      grant_types: ["authorization_code", "refresh_token"],
      response_types: ["code"],
      redirect_uris: ["http://127.0.0.1/"],
      post_logout_redirect_uris: ["http://127.0.0.1/"],
    }],
    clientBasedCORS: (_, origin) => pages.has(`${origin}/`),
    findAccount: (_, accountId) => ({ accountId, claims: () => ({ sub: accountId }) }),
    extraTokenClaims: (_, { accountId }) => users[accountId],
    issueRefreshToken: (_, client, { scopes }) => control.refreshes && scopes.has("offline_access"),
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    ttl: { AccessToken: () => control.lifetime, IdToken: HOUR_SECONDS, Grant: HOUR_SECONDS, Session: HOUR_SECONDS, Interaction: HOUR_SECONDS, RefreshToken: HOUR_SECONDS },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      revocation: { enabled: true },
      rpInitiatedLogout: {
        enabled: true,
        logoutSource: (ctx, form) => {
          ctx.body = page("Log out of the provider", form, '<button form="op.logoutForm" name="logout" value="yes">Yes</button>');
        },
      },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: () => ({ scope: "podium:write podium:admin", audience: AUDIENCE, accessTokenFormat: "jwt", accessTokenTTL: control.lifetime, jwt: { sign: { alg: "RS256" } } }),
      },
    },
  });
  provider.Client.prototype.redirectUriAllowed = (uri) => pages.has(uri);
  provider.Client.prototype.postLogoutRedirectUriAllowed = (uri) => pages.has(uri);
  const others = provider.callback();

  async function grantOf({ params, session }) {
    const grant = new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    grant.addOIDCScope(params.scope);
    return { consent: { grantId: await grant.save() } };
  }

  async function interact(request, response, answer) {
    const interaction = await provider.interactionDetails(request, response);
    const finish = (result) => provider.interactionFinished(request, response, result, { mergeWithLastSubmission: true });
    if (interaction.prompt.name === "consent") return finish(await grantOf(interaction));
    if (answer === "no") return finish({ error: "access_denied", error_description: "Ask for the role first." });
    if (answer !== null) return finish({ login: { accountId: answer } });
    response.setHeader("content-type", "text/html; charset=utf-8");
    const buttons = [...Object.keys(users), "no"].map((user) => `<p><a href="${request.url}/${user}">${user}</a>`);
    return response.end(page("Log in to the provider", ...buttons));
  }

  handle = (request, response) => {
    const [, answer] = /^\/interaction\/[^/]+(?:\/(.+))?$/.exec(request.url) ?? [];
    if (request.url.startsWith("/interaction/")) return interact(request, response, answer ? decodeURIComponent(answer) : null);
    return others(request, response);
  };

  let service = null;
  return Object.assign(control, {
    issuer,
    /// The arguments of a stack whose people log in here.
    flags: ["--oidc-issuer", issuer, "--oidc-audience", AUDIENCE, "--oidc-client-id", CLIENT],
    /// An access token of a service that may post for anyone, and administer.
    serviceToken: () => (service ??= tokenOf(issuer)),
    /// Whether a refresh token is still good.
    takes: async (refreshToken) => {
      const fields = { grant_type: "refresh_token", refresh_token: refreshToken, client_id: CLIENT };
      return (await fetch(`${issuer}/token`, { method: "POST", body: new URLSearchParams(fields) })).ok;
    },
    stop: () => new Promise((resolve) => {
      server.close(resolve);
      server.closeAllConnections();
    }),
  });
}
