import assert from "node:assert/strict";
import { test } from "node:test";
import { Issuer, JWKS, makeKey } from "./support/issuer.mjs";
import { codeAtOnce, codeOf, createVerifier, withModule } from "./support/verifier.mjs";

const MINUTE = 60;
const HOUR = 60 * MINUTE;

const unavailable = (response) => response.writeHead(503).end();

/** A verifier that has verified one token. */
async function warm(issuer) {
  const verifier = createVerifier(issuer.options());
  await verifier.verify(issuer.token());
  return verifier;
}

test("a hundred first tokens at once cause one fetch", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = createVerifier(issuer.options());
  const codes = await Promise.all(
    Array.from({ length: 100 }, () => codeOf(verifier.verify(issuer.token()))),
  );
  assert.deepEqual(new Set(codes), new Set(["ok"]));
  assert.equal(issuer.count(JWKS), 1);
});

test("keys are not fetched again while fresh", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  issuer.clock.advance(5 * MINUTE - 1);
  for (let i = 0; i < 20; i += 1) await verifier.verify(issuer.token());
  assert.equal(issuer.count(JWKS), 1);
});

test("stale keys are used at once while new ones come in the background", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  issuer.clock.advance(5 * MINUTE);
  const asked = new Promise((resolve) => {
    issuer.instead[JWKS] = (response) => resolve(() => response.end(JSON.stringify(issuer.jwks())));
  });
  for (let i = 0; i < 20; i += 1) assert.equal(await codeOf(verifier.verify(issuer.token())), "ok");
  const answer = await asked;
  assert.equal(issuer.count(JWKS), 2);
  assert.equal(verifier.state().keys.state, "soft_stale");
  answer();
  await until(() => verifier.state().keys.state === "fresh");
  assert.equal(verifier.state().keys.ageSeconds, 0);
});

test("issuer away: tokens pass until the keys are an hour old, then 503, with few attempts", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  issuer.instead[JWKS] = unavailable;
  for (let minute = 5; minute < 60; minute += 5) {
    issuer.clock.seconds += 5 * MINUTE;
    assert.equal(await codeOf(verifier.verify(issuer.token())), "ok", `minute ${minute}`);
    await until(() => verifier.state().keys.state === "degraded");
  }
  issuer.clock.advance(5 * MINUTE);
  const error = await verifier.verify(issuer.token()).catch((error) => error);
  assert.equal(error.code, "keys_unavailable");
  assert.ok(error.retryAfter >= 1 && error.retryAfter <= 60);
  assert.ok(issuer.count(JWKS) <= 13, `${issuer.count(JWKS)} fetches`);
  delete issuer.instead[JWKS];
  issuer.clock.advance(MINUTE);
  assert.equal(await codeOf(verifier.verify(issuer.token())), "ok");
});

test("issuer away from the start: twenty tokens cause one fetch and are told to come back", async (t) => {
  const issuer = await Issuer.start(t);
  issuer.instead[JWKS] = unavailable;
  const verifier = createVerifier(issuer.options());
  for (let i = 0; i < 20; i += 1)
    assert.equal(await codeOf(verifier.verify(issuer.token())), "keys_unavailable");
  assert.equal(issuer.count(JWKS), 1);
});

test("token by a key published a moment ago is accepted after one fetch", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  const next = makeKey();
  issuer.keys.push(next);
  issuer.clock.advance(30);
  assert.equal(await codeOf(verifier.verify(issuer.token({}, next))), "ok");
  assert.equal(issuer.count(JWKS), 2);
});

withModule("verifySync learns of a new key in the background", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  const next = makeKey();
  issuer.keys.push(next);
  issuer.clock.advance(30);
  assert.equal(await codeAtOnce(verifier, issuer.token({}, next)), "keys_unavailable");
  await until(() => verifier.state().keys.kids.includes(next.kid));
  assert.equal(await codeAtOnce(verifier, issuer.token({}, next)), "ok");
});

test("invented key ids cause one fetch in 30 seconds and never evict good keys", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  issuer.clock.advance(30);
  for (let i = 0; i < 20; i += 1) {
    assert.equal(await codeOf(verifier.verify(issuer.token({}, makeKey()))), "unknown_key");
    assert.equal(await codeOf(verifier.verify(issuer.token())), "ok");
  }
  assert.equal(issuer.count(JWKS), 2);
});

test("unknown key that could not be looked up is 503, not a refusal", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  issuer.clock.advance(30);
  issuer.instead[JWKS] = unavailable;
  assert.equal(await codeOf(verifier.verify(issuer.token({}, makeKey()))), "keys_unavailable");
  assert.equal(await codeOf(verifier.verify(issuer.token())), "ok");
});

test("bad signature by a known key causes no fetch", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  issuer.clock.advance(30);
  const forged = issuer.token({}, { ...makeKey(), kid: issuer.key.kid });
  assert.equal(await codeOf(verifier.verify(forged)), "bad_signature");
  assert.equal(issuer.count(JWKS), 1);
});

test("answers that are no key set leave the keys as they are", async (t) => {
  const issuer = await Issuer.start(t);
  const document = JSON.stringify(issuer.jwks());
  const padded = document + " ".repeat(64 * 1024 + 1 - document.length);
  for (const [name, answer] of Object.entries({
    "of another status": (response) => response.writeHead(201).end(document),
    "a redirect": (response) =>
      response.writeHead(302, { location: `${issuer.url}/elsewhere` }).end(),
    "too large": (response) => response.end(padded),
    "cut off": (response) =>
      response.writeHead(200, { "content-length": document.length }).end(document.slice(9)),
    "not JSON": (response) => response.end("<html>"),
    "without keys": (response) => response.end('{"keys":[]}'),
    "with a secret": (response) =>
      response.end(JSON.stringify({ keys: [{ ...issuer.key.jwk, d: "" }] })),
  })) {
    delete issuer.instead[JWKS];
    const verifier = await warm(issuer);
    issuer.instead[JWKS] = answer;
    issuer.clock.advance(5 * MINUTE);
    assert.equal(await codeOf(verifier.verify(issuer.token())), "ok", name);
    await until(() => verifier.state().keys.state === "degraded");
    assert.deepEqual(verifier.state().keys.kids, [issuer.key.kid], name);
  }
  assert.equal(issuer.count("/elsewhere"), 0);
});

test("answer without end is cut off at the size limit, not at the time limit", async (t) => {
  const issuer = await Issuer.start(t);
  let sent = 0;
  issuer.instead[JWKS] = (response) => {
    const write = () => {
      while (!response.destroyed && response.write(" ".repeat(8192))) sent += 8192;
    };
    response.on("drain", write);
    write();
  };
  const began = performance.now();
  assert.equal(await codeOf(createVerifier(issuer.options()).ready()), "keys_unavailable");
  assert.ok(performance.now() - began < 2000);
  assert.ok(sent < 4 << 20, `${sent} bytes`);
});

test("issuer that never answers costs a caller three seconds, whatever its fetch does", async (t) => {
  const issuer = await Issuer.start(t);
  const deaf = () => new Promise(() => {});
  const verifier = createVerifier(issuer.options({ fetch: deaf }));
  const began = performance.now();
  assert.equal(await codeOf(verifier.verify(issuer.token())), "keys_unavailable");
  const took = performance.now() - began;
  assert.ok(took >= 2900 && took < 4500, `${took} ms`);
});

test("exported keys start another verifier without a fetch", async (t) => {
  const issuer = await Issuer.start(t);
  const copy = JSON.parse(JSON.stringify((await warm(issuer)).exportJwks()));
  assert.equal(copy.fetchedAt, issuer.clock.seconds);
  const other = createVerifier(issuer.options());
  other.importJwks(copy);
  issuer.clock.advance(5 * MINUTE - 1);
  assert.equal(await codeAtOnce(other, issuer.token()), "ok");
  assert.equal(issuer.count(JWKS), 1);
  issuer.clock.advance(1);
  assert.equal(other.state().keys.state, "soft_stale");
});

test("imported keys age from when the issuer sent them", async (t) => {
  const issuer = await Issuer.start(t);
  const copy = (await warm(issuer)).exportJwks();
  issuer.instead[JWKS] = unavailable;
  issuer.clock.advance(HOUR);
  const other = createVerifier(issuer.options());
  other.importJwks(copy);
  assert.equal(await codeOf(other.verify(issuer.token())), "keys_unavailable");
});

test("older keys than those at hand are not imported", async (t) => {
  const issuer = await Issuer.start(t);
  const old = (await warm(issuer)).exportJwks();
  const next = makeKey();
  issuer.keys = [next];
  issuer.clock.advance(10);
  const verifier = createVerifier(issuer.options());
  await verifier.ready();
  verifier.importJwks(old);
  assert.deepEqual(verifier.state().keys.kids, [next.kid]);
});

test("what is no copy is not imported, and the error says what one is", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = createVerifier(issuer.options());
  const copy = { jwks: issuer.jwks(), fetchedAt: issuer.clock.seconds };
  for (const [bad, message] of [
    [undefined, /what exportJwks returns/],
    [copy.jwks, /what exportJwks returns/],
    [{ ...copy, fetchedAt: undefined }, /what exportJwks returns/],
    [{ ...copy, fetchedAt: Date.now() }, /what exportJwks returns/],
    [{ ...copy, jwks: { keys: [] } }, /no usable key/],
    [{ ...copy, jwks: { keys: [{ ...issuer.key.jwk, d: "" }] } }, /secret key/],
  ]) {
    assert.throws(() => verifier.importJwks(bad), { name: "TypeError", message });
  }
  assert.equal(verifier.exportJwks(), null);
});

test("given keys are neither exported nor replaced", async (t) => {
  const issuer = await Issuer.start(t);
  const { jwksUri, ...options } = issuer.options();
  const verifier = createVerifier({ ...options, jwks: issuer.jwks() });
  assert.equal(verifier.exportJwks(), null);
  const copy = { jwks: { keys: [makeKey().jwk] }, fetchedAt: issuer.clock.seconds };
  assert.throws(() => verifier.importJwks(copy), { name: "TypeError", message: /was given jwks/ });
  assert.deepEqual(issuer.requests, []);
});

/** Lets what is under way go on until something holds. */
async function until(holds) {
  for (let turn = 0; !holds(); turn += 1) {
    assert.ok(turn < 5000, `did not come: ${holds}`);
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
