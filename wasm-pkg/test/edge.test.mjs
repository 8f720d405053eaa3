/** What the gateway has signed about a request, as a backend verifies it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { createEdgeVerifier, VerifyError } from "../js/entries/edge.mjs";
import { Issuer, JWKS, jws, makeKey, START } from "./support/issuer.mjs";

const REQUEST = { method: "POST", url: "/orders?draft=1" };

/** A gateway: a server of keys and a clock, as an issuer is. */
async function startEdge(t, more = {}) {
  const edge = await Issuer.start(t);
  const options = { audience: "orders", jwksUri: `${edge.url}${JWKS}`, clock: edge.clock.now };
  return { edge, verify: createEdgeVerifier({ ...options, ...more }).verify };
}

function assertion(edge, changes = {}, key = edge.key) {
  const iat = edge.clock.seconds;
  const claims = {
    iss: "tollgate-edge",
    aud: "orders",
    sub: "user-1",
    sid: "session-1",
    role: "admin",
    jti: "request-1",
    iat,
    exp: iat + 60,
    htm: "POST",
    htu: "/orders?draft=1",
  };
  return jws("edge-assertion+jwt", { ...claims, ...changes }, key);
}

/** The code of a refusal with its claim; `ok` when there is none. */
async function verdict(promise) {
  try {
    await promise;
    return "ok";
  } catch (error) {
    if (!(error instanceof VerifyError)) throw error;
    return error.claim ? `${error.code} ${error.claim}` : error.code;
  }
}

test("request of the gateway passes, and what is returned is frozen", async (t) => {
  const { edge, verify } = await startEdge(t);
  const claims = await verify(assertion(edge), REQUEST);
  assert.equal(claims.sub, "user-1");
  assert.equal(claims.htu, "/orders?draft=1");
  assert.throws(() => (claims.sub = "root"), TypeError);
  const nobody = assertion(edge, { sub: undefined, sid: undefined, role: undefined });
  assert.equal((await verify(nobody, REQUEST)).sub, undefined);
  assert.equal(edge.count(JWKS), 1);
});

test("request is taken as Node, fetch and frameworks have it", async (t) => {
  const { edge, verify } = await startEdge(t);
  for (const [url, htu] of [
    ["/a%20b?c=%2f", "/a%20b?c=%2f"],
    ["https://orders.example:8443/a?b=http://c/d", "/a?b=http://c/d"],
    ["https://orders.example/a?", "/a?"],
    ["https://orders.example/a#part", "/a"],
    ["https://orders.example", "/"],
  ]) {
    const request = { method: "POST", url };
    assert.equal(await verdict(verify(assertion(edge, { htu }), request)), "ok", url);
  }
  const request = new Request("https://orders.example/a?'b'", { method: "POST" });
  assert.equal(await verdict(verify(assertion(edge, { htu: "/a?%27b%27" }), request)), "ok");
  for (const request of [undefined, null, {}, { method: "GET" }, { url: "/" }, "/orders"]) {
    await assert.rejects(verify(assertion(edge), request), { name: "TypeError" });
  }
});

test("whoever comes around the gateway is refused", async (t) => {
  const { edge, verify } = await startEdge(t);
  const stranger = makeKey();
  for (const [text, wanted] of [
    ["", "malformed"],
    ["a.b.c", "malformed"],
    ["a".repeat(8193), "too_large"],
    [edge.token(), "unsupported_type"],
    [assertion(edge, {}, stranger), "unknown_key"],
    [assertion(edge, {}, { ...stranger, kid: edge.key.kid }), "bad_signature"],
    [assertion(edge, { iss: "another-edge" }), "wrong_issuer"],
    [assertion(edge, { aud: "payments" }), "wrong_audience"],
    [assertion(edge, { exp: START - 30, iat: START - 90 }), "expired"],
    [assertion(edge, { iat: START + 31, exp: START + 91 }), "issued_in_future"],
    [assertion(edge, { exp: START + 61 }), "lifetime_too_long"],
    [assertion(edge, { htm: "GET" }), "invalid_claim htm"],
    [assertion(edge, { htu: "/orders" }), "invalid_claim htu"],
    [assertion(edge, { htu: "/orders?draft=%31" }), "invalid_claim htu"],
    [assertion(edge, { sub: 7 }), "malformed"],
    [assertion(edge, { sub: null }), "malformed"],
    [assertion(edge, { aud: ["orders"] }), "malformed"],
    [assertion(edge, { jti: undefined }), "malformed"],
    [assertion(edge, { exp: "soon" }), "malformed"],
  ]) {
    assert.equal(await verdict(verify(text, REQUEST)), wanted, text.slice(0, 40));
  }
  assert.equal(await verdict(verify(undefined, REQUEST)), "malformed");
});

test("assertion holds to its last second and the leeway", async (t) => {
  const { edge, verify } = await startEdge(t, { leeway: 5 });
  const text = assertion(edge);
  edge.clock.advance(64);
  assert.equal(await verdict(verify(text, REQUEST)), "ok");
  edge.clock.advance(1);
  assert.equal(await verdict(verify(text, REQUEST)), "expired");
});

test("a hundred cold requests cause one load, and none waits for another's promise", async (t) => {
  const { edge, verify } = await startEdge(t);
  const calls = Array.from({ length: 100 }, () => verdict(verify(assertion(edge), REQUEST)));
  assert.deepEqual(new Set(await Promise.all(calls)), new Set(["ok"]));
  assert.equal(edge.count(JWKS), 1);
});

test("new key of the gateway is looked up at once, invented ones twice a minute", async (t) => {
  const { edge, verify } = await startEdge(t);
  assert.equal(await verdict(verify(assertion(edge), REQUEST)), "ok");
  const next = makeKey();
  edge.keys = [edge.key, next];
  edge.clock.advance(31);
  assert.equal(await verdict(verify(assertion(edge, {}, next), REQUEST)), "ok");
  assert.equal(edge.count(JWKS), 2);
  for (let n = 0; n < 50; n += 1) {
    const invented = assertion(edge, {}, makeKey());
    assert.equal(await verdict(verify(invented, REQUEST)), "unknown_key");
  }
  assert.equal(edge.count(JWKS), 2);
});

test("keys are used for an hour while the gateway is away, and then nobody passes", async (t) => {
  const { edge, verify } = await startEdge(t);
  assert.equal(await verdict(verify(assertion(edge), REQUEST)), "ok");
  edge.instead[JWKS] = (response) => response.writeHead(500).end();
  edge.clock.advance(3599);
  assert.equal(await verdict(verify(assertion(edge), REQUEST)), "ok");
  edge.clock.advance(1);
  assert.equal(await verdict(verify(assertion(edge), REQUEST)), "keys_unavailable");
  delete edge.instead[JWKS];
  edge.clock.advance(60);
  assert.equal(await verdict(verify(assertion(edge), REQUEST)), "ok");
});

test("given keys are used and no others", async (t) => {
  const edge = await Issuer.start(t);
  const options = { audience: ["orders", "billing"], jwks: edge.jwks(), clock: edge.clock.now };
  const { verify } = createEdgeVerifier({ ...options, issuer: "https://edge.example" });
  const iss = "https://edge.example";
  assert.equal(await verdict(verify(assertion(edge, { iss, aud: "billing" }), REQUEST)), "ok");
  const other = assertion(edge, { iss }, makeKey());
  assert.equal(await verdict(verify(other, REQUEST)), "unknown_key");
});

test("options that cannot work are refused with what to do", () => {
  const jwksUri = "https://edge.example.com/.well-known/edge-jwks.json";
  for (const [options, message] of [
    [undefined, /createEdgeVerifier needs an object/],
    [{ jwksUri }, /createEdgeVerifier needs audience/],
    [{ audience: "orders" }, /createEdgeVerifier needs either jwks or jwksUri/],
    [{ audience: "orders", jwksUri: "http://edge.example.com/" }, /https/],
    [{ audience: "orders", jwksUri, leeway: 121 }, /0 to 120/],
    [{ audience: "orders", jwksUri, revocationsUri: jwksUri }, /knows no revocationsUri/],
    [{ audience: "orders", jwksUri, isuer: "x" }, /does not know the option "isuer"/],
    [{ audience: "orders", jwks: { keys: [] } }, /createEdgeVerifier cannot use jwks/],
  ]) {
    assert.throws(() => createEdgeVerifier(options), { name: "TypeError", message });
  }
});
