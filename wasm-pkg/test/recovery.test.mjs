import assert from "node:assert/strict";
import { test } from "node:test";
import { verifierFor } from "../js/verifier.mjs";
import { FEED, Issuer, JWKS } from "./support/issuer.mjs";
import { codeOf, createVerifier, host } from "./support/verifier.mjs";

/** `(module (func (export "trap") unreachable))` */
const TRAP = new Uint8Array([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00, 0x01, 0x04, 0x01, 0x60, 0x00, 0x00, 0x03, 0x02,
  0x01, 0x00, 0x07, 0x08, 0x01, 0x04, 0x74, 0x72, 0x61, 0x70, 0x00, 0x00, 0x0a, 0x05, 0x01, 0x03,
  0x00, 0x00, 0x0b,
]);
const { trap } = new WebAssembly.Instance(new WebAssembly.Module(TRAP)).exports;

/** Verifiers whose functions of these names trap while `broken.now` is true. */
function breakable(...names) {
  const broken = { now: false, instances: 0 };
  const instantiate = () => {
    broken.instances += 1;
    const { exports } = host.instantiate();
    const wrapped = names.map((name) => [
      name,
      (...args) => (broken.now ? trap() : exports[name](...args)),
    ]);
    return { exports: { ...exports, ...Object.fromEntries(wrapped) } };
  };
  return { broken, create: verifierFor({ ...host, hasTimers: false, instantiate }) };
}

test("trap answers one call with 503, and the next call gets a new instance with the same keys", async (t) => {
  const issuer = await Issuer.start(t);
  const { broken, create } = breakable("verify", "verify_at_once");
  const verifier = create(issuer.options());
  await verifier.verify(issuer.token());
  broken.now = true;
  const another = issuer.token({ jti: "another" });
  const error = await verifier.verify(another).catch((error) => error);
  assert.equal(error.code, "keys_unavailable");
  assert.ok(error.cause instanceof WebAssembly.RuntimeError);
  assert.throws(() => verifier.verifySync(another), { code: "keys_unavailable" });
  broken.now = false;
  assert.equal(verifier.verifySync(issuer.token()).sub, "user-1");
  assert.equal(await codeOf(verifier.verify(issuer.token({ aud: "billing" }))), "wrong_audience");
  assert.equal(broken.instances, 3);
  assert.equal(issuer.count(JWKS), 1);
});

test("new instance asks for revocations before it accepts", async (t) => {
  const issuer = await Issuer.start(t);
  issuer.revoke("ended");
  const { broken, create } = breakable("verify");
  const verifier = create(issuer.optionsWithFeed());
  const ended = issuer.token({ sid: "ended" });
  assert.equal(await codeOf(verifier.verify(ended)), "revoked");
  broken.now = true;
  assert.equal(await codeOf(verifier.verify(ended)), "keys_unavailable");
  broken.now = false;
  assert.equal(await codeOf(verifier.verify(ended)), "revoked");
  assert.equal(issuer.count(FEED), 2);
});

test("trap while an answer of the issuer is taken in ends in 503 and not in a crash", async (t) => {
  const issuer = await Issuer.start(t);
  const { broken, create } = breakable("keys_fetched", "poll_answered");
  const verifier = create(issuer.optionsWithFeed());
  broken.now = true;
  assert.equal(await codeOf(verifier.verify(issuer.token())), "keys_unavailable");
  assert.equal(issuer.count(JWKS), 1);
  broken.now = false;
  assert.equal(await codeOf(verifier.verify(issuer.token())), "ok");
});

test("call that waits while the instance is replaced is answered with 503, and its answer dropped", async (t) => {
  const issuer = await Issuer.start(t);
  const { broken, create } = breakable("verify");
  const verifier = create(issuer.options());
  const asked = new Promise((resolve) => {
    issuer.instead[JWKS] = (response) => resolve(() => response.end(JSON.stringify(issuer.jwks())));
  });
  const first = verifier.verify(issuer.token());
  const answer = await asked;
  broken.now = true;
  assert.equal(await codeOf(verifier.verify(issuer.token())), "keys_unavailable");
  broken.now = false;
  delete issuer.instead[JWKS];
  answer();
  assert.equal(await codeOf(first), "keys_unavailable");
  assert.equal(verifier.state().keys.state, "empty");
  assert.equal(await codeOf(verifier.verify(issuer.token())), "ok");
});

test("overflow of the caller's stack harms nobody else", async (t) => {
  const issuer = await Issuer.start(t);
  const verifier = createVerifier(issuer.options());
  await verifier.ready();
  const token = issuer.token();
  const descend = () => {
    try {
      descend();
    } finally {
      verifier.verifySync(token);
    }
  };
  assert.throws(descend);
  assert.equal(verifier.verifySync(token).sub, "user-1");
});

test("abandoned verifier is collected with its memory", async (t) => {
  const issuer = await Issuer.start(t);
  const { jwksUri, ...options } = issuer.options();
  // More than there is address space for.
  for (let i = 0; i < 20_000; i += 1) createVerifier({ ...options, jwks: issuer.jwks() });
});
