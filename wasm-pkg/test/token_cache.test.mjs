// Tokens that were verified before: what a hit saves, and what it never saves.

import assert from "node:assert/strict";
import { test } from "node:test";
import { TokenCache } from "../js/token_cache.mjs";
import { verifierFor } from "../js/verifier.mjs";
import { Issuer, JWKS, makeKey } from "./support/issuer.mjs";
import { codeAtOnce, codeOf, host } from "./support/verifier.mjs";

/** A verifier of an issuer's tokens that counts how often the core was asked to verify. */
async function world(t, withFeed = false) {
  const issuer = await Issuer.start(t);
  const asked = { count: 0 };
  const instantiate = () => {
    const { exports } = host.instantiate();
    const counting = (name) => (...args) => {
      asked.count += 1;
      return exports[name](...args);
    };
    const names = ["verify", "verify_at_once"];
    const counted = Object.fromEntries(names.map((name) => [name, counting(name)]));
    return { exports: { ...exports, ...counted } };
  };
  const create = verifierFor({ ...host, hasTimers: false, instantiate });
  const verifier = create(withFeed ? issuer.optionsWithFeed() : issuer.options());
  await verifier.ready();
  return { issuer, asked, verifier };
}

/** Verifies a token as often as it takes until the core is not asked any more. */
async function remember({ asked, verifier }, token) {
  for (let i = 0; i < 3; i += 1) await verifier.verify(token);
  const before = asked.count;
  await verifier.verify(token);
  assert.equal(asked.count, before, "the token is remembered");
}

test("token seen a third time is not verified again, and its claims are the same", async (t) => {
  const { issuer, asked, verifier } = await world(t);
  const token = issuer.token();
  const claims = [await verifier.verify(token), await verifier.verify(token)];
  assert.equal(asked.count, 2);
  claims.push(await verifier.verify(token), verifier.verifySync(token));
  assert.equal(asked.count, 2);
  for (const one of claims) assert.deepEqual(one, claims[0]);
  assert.ok(Object.isFrozen(claims[3]));
});

test("remembered token is refused from the second on in which it expires", async (t) => {
  const it = await world(t);
  const token = it.issuer.token();
  await remember(it, token);
  it.issuer.clock.advance(900 + 29);
  assert.equal(await codeOf(it.verifier.verify(token)), "ok");
  it.issuer.clock.advance(1);
  assert.equal(await codeOf(it.verifier.verify(token)), "expired");
  assert.equal(await codeAtOnce(it.verifier, token), "expired");
});

test("remembered token is refused when the clock goes back before it was issued", async (t) => {
  const it = await world(t);
  const token = it.issuer.token({ iat: it.issuer.clock.seconds + 20 });
  await remember(it, token);
  it.issuer.clock.advance(-11);
  assert.equal(await codeAtOnce(it.verifier, token), "issued_in_future");
});

test("remembered token is refused when its session has ended", async (t) => {
  const it = await world(t, true);
  const token = it.issuer.token({ sid: "ended" });
  await remember(it, token);
  it.issuer.revoke("ended");
  it.issuer.clock.advance(1);
  await codeOf(it.verifier.verify(token));
  await until(() => it.verifier.state().revocations.seq === 2);
  assert.equal(await codeOf(it.verifier.verify(token)), "revoked");
});

test("remembered token is refused when its key is not published any more", async (t) => {
  const it = await world(t);
  const token = it.issuer.token();
  await remember(it, token);
  it.issuer.keys = [makeKey()];
  it.issuer.clock.advance(300);
  await it.verifier.verify(token);
  await until(() => it.issuer.count(JWKS) === 2 && it.verifier.state().keys.state === "fresh");
  it.issuer.clock.advance(30);
  assert.equal(await codeOf(it.verifier.verify(token)), "unknown_key");
});

test("remembered token still makes stale keys be fetched", async (t) => {
  const it = await world(t);
  const token = it.issuer.token();
  await remember(it, token);
  it.issuer.clock.advance(300);
  assert.equal(await codeOf(it.verifier.verify(token)), "ok");
  await until(() => it.issuer.count(JWKS) === 2);
});

test("another text is another token, however little differs", async (t) => {
  const it = await world(t);
  const token = it.issuer.token();
  await remember(it, token);
  for (const other of [`${token} `, `${token.slice(0, -1)}`, token.replace(/^./, "f")]) {
    assert.notEqual(await codeOf(it.verifier.verify(other)), "ok", other);
  }
});

const kept = (token) => ({ token, claims: {}, standing: 1, from: 0, until: 1 });

test("cache keeps what is asked for, is bounded, and passes over what is very long", () => {
  const cache = new TokenCache();
  const keepTwice = (token) => [1, 2].forEach(() => cache.keep(kept(token)));
  const numbered = (i) => `${String(i).padStart(9, "0")}.`;
  const hot = kept("a hot token");
  cache.keep(hot);
  assert.equal(cache.get(hot.token), undefined);
  cache.keep(hot);
  assert.equal(cache.get(hot.token), hot);
  keepTwice("a cold one");
  for (let i = 0; i < 10_000; i += 1) {
    keepTwice(numbered(i));
    if (i % 100 === 0) assert.equal(cache.get(hot.token), hot);
  }
  assert.equal(cache.get("a cold one"), undefined);
  const n = Array.from({ length: 10_000 }, (_, i) => cache.get(numbered(i))).filter(Boolean).length;
  assert.ok(n >= 2000 && n <= 4096, `${n}`);
  const long = "x".repeat(2049);
  keepTwice(long);
  assert.equal(cache.get(long), undefined);
});

test("of two texts with one trace each is found as itself or not at all", () => {
  const cache = new TokenCache();
  const [one, other] = [kept("one-trace-"), kept("another-trace-")];
  for (const of of [one, one, other, other]) cache.keep(of);
  assert.equal(cache.get(other.token), other);
  assert.equal(cache.get(one.token), undefined);
  for (const short of ["", "a", "-trace-"]) assert.equal(cache.get(short), undefined);
});

/** Lets what is under way go on until something holds. */
async function until(holds) {
  for (let turn = 0; !holds(); turn += 1) {
    assert.ok(turn < 500, `did not come: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
