import assert from "node:assert/strict";
import { createServer } from "node:http";
import { once } from "node:events";
import { test } from "node:test";
import { createGuard, fromNode, fromWeb, Refusal } from "../js/entries/backend.mjs";
import { tollgate as honoTollgate } from "../js/entries/hono.mjs";
import { tollgate as nextTollgate } from "../js/entries/next.mjs";
import { Issuer } from "./support/issuer.mjs";
import { createVerifier } from "./support/verifier.mjs";

/** Verifies nothing: what it says is in the token. */
const verifier = { verify: async (token) => ({ sub: token, sid: "session-1", role: "user" }) };
const COOKIE = { name: "__Host-tollgate_access", origins: ["https://app.example.com"] };

/** What a guard says to a request: the user, nobody, or a code. */
async function answerOf(options, headers = {}, { method = "GET", peer } = {}) {
  const request = new Request("https://api.example.com/", { method, headers });
  try {
    const auth = await createGuard({ verifier, ...options }).authenticate(fromWeb(request, peer));
    return auth === null ? "nobody" : auth.user.id;
  } catch (error) {
    if (error instanceof Refusal) return error.code;
    throw error;
  }
}

test("token is taken from the header, whatever the case of its scheme", async () => {
  assert.equal(await answerOf({}, { authorization: "Bearer one" }), "one");
  assert.equal(await answerOf({}, { authorization: "bEARER   one" }), "one");
  assert.equal(await answerOf({}, { authorization: "Bearer one, two" }), "one, two");
});

test("other schemes, empty headers and the query are no token", async () => {
  for (const authorization of ["Basic YTpi", "Bearer", "Bearerone", ""]) {
    assert.equal(await answerOf({}, { authorization }), "missing_token", authorization);
  }
});

test("two tokens are refused, in one header, in two, in a header and a cookie", async (t) => {
  assert.equal(await answerOf({}, { authorization: "Bearer a, Bearer a" }), "multiple_tokens");
  const both = { authorization: "Bearer a", cookie: `${COOKIE.name}=a` };
  assert.equal(await answerOf({ cookie: COOKIE }, both), "multiple_tokens");
  const twice = { cookie: `${COOKIE.name}=a; ${COOKIE.name}=b` };
  assert.equal(await answerOf({ cookie: COOKIE }, twice), "multiple_tokens");
  assert.equal(
    await viaNode(t, ["authorization", "Bearer a", "Authorization", "Bearer b"]),
    "multiple_tokens",
  );
});

test("cookie is read only where a guard takes one", async () => {
  const headers = { cookie: `other=x; ${COOKIE.name}=one` };
  assert.equal(await answerOf({ cookie: COOKIE }, headers), "one");
  assert.equal(await answerOf({}, headers), "missing_token");
});

test("with a cookie, what changes something must come from a page on the list", async () => {
  const options = { cookie: COOKIE };
  const cookie = `${COOKIE.name}=one`;
  const ask = (headers, method = "POST") => answerOf(options, { cookie, ...headers }, { method });
  assert.equal(await ask({ origin: "https://app.example.com" }), "one");
  for (const origin of ["https://evil.example.com", "null", "https://app.example.com.evil.com"]) {
    assert.equal(await ask({ origin }), "forbidden", origin);
  }
  assert.equal(await ask({}), "forbidden");
  assert.equal(await ask({}, "DELETE"), "forbidden");
  assert.equal(await ask({ upgrade: "websocket" }, "GET"), "forbidden");
  assert.equal(await ask({}, "GET"), "one");
  assert.equal(await answerOf(options, { authorization: "Bearer one" }, { method: "POST" }), "one");
});

test("only listed roles pass, and nobody where a role is asked for", async () => {
  const headers = { authorization: "Bearer one" };
  assert.equal(await answerOf({ roles: ["admin", "user"] }, headers), "one");
  assert.equal(await answerOf({ roles: ["admin"] }, headers), "insufficient_scope");
  const without = { verify: async (sub) => ({ sub, sid: "s" }) };
  assert.equal(
    await answerOf({ verifier: without, roles: ["admin"] }, headers),
    "insufficient_scope",
  );
});

test("with required: false nobody passes without a token, and a bad token is refused", async (t) => {
  const issuer = await Issuer.start(t);
  const options = { verifier: createVerifier(issuer.options()), required: false };
  assert.equal(await answerOf(options), "nobody");
  assert.equal(await answerOf(options, { authorization: "Bearer a.b.c" }), "malformed");
  const good = { authorization: `Bearer ${issuer.token()}` };
  assert.equal(await answerOf(options, good), "user-1");
});

test("while keys cannot be had the answer is 503 with Retry-After", async (t) => {
  const issuer = await Issuer.start(t);
  issuer.instead["/.well-known/jwks.json"] = (response) => response.writeHead(500).end();
  const guard = createGuard({ verifier: createVerifier(issuer.options()) });
  const request = new Request("https://a.example", {
    headers: { authorization: `Bearer ${issuer.token()}` },
  });
  const refusal = await guard.authenticate(fromWeb(request)).catch((error) => error);
  assert.equal(refusal.status, 503);
  assert.equal(refusal.code, "keys_unavailable");
  assert.match(refusal.headers["retry-after"], /^\d+$/);
  assert.equal(refusal.headers["www-authenticate"], undefined);
});

test("fault of the verifier is no refusal", async () => {
  const broken = { verify: async () => Promise.reject(new TypeError("broken")) };
  await assert.rejects(answerOf({ verifier: broken }, { authorization: "Bearer a" }), TypeError);
});

test("user has an address only when it was proven, and the admin who acts in their place", async () => {
  const userOf = async (claims) => {
    const says = { verify: async () => ({ sub: "user-1", sid: "session-1", ...claims }) };
    const request = new Request("https://a.example", { headers: { authorization: "Bearer a" } });
    return (await createGuard({ verifier: says }).authenticate(fromWeb(request))).user;
  };
  const email = "ada@example.com";
  assert.deepEqual(await userOf({ email }), { id: "user-1", sessionId: "session-1" });
  assert.equal((await userOf({ email, email_verified: false })).email, undefined);
  assert.equal((await userOf({ email, email_verified: true })).email, email);
  assert.equal((await userOf({ act: { sub: "admin-1" } })).actor, "admin-1");
});

test("no answer and no listing of who is asking shows the token", async () => {
  const request = new Request("https://a.example", {
    headers: { authorization: "Bearer secret-text" },
  });
  const auth = await createGuard({
    verifier: { verify: async () => ({ sub: "a", sid: "b" }) },
  }).authenticate(fromWeb(request));
  assert.equal(auth.token, "secret-text");
  assert.doesNotMatch(JSON.stringify(auth), /secret-text/);
  const refuses = createVerifier({ issuer: "a", audience: "b", jwksUri: "https://a.example/jwks" });
  const refusal = await createGuard({ verifier: refuses })
    .authenticate(fromWeb(request))
    .catch((error) => error);
  assert.equal(refusal.code, "malformed");
  assert.doesNotMatch(
    JSON.stringify([refusal.problem, refusal.headers, refusal.message]),
    /secret-text/,
  );
});

test("options that are missing, misspelt or out of range are a TypeError that says what to do", () => {
  const credits = { baseUrl: "https://id.example.com", appId: "orders" };
  for (const [options, says] of [
    [undefined, /verifier/],
    [{}, /verifier/],
    [{ verifier: {} }, /createVerifier/],
    [{ verifier, require: true }, /"require"/],
    [{ verifier, required: "yes" }, /required/],
    [{ verifier, roles: "admin" }, /roles/],
    [{ verifier, roles: [""] }, /roles/],
    [{ verifier, cookie: { name: "token", origins: COOKIE.origins } }, /__Host-/],
    [{ verifier, cookie: { name: COOKIE.name, origins: [] } }, /origins/],
    [{ verifier, cookie: { name: COOKIE.name, origins: ["https://app.example.com/"] } }, /origins/],
    [{ verifier, cookie: { name: COOKIE.name, origins: ["*"] } }, /origins/],
    [{ verifier, credits: { ...credits, baseUrl: "http://id.example.com" } }, /https/],
    [{ verifier, credits: { ...credits, baseUrl: "id" } }, /baseUrl/],
    [{ verifier, credits: { ...credits, appId: "" } }, /appId/],
    [{ verifier, credits: { ...credits, serviceToken: "secret" } }, /tgs_/],
  ]) {
    assert.throws(() => createGuard(options), { name: "TypeError", message: says });
  }
});

const DEV = { NODE_ENV: "development", TOLLGATE_DEV_BYPASS: "1" };
const BYPASS = { devBypass: { id: "dev", email: "dev@example.com", role: "admin" } };

test("bypass lets in a made-up user from this machine, and a real token is still verified", async (t) => {
  environment(t, DEV);
  for (const peer of ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"]) {
    assert.equal(await answerOf(BYPASS, {}, { peer }), "dev", peer);
  }
  const token = { authorization: "Bearer one" };
  assert.equal(await answerOf(BYPASS, token, { peer: "127.0.0.1" }), "one");
  const twice = { authorization: "Bearer a, Bearer b" };
  assert.equal(await answerOf(BYPASS, twice, { peer: "127.0.0.1" }), "multiple_tokens");
});

test("bypass throws outside of development, without its switch, and with another value of it", (t) => {
  for (const variables of [
    {},
    { NODE_ENV: "development" },
    { TOLLGATE_DEV_BYPASS: "1" },
    { ...DEV, NODE_ENV: "production" },
    { ...DEV, NODE_ENV: "test" },
    { ...DEV, TOLLGATE_DEV_BYPASS: "true" },
    { ...DEV, TOLLGATE_DEV_BYPASS: "0" },
  ]) {
    environment(t, variables);
    assert.throws(() => createGuard({ verifier, ...BYPASS }), /devBypass works only/);
  }
});

test("bypass throws for whoever is not known to be on this machine", async (t) => {
  environment(t, DEV);
  for (const peer of [
    undefined,
    "",
    "192.168.1.7",
    "10.0.0.1",
    "128.0.0.1",
    "::2",
    "localhost.evil",
    "127.0.0.1.evil",
  ]) {
    await assert.rejects(
      answerOf(BYPASS, {}, { peer }),
      /devBypass answers this machine only/,
      peer,
    );
  }
  for (const name of ["x-forwarded-for", "forwarded", "x-real-ip", "via", "x-forwarded-host"]) {
    const headers = { [name]: "127.0.0.1" };
    await assert.rejects(answerOf(BYPASS, headers, { peer: "127.0.0.1" }), /carries/, name);
  }
});

test("bypass knows the peer of a connection in Node, and in Hono in every runtime that tells it", async (t) => {
  environment(t, DEV);
  assert.equal(await viaNode(t, [], BYPASS), "dev");
  assert.match(await viaNode(t, ["x-forwarded-for", "127.0.0.1"], BYPASS), /this machine only/);
  const here = "127.0.0.1";
  for (const env of [
    { incoming: { socket: { remoteAddress: here } } },
    { remoteAddr: { hostname: here } },
    { requestIP: () => ({ address: here }) },
    { server: { requestIP: () => ({ address: here }) } },
  ]) {
    assert.equal((await viaHono(env)).user.id, "dev");
    const elsewhere = JSON.parse(JSON.stringify(env).replaceAll(here, "192.0.2.1"));
    await assert.rejects(viaHono(elsewhere), /this machine only/);
  }
  await assert.rejects(viaHono(undefined), /this machine only/);
});

test("bypass throws for a request under a name that is not this machine's", async (t) => {
  environment(t, DEV);
  for (const host of ["localhost", "localhost:4000", "127.0.0.1:4000", "[::1]:4000", "[::1]"]) {
    assert.equal(await viaNode(t, ["host", host], BYPASS), "dev", host);
  }
  for (const host of ["evil.example.com", "evil.example.com:4000", "localhost.evil.example.com"]) {
    assert.match(await viaNode(t, ["host", host], BYPASS), /names of this machine/, host);
  }
});

test("bypass needs a user", (t) => {
  environment(t, DEV);
  for (const devBypass of [true, {}, { id: "" }, null]) {
    assert.throws(() => createGuard({ verifier, devBypass }), /needs a user/);
  }
});

test("made-up user has no credit account", async (t) => {
  environment(t, DEV);
  const credits = { baseUrl: "http://127.0.0.1:1", appId: "orders" };
  const guard = createGuard({ verifier, credits, ...BYPASS });
  const auth = await guard.authenticate(fromWeb(new Request("http://127.0.0.1/"), "127.0.0.1"));
  await assert.rejects(auth.credits.balance(), /no credit account/);
});

test("Next has no bypass, as it does not say who is asking", (t) => {
  environment(t, DEV);
  assert.throws(() => nextTollgate({ verifier, ...BYPASS }), {
    name: "TypeError",
    message: /devBypass/,
  });
});

/** Who is asking in Hono, in a runtime with this environment. */
async function viaHono(env) {
  const set = {};
  const c = {
    env,
    req: { raw: new Request("http://127.0.0.1/") },
    set: (name, value) => (set[name] = value),
  };
  const refused = await honoTollgate({ verifier, ...BYPASS })(c, async () => {});
  assert.equal(refused, undefined);
  return set.auth;
}

/** What a guard says to a request over HTTP with these headers, names and values in turn. */
async function viaNode(t, headers, options = {}) {
  const guard = createGuard({ verifier, ...options });
  const server = createServer((request, response) => {
    guard.authenticate(fromNode(request)).then(
      ({ user }) => response.end(user.id),
      (error) => response.end(error.code ?? error.message),
    );
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  const { request } = await import("node:http");
  const named = headers.includes("host") ? headers : ["host", "localhost", ...headers];
  const asking = request({ port: server.address().port, headers: named }).end();
  const [response] = await once(asking, "response");
  return String(Buffer.concat(await response.toArray()));
}

/** These variables and no others of theirs, until the test is over. */
function environment(t, variables) {
  for (const name of Object.keys(DEV)) {
    const before = process.env[name];
    t.after(() => (before === undefined ? delete process.env[name] : (process.env[name] = before)));
    if (variables[name] === undefined) delete process.env[name];
    else process.env[name] = variables[name];
  }
}
