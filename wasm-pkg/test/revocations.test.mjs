import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mock, test } from "node:test";
import { promisify } from "node:util";
import { FEED, FEED_JWKS, Issuer, JWKS, jws, makeKey } from "./support/issuer.mjs";
import {
  codeAtOnce,
  codeOf,
  createVerifier,
  host,
  verifierFor,
  withModule,
} from "./support/verifier.mjs";

const unavailable = (response) => response.writeHead(503).end();

/** As on Workers: what is not asked for by a call does not happen. */
const createWithoutTimers = verifierFor({ ...host, hasTimers: false });

/** A verifier with keys and feed. */
async function warm(issuer, create = createWithoutTimers) {
  const verifier = create(issuer.optionsWithFeed());
  await verifier.ready();
  return verifier;
}

test("cold verifier asks for keys, feed keys and feed at the same time, once", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = createWithoutTimers(issuer.optionsWithFeed());
  const codes = await Promise.all(
    Array.from({ length: 50 }, () => codeOf(verifier.verify(issuer.token()))),
  );
  assert.deepEqual(new Set(codes), new Set(["ok"]));
  assert.deepEqual([...issuer.requests].sort(), [FEED_JWKS, JWKS, FEED]);
});

test("feed that arrives before the keys it is signed with waits for them", async (t) => {
  const issuer = await Issuer.start(t);
  issuer.revoke("ended");
  const feedSent = new Promise((resolve) => {
    issuer.instead[FEED] = (response) => response.end(issuer.feed(), resolve);
  });
  issuer.instead[FEED_JWKS] = async (response) => {
    await feedSent;
    await settled();
    response.end(JSON.stringify({ keys: [issuer.feedKey.jwk] }));
  };
  const verifier = createWithoutTimers(issuer.optionsWithFeed());
  assert.equal(await codeOf(verifier.verify(issuer.token({ sid: "ended" }))), "revoked");
  assert.equal(issuer.count(FEED_JWKS), 1);
});

test("token of a session that has ended is refused at the next poll", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  const [ended, other] = [issuer.token({ sid: "ended" }), issuer.token({ sid: "other" })];
  assert.equal(await codeOf(verifier.verify(ended)), "ok");
  issuer.revoke("ended");
  issuer.clock.advance(1);
  assert.equal(await codeOf(verifier.verify(ended)), "ok");
  await until(() => verifier.state().revocations.seq === 2);
  assert.equal(await codeOf(verifier.verify(ended)), "revoked");
  assert.equal(await codeOf(verifier.verify(other)), "ok");
  assert.equal(await codeAtOnce(verifier, ended), "revoked");
});

test("revoked by the first document is refused by the first call", async (t) => {
  const issuer = await Issuer.start(t);
  issuer.revoke("ended");
  const verifier = createWithoutTimers(issuer.optionsWithFeed());
  assert.equal(await codeOf(verifier.verify(issuer.token({ sid: "ended" }))), "revoked");
});

test("tokens by a denied key are refused although the key is still published", async (t) => {
  const issuer = await Issuer.start(t);
  issuer.revoked.denyKids.push(issuer.key.kid);
  assert.equal(await codeOf((await warm(issuer)).verify(issuer.token())), "revoked");
});

test("after a pause of more than 30 seconds the first call asks before it accepts", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  issuer.clock.advance(31);
  issuer.revoke("ended");
  assert.equal(await codeOf(verifier.verify(issuer.token({ sid: "ended" }))), "revoked");
});

test("polls happen at most once a second and ask for what is new", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  for (let i = 0; i < 20; i += 1) await verifier.verify(issuer.token());
  assert.equal(issuer.count(FEED), 1);
  issuer.clock.advance(1);
  for (let i = 0; i < 20; i += 1) await verifier.verify(issuer.token());
  await until(() => verifier.state().revocations.ageSeconds === 0);
  assert.deepEqual(issuer.requests.slice(-1), [`${FEED}?since=1`]);
  assert.equal(issuer.count(FEED), 2);
});

test("document that has not changed is not sent again", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  issuer.instead[FEED] = (response, request) => {
    const etag = '"same"';
    if (request.headers["if-none-match"] === etag) return response.writeHead(304).end();
    response.writeHead(200, { etag }).end(issuer.feed());
  };
  for (const expected of [undefined, '"same"', '"same"']) {
    issuer.clock.advance(1);
    const before = issuer.count(FEED);
    await verifier.verify(issuer.token());
    await until(() => issuer.count(FEED) > before);
    assert.equal(issuer.headers[FEED]["if-none-match"], expected);
    await settled();
  }
});

test("feed by a key published a moment ago is believed after one fetch", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  issuer.feedKey = makeKey();
  issuer.feedKeys.push(issuer.feedKey);
  issuer.revoke("ended");
  issuer.clock.advance(31);
  assert.equal(await codeOf(verifier.verify(issuer.token({ sid: "ended" }))), "revoked");
  assert.equal(issuer.count(FEED_JWKS), 2);
});

test("feed that is not the issuer's changes nothing", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  const asOf = issuer.clock.seconds + 1;
  const document = {
    v: 1,
    iss: issuer.url,
    epoch: 2,
    seq: 9,
    asOf,
    iat: asOf,
    exp: asOf + 60,
    denyKids: [issuer.key.kid],
    sids: "",
    subs: "",
  };
  for (const [name, feed] of Object.entries({
    "by a key of tokens": jws("revocations+jwt", document, issuer.key),
    "by an unknown key": jws("revocations+jwt", document, makeKey()),
    "of another type": jws("at+jwt", document, issuer.feedKey),
    "of another issuer": jws(
      "revocations+jwt",
      { ...document, iss: "https://elsewhere.example" },
      issuer.feedKey,
    ),
    "a token": issuer.token(),
    nothing: "",
    "not text": Buffer.from([0xff, 0xfe]),
  })) {
    issuer.instead[FEED] = (response) => response.end(feed);
    issuer.clock.advance(5);
    const before = issuer.count(FEED);
    assert.equal(await codeOf(verifier.verify(issuer.token())), "ok", name);
    await until(() => issuer.count(FEED) > before);
    await settled();
    assert.equal(verifier.state().revocations.seq, 1, name);
  }
});

test("feed away: tokens pass by what was last known, and the state says how old that is", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer);
  issuer.revoke("ended");
  issuer.clock.advance(1);
  await verifier.verify(issuer.token());
  await until(() => verifier.state().revocations.seq === 2);
  issuer.instead[FEED] = unavailable;
  issuer.clock.advance(600);
  assert.equal(await codeOf(verifier.verify(issuer.token())), "ok");
  assert.equal(await codeOf(verifier.verify(issuer.token({ sid: "ended" }))), "revoked");
  assert.equal(verifier.state().revocations.ageSeconds, 600);
});

withModule("feed away from the start: verify accepts, ready and verifySync do not", async (t) => {
  const issuer = await Issuer.start(t);
  issuer.instead[FEED] = unavailable;
  const verifier = createWithoutTimers(issuer.optionsWithFeed());
  assert.equal(await codeOf(verifier.verify(issuer.token())), "ok");
  assert.equal(await codeOf(verifier.ready()), "keys_unavailable");
  assert.equal(await codeAtOnce(verifier, issuer.token()), "keys_unavailable");
  delete issuer.instead[FEED];
  issuer.clock.advance(5);
  await verifier.ready();
  assert.equal(await codeAtOnce(verifier, issuer.token()), "ok");
});

test("feed that does not answer holds up the first calls for half a second at most", async (t) => {
  const issuer = await Issuer.start(t);
  issuer.instead[FEED] = () => {};
  const verifier = createWithoutTimers(issuer.optionsWithFeed());
  const began = performance.now();
  const codes = await Promise.all(
    Array.from({ length: 5 }, () => codeOf(verifier.verify(issuer.token()))),
  );
  assert.deepEqual(codes, Array(5).fill("ok"));
  const took = performance.now() - began;
  assert.ok(took < 1500, `${took} ms`);
});

test("keys that are given can be used with the feed", async (t) => {
  const issuer = await Issuer.start(t);
  issuer.revoke("ended");
  const { jwksUri, ...options } = issuer.optionsWithFeed();
  const verifier = createWithoutTimers({ ...options, jwks: issuer.jwks() });
  assert.equal(await codeOf(verifier.verify(issuer.token({ sid: "ended" }))), "revoked");
  assert.equal(await codeOf(verifier.verify(issuer.token())), "ok");
  assert.equal(issuer.count(JWKS), 0);
});

test("while in use the feed is polled without a call, and a minute later no more", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = await warm(issuer, createVerifier);
  mock.timers.enable({ apis: ["setTimeout"] });
  t.after(() => mock.timers.reset());
  const second = async () => {
    issuer.clock.advance(1);
    const before = issuer.count(FEED);
    for (let quarter = 0; quarter < 4; quarter += 1) mock.timers.tick(250);
    await settled();
    return issuer.count(FEED) - before;
  };
  assert.equal(await second(), 0, "before the first token");
  await verifier.verify(issuer.token());
  await until(() => verifier.state().revocations.ageSeconds === 0);
  let polls = 0;
  for (let i = 0; i < 60; i += 1) polls += await second();
  assert.ok(polls >= 58, `${polls} polls in a minute`);
  assert.equal(await second(), 0, "after a minute");
});

test("verifier that polls does not keep the process alive", async (t) => {
  const issuer = await Issuer.start(t);
  issuer.clock.seconds = Math.floor(Date.now() / 1000);
  const { clock, ...options } = issuer.optionsWithFeed();
  const script = `
    import { createVerifier } from ${JSON.stringify(new URL("./support/verifier.mjs", import.meta.url).href)};
    const verifier = createVerifier(${JSON.stringify(options)});
    console.log((await verifier.verify(${JSON.stringify(issuer.token())})).sub);
  `;
  const node = promisify(execFile)(process.execPath, ["--input-type=module", "-e", script], {
    timeout: 30_000,
  });
  assert.equal((await node).stdout, "user-1\n");
});

/** The real one, also while a test moves the others. */
const { setTimeout: later } = globalThis;

/** Lets what is under way on loopback come to its end. */
const settled = () => new Promise((resolve) => later(resolve, 20));

/** Lets what is under way go on until something holds. */
async function until(holds) {
  for (let turn = 0; !holds(); turn += 1) {
    assert.ok(turn < 5000, `did not come: ${holds}`);
    await new Promise((resolve) => later(resolve, 1));
  }
}
