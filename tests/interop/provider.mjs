// A partner's OpenID provider for tests: oidc-provider as it comes, with people, clients and a form to sign in.
// Usage: node provider.mjs SETTINGS, a JSON object: {issuer, port, clients, people: [{login, password, sub, name, acr, amr}],
// audience}: whom access tokens are for.
// Says "ready" once it listens, and ends with its standard input. Listens on 127.0.0.1 only.

import { generateKeyPairSync, randomBytes } from "node:crypto";
import { createServer } from "node:http";
import { text } from "node:stream/consumers";
import { Provider } from "oidc-provider";

const { issuer, port, clients, people, audience } = JSON.parse(process.argv[2]);
const key = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({ format: "jwk" });

async function findAccount(_context, sub) {
  const person = people.find((one) => one.sub === sub);
  if (!person) return undefined;
  const { name, login } = person;
  return { accountId: sub, claims: async () => ({ sub, name, preferred_username: login, email: `${login}@agency.example` }) };
}

// The house's agreement with its partner stands for everybody's consent.
async function loadExistingGrant({ oidc }) {
  const grant = new oidc.provider.Grant({ clientId: oidc.client.clientId, accountId: oidc.session.accountId });
  grant.addOIDCScope("openid profile email");
  await grant.save();
  return grant;
}

const provider = new Provider(issuer, {
  clients,
  clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt"],
  jwks: { keys: [{ ...key, alg: "ES256", use: "sig", kid: "first" }] },
  enabledJWA: { idTokenSigningAlgValues: ["ES256"], userinfoSigningAlgValues: ["ES256"] },
  acrValues: [...new Set(people.map(({ acr }) => acr))],
  cookies: { keys: [randomBytes(32).toString("hex")] },
  claims: { amr: null, profile: ["name", "preferred_username"], email: ["email"] },
  findAccount,
  loadExistingGrant,
  fetch: (url, { dispatcher, ...options }) => fetch(url, options), // its own refuses to call this machine
  interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
  pkce: { required: () => true },
  features: {
    devInteractions: { enabled: false },
    claimsParameter: { enabled: true },
    dPoP: { enabled: true },
    jwtUserinfo: { enabled: true },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({ scope: "api", audience, accessTokenFormat: "jwt", jwt: { sign: { alg: "ES256" } } }),
    },
    pushedAuthorizationRequests: { enabled: true },
    backchannelLogout: { enabled: true },
  },
  ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 3600, IdToken: 600, Interaction: 600, Session: 3600 },
});

const FORM = `<!doctype html><title>Sign in</title><form method="post">
<input name="login"><input name="password" type="password"><button>Sign in</button></form>`;

async function signIn(request, response) {
  await provider.interactionDetails(request, response); // refuses what nobody began
  if (request.method !== "POST") return response.setHeader("content-type", "text/html").end(FORM);
  const typed = new URLSearchParams(await text(request));
  const person = people.find(({ login, password }) => login === typed.get("login") && password === typed.get("password"));
  if (!person) return response.writeHead(403, { "content-type": "text/html" }).end(FORM);
  return provider.interactionFinished(request, response, { login: { accountId: person.sub, acr: person.acr, amr: person.amr } });
}

const answer = provider.callback();
const server = createServer((request, response) => {
  if (!request.url.startsWith("/interaction/")) return answer(request, response);
  return signIn(request, response).catch((fault) => response.writeHead(400).end(fault.name));
});
server.listen(port, "127.0.0.1", () => console.log("ready"));
process.stdin.on("end", () => process.exit()).resume();
